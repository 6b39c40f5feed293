"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter

from domain.errors import VivavoceError
from ops.api.models import Health
from ops.api.problem import RETRY_AFTER_S, ApiProblem, problems
from ops.api.services import Services, ServicesOf

# Together they are shorter than what a load balancer usually waits.
CHECK_S_MAX = 2.5

router = APIRouter(prefix="/v1/health", tags=["health"])


@router.get("/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="live")


@router.get("/ready", responses=problems(503))
async def ready(services: ServicesOf) -> Health:
    """Postgres and Temporal answer too. 503 names what does not."""
    checks = await asyncio.gather(_store_answers(services), _workflows_answer(services))
    missing = [name for name, answers in zip(("Postgres", "Temporal"), checks, strict=True) if not answers]
    if not missing:
        return Health(status="ready")
    verb = "does" if len(missing) == 1 else "do"
    raise ApiProblem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "not_ready",
        f"{' and '.join(missing)} {verb} not answer within {CHECK_S_MAX} seconds.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _store_answers(services: Services) -> bool:
    try:
        async with asyncio.timeout(CHECK_S_MAX):
            return await services.store_ready()
    except (TimeoutError, VivavoceError):
        return False


async def _workflows_answer(services: Services) -> bool:
    try:
        async with asyncio.timeout(CHECK_S_MAX):
            return await services.runs.ready()
    except TimeoutError:
        return False
