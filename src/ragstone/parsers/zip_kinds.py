"""What a zip file is, by the names of its members: office documents and books are zip files too."""

import struct
import zipfile
from typing import BinaryIO

ZIP = "application/zip"
MOST_DIRECTORY_BYTES = 2 * 2**20  # of names and places; a document of 10,000 parts has less than one

_OFFICE = "application/vnd.openxmlformats-officedocument."
_BY_FOLDER = {
    "word/": f"{_OFFICE}wordprocessingml.document",
    "xl/": f"{_OFFICE}spreadsheetml.sheet",
    "ppt/": f"{_OFFICE}presentationml.presentation",
}
_STATED = ("application/epub+zip", "application/vnd.oasis.opendocument.")
_END = b"PK\x05\x06"
_END_BYTES = 22
_LONGEST_COMMENT = 0xFFFF
_DIRECTORY_SIZE = struct.Struct("<12xI")  # behind the mark: four counts, then the directory's size


def zip_kind(file: BinaryIO) -> str:
    """The media type; `ZIP` for an archive of anything else, and for what cannot be read."""
    try:
        if _directory_bytes(file) > MOST_DIRECTORY_BYTES:
            return ZIP
        with zipfile.ZipFile(file) as archive:
            return _kind(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError):
        return ZIP


def _directory_bytes(file: BinaryIO) -> int:
    """As the archive's end says: read before the directory itself, which may be as large as the file."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise zipfile.BadZipFile("no end")
    found: int = _DIRECTORY_SIZE.unpack_from(tail, at)[0]
    return found


def _kind(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if "mimetype" in names:
        info = archive.getinfo("mimetype")
        stated = archive.read(info).decode("ascii", "replace").strip() if info.file_size < 200 else ""
        if stated.startswith(_STATED):
            return stated  # also one that nothing reads: the drawing is no archive
    if "[Content_Types].xml" in names:
        for folder, media_type in _BY_FOLDER.items():
            if any(name.startswith(folder) for name in names):
                return media_type
    return "application/epub+zip" if "META-INF/container.xml" in names else ZIP
