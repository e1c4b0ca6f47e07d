"""The file of questions: one JSON object a line. What is wrong with it is told all at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ragstone.evaluation.matching import is_comparable, squeezed

MAX_LINE_BYTES = 256 * 1024  # a question with the passages that answer it is a hundredth of it
MAX_QUESTIONS = 10_000
MAX_QUESTION = 8_000  # characters; as the API has it
MAX_VALUES = 100  # of a list: expected documents, passages or answers of one question
MAX_NAME = 1_024  # characters of an id or of a document's name
MAX_NAMED = 20  # wrong lines that a message names
MAX_WRONG = 1_000  # after which a file is no file of questions, and is read no further
MEMBERS = ("question", "id", "document", "passage", "answer", "unanswerable", "filter")


class BadQuestions(Exception):
    """The file cannot be used; the message names every wrong line, or the first of very many."""


class WrongLine(Exception):
    """What is wrong with one line."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is expected of its reply; `is_answerable` None where nothing says so."""

    text: str
    id: str | None = None
    documents: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    is_answerable: bool | None = None
    filter: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """What the same question has in another run: its id, or else its text."""
        return self.text if self.id is None else self.id


def read_questions(path: Path) -> list[Question]:
    """The questions in order. Blank lines and a byte-order mark are skipped. Raises BadQuestions."""
    problems: list[str] = []
    questions: dict[str, tuple[int, Question]] = {}
    try:
        with path.open("rb") as file:
            for number, line in _lines(file):
                if len(questions) == MAX_QUESTIONS:
                    raise BadQuestions(f"{path} holds more than {MAX_QUESTIONS:,} questions")
                try:
                    question = _parse(line)
                    _keep(question, number, questions)
                except WrongLine as error:
                    problems.append(f"line {number}: {error}")
                if len(problems) == MAX_WRONG:
                    break
    except OSError as error:
        raise BadQuestions(f"{path} cannot be read: {error.strerror}") from error
    if problems:
        raise BadQuestions(_told(path, problems))
    if not questions:
        raise BadQuestions(f"{path} holds no question")
    return [question for _, question in questions.values()]


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbers and lines that are not blank; of a line that is too long only its beginning."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        if line.strip():
            yield number, line


def _parse(line: bytes) -> Question:
    """Raises WrongLine."""
    if len(line) > MAX_LINE_BYTES:
        raise WrongLine(f"longer than {MAX_LINE_BYTES:,} bytes")
    found = _json(line)
    if not isinstance(found, dict):
        raise WrongLine("a JSON object is expected")
    if unknown := sorted(found.keys() - set(MEMBERS)):
        raise WrongLine(f"unknown member {_shown(unknown[0])}; known: {', '.join(MEMBERS)}")
    question = Question(
        text=_text(found, "question", most=MAX_QUESTION) or _missing("question"),
        id=_text(found, "id", most=MAX_NAME),
        documents=_texts(found, "document", most=MAX_NAME),
        passages=_texts(found, "passage", most=MAX_LINE_BYTES),
        answers=_texts(found, "answer", most=MAX_LINE_BYTES),
        is_answerable=_is_answerable(found),
        filter=_filter(found),
    )
    if pointless := [answer for answer in question.answers if not is_comparable(answer)]:
        raise WrongLine(f"answer {_shown(pointless[0])} has no word to look for")
    return question


def _json(line: bytes) -> Any:
    try:
        found = json.loads(line.decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise WrongLine(f"not UTF-8 at byte {error.start + 1}") from error
    except UnicodeEncodeError as error:
        raise WrongLine("the text holds a lone surrogate") from error
    except json.JSONDecodeError as error:
        raise WrongLine(f"not JSON: {error.msg} (column {error.colno})") from error
    except ValueError as error:
        raise WrongLine(f"not JSON: {error}") from error
    except RecursionError as error:
        raise WrongLine("nested too deep") from error
    return found


def _no_constant(name: str) -> Any:
    raise WrongLine(f"{name} is not JSON")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise WrongLine(f"member {_shown(name)} is there twice")
        found[name] = value
    return found


def _missing(name: str) -> str:
    raise WrongLine(f"member {name!r} is missing")


def _text(found: Mapping[str, Any], name: str, *, most: int) -> str | None:
    value = found.get(name)
    return None if value is None else _checked(value, name, most)


def _texts(found: Mapping[str, Any], name: str, *, most: int) -> tuple[str, ...]:
    """Each once, in order."""
    value = found.get(name)
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MAX_VALUES:
        raise WrongLine(f"{name} has {len(values)} values; 1 to {MAX_VALUES} are expected")
    return tuple(dict.fromkeys(_checked(each, name, most) for each in values))


def _checked(value: object, name: str, most: int) -> str:
    if not isinstance(value, str):
        raise WrongLine(f"{name} is not text but {_shown(value)}")
    if not squeezed(value):
        raise WrongLine(f"{name} is blank")
    if len(value) > most:
        raise WrongLine(f"{name} has {len(value):,} characters; at most {most:,} are allowed")
    return value


def _is_answerable(found: Mapping[str, Any]) -> bool | None:
    value = found.get("unanswerable")
    expected = [name for name in ("document", "passage", "answer") if found.get(name) is not None]
    if value is not None and not isinstance(value, bool):
        raise WrongLine(f"unanswerable is not true or false but {_shown(value)}")
    if value and expected:
        raise WrongLine(f"it is unanswerable and has {expected[0]!r}")
    if value is not None:
        return not value
    return True if expected else None


def _filter(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    value = found.get("filter")
    if value is not None and not isinstance(value, dict):
        raise WrongLine(f"filter is not an object but {_shown(value)}")
    return value


def _keep(question: Question, number: int, questions: dict[str, tuple[int, Question]]) -> None:
    if question.key not in questions:
        questions[question.key] = (number, question)
        return
    earlier = questions[question.key][0]
    if question.id is None:
        raise WrongLine(f"the same question as in line {earlier}; give each an id")
    raise WrongLine(f"the same id as in line {earlier}: {_shown(question.id)}")


def _shown(value: object, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _told(path: Path, problems: Sequence[str]) -> str:
    lines = "line is" if len(problems) == 1 else "lines are"
    at_least = "at least " if len(problems) == MAX_WRONG else ""
    told = [f"{path}: {at_least}{len(problems):,} {lines} wrong"]
    told += [f"  {problem}" for problem in problems[:MAX_NAMED]]
    if len(problems) > MAX_NAMED:
        told.append(f"  and {len(problems) - MAX_NAMED:,} more")
    return "\n".join(told)
