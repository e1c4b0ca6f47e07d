import pytest
from selectolax.lexbor import SelectolaxError

from ragstone.core.errors import NoText, ParseLimit
from ragstone.core.models import ParsedDocument
from ragstone.parsers.html import HtmlParser
from ragstone.parsers.html_source import DEEPEST, declared_encoding, limit_depth


def parse(source: str) -> ParsedDocument:
    return HtmlParser().parse(source.encode())


def blocks(source: str) -> list[tuple[str, str]]:
    parsed = parse(source)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


class TestStructure:
    def test_title_and_headings(self) -> None:
        parsed = parse(
            "<title> The\n page </title><h1>Guide</h1><h2><div>In</div>stall <a class=headerlink>¶</a></h2><p>x"
        )
        assert parsed.title == "The page"
        assert [block.heading for block in parsed.blocks] == [
            ("Guide",),
            ("Guide", "In stall"),
            ("Guide", "In stall"),
        ]

    def test_first_heading_is_the_title_of_a_page_without(self) -> None:
        assert parse("<h1>Guide</h1><p>text").title == "Guide"

    def test_blocks_part_paragraphs_and_inline_elements_do_not(self) -> None:
        assert blocks(
            "<div>on<b>e</b><span>s</span> <i>two</i><p>three<section>four</section>five</div>"
        ) == [
            ("paragraph", "ones two"),
            ("paragraph", "three"),
            ("paragraph", "four"),
            ("paragraph", "five"),
        ]

    def test_breaks_stay_and_white_space_is_collapsed(self) -> None:
        assert blocks("<p>one \n  two<br>three&nbsp;four<br><br>five") == [
            ("paragraph", "one two\nthree four\nfive")
        ]

    def test_entities_are_decoded(self) -> None:
        assert blocks("<p>a &lt;b&gt; &amp;amp; &eacute;&#x2014;&#0;&#xD800;") == [
            ("paragraph", "a <b> &amp; é—\ufffd\ufffd")
        ]

    def test_lists_nest_by_indentation(self) -> None:
        source = "<ul><li>one<ul><li>deep<p>more</ul><li>two</ul><ol start=3><li>three<li>four</ol>"
        assert blocks(source) == [("list", "- one\n  - deep\n    more\n- two"), ("list", "3. three\n4. four")]

    def test_code_in_a_list_parts_it(self) -> None:
        assert blocks("<ol><li>run<pre>make\n  all</pre>then<li>done</ol>") == [
            ("list", "1. run"),
            ("code", "make\n  all"),
            ("list", "   then\n2. done"),
        ]

    def test_table_has_a_line_for_each_row(self) -> None:
        source = (
            "<table><caption>Ports</caption><thead><tr><th>Name<th>Value<tbody><tr><td>a<br>b<td><p>1<p>2"
            "<tr><td><td><tr><td><pre>c</pre><td></table>"
        )
        assert blocks(source) == [("paragraph", "Ports"), ("table", "Name | Value\na b | 1 2\nc |")]

    def test_table_around_blocks_is_layout(self) -> None:
        source = "<table><tr><td>left<td><table><tr><td>a<td>b</table>rest<tr><td><pre>x\ny</pre></table>"
        assert blocks(source) == [
            ("paragraph", "left"),
            ("table", "a | b"),
            ("paragraph", "rest"),
            ("code", "x\ny"),
        ]

    def test_code_keeps_its_lines(self) -> None:
        assert blocks("<pre><code>def f():\n\n    return 1 &lt; 2\n</code></pre>") == [
            ("code", "def f():\n\n    return 1 < 2")
        ]

    def test_images_give_their_alternative_text(self) -> None:
        assert blocks("<p>see<img alt='A map' src='http://evil/x.png'>here <img src=x>") == [
            ("paragraph", "see A map here")
        ]

    def test_text_without_any_element_is_text(self) -> None:
        assert blocks("just words") == [("paragraph", "just words")]


