"""A request that is sent twice under one key creates one conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.tenancy import tenant_transaction
from domain.errors import InvalidInput, RuleBroken
from domain.ids import ConversationId, EventId, TenantId

IDEMPOTENCY_RETENTION = timedelta(hours=24)
# Each new key removes at most so many old ones: more than it adds, and never a long transaction.
PURGE_ROWS_MAX = 20
KEY_CHARS_MAX = 255


class InvalidIdempotencyKey(InvalidInput):
    """The key is empty or too long."""

    code = "invalid_idempotency_key"


class IdempotencyKeyReused(RuleBroken):
    """The key came with another request before."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Claim:
    """The ids to create under. What was begun under them before is completed by doing it again."""

    conversation_id: ConversationId
    event_id: EventId
    # Whether this request is the first with its key.
    fresh: bool


class IdempotencyKeys:
    """For POST /v1/conversations. Keys are a tenant's own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(
        self,
        tenant_id: TenantId,
        key: str,
        *,
        request_sha256: bytes,
        conversation_id: ConversationId,
        event_id: EventId,
        retention: timedelta = IDEMPOTENCY_RETENTION,
    ) -> Claim:
        """The ids given, or those of the first request with this key within `retention`.

        `request_sha256` is the digest of what was asked for. Raises IdempotencyKeyReused where that was
        something else, InvalidIdempotencyKey or StoreUnavailable.
        """
        if not 1 <= len(key) <= KEY_CHARS_MAX or "\0" in key:
            raise InvalidIdempotencyKey(f"an Idempotency-Key has 1 to {KEY_CHARS_MAX} characters")
        async with tenant_transaction(self._engine, tenant_id) as connection:
            await connection.execute(_PURGE, {"tenant_id": tenant_id, "key": key, "rows": PURGE_ROWS_MAX})
            inserted = await connection.execute(
                _INSERT,
                {
                    "tenant_id": tenant_id,
                    "key": key,
                    "request_sha256": request_sha256,
                    "conversation_id": conversation_id,
                    "event_id": event_id,
                    "retention": retention,
                },
            )
            if inserted.rowcount == 1:
                return Claim(conversation_id, event_id, fresh=True)
            first = (await connection.execute(_FIRST, {"tenant_id": tenant_id, "key": key})).one()
        if first.request_sha256 != request_sha256:
            raise IdempotencyKeyReused(
                "this Idempotency-Key came with another request before: use a new key for a new request"
            )
        return Claim(ConversationId(first.conversation_id), EventId(first.event_id), fresh=False)


# As an array the inner query runs once; under `in`, a plan may run it again for each row.
_PURGE = text(
    """
    delete from public.idempotency_keys
     where tenant_id = :tenant_id and (
           (key = :key and expires_at <= now())
        or key = any (array(select key from public.idempotency_keys
                    where tenant_id = :tenant_id and expires_at <= now()
                    order by expires_at limit :rows for update skip locked)))
    """
)
_INSERT = text(
    """
    insert into public.idempotency_keys
           (tenant_id, key, request_sha256, conversation_id, event_id, expires_at)
    values (:tenant_id, :key, :request_sha256, :conversation_id, :event_id,
            now() + cast(:retention as interval))
    on conflict do nothing
    """
)
_FIRST = text(
    """
    select request_sha256, conversation_id, event_id from public.idempotency_keys
     where tenant_id = :tenant_id and key = :key
    """
)
