"""What a request with an Idempotency-Key came to: the same key gives the same result for a day."""

from datetime import timedelta

from sqlalchemy import delete, insert, select

from ragstone.core.errors import IdempotencyMismatch
from ragstone.core.models import Acceptance, IdempotencyKey
from ragstone.storage.database import Transaction
from ragstone.storage.reading import document_row, get_job, load_document
from ragstone.storage.tables import idempotency_keys

KEPT_FOR = timedelta(hours=24)


def recall(tx: Transaction, tenant_id: str, given: IdempotencyKey | None) -> Acceptance | None:
    """The document and job that the key stands for, as they are now; None if the key is new. Raises
    IdempotencyMismatch, DocumentNotFound (deleted since), JobNotFound."""
    if given is None:
        return None
    tx.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= tx.now))
    found = tx.execute(
        select(idempotency_keys).where(
            idempotency_keys.c.tenant_id == tenant_id, idempotency_keys.c.key == given.key
        )
    ).first()
    if found is None:
        return None
    if found.fingerprint != given.fingerprint:
        raise IdempotencyMismatch("this Idempotency-Key was used with another request within the last day")
    document = load_document(tx, document_row(tx, tenant_id, found.document_id))
    return Acceptance(document, None if found.job_id is None else get_job(tx, tenant_id, found.job_id))


def remember(tx: Transaction, tenant_id: str, given: IdempotencyKey | None, accepted: Acceptance) -> None:
    """Keep the result under the key, in the same commit."""
    if given is None:
        return
    tx.execute(
        insert(idempotency_keys).values(
            tenant_id=tenant_id,
            key=given.key,
            fingerprint=given.fingerprint,
            document_id=accepted.document.id,
            job_id=None if accepted.job is None else accepted.job.id,
            expires_at=tx.now + KEPT_FOR,
        )
    )
