"""How text is shown."""

import re

_REFERENCE_MARK = re.compile(r"\[\d{1,4}\]")


def readable(text: str) -> str:
    """A sentence as an answer shows it: white space collapsed, numeric reference marks dropped, since `[3]` in an
    answer is a citation."""
    return " ".join(_REFERENCE_MARK.sub("", text).split())
