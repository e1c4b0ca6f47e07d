"""What an OLE container is, by the names in the first block of its directory: workbooks and mails are both of this kind.

Layout: [MS-CFB] 2.2 (header) and 2.6.1 (directory entry). Only the parser, in a process of its own, reads all of it.
"""

import struct
from typing import BinaryIO

OLE = "application/x-ole-storage"
OUTLOOK = "application/vnd.ms-outlook"
EXCEL = "application/vnd.ms-excel"

_HEADER = struct.Struct("<30xH16xI")  # the sector's size as a power of two, and the directory's first sector
_HEADER_BYTES = 512
_SHIFTS = (9, 12)
_ENTRY_BYTES = 128
_NAME_BYTES = 64
_READ_BYTES = (
    8192  # the directory is in one piece in nearly all files, with the names below the root in front
)
_STATED = {"__properties_version1.0": OUTLOOK, "workbook": EXCEL, "book": EXCEL}
_OTHERS = frozenset({"encryptedpackage", "worddocument", "powerpoint document", "visiodocument"})


def ole_kind_of(file: BinaryIO) -> str:
    """`OUTLOOK`, `EXCEL`, or `OLE` for all else: also where names of two kinds are found, since documents can be
    embedded in each other."""
    names = _first_names(file)
    kinds = {_STATED[name] for name in names & _STATED.keys()}
    return kinds.pop() if len(kinds) == 1 and not names & _OTHERS else OLE


def _first_names(file: BinaryIO) -> frozenset[str]:
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return frozenset()
    shift, sector = _HEADER.unpack_from(header)
    if shift not in _SHIFTS:
        return frozenset()
    file.seek((sector + 1) << shift)
    block = file.read(_READ_BYTES)
    return frozenset(_name(block[at : at + _NAME_BYTES]) for at in range(0, len(block), _ENTRY_BYTES))


def _name(raw: bytes) -> str:
    return raw.decode("utf-16-le", "replace").partition("\0")[0].lower()
