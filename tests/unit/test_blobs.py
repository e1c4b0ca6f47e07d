"""What is particular to a blob store that is a folder."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from ragstone.core.errors import Unavailable
from ragstone.storage.blobs import FileBlobStore

CONTENT = b"the bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path) -> FileBlobStore:
    return FileBlobStore(root)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


async def test_a_blob_lies_under_its_hash(blobs: FileBlobStore, root: Path) -> None:
    await blobs.put(CONTENT)
    assert blobs.path(SHA256) == root / SHA256[:2] / SHA256[2:]


async def test_a_damaged_blob_is_replaced_by_the_same_bytes(blobs: FileBlobStore) -> None:
    await blobs.put(CONTENT)
    blobs.path(SHA256).write_bytes(b"the bytez")

    await blobs.put(CONTENT)

    assert await blobs.read(SHA256) == CONTENT


async def test_files_and_folders_are_private_whatever_the_umask(root: Path) -> None:
    before = os.umask(0)
    try:
        blobs = FileBlobStore(root)
        spool = blobs.new_spool()
        spool.write_bytes(CONTENT)
        await blobs.put_file(spool, SHA256)
    finally:
        os.umask(before)
    assert mode(blobs.path(SHA256)) == 0o600
    assert {mode(folder) for folder in (root, root / "spool", root / SHA256[:2])} == {0o700}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../../etc/passwd",
        SHA256.upper(),
        SHA256[:-1],
        SHA256 + "0",
        SHA256[:-1] + "\n",
        "a/" * 32,
        "é" * 64,
    ],
)
async def test_only_a_hash_names_a_blob(blobs: FileBlobStore, tmp_path: Path, name: str) -> None:
    spool = blobs.new_spool()
    spool.write_bytes(CONTENT)
    with pytest.raises(ValueError, match="not a SHA-256"):
        await blobs.put_file(spool, name)
    for call in (blobs.read, blobs.exists, blobs.delete):
        with pytest.raises(ValueError, match="not a SHA-256"):
            await call(name)
    assert files_below(tmp_path) == {spool.name}


async def test_opening_removes_what_was_left_in_the_spool_and_nothing_else(
    blobs: FileBlobStore, root: Path
) -> None:
    await blobs.put(CONTENT)
    blobs.new_spool().write_bytes(b"half of an upload")
    (root / "spool" / "a folder").mkdir()
    reopened = FileBlobStore(root)
    assert [path.name for path in (root / "spool").iterdir()] == ["a folder"]
    assert await reopened.read(SHA256) == CONTENT


async def test_strangers_in_the_folder_are_not_listed(blobs: FileBlobStore, root: Path) -> None:
    await blobs.put(CONTENT)
    (root / "lost+found").mkdir()
    (root / "ff").write_text("a file with a folder's name")
    (root / SHA256[:2] / ".DS_Store").write_text("x")
    (root / SHA256[:2] / ("0" * 62)).mkdir()
    (root / SHA256[:2] / ("1" * 62)).symlink_to("/etc/passwd")
    assert [sha256 for sha256, _ in await blobs.list()] == [SHA256]


async def test_a_disk_that_refuses_is_unavailable_and_leaves_no_litter(
    blobs: FileBlobStore, root: Path
) -> None:
    (root / SHA256[:2]).write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be used"):
        await blobs.put(CONTENT)
    assert list((root / "spool").iterdir()) == []


async def test_a_stored_blob_survives_being_received_again(blobs: FileBlobStore) -> None:
    await blobs.put(CONTENT)
    first = blobs.path(SHA256).stat().st_ino
    await blobs.put(CONTENT)
    assert blobs.path(SHA256).stat().st_ino == first
