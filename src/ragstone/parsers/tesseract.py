"""Words in pictures, read by tesseract where it is installed: a program of its own, under the worker's limits.

It inherits that it may write no file and how much memory it may take, gets what is left of the processor time, and
ends with the worker, whose process group it is in.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from math import ceil
from typing import NamedTuple

from ragstone.core.errors import ParseFailed, ParseLimit
from ragstone.parsers.bounds import Limits

HINT = "pictures are read where tesseract is installed (Debian's tesseract-ocr)"
_PROGRAM = "tesseract"
_OWN = {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"}  # its threads make it slower, and hide what it takes
_WORD = "5"  # the level of a row
_COLUMNS = 12
_OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)
_OUT_OF_MEMORY = (b"alloc", b"requested bytes")
_NO_LANGUAGE = b"Failed loading language"


class Line(NamedTuple):
    """One line of a picture. Lines of equal `paragraph` belong together; pages count from 1."""

    page: int
    paragraph: tuple[str, ...]
    text: str


def is_installed() -> bool:
    """Whether pictures can be read."""
    return shutil.which(_PROGRAM) is not None


class Tesseract:
    """For one document, whose processor time it counts from its making on."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._before_s = _cpu_s()

    def lines(self, picture: bytes) -> Iterator[Line]:
        """In reading order. The picture must begin as one of a format that tesseract knows: anything else it takes for
        a list of files to open. Raises ParseFailed, ParseLimit."""
        words = (row for row in self._table(picture) if row[0] == _WORD and row[-1].strip())
        for (page, block, paragraph, _), row_of_words in groupby(words, lambda row: tuple(row[1:5])):
            text = " ".join(row[-1] for row in row_of_words)
            yield Line(int(page), (page, block, paragraph), text)

    def _table(self, picture: bytes) -> Iterator[list[str]]:
        """Rows: level, page, block, paragraph, line, word, four of the place, confidence, text."""
        printed = self._run(picture).decode("utf-8", "replace")
        for line in printed.split("\n")[1:]:
            row = line.split("\t", _COLUMNS - 1)
            if len(row) == _COLUMNS:
                yield row

    def _run(self, picture: bytes) -> bytes:
        command = (_PROGRAM, "stdin", "stdout", "-l", self._limits.ocr_languages, "tsv")
        left_s = self._limits.cpu_s - (_cpu_s() - self._before_s)
        if left_s <= 0:
            raise self._out_of_time()
        with subprocess.Popen(  # noqa: S603  # a fixed program; the languages are checked as a setting
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_OWN},
        ) as process:
            _limit_cpu(process.pid, ceil(left_s))
            printed, complaint = process.communicate(picture)
        if process.returncode != 0:
            raise self._failure(process.returncode, complaint)
        return printed

    def _failure(self, code: int, complaint: bytes) -> ParseFailed | ParseLimit:
        if code in _OUT_OF_TIME:
            return self._out_of_time()
        if any(mark in complaint for mark in _OUT_OF_MEMORY):
            return ParseLimit(
                f"reading a picture needs more than {self._limits.memory_bytes // 2**20} MiB of memory"
            )
        if _NO_LANGUAGE in complaint:
            return ParseFailed(
                f"tesseract has not all of the languages {self._limits.ocr_languages!r} of RAGSTONE_OCR_LANGUAGES"
            )
        return ParseFailed("the picture is damaged, or of a kind that tesseract does not read")

    def _out_of_time(self) -> ParseLimit:
        return ParseLimit(
            f"reading the pictures needs more than {self._limits.cpu_s:g} s of processor time, the limit that "
            "RAGSTONE_PARSE_CPU_SECONDS sets"
        )


def _cpu_s() -> float:
    """Of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _limit_cpu(pid: int, seconds: int) -> None:
    """Where the system cannot, the worker's own limit, which it inherited, holds for each picture."""
    if sys.platform == "linux":
        try:
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))
        except ProcessLookupError:  # it is done already
            return
