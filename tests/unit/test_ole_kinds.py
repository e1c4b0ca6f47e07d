"""Which document lies in an OLE container, told by the beginning of its directory."""

import io
from pathlib import Path

import pytest

from ragstone.parsers.detection import HEAD_BYTES, detect
from ragstone.parsers.ole_kinds import EXCEL, OLE, OUTLOOK, ole_kind_of
from tests.outlook import letter, ole
from tests.spreadsheets import xls

MAIL, WORKBOOK = ole(letter("Subject", "Body")), xls([["a", 1.0]])


def kind_of(content: bytes) -> str:
    return ole_kind_of(io.BytesIO(content))


def test_a_mail_and_a_workbook_are_known_under_any_name(tmp_path: Path) -> None:
    for content, kind in ((MAIL, OUTLOOK), (WORKBOOK, EXCEL)):
        path = tmp_path / "stored"
        path.write_bytes(content)
        assert detect(content[:HEAD_BYTES], "letter.doc", None, path) == kind


@pytest.mark.parametrize(
    "names",
    [
        ("WordDocument",),
        ("WordDocument", "Workbook"),
        ("Workbook", "__properties_version1.0"),
        ("EncryptedPackage", "Workbook"),
        ("anything",),
    ],
)
def test_what_is_not_sure_is_left_to_the_parser(names: tuple[str, ...]) -> None:
    assert kind_of(ole(dict.fromkeys(names, b"content"))) == OLE


def test_a_workbook_of_excel_5_is_one() -> None:
    assert kind_of(ole({"Book": b"content"})) == EXCEL


@pytest.mark.parametrize("length", [0, 8, 511, 512, 600])
def test_one_that_is_cut_off_is_left_to_the_parser(length: int) -> None:
    assert kind_of(WORKBOOK[:length]) == OLE


def test_a_directory_that_lies_nowhere_is_left_to_the_parser() -> None:
    header = bytearray(WORKBOOK[:512])
    header[0x30:0x34] = b"\xff\xff\xff\xff"
    assert kind_of(bytes(header) + WORKBOOK[512:]) == OLE
