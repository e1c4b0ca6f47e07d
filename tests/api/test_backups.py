"""`POST /admin/backups`."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ragstone.config.settings import Settings
from ragstone.storage.restoring import restore
from tests.apiclient import Api

REFUSED = "backup_folder_refused"


async def test_a_backup_is_made_and_told(api: Api, collection: str, tmp_path: Path) -> None:
    accepted = await api.upload_text("Refunds are paid.", collection=collection)
    await api.finished(accepted["job"]["id"])

    made = await api.post("/admin/backups", {"directory": str(tmp_path / "backup")}, 201)

    assert made["directory"] == str(tmp_path / "backup")
    assert made["documents"] >= 1
    assert made["blobs"] == made["blobs_added"] >= 1
    assert made["blobs_removed"] == 0
    assert made["missing_blobs"] == []
    stages = ("backup_manifest_ms", "backup_blobs_ms", "backup_vectors_ms", "backup_seal_ms", "total_ms")
    assert {*stages, "request_id"} == made["metadata"].keys()
    assert restore(tmp_path / "backup", tmp_path / "new", command="test").documents == made["documents"]


@pytest.mark.parametrize("directory", ["backup", "./backup", "../backup", "~/backup", "/proc/backup"])
async def test_what_is_no_place_for_a_backup_is_refused(api: Api, container: Any, directory: str) -> None:
    error = await api.refused("POST", "/admin/backups", 422, json={"directory": directory})
    assert error["code"] == REFUSED


async def test_folders_that_are_not_ours_and_the_data_directory_are_refused(
    api: Api, container: Any, app_settings: Settings
) -> None:
    for place in (app_settings.data_dir.parent, app_settings.data_dir, app_settings.data_dir / "backup"):
        error = await api.refused("POST", "/admin/backups", 422, json={"directory": str(place)})
        assert error["code"] == REFUSED


@pytest.mark.parametrize(
    "body", [{}, {"directory": ""}, {"directory": "/a\0b"}, {"directory": 5}, {"directory": "/a", "x": 1}]
)
async def test_a_body_that_names_no_folder_is_refused(api: Api, container: Any, body: Any) -> None:
    error = await api.refused("POST", "/admin/backups", 422, json=body)
    assert error["code"] == "invalid_request"


async def test_of_two_backups_at_once_one_is_made(api: Api, container: Any, tmp_path: Path) -> None:
    body = {"directory": str(tmp_path / "backup")}

    replies = await asyncio.gather(*(api.call("POST", "/admin/backups", json=body) for _ in range(2)))

    assert sorted(reply.status_code for reply in replies) == [201, 409]
    (refused,) = [reply for reply in replies if reply.status_code == 409]
    assert refused.json()["error"]["code"] == "backup_running"
