"""What was flushed survives a power loss: simulated by files whose pages reached the disk, or did not, at random."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstone.core.filters import And
from ragstone.core.models import Point, Scope
from ragstone.testing.vector_store_contract.scenes import DIMENSION, fresh_scope, ids_of, of_version, point
from ragstone.vectorstores.edge_engine import Engine
from tests.engines import open_engine, quick_folder, store_of

PAGE_BYTES = 4096
ZEROS = bytes(1 << 20)


class Disk:
    """A shard's files as they were at three moments: all on disk, all in the log, and when the power went."""

    def __init__(self, folder: Path):
        self.live = folder / "live"
        self.folder = folder

    def keep(self, moment: str) -> None:
        copy_sparse(self.live, self.folder / moment)

    def after_power_loss(self, chance: random.Random) -> Path:
        """The log has at least what was flushed; of the other files each page is an old one or a new one."""
        torn = self.folder / "torn"
        shutil.rmtree(torn, ignore_errors=True)
        copy_sparse(self.folder / "lost", torn)
        for path in sorted((torn / "shard" / "edge").rglob("*")):
            moment = "flushed" if "wal" in path.parts else "settled"
            kept = self.folder / moment / path.relative_to(torn)
            if path.is_file() and kept.exists():
                tear(path, kept, chance)
        return torn


def copy_sparse(source: Path, target: Path) -> None:
    """Files are 32 MB of holes each: copy what is not zero."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as reader, place.open("wb") as writer:
            while piece := reader.read(len(ZEROS)):
                if piece == ZEROS:
                    writer.seek(len(piece), os.SEEK_CUR)
                else:
                    writer.write(piece)
            writer.truncate(path.stat().st_size)


def tear(path: Path, kept: Path, chance: random.Random) -> None:
    if path.stat().st_size != kept.stat().st_size:
        shutil.copyfile(chance.choice((path, kept)), path.with_suffix(".chosen"))
        path.with_suffix(".chosen").replace(path)
        return
    with path.open("r+b") as new, kept.open("rb") as old:
        for start in range(0, path.stat().st_size, len(ZEROS)):
            piece, older = new.read(len(ZEROS)), old.read(len(ZEROS))
            if piece != older:
                new.seek(start)
                new.write(torn_piece(piece, older, chance))


def torn_piece(new: bytes, old: bytes, chance: random.Random) -> bytes:
    starts = range(0, len(new), PAGE_BYTES)
    return b"".join(chance.choice((new, old))[start : start + PAGE_BYTES] for start in starts)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as made:
        yield made


def described(points: list[Point]) -> dict[str, object]:
    return {item.id: item.payload for item in points}


async def contents(engine: Engine, scope: Scope) -> dict[str, object]:
    found = await store_of(engine, dimension=DIMENSION).find(scope, And(()), limit=10_000)
    return {item.id: item.payload for item in found}


async def test_what_was_flushed_survives_whatever_became_of_the_other_writes(folder: Path) -> None:
    disk, scope = Disk(folder), fresh_scope()
    first = [point(f"red {n}", document_version=f"{n % 5}:1", n=n) for n in range(120)]
    second = [point(f"fox {n}", document_version="9:1", n=n) for n in range(60)]
    third = [point(f"dog {n}", document_version="8:1", n=n) for n in range(60)]
    changed = [point("changed", id_=old.id, document_version="7:1", n=-1) for old in first[::7]]
    with open_engine(disk.live, dimension=DIMENSION) as engine:
        store = store_of(engine, dimension=DIMENSION)
        await store.upsert(scope, first)
        engine._settle()
        disk.keep("settled")
        await store.upsert(scope, [*second, *changed])
        await store.delete(scope, of_version("3:1"))
        await store.flush()
        flushed = await contents(engine, scope)
        disk.keep("flushed")
        await store.upsert(scope, third)
        disk.keep("lost")
    expected = described(first) | described(second) | described(changed)
    gone = {item.id for item in first if item.payload["document_version"] == "3:1"} - set(ids_of(changed))
    assert flushed == {id_: payload for id_, payload in expected.items() if id_ not in gone}

    for seed in range(3):
        torn = disk.after_power_loss(random.Random(seed))
        with open_engine(torn, dimension=DIMENSION) as engine:
            found = await contents(engine, scope)
            versions = await store_of(engine, dimension=DIMENSION).count_versions()
        assert flushed.items() <= found.items()
        assert found.keys() - flushed.keys() <= set(ids_of(third))
        assert "3:1" not in versions
        assert sum(versions.values()) == len(found)
