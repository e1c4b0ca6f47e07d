"""Promises about what interfaces have to remember."""

from datetime import UTC, datetime, timedelta

from ragstone.core.errors import RecordNotFound
from ragstone.core.models import Record, RecordKind
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.scenes import TENANT, make_ready
from ragstone.testing.refusal import refusal


def response(name: str, *document_ids: str, keeps: timedelta = timedelta(days=1)) -> Record:
    """A record that quotes these documents."""
    now = datetime.now(UTC)
    return Record(name, RecordKind.RESPONSE, {"said": [name]}, now, now + keeps, document_ids)


class RecordPromises:
    """What records promise."""

    async def test_a_record_is_read_back_as_it_was_put(self, manifest: Manifest) -> None:
        """By its tenant and kind alone."""
        document = await make_ready(manifest, "quoted")
        record = response("resp_1", document.id)
        await manifest.put_record(TENANT, record)
        assert await manifest.get_record(TENANT, RecordKind.RESPONSE, "resp_1") == record
        await refusal(manifest.get_record("someone", RecordKind.RESPONSE, "resp_1"), RecordNotFound)
        await refusal(manifest.get_record(TENANT, RecordKind.BATCH, "resp_1"), RecordNotFound)

    async def test_a_record_goes_with_the_first_document_that_it_quotes(self, manifest: Manifest) -> None:
        """Others stay."""
        gone, kept = await make_ready(manifest, "gone"), await make_ready(manifest, "kept")
        await manifest.put_record(TENANT, response("both", gone.id, kept.id))
        await manifest.put_record(TENANT, response("one", kept.id))
        await manifest.delete_document(TENANT, gone.id)
        await refusal(manifest.get_record(TENANT, RecordKind.RESPONSE, "both"), RecordNotFound)
        assert await manifest.get_record(TENANT, RecordKind.RESPONSE, "one")

    async def test_nothing_that_quotes_a_deleted_document_is_remembered(self, manifest: Manifest) -> None:
        """An answer may be slower than a delete."""
        gone = await make_ready(manifest, "gone")
        await manifest.delete_document(TENANT, gone.id)
        await refusal(manifest.put_record(TENANT, response("late", gone.id)), RecordNotFound)
        await refusal(manifest.get_record(TENANT, RecordKind.RESPONSE, "late"), RecordNotFound)

    async def test_a_record_is_gone_when_its_time_is_up(self, manifest: Manifest) -> None:
        """Whether or not another one was put since."""
        await manifest.put_record(TENANT, response("old", keeps=timedelta(0)))
        await refusal(manifest.get_record(TENANT, RecordKind.RESPONSE, "old"), RecordNotFound)

    async def test_a_deleted_record_is_gone(self, manifest: Manifest) -> None:
        """A second delete finds nothing."""
        await manifest.put_record(TENANT, response("resp_1"))
        await manifest.delete_record(TENANT, RecordKind.RESPONSE, "resp_1")
        await refusal(manifest.delete_record(TENANT, RecordKind.RESPONSE, "resp_1"), RecordNotFound)
