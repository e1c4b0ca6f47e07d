"""Checking an answer while it streams: marks, claims, spans, grounding."""

from typing import Any, cast

import pytest

from ragstone.core.models import Citation, Cited, Scope, Source, Span, Token
from ragstone.pipelines.generation import AnswerChecker, Verdict
from ragstone.pipelines.support import ClaimJudge
from tests.words import TermWeights, WordEmbedder, WordEncoder, source

REFUNDS = source("Refunds are paid within 14 days. Ask the support team first.", n=1, start=100)
CATS = source("Cats sleep most of the day. They hunt at night.", n=2)


class Checked:
    """An answer that was fed to a checker, and what came out."""

    def __init__(self, *sources: Source):
        judge = ClaimJudge(WordEmbedder(), WordEncoder(), cast("Any", TermWeights({})), Scope())
        self.checker = AnswerChecker(sources, judge)
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