class TestWhatIsLeftOut:
    @pytest.mark.parametrize(
        "hidden",
        [
            "<script>secret()</script>",
            "<style>.secret{}</style>",
            "<noscript>secret</noscript>",
            "<template>secret</template>",
            "<!-- secret -->",
            "<div hidden>secret</div>",
            "<div aria-hidden='TRUE'>secret<p>secret</div>",
            "<div style='color:red; DISPLAY : none'>secret</div>",
            "<span style='visibility:hidden'>secret</span>",
            "<svg><title>secret</title><text>secret</text></svg>",
            "<select><option>secret</select>",
            "<textarea>secret</textarea>",
            "<iframe>secret</iframe>",
            "<SCRIPT type=x>secret</sCrIpT >",
        ],
    )
    def test_nobody_sees_it(self, hidden: str) -> None:
        assert blocks(f"<body><p>before</p>{hidden}<p>after</p>") == [
            ("paragraph", "before"),
            ("paragraph", "after"),
        ]

    def test_page_that_shows_nothing_has_no_text(self) -> None:
        with pytest.raises(NoText):
            parse("<title>Only a title</title><script>x()</script><div hidden>x</div>")

    @pytest.mark.parametrize("main", ["<main>{}</main>", "<div role=main>{}</div>", "<article>{}</article>"])
    def test_what_stands_around_the_main_part(self, main: str) -> None:
        body = (
            "<nav>menu</nav>"
            + main.format("<p>text</p><aside>ad</aside><footer>by</footer>")
            + "<footer>end</footer>"
        )
        assert blocks(body) == [("paragraph", "text")]

    def test_several_articles_are_all_main(self) -> None:
        body = "<nav>menu</nav><p>intro</p><article>one</article><article>two</article><footer>end</footer>"
        assert blocks(body) == [("paragraph", "intro"), ("paragraph", "one"), ("paragraph", "two")]

    def test_page_without_main_part_is_kept_whole(self) -> None:
        assert blocks("<nav>menu</nav><p>text</p>") == [("paragraph", "menu"), ("paragraph", "text")]

    def test_empty_main_part_is_none(self) -> None:
        assert blocks("<main id=app></main><footer>text</footer>") == [("paragraph", "text")]


def test_lack_of_memory_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(page: str) -> None:
        raise SelectolaxError("Can't parse HTML")

    monkeypatch.setattr("ragstone.parsers.html.LexborHTMLParser", no_memory)
    with pytest.raises(ParseLimit):
        parse("<p>text")


class TestEncoding:
    @pytest.mark.parametrize(
        ("declaration", "encoding"),
        [
            (b"<meta charset=utf-8>", "utf-8"),
            (b"<META name=x Charset = 'ISO-8859-1'>", "cp1252"),
            (b"<meta http-equiv=content-type content='text/html; charset=Shift_JIS'>", "cp932"),
            (b"<?xml version='1.0' encoding='koi8-r'?>", "koi8-r"),
            (b"<meta charset=gb2312>", "gb18030"),
            (b"<meta charset=nonsense>", None),
            (b"<meta charset=zlib>", None),
            (b"<meta charset=utf-16>", None),
            (b"<p>charset=koi8-r", None),
        ],
    )
    def test_declaration_is_read(self, declaration: bytes, encoding: str | None) -> None:
        assert declared_encoding(b"<html><head>" + declaration) == encoding

    def test_declaration_is_honoured(self) -> None:
        page = "<meta charset=koi8-r><p>Короткий текст".encode("koi8-r")
        parsed = HtmlParser().parse(page)
        assert (parsed.text, parsed.encoding) == ("Короткий текст", "koi8-r")

    def test_declaration_that_lies_is_not(self) -> None:
        page = "<meta charset=utf-8><p>Größe und Straße in Köln, schön".encode("cp1252")
        parsed = HtmlParser().parse(page)
        assert (parsed.text, parsed.encoding) == ("Größe und Straße in Köln, schön", "cp1252")


class TestDepth:
    def test_shallow_page_is_left_alone(self) -> None:
        page = "<div><p>x</p></div>" * 2_000
        assert limit_depth(page) is page

    def test_elements_that_end_by_themselves_are_not_deep(self) -> None:
        page = "<ul>" + "<li>x" * 2_000 + "</ul>" + "<p>y" * 2_000 + "<table>" + "<tr><td>z" * 2_000
        assert limit_depth(page) is page

    def test_elements_closed_by_their_parent_are_not_deep(self) -> None:
        page = "<div><span>x</div>" * 2_000
        assert limit_depth(page) is page

    def test_tags_in_scripts_and_comments_are_not_deep(self) -> None:
        page = f"<script>{'<div>' * 2_000}</script><!--{'<div>' * 2_000}--><p>x"
        assert limit_depth(page) is page

    def test_tags_below_the_deepest_level_become_breaks(self) -> None:
        page = "<div>" * (DEEPEST + 2) + "x" + "</div>" * (DEEPEST + 2) + "<h1>after</h1>"
        limited = limit_depth(page)
        assert limited == "<div>" * DEEPEST + "<br><br>x</br></br>" + "</div>" * DEEPEST + "<h1>after</h1>"
        assert blocks(page) == [("paragraph", "x"), ("heading", "after")]
