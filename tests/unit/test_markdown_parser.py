import pytest

from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.markdown import MarkdownParser
from ragstone.parsers.markdown_inline import render_inline


def parse(source: str) -> ParsedDocument:
    return MarkdownParser().parse(source.encode())


def blocks(source: str) -> list[tuple[str, str]]:
    parsed = parse(source)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


class TestHeadings:
    def test_path_follows_the_levels(self) -> None:
        parsed = parse("# Guide\n## Install ##\n### Linux\ntext\n## Use\ntext")
        assert [block.heading for block in parsed.blocks] == [
            ("Guide",),
            ("Guide", "Install"),
            ("Guide", "Install", "Linux"),
            ("Guide", "Install", "Linux"),
            ("Guide", "Use"),
            ("Guide", "Use"),
        ]

    def test_underlined_headings(self) -> None:
        parsed = parse("Guide\n=====\n\nInstall\nit\n---\ntext")
        assert parsed.blocks[-1].heading == ("Guide", "Install it")

    def test_marks_inside_a_heading_are_taken_off(self) -> None:
        assert blocks("## Using `pip` and *venv* {#use}") == [("heading", "Using pip and venv")]

    def test_headings_written_in_html_count(self) -> None:
        parsed = parse(
            '<p align="center"><img src="x.png" alt="Logo"></p>\n<h1 align="center">Ragstone</h1>\n\ntext'
        )
        assert parsed.title == "Ragstone"
        assert [block.kind for block in parsed.blocks] == [
            BlockKind.PARAGRAPH,
            BlockKind.HEADING,
            BlockKind.PARAGRAPH,
        ]

    @pytest.mark.parametrize("line", ["#hashtag", "####### seven", "\\# escaped"])
    def test_what_only_looks_like_a_heading_is_text(self, line: str) -> None:
        assert blocks(line) == [("paragraph", line.removeprefix("\\"))]


class TestTitle:
    def test_front_matter_names_it(self) -> None:
        parsed = parse('---\ntitle: "The guide"\ntags: [a]\n---\n# Other\ntext')
        assert parsed.title == "The guide"
        assert "tags" not in parsed.text

    def test_toml_front_matter_names_it(self) -> None:
        assert parse("+++\ntitle = 'The guide'\n+++\ntext").title == "The guide"

    def test_first_heading_of_the_first_level_is_next(self) -> None:
        assert parse("## Small\ntext\n# Large\n# Later").title == "Large"

    def test_there_may_be_none(self) -> None:
        assert parse("text").title is None

    def test_rule_at_the_top_is_no_front_matter(self) -> None:
        assert blocks("---\ntext") == [("paragraph", "text")]


