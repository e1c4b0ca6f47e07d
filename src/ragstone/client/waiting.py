"""Uploads whose work is waited for, and jobs."""

import time

import anyio

from ragstone.api.schemas.documents import JobReply, UploadReply
from ragstone.client.calls import documents, jobs
from ragstone.client.calls.uploads import Upload
from ragstone.client.connection import AsyncConnection, Connection
from ragstone.client.progress import Follow, Watch

IN_WORK = ("queued", "processing")


def send_upload(connection: Connection, upload: Upload) -> UploadReply:
    """The reply; if it is to be waited for, the document as it is in the end. Raises CallFailed."""
    reply = connection.send(upload.call)
    if not upload.wait or _is_settled(reply):
        return reply
    document_id = reply.document.id
    job_id = _job_id(reply) or (connection.send(documents.versions(document_id))).items[0].job_id
    job = wait_for(connection, job_id, upload.follow)
    return UploadReply(document=connection.send(documents.get(document_id)), job=job)


def wait_for(connection: Connection, job_id: str, follow: Follow) -> JobReply:
    """The job once it has succeeded. Raises CallFailed, JobFailed, StillWorking."""
    watch = Watch(follow)
    while True:
        if ended := watch.look(connection.send(jobs.get(job_id))):
            return ended
        time.sleep(watch.pause_s())


async def send_upload_async(connection: AsyncConnection, upload: Upload) -> UploadReply:
    """As send_upload."""
    reply = await connection.send(upload.call)
    if not upload.wait or _is_settled(reply):
        return reply
    document_id = reply.document.id
    job_id = _job_id(reply) or (await connection.send(documents.versions(document_id))).items[0].job_id
    job = await wait_for_async(connection, job_id, upload.follow)
    return UploadReply(document=await connection.send(documents.get(document_id)), job=job)


async def wait_for_async(connection: AsyncConnection, job_id: str, follow: Follow) -> JobReply:
    """As wait_for."""
    watch = Watch(follow)
    while True:
        if ended := watch.look(await connection.send(jobs.get(job_id))):
            return ended
        await anyio.sleep(watch.pause_s())


def _is_settled(reply: UploadReply) -> bool:
    newest = reply.document.pending or reply.document
    return reply.job is None and newest.status not in IN_WORK


def _job_id(reply: UploadReply) -> str | None:
    """None where an earlier upload of the same bytes is in work, and its job is known to the server alone."""
    if reply.job is not None:
        return reply.job.id
    return None if reply.document.pending is None else reply.document.pending.job_id
