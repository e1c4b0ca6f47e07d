"""The manifest's contract, kept by the SQL manifest on SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragstone.core.ports import Manifest
from ragstone.storage.manifest import open_manifest
from ragstone.testing.manifest_contract import ManifestContract


class TestSqliteManifest(ManifestContract):
    @pytest.fixture
    async def manifest(self, tmp_path: Path) -> AsyncIterator[Manifest]:
        opened = await open_manifest(tmp_path / "manifest.sqlite3")
        yield opened
        await opened.close()

    @pytest.fixture
    async def small_manifest(self, tmp_path: Path) -> AsyncIterator[Manifest]:
        opened = await open_manifest(tmp_path / "manifest.sqlite3", max_queued_jobs=3)
        yield opened
        await opened.close()
