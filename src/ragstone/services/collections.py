"""Collections: create, look, list, delete."""

from collections.abc import Mapping

from ragstone.core.models import Collection, CollectionPatch, CollectionState, Page
from ragstone.core.ports import Manifest
from ragstone.services.purging import Purger


class CollectionService:
    """Thin: the rules are the manifest's; a cascade is purged in the background."""

    def __init__(self, manifest: Manifest, purger: Purger):
        self._manifest = manifest
        self._purger = purger

    async def create(
        self, tenant_id: str, name: str, description: str, title: str = "", metadata: Mapping[str, str] = {}
    ) -> Collection:
        """Raises CollectionExists."""
        return await self._manifest.create_collection(tenant_id, name, description, title, metadata)

    async def update(self, tenant_id: str, name: str, patch: CollectionPatch) -> Collection:
        """Raises CollectionNotFound."""
        return await self._manifest.update_collection(tenant_id, name, patch)

    async def state(self, tenant_id: str, name: str) -> CollectionState:
        """How many of its documents stand where."""
        return await self._manifest.collection_state(tenant_id, name)

    async def get(self, tenant_id: str, name: str) -> Collection:
        """Raises CollectionNotFound."""
        return await self._manifest.get_collection(tenant_id, name)

    async def beside(
        self, tenant_id: str, *, beside: str | None, is_descending: bool, limit: int
    ) -> tuple[list[Collection], bool]:
        """The next ones by age, and whether more follow. Raises CollectionNotFound."""
        return await self._manifest.collections_beside(
            tenant_id, beside=beside, is_descending=is_descending, limit=limit
        )

    async def list(self, tenant_id: str, *, limit: int, cursor: str | None) -> Page[Collection]:
        """By name. Raises InvalidCursor."""
        return await self._manifest.list_collections(tenant_id, limit=limit, cursor=cursor)

    async def delete_copies(self, tenant_id: str, name: str) -> int:
        """With the copies in it; no file is lost. Raises CollectionNotFound, HomeOfFile, Conflict."""
        deleted = await self._manifest.delete_collection_of_copies(tenant_id, name)
        self._purger.wake()
        return deleted

    async def delete(self, tenant_id: str, name: str, *, cascade: bool) -> int:
        """How many documents went with it. Raises CollectionNotFound, CollectionNotEmpty, Conflict."""
        deleted = await self._manifest.delete_collection(tenant_id, name, cascade=cascade)
        self._purger.wake()
        return deleted
