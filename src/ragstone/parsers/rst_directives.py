"""Which directives of reStructuredText show what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

DIRECTIVE = re.compile(
    r"\.\. +(?:\|(?P<substitution>[^|]{1,100})\| +)?(?P<name>[A-Za-z][\w.+:-]{0,60}?) ?::(?:\s+(?P<argument>.*))?\Z"
)
_OPTION = re.compile(r":(?P<name>[\w. -]{1,60}):(?:\s+(?P<value>.*))?\Z")

CODE = frozenset(
    str.split(
        "code code-block sourcecode parsed-literal literal doctest testcode testoutput prompt console ipython math"
        " productionlist graphviz digraph graph uml mermaid"
    )
)
UNSEEN = frozenset(
    str.split(
        "toctree contents sectnum include literalinclude raw highlight default-role role default-domain module"
        " currentmodule py:module py:currentmodule meta index title target-notes tabularcolumns testsetup testcleanup"
        " youtube video bibliography automodule autoclass autofunction automethod autosummary header footer date"
    )
)
IMAGES = frozenset(("image", "figure"))
TABLES = frozenset(("table", "csv-table", "list-table"))
_ADMONITIONS = frozenset(
    str.split(
        "attention caution danger error hint important note tip warning seealso todo admonition topic sidebar"
    )
)
_OWN_TITLE = frozenset(("admonition", "topic", "sidebar", "rubric", "centered"))
_TITLES = {"seealso": "See also"}
_VERSIONS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
}


@dataclass(frozen=True, slots=True)
class Directive:
    """A directive in its parts; the body is without its indentation."""

    name: str
    argument: str
    options: dict[str, str]
    body: Sequence[str]

    @property
    def opening(self) -> str:
        """What is shown before the body."""
        if self.name in _VERSIONS:
            version, _, text = self.argument.partition(" ")
            return f"{_VERSIONS[self.name]} {version}: {text}".rstrip(": ")
        if self.name in _ADMONITIONS and self.name not in _OWN_TITLE:
            title = _TITLES.get(self.name, self.name.capitalize())
            return f"{title}: {self.argument}" if self.argument else f"{title}:"
        return self.argument


def read_directive(found: re.Match[str], below: Sequence[str]) -> Directive:
    """The directive that `found` opens; `below` are the indented lines."""
    argument = [(found["argument"] or "").strip()]
    at = 0
    while at < len(below) and below[at].strip() and _OPTION.match(below[at].strip()) is None and argument[0]:
        argument.append(below[at].strip())
        at += 1
    options: dict[str, str] = {}
    while at < len(below) and (option := _OPTION.match(below[at].strip())) is not None:
        options[option["name"]] = option["value"] or ""
        at += 1
    return Directive(found["name"].lower(), " ".join(argument).strip(), options, below[at:])
