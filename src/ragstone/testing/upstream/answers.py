"""What the scripted model says. It understands nothing: it quotes, obeys or repeats, always in the same way."""

import re
from collections.abc import Iterator, Sequence

from ragstone.core.sentences import SHORTEST, line_sentences, unwrapped_lines
from ragstone.core.text import readable

DEFAULT = "This is a scripted answer."
REWRITES = "stand-alone"  # a system message with this word asks for a question without its conversation
TOKEN_CHARACTERS = 4

_ORDER = re.compile(r"FAKE-LLM-SAY:[ \t]*([^\r\n]+)")
_OPENING = re.compile(r"<<<source (\d+) ([0-9a-f]+)>>>")
_TERMINATORS = ".!?…。！？"
_CLOSERS = "\"'”’»)]*_」』”’）】"

Spoken = tuple[str, str]
"""The role and the text of a message."""


def compose(messages: Sequence[Spoken]) -> str:
    """Obey an order in any message, the latest first; else quote the sources of the last user message; else repeat the
    question that is to be rewritten."""
    for _, text in reversed(messages):
        if order := _ORDER.search(text):
            return order[1].strip()
    asked = next((text for role, text in reversed(messages) if role == "user"), "")
    if sources := dict(_numbered_sources(asked)):
        return _quote(sources)
    if any(role in ("system", "developer") and REWRITES in text for role, text in messages):
        return next((line.strip() for line in reversed(asked.splitlines()) if line.strip()), DEFAULT)
    return DEFAULT


def tokens_of(text: str) -> list[str]:
    """Pieces that make up the text again, as small as those of real models."""
    return [text[start : start + TOKEN_CHARACTERS] for start in range(0, len(text), TOKEN_CHARACTERS)]


def count_tokens(text: str) -> int:
    """How many tokens the text has."""
    return -(-len(text) // TOKEN_CHARACTERS)


def _quote(sources: dict[int, str]) -> str:
    quoted = ((number, _first_sentence(sources[number])) for number in (1, 2) if number in sources)
    return " ".join(f"{sentence} [{number}]" for number, sentence in quoted if sentence) or DEFAULT


def _numbered_sources(message: str) -> Iterator[tuple[int, str]]:
    """The text between each pair of delimiters. The first nonce counts: with another one they are text."""
    nonce, number, lines = "", 0, list[str]()
    for line in message.split("\n"):
        if number and line == f"<<<end {number} {nonce}>>>":
            yield number, "\n".join(lines)
            number = 0
        elif number:
            lines.append(line)
        elif (opening := _OPENING.fullmatch(line)) and nonce in ("", opening[2]):
            number, nonce, lines = int(opening[1]), opening[2], []


def _first_sentence(source: str) -> str:
    """The first sentence that ends as one and says something, below the line of titles; else the first line."""
    _, _, body = source.partition("\n")
    body = body if body.strip() else source
    lines = list(unwrapped_lines(body, 0, len(body)))
    for line in lines:
        for start, end in line_sentences(body, *line):
            sentence = body[start:end]
            if sentence.rstrip(_CLOSERS).endswith(tuple(_TERMINATORS)) and len(sentence.encode()) >= SHORTEST:
                return readable(sentence)
    return readable(body[slice(*lines[0])]) if lines else ""
