"""Whether manifest, originals and points agree, and their repair while serving."""

from dataclasses import asdict

from fastapi import APIRouter

from ragstone.api.deps import Services
from ragstone.api.errors import error_responses
from ragstone.api.schemas.consistency import ConsistencyReply
from ragstone.services.consistency import Consistency

router = APIRouter(prefix="/admin/consistency", tags=["admin"])


@router.get("", responses=error_responses(403, 422, 503), summary="Compare manifest, originals and points")
async def get_consistency(services: Services) -> ConsistencyReply:
    """Looks only. Reads the whole index: some seconds at 100,000 chunks."""
    return await _reply(services, await services.consistency.check())


@router.post("", responses=error_responses(403, 422, 503), summary="Compare and repair")
async def repair_consistency(services: Services) -> ConsistencyReply:
    """Shows what was found before the repair; `last_repair` says what was done. Safe while serving. Versions that are
    indexed again are whole once their jobs have ended."""
    return await _reply(services, await services.consistency.repair())


async def _reply(services: Services, found: Consistency) -> ConsistencyReply:
    return ConsistencyReply.model_validate(
        {
            **asdict(found),
            "is_consistent": found.is_consistent,
            "last_repair": await services.consistency.last_repair(),
            "reindexing": services.reindexing.progress if services.reindexing else None,
        }
    )
