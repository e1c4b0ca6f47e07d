"""`ragstone backup` and `ragstone restore`, on a directory at rest."""

import re
from pathlib import Path

import pytest

from ragstone import vector_opening
from ragstone.config.settings import setting_names
from ragstone.storage.data_directory import DataDirectory
from tests.unit.test_cli import run, run_main

TEXT = "Refunds are paid within fourteen days of the return."


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(vector_opening.EMBEDDERS, "minilm", "tests.unit.test_cli:hashing")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The default data directory with one document."""
    (tmp_path / "refunds.txt").write_text(TEXT)
    assert run("ingest", "refunds.txt").exit_code == 0
    return tmp_path / "ragstone-data"


def test_what_was_backed_up_is_restored_and_checked(filled: Path, tmp_path: Path) -> None:
    made = run("backup", "backup")
    restored = run("restore", "backup", "--data-dir", "new")

    assert made.exit_code == 0, made.output
    assert f"1 documents are backed up in {tmp_path / 'backup'}: 1 originals and texts" in made.output
    assert restored.exit_code == 0, restored.output
    assert "Restored 1 documents" in restored.output
    assert "all agree" in restored.output
    assert TEXT in run("search", "refunds", "--data-dir", "new", "--json").output


def test_a_lost_original_is_said_and_the_exit_status_tells(filled: Path) -> None:
    for blob in (filled / "blobs").glob("??/*"):
        blob.unlink()

    made = run("backup", "backup")

    assert made.exit_code == 1
    assert "1 originals or texts are missing or damaged" in made.output


def test_the_doctor_names_the_documents_whose_original_is_lost(filled: Path) -> None:
    for blob in (filled / "blobs").glob("??/*"):
        blob.unlink()

    found = run("doctor")

    assert found.exit_code == 1
    assert re.search(r"original missing: document [0-9a-f-]{36}, version 1\n", found.output)


def test_where_there_is_no_data_directory_none_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "backup", "backup") == 1
    assert "nothing to back up" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_refusal_is_one_sentence(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("backup", "backup")

    assert run_main(monkeypatch, "restore", "backup") == 1
    assert "is not empty" in capsys.readouterr().err
    assert run_main(monkeypatch, "backup", "ragstone-data/backup") == 1
    assert "backup_folder_refused" in capsys.readouterr().err


def test_a_directory_in_use_is_not_restored_into(
    filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("backup", "backup")
    held = DataDirectory.open(tmp_path / "new", command="ragstone serve")

    assert run_main(monkeypatch, "restore", "backup", "--data-dir", "new") == 1

    assert "in use by 'ragstone serve'" in capsys.readouterr().err
    held.close()
