"""Writes the table of docs/openai.md that says what becomes of each of OpenAI's parameters, from the table that requests are
sorted by, or checks that it is up to date.

`python -m tools.parameter_table` rewrites the table, `--check` only compares and exits 1 on a difference.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from ragstone.api.openai.parameters import ALL, Parameters
from tools.generated import DOCS, GeneratedTable

PAGE = DOCS / "openai.md"
BEGIN, END = "<!-- generated: parameters -->", "<!-- end generated -->"
HEAD = ("| Operation | Parameter | What becomes of it |", "| --- | --- | --- |")


def parameter_table() -> GeneratedTable:
    """A row a parameter."""
    rows = (row for parameters in ALL for row in _rows(parameters))
    return GeneratedTable(PAGE, BEGIN, END, "the dialect's parameters", (*HEAD, *rows))


def _rows(parameters: Parameters) -> Iterator[str]:
    told = {
        **{name: f"honoured: {what}" for name, what in parameters.honoured.items()},
        **{name: f"ignored: {why}" for name, why in parameters.ignored.items()},
        **{name: _refused(harmless) for name, harmless in parameters.refused.items()},
    }
    for name in sorted(told):
        yield f"| {_operation(parameters)} | `{name}` | {told[name].replace('|', chr(92) + '|')} |"


def _operation(parameters: Parameters) -> str:
    return f"`{parameters.operation}`" if parameters.operation[:4] == "POST" else parameters.operation


def _refused(harmless: tuple[Any, ...]) -> str:
    if not harmless:
        return "refused"
    return f"refused, but for {', '.join(f'`{json.dumps(value)}`' for value in harmless)}"


if __name__ == "__main__":
    sys.exit(parameter_table().main(sys.argv[1:]))
