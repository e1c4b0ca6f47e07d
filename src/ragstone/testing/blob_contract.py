"""What every blob store promises. Subclass `BlobStoreContract` with a fixture `blobs` that yields an empty one."""

import asyncio
import hashlib

from ragstone.core.errors import BlobMissing
from ragstone.core.ports import BlobStore
from ragstone.testing.refusal import refusal

CONTENT = b"the bytes of an original"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ABSENT = hashlib.sha256(b"never stored").hexdigest()


class BlobStoreContract:
    """All promises of `core.ports.BlobStore`."""

    async def test_stored_bytes_are_read_by_their_hash(self, blobs: BlobStore) -> None:
        """And lie at their path."""
        assert await blobs.put(CONTENT) == SHA256
        assert await blobs.exists(SHA256)
        assert await blobs.read(SHA256) == CONTENT
        assert blobs.path(SHA256).read_bytes() == CONTENT

    async def test_a_received_file_is_taken_over(self, blobs: BlobStore) -> None:
        """It is gone from the spool."""
        spool = blobs.new_spool()
        spool.write_bytes(CONTENT)
        await blobs.put_file(spool, SHA256)
        assert await blobs.read(SHA256) == CONTENT
        assert not spool.exists()

    async def test_storing_twice_is_storing_once(self, blobs: BlobStore) -> None:
        """In either way, also at the same time."""
        spool = blobs.new_spool()
        spool.write_bytes(CONTENT)
        await asyncio.gather(*(blobs.put(CONTENT) for _ in range(8)))
        await blobs.put_file(spool, SHA256)
        assert not spool.exists()
        assert [sha256 for sha256, _ in await blobs.list()] == [SHA256]

    async def test_empty_content_is_content(self, blobs: BlobStore) -> None:
        """Of its own hash."""
        assert await blobs.read(await blobs.put(b"")) == b""

    async def test_spools_are_fresh_each_time(self, blobs: BlobStore) -> None:
        """Two uploads never share one."""
        assert blobs.new_spool() != blobs.new_spool()

    async def test_absent_bytes_are_missing(self, blobs: BlobStore) -> None:
        """Which is not an error of the file system's."""
        assert not await blobs.exists(ABSENT)
        error = await refusal(blobs.read(ABSENT), BlobMissing)
        assert ABSENT in error.message

    async def test_deleting_says_whether_something_went(self, blobs: BlobStore) -> None:
        """The second time nothing does."""
        await blobs.put(CONTENT)
        assert await blobs.delete(SHA256)
        assert not await blobs.delete(SHA256)
        assert not await blobs.exists(SHA256)

    async def test_the_list_names_every_blob_with_its_age(self, blobs: BlobStore) -> None:
        """In seconds, never negative; what is still being received is not listed."""
        blobs.new_spool().write_bytes(b"half of it")
        stored = {await blobs.put(f"{n}".encode()) for n in range(5)}
        listed = await blobs.list()
        assert {sha256 for sha256, _ in listed} == stored
        assert all(0 <= age_s < 3_600 for _, age_s in listed)
