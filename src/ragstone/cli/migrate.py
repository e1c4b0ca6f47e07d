"""`migrate`."""

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ragstone.cli.failure import CommandFailed
from ragstone.config.settings import Settings
from ragstone.migration import Moved, move_vectors
from ragstone.storage.data_directory import command_line
from ragstone.vector_homes import shown


async def run_migrate(settings: Settings) -> None:
    """To the server that the settings name. Raises StartupError kinds, CommandFailed."""
    assert settings.qdrant_url is not None
    if not settings.data_dir.exists():
        raise CommandFailed(f"{settings.data_dir} does not exist, so there is nothing to move")
    url = shown(settings.qdrant_url)
    columns = (TextColumn("Points"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("points", total=None)
        moved = await move_vectors(
            settings,
            settings.qdrant_url,
            told=lambda copied, total: progress.update(bar, completed=copied, total=total),
            command=command_line(),
        )
    typer.echo(_told(moved, url))


def _told(moved: Moved, url: str) -> str:
    before = moved.points - moved.copied
    earlier = f" ({before} of them by an earlier run)" if before > 0 else ""
    return (
        f"Moved to {url}: points {moved.points}{earlier}, document versions {moved.versions}. Counts agree, and so do "
        f"{moved.samples} sampled searches.\nThe data directory holds no vectors any more: start with QDRANT_URL={url} "
        "from now on."
    )
