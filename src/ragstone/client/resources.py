"""The routes of the API by what they are about, for `Ragstone` and for `AsyncRagstone`."""

from ragstone.api.schemas.documents import JobReply
from ragstone.client.calls import collections, documents, jobs, operations, uploads
from ragstone.client.methods import (
    AsyncResource,
    Resource,
    awaits,
    awaits_upload,
    follows,
    follows_async,
    lists,
    lists_async,
    sends,
    sends_upload,
)
from ragstone.client.progress import Follow, OnProgress
from ragstone.client.waiting import wait_for, wait_for_async


class Documents(Resource):
    """Documents, their versions, texts and chunks."""

    list = lists(documents.list_documents)
    get = sends(documents.get)
    content = sends(documents.content)
    text = sends(documents.text)
    chunks = lists(documents.list_chunks)
    versions = sends(documents.versions)
    update = sends(documents.update)
    replace = sends_upload(uploads.replace)
    replace_text = sends_upload(uploads.replace_text)
    restore = sends(documents.restore)
    reindex = sends(documents.reindex)
    delete = sends(documents.delete)
    delete_matching = sends(documents.delete_matching)


class Collections(Resource):
    """Collections."""

    list = lists(collections.list_collections)
    create = sends(collections.create)
    get = sends(collections.get)
    delete = sends(collections.delete)


class Jobs(Resource):
    """Background work."""

    list = lists(jobs.list_jobs)
    get = sends(jobs.get)
    events = follows(jobs.events)
    cancel = sends(jobs.cancel)
    retry = sends(jobs.retry)

    def wait(
        self, job_id: str, *, on_progress: OnProgress | None = None, timeout_s: float | None = None
    ) -> JobReply:
        """The job once it has succeeded. Raises JobFailed, and StillWorking after `timeout_s`."""
        return wait_for(self._connection, job_id, Follow(on_progress, timeout_s))


class Admin(Resource):
    """What operators do."""

    consistency = sends(operations.consistency)
    repair = sends(operations.repair)
    back_up = sends(operations.back_up)


class AsyncDocuments(AsyncResource):
    """Documents, their versions, texts and chunks."""

    list = lists_async(documents.list_documents)
    get = awaits(documents.get)
    content = awaits(documents.content)
    text = awaits(documents.text)
    chunks = lists_async(documents.list_chunks)
    versions = awaits(documents.versions)
    update = awaits(documents.update)
    replace = awaits_upload(uploads.replace)
    replace_text = awaits_upload(uploads.replace_text)
    restore = awaits(documents.restore)
    reindex = awaits(documents.reindex)
    delete = awaits(documents.delete)
    delete_matching = awaits(documents.delete_matching)


class AsyncCollections(AsyncResource):
    """Collections."""

    list = lists_async(collections.list_collections)
    create = awaits(collections.create)
    get = awaits(collections.get)
    delete = awaits(collections.delete)


class AsyncJobs(AsyncResource):
    """Background work."""

    list = lists_async(jobs.list_jobs)
    get = awaits(jobs.get)
    events = follows_async(jobs.events)
    cancel = awaits(jobs.cancel)
    retry = awaits(jobs.retry)

    async def wait(
        self, job_id: str, *, on_progress: OnProgress | None = None, timeout_s: float | None = None
    ) -> JobReply:
        """The job once it has succeeded. Raises JobFailed, and StillWorking after `timeout_s`."""
        return await wait_for_async(self._connection, job_id, Follow(on_progress, timeout_s))


class AsyncAdmin(AsyncResource):
    """What operators do."""

    consistency = awaits(operations.consistency)
    repair = awaits(operations.repair)
    back_up = awaits(operations.back_up)
