"""Writes the settings into `.env.example`, and their names into docker-compose.yml, which passes them on to the API.

`python -m tools.environment` rewrites both, `--check` only compares and exits 1 on a difference.
"""

import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from ragstone.config.settings import Settings, setting_names
from tools.generated import GeneratedTable

ROOT = Path(__file__).parents[1]
BEGIN, END = "# settings:begin", "# settings:end"
WIDTH = 110
INDENT = " " * 4
# The image and the compose file decide about these.
FIXED = frozenset(("RAGSTONE_DATA_DIR", "RAGSTONE_HOST", "RAGSTONE_PORT", "QDRANT_URL"))


def env_example() -> GeneratedTable:
    """A paragraph a setting: what it means, and its default as a comment."""
    paragraphs = ("\n".join(_paragraph(field)) for field in Settings.model_fields.values())
    return GeneratedTable(ROOT / ".env.example", BEGIN, END, "the settings", ("\n\n".join(paragraphs),))


def compose_environment() -> GeneratedTable:
    """A name a line: compose takes the value from its own environment or from `.env`, or leaves the name out."""
    lines = tuple(f"{INDENT}- {name}" for name in setting_names() if name not in FIXED)
    return GeneratedTable(
        ROOT / "docker-compose.yml", f"{INDENT}{BEGIN}", f"{INDENT}{END}", "the settings", lines
    )


def main(arguments: list[str]) -> int:
    """Both files; 1 if one of them differs and was not to be written."""
    return max(env_example().main(arguments), compose_environment().main(arguments))


def _paragraph(field: FieldInfo) -> list[str]:
    meaning = textwrap.wrap(field.description or "", WIDTH - 2)
    return [*(f"# {line}" for line in meaning), f"#{field.validation_alias}={_written(field.default)}"]


def _written(default: Any) -> str:
    """A default as it stands in the environment; nothing where there is none."""
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default.total_seconds():g}" if isinstance(default, timedelta) else str(default)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
