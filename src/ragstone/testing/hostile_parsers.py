"""Parsers that misbehave, to be named by import path in a worker pool: each is one way in which a document can hurt
the process that reads it."""

import os
import signal
import time

from ragstone.core.models import Block, BlockKind, ChildDocument, ParsedDocument


class SuicidalParser:
    """Dies by SIGKILL, as if the kernel had run out of memory or a library had crashed."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Never returns."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class QuittingParser:
    """Leaves the process behind the worker's back."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Never returns."""
        os._exit(3)


class SleepingParser:
    """Waits for ever without using the processor."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Never returns."""
        while True:
            time.sleep(60)


class SpinningParser:
    """Uses the processor for ever."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Never returns."""
        while True:
            pass


class GreedyParser:
    """Takes memory until there is no more."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Ends in a MemoryError."""
        taken: list[bytearray] = []
        while True:
            taken.append(bytearray(2**24))


class VerboseParser:
    """Gives back a hundred times what it got, and prints as much besides."""

    def parse(self, content: bytes) -> ParsedDocument:
        """One paragraph."""
        text = content.decode() * 100
        print(text)  # noqa: T201  # what a library prints must not reach the pipe
        return ParsedDocument(text, (Block(BlockKind.PARAGRAPH, 0, len(text)),))


class DefectiveParser:
    """Raises what no parser should."""

    def parse(self, content: bytes) -> ParsedDocument:
        """Never returns."""
        raise IndexError("a secret of the document")


class ProlificParser:
    """Finds a hundred children of a megabyte each."""

    def parse(self, content: bytes) -> ParsedDocument:
        """A paragraph, and the children."""
        return _with_children(100, bytes(2**20))


class OverfullParser:
    """Finds more children than there may be, as one that a document has taken over would."""

    def parse(self, content: bytes) -> ParsedDocument:
        """A paragraph, and the children."""
        return _with_children(1_001, b"")


def _with_children(count: int, content: bytes) -> ParsedDocument:
    children = tuple(ChildDocument(f"{number}", content) for number in range(count))
    return ParsedDocument("text", (Block(BlockKind.PARAGRAPH, 0, 4),), children=children)
