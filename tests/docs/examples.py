"""Examples of the documentation: every block of commands or Python on a page, and what must come out of it."""

import re
from dataclasses import dataclass, field

_PARTS = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```(?P<language>sh|bash|python)\n(?P<script>.*?)^```$"
    r"|<!-- expect: (?P<expected>.+?) -->",
    re.M | re.S,
)
_STARTS_A_SERVER = re.compile(r"\bragstone (?:serve|fake-llm)\b")


@dataclass
class Example:
    """A block, what its output must hold, and why it is not run if it is not."""

    script: str
    is_python: bool = False
    not_run: str | None = None
    expected: list[str] = field(default_factory=list)

    @property
    def is_server(self) -> bool:
        """Whether it goes on until it is stopped."""
        return _STARTS_A_SERVER.search(self.script) is not None

    @property
    def is_step(self) -> bool:
        """Whether it is run as a step of its page."""
        return self.not_run is None and not self.is_server


def examples(page: str) -> list[Example]:
    """The blocks in order; an `expect` belongs to the block before it."""
    found: list[Example] = []
    for part in _PARTS.finditer(page):
        if part["script"] is not None:
            found.append(Example(part["script"], part["language"] == "python", part["reason"]))
        else:
            found[-1].expected.append(part["expected"])
    return found
