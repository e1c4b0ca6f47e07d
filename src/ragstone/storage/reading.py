"""Single documents and jobs, as their users see them."""

from sqlalchemy import bindparam

from ragstone.core.errors import DocumentNotFound, JobNotFound
from ragstone.core.models import Document, Job, Version
from ragstone.storage.database import AnyRow, Transaction
from ragstone.storage.rows import DOCUMENTS, JOBS, document_from, job_from, version_from
from ragstone.storage.tables import documents, jobs

_DOCUMENT = DOCUMENTS.where(
    documents.c.id == bindparam("id"), documents.c.tenant_id == bindparam("tenant_id")
)
_JOB = JOBS.where(jobs.c.id == bindparam("id"), jobs.c.tenant_id == bindparam("tenant_id"))


def document_row(tx: Transaction, tenant_id: str, document_id: str) -> AnyRow:
    """A row of DOCUMENTS. Raises DocumentNotFound."""
    found = tx.execute(_DOCUMENT, {"id": document_id, "tenant_id": tenant_id}).first()
    if found is None:
        raise unknown_document(document_id)
    return found


def unknown_document(document_id: str) -> DocumentNotFound:
    """The error with its message."""
    return DocumentNotFound(f"there is no document {document_id!r}")


def get_document(tx: Transaction, tenant_id: str, document_id: str) -> Document:
    """See Manifest.get_document."""
    return document_from(document_row(tx, tenant_id, document_id))


def get_version(tx: Transaction, tenant_id: str, document_id: str) -> Version:
    """See Manifest.get_version."""
    return version_from(document_row(tx, tenant_id, document_id))


def get_job(tx: Transaction, tenant_id: str, job_id: str) -> Job:
    """See Manifest.get_job."""
    found = tx.execute(_JOB, {"id": job_id, "tenant_id": tenant_id}).first()
    if found is None:
        raise JobNotFound(f"there is no job {job_id!r}")
    return job_from(found)
