"""The process dies at every named point of a backup or a restore: there is a whole one, the old or the new, or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.core.files import copy_tree
from ragstone.services import backup as backup_service
from ragstone.storage import backup_folder, restoring
from ragstone.storage.restoring import restore
from tests.crash.at_rest import consistency_violations
from tests.crash.harness import CrashServer, Gone, settle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

POINTS = (*backup_service.CRASH_POINTS, *backup_folder.CRASH_POINTS)
SEALED = ("backup.after_record", "backup.cleared")
RESTORE = "import sys; from pathlib import Path; from ragstone.storage.restoring import restore; "
RESTORE += "restore(Path(sys.argv[1]), Path(sys.argv[2]), command='restore')"


def text_of(source: str) -> str:
    return f"The text of {source}.\n\nIts mark is mark{source}x."


def fill(server: CrashServer, source: str) -> None:
    """Upload the source's text and wait until it is searchable."""
    server.http.post("/documents", json={"text": text_of(source), "source": source}).raise_for_status()
    assert settle(server) == []


def back_up(server: CrashServer, folder: Path) -> None:
    reply = server.http.post("/admin/backups", json={"directory": str(folder)})
    assert reply.status_code == 201, reply.text


def texts_of(data_dir: Path) -> dict[str, str]:
    """Source → text of what a server on the directory serves; each is found by its mark."""
    server = CrashServer(data_dir)
    assert settle(server) == []
    found = {}
    for item in server.http.get("/documents").json()["items"]:
        source = item["source"]
        found[source] = server.http.get(f"/documents/{item['id']}/text").text
        search = {"query": f"mark{source}x", "mode": "sparse"}
        assert source in server.http.post("/search", json=search).json()["results"][0]["text"]
    assert server.disagreements() == []
    assert server.stop() == 0
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data directory at rest and its backup."""
    root = tmp_path_factory.mktemp("first")
    server = CrashServer(root / "data")
    fill(server, "one")
    back_up(server, root / "backup")
    assert server.stop() == 0
    return root


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    """A copy of the backup; the data directory lies beside it."""
    for name in ("data", "backup"):
        copy_tree(first / name, tmp_path / name)
    return tmp_path / "backup"


@pytest.mark.parametrize("point", POINTS)
def test_a_backup_that_dies_leaves_a_whole_one(point: str, folder: Path, tmp_path: Path) -> None:
    server = CrashServer(tmp_path / "data", crash_at=point)
    fill(server, "two")

    with pytest.raises(Gone):
        back_up(server, folder)
    server.wait()

    restored = restore(folder, tmp_path / "new", command="test")
    found = texts_of(tmp_path / "new")
    assert found == {source: text_of(source) for source in (["one", "two"] if point in SEALED else ["one"])}
    assert restored.documents == len(found)


def test_the_next_backup_is_whole_and_clears_away_what_a_dead_one_left(folder: Path, tmp_path: Path) -> None:
    server = CrashServer(tmp_path / "data", crash_at="backup.vectors_copied")
    fill(server, "two")
    with pytest.raises(Gone):
        back_up(server, folder)
    server.wait()
    assert len(list(folder.glob("state-*"))) == 2

    again = CrashServer(tmp_path / "data")
    back_up(again, folder)
    assert again.stop() == 0

    assert len(list(folder.glob("state-*"))) == 1
    assert restore(folder, tmp_path / "new", command="test").documents == 2
    assert consistency_violations(tmp_path / "new") == []


@pytest.mark.parametrize("point", restoring.CRASH_POINTS)
def test_a_restore_that_dies_leaves_nothing_or_all(point: str, first: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    command = [sys.executable, "-c", RESTORE, str(first / "backup"), str(target)]
    died = subprocess.run(command, env={**os.environ, "CRASH_AT": point}, check=False)

    assert died.returncode == -9
    assert target.exists() == (point == "restore.after_rename")
    if not target.exists():
        restore(first / "backup", target, command="test")
    assert consistency_violations(target) == []
    assert {path.name for path in tmp_path.iterdir()} == {"new"}
