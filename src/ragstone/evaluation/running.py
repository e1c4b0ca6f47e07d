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


async def ask_all(
    questions: Sequence[Question],
    sides: Sequence[Side],
    *,
    concurrency: int,
    done: Callable[[Row], None] = lambda _: None,
) -> list[list[Row]]:
    """The rows of each side, in the order of the questions; `done` is told of each. A question is put to all sides
    before the next one, and who comes first changes, so that a machine that slows down slows all alike."""
    rows: list[dict[int, Row]] = [{} for _ in sides]
    waiting = enumerate(questions)

    async def work() -> None:
        for position, question in waiting:
            for turn in range(len(sides)):
                number = (position + turn) % len(sides)
                row = await _ask(question, sides[number])
                rows[number][position] = row
                done(row)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(work())
    return [[of_side[position] for position in range(len(questions))] for of_side in rows]


async def _ask(question: Question, side: Side) -> Row:
    body = {**side.parameters, "query": question.text}
    if question.filter is not None:
        body["filter"] = question.filter
    try:
        reply = read_reply(await side.ask(body))
    except QuestionFailed as failure:
        return judge_failure(question, failure)
    return judge(question, reply, side.names, k=side.parameters["top_k"])
