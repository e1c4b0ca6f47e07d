import time

import pytest

from ragstone.core.errors import Encrypted, NoText, ParseFailed
from ragstone.core.models import ParsedDocument
from ragstone.parsers.epub import EpubParser, close_empty_elements
from tests.containers import book, page, zipped


def parse(content: bytes) -> ParsedDocument:
    return EpubParser().parse(content)


def test_chapters_in_order_of_the_spine_under_one_path() -> None:
    parsed = parse(
        book(
            {
                "z%20part.xhtml": page("lost"),
                "z.xhtml": page("<h1>Part</h1>"),
                "a.xhtml": page("<h2>One</h2><p>Größe&nbsp;x</p>"),
                "b.xhtml": page("<p>goes on</p><h2>Two</h2><p>y</p>"),
            },
            title="My &amp; Book",
        )
    )
    assert parsed.title == "My & Book"
    assert [(block.heading, parsed.text[block.start : block.end]) for block in parsed.blocks] == [
        (("Part",), "Part"),
        (("Part", "One"), "One"),
        (("Part", "One"), "Größe x"),
        (("Part", "One"), "goes on"),
        (("Part", "Two"), "Two"),
        (("Part", "Two"), "y"),
    ]


def test_contents_and_scripts_are_left_out() -> None:
    text = parse(book({"a.xhtml": page("<p>text</p><script>alert(1)</script>")})).text
    assert text == "text"


def test_names_are_found_whatever_their_escapes_and_prefixes() -> None:
    package = (
        "<opf:package><opf:manifest><opf:item id='x' href='sub/a%20b.xhtml' media-type='application/xhtml+xml'/>"
        "</opf:manifest><opf:spine><opf:itemref idref='x'/><opf:itemref idref='none'/></opf:spine></opf:package>"
    )
    content = book({"sub/a b.xhtml": page("<p>found</p>")}, more={"OEBPS/book.opf": package})
    assert parse(content).text == "found"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_book_that_lost_its_order_is_read_by_name() -> None:
    members = {"mimetype": "application/epub+zip", "b.xhtml": page("<p>two"), "a.html": page("<p>one")}
    assert parse(zipped(members)).text == "one\n\ntwo"


@pytest.mark.parametrize(
    ("algorithm", "is_refused"),
    [("http://www.idpf.org/2008/embedding", False), ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", True)],
)
def test_protected_book_is_refused_and_obfuscated_fonts_are_not(algorithm: str, is_refused: bool) -> None:
    encryption = (
        "<encryption xmlns:enc='x'><enc:EncryptedData>"
        f"<enc:EncryptionMethod Algorithm='{algorithm}'/></enc:EncryptedData></encryption>"
    )
    content = book({"a.xhtml": page("<p>text")}, more={"META-INF/encryption.xml": encryption})
    if is_refused:
        with pytest.raises(Encrypted):
            parse(content)
    else:
        assert parse(content).text == "text"


def test_book_without_pages_is_refused() -> None:
    with pytest.raises(ParseFailed):
        parse(zipped({"mimetype": "application/epub+zip"}))


def test_book_of_pictures_has_no_text() -> None:
    with pytest.raises(NoText):
        parse(book({"a.xhtml": page("<img src='x'/>")}))


def test_entities_do_not_grow() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    text = parse(book({"a.xhtml": bomb + "<html><body><p>x &b; &c;</p></body></html>"})).text
    assert "aaaa" not in text
    assert "root:" not in text


def test_empty_elements_are_closed_but_for_those_that_always_are() -> None:
    source = "<title/><br/><a id='x/>y'/><p class=\"a\">b</p><svg:g />"
    assert close_empty_elements(source) == (
        "<title></title><br/><a id='x/>y'></a><p class=\"a\">b</p><svg:g ></svg:g>"
    )


@pytest.mark.parametrize("piece", ["<a ", "<a b='", "<a/", '<a "', "<a:"])
def test_tags_that_never_end_take_linear_time(piece: str) -> None:
    start = time.process_time()
    close_empty_elements(piece * 300_000)
    assert time.process_time() - start < 3


def test_ten_thousand_items_take_linear_time() -> None:
    items = "".join(f"<item id='{n}' href='{n}.xhtml'/>" for n in range(50_000))
    package = f"<package><manifest>{items}</manifest><spine><itemref idref='7'/></spine></package>"
    start = time.process_time()
    assert parse(book({"7.xhtml": page("<p>seven")}, more={"OEBPS/book.opf": package})).text == "seven"
    assert time.process_time() - start < 5
