"""`doctor`: what the data directory holds and whether its parts agree."""

from rich.console import Console

from ragstone.bootstrap import build_container
from ragstone.cli.client import open_client
from ragstone.cli.render import table_of
from ragstone.config.settings import Settings
from ragstone.core.errors import DataDirectoryInUse
from ragstone.services.consistency import Consistency
from ragstone.storage.data_directory import Owner, owner_of


async def run_doctor(settings: Settings) -> bool:
    """True if all is well. A running server is asked for its health; a directory at rest is opened and compared."""
    console = Console()
    owner = owner_of(settings.data_dir)
    if owner is not None:
        return await _ask_server(console, settings, owner)
    if not settings.data_dir.exists():
        console.print(f"{settings.data_dir} does not exist yet; the first start creates it.")
        return True
    async with build_container(settings) as container:
        found = await container.consistency.check()
        console.print(table_of(str(settings.data_dir), _rows(found, container.repaired)))
    return found.is_consistent


async def _ask_server(console: Console, settings: Settings, owner: Owner) -> bool:
    if owner.url is None:
        raise DataDirectoryInUse(f"the data directory {settings.data_dir} is in use by {owner}")
    async with open_client(settings) as client:
        health = await client.call("GET", "/health")
    rows = [(name, "works" if part["healthy"] else "is down") for name, part in health["components"].items()]
    console.print(table_of(f"{owner}: {health['status']}", rows))
    return bool(health["status"] == "healthy")


def _rows(found: Consistency, repaired: Consistency) -> list[tuple[str, str]]:
    return [
        ("visible documents", str(found.documents)),
        ("points", str(found.points)),
        (
            "versions with missing points",
            f"{len(found.incomplete_versions)} (at start {len(repaired.incomplete_versions)})",
        ),
        (
            "points without a version",
            f"{len(found.orphan_versions)} (at start {len(repaired.orphan_versions)})",
        ),
        ("originals missing", str(len(found.missing_blobs))),
        ("originals without a version", f"{len(found.orphan_blobs)} (at start {len(repaired.orphan_blobs)})"),
        ("verdict", "all agree" if found.is_consistent else "they disagree; see the troubleshooting guide"),
    ]
