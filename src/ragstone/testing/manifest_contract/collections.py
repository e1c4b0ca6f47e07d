"""Promises about collections."""

from ragstone.core.errors import (
    CollectionExists,
    CollectionNotEmpty,
    CollectionNotFound,
    Conflict,
    InvalidCursor,
)
from ragstone.core.models import CollectionPatch, CollectionState, DocumentStatus, Failure, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.lists import all_documents, one_page
from ragstone.testing.manifest_contract.scenes import (
    TENANT,
    claim,
    indexed,
    make_ready,
    purge_all,
    upload,
)
from ragstone.testing.refusal import refusal

NOTES = Scope(TENANT, "notes")


class CollectionPromises:
    """What collections promise."""

    async def test_default_always_exists(self, manifest: Manifest) -> None:
        """It cannot be deleted, with or without its documents."""
        await manifest.require_collection(Scope())
        for cascade in (False, True):
            await refusal(manifest.delete_collection(TENANT, "default", cascade=cascade), Conflict)
        assert (await manifest.get_collection(TENANT, "default")).documents == 0

    async def test_a_created_collection_is_there_with_its_documents_counted(self, manifest: Manifest) -> None:
        """A second one of its name is refused."""
        created = await manifest.create_collection(TENANT, "notes", "what I noted")
        assert (created.name, created.description, created.documents) == ("notes", "what I noted", 0)
        await manifest.require_collection(NOTES)
        await upload(manifest, scope=NOTES)
        found = await manifest.get_collection(TENANT, "notes")
        assert (found.description, found.created_at, found.documents) == (
            "what I noted",
            created.created_at,
            1,
        )
        await refusal(manifest.create_collection(TENANT, "notes", ""), CollectionExists)

    async def test_title_and_metadata_of_a_collection_are_changed_one_by_one(
        self, manifest: Manifest
    ) -> None:
        """What a patch leaves out stays."""
        await manifest.create_collection(TENANT, "notes", "", "My notes", {"team": "a"})
        await manifest.update_collection(TENANT, "notes", CollectionPatch(title="Our notes"))
        changed = await manifest.update_collection(TENANT, "notes", CollectionPatch(metadata={}))
        assert (changed.title, changed.metadata) == ("Our notes", {})
        assert await manifest.get_collection(TENANT, "notes") == changed
        unknown = manifest.update_collection(TENANT, "unknown", CollectionPatch(title="x"))
        await refusal(unknown, CollectionNotFound)

    async def test_collections_are_walked_by_age(self, manifest: Manifest) -> None:
        """Behind one that is named, either way round."""
        for name in ("b", "a"):
            await manifest.create_collection(TENANT, name, "")

        async def walk(beside: str | None, *, is_descending: bool) -> tuple[list[str], bool]:
            found, has_more = await manifest.collections_beside(
                TENANT, beside=beside, is_descending=is_descending, limit=2
            )
            return [collection.name for collection in found], has_more

        assert await walk(None, is_descending=True) == (["a", "b"], True)
        assert await walk("b", is_descending=True) == (["default"], False)
        assert await walk("default", is_descending=False) == (["b", "a"], False)
        await refusal(walk("unknown", is_descending=True), CollectionNotFound)

    async def test_documents_of_a_collection_are_counted_by_where_they_stand(
        self, manifest: Manifest
    ) -> None:
        """With the bytes of their originals."""
        ready = await make_ready(manifest, "ready", "12345")
        failed = await upload(manifest, "failed", "123")
        assert failed.job is not None
        await claim(manifest)
        await manifest.fail_task(failed.job.id, Failure("no_text", "nothing"))
        cancelled = await upload(manifest, "cancelled", "12")
        assert cancelled.job is not None
        await manifest.cancel_job(TENANT, cancelled.job.id)
        waiting = await upload(manifest, "waiting", "1")
        size = sum(each.bytes for each in (ready, failed.document, cancelled.document, waiting.document))
        state = await manifest.collection_state(TENANT, "default")
        assert state == CollectionState(working=1, ready=1, failed=1, cancelled=1, bytes=size)
        assert await manifest.collection_state(TENANT, "unknown") == CollectionState()

    async def test_unknown_collections_are_not_found(self, manifest: Manifest) -> None:
        """Another tenant's is unknown."""
        await manifest.create_collection("someone", "notes", "")
        await refusal(manifest.require_collection(NOTES), CollectionNotFound)
        await refusal(manifest.get_collection(TENANT, "notes"), CollectionNotFound)
        await refusal(manifest.delete_collection(TENANT, "notes", cascade=True), CollectionNotFound)

    async def test_a_collection_with_documents_is_deleted_only_by_cascade(self, manifest: Manifest) -> None:
        """Their tombstones come with it, in every state; other collections are left alone."""
        kept = await make_ready(manifest, "kept")
        await manifest.create_collection(TENANT, "notes", "")
        ready = await make_ready(manifest, "a", scope=NOTES)
        await upload(manifest, "b", scope=NOTES)
        running = await claim(manifest)
        await upload(manifest, "c", scope=NOTES)
        await refusal(manifest.delete_collection(TENANT, "notes", cascade=False), CollectionNotEmpty)
        assert await manifest.delete_collection(TENANT, "notes", cascade=True) == 3
        assert await manifest.switch_versions([indexed(running)]) == []
        assert await manifest.claim_tasks(10) == []
        assert await manifest.visible_documents(NOTES, [ready.id]) == {}
        assert len(await manifest.purge_targets(10)) == 3
        assert (await manifest.get_document(TENANT, kept.id)).status is DocumentStatus.READY

    async def test_an_empty_collection_is_deleted_without_cascade(self, manifest: Manifest) -> None:
        """Tombstones do not count."""
        await manifest.create_collection(TENANT, "notes", "")
        document = (await upload(manifest, scope=NOTES)).document
        await manifest.delete_document(TENANT, document.id)
        assert await manifest.delete_collection(TENANT, "notes", cascade=False) == 0
        await refusal(manifest.require_collection(NOTES), CollectionNotFound)

    async def test_a_deleted_name_starts_empty_again(self, manifest: Manifest) -> None:
        """Nothing of the old collection reappears, before or after the purge."""
        await manifest.create_collection(TENANT, "notes", "")
        old = await make_ready(manifest, scope=NOTES)
        await manifest.delete_collection(TENANT, "notes", cascade=True)
        await manifest.create_collection(TENANT, "notes", "")
        assert await all_documents(manifest, scope=NOTES) == []
        new = await make_ready(manifest, scope=NOTES)
        await purge_all(manifest)
        assert await all_documents(manifest, scope=NOTES) == [new]
        assert (await manifest.visible_documents(NOTES, [old.id, new.id])).keys() == {new.id}

    async def test_collections_are_listed_by_name_page_by_page(self, manifest: Manifest) -> None:
        """Each once, of this tenant alone, with their documents counted."""
        for name in ("zeta", "alpha", "mid_1", "mid-1"):
            await manifest.create_collection(TENANT, name, "")
        await manifest.create_collection("someone", "hidden", "")
        await upload(manifest, scope=Scope(TENANT, "zeta"))
        names, cursor = [], None
        while True:
            page = await manifest.list_collections(TENANT, limit=2, cursor=cursor)
            names += [(each.name, each.documents) for each in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert names == [("alpha", 0), ("default", 0), ("mid-1", 0), ("mid_1", 0), ("zeta", 1)]

    async def test_a_forged_cursor_of_collections_is_refused(self, manifest: Manifest) -> None:
        """As is one of another list."""
        for n in range(2):
            await upload(manifest, f"{n}")
        page = await one_page(manifest, sort="created_at", limit=1)
        for cursor in ("", "x", "💥", page.next_cursor):
            await refusal(manifest.list_collections(TENANT, limit=2, cursor=cursor), InvalidCursor)
