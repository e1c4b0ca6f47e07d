"""What is on disk after a process was killed around each commit, fsync, rename and unlink."""

import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.storage import blobs as blob_module
from ragstone.storage import manifest as manifest_module
from ragstone.storage.blobs import FileBlobStore
from ragstone.storage.manifest import open_manifest
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.rest import (
    assert_at_rest,
    assert_bytes_are_there,
    ingest_all,
    purge_all_with,
)

POINTS = [f"{name}:1" for name in (*manifest_module.CRASH_POINTS, *blob_module.CRASH_POINTS)]
POINTS += [f"{name}_commit:2" for name in ("accept.before", "accept.after", "switch.before", "switch.after")]
POINTS += ["accept.before_commit:3", "blob.after_rename:4", "purge.before_commit:2", "blob.after_unlink:2"]


@pytest.fixture(scope="module")
def graveyard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each point, with what the process left that died there."""
    root = tmp_path_factory.mktemp("graveyard")
    script = Path(__file__).with_name("storage_process.py")
    command = [sys.executable, str(script), "die", str(root), *POINTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "", "points that were never reached"
    return root


class Journal:
    """What the dead process had been told."""

    def __init__(self, folder: Path):
        path = folder / "journal"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        self.accepted = {line[1] for line in lines if line[0] == "accepted"}
        self.ready = {line[1]: int(line[2]) for line in lines if line[0] == "ready"}
        self.deleting = {line[1] for line in lines if line[0] == "deleting"}
        self.deleted = {line[1] for line in lines if line[0] == "deleted"}


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_killed_there_lost_nothing_and_showed_nothing_twice(
    graveyard: Path, point: str
) -> None:
    folder = graveyard / point
    journal = Journal(folder)
    blobs = FileBlobStore(folder / "blobs")
    manifest = await open_manifest(folder / "manifest.sqlite3")
    documents = {document.id: document for document in await all_documents(manifest)}
    assert journal.accepted - journal.deleting <= documents.keys()
    assert not journal.deleted & documents.keys()
    for document_id in journal.ready.keys() & documents.keys():
        assert documents[document_id].version >= journal.ready[document_id]
    await assert_bytes_are_there(manifest, blobs)
    await manifest.recover(max_attempts=3)
    await ingest_all(manifest, blobs)
    await purge_all_with(manifest, blobs)
    await assert_at_rest(manifest, blobs)
    assert {document.id for document in await all_documents(manifest)} == documents.keys()
    await manifest.close()