class TestBlocks:
    def test_lines_of_a_paragraph_are_joined(self) -> None:
        assert blocks("one\ntwo\n\nthree  \nfour\\\nfive") == [
            ("paragraph", "one two"),
            ("paragraph", "three\nfour\nfive"),
        ]

    def test_list_is_one_block_with_a_line_for_each_item(self) -> None:
        source = "* one\n  goes on\n* two\n  + nested *deep*\n\n  second paragraph\n\n* three\n\nafter"
        assert blocks(source) == [
            ("list", "- one goes on\n- two\n  - nested deep\n    second paragraph\n- three"),
            ("paragraph", "after"),
        ]

    def test_numbers_of_items_stay(self) -> None:
        assert blocks("3. three\n4) four") == [("list", "3. three\n4) four")]

    def test_number_inside_a_paragraph_is_no_item(self) -> None:
        assert blocks("It was in\n1984. Then\n- list") == [
            ("paragraph", "It was in 1984. Then"),
            ("list", "- list"),
        ]

    def test_fenced_code_keeps_every_character(self) -> None:
        source = "```python\ndef f(*args):\n\n    return '<b>' # **x**\n```\ntext\n~~~~\n```\n~~~~"
        assert blocks(source) == [
            ("code", "def f(*args):\n\n    return '<b>' # **x**"),
            ("paragraph", "text"),
            ("code", "```"),
        ]

    def test_fence_that_is_not_closed_runs_to_the_end(self) -> None:
        assert blocks("```\n# no heading\n\n* no list") == [("code", "# no heading\n\n* no list")]

    def test_code_in_a_list_is_a_block_between_items(self) -> None:
        assert blocks("- run\n  ```\n  make\n    all\n  ```\n- done") == [
            ("list", "- run"),
            ("code", "make\n  all"),
            ("list", "- done"),
        ]

    def test_indented_lines_are_code_unless_a_paragraph_is_open(self) -> None:
        assert blocks("text\n    goes on\n\n    x = 1\n\n    y = 2\n") == [
            ("paragraph", "text goes on"),
            ("code", "x = 1\n\ny = 2"),
        ]

    def test_table_has_a_line_for_each_row(self) -> None:
        source = "| Name | Value |\n|:---|---:|\n| `a\\|b` | **1** |\n| c | |\n\nafter | not"
        assert blocks(source) == [("table", "Name | Value\na|b | 1\nc | "[:-1]), ("paragraph", "after | not")]

    def test_quotes_lose_their_marks(self) -> None:
        assert blocks("> # Said\n> one\n> two\n>\n> > - item") == [
            ("heading", "Said"),
            ("paragraph", "one two"),
            ("list", "- item"),
        ]

    def test_comments_scripts_definitions_and_rules_are_left_out(self) -> None:
        source = (
            "a <!-- in --> b\n\n<!-- over\n\nlines --> tail\n\n<script>\nalert(1)\n\nx()\n</script>\n\n<style>p{}</style>"
            "\n\n***\n\n[ref]: http://example.org 'T'\n\nSee [ref], [it][ref] and [other]."
        )
        assert blocks(source) == [
            ("paragraph", "a b"),
            ("paragraph", "tail"),
            ("paragraph", "See ref, it and [other]."),
        ]

    def test_script_that_is_not_closed_is_left_out_to_the_end(self) -> None:
        assert blocks("text\n\n<script>\nsecret") == [("paragraph", "text")]

    def test_comment_that_is_not_closed_is_text(self) -> None:
        assert blocks("<!-- still\nhere") == [("paragraph", "<!-- still here")]

    def test_html_blocks_give_their_text(self) -> None:
        assert blocks("<details>\n<summary>More</summary>\n\n**inside**\n\n</details>") == [
            ("paragraph", "More"),
            ("paragraph", "inside"),
        ]


class TestInline:
    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("**bold**, *it*, ***both***, __b__, _i_, ~~gone~~", "bold, it, both, b, i, gone"),
            ("**a *b* c** and **a*b*c**", "a b c and abc"),
            (
                "snake_case_name, 2 * 3 * 4, a*, **kwargs, ~x~",
                "snake_case_name, 2 * 3 * 4, a*, **kwargs, ~x~",
            ),
            ("`**code**` and ``a ` b``, `open", "**code** and a ` b, `open"),
            ("[text](http://x.y/a_(b) 'title'), [t](<a b>), [no](a b)", "text, t, [no](a b)"),
            ("[![badge](b.svg)](http://ci) ![alt *x*](data:image/png;base64,AAAA)", "badge alt x"),
            ("[see][ref] [Ref] [ref][] [none][nope] [x]", "see Ref ref [none][nope] [x]"),
            ("&amp; &lt;b&gt; &#x41; &nosuch; \\*lit\\* \\[x\\]", "& <b> A &nosuch; *lit* [x]"),
            (
                "<https://a.b/c> <me@x.org> <kbd>Esc</kbd> <name> a < b",
                "https://a.b/c me@x.org Esc <name> a < b",
            ),
            ("a<br>b<br/>\nc  d", "a\nb\nc d"),
            ("x <!-- c --> y <!-- open", "x y <!-- open"),
            ("]] [[ nested [a [b](u)]", "]] [[ nested [a b]"),
        ],
    )
    def test_reads_like_the_page(self, source: str, text: str) -> None:
        assert render_inline(source, frozenset({"ref"})) == text
