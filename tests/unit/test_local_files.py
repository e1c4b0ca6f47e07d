"""Which files an ingest finds, and whether they stay as they are while they are read."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragstone.cli.local_files import PIECE_BYTES, FileChanged, SteadyFile, find_files, has_content, source_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docs` in the working directory, with one file."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "docs"
    made.mkdir()
    (made / "a.txt").write_text("a")
    return made


def found(*paths: str | Path, but_not: Path | None = None) -> list[str]:
    return [file.source for file in find_files([Path(path) for path in paths], but_not=but_not).files]


def read_to_end(file: SteadyFile) -> None:
    while file.read(6):
        pass


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


class TestFinding:
    @pytest.mark.parametrize("typed", ["docs", "docs/", "./docs", "docs/."])
    def test_a_source_is_the_path_as_typed_in_its_plain_form(self, typed: str) -> None:
        assert found(typed) == ["docs/a.txt"]

    def test_an_absolute_path_gives_the_same_sources_from_everywhere(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = found(folder)
        monkeypatch.chdir("/")

        assert found(folder) == here == [f"{folder}/a.txt"]

    def test_folders_are_walked_in_order_and_a_file_that_is_named_twice_comes_once(
        self, folder: Path
    ) -> None:
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "b.txt").write_text("b")

        assert found("docs/deep", "docs", "docs/a.txt") == ["docs/a.txt", "docs/deep/er/b.txt"]

    def test_hidden_files_and_folders_are_left_out_and_counted(self, folder: Path) -> None:
        (folder / ".hidden.txt").write_text("")
        (folder / ".git").mkdir()
        (folder / ".git" / "config.txt").write_text("")

        assert found("docs") == ["docs/a.txt"]
        assert find_files([Path("docs")]).left_out == {"hidden": 2}

    def test_links_are_left_out_and_cannot_lead_in_circles(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "outside.txt").write_text("")
        for name, target in (("file", "../outside.txt"), ("circle", "."), ("dangling", "nowhere")):
            (folder / name).symlink_to(target)

        assert found("docs") == ["docs/a.txt"]
        assert find_files([Path("docs")]).left_out == {"links": 3}

    def test_a_link_or_hidden_file_that_is_given_is_taken(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("docs")
        (folder / ".hidden.txt").write_text("")

        assert found("link", "docs/.hidden.txt") == ["docs/.hidden.txt", "link/a.txt"]

    def test_what_is_no_regular_file_is_left_out(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")

        assert found("docs") == ["docs/a.txt"]
        assert find_files([Path("docs")]).left_out == {"not files": 1}

    def test_an_empty_folder_has_no_files(self, tmp_path: Path) -> None:
        (tmp_path / "empty" / "er").mkdir(parents=True)

        assert find_files([Path("empty")]).files == []

    def test_a_folder_that_cannot_be_read_is_noted_and_the_rest_found(self, folder: Path) -> None:
        folder.parent.chmod(0o755)
        (folder / "closed").mkdir(mode=0)

        with as_nobody():
            findings = find_files([Path("docs")])

        assert [source for source, _ in findings.unreadable] == ["docs/closed"]
        assert [file.source for file in findings.files] == ["docs/a.txt"]

    def test_a_path_that_cannot_be_looked_at_is_noted(self, folder: Path) -> None:
        folder.parent.chmod(0o755)
        folder.chmod(0)

        with as_nobody():
            findings = find_files([Path("docs/a.txt")])

        assert [(source, type(error)) for source, error in findings.unreadable] == [
            ("docs/a.txt", PermissionError)
        ]

    def test_the_data_directory_is_not_ingested(self, folder: Path) -> None:
        (folder / "ragstone-data").mkdir()
        (folder / "ragstone-data" / "manifest.db").write_text("")

        assert found("docs", but_not=Path("docs/ragstone-data")) == ["docs/a.txt"]

    def test_names_that_are_not_unicode_stay_apart(self, folder: Path) -> None:
        for byte in (b"\xfe", b"\xff"):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + byte + b".txt")).write_text("")

        assert found("docs") == ["docs/\\xfe.txt", "docs/\\xff.txt", "docs/a.txt"]

    def test_any_other_name_stays_as_it_is(self) -> None:
        assert source_of(Path("größer/日本\n🙂.txt")) == "größer/日本\n🙂.txt"


class TestContent:
    @pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
    async def test_the_same_bytes_are_the_same(self, folder: Path, size: int) -> None:
        content = bytes(size)
        (folder / "a.txt").write_bytes(content)
        (file,) = find_files([folder]).files

        assert await has_content(file, size_bytes=size, sha256=hashlib.sha256(content).hexdigest())

    async def test_others_of_the_same_length_are_not(self, folder: Path) -> None:
        (file,) = find_files([folder]).files

        assert not await has_content(file, size_bytes=1, sha256=hashlib.sha256(b"b").hexdigest())

    async def test_another_length_needs_no_reading(self, folder: Path) -> None:
        (file,) = find_files([folder]).files
        file.path.unlink()

        assert not await has_content(file, size_bytes=2, sha256="")

    async def test_a_file_that_went_cannot_be_compared(self, folder: Path) -> None:
        (file,) = find_files([folder]).files
        file.path.unlink()

        with pytest.raises(FileNotFoundError):
            await has_content(file, size_bytes=1, sha256="")


class TestSteadyFile:
    @staticmethod
    def opened(path: Path, content: bytes = b"0123456789") -> SteadyFile:
        path.write_bytes(content)
        os.utime(path, (0, 0))  # so that each write is seen, however coarse the clock
        return SteadyFile(path, on_read=lambda _: None)

    def test_it_is_read_to_its_end_and_once_more(self, folder: Path) -> None:
        with self.opened(folder / "a.txt") as file:
            for _ in range(2):
                file.seek(0)
                assert [file.read(6), file.read(6), file.read(6)] == [b"012345", b"6789", b""]

    def test_what_was_read_is_told(self, folder: Path) -> None:
        told: list[int] = []
        with SteadyFile(folder / "a.txt", on_read=told.append) as file:
            file.read(6)

        assert told == [1]

    @pytest.mark.parametrize("written", [b"0123456789+", b"012", b"9876543210", b""])
    def test_one_that_changes_has_no_end(self, folder: Path, written: bytes) -> None:
        with self.opened(folder / "a.txt") as file:
            file.read(6)
            (folder / "a.txt").write_bytes(written)
            with pytest.raises(FileChanged):
                read_to_end(file)

    def test_one_that_is_deleted_meanwhile_is_read_all_the_same(self, folder: Path) -> None:
        with self.opened(folder / "a.txt") as file:
            (folder / "a.txt").unlink()

            assert file.read(20) == b"0123456789"
            assert file.read(20) == b""

    def test_one_that_may_not_be_read_is_an_error(self, folder: Path) -> None:
        (folder / "a.txt").chmod(0)

        with as_nobody(), pytest.raises(PermissionError):
            SteadyFile(folder / "a.txt", on_read=lambda _: None)
