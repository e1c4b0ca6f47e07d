"""Writes the settings table of docs/configuration.md from the fields of Settings, or checks that it is up to date.

`python -m tools.settings_table` rewrites the table, `--check` only compares and exits 1 on a difference.
"""

import sys
import types
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ragstone.config.settings import MIB, Settings
from tools.generated import DOCS, GeneratedTable

PAGE = DOCS / "configuration.md"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
HEAD = ("| Setting | Value | Default | Meaning |", "| --- | --- | --- | --- |")
KINDS = {
    bool: "`true` or `false`",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    timedelta: "seconds",
}


def settings_table() -> GeneratedTable:
    """A row a setting."""
    lines = (*HEAD, *(_row(field) for field in Settings.model_fields.values()))
    return GeneratedTable(PAGE, BEGIN, END, "the settings", lines)


def _row(field: FieldInfo) -> str:
    cells = (
        f"`{field.validation_alias}`",
        _kind(field.annotation),
        _default(field.default),
        field.description or "",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _kind(annotation: Any) -> str:
    """How a value of the type is written."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        return "list, separated by commas"
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in parts if part is not types.NoneType)
    return KINDS.get(annotation, "text")


def _default(value: Any) -> str:
    """A default as it would be written in the environment."""
    if value is None or value == () or value == "":
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{value.total_seconds():g}`"
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"`{value}` ({value // MIB} MiB)"
    return f"`{value}`"


if __name__ == "__main__":
    sys.exit(settings_table().main(sys.argv[1:]))
