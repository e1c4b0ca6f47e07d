"""What interfaces have to remember between two requests, for a while."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ragstone.core.models import Record, RecordKind
from ragstone.core.ports import Manifest

KEPT_FOR = timedelta(days=30)
"""As long as OpenAI keeps responses."""


class RecordService:
    """Plain JSON under an id. What quotes documents is forgotten with the first of them that is deleted."""

    def __init__(self, manifest: Manifest):
        self._manifest = manifest

    async def remember(
        self,
        tenant_id: str,
        kind: RecordKind,
        record_id: str,
        content: Mapping[str, Any],
        *,
        document_ids: Sequence[str] = (),
    ) -> Record:
        """Raises RecordNotFound where one of these documents is gone already: then nothing is remembered."""
        now = datetime.now(UTC)
        record = Record(record_id, kind, content, now, now + KEPT_FOR, tuple(document_ids))
        await self._manifest.put_record(tenant_id, record)
        return record

    async def recall(self, tenant_id: str, kind: RecordKind, record_id: str) -> Record:
        """Raises RecordNotFound."""
        return await self._manifest.get_record(tenant_id, kind, record_id)

    async def forget(self, tenant_id: str, kind: RecordKind, record_id: str) -> None:
        """Raises RecordNotFound."""
        await self._manifest.delete_record(tenant_id, kind, record_id)
