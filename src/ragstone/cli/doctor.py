"""`doctor`: what the data directory holds, whether its parts agree, and their repair."""

import asyncio
import time
from typing import Any

from rich.console import Console

from ragstone.cli.client import open_client
from ragstone.cli.render import table_of
from ragstone.client import AsyncRagstone
from ragstone.config.settings import Settings
from ragstone.storage.data_directory import owner_of

REPAIR_WAIT_S = 60.0  # versions are indexed again in the background; the report is of what it came to
POLL_S = 0.2
NAMED = 20  # documents; `GET /admin/consistency` has all of them
DIFFERENCES = {
    "incomplete_versions": "versions with missing points",
    "orphan_versions": "points without a version",
    "missing_originals": "originals missing",
    "missing_texts": "extracted texts missing",
    "orphan_blobs": "originals without a version",
}


async def run_doctor(settings: Settings, *, repair: bool) -> bool:
    """True if all is well. A running server is asked; a directory at rest is opened, which repairs as every start
    does. With `repair` what can be repaired is repaired first."""
    console = Console()
    owner = owner_of(settings.data_dir)
    if owner is None and not settings.data_dir.exists():
        console.print(
            f"{settings.data_dir} does not exist yet; the first start creates it. Another one is named by --data-dir."
        )
        return False
    async with open_client(settings) as client:
        found = await (_repair(client) if repair else _consistency(client))
        health = (await client.health()).model_dump(mode="json")
    console.print(table_of(f"{owner or settings.data_dir}: {health['status']}", _rows(health, found)))
    for missing in found["missing_originals"][:NAMED]:
        document_id, _, version = missing.rpartition(":")
        console.print(f"original missing: document {document_id}, version {version}")
    return bool(health["status"] == "healthy" and found["is_consistent"])


async def _consistency(client: AsyncRagstone) -> dict[str, Any]:
    return (await client.admin.consistency()).model_dump(mode="json")


async def _repair(client: AsyncRagstone) -> dict[str, Any]:
    await client.admin.repair()
    deadline = time.monotonic() + REPAIR_WAIT_S
    while True:
        found = await _consistency(client)
        mending = {*found["incomplete_versions"], *found["missing_texts"]}.difference(
            found["missing_originals"]
        )
        if not mending or time.monotonic() > deadline:
            return found
        await asyncio.sleep(POLL_S)


def _rows(health: dict[str, Any], found: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        *((name, "works" if part["healthy"] else "is down") for name, part in health["components"].items()),
        ("visible documents", str(found["documents"])),
        ("points", str(found["points"])),
        *((meaning, str(len(found[name]))) for name, meaning in DIFFERENCES.items()),
        ("last repair", _told(found["last_repair"])),
        *_progress(found["reindexing"]),
        ("verdict", _verdict(found)),
    ]


def _told(repair: dict[str, Any] | None) -> str:
    if repair is None:
        return "none was needed"
    return (
        f"{repair['at']}: {repair['points_deleted']} points deleted, {repair['versions_queued']} versions indexed"
        f" again, {repair['blobs_deleted']} files deleted"
    )


def _progress(reindexing: dict[str, Any] | None) -> list[tuple[str, str]]:
    if reindexing is None:
        return []
    told = f"{reindexing['done']} of {reindexing['total']} documents"
    if reindexing["left_out"]:
        told += f", {len(reindexing['left_out'])} cannot be indexed"
    if reindexing["waits_because"]:
        told += f"; waits: {reindexing['waits_because']}"
    return [("indexed anew", told)]


def _verdict(found: dict[str, Any]) -> str:
    if found["is_consistent"]:
        return "all agree"
    if found["missing_originals"]:
        return "they disagree, and originals are lost; see “damaged or missing originals” in docs/troubleshooting.md"
    return "they disagree; repair with: ragstone doctor --repair"
