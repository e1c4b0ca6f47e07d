"""The chunker against the packaged tokenizer: invariants on any document, and the cuts a reader would make."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.chunking.graphemes import is_boundary
from ragstone.chunking.structural import (
    CONTEXT_TOKENS,
    MAX_CHARACTERS,
    MAX_TOKENS,
    StructuralChunker,
    build_chunker,
)
from ragstone.core.models import Block, BlockKind, Chunk, KnownChunk, Location, ParsedDocument
from ragstone.core.tokenizer import WordPieceTokenizer
from ragstone.parsers import parser_for

TOKENIZER = WordPieceTokenizer.load()
CHUNKER = StructuralChunker(TOKENIZER)

WORDS = str.split("river stone answer engine document question paragraph careful measure between several")


def sentence(seed: int, words: int = 12) -> str:
    """About `words` + 1 tokens."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    return f"{' '.join(chosen).capitalize()}."


def paragraph(seed: int, sentences: int = 5) -> str:
    return " ".join(sentence(seed * 1_000 + number) for number in range(sentences))


def chunk_markdown(source: str, title: str | None = None) -> list[Chunk]:
    parsed = parser_for("text/markdown").parse(source.encode())
    return CHUNKER.chunk(parsed, title or parsed.title)


def check(parsed: ParsedDocument, chunks: list[Chunk]) -> None:
    """All that the chunker promises of any document."""
    covered = 0
    for index, chunk in enumerate(chunks):
        assert chunk.index == index
        assert chunk.text == parsed.text[chunk.start : chunk.end]
        assert not parsed.text[covered : chunk.start].strip()
        assert chunk.text == chunk.text.strip()
        covered = chunk.end
        assert TOKENIZER.count(chunk.embedding_text) <= MAX_TOKENS
        assert TOKENIZER.count(chunk.context) <= CONTEXT_TOKENS
        assert 0 < len(chunk.text) <= MAX_CHARACTERS
        assert is_boundary(parsed.text, chunk.start)
        assert is_boundary(parsed.text, chunk.end)
        bounds = [chunk.start, *(bound for span in chunk.sentences for bound in span), chunk.end]
        assert bounds == sorted(bounds)
        assert chunk.sentences
    assert not parsed.text[covered:].strip()


# ---- any document ----

