"""The blob store's contract, kept by the folder."""

from pathlib import Path

import pytest

from ragstone.core.ports import BlobStore
from ragstone.storage.blobs import FileBlobStore
from ragstone.testing.blob_contract import BlobStoreContract


class TestFileBlobStore(BlobStoreContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> BlobStore:
        return FileBlobStore(tmp_path / "blobs")
