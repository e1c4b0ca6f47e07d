"""Bodies that are too large, compressed, cut off or not what they say."""

import gzip
import io

import pytest
from fastapi import FastAPI

from ragstone.bootstrap import Container
from tests.apiclient import Api
from tests.asgi import Reply, call

MIB = 1024 * 1024
HOST = ("host", "127.0.0.1")
FORM = ("content-type", "multipart/form-data; boundary=x")
JSON = ("content-type", "application/json")
DEFECTS = {400, 413, 415, 422}


def part(headers: bytes, content: bytes) -> bytes:
    return b"--x\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


def file_part(content: bytes = b"Hi there.") -> bytes:
    return part(b'Content-Disposition: form-data; name="file"; filename="a.txt"', content)


async def send(
    app: FastAPI, *headers: tuple[str, str], pieces: list[bytes], path: str = "/documents"
) -> Reply:
    return await call(app, "POST", path, headers=[HOST, *headers], body=pieces)


class TestTooLarge:
    @pytest.mark.parametrize(
        ("path", "content_type", "limit"),
        [("/query", JSON, 1 * MIB), ("/search", JSON, 1 * MIB), ("/collections", JSON, 1 * MIB),
         ("/documents", JSON, 4 * MIB), ("/documents", FORM, 4 * MIB)],
    )  # fmt: skip
    async def test_a_declared_length_is_refused_unread_and_an_undeclared_one_at_the_limit(
        self, app: FastAPI, container: Container, path: str, content_type: tuple[str, str], limit: int
    ) -> None:
        piece = b"x" * 65_536
        pieces = [piece] * (2 * limit // len(piece))

        declared = await send(app, content_type, ("content-length", str(2 * limit)), pieces=pieces, path=path)
        undeclared = await send(app, content_type, pieces=pieces, path=path)

        assert (declared.status, declared.code, declared.pieces_read) == (413, "payload_too_large", 0)
        assert undeclared.status in (400, 413)
        assert undeclared.pieces_read <= limit // len(piece) + 1

    async def test_a_valid_form_over_the_limit_is_413_however_it_comes(
        self, app: FastAPI, container: Container
    ) -> None:
        body = file_part(b"x" * (5 * MIB)) + b"--x--\r\n"
        pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]

        reply = await send(app, FORM, pieces=pieces)

        assert (reply.status, reply.code) == (413, "payload_too_large")

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (FORM, file_part(b"x" * (2 * MIB)) + b"--x--\r\n"),
            (JSON, b'{"text": "' + b"x" * (2 * MIB) + b'"}'),
        ],
    )
    async def test_new_bytes_for_a_document_may_be_as_large_as_an_upload(
        self, app: FastAPI, container: Container, content_type: tuple[str, str], body: bytes
    ) -> None:
        pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]

        reply = await call(app, "PUT", "/documents/none", headers=[HOST, content_type], body=pieces)

        assert (reply.status, reply.code) == (404, "document_not_found")

    async def test_new_bytes_over_the_limit_of_uploads_are_413(
        self, app: FastAPI, container: Container
    ) -> None:
        length = ("content-length", str(5 * MIB))

        reply = await call(app, "PUT", "/documents/none", headers=[HOST, FORM, length], body=[b"x"])

        assert (reply.status, reply.code) == (413, "payload_too_large")

    async def test_a_valid_question_over_the_limit_is_413_however_it_comes(
        self, app: FastAPI, container: Container
    ) -> None:
        body = b'{"query": "' + b"x" * (2 * MIB) + b'"}'

        reply = await send(
            app, JSON, pieces=[body[at : at + 65_536] for at in range(0, len(body), 65_536)], path="/query"
        )

        assert (reply.status, reply.code) == (413, "payload_too_large")

    async def test_a_delete_with_a_body_has_the_limit_too(self, app: FastAPI, container: Container) -> None:
        reply = await call(
            app, "DELETE", "/documents/nobody", headers=[HOST, ("content-length", str(10 * MIB))], body=[b"x"]
        )

        assert reply.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
@pytest.mark.parametrize("path", ["/query", "/documents"])
async def test_a_compressed_body_is_415_unread(
    app: FastAPI, container: Container, path: str, encoding: str
) -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as stream:
        stream.write(b" " * (10 * MIB))

    reply = await send(app, JSON, ("content-encoding", encoding), pieces=[bomb.getvalue()], path=path)

    assert (reply.status, reply.pieces_read) == (415, 0)


