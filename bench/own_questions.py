"""The public sets as a user's own questions: `ragstone eval` itself, on a server that holds their documents."""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.api import read_lines
from bench.retrieval import RetrievalSet


def of_set(found: RetrievalSet, most: int | None) -> list[dict[str, Any]]:
    """Questions and the documents that answer them."""
    return [
        {
            "id": key,
            "question": text,
            "document": [name for name, grade in found.judgements[key].items() if grade > 0],
        }
        for key, text in list(found.questions.items())[:most]
        if any(grade > 0 for grade in found.judgements[key].values())
    ]


def of_answers(path: Path, most: int | None) -> list[dict[str, Any]]:
    """Questions with their answers and their document, and ones that have none."""
    rows = read_lines(path.read_text())
    return [
        (
            {"id": row["_id"], "question": row["text"], "document": row["passage"], "answer": row["answers"]}
            if row["answerable"]
            else {"id": row["_id"], "question": row["text"], "unanswerable": True}
        )
        for row in rows[:most]
    ]


async def evaluate(url: str, questions: Mapping[str, Iterable[Mapping[str, Any]]], folder: Path) -> str:
    """The Markdown that `ragstone eval` writes, one section a collection."""
    sections = []
    for collection, rows in questions.items():
        asked, told = folder / f"{collection}.jsonl", folder / f"{collection}.md"
        asked.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        command = ["eval", str(asked), "--url", url, "-c", collection, "-k", "10", "--markdown", str(told)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ragstone.cli", *command, stdout=asyncio.subprocess.DEVNULL
        )
        if await process.wait():
            raise RuntimeError(f"ragstone eval failed on {collection}")
        sections.append(f"### ragstone eval: {collection}\n\n{told.read_text()}")
    return "\n".join(sections)
