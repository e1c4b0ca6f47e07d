"""One question and its reply: ranks, verdicts on citations, figures, and what is wrong in words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ragstone.evaluation.matching import holds, squeezed, without_marks
from ragstone.evaluation.metrics import ndcg, recall, reciprocal_rank, share
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import Citation, QuestionFailed, Reply, Source

Names = Mapping[str, Collection[str]]
"""Expected document, as the question names it → ids of the documents that are called so."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One expected document or passage; `rank` None where it is not among what was retrieved."""

    kind: str
    name: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A retrieved chunk."""

    n: int
    document_id: str
    chunk_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation; `is_right` None where the question expects nothing that it could be held against."""

    n: int
    document_id: str
    title: str
    is_verified: bool
    is_right: bool | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """All that is known of one question in one run. `figures` has those that the question can have; `timings` are
    stage → milliseconds; `faults` say what is to be mended, none where all is as expected."""

    key: str
    question: str
    answers: tuple[str, ...]
    is_answerable: bool | None
    expected: tuple[Expected, ...]
    answer: str | None
    model: str | None
    abstained: bool
    found: tuple[Found, ...]
    citations: tuple[Cited, ...]
    figures: Mapping[str, float]
    timings: Mapping[str, float]
    faults: tuple[str, ...]
    error: Failure | None


def judge(question: Question, reply: Reply, names: Names, *, k: int) -> Row:
    """`k` passages were asked for."""
    documents = list(dict.fromkeys(source.document_id for source in reply.sources))
    chunks = [source.chunk_id for source in reply.sources]
    by_document = {name: names.get(name, ()) for name in question.documents}
    by_passage = {passage: _holders(passage, reply) for passage in question.passages}
    expected = (
        *(Expected("document", name, _rank(ids, documents)) for name, ids in by_document.items()),
        *(Expected("passage", text, _rank(ids, chunks)) for text, ids in by_passage.items()),
    )
    citations = tuple(_cited(question, each, reply, names) for each in reply.citations)
    figures: dict[str, float] = {"error": 0.0}
    if question.documents:
        figures |= _ranking_figures(documents, by_document, k)
    elif question.passages:
        figures |= _ranking_figures(chunks, by_passage, k)
    if question.passages:
        figures["passage_recall"] = recall(chunks, _grades(chunks, by_passage), k=k)
    figures |= _answer_figures(question, reply, citations)
    return replace(
        _unjudged(question),
        expected=expected,
        answer=reply.text,
        model=reply.model,
        abstained=reply.abstained,
        found=tuple(map(_found, reply.sources)),
        citations=citations,
        figures=figures,
        timings=reply.timings,
        faults=tuple(_faults(expected, figures, citations)),
    )


def judge_failure(question: Question, failure: QuestionFailed) -> Row:
    """A question without a reply is a miss in every figure that it can have."""
    figures = {"error": 1.0}
    if question.documents or question.passages:
        figures |= {"recall": 0.0, "ndcg": 0.0, "mrr": 0.0}
    if question.passages:
        figures["passage_recall"] = 0.0
    if question.documents or question.passages or question.answers:
        figures["citation_precision"] = 0.0
    if question.answers:
        figures["answer_holds"] = 0.0
    if question.is_answerable is not None:
        figures["false_abstention" if question.is_answerable else "false_answer"] = 1.0
    return replace(
        _unjudged(question),
        figures=figures,
        faults=(f"error: {failure.code}",),
        error=Failure(failure.code, failure.message),
    )


def _unjudged(question: Question) -> Row:
    """Without a reply."""
    return Row(
        key=question.key,
        question=question.text,
        answers=question.answers,
        is_answerable=question.is_answerable,
        expected=(
            *(Expected("document", name, None) for name in question.documents),
            *(Expected("passage", text, None) for text in question.passages),
        ),
        answer=None,
        model=None,
        abstained=False,
        found=(),
        citations=(),
        figures={},
        timings={},
        faults=(),
        error=None,
    )


def _found(source: Source) -> Found:
    return Found(source.n, source.document_id, source.chunk_id, source.title)


def _ranking_figures(ranking: Sequence[str], targets: Names, k: int) -> dict[str, float]:
    grades = _grades(ranking, targets)
    return {
        "recall": recall(ranking, grades, k=k),
        "ndcg": ndcg(ranking, grades, k=k),
        "mrr": reciprocal_rank(ranking, grades, k=k),
    }


def _grades(ranking: Sequence[str], targets: Names) -> dict[str, int]:
    """What is expected is found with the first hit that is it, and two that are found with the same hit count once."""
    return {
        next((hit for hit in ranking if hit in hits), f"not retrieved: {name}"): 1
        for name, hits in targets.items()
    }


def _rank(hits: Collection[str], ranking: Sequence[str]) -> int | None:
    return next((rank for rank, hit in enumerate(ranking, start=1) if hit in hits), None)


def _holders(passage: str, reply: Reply) -> set[str]:
    """Ids of the retrieved chunks that hold it."""
    wanted = squeezed(passage)
    return {source.chunk_id for source in reply.sources if wanted in squeezed(source.text)}


def _cited(question: Question, citation: Citation, reply: Reply, names: Names) -> Cited:
    is_right: bool | None = None
    if question.documents or question.passages or question.answers:
        is_right = _is_right(question, citation, reply, names)
    return Cited(citation.n, citation.document_id, citation.title, citation.is_verified, is_right)


def _is_right(question: Question, citation: Citation, reply: Reply, names: Names) -> bool:
    if any(citation.document_id in names.get(name, ()) for name in question.documents):
        return True
    text = next(
        (source.text for source in reply.sources if source.chunk_id == citation.chunk_id), citation.quote
    )
    stands = squeezed(text)
    return any(squeezed(passage) in stands for passage in question.passages) or holds(text, question.answers)


def _answer_figures(question: Question, reply: Reply, citations: Sequence[Cited]) -> dict[str, float]:
    figures: dict[str, float] = {}
    shown = without_marks(reply.text)
    judged = [each.is_right for each in citations if each.is_right is not None]
    if judged and not reply.abstained:
        figures["citation_precision"] = share(judged)
    if question.answers:
        figures["answer_holds"] = float(not reply.abstained and holds(shown, question.answers))
    if question.is_answerable is True:
        figures["false_abstention"] = float(reply.abstained)
    if question.is_answerable is False:
        figures["false_answer"] = float(not reply.abstained)
    if not reply.abstained:
        figures["words"] = float(len(shown.split()))
    return figures


def _faults(
    expected: Sequence[Expected], figures: Mapping[str, float], citations: Sequence[Cited]
) -> list[str]:
    faults = []
    if figures.get("false_answer"):
        faults.append("answered, though it is unanswerable")
    if figures.get("false_abstention"):
        faults.append("not answered")
    elif figures.get("answer_holds") == 0:
        faults.append("the answer holds nothing of what is expected")
    for kind in ("document", "passage"):
        of_kind = [each.rank for each in expected if each.kind == kind]
        if missed := of_kind.count(None):
            faults.append(f"{missed} of {len(of_kind)} expected {kind}s not retrieved")
    wrong = [each.is_right for each in citations].count(False)
    if wrong and "citation_precision" in figures:
        faults.append(f"{wrong} of {len(citations)} citations point elsewhere")
    return faults
