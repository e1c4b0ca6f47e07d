"""Jupyter notebooks, formats 3 and 4: prose as Markdown, code and what it printed as code; images are left out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ragstone.core.errors import ParseFailed
from ragstone.core.models import BlockKind, ParsedDocument
from ragstone.parsers.blocks import BlockWriter
from ragstone.parsers.bounds import Allowance, BoundedParser
from ragstone.parsers.decoding import clean
from ragstone.parsers.json import json_text, json_values
from ragstone.parsers.markdown import write_markdown

_COLOUR = re.compile("\x1b\\[[0-9;?]{0,32}[A-Za-z]")
# What Python prints of an object that only shows as a picture: no text of the notebook's.
_PLACEHOLDER = re.compile(r"<[\w.]++ (?:object|at 0x|size )[^<>\n]{0,200}>|<[\w.]{1,200}>")
_TEXTS = ("text/markdown", "text/plain", "text")  # "text" in format 3


class NotebookParser(BoundedParser):
    """Implements `Parser` for application/x-ipynb+json."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Raises NoText, ParseFailed with line and column, ParseLimit."""
        text, encoding = json_text(content)
        notebook = next(json_values(text))
        if not isinstance(notebook, dict):
            raise ParseFailed("the notebook is no JSON object")
        writer, allowance = BlockWriter(), Allowance(self.limits.characters)
        for cell in _cells(notebook):
            _write_cell(cell, writer, allowance)
        return writer.finish(title=writer.first_title or _title(notebook), encoding=encoding)


def _cells(notebook: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    parts = [notebook, *_objects(notebook.get("worksheets"))]
    if not any(isinstance(part.get("cells"), list) for part in parts):
        raise ParseFailed("the notebook has no list of cells")
    for part in parts:
        yield from _objects(part.get("cells"))


def _objects(values: object) -> Iterator[Mapping[str, Any]]:
    """Those members of a list that are objects; what is not, is none of the format's."""
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, dict))


def _title(notebook: Mapping[str, Any]) -> str | None:
    metadata = notebook.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else None
    return title if isinstance(title, str) else None


def _write_cell(cell: Mapping[str, Any], writer: BlockWriter, allowance: Allowance) -> None:
    source = allowance.take(clean(_text(cell.get("source", cell.get("input")))))
    match cell.get("cell_type"):
        case "markdown":
            write_markdown(source, writer)
        case "heading":
            level = cell.get("level")
            writer.add_heading(int(level) if level in tuple("123456") else 1, source)
        case "code":
            writer.add(BlockKind.CODE, source)
            for output in _objects(cell.get("outputs")):
                writer.add(BlockKind.CODE, allowance.take(_printed(_output(output))))
        case _:
            writer.add(BlockKind.CODE, source)


def _output(output: Mapping[str, Any]) -> str:
    """What a reader can read of it."""
    if output.get("output_type") == "error":
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    bundle = output.get("data")
    texts = {**output, **bundle} if isinstance(bundle, dict) else output
    text = next((text for kind in _TEXTS if (text := _text(texts.get(kind)))), "")
    return "" if _PLACEHOLDER.fullmatch(text.strip()) else text


def _printed(text: str) -> str:
    """As a terminal leaves it: without colours, and of a line that was written over the last state."""
    lines = _COLOUR.sub("", text).split("\n")
    return "\n".join(line.removesuffix("\r").rpartition("\r")[2] for line in lines)


def _text(value: object) -> str:
    """A string, or a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
