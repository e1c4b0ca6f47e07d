"""Files that are copied, linked and replaced."""

import errno
import os
from pathlib import Path

import pytest

from ragstone.core.files import clear, copy_file, copy_tree, link_or_copy, sha256_of, write_durably

SPARSE_BYTES = 8 << 20


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A large file of little content, with a hole at its end."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"head")
        file.seek(SPARSE_BYTES // 2 + 7)
        file.write(b"middle")
        file.truncate(SPARSE_BYTES)
    return path


def test_a_copy_has_the_same_bytes_and_keeps_the_holes(sparse: Path, tmp_path: Path) -> None:
    copy_file(sparse, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == sparse.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks * 512 < SPARSE_BYTES / 8


@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 100_000, b"a" * 100_000, b"\0" * 65_536 + b"a"])
def test_a_copy_is_exact_at_every_length(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(content)

    copy_file(tmp_path / "source", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == content


def test_a_tree_is_copied_with_its_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "deep").mkdir()
    (tmp_path / "tree" / "deep" / "leaf").write_text("leaf")

    copy_tree(tmp_path / "tree", tmp_path / "new" / "copy")

    assert (tmp_path / "new" / "copy" / "empty").is_dir()
    assert (tmp_path / "new" / "copy" / "deep" / "leaf").read_text() == "leaf"


def test_on_one_file_system_a_link_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("content")

    link_or_copy(tmp_path / "source", tmp_path / "other")
    link_or_copy(tmp_path / "source", tmp_path / "other")

    assert (tmp_path / "other").samefile(tmp_path / "source")


def test_where_no_link_can_be_made_the_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "source").write_text("content")
    (tmp_path / "other.new").write_text("left by a crash")

    link_or_copy(tmp_path / "source", tmp_path / "other")

    assert not (tmp_path / "other").samefile(tmp_path / "source")
    assert (tmp_path / "other").read_text() == "content"
    with pytest.raises(OSError, match="cross-device"):
        link_or_copy(tmp_path / "nothing", tmp_path / "third")


def test_what_is_not_there_cannot_be_linked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "nothing", tmp_path / "other")


def test_a_file_is_replaced_in_one_step_whatever_lay_beside_it(tmp_path: Path) -> None:
    (tmp_path / "record.new").write_text("left by a crash")

    write_durably(tmp_path / "record", b"one")
    write_durably(tmp_path / "record", b"two")

    assert [path.name for path in tmp_path.iterdir()] == ["record"]
    assert (tmp_path / "record").read_bytes() == b"two"
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_clearing_a_folder_leaves_what_is_named_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("keep me")
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "kept").write_text("kept")

    clear(folder, keep=frozenset({"kept"}))

    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea")
