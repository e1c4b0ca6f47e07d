"""JSON and JSON Lines as lines `path: value`, a block for each record.

Numbers stand as they are written. Empty values (null, "", [], {}) are left out, like empty cells.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ragstone.core.errors import ParseFailed, ParseLimit
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Allowance, BoundedParser
from ragstone.parsers.decoding import decode, require_text

_LONGEST_PATH = 2_000  # of which the end is kept: 900 levels of long keys would be repeated with every value
_PROSE_CHARACTERS = 800  # a longer value is a block of its own, cut between sentences
_GATHERED_LINES = 100  # of values that belong to no record

_VISIBLE = re.compile(r"[^ \t\n\r]")
# Neither rounded nor refused for their length. `strict` would refuse a tab inside a string.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


class JsonParser(BoundedParser):
    """Implements `Parser` for application/json: records are what the outermost array holds, or the arrays and objects
    of the outermost object. Several values in a row are several records."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed with line and column, ParseLimit."""
        text, encoding = json_text(content)
        records = _RecordWriter(self.limits.characters)
        title = None
        for value in json_values(text):
            title = title or _title(value)
            for path, part in _records(value):
                records.write(path, part)
        return records.finish().finish(title=title, encoding=encoding)


class JsonLinesParser(BoundedParser):
    """Implements `Parser` for application/jsonl: each line is a record. A broken line stands as it is, so that nothing
    is missing; only if all are broken, it is no such file."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed with line and column, ParseLimit."""
        text, encoding = json_text(content)
        records = _RecordWriter(self.limits.characters)
        first_failure: ParseFailed | ParseLimit | None = None
        has_values = False
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.isspace():
                continue
            try:
                values = list(json_values(line, first_line=number))
            except (ParseFailed, ParseLimit) as failure:
                first_failure = first_failure or failure
                records.write_broken(line)
            else:
                has_values = True
                for value in values:
                    records.write("", value)
        if first_failure is not None and not has_values:
            raise first_failure
        return records.finish().finish(title=None, encoding=encoding)


def json_text(content: bytes) -> tuple[str, str]:
    """The text and its encoding. What is UTF-8 stays as it is: cleaning would break lines inside of strings. Raises
    NoText."""
    decoded = decode(content)
    require_text(decoded.text)
    if decoded.encoding != "utf-8":
        return decoded.text, decoded.encoding
    return content.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", ""), "utf-8"


def json_values(text: str, *, first_line: int = 1) -> Iterator[Any]:
    """The values that stand one after the other. Raises ParseFailed, ParseLimit if they are nested too deep."""
    at = _visible_from(text, 0)
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno + first_line - 1}, column {error.colno}"
            raise ParseFailed(f"invalid JSON at {place}: {error.msg}") from error
        except RecursionError as error:
            raise ParseLimit("the JSON is nested too deep") from error
        yield value
        at = _visible_from(text, end)


def _visible_from(text: str, at: int) -> int:
    visible = _VISIBLE.search(text, at)
    return len(text) if visible is None else visible.start()


def _title(value: Any) -> str | None:
    title = value.get("title") if isinstance(value, dict) else None
    return title if isinstance(title, str) else None


def _records(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts that are blocks of their own, with the path to each."""
    if isinstance(value, list):
        yield from (("", part) for part in value)
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, list) and not _is_flat(part):
                yield from ((f"{key}[{index}]", member) for index, member in enumerate(part))
            else:
                yield key, part
    else:
        yield "", value


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


class _RecordWriter:
    """Writes records as blocks, and values that stand between them together."""

    def __init__(self, characters: int):
        self.writer = BlockWriter()
        self._allowance = Allowance(characters)
        self._lines: list[str] = []
        self._is_gathering = False

    def write(self, path: str, value: Any) -> None:
        """A record, or a value that belongs to none."""
        is_record = isinstance(value, dict | list)
        if is_record or not self._is_gathering or len(self._lines) >= _GATHERED_LINES:
            self._end_block()
        self._is_gathering = not is_record
        for name, text in leaves(value, path):
            self._add_line(f"{name}: {text}" if name else text)
        if is_record:
            self._end_block()

    def write_broken(self, line: str) -> None:
        """A line that is no JSON."""
        self._end_block()
        self.writer.add(BlockKind.PARAGRAPH, self._allowance.take(line))

    def finish(self) -> BlockWriter:
        """The blocks."""
        self._end_block()
        return self.writer

    def _add_line(self, line: str) -> None:
        self._allowance.take(line)
        if len(line) <= _PROSE_CHARACTERS:
            self._lines.append(line)
            return
        self._end_block()
        self.writer.add(BlockKind.PARAGRAPH, line)

    def _end_block(self) -> None:
        self.writer.add(BlockKind.TABLE, "\n".join(self._lines))
        self._lines = []


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of all that is not empty, in order. Plain values in an array share a line."""
    pending = [(path, value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending.extend(reversed([(_below(path, key), part) for key, part in value.items()]))
        elif isinstance(value, list) and not _is_flat(value):
            pending.extend(reversed([(f"{path}[{at}]", part) for at, part in enumerate(value)]))
        elif text := _shown_list(value) if isinstance(value, list) else _shown(value):
            yield path, text


def _below(path: str, key: str) -> str:
    path = f"{path}.{key}" if path else key
    return path if len(path) <= _LONGEST_PATH else "…" + path[1 - _LONGEST_PATH :]


def _shown_list(values: list[Any]) -> str:
    return ", ".join(filter(None, map(_shown, values)))


def _shown(value: Any) -> str:
    """Of a string (numbers are strings here), a truth value or None."""
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else str(value).lower()
