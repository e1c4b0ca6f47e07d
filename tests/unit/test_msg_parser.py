import pytest

from ragstone.core.errors import Encrypted, NoText, ParseFailed, UnsafeArchive
from ragstone.core.models import ParsedDocument
from ragstone.parsers.mail import MailParser
from ragstone.parsers.msg import MsgParser
from tests.outlook import BINARY, INTEGER, STRING, STRING8, Tree, attached, letter, ole, storage


def parse(tree: Tree) -> ParsedDocument:
    return MsgParser().parse(ole(tree))


def test_headers_and_body() -> None:
    parsed = parse(letter("Größe", "Hello 😀.\r\n\r\nBye."))
    assert parsed.title == "Größe"
    assert parsed.text == "Größe\n\nFrom: Ada <ada@example.org>\nTo: Bo <bo@example.org>\n\nHello 😀.\n\nBye."


def test_date_is_that_of_the_journey() -> None:
    travelled = (STRING, "Date: Fri, 1 May 2026 10:00:00 +0200\r\nX: y\r\n".encode("utf-16-le"))
    assert "Date: Fri, 1 May 2026 10:00:00 +0200" in parse(letter("a", "b", more={0x007D: travelled})).text
    sent = (0x0040, 133_000_000_000_000_000)
    assert "Date: Sat, 18 Jun 2022 04:26:40" in parse(letter("a", "b", more={0x0039: sent})).text


def test_html_where_there_is_no_plain_text() -> None:
    utf8 = {0x3FDE: (INTEGER, 65001)}
    assert parse(letter("a", html="<p>Größe</p><p>two".encode(), more=utf8)).text.endswith("Größe\n\ntwo")


def test_text_that_does_not_fit_its_encoding_is_read_all_the_same() -> None:
    parsed = parse(
        letter("a", more={0x1000: (STRING8, "Die Größe für uns".encode("cp1252")), 0x3FDE: (INTEGER, 65001)})
    )
    assert parsed.text.endswith("Die Größe für uns")


def test_unknown_code_page_spoils_nothing() -> None:
    parsed = parse(
        letter("a", more={0x1000: (STRING8, b"body"), 0x3FDE: (INTEGER, 4711), 0x3FFD: (INTEGER, 29001)})
    )
    assert parsed.text.endswith("body")


def test_attachments_are_children() -> None:
    children = parse(
        letter("a", "b", attachments={"__attach_version1.0_#00000000": attached("Größe.txt", b"x" * 5000)})
    ).children
    assert [(child.filename, child.content, child.media_type) for child in children] == [
        ("Größe.txt", b"x" * 5000, "text/plain")
    ]


def test_message_inside_becomes_a_mail_with_its_attachments() -> None:
    inner = letter(
        "In/ner",
        "Größe",
        header_bytes=24,
        attachments={"__attach_version1.0_#00000000": attached("ü.txt", b"deep")},
    )
    holder = {**storage({0x3705: (INTEGER, 5)}, header_bytes=8), "__substg1.0_3701000D": inner}
    (child,) = parse(letter("a", "b", attachments={"__attach_version1.0_#00000000": holder})).children
    assert (child.filename, child.media_type) == ("In-ner.eml", "message/rfc822")
    mail = MailParser().parse(child.content)
    assert (mail.title, mail.text.split("\n\n")[-2:]) == ("In/ner", ["Größe", "Attachments: ü.txt"])
    assert "From: Ada <ada@example.org>" in mail.text
    assert [(found.filename, found.content) for found in mail.children] == [("ü.txt", b"deep")]


@pytest.mark.parametrize("kind", ["IPM.Note.SMIME", "IPM.Note"])
def test_encrypted_mail_is_refused(kind: str) -> None:
    sealed = (
        {"__attach_version1.0_#00000000": attached("message.rpmsg", b"x")} if kind == "IPM.Note" else None
    )
    with pytest.raises(Encrypted):
        parse(letter("a", "b", kind=kind, attachments=sealed))


def test_property_without_its_stream_is_as_good_as_missing() -> None:
    tree = letter("a", "b", attachments={"__attach_version1.0_#00000000": attached("x", b"y")})
    del tree["__substg1.0_0C1A001F"]
    assert parse(tree).text == "a\n\nFrom: ada@example.org\nTo: Bo <bo@example.org>\n\nb\n\nAttachments: x"


def test_mail_without_anything_is_refused() -> None:
    with pytest.raises(NoText):
        parse({"__properties_version1.0": bytes(32)})


def test_other_compound_files_are_refused() -> None:
    with pytest.raises(ParseFailed):
        parse({"WordDocument": b"x" * 5000})


def test_streams_over_the_same_bytes_are_refused() -> None:
    content = bytearray(ole({**letter("a", "b"), **{f"s{n:02}": bytes([n]) * 4096 for n in range(20)}}))
    for n in range(20):
        at = content.find(f"s{n:02}".encode("utf-16-le")) + 120
        content[at : at + 4] = (4096 * 200).to_bytes(4, "little")
    with pytest.raises((UnsafeArchive, ParseFailed)):
        MsgParser().parse(bytes(content))


def test_storages_in_storages_without_end_are_refused_or_read() -> None:
    tree: Tree = {"x": b"y"}
    for _ in range(400):
        tree = {"s": tree}
    try:
        parse({**letter("a", "b"), "deep": tree})
    except ParseFailed:
        return


def test_binary_property_of_a_wrong_type() -> None:
    assert parse(letter("a", "b", more={0x0039: (BINARY, b"x"), 0x0E04: (INTEGER, 7)})).title == "a"
