"""`backup` and `restore`."""

from pathlib import Path

import typer

from ragstone.api.schemas.admin import BackupReply
from ragstone.cli.client import open_client
from ragstone.cli.doctor import run_doctor
from ragstone.cli.failure import CommandFailed
from ragstone.config.settings import Settings
from ragstone.storage.data_directory import command_line
from ragstone.storage.restoring import restore

NAMED = 20  # files; the log has all of them


async def run_backup(settings: Settings, folder: Path) -> bool:
    """False if the backup is complete but the data directory had lost originals before. Raises
    CommandFailed, CallFailed."""
    if not settings.data_dir.exists():
        raise CommandFailed(f"{settings.data_dir} does not exist, so there is nothing to back up")
    async with open_client(settings) as client:
        made = await client.admin.back_up(str(folder.absolute()))
    typer.echo(_told(made))
    missing = made.missing_blobs
    if missing:
        typer.secho(
            f"{len(missing)} originals or texts are missing or damaged in the data directory, and not in the backup. They "
            f"belong there under these names, two characters for the folder: {', '.join(missing[:NAMED])}",
            fg="red",
            err=True,
        )
    return not missing


async def run_restore(settings: Settings, folder: Path) -> bool:
    """True if all parts of the restored directory agree. Raises StartupError kinds, BackupRunning."""
    data_dir = settings.data_dir.absolute()
    backup = restore(folder.absolute(), data_dir, command=command_line())
    typer.echo(
        f"Restored {backup.documents} documents as of {backup.created_at:%Y-%m-%d %H:%M:%S} UTC into {data_dir}."
    )
    if settings.qdrant_url is not None:
        typer.echo(
            "Its vectors lie in the directory; `ragstone migrate --to URL` moves them to a Qdrant server."
        )
    return await run_doctor(settings.model_copy(update={"qdrant_url": None}), repair=False)


def _told(made: BackupReply) -> str:
    return (
        f"{made.documents} documents are backed up in {made.directory}: {made.blobs} originals and texts, of "
        f"which {made.blobs_added} are new there; {made.metadata['total_ms'] / 1000:.1f} s."
    )
