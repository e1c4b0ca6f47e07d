"""XML as its reader reads it, and what is refused."""

import time

import pytest

from ragstone.core.errors import IngestError, NoText, ParseLimit, UnsafeXml
from ragstone.core.models import ParsedDocument
from ragstone.parsers.detection import detect
from ragstone.parsers.html import HtmlParser
from ragstone.parsers.xml import XmlParser

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9">'


def parse(xml: str | bytes) -> ParsedDocument:
    return XmlParser().parse(xml.encode() if isinstance(xml, str) else xml)


def blocks(xml: str) -> list[str]:
    parsed = parse(xml)
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def test_an_article_is_read_with_its_headings() -> None:
    parsed = parse(
        "<article><title>Stones</title><section><title>Hard ones</title><para>Granite is <em>hard</em>.</para>"
        "<para>So is gneiss.</para></section></article>"
    )
    assert parsed.text == "Stones\n\nHard ones\n\nGranite is hard.\n\nSo is gneiss."
    assert parsed.title == "Stones"
    assert parsed.blocks[-1].heading == ("Stones", "Hard ones")


def test_records_keep_the_names_of_their_fields() -> None:
    xml = "<list><stone><name>Granite</name><weight unit='kg'>3</weight></stone><stone><name>Slate</name><at x='1' y='2'/></stone></list>"
    assert blocks(xml) == ["name: Granite\nweight: 3", "name: Slate\nat: x 1, y 2"]


def test_a_drawing_shows_its_words_only() -> None:
    xml = f"{SVG}<script>alert(1)</script><style>.a{{}}</style><title>Map</title><g><text x='1'>North <tspan>gate</tspan></text></g></svg>"
    assert blocks(xml) == ["Map", "North gate"]


def test_any_encoding_that_the_file_names_is_read() -> None:
    assert parse('<?xml version="1.0" encoding="koi8-r"?><p>камень</p>'.encode("koi8-r")).text == "камень"
    assert parse('<?xml version="1.0" encoding="utf-16"?><p>камень</p>'.encode("utf-16")).text == "камень"


def test_comments_and_instructions_cut_no_text() -> None:
    assert blocks("<p>before <!-- not this --><?nor this?>behind</p>") == ["before behind"]


def test_an_entity_that_nobody_declared_stays_as_it_stands() -> None:
    xml = '<!DOCTYPE p PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://127.0.0.1:9/none.dtd"><p>five&nbsp;stones</p>'
    assert "five&nbsp;stones" in parse(xml).text


@pytest.mark.parametrize(
    "xml", ["<p>one</p><p>two</p>", "<p>open", "<row Id='7' Title='Granite'/>", "<?xml?>x"]
)
def test_what_has_no_text_in_elements_is_read_as_it_stands(xml: str) -> None:
    assert parse(xml).text == xml


def test_nothing_but_empty_elements_without_text() -> None:
    with pytest.raises(NoText):
        parse(" ")


@pytest.mark.parametrize(
    "xml",
    [
        f"<!DOCTYPE a [{LAUGHS}]><a>&l9;</a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>before &x; behind</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><a>before</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a>before</a>',
        '<!DOCTYPE a [<!ENTITY x "y">]><a>before &x; behind',
        '<a xmlns:i="http://www.w3.org/2001/XInclude">before <i:include href="file:///etc/passwd" parse="text"/></a>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_declares_entities_or_includes_files_is_refused(xml: str, encoding: str) -> None:
    with pytest.raises(UnsafeXml):
        parse(xml.encode(encoding))


def test_a_page_that_declares_entities_is_refused() -> None:
    page = '<!-- a page --><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body>before &x;</body></html>'
    with pytest.raises(UnsafeXml):
        HtmlParser().parse(page.encode())


@pytest.mark.parametrize("deep", [1_000, 100_000])
def test_depth_is_bounded(deep: int) -> None:
    started = time.process_time()
    with pytest.raises(ParseLimit):
        parse("<a>" * deep + "x" + "</a>" * deep)
    assert time.process_time() - started < 5.0


def test_many_open_comments_are_no_burden() -> None:
    for head in (
        "<?xml version='1.0'?>" + "<!--" * 2_000,
        "<!DOCTYPE a [" * 600,
        "<?a" * 2_700,
        "<!-- -->" * 1_000,
    ):
        started = time.process_time()
        detect(head.encode(), "a.xml", None)
        with pytest.raises(IngestError):
            parse(f"{head}<!ENTITY ")
        assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("head", "filename", "kind"),
    [
        ('<?xml version="1.0"?><feed/>', "feed", "application/xml"),
        ("<feed>", "feed.xml", "application/xml"),
        ("<feed>", "feed.txt", "text/plain"),
        (
            '<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg [<!ENTITY a "b">]>\n<svg>',
            "x.bin",
            "image/svg+xml",
        ),
        (f"{SVG}", "x.svg", "image/svg+xml"),
        ('<?xml version="1.0"?><!DOCTYPE html><html>', "x.xml", "text/html"),
        ("words", "x.xml", "text/plain"),
    ],
)
def test_xml_is_known_by_its_declaration_or_its_name(head: str, filename: str, kind: str) -> None:
    assert detect(head.encode(), filename, None) == kind
