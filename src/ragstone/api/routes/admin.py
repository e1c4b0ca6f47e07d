"""What the owner of the server does: backups."""

from fastapi import APIRouter

from ragstone.api.bodies import JsonRoute
from ragstone.api.deps import Clock, RequestId, Services
from ragstone.api.errors import error_responses
from ragstone.api.schemas.admin import BackupReply, BackupRequest

router = APIRouter(prefix="/admin", tags=["admin"], route_class=JsonRoute)


@router.post(
    "/backups",
    status_code=201,
    responses=error_responses(400, 403, 409, 413, 415, 422, 503),
    summary="Make a backup",
)
async def make_backup(
    body: BackupRequest, services: Services, clock: Clock, request_id: RequestId
) -> BackupReply:
    """Answers when the backup is complete. It goes on when the client leaves."""
    report = await services.backups.make(body.directory, stopwatch=clock)
    backup = report.backup
    return BackupReply(
        directory=str(report.directory),
        created_at=backup.created_at,
        documents=backup.documents,
        blobs=backup.blobs,
        blobs_added=report.blobs_added,
        blobs_removed=report.blobs_removed,
        missing_blobs=list(backup.missing_blobs),
        metadata={"request_id": request_id, **clock.stop()},
    )
