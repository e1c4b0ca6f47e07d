"""Moving the vectors of a data directory to a Qdrant server: copied as they are, checked, and only then switched."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from ragstone.config.settings import Settings
from ragstone.core.crash import crash_point
from ragstone.core.errors import EngineUnavailable, ExternalServiceError, MigrationFailed, StartupError
from ragstone.core.models import ScoredId
from ragstone.core.ports import Manifest, VectorStore
from ragstone.services.embedding_space import SERVING, SUCCESSOR, EmbeddingSpace, read_space
from ragstone.storage.data_directory import MANIFEST_FILE, VECTORS_FOLDER, DataDirectory
from ragstone.storage.move_file import Move, end_move, read_move, write_move
from ragstone.vector_homes import (
    PREFIX,
    FolderHome,
    drop_vectors,
    has_vectors,
    new_prefix,
    open_server,
    shown,
)
from ragstone.vectorstores.moving import MovableStore, copy_points, scope_and_vectors

CRASH_POINTS = ("move.page_copied", "move.checked", "move.switched", "move.dropped")
SAMPLES = 20
SAMPLE_HITS = 10
LEAST_SHARED = 0.8  # of a sample's hits: a server searches by a graph, and counts words within a shard
SCORE_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. `copied` leaves out what an earlier, interrupted move had copied."""

    points: int
    copied: int
    versions: int
    samples: int


Told = Callable[[int, int], None]
"""(points copied until now, points in all)"""


async def move_vectors(settings: Settings, url: str, *, told: Told, command: str) -> Moved:
    """Copy, check, switch, and free the directory of them. Interrupted, it goes on when it is called again. Raises
    DataDirectoryInUse, MigrationFailed, StartupError."""
    from ragstone.storage.manifest import open_manifest

    async with AsyncExitStack() as stack:
        directory = DataDirectory.open(settings.data_dir, command=command)
        stack.callback(directory.close)
        manifest = await open_manifest(
            settings.data_dir / MANIFEST_FILE, max_queued_jobs=settings.max_queued_jobs
        )
        stack.push_async_callback(manifest.close)
        space = await _movable(settings.data_dir, manifest)
        try:
            return await _move(settings, url, manifest, space, told, stack)
        except (EngineUnavailable, ExternalServiceError) as error:
            raise StartupError(f"{error.message}; nothing was switched, run the command again") from error


async def _movable(data_dir: Path, manifest: Manifest) -> EmbeddingSpace:
    space = await read_space(manifest, SERVING)
    if space is None or not has_vectors(data_dir, space.folder):
        raise MigrationFailed(
            f"{data_dir} holds no vectors to move; start with QDRANT_URL, and what is missing on the server is made there"
        )
    if await read_space(manifest, SUCCESSOR) is not None:
        raise MigrationFailed(
            f"the documents of {data_dir} are being indexed anew; let `ragstone serve --reindex` finish first"
        )
    return space


async def _move(
    settings: Settings, url: str, manifest: Manifest, space: EmbeddingSpace, told: Told, stack: AsyncExitStack
) -> Moved:
    data_dir = settings.data_dir
    begun = read_move(data_dir)
    if begun is None or begun.url != shown(url):
        begun = Move(shown(url), new_prefix())
        write_move(data_dir, begun)
    source = await FolderHome(data_dir / VECTORS_FOLDER, stack).open(space)
    target = (await open_server(settings, url, begun.prefix, stack)).connect(space)
    await target.prepare()
    moved = await _copy_checked(data_dir, begun, source, target, told)
    crash_point("move.checked")
    await manifest.set_property(PREFIX, begun.prefix)
    crash_point("move.switched")
    await source.close()
    drop_vectors(data_dir, space.folder)
    crash_point("move.dropped")
    end_move(data_dir)
    return moved


async def _copy_checked(
    data_dir: Path, begun: Move, source: MovableStore, target: MovableStore, told: Told
) -> Moved:
    """What does not agree at first may have changed under an interrupted move: everything is copied once more."""
    wanted = await source.count_versions()
    copied = await _copy(data_dir, begun, source, target, told, sum(wanted.values()))
    if await _differing(wanted, target):
        copied = await _copy(data_dir, replace(begun, after=None), source, target, told, sum(wanted.values()))
    differing = await _differing(wanted, target)
    if differing:
        raise MigrationFailed(
            f"{len(differing)} versions have other numbers of points on the server, such as {differing[0]}; nothing was "
            "switched"
        )
    samples = await _compare_samples(source, target) if wanted else 0
    return Moved(sum(wanted.values()), copied, len(wanted), samples)


async def _copy(
    data_dir: Path, begun: Move, source: MovableStore, target: MovableStore, told: Told, total: int
) -> int:
    async def on_page(after: str | None, copied: int) -> None:
        write_move(data_dir, replace(begun, after=after))
        told(copied, total)
        crash_point("move.page_copied")

    return await copy_points(source, target, after=begun.after, on_page=on_page)


async def _differing(wanted: dict[str, int], target: VectorStore) -> list[str]:
    """Versions that are not the same there; those that should not be there are deleted first."""
    found = await target.count_versions()
    await target.delete_versions(sorted(found.keys() - wanted.keys()))
    found = await target.count_versions()
    return sorted(
        version for version in wanted.keys() | found.keys() if wanted.get(version) != found.get(version)
    )


async def _compare_samples(source: MovableStore, target: MovableStore) -> int:
    """The neighbours of some points, by meaning and by words, are the same ones. Raises MigrationFailed."""
    for _ in range(SAMPLES):
        rows, _ = await source.read_rows(str(uuid4()), 1)
        if not rows:  # beyond the last id
            rows, _ = await source.read_rows(None, 1)
        asked = scope_and_vectors(rows[0])
        here = await source.search_hybrid(*asked, limit=SAMPLE_HITS)
        there = await target.search_hybrid(*asked, limit=SAMPLE_HITS)
        if not all(_agree(*legs) for legs in zip(here, there, strict=True)):
            raise MigrationFailed(
                f"a search for the neighbours of point {rows[0][2][0]} finds others on the server; nothing was switched"
            )
    return SAMPLES


def _agree(here: list[ScoredId], there: list[ScoredId]) -> bool:
    scores = {hit.id: hit.score for hit in here}
    shared = [hit for hit in there if hit.id in scores]
    near = all(abs(hit.score - scores[hit.id]) <= SCORE_TOLERANCE * max(1.0, hit.score) for hit in shared)
    return near and len(shared) >= LEAST_SHARED * len(here)