FRAGMENTS = st.sampled_from(
    [
        "word ",
        "Sentence one. ",
        "antidisestablishmentarianism",
        "e\u0301\u0323",
        "👨\u200d👩\u200d👧",
        "🇩🇪🇫🇷",
        "한글\u1112\u1161\u11ab",
        "漢字かな。",
        "नमस्ते ",
        "ข้อความ",
        "\u200b",
        "\u00ad",
        "a" * 120,
        "https://example.org/a/very/long/path?with=query&and=more ",
        ". . . ",
        "((((",
        '"',
        "[SEP] ",
        "\n",
        "\n- item ",
        " | ",
        "    ",
        "\ufffd",
        "\u0085",
        "3.14 ",
        "Dr. ",
        "🙂",
    ]
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=6)), min_size=1, max_size=40).flatmap(
    lambda parts: st.integers(1, 40).map(lambda times: "".join(parts) * times)
)
PATHS = st.lists(st.one_of(st.just("Heading"), st.text(max_size=30)), max_size=4).map(tuple)


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Any blocks of any kind: more than our parsers would ever make."""
    text, blocks = "", []
    for content in draw(st.lists(TEXTS, min_size=1, max_size=5)):
        content = content.replace("\ud800", "").strip()
        if not content:
            continue
        start = len(text)
        text += content + "\n\n"
        kind, path = draw(st.sampled_from(BlockKind)), draw(PATHS)
        if kind is BlockKind.HEADING:
            path = (*path, content[:200])
        blocks.append(Block(kind, start, start + len(content), path))
    return ParsedDocument(text, tuple(blocks))


@settings(max_examples=100, deadline=None)
@given(parsed=documents(), title=st.one_of(st.none(), st.text(max_size=40), st.just("word " * 300)))
def test_promises_hold_on_any_document(parsed: ParsedDocument, title: str | None) -> None:
    check(parsed, CHUNKER.chunk(parsed, title))


@settings(max_examples=40, deadline=None)
@given(
    source=st.lists(
        st.one_of(TEXTS, st.sampled_from(["# ", "```\n", "|a|\n|-|\n", "> ", "\n\n"])), max_size=8
    )
)
@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown", "text/html"])
def test_promises_hold_on_what_parsers_give(media_type: str, source: list[str]) -> None:
    content = f"visible {''.join(source)}".encode("utf-8", "replace")
    parsed = parser_for(media_type).parse(content)
    check(parsed, CHUNKER.chunk(parsed, parsed.title))


@pytest.mark.parametrize(
    "cluster", ["e\u0301\u0323", "👨\u200d👩\u200d👧", "🇩🇪", "\u1112\u1161\u11ab", "क्षि", "👍🏽"]
)
def test_no_cut_tears_a_cluster(cluster: str) -> None:
    parsed = parser_for("text/plain").parse((cluster * 5_000).encode())
    chunks = CHUNKER.chunk(parsed, None)
    check(parsed, chunks)
    assert len(chunks) > 1
    assert all(chunk.start % len(cluster) == 0 for chunk in chunks)


def test_same_document_gives_the_same_chunks() -> None:
    parsed = parser_for("text/plain").parse("\n\n".join(map(paragraph, range(50))).encode())
    assert build_chunker().chunk(parsed, "Title") == build_chunker().chunk(parsed, "Title")


def test_document_without_blocks_has_no_chunks() -> None:
    assert CHUNKER.chunk(ParsedDocument("", ()), "Title") == []


# ---- where it cuts ----


def test_short_document_is_one_chunk() -> None:
    (chunk,) = chunk_markdown(f"# Guide\n\n{paragraph(1)}\n\n## Use\n\n{paragraph(2)}")
    assert chunk.text.startswith("Guide\n\n")
    assert chunk.heading == ("Guide",)


def test_sections_of_their_own_size_are_chunks_of_their_own() -> None:
    source = "\n\n".join(f"## Part {number}\n\n{paragraph(number, 12)}" for number in range(4))
    chunks = chunk_markdown(f"# Guide\n\n{source}")
    assert [chunk.heading for chunk in chunks] == [("Guide", f"Part {number}") for number in range(4)]
    assert chunks[0].text.startswith("Guide\n\nPart 0\n\n")
    assert chunks[1].text.startswith("Part 1\n\n")


def test_tiny_sections_share_a_chunk_below_their_common_heading() -> None:
    questions = "\n\n".join(f"### Question {number}\n\n{sentence(number)}" for number in range(10))
    chunks = chunk_markdown(f"# Help\n\n## First\n\n{questions}\n\n## Second\n\n{paragraph(99, 13)}")
    assert [chunk.heading for chunk in chunks] == [("Help", "First"), ("Help", "Second")]


def test_long_section_is_divided_evenly() -> None:
    sizes = [len(chunk.text) for chunk in chunk_markdown(paragraph(3, 23))]
    assert len(sizes) == 2
    assert max(sizes) < 1.2 * min(sizes)


def test_long_paragraph_is_cut_between_sentences() -> None:
    chunks = chunk_markdown(paragraph(4, 60))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(".") and chunk.text[0].isupper() for chunk in chunks)


def test_paragraphs_are_cut_between_rather_than_inside() -> None:
    paragraphs = [paragraph(number, 4) for number in range(12)]
    for chunk in chunk_markdown("\n\n".join(paragraphs)):
        assert all(part in paragraphs for part in chunk.text.split("\n\n"))


def test_long_sentence_is_cut_at_its_clauses() -> None:
    chunks = chunk_markdown(", ".join(" ".join(WORDS) for _ in range(60)))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(",") for chunk in chunks[:-1])


def test_table_is_cut_between_rows() -> None:
    rows = [f"| {number} | {' '.join(WORDS[:6])} |" for number in range(80)]
    chunks = chunk_markdown("\n".join(["| a | b |", "|---|---|", *rows]))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(WORDS[5]) for chunk in chunks)


def test_code_is_cut_between_lines_and_keeps_its_indentation_inside() -> None:
    code = [f"    value_{number} = compute({number})" for number in range(120)]
    chunks = chunk_markdown("\n".join(["```", *code, "```"]))
    assert len(chunks) > 2
    assert all(chunk.text.endswith(")") and "\n    value" in chunk.text for chunk in chunks)


def test_list_is_cut_between_items_which_keep_their_marks() -> None:
    chunks = chunk_markdown("\n".join(f"- {sentence(number)}" for number in range(60)))
    assert len(chunks) > 2
    for chunk in chunks:
        assert chunk.text.startswith("- ")
        assert all(chunk.text[start - chunk.start] != "-" for start, _ in chunk.sentences)


def test_introduction_stays_with_what_it_introduces() -> None:
    items = "\n".join(f"- {sentence(number)}" for number in range(8))
    chunks = chunk_markdown(f"{paragraph(5, 12)}\n\nThese are the {' '.join(WORDS)} to know:\n\n{items}")
    assert any("to know:\n\n- " in chunk.text for chunk in chunks)


def test_chunk_over_pages_says_so() -> None:
    text = f"{sentence(1)}\n\n{sentence(2)}"
    cut = len(sentence(1))
    parsed = ParsedDocument(
        text,
        (
            Block(BlockKind.PARAGRAPH, 0, cut, location=Location(page=3)),
            Block(BlockKind.PARAGRAPH, cut + 2, len(text), location=Location(page=4)),
        ),
    )
    (chunk,) = CHUNKER.chunk(parsed, None)
    assert chunk.location == Location(page=3, page_end=4)


def test_short_paragraphs_that_are_joined_over_pages_say_so() -> None:
    text = "One short line.\n\nAnother one."
    blocks = (
        Block(BlockKind.PARAGRAPH, 0, 15, location=Location(page=1)),
        Block(BlockKind.PARAGRAPH, 17, len(text), location=Location(page=2)),
    )

    (chunk,) = CHUNKER.chunk(ParsedDocument(text, blocks), None)

    assert chunk.location == Location(page=1, page_end=2)


def test_change_moves_the_cuts_near_it_only() -> None:
    paragraphs = [paragraph(number, 3) for number in range(120)]
    before = {chunk.embedding_text for chunk in chunk_markdown("\n\n".join(paragraphs))}
    paragraphs[60] = paragraph(999, 5)
    after = [chunk.embedding_text for chunk in chunk_markdown("\n\n".join(paragraphs))]
    assert sum(text not in before for text in after) <= 6


# ---- context ----


class TestContext:
    def test_title_and_headings_stand_in_front(self) -> None:
        chunks = chunk_markdown(f"# Guide\n\n## Install\n\n{paragraph(6, 40)}", "The manual")
        assert [chunk.context for chunk in chunks[1:]] == ["The manual > Guide > Install"] * (len(chunks) - 1)
        assert chunks[1].embedding_text.startswith("The manual > Guide > Install\n")

    def test_headings_that_open_the_text_are_not_repeated(self) -> None:
        chunk = chunk_markdown(f"# Guide\n\n## Install\n\n{paragraph(7, 40)}", "The manual")[0]
        assert (chunk.context, chunk.heading) == ("The manual", ("Guide", "Install"))

    def test_title_that_says_the_same_as_the_first_heading_stands_once(self) -> None:
        chunks = chunk_markdown(f"# Guide\n\n## Install\n\n{paragraph(8, 40)}", "Guide – Ragstone")
        assert chunks[1].context == "Guide – Ragstone > Install"

    def test_document_without_title_and_headings_has_none(self) -> None:
        (chunk,) = chunk_markdown(paragraph(9))
        assert (chunk.context, chunk.embedding_text) == ("", chunk.text)

    def test_long_context_loses_its_middle_first(self) -> None:
        first, second = " ".join(WORDS * 2), " ".join(WORDS[::-1] * 2)
        headings = f"# Guide\n\n## {first}\n\n### {second}\n\n#### Last"
        chunks = chunk_markdown(f"{headings}\n\n{paragraph(10, 40)}", "Manual")
        assert chunks[1].context == f"Manual > {second} > Last"

    def test_endless_title_is_cut(self) -> None:
        chunks = chunk_markdown(paragraph(11, 40), "stone " * 500)
        assert TOKENIZER.count(chunks[0].context) <= CONTEXT_TOKENS
        assert chunks[0].context.startswith("stone stone")


def known(chunks: list[Chunk]) -> list[KnownChunk]:
    return [KnownChunk.of(chunk.text) for chunk in chunks]


def chunk_again(source: str, before: list[Chunk]) -> list[Chunk]:
    parsed = parser_for("text/markdown").parse(source.encode())
    chunks = CHUNKER.chunk(parsed, parsed.title, known(before))
    check(parsed, chunks)
    return chunks


def new_in(chunks: list[Chunk], before: list[Chunk]) -> int:
    return len({chunk.text for chunk in chunks} - {chunk.text for chunk in before})


@pytest.mark.parametrize("place", [0, 7, 100, 199])
@pytest.mark.parametrize("change", ["replace", "insert", "delete"])
def test_a_changed_paragraph_makes_new_chunks_where_it_is(change: str, place: int) -> None:
    paragraphs = [paragraph(seed, sentences=3 + seed % 4) for seed in range(200)]
    before = chunk_markdown("\n\n".join(paragraphs))
    kept = {"replace": (place, place + 1), "insert": (place, place), "delete": (place, place + 1)}[change]
    paragraphs[slice(*kept)] = [] if change == "delete" else [paragraph(1_000, sentences=2)]
    anew, again = chunk_markdown("\n\n".join(paragraphs)), chunk_again("\n\n".join(paragraphs), before)
    assert new_in(again, before) <= min(6, new_in(anew, before))


def test_a_document_that_changes_again_and_again_keeps_chunks_of_a_good_size() -> None:
    chance = random.Random(1)
    paragraphs = [paragraph(seed, sentences=3 + seed % 4) for seed in range(60)]
    chunks = chunk_markdown("\n\n".join(paragraphs))
    for change in range(100):
        paragraphs[chance.randrange(len(paragraphs))] = paragraph(
            2_000 + change, sentences=chance.randint(1, 9)
        )
        chunks = chunk_again("\n\n".join(paragraphs), chunks)
    anew = chunk_markdown("\n\n".join(paragraphs))
    assert len(chunks) <= 1.15 * len(anew)


def test_what_is_known_of_the_same_text_changes_nothing() -> None:
    source = "\n\n".join(paragraph(seed) for seed in range(40))
    chunks = chunk_markdown(source)
    assert chunk_again(source, chunks) == chunks


def test_chunks_that_all_begin_alike_take_no_longer() -> None:
    rows = [
        f"The same beginning of every single paragraph, and then {paragraph(seed)}" for seed in range(300)
    ]
    before = chunk_markdown("\n\n".join(rows))
    alike = [KnownChunk(chunk.beginning, 100 + n, chunk.digest) for n, chunk in enumerate(known(before) * 20)]
    parsed = parser_for("text/markdown").parse("\n\n".join(rows).encode())
    check(parsed, CHUNKER.chunk(parsed, None, alike))


def test_the_chunks_of_another_document_do_not_matter() -> None:
    source = "\n\n".join(paragraph(seed) for seed in range(40))
    other = chunk_markdown("\n\n".join(paragraph(seed) for seed in range(500, 540)))
    assert chunk_again(source, other) == chunk_markdown(source)


def test_a_smaller_size_may_be_asked_for_one_document() -> None:
    source = "\n\n".join(paragraph(number) for number in range(12))
    parsed = parser_for("text/markdown").parse(source.encode())
    usual = CHUNKER.chunk(parsed, "Title")

    smaller = CHUNKER.chunk(parsed, "Title", most_tokens=100)
    larger = CHUNKER.chunk(parsed, "Title", most_tokens=4_096)

    check(parsed, smaller)
    assert max(TOKENIZER.count(chunk.embedding_text) for chunk in smaller) <= 100
    assert len(smaller) > len(usual)
    assert larger == usual, "no chunk is larger than what the encoder reads"
