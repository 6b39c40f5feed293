"""Who may enter: API keys, join tokens and resume credentials.

Each is 32 random bytes, too many to guess, so that a plain digest of it is safe to store. The database holds
digests and nothing that opens a door.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.store.failures import store_failures
from activities.store.tenancy import tenant_transaction
from domain.errors import NotFound, RuleBroken, StoreUnavailable
from domain.ids import ConversationId, ParticipantId, TenantId

SECRET_BYTES = 32
API_KEY_PREFIX = "vv_"
JOIN_TOKEN_LIFETIME = timedelta(seconds=60)
# A used or expired token is remembered for so long, to be refused with its reason; then it is unknown.
JOIN_TOKEN_RETENTION = timedelta(hours=24)
# Each new token removes at most so many old ones: more than it adds, and never a long transaction.
PURGE_ROWS_MAX = 20
# A join that broke off in the middle is taken back within so long, with these pauses between the attempts;
# whoever asked waits for it, and should not wait longer than for the join itself.
UNDO_S_MAX = 5.0
UNDO_PAUSES_S = (0.1, 0.3, 0.6, 1.0)

log = structlog.get_logger()


class JoinTokenUnknown(NotFound):
    """No such token was given out, or it was forgotten since."""

    code = "join_token_unknown"


class JoinTokenUsed(RuleBroken):
    """A join token works once."""

    code = "join_token_used"


class JoinTokenExpired(RuleBroken):
    """A join token works for a minute."""

    code = "join_token_expired"


class AnotherParticipant(RuleBroken):
    """A conversation has one participant at a time."""

    code = "another_participant"


@dataclass(frozen=True, slots=True)
class ApiCaller:
    tenant_id: TenantId
    key_id: UUID
    key_name: str


@dataclass(frozen=True, slots=True)
class JoinToken:
    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a join token is for."""

    tenant_id: TenantId
    conversation_id: ConversationId


@dataclass(frozen=True, slots=True)
class Participant:
    tenant_id: TenantId
    conversation_id: ConversationId
    participant_id: ParticipantId


@dataclass(frozen=True, slots=True)
class Joined:
    participant: Participant
    resume_credential: str


