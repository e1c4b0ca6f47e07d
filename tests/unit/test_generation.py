"""Checking an answer while it streams: marks, claims, spans, grounding."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.models import Citation, Cited, Location, Part, Scope, Source, Span, Token
from ragstone.pipelines.generation import (
    MOST_JUDGED,
    PARTS_AT_ONCE,
    UNANSWERABLE,
    AnswerChecker,
    Verdict,
    _citation,
)
from ragstone.pipelines.marks import LONGEST_MARK, MarkReader
from ragstone.pipelines.support import ClaimJudge, Support
from tests.words import TermWeights, WordEmbedder, WordEncoder, source

REFUNDS = source("Refunds are paid within 14 days. Ask the support team first.", n=1, start=100)
CATS = source("Cats sleep most of the day. They hunt at night.", n=2)


class Checked:
    """An answer that was fed to a checker, and what came out."""

    def __init__(self, *sources: Source, link_hosts: frozenset[str] = frozenset()):
        self.embedder = WordEmbedder()
        judge = ClaimJudge(self.embedder, WordEncoder(), cast("Any", TermWeights({})), Scope())
        self.checker = AnswerChecker(sources, judge, link_hosts=link_hosts)
        self.events: list[Token | Cited] = []

    async def feed(self, *pieces: str) -> "Checked":
        for piece in pieces:
            self.events += await self.checker.feed(piece)
        self.events += self.checker.finish()
        return self

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Token))

    @property
    def citations(self) -> list[Citation]:
        return [event.citation for event in self.events if isinstance(event, Cited)]

    def claims(self) -> list[str]:
        return [self.text[found.answer.start : found.answer.end] for found in self.citations]

    def verdict(self) -> Verdict:
        return self.checker.verdict(abstained=False)

    def unsupported(self) -> list[str]:
        return [self.text[span.start : span.end] for span in self.verdict().unsupported]


async def test_a_claim_is_the_sentence_before_its_mark() -> None:
    checked = await Checked(REFUNDS, CATS).feed(
        "Refunds are paid within 14 days. [1] Cats sleep most of the day. [2]"
    )

    assert checked.claims() == ["Refunds are paid within 14 days.", "Cats sleep most of the day."]
    assert checked.verdict() == Verdict("full", ())


async def test_a_quote_is_cut_from_the_source_at_document_offsets() -> None:
    (found,) = (await Checked(REFUNDS).feed("Ask the support team first. [1]")).citations

    assert found.source.quote == "Ask the support team first."
    assert found.source.start - REFUNDS.start == REFUNDS.text.index("Ask")
    assert (found.verified, found.support) == (True, 1.0)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_marks_are_found_however_the_text_is_cut(size: int) -> None:
    answer = "Refunds are paid within 14 days. [1] Cats sleep most of the day. [2] See array[12345] and [x]."
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]

    checked = await Checked(REFUNDS, CATS).feed(*pieces)

    assert checked.text == answer
    assert [found.n for found in checked.citations] == [1, 2]


async def test_a_mark_to_a_source_that_was_not_sent_is_dropped() -> None:
    checked = await Checked(REFUNDS).feed("Refunds are paid within 14 days. [7][1]")

    assert checked.text == "Refunds are paid within 14 days. [1]"
    assert [found.n for found in checked.citations] == [1]


async def test_several_marks_in_a_row_share_the_claim() -> None:
    checked = await Checked(REFUNDS, CATS).feed("Refunds are paid within 14 days. [1] [2]")

    assert checked.claims() == ["Refunds are paid within 14 days."] * 2
    assert [found.verified for found in checked.citations] == [True, False]
    assert checked.verdict().grounded == "full"


async def test_a_mark_before_any_claim_cites_nothing() -> None:
    checked = await Checked(REFUNDS).feed("[1] Refunds are paid within 14 days. [1]")

    assert checked.claims() == ["Refunds are paid within 14 days."]


async def test_sentences_without_a_mark_are_reported_as_unsupported() -> None:
    checked = await Checked(REFUNDS).feed(
        "All is well in this world. Refunds are paid within 14 days. [1] The end is near."
    )

    assert checked.unsupported() == ["All is well in this world.", "The end is near."]
    assert checked.verdict().grounded == "partial"


async def test_a_changed_number_is_not_verified() -> None:
    checked = await Checked(REFUNDS).feed("Refunds are paid within 41 days. [1]")

    (found,) = checked.citations
    assert (found.verified, found.support) == (False, 0.0)
    assert checked.verdict() == Verdict("none", (Span(0, 32),))


async def test_offsets_count_code_points() -> None:
    text = "Die 🙂 Größe von 概要 ist bekannt."
    checked = await Checked(source(text)).feed("👍🏽 ", f"{text} [1]")

    assert checked.claims()[0].endswith(text)
    assert checked.citations[0].source.quote == text


async def test_an_answer_that_ends_inside_a_mark_keeps_its_text() -> None:
    checked = await Checked(REFUNDS).feed("Refunds are paid within 14 days. [1")

    assert checked.text == "Refunds are paid within 14 days. [1"
    assert checked.citations == []


async def test_an_abstention_claims_nothing() -> None:
    checked = await Checked(REFUNDS).feed("I found nothing on this subject.")

    assert checked.checker.verdict(abstained=True) == Verdict("none", ())


async def test_nothing_said_is_nothing_grounded() -> None:
    assert (await Checked(REFUNDS).feed()).verdict() == Verdict("none", ())


PAID = "Refunds are paid within 14 days."


class TestMarks:
    @pytest.mark.parametrize(
        "mark",
        [
            "[1, 2]",
            "[1,2]",
            "[1; 2]",
            "[1 ;2]",
            "【1】【2】",
            "【1, 2】",
            "[1，2]",
            "[01,2]",
            "[ 1, 2 ]",
            "[1, 2, 1, 9]",
        ],
    )
    @pytest.mark.parametrize("size", [1, 3, 99])
    async def test_lists_and_full_width_marks_are_written_out(self, mark: str, size: int) -> None:
        text = f"{PAID} {mark} Ask."

        checked = await Checked(REFUNDS, CATS).feed(
            *(text[at : at + size] for at in range(0, len(text), size))
        )

        assert checked.text == f"{PAID} [1][2] Ask."
        assert [found.n for found in checked.citations] == [1, 2]
        assert checked.claims() == [PAID, PAID]

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("So it is [7].", "So it is."),
            ("So it is [7], they say.", "So it is, they say."),
            ("So it is. [7] Yes.", "So it is. Yes."),
            ("So it is.[7] Yes.", "So it is. Yes."),
            ("So it is [7]", "So it is"),
            ("So it is [7]\nYes.", "So it is\nYes."),
            ("[7] So it is.", "So it is."),
            ("So it is [7] [8] [9].", "So it is."),
            ("So it is [7] [1].", "So it is [1]."),
            ("So it is [7, 8].", "So it is."),
            ("So it is [7; 1, 8].", "So it is [1]."),
            ("So it is 【9】.", "So it is."),
            ("So [0] it is.", "So it is."),
            ("So it is  twice.", "So it is  twice."),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 99])
    async def test_a_dropped_mark_leaves_no_gap(self, said: str, shown: str, size: int) -> None:
        checked = await Checked(REFUNDS).feed(*(said[at : at + size] for at in range(0, len(said), size)))

        assert checked.text == shown

    @pytest.mark.parametrize(
        "forged",
        ["[[7]9]", "[9[7]]", "[[7][8]9]", "[9, [7]8]", "[1[7], 9]", "【[7]9】", "[9 [7]]", "[[9]]", "[[1]9]"],
    )
    async def test_no_mark_is_forged_around_a_dropped_one(self, forged: str) -> None:
        for pieces in ([forged], list(forged)):
            checked = await Checked(REFUNDS).feed("So it is ", *pieces, ".")

            assert marks(checked.text) <= {1}

    async def test_what_may_become_a_mark_is_held_back_up_to_a_bound(self) -> None:
        reader = MarkReader({1})

        numbers = LONGEST_MARK // len(", 1") - 2

        assert reader.feed("x [1" + ", 1" * numbers) == ["x"]
        assert "".join(cast("Any", reader.feed(", 1" * 10))) == " [1" + ", 1" * (numbers + 10)

    async def test_a_list_of_every_source_that_may_be_sent_is_read(self) -> None:
        reader = MarkReader(set(range(1, 101)))

        listed = ", ".join(str(number) for number in range(1, 121))

        assert reader.feed(f"[{listed}]") == [tuple(range(1, 101))]

    def test_a_begun_mark_is_never_longer_than_its_bound(self) -> None:
        for length in range(1, 2 * LONGEST_MARK):
            reader = MarkReader({1})
            shown = "".join(str(part) for part in reader.feed("[" + "1" * length))
            assert length + 1 - len(shown) <= LONGEST_MARK

    async def test_the_same_source_is_cited_once_for_a_claim(self) -> None:
        checked = await Checked(REFUNDS).feed(f"{PAID} [1][1] [1]")

        assert checked.text == f"{PAID} [1][1] [1]"
        assert len(checked.citations) == 1


class TestClaims:
    async def test_a_mark_before_the_full_stop_covers_the_claim(self) -> None:
        checked = await Checked(REFUNDS, CATS).feed(
            "Refunds are paid within 14 days [1]. Cats sleep most of the day [2]."
        )

        assert checked.claims() == ["Refunds are paid within 14 days", "Cats sleep most of the day"]
        assert checked.verdict() == Verdict("full", ())

    @pytest.mark.parametrize(
        "text",
        [
            f"Here is what the sources say:\n\n- {PAID} [1]\n- Cats sleep most of the day. [2]\n",
            f"## Refunds\n\n{PAID} [1]\n\n### Cats\nCats sleep most of the day [2].",
            f"Here is what all of the sources say about it at length:\n{PAID} [1]",
            f"**Details:**\n{PAID} [1]\n---\n- ",
            f"{PAID} [1]; [2] and [1].",
            f"{PAID[:-1]} ([1]).",
            f"“{PAID}” [1].”",
            f"{PAID} [1] 👍 …",
            f"{PAID} [1]\n##",
        ],
    )
    async def test_what_claims_nothing_is_not_unsupported(self, text: str) -> None:
        checked = await Checked(REFUNDS, CATS).feed(text)

        assert checked.unsupported() == []
        assert checked.verdict().grounded == "full"

    @pytest.mark.parametrize(
        ("text", "unsupported"),
        [
            ("It costs 12 euros:\n- " + PAID + " [1]", "It costs 12 euros:"),
            ("Cats " * 20 + "say:\n\n" + PAID + " [1]", ("Cats " * 20) + "say:"),
            ("x:" + "*" * 200 + " Cats are gods.\n" + PAID + " [1]", "x:" + "*" * 200 + " Cats are gods."),
            (PAID + " [1] #winning is all.", "#winning is all."),
            (PAID + " [1]. And more comes. ", "And more comes."),
            (PAID + " [1]\n## Title\nNobody knows it.", "Nobody knows it."),
        ],
    )
    async def test_what_only_looks_like_a_lead_in_is_a_claim(self, text: str, unsupported: str) -> None:
        assert (await Checked(REFUNDS).feed(text)).unsupported() == [unsupported]

    async def test_a_sentence_whose_only_mark_was_dropped_is_unsupported(self) -> None:
        checked = await Checked(REFUNDS).feed(f"Cats are gods [7]. {PAID} [1]")

        assert checked.unsupported() == ["Cats are gods"]
        assert checked.claims() == [PAID]

    async def test_citations_beyond_the_most_are_not_judged_and_not_verified(self) -> None:
        checked = await Checked(REFUNDS).feed(f"{PAID} [1] " * (MOST_JUDGED + 1))

        assert [found.verified for found in checked.citations] == [True] * MOST_JUDGED + [False]
        assert checked.verdict().grounded == "partial"


class TestActiveContent:
    async def test_active_content_is_neutralised_and_offsets_follow(self) -> None:
        checked = await Checked(REFUNDS).feed("<b>![x](http://evil)</b> ", f"[k]: x\n{PAID} [1]")

        assert checked.text == f"&lt;b>![x] (http://evil)&lt;/b> [k] : x\n{PAID} [1]"
        assert checked.claims() == [PAID]

    async def test_a_mark_makes_neither_a_link_nor_a_definition(self) -> None:
        checked = await Checked(REFUNDS).feed(
            "[1", "]: http://evil\n", "![x][7", "](http://evil) [1]", "(http://evil)"
        )

        assert checked.text == "[1] : http://evil\n![x] (http://evil) [1] (http://evil)"

    async def test_a_quote_with_active_content_is_verbatim(self) -> None:
        checked = await Checked(source("Write <b>bold</b> [here](http://a).", n=1)).feed(
            "Write <b>bold</b> [here](http://a). [1]"
        )

        assert [found.support for found in checked.citations] == [1.0]
        assert checked.embedder.queries == []

    async def test_a_mark_ends_a_destination(self) -> None:
        checked = await Checked(REFUNDS, link_hosts=frozenset({"ok"})).feed(
            "[x](https://ok/", f"a {PAID} [1]) [y](https://ok/b)"
        )

        assert checked.text == f"[x] (https://ok/a {PAID} [1]) [y](https://ok/b)"
        assert checked.claims()[0].endswith(PAID)


class TestDeclining:
    @pytest.mark.parametrize("size", [1, 3, 99])
    @pytest.mark.parametrize("text", [UNANSWERABLE, f'\n **"{UNANSWERABLE}"** - nothing on cats. [1]'])
    async def test_the_marker_declines_and_nothing_is_said(self, text: str, size: int) -> None:
        checked = await Checked(REFUNDS).feed(*(text[at : at + size] for at in range(0, len(text), size)))

        assert (checked.events, checked.checker.declined, checked.checker.said_something) == ([], True, False)

    async def test_words_to_that_effect_decline_and_stay(self) -> None:
        checked = await Checked(REFUNDS).feed("The provided sources do not ", "mention cats.")

        assert checked.text == "The provided sources do not mention cats."
        assert checked.checker.declined

    @pytest.mark.parametrize(
        "text",
        ["The policy does not provide refunds.", "The sources do not mention cats. [1]", PAID, "No answer."],
    )
    async def test_an_answer_does_not_decline(self, text: str) -> None:
        checked = await Checked(REFUNDS).feed(*text)

        assert checked.text == text
        assert not checked.checker.declined

    async def test_a_refusal_with_a_forged_mark_alone_declines(self) -> None:
        assert (await Checked(REFUNDS).feed("The sources do not mention cats. [7]")).checker.declined


def marks(text: str) -> set[int]:
    """All that a client could take for a mark."""
    lists = re.findall(r"[\[【][ \t]*(\d{1,4}(?:[ \t]*[,;，；、][ \t]*\d{1,4})*)[ \t]*[\]】]", text)
    return {int(number) for listed in lists for number in re.findall(r"\d+", listed)}


WORDS = [
    "Refunds are paid within 14 days",
    "Cats sleep",
    "most of the day",
    "Nobody knows",
    "NO_",
    "ANSWER",
    "und",
]
SIGNS = [
    *" .,;:\n#*-<>()[]!19",
    "[1]",
    "[2]",
    "[1, 2]",
    "【1】",
    "[7]",
    "[1; 7]",
    "[",
    "](",
    "https://ok/",
    "&lt;",
    ": ",
    ". ",
]
texts = st.lists(st.sampled_from(WORDS + SIGNS), max_size=30).map("".join)


def outcome(checked: Checked) -> Sequence[object]:
    return checked.text, checked.citations, checked.verdict(), checked.checker.declined


@given(texts, st.lists(st.integers(0, 300)), st.sampled_from([frozenset[str](), frozenset({"ok"})]))
@settings(max_examples=400, deadline=None)
async def test_however_an_answer_is_cut_the_outcome_is_the_same(
    text: str, places: list[int], hosts: frozenset[str]
) -> None:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(bounds)]

    whole = await Checked(REFUNDS, CATS, link_hosts=hosts).feed(text)
    parted = await Checked(REFUNDS, CATS, link_hosts=hosts).feed(*pieces)

    assert outcome(parted) == outcome(whole)
    assert marks(whole.text) <= {1, 2}
    for event in parted.events:
        assert not isinstance(event, Token) or marks(event.text) <= {1, 2}


@given(texts)
@settings(deadline=None)
async def test_spans_lie_in_the_text_and_hold_words(text: str) -> None:
    checked = await Checked(REFUNDS, CATS).feed(*text)

    for claim in [*checked.claims(), *checked.unsupported()]:
        assert re.search(r"[^\W_]", claim)
        assert not re.search(r"\[\d\]", claim)


BAITS = [
    "abc ",
    "x [1] ",
    "[",
    "](",
    " [7]",
    "[[7]",
    "[1]:",
    "word word [1]: ",
    "<a",
    "](https://ok/a",
    "#\n",
    "a:\n",
]
BAITS += ["* ", "[1, ", "_", ".", " ", "NO_", "x.\n", "【1】", "and [1]", "**", "(\n"]


@pytest.mark.parametrize("bait", BAITS)
async def test_one_large_piece_takes_linear_time(bait: str) -> None:
    times = []
    for size in (20_000, 80_000):
        checked = Checked(REFUNDS, CATS, link_hosts=frozenset({"ok"}))
        begin = time.process_time()
        await checked.feed((bait * size)[:size])
        times.append(time.process_time() - begin)

    assert times[1] <= 2.5 * 2.5 * times[0] + 0.1


async def test_a_piece_full_of_marks_lets_others_have_their_turn() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(take_turns())
    await Checked(REFUNDS).checker.feed(f"{PAID} [1] " * 1_000)
    other.cancel()

    assert turns >= 2_000 // PARTS_AT_ONCE - 1


async def test_a_piece_costs_the_same_however_long_the_text_is() -> None:
    checked = Checked(REFUNDS)
    times = []
    for _ in range(2):
        begin = time.process_time()
        for _ in range(10_000):
            await checked.checker.feed(" abc")
        times.append(time.process_time() - begin)
        await checked.checker.feed("abcd " * 200_000)

    assert times[1] <= 2 * times[0] + 0.05
    assert times[0] < 1.0


def test_a_quote_from_a_neighbouring_chunk_is_told_with_its_own_place() -> None:
    whole = source("Alpha is first. Beta is second.", heading=("Hit",))
    parts = (
        Part("before", 0, 15, ("Before",), Location(page=1)),
        Part("hit", 16, 31, ("Hit",), Location(page=2)),
    )
    widened = replace(whole, parts=parts, chunk_id="hit", location=Location(page=1, page_end=2))

    cited = _citation(1, Span(0, 5), widened, Support(0, 15, 1.0)).source
    alone = _citation(1, Span(0, 5), whole, Support(0, 15, 1.0)).source

    assert (cited.chunk_id, cited.heading, cited.location) == ("before", ("Before",), Location(page=1))
    assert (alone.chunk_id, alone.heading) == (whole.chunk_id, ("Hit",))
