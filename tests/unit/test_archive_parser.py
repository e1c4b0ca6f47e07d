import bz2
import contextlib
import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.core.errors import Encrypted, NoText, ParseFailed, UnsafeArchive
from ragstone.core.models import ParsedDocument
from ragstone.parsers.archive import ArchiveParser
from ragstone.parsers.bounds import Limits
from ragstone.parsers.mail import MailParser
from ragstone.parsers.members import Children, safe_path
from tests.containers import book, page, tarred, zipped


def names(parsed: ParsedDocument) -> list[str]:
    return [child.filename for child in parsed.children]


def tar_of(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:  # noqa: A002
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=format) as archive:
        for header, content in members:
            archive.addfile(header, io.BytesIO(content))
    return target.getvalue()


def header(name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size = kind, size
    return found


class TestNames:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("../../etc/passwd", "etc/passwd"),
            ("/etc/x", "etc/x"),
            ("..\\..\\x.txt", "x.txt"),
            ("C:\\dir\\x", "dir/x"),
            ("a//./b/../c", "a/b/c"),
            ("a\0b\n\x1b[31m\u202etxt.exe", "ab[31mtxt.exe"),
            ("..", ""),
            ("...", ""),
            (" a / b ", "a/b"),
            ("Größe/漢字 😀.txt", "Größe/漢字 😀.txt"),
        ],
    )
    def test_no_path_leads_out(self, name: str, path: str) -> None:
        assert safe_path(name) == path

    def test_long_names_keep_their_end(self) -> None:
        assert len(safe_path("x" * 65_000 + ".txt")) <= 255
        assert safe_path("x" * 3_000 + ".txt").endswith(".txt")
        assert safe_path("dir/" * 20_000 + "a.txt").endswith("dir/a.txt")
        assert len(safe_path("dir/" * 20_000 + "a.txt")) <= 1_024

    @given(st.text(max_size=60))
    def test_whatever_a_name_is_its_path_is_safe_and_stays_so(self, name: str) -> None:
        path = safe_path(name)
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert safe_path(path) == path

    def test_equal_names_get_numbers(self) -> None:
        children = Children("archive", Limits())
        for _ in range(3):
            children.add("a/b.txt", b"")
        assert len({child.filename for child in children.all()}) == 3
        assert children.all()[1].filename == "a/b (2).txt"


class TestZip:
    def test_members_are_children_and_their_names_the_text(self) -> None:
        parsed = ArchiveParser().parse(zipped({"docs/a.txt": "A", "docs/": "", "Größe.md": "B"}))
        assert parsed.text == "docs/a.txt\nGröße.md"
        assert [(child.filename, child.content) for child in parsed.children] == [
            ("docs/a.txt", b"A"),
            ("Größe.md", b"B"),
        ]

    def test_what_systems_left_there_is_skipped(self) -> None:
        members = {
            "__MACOSX/._a.txt": "x",
            "a/.DS_Store": "x",
            "Thumbs.db": "x",
            "._b": "x",
            "a/b.txt": "x",
            "..": "x",
        }
        assert names(ArchiveParser().parse(zipped(members))) == ["a/b.txt"]

    def test_links_are_skipped(self) -> None:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            link = zipfile.ZipInfo("link")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
            archive.writestr("a.txt", "x")
        assert names(ArchiveParser().parse(target.getvalue())) == ["a.txt"]

    def test_utf8_without_its_mark_is_read(self) -> None:
        content = bytearray(zipped({"Größe.txt": "x"}))
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = content.find(signature) + offset
            content[at : at + 2] = b"\0\0"
        assert names(ArchiveParser().parse(bytes(content))) == ["Größe.txt"]

    def test_encrypted_member_is_refused(self) -> None:
        content = bytearray(zipped({"a.txt": "x"}))
        content[content.find(b"PK\x01\x02") + 8] |= 1
        with pytest.raises(Encrypted):
            ArchiveParser().parse(bytes(content))

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_duplicate_names_are_told_apart(self) -> None:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("a.txt", "1")
            archive.writestr("a.txt", "2")
        parsed = ArchiveParser().parse(target.getvalue())
        assert [child.filename for child in parsed.children] == ["a.txt", "a (2).txt"]
        assert [child.content for child in parsed.children] == [b"1", b"2"]

    @pytest.mark.parametrize("count", [1_001, 100_000])
    def test_too_many_members(self, count: int) -> None:
        start = time.process_time()
        content = zipped({f"{n}": b"" for n in range(count)}, compression=zipfile.ZIP_STORED)
        made = time.process_time()
        with pytest.raises(UnsafeArchive, match=r"1000 |100000 "):
            ArchiveParser().parse(content)
        assert time.process_time() - made < max(2.0, made - start)

    def test_bomb(self) -> None:
        with pytest.raises(UnsafeArchive):
            ArchiveParser().parse(zipped({"a": bytes(40 * 2**20)}))

    def test_members_over_the_same_bytes(self) -> None:
        content = zipped({"a": bytes(2**20)})
        at = content.find(b"PK\x01\x02")
        end = content.find(b"PK\x05\x06")
        entry = content[at:end]
        directory = b"".join(entry[:-1] + bytes([65 + n % 26]) for n in range(900))
        tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 900, 900, len(directory), at, 0)
        with pytest.raises((UnsafeArchive, ParseFailed)):
            ArchiveParser().parse(content[:at] + directory + tail)

    def test_archive_of_nothing(self) -> None:
        with pytest.raises(NoText):
            ArchiveParser().parse(zipped({"dir/": ""}))