def new_api_key() -> str:
    return API_KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """What is stored and looked up, 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


class Access:
    """Every method raises StoreUnavailable where Postgres does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # A look-up is one statement: no round trip to begin a transaction, none to end it.
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def authenticate(self, api_key: str) -> ApiCaller | None:
        """Whose key it is; None for one that was never given out or was revoked."""
        row = await self._look_up(_AUTHENTICATE, api_key)
        return None if row is None else ApiCaller(TenantId(row.tenant_id), row.key_id, row.name)

    async def resume(self, resume_credential: str) -> Participant | None:
        """Who holds the credential; None for an unknown one and for a participant who has left."""
        row = await self._look_up(_FIND_CREDENTIAL, resume_credential)
        if row is None:
            return None
        return Participant(
            TenantId(row.tenant_id), ConversationId(row.conversation_id), ParticipantId(row.participant_id)
        )

    async def issue_join_token(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        lifetime: timedelta = JOIN_TOKEN_LIFETIME,
    ) -> JoinToken:
        """The caller has made sure that the tenant has such a conversation."""
        token = secrets.token_urlsafe(SECRET_BYTES)
        async with tenant_transaction(self._engine, tenant_id) as connection:
            await connection.execute(
                _PURGE, {"tenant_id": tenant_id, "retention": JOIN_TOKEN_RETENTION, "rows": PURGE_ROWS_MAX}
            )
            expires_at = await connection.scalar(
                _ISSUE,
                {
                    "tenant_id": tenant_id,
                    "token_hash": secret_hash(token),
                    "conversation_id": conversation_id,
                    "lifetime": lifetime,
                },
            )
        return JoinToken(token, expires_at)

    async def invitation(self, token: str) -> Invitation:
        """What the token is for, whether or not it is still good. Spends nothing. Raises JoinTokenUnknown."""
        found = await self._look_up(_FIND_TOKEN, token)
        if found is None:
            raise JoinTokenUnknown("this join token is not known: ask for a new one")
        return Invitation(TenantId(found.tenant_id), ConversationId(found.conversation_id))

    async def redeem_join_token(self, token: str, participant_id: ParticipantId) -> Joined:
        """Spends the token and makes the caller the conversation's participant, or does neither, also where
        Postgres fails in the middle or the caller is cancelled: then the token is as good as before.

        `participant_id` is new. Raises JoinTokenUnknown, JoinTokenUsed, JoinTokenExpired or
        AnotherParticipant.
        """
        invitation = await self.invitation(token)
        try:
            return await self._redeem(token, invitation, participant_id)
        except (StoreUnavailable, asyncio.CancelledError):
            # Whether it was stored is not known, and nobody holds the credential.
            await self._take_back(token, invitation, participant_id)
            raise

    async def _redeem(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> Joined:
        tenant_id, conversation_id = invitation.tenant_id, invitation.conversation_id
        credential = secrets.token_urlsafe(SECRET_BYTES)
        async with tenant_transaction(self._engine, tenant_id) as connection:
            spent = await connection.execute(_SPEND, {"tenant_id": tenant_id, "hash": secret_hash(token)})
            if spent.rowcount != 1:
                await _refuse(connection, tenant_id, token)
            joined = await connection.execute(
                _JOIN,
                {
                    "tenant_id": tenant_id,
                    "conversation_id": conversation_id,
                    "participant_id": participant_id,
                    "hash": secret_hash(credential),
                },
            )
            if joined.rowcount != 1:
                raise AnotherParticipant(
                    "somebody else takes part in this conversation already, and it has room for one:"
                    " start a conversation of your own"
                )
        return Joined(Participant(tenant_id, conversation_id, participant_id), credential)

    async def _take_back(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> None:
        try:
            async with asyncio.timeout(UNDO_S_MAX):
                for pause_s in UNDO_PAUSES_S:
                    try:
                        return await self._undo(token, invitation, participant_id)
                    except StoreUnavailable:
                        await asyncio.sleep(pause_s)
                await self._undo(token, invitation, participant_id)
        except (StoreUnavailable, TimeoutError):
            # Where the join was stored, its place stays taken until the conversation ends.
            log.warning("join.not_taken_back", conversation_id=str(invitation.conversation_id))

    async def _undo(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> None:
        spent = {"tenant_id": invitation.tenant_id, "hash": secret_hash(token)}
        async with tenant_transaction(self._engine, invitation.tenant_id) as connection:
            # Waits for a join that is still being stored, so that what follows sees how it ended.
            await connection.execute(_HOLD, spent)
            left = await connection.execute(
                _LEAVE,
                {
                    "tenant_id": invitation.tenant_id,
                    "conversation_id": invitation.conversation_id,
                    "participant_id": participant_id,
                },
            )
            if left.rowcount == 1:
                await connection.execute(_UNSPEND, spent)

    async def leave(self, participant: Participant) -> None:
        """The credential works no more, and another participant may join. Leaving twice is leaving."""
        async with tenant_transaction(self._engine, participant.tenant_id) as connection:
            await connection.execute(
                _LEAVE,
                {
                    "tenant_id": participant.tenant_id,
                    "conversation_id": participant.conversation_id,
                    "participant_id": participant.participant_id,
                },
            )

    async def _look_up(self, function: TextClause, secret: str) -> Row[Any] | None:
        with store_failures():
            async with self._single.connect() as connection:
                return (await connection.execute(function, {"hash": secret_hash(secret)})).one_or_none()


async def _refuse(connection: AsyncConnection, tenant_id: TenantId, token: str) -> None:
    row = (
        await connection.execute(_FATE, {"tenant_id": tenant_id, "hash": secret_hash(token)})
    ).one_or_none()
    if row is None:
        raise JoinTokenUnknown("this join token is not known: ask for a new one")
    if row.used:
        raise JoinTokenUsed("this join token was used already, and it works once: ask for a new one")
    raise JoinTokenExpired("this join token is too old, it worked for a minute: ask for a new one")


_AUTHENTICATE = text("select tenant_id, key_id, name from public.authenticate(:hash)")
_FIND_TOKEN = text("select tenant_id, conversation_id from public.find_join_token(:hash)")
_FIND_CREDENTIAL = text(
    "select tenant_id, conversation_id, participant_id from public.find_resume_credential(:hash)"
)
# As an array the inner query runs once. Under `in`, a plan may run it again for each row, and each run picks
# other rows: the bound would then hold no more.
_PURGE = text(
    """
    delete from public.join_tokens where tenant_id = :tenant_id and token_hash = any (array(
        select token_hash from public.join_tokens
         where tenant_id = :tenant_id and expires_at < now() - cast(:retention as interval)
         order by expires_at limit :rows for update skip locked))
    """
)
_ISSUE = text(
    """
    insert into public.join_tokens (tenant_id, token_hash, conversation_id, expires_at)
    values (:tenant_id, :token_hash, :conversation_id, now() + cast(:lifetime as interval))
    returning expires_at
    """
)
_SPEND = text(
    """
    update public.join_tokens set used_at = now()
     where tenant_id = :tenant_id and token_hash = :hash and used_at is null and expires_at > now()
    """
)
_HOLD = text(
    """
    select 1 from public.join_tokens where tenant_id = :tenant_id and token_hash = :hash for update
    """
)
_UNSPEND = text(
    """
    update public.join_tokens set used_at = null where tenant_id = :tenant_id and token_hash = :hash
    """
)
_FATE = text(
    """
    select used_at is not null as used from public.join_tokens
     where tenant_id = :tenant_id and token_hash = :hash
    """
)
_JOIN = text(
    """
    insert into public.participants (tenant_id, conversation_id, participant_id, credential_hash)
    values (:tenant_id, :conversation_id, :participant_id, :hash) on conflict do nothing
    """
)
_LEAVE = text(
    """
    update public.participants set left_at = now()
     where tenant_id = :tenant_id and conversation_id = :conversation_id
       and participant_id = :participant_id and left_at is null
    """
)