class TestForms:
    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "x" * 300,
            "multipart/form-data; boundary=\x00",
            "multipart/form-data; boundary=ü",
            "multipart/form-data; charset=nonsense; boundary=y",
            "multipart/form-data; boundary=y",
        ],
    )
    async def test_a_boundary_that_is_missing_or_another_is_400(
        self, app: FastAPI, container: Container, content_type: str
    ) -> None:
        reply = await send(app, ("content-type", content_type), pieces=[file_part() + b"--x--\r\n"])

        assert (reply.status, reply.code) == (400, "malformed_body")

    @pytest.mark.parametrize(
        "kind", ["multipart/mixed; boundary=x", "multipart/related; boundary=x", "multipart/"]
    )
    async def test_another_multipart_is_415(self, app: FastAPI, container: Container, kind: str) -> None:
        assert (await send(app, ("content-type", kind), pieces=[file_part() + b"--x--\r\n"])).status == 415

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # starlette's spooled file
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"--x--\r\n",
            b"no form at all",
            b"--x\r\n",
            b"--x\r\n\r\n\r\n--x--\r\n",
            b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n",
            b'--x\r\nContent-Disposition: attachment; name="file"; filename="a"\r\nBroken Header\r\n\r\nx\r\n--x--\r\n',
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncut off',
            file_part(),
            b"\r\n" * 1_000 + b"rubbish",
        ],
    )
    async def test_a_form_that_is_cut_off_or_broken_is_refused_and_stores_nothing(
        self, app: FastAPI, api: Api, body: bytes
    ) -> None:
        before = (await api.get("/collections/default"))["documents"]

        reply = await send(app, FORM, pieces=[body])

        assert reply.status in DEFECTS
        assert (await api.get("/collections/default"))["documents"] == before

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # starlette's spooled file
    @pytest.mark.parametrize("content_type", [b"multipart/form-data; boundary=x", b"application/json"])
    async def test_a_client_that_leaves_mid_upload_stores_nothing_and_is_no_defect(
        self, app: FastAPI, api: Api, caplog: pytest.LogCaptureFixture, content_type: bytes
    ) -> None:
        before = (await api.get("/collections/default"))["documents"]
        sent: list[object] = []
        messages = iter(
            [
                {"type": "http.request", "body": file_part()[:60], "more_body": True},
                {"type": "http.disconnect"},
            ]
        )

        async def receive() -> object:
            return next(messages)

        async def send_back(message: object) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/documents", "raw_path": b"/documents", "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", content_type)],
            "scheme": "http", "http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
            "root_path": "", "asgi": {"version": "3.0"},
        }  # fmt: skip
        await app(scope, receive, send_back)  # type: ignore[arg-type]

        assert (await api.get("/collections/default"))["documents"] == before
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    async def test_ten_thousand_parts_are_refused(self, app: FastAPI, container: Container) -> None:
        field = part(b'Content-Disposition: form-data; name="title"', b"x")
        files = part(b'Content-Disposition: form-data; name="files"; filename="a.txt"', b"x")

        for many in (field, files):
            reply = await send(app, FORM, pieces=[many * 1_000] * 10 + [b"--x--\r\n"])
            assert (reply.status, reply.code) == (400, "malformed_body")

    @pytest.mark.parametrize(
        "header",
        [
            b"X-Junk: " + b"y" * (3 * MIB),
            b"X-" + b"y" * (3 * MIB) + b": 1",
            b"\r\n".join([b"X-Junk: y"] * 100_000),
            b'Content-Disposition: form-data; name="' + b"y" * (3 * MIB) + b'"',
        ],
    )
    async def test_a_part_with_megabytes_of_headers_is_refused(
        self, app: FastAPI, container: Container, header: bytes
    ) -> None:
        body = part(header, b"x") + b"--x--\r\n"

        reply = await send(app, FORM, pieces=[body[at : at + 65_536] for at in range(0, len(body), 65_536)])

        assert reply.status in DEFECTS

    @pytest.mark.parametrize("filler", [b"\r\n", b"\n", b"\r", b"-", b"--", b"--x", b"\r\n--"])
    async def test_megabytes_before_the_first_boundary_are_refused_or_skipped(
        self, app: FastAPI, api: Api, filler: bytes
    ) -> None:
        pieces = [filler * (65_536 // len(filler))] * 40

        reply = await send(app, FORM, pieces=[*pieces, b"\r\n" + file_part(b" ") + b"--x--\r\n"])

        assert reply.status in DEFECTS | {202}
        if reply.status == 202:
            await api.delete(f"/documents/{reply.json['document']['id']}")

    async def test_a_huge_text_field_without_a_filename_is_refused(
        self, app: FastAPI, container: Container
    ) -> None:
        for name in (b"file", b"title", b"metadata", b"whatever"):
            start = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n'
            reply = await send(app, FORM, pieces=[start, *[b"y" * 65_536] * 1_600, b"\r\n--x--\r\n"])
            assert reply.status in DEFECTS
            assert reply.pieces_read < 80

    async def test_a_file_that_is_no_file_is_not_taken(self, app: FastAPI, container: Container) -> None:
        body = part(b'Content-Disposition: form-data; name="file"', b"text instead") + b"--x--\r\n"

        assert (await send(app, FORM, pieces=[body])).status == 422