class TestTar:
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_members_are_children_in_every_compression(self, mode: str) -> None:
        parsed = ArchiveParser().parse(
            tarred({"docs/Größe.txt": b"A" * 2_000_000, "../b": b"B", "._b": b""}, mode=mode)
        )
        assert parsed.text == "docs/Größe.txt\nb"
        assert [len(child.content) for child in parsed.children] == [2_000_000, 1]

    @pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_long_names_of_every_format(self, tar_format: int) -> None:
        name = "d" * 90 + "/" + "f" * 90
        assert names(ArchiveParser().parse(tar_of((header(name), b""), format=tar_format))) == [name]

    @pytest.mark.parametrize(
        "kind",
        [
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
            tarfile.DIRTYPE,
        ],
    )
    def test_what_is_no_file_is_skipped(self, kind: bytes) -> None:
        odd = header("odd", kind=kind)
        odd.linkname = "/etc/passwd"
        assert names(ArchiveParser().parse(tar_of((odd, b""), (header("a"), b"")))) == ["a"]

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_compressed_file_is_one_child(self, compress: "type[bytes]") -> None:
        assert ArchiveParser().parse(compress(b"text")).children[0].content == b"text"

    def test_gzip_keeps_the_name(self) -> None:
        target = io.BytesIO()
        with gzip.GzipFile("notes.txt", "wb", fileobj=target) as stream:
            stream.write(b"text")
        assert names(ArchiveParser().parse(target.getvalue())) == ["notes.txt"]

    @pytest.mark.parametrize("end", [1_700, 20_000])
    def test_cut_off_archive_is_refused_rather_than_shortened(self, end: int) -> None:
        content = tarred({"a": b"1" * 600, "b": b"2" * 60_000})
        with pytest.raises(ParseFailed):
            ArchiveParser().parse(content[:end])

    def test_damaged_header_does_not_end_the_archive_early(self) -> None:
        content = bytearray(tarred({"a": b"1", "b": b"2"}))
        content[1_024 + 148] ^= 1  # of the second member's check sum
        with pytest.raises(ParseFailed):
            ArchiveParser().parse(bytes(content))

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_bomb(self, compress: "type[bytes]") -> None:
        start = time.process_time()
        content = compress(tar_of((header("a", size=100 * 2**20), bytes(100 * 2**20))))
        made = time.process_time()
        with pytest.raises(UnsafeArchive):
            ArchiveParser().parse(content)
        assert time.process_time() - made < max(5.0, made - start)

    @pytest.mark.parametrize("size", ["9" * 30, str(2**62), "-5", "x"])
    def test_size_that_cannot_be(self, size: str) -> None:
        huge = header("a")
        huge.pax_headers = {"size": size}
        content = tar_of((huge, b""), (header("b"), b""), format=tarfile.PAX_FORMAT)
        start = time.process_time()
        with contextlib.suppress(UnsafeArchive, ParseFailed):
            ArchiveParser().parse(content)
        assert time.process_time() - start < 2

    def test_sparse_file_is_skipped(self) -> None:
        sparse = header("a")
        sparse.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**40), "GNU.sparse.major": "0"}
        content = tar_of((sparse, b""), (header("b"), b""), format=tarfile.PAX_FORMAT)
        try:
            assert names(ArchiveParser().parse(content)) == ["b"]
        except UnsafeArchive:
            return

    def test_extended_header_out_of_all_bounds(self) -> None:
        odd = header("a")
        odd.pax_headers = {"comment": "1" * 5_000_000}
        start = time.process_time()
        with pytest.raises(ParseFailed):
            ArchiveParser().parse(tar_of((odd, b""), format=tarfile.PAX_FORMAT))
        assert time.process_time() - start < 2

    def test_too_many_members(self) -> None:
        with pytest.raises(UnsafeArchive, match="1000"):
            ArchiveParser().parse(tarred({f"{n}": b"" for n in range(1_001)}))
        with pytest.raises(UnsafeArchive, match="10000"):
            ArchiveParser().parse(
                tar_of(*[(header(f"{n}", kind=tarfile.DIRTYPE), b"") for n in range(10_001)])
            )

    def test_empty_archive(self) -> None:
        with pytest.raises(NoText):
            ArchiveParser().parse(tarred({}))


