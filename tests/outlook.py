"""Writes the files that Outlook saves mails as, small and plain."""

import struct
from collections.abc import Mapping
from typing import Union

Tree = Mapping[str, Union[bytes, "Tree"]]

SECTOR = 512
_CUTOFF = 4096  # streams that are shorter share sectors
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
STRING, STRING8, BINARY, INTEGER = 0x001F, 0x001E, 0x0102, 0x0003


def ole(tree: Tree) -> bytes:
    """A compound file with these storages and streams."""
    entries: list[tuple[str, int, int, bytes]] = [
        ("Root Entry", 5, 0, b"")
    ]  # name, type, first child, content
    siblings: dict[int, int] = {}

    def add(children: Tree, parent: int) -> None:
        before = None
        for name, content in children.items():
            number = len(entries)
            kind = 2 if isinstance(content, bytes) else 1
            entries.append((name, kind, _FREE, content if isinstance(content, bytes) else b""))
            if before is None:
                entries[parent] = (*entries[parent][:2], number, entries[parent][3])
            else:
                siblings[before] = number
            before = number
            if not isinstance(content, bytes):
                add(content, number)

    entries[0] = ("Root Entry", 5, _FREE, b"")
    add(tree, 0)
    whole, small = _Sectors(SECTOR), _Sectors(64)
    starts = [(small if len(entry[3]) < _CUTOFF else whole).store(entry[3]) for entry in entries]
    shared = b"".join(small.sectors)
    sizes = [len(shared), *(len(entry[3]) for entry in entries[1:])]
    starts[0] = whole.store(shared)
    small_table = whole.store(struct.pack(f"<{len(small.table)}I", *small.table), padding=b"\xff")
    directory = b"".join(
        _entry(name, kind, child, siblings.get(number, _FREE), starts[number], sizes[number])
        for number, (name, kind, child, _) in enumerate(entries)
    )
    directory_start = whole.store(directory)
    small_sectors = -(-len(small.table) * 4 // SECTOR)
    return _file(whole, directory_start, small_table, small_sectors)


class _Sectors:
    def __init__(self, size: int):
        self.sectors: list[bytes] = []
        self.table: list[int] = []
        self._size = size

    def store(self, content: bytes, *, padding: bytes = b"\0") -> int:
        """Returns the number of the first sector."""
        if not content:
            return _END
        size, first = self._size, len(self.sectors)
        pieces = [content[at : at + size].ljust(size, padding) for at in range(0, len(content), size)]
        self.sectors += pieces
        self.table += (*range(first + 1, first + len(pieces)), _END)
        return first


def _entry(name: str, kind: int, child: int, sibling: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    numbers = (len(wide), kind, 1, _FREE, sibling, child, b"", 0, 0, 0, start, size)
    return wide.ljust(64, b"\0") + struct.pack("<HBBIII16sIQQIQ", *numbers)


def _file(whole: _Sectors, directory: int, small_table: int, small_sectors: int) -> bytes:
    count = 1
    while (len(whole.table) + count) * 4 > count * SECTOR:
        count += 1
    first = len(whole.sectors)
    table = [*whole.table, *[_FAT] * count]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, count, directory, 0, _CUTOFF, small_table, small_sectors, _END, 0)
    header += struct.pack("<109I", *range(first, first + count), *[_FREE] * (109 - count))
    packed = struct.pack(f"<{len(table)}I", *table).ljust(count * SECTOR, b"\xff")
    return header + b"".join(whole.sectors) + packed


def storage(
    properties: Mapping[int, tuple[int, bytes | int]], *, header_bytes: int
) -> dict[str, bytes | Tree]:
    """The streams of an object with these properties: type and value by number."""
    segments, streams = bytes(header_bytes), dict[str, bytes | Tree]()
    for pid, (kind, value) in properties.items():
        if isinstance(value, int):
            segments += struct.pack("<HHIQ", kind, pid, 6, value)
            continue
        segments += struct.pack("<HHIII", kind, pid, 6, len(value), 0)
        streams[f"__substg1.0_{pid:04X}{kind:04X}"] = value
    return {"__properties_version1.0": segments, **streams}


def text(value: str) -> tuple[int, bytes]:
    """A property's value."""
    return STRING, value.encode("utf-16-le")


def letter(
    subject: str,
    body: str = "",
    *,
    html: bytes = b"",
    to: str = "Bo <bo@example.org>",
    kind: str = "IPM.Note",
    header_bytes: int = 32,
    attachments: Tree | None = None,
    more: Mapping[int, tuple[int, bytes | int]] | None = None,
) -> dict[str, bytes | Tree]:
    """The streams of a message."""
    name, _, address = to.rstrip(">").partition(" <")
    properties: dict[int, tuple[int, bytes | int]] = {
        0x001A: text(kind),
        0x0037: text(subject),
        0x0C1A: text("Ada"),
        0x5D01: text("ada@example.org"),
        **({0x1000: text(body)} if body else {}),
        **({0x1013: (BINARY, html)} if html else {}),
        **(more or {}),
    }
    recipient = storage({0x3001: text(name), 0x39FE: text(address), 0x0C15: (INTEGER, 1)}, header_bytes=8)
    return {
        **storage(properties, header_bytes=header_bytes),
        "__recip_version1.0_#00000000": recipient,
        **(attachments or {}),
    }


def attached(name: str, content: bytes) -> dict[str, bytes | Tree]:
    """The streams of an attachment."""
    return storage(
        {0x3701: (BINARY, content), 0x3705: (INTEGER, 1), 0x3707: text(name), 0x370E: text("text/plain")},
        header_bytes=8,
    )
