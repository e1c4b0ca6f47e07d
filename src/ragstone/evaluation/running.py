"""Asking: every question of every side, a bounded number at a time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstone.evaluation.judging import Names, Row, judge, judge_failure
from ragstone.evaluation.questions import Question
from ragstone.evaluation.replies import Asks, QuestionFailed, read_reply


@dataclass(frozen=True, slots=True)
class Side:
    """A configuration that is asked: the way to its server, members of each request (`top_k` among them), and the
    expected documents of its collection."""

    ask: Asks
    parameters: Mapping[str, Any]
    names: Names


class Answers:
    """Rows as they come: of each side, by the place of their question."""

    def __init__(self, sides: int):
        self._rows: list[dict[int, Row]] = [{} for _ in range(sides)]

    def add(self, side: int, place: int, row: Row) -> None:
        """One more is known."""
        self._rows[side][place] = row

    def of_each_side(self) -> list[tuple[Row, ...]]:
        """Those that are known, in the order of the questions."""
        return [tuple(rows[place] for place in sorted(rows)) for rows in self._rows]


async def ask_all(
    questions: Sequence[Question],
    sides: Sequence[Side],
    answers: Answers,
    *,
    concurrency: int,
    done: Callable[[Row], None] = lambda _: None,
) -> None:
    """Fill the answers; `done` is told of each row. A question is put to all sides before the next one, and who comes
    first changes, so that a machine that slows down slows all alike."""
    waiting = enumerate(questions)

    async def work() -> None:
        for place, question in waiting:
            for turn in range(len(sides)):
                side = (place + turn) % len(sides)
                row = await _ask(question, sides[side])
                answers.add(side, place, row)
                done(row)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(work())


async def _ask(question: Question, side: Side) -> Row:
    body = {**side.parameters, "query": question.text}
    if question.filter is not None:
        body["filter"] = question.filter
    try:
        reply = read_reply(await side.ask(body))
    except QuestionFailed as failure:
        return judge_failure(question, failure)
    return judge(question, reply, side.names, k=side.parameters["top_k"])
