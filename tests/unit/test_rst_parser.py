import time
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import NoText
from ragstone.core.models import ParsedDocument
from ragstone.parsers.rst import RstParser


def parse(source: str) -> ParsedDocument:
    return RstParser().parse(dedent(source).encode())


def blocks(source: str) -> list[tuple[str, str]]:
    parsed = parse(source)
    return [(block.kind.value, parsed.text[block.start : block.end]) for block in parsed.blocks]


class TestStructure:
    def test_levels_by_order_of_appearance(self) -> None:
        source = "====\nBook\n====\n\nPart\n====\n\nDeep\n~~~~\n\ntext\n\nNext\n====\n\n----\n\nmore\n"
        parsed = parse(source)
        assert parsed.title == "Book"
        assert [block.heading for block in parsed.blocks] == [
            ("Book",),
            ("Book", "Part"),
            ("Book", "Part", "Deep"),
            ("Book", "Part", "Deep"),
            ("Book", "Next"),
            ("Book", "Next"),
        ]

    def test_comments_targets_and_directives_without_text_are_dropped(self) -> None:
        source = """\
            .. a comment
               that goes on

            .. _label: http://secret

            .. toctree::
               :maxdepth: 2

               a

            .. raw:: html

               <b>x</b>

            text
            """
        assert blocks(source) == [("paragraph", "text")]

    def test_code(self) -> None:
        source = """\
            Run::

                make
                  all

            .. code-block:: python
               :linenos:

               x = 1

               y

            Lonely

            ::

                z

            >>> 1
            1
            """
        assert blocks(source) == [
            ("paragraph", "Run:"),
            ("code", "make\n  all"),
            ("code", "x = 1\n\ny"),
            ("paragraph", "Lonely"),
            ("code", "z"),
            ("code", ">>> 1\n1"),
        ]

    def test_notes_keep_their_text(self) -> None:
        source = """\
            .. note:: Take *care*
               of this.

               - one

            .. versionadded:: 3.2
               New.

            .. [1] A footnote.
            """
        assert blocks(source) == [
            ("paragraph", "Note: Take care of this."),
            ("list", "- one"),
            ("paragraph", "Added in version 3.2: New."),
            ("paragraph", "[1] A footnote."),
        ]

    def test_lists(self) -> None:
        source = "- one\n  more\n- two\n\n  * deep\n\n#. first\n#. second::\n\n       code\n\n#. third\n"
        assert blocks(source) == [
            ("list", "- one\n  more\n- two\n  * deep\n1. first\n2. second:"),
            ("code", "code"),
            ("list", "3. third"),
        ]

    def test_sentence_that_begins_like_an_item_is_none(self) -> None:
        assert blocks("A. Einstein was\na physicist.\n") == [("paragraph", "A. Einstein was\na physicist.")]

    def test_fields_and_definitions(self) -> None:
        assert blocks(":Author: Me\n  too\n:orphan:\n\nterm\n  meaning\n") == [
            ("paragraph", "Author: Me too"),
            ("paragraph", "term"),
            ("paragraph", "meaning"),
        ]


class TestTables:
    def test_grid(self) -> None:
        source = "+---+---+\n| a | b |\n+===+===+\n| ü | 漢 |\n| v |   |\n+---+---+\n"
        assert blocks(source) == [("table", "a | b\nü v | 漢")]

    def test_simple(self) -> None:
        source = (
            "===== =====\nA     B\n===== =====\none   two\n      more\nthree ``x``\n===== =====\n\nafter\n"
        )
        assert blocks(source) == [("table", "A | B\none | two more\nthree | x"), ("paragraph", "after")]

    def test_lists_and_csv(self) -> None:
        source = """\
            .. list-table:: Title

               * - H1
                 - H2
               * - c1
                 - c2

            .. csv-table::
               :header: "a", "b"

               "x, y", 2
            """
        assert blocks(source) == [
            ("paragraph", "Title"),
            ("table", "H1 | H2\nc1 | c2"),
            ("table", "a | b\nx, y | 2"),
        ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("*a* **b** ``c*``", "a b c*"),
        ("`Link <http://x>`_ and ref_ and `a b`__", "Link and ref and a b"),
        (":ref:`text <label>` :py:class:`~a.b.C` :func:`!f` :kbd:`x`", "text C f x"),
        (
            r"\*no\* a_b snake_case __init__ x*y*z 2 * 3 * 4 a\ b",
            "*no* a_b snake_case __init__ x*y*z 2 * 3 * 4 ab",
        ),
        ("see [1]_ and [#note]_", "see [1] and [note]"),
        ("|v|\n\n.. |v| replace:: 1.2 *b*", "1.2 b"),
        ("|unknown| stays", "|unknown| stays"),
    ],
)
def test_marks_inside_lines(source: str, text: str) -> None:
    assert parse(source).text == text


class TestHostile:
    @pytest.mark.parametrize(
        "piece",
        [
            *("*", "`", "|", "``a", ":a:`", "a_b.", "[1]", "\\", "*a ", "**a ", "|a", ":a:", "`a <b"),
            *(
                "- ",
                "- a\n",
                "- a::\n\n",
                "..\n",
                ".. a::\n",
                "=\n",
                "a\n=\n",
                "+-+\n",
                "= =\n",
                ":a:\n",
                "| a\n",
                "\n",
                " \n",
            ),
            *("a::\n\n", "a\n\n\n", " a\n", "....", "1. a\n\n"),
        ],
    )
    def test_time_is_linear(self, piece: str) -> None:
        def seconds(count: int) -> float:
            start = time.process_time()
            parse("x\n\n" + piece * count)
            return time.process_time() - start

        assert seconds(40_000) < 6 * seconds(10_000) + 0.5

    def test_bodies_in_bodies(self) -> None:
        assert (
            "the end"
            in parse("".join(" " * n + f"- {n}::\n\n" for n in range(500)) + " " * 600 + "the end").text
        )
        assert (
            "the end"
            in parse("".join("   " * n + ".. note::\n\n" for n in range(300)) + " " * 900 + "the end").text
        )

    def test_substitution_of_itself_ends(self) -> None:
        assert len(parse(".. |a| replace:: |a| |a|\n\n|a|\n").text) < 100

    def test_nothing_but_comments(self) -> None:
        with pytest.raises(NoText):
            parse(".. only this\n")

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [
                    "\n",
                    "\n\n",
                    "a",
                    " ",
                    "   ",
                    "=",
                    "====",
                    "- ",
                    "1. ",
                    ".. ",
                    "::",
                    "note::",
                    ":x:",
                    "|",
                    "+-+",
                    "`",
                    "_",
                    "*",
                ]
            ),
            max_size=40,
        )
    )
    def test_whatever_comes_is_read(self, pieces: list[str]) -> None:
        parsed = parse("x\n" + "".join(pieces))
        assert parsed.text.strip()
