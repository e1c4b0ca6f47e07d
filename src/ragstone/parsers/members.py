"""Files inside a file: what they may be called, how many there may be and how large they may grow."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ragstone.core.errors import UnsafeArchive
from ragstone.core.models import BlockKind, ChildDocument
from ragstone.parsers.blocks import BlockWriter, collapse_spaces
from ragstone.parsers.bounds import MOST_CHILDREN, Limits

_PATH_CHARACTERS = 1_024
_NAME_CHARACTERS = 255  # what file systems take

_DRIVE = re.compile(r"\A[A-Za-z]:")
# Control characters, and marks that make a name read backwards or hide in it.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_SYSTEM_FILES = frozenset((".ds_store", "thumbs.db", "desktop.ini"))


def safe_path(name: str) -> str:
    """The name as a relative path in which no part leads upwards; empty if nothing of it is left."""
    name = _UNSEEN.sub("", name[-4 * _PATH_CHARACTERS :]).replace("\\", "/")
    parts = [_safe_part(part) for part in _DRIVE.sub("", name).split("/")]
    parts = [part for part in parts if part]
    while len(parts) > 1 and sum(map(len, parts)) + len(parts) > _PATH_CHARACTERS:
        parts.pop(0)
    return "/".join(parts)


def is_system_file(path: str) -> bool:
    """Whether file managers left it there: nobody wrote it."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].lower() in _SYSTEM_FILES or parts[-1].startswith("._")


class Children:
    """Collects children under the limits; a name that is taken gets a number."""

    def __init__(self, container: str, limits: Limits):
        self._container = container
        self._limits = limits
        self._children: list[ChildDocument] = []
        self._names: set[str] = set()
        self._bytes = 0

    def require_room(self, size: int) -> None:
        """For one more child of `size` bytes. Raises UnsafeArchive."""
        if len(self._children) >= MOST_CHILDREN:
            raise UnsafeArchive(f"the {self._container} holds more than {MOST_CHILDREN} files")
        if size > self._limits.child_bytes:
            most = self._limits.child_bytes
            raise UnsafeArchive(f"a file in the {self._container} has {size} bytes; at most {most} are read")
        if self._bytes + size > self._limits.children_bytes:
            most = self._limits.children_bytes
            raise UnsafeArchive(f"the files in the {self._container} have more than {most} bytes")

    def add(self, name: str, content: bytes, media_type: str | None = None) -> ChildDocument:
        """The child, under the name that it got. Raises UnsafeArchive."""
        self.require_room(len(content))
        self._bytes += len(content)
        child = ChildDocument(self._free_name(name), content, media_type)
        self._children.append(child)
        return child

    def all(self) -> Sequence[ChildDocument]:
        """In the order in which they came."""
        return self._children

    def name_in(self, writer: BlockWriter) -> None:
        """Say in the text of a mail what was attached to it."""
        if self._children:
            names = ", ".join(child.filename for child in self._children)
            writer.add(BlockKind.PARAGRAPH, f"Attachments: {names}")

    def _free_name(self, name: str) -> str:
        path = PurePosixPath(safe_path(name) or "unnamed")
        free, number = str(path), 2
        while free in self._names:
            # From the count on, not from 2: a thousand equal names must not take half a million steps.
            number = max(number, len(self._names))
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
            number += 1
        self._names.add(free)
        return free


def _safe_part(part: str) -> str:
    part = collapse_spaces(part)
    if not part.strip("."):
        return ""
    if len(part) <= _NAME_CHARACTERS:
        return part
    suffix = PurePosixPath(part).suffix[:20]
    return part[: _NAME_CHARACTERS - len(suffix)].rstrip() + suffix
