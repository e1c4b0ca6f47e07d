"""What a PromQL expression names: series and the labels it asks of them. Enough for rules and dashboards of our own."""

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()")
_WORDS = frozenset(
    [
        "and",
        "or",
        "unless",
        "bool",
        "offset",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "inf",
        "nan",
        "e1",
        "e6",
        "e9",
    ]
)


def series_and_labels(expression: str) -> tuple[set[str], dict[str, set[str]]]:
    """Names of series, and for each selected one the labels in its braces."""
    plain = _RANGE.sub("", _STRING.sub('""', expression))
    asked: dict[str, set[str]] = {}
    for name, matchers in _SELECTOR.findall(plain):
        asked.setdefault(name, set()).update(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", matchers))
    bare = _GROUPING.sub("", _SELECTOR.sub(r"\1", plain))
    return {name for name in _NAME.findall(bare) if name not in _WORDS}, asked


def grouped_by(expression: str) -> set[str]:
    """Labels that results are grouped by."""
    plain = _STRING.sub('""', expression)
    return {
        label.strip() for found in _GROUPING.findall(plain) for label in found.split(",") if label.strip()
    }
