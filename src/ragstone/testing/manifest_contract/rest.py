"""A manifest and its blobs brought to rest, and what must hold there."""

from ragstone.core.models import DocumentStatus
from ragstone.core.ports import BlobStore, Manifest
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.scenes import indexed


async def ingest_all(manifest: Manifest, blobs: BlobStore) -> None:
    """Ingest what is due: the original is read, the text of each version is its hash."""
    for task in await manifest.claim_tasks(1_000):
        await blobs.read(task.sha256)
        version = indexed(task)
        if await manifest.record_content(task.job.id, version.text_sha256):
            await blobs.put(f"text of {task.sha256}".encode())
            await manifest.switch_versions([version])


async def purge_all_with(manifest: Manifest, blobs: BlobStore) -> None:
    """Finish all purges that wait, bytes included."""
    while targets := await manifest.purge_targets(100):
        for target in targets:
            await manifest.finish_purge(target, 0, blobs.delete)


async def assert_bytes_are_there(manifest: Manifest, blobs: BlobStore) -> None:
    """Of whatever can be seen, and of whatever is to be ingested."""
    needed = {sha256 for sha256, is_visible in (await manifest.referenced_blobs()).items() if is_visible}
    needed |= {document.sha256 for document in await all_documents(manifest)}
    assert needed <= {sha256 for sha256, _ in await blobs.list()}


async def assert_at_rest(manifest: Manifest, blobs: BlobStore) -> None:
    """All is ready or failed, exactly the visible versions have points, their bytes are there, nothing waits."""
    documents = await all_documents(manifest)
    assert {document.status for document in documents} <= {DocumentStatus.READY, DocumentStatus.FAILED}
    visible = {f"{each.id}:{each.version}" for each in documents if each.status is DocumentStatus.READY}
    assert (await manifest.expected_points()).keys() == visible == await manifest.live_versions()
    await assert_bytes_are_there(manifest, blobs)
    counts = await manifest.counts()
    assert counts["jobs_queued"] == counts["jobs_running"] == counts["purges_pending"] == 0
