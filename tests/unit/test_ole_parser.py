import io
import random
import time
from collections.abc import Mapping

import pytest
from msoffcrypto.format.ooxml import OOXMLFile  # type: ignore[import-untyped]

from ragstone.core.errors import Encrypted, IngestError, LegacyFormat, ParseFailed, UnsafeArchive, UnsafeXml
from ragstone.parsers.ole import ENCRYPTED_OOXML, OleParser, ole_kind
from ragstone.parsers.ole_kinds import OLE
from tests.containers import zipped
from tests.office_files import docx, docx_parts, paragraph
from tests.outlook import letter, ole
from tests.slides import pptx
from tests.spreadsheets import xls

CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
BY_OFFICE = "VelvetSweatshop"


def container(**streams: bytes) -> bytes:
    """An OLE file with streams of these names."""
    return ole({name.replace("_", " "): content for name, content in streams.items()})


def encrypted(document: bytes, password: str) -> bytes:
    """`document` must be longer than 4 KB: msoffcrypto writes shorter ones wrong."""
    assert len(document) > 4_096
    buffer = io.BytesIO()
    OOXMLFile(io.BytesIO(document)).encrypt(password, buffer)
    return buffer.getvalue()


def padded(parts: Mapping[str, str | bytes]) -> bytes:
    padding = random.Random(1).randbytes(5_000)
    return zipped({**parts, "[Content_Types].xml": CONTENT_TYPES, "word/media/a.png": padding})


@pytest.fixture(scope="module")
def protected() -> bytes:
    return encrypted(padded(docx_parts(paragraph("secret"))), "a password")


class TestKinds:
    @pytest.mark.parametrize(
        ("stream", "kind"),
        [
            ("WordDocument", "application/msword"),
            ("PowerPoint_Document", "application/vnd.ms-powerpoint"),
            ("Book", "application/vnd.ms-excel"),
            ("VisioDocument", "application/vnd.visio"),
            ("Contents", OLE),
        ],
    )
    def test_told_by_a_stream(self, stream: str, kind: str) -> None:
        content = container(**{stream: b"x" * 5_000})
        assert ole_kind(content) == kind

    def test_workbooks_mails_and_encrypted_documents(self, protected: bytes) -> None:
        assert ole_kind(xls([["a"]])) == "application/vnd.ms-excel"
        assert ole_kind(ole(letter("a", "b"))) == "application/vnd.ms-outlook"
        assert ole_kind(protected) == ENCRYPTED_OOXML

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"text",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 5000,
        ],
    )
    def test_what_is_no_container_is_refused(self, content: bytes) -> None:
        with pytest.raises(ParseFailed):
            ole_kind(content)


class TestOldFormats:
    @pytest.mark.parametrize(
        ("stream", "hint"), [("WordDocument", ".docx"), ("PowerPoint_Document", ".pptx"), ("Contents", "PDF")]
    )
    def test_refusal_says_what_to_do(self, stream: str, hint: str) -> None:
        with pytest.raises(LegacyFormat, match=hint):
            OleParser().parse(container(**{stream: b"x" * 5_000}))

    def test_workbooks_and_mails_go_to_their_parsers(self) -> None:
        assert "Wort" in OleParser().parse(xls([["Wort"], ["Maß"]])).text
        assert "Body." in OleParser().parse(ole(letter("Subject", "Body."))).text


class TestEncryption:
    def test_password_is_needed(self, protected: bytes) -> None:
        with pytest.raises(Encrypted):
            OleParser().parse(protected)

    @pytest.mark.parametrize(
        ("document", "shown"),
        [
            (padded(docx_parts(paragraph("Satz."))), "Satz."),
            (pptx(("Folie", ["Punkt"])), "Folie\n\n- Punkt"),
        ],
    )
    def test_what_office_opens_without_asking_is_read(self, document: bytes, shown: str) -> None:
        assert OleParser().parse(encrypted(document, BY_OFFICE)).text == shown

    def test_bomb_in_an_encrypted_document_is_refused(self) -> None:
        document = padded(docx_parts("") | {"word/a.bin": bytes(64 * 2**20)})
        with pytest.raises(UnsafeArchive):
            OleParser().parse(encrypted(document, BY_OFFICE))

    def test_document_type_in_the_description_of_the_encryption_is_refused(self, protected: bytes) -> None:
        start = protected.index(b"<encryption")
        declared = b"<!DOCTYPE a>"
        changed = protected[:start] + declared + protected[start + len(declared) :]
        with pytest.raises(UnsafeXml):
            OleParser().parse(changed)

    def test_hashing_without_end_is_not_begun(self, protected: bytes) -> None:
        changed = protected.replace(b"  <keyData", b" <keyData")
        changed = changed.replace(b'spinCount="100000"', b'spinCount="9999999"')
        assert len(changed) == len(protected)
        started = time.process_time()
        with pytest.raises(Encrypted):
            OleParser().parse(changed)
        assert time.process_time() - started < 1

    def test_rights_management(self) -> None:
        with pytest.raises(Encrypted):
            OleParser().parse(container(EncryptedPackage=b"x" * 5_000))

    @pytest.mark.parametrize("place", range(0, 4_000, 250))
    def test_damaged_containers_are_refused(self, protected: bytes, place: int) -> None:
        with pytest.raises(IngestError):
            OleParser().parse(protected[:place] + b"\xff\xfe\x00\x01" * 8 + protected[place + 32 :])


def test_plain_documents_are_no_containers() -> None:
    with pytest.raises(ParseFailed):
        OleParser().parse(docx(paragraph("text")))