def nested(depth: int, content: bytes = b"text") -> bytes:
    """A file that lies in so many zip files."""
    for level in range(depth):
        content = zipped({f"{level}.zip" if level else "a.txt": content})
    return content


class TestArchivesInside:
    def test_three_deep_is_read(self) -> None:
        parsed = ArchiveParser().parse(nested(3))
        assert [(child.filename, child.content) for child in parsed.children] == [("2.zip", nested(2))]

    @pytest.mark.parametrize("depth", [4, 42])
    def test_deeper_is_refused(self, depth: int) -> None:
        with pytest.raises(UnsafeArchive, match="3 deep"):
            ArchiveParser().parse(nested(depth))

    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_depth_counts_through_every_kind(self, mode: str) -> None:
        content = tarred({"a.tar": tarred({"b.zip": nested(1)}, mode=mode)}, mode=mode)
        assert len(ArchiveParser().parse(content).children) == 1
        with pytest.raises(UnsafeArchive, match="3 deep"):
            ArchiveParser().parse(zipped({"c": content}))

    def test_files_count_over_all_of_them(self) -> None:
        halves = {f"{half}.zip": zipped({f"{n}.txt": "" for n in range(499)}) for half in "ab"}
        assert len(ArchiveParser().parse(zipped(halves)).children) == 2
        with pytest.raises(UnsafeArchive, match="1000 files"):
            ArchiveParser().parse(zipped({**halves, "c.txt": ""}))

    def test_bytes_count_over_all_of_them(self) -> None:
        ten_megabytes = zipped({"a": bytes(10 * 2**20)})
        assert ArchiveParser().parse(zipped({"1.zip": ten_megabytes}))
        with pytest.raises(UnsafeArchive, match="inflates"):
            ArchiveParser().parse(zipped({f"{n}.zip": ten_megabytes for n in range(2)}))

    def test_bomb_of_many_branches_is_refused_in_time(self) -> None:
        content = zipped({"a": bytes(4 * 2**30 // 2**10)})
        for _ in range(2):
            content = zipped({f"{n}.zip": content for n in range(16)})
        start = time.process_time()
        with pytest.raises(UnsafeArchive):
            ArchiveParser().parse(content)
        assert time.process_time() - start < 5

    def test_office_documents_and_books_are_no_archives(self) -> None:
        content = book({"a.xhtml": page("<p>Text.</p>")})
        for level in range(3):
            content = zipped({f"{level}": content})
        assert len(ArchiveParser().parse(content).children) == 1

    def test_one_that_cannot_be_read_is_left_to_fail_by_itself(self) -> None:
        parsed = ArchiveParser().parse(zipped({"a.zip": b"PK\x03\x04 no more", "b.txt": "b"}))
        assert names(parsed) == ["a.zip", "b.txt"]

    def test_attachments_of_a_mail_are_looked_into(self) -> None:
        with pytest.raises(UnsafeArchive, match="3 deep"):
            MailParser().parse(mail_with(nested(3)))
        assert names(MailParser().parse(mail_with(nested(2)))) == ["a.zip"]


def mail_with(attached: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", "Files"
    message.set_content("See below.")
    message.add_attachment(attached, maintype="application", subtype="zip", filename="a.zip")
    return message.as_bytes()


class TestLimits:
    def test_largest_file_and_all_files_are_limited(self) -> None:
        limits = Limits(child_bytes=1_000, children_bytes=1_500)
        parser = ArchiveParser(limits)
        assert parser.parse(zipped({"a": bytes(1_000), "b": bytes(500)}))
        for members in ({"a": bytes(1_001)}, {"a": bytes(1_000), "b": bytes(501)}):
            with pytest.raises(UnsafeArchive, match="bytes"):
                parser.parse(zipped(members))

    def test_inflated_content_is_limited(self) -> None:
        with pytest.raises(UnsafeArchive, match="more than 1000"):
            ArchiveParser(Limits(inflated_bytes=1_000)).parse(zipped({"a": bytes(1_001)}))

    def test_size_that_a_header_lies_about_is_found_out(self) -> None:
        content = bytearray(zipped({"a": bytes(100_000)}))
        at = content.find(b"PK\x01\x02") + 24
        content[at : at + 4] = (10).to_bytes(4, "little")
        with contextlib.suppress(ParseFailed, UnsafeArchive):
            assert len(ArchiveParser().parse(bytes(content)).children[0].content) <= 10
