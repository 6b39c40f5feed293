"""Keys, tokens and credentials open what they should, once where once is meant, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.access import (
    JOIN_TOKEN_RETENTION,
    PURGE_ROWS_MAX,
    Access,
    AnotherParticipant,
    Joined,
    JoinTokenExpired,
    JoinTokenUnknown,
    JoinTokenUsed,
    new_api_key,
    secret_hash,
)
from activities.store.idempotency import (
    KEY_CHARS_MAX,
    IdempotencyKeyReused,
    IdempotencyKeys,
    InvalidIdempotencyKey,
)
from activities.store.tenancy import tenant_transaction
from domain.ids import ConversationId, EventId, ParticipantId, TenantId
from ops.bootstrap import Addresses, ensure_api_key


@pytest.fixture
def access(engine: AsyncEngine) -> Access:
    return Access(engine)


@pytest.fixture
def keys(engine: AsyncEngine) -> IdempotencyKeys:
    return IdempotencyKeys(engine)


def a_conversation() -> ConversationId:
    return ConversationId(uuid4())


def a_participant() -> ParticipantId:
    return ParticipantId(uuid4())


# --- API keys -----------------------------------------------------------------------------------------
async def test_a_key_names_its_tenant(access: Access, addresses: Addresses, tenant_id: TenantId) -> None:
    key = new_api_key()
    await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="the claims desk")
    await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="the claims desk")

    caller = await access.authenticate(key)

    assert caller is not None
    assert (caller.tenant_id, caller.key_name) == (tenant_id, "the claims desk")


async def test_an_unknown_key_names_nobody(access: Access) -> None:
    assert await access.authenticate(new_api_key()) is None
    assert await access.authenticate("") is None


async def test_a_revoked_key_names_nobody(
    access: Access, addresses: Addresses, tenant_id: TenantId, admin: AsyncEngine
) -> None:
    key = new_api_key()
    await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="old")
    async with admin.begin() as connection:
        await connection.execute(
            text("update public.api_keys set revoked_at = now() where key_hash = :hash"),
            {"hash": secret_hash(key)},
        )

    assert await access.authenticate(key) is None


async def test_keys_are_stored_as_digests_only(
    addresses: Addresses, tenant_id: TenantId, admin: AsyncEngine
) -> None:
    key = new_api_key()
    await ensure_api_key(addresses.admin_url, tenant_id, key=key, name="secret")

    async with admin.connect() as connection:
        row = await connection.scalar(
            text("select k::text from public.api_keys k where tenant_id = :tenant"), {"tenant": tenant_id}
        )

    assert secret_hash(key).hex() in str(row)
    assert key not in str(row)
    assert key.removeprefix("vv_") not in str(row)


def test_keys_are_random_and_recognisable() -> None:
    keys = {new_api_key() for _ in range(50)}

    assert len(keys) == 50
    assert all(key.startswith("vv_") and len(key) >= 46 for key in keys)


# --- joining ------------------------------------------------------------------------------------------
async def test_a_join_token_makes_a_participant_whose_credential_is_known_until_they_leave(
    access: Access, tenant_id: TenantId
) -> None:
    conversation, participant = a_conversation(), a_participant()
    token = await access.issue_join_token(tenant_id, conversation)

    joined = await access.redeem_join_token(token.token, participant)

    assert joined.participant.conversation_id == conversation
    assert joined.participant.tenant_id == tenant_id
    assert await access.resume(joined.resume_credential) == joined.participant
    await access.leave(joined.participant)
    await access.leave(joined.participant)
    assert await access.resume(joined.resume_credential) is None


async def test_a_join_token_works_once_also_when_it_comes_twice_at_the_same_time(
    access: Access, tenant_id: TenantId
) -> None:
    token = await access.issue_join_token(tenant_id, a_conversation())

    results = await asyncio.gather(
        *(access.redeem_join_token(token.token, a_participant()) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(result, Joined) for result in results) == 1
    assert sum(isinstance(result, JoinTokenUsed) for result in results) == 4


async def test_a_join_token_expires(access: Access, tenant_id: TenantId) -> None:
    token = await access.issue_join_token(tenant_id, a_conversation(), lifetime=timedelta(0))

    with pytest.raises(JoinTokenExpired):
        await access.redeem_join_token(token.token, a_participant())


async def test_a_join_token_lives_for_a_minute(
    access: Access, tenant_id: TenantId, engine: AsyncEngine
) -> None:
    token = await access.issue_join_token(tenant_id, a_conversation())

    async with tenant_transaction(engine, tenant_id) as connection:
        created_at = await connection.scalar(text("select created_at from public.join_tokens"))
    assert token.expires_at - created_at == timedelta(seconds=60)


async def test_a_second_participant_is_refused_and_keeps_the_token(
    access: Access, tenant_id: TenantId
) -> None:
    conversation = a_conversation()
    first = await access.issue_join_token(tenant_id, conversation)
    second = await access.issue_join_token(tenant_id, conversation)
    holding = await access.redeem_join_token(first.token, a_participant())

    with pytest.raises(AnotherParticipant):
        await access.redeem_join_token(second.token, a_participant())

    await access.leave(holding.participant)
    assert (await access.redeem_join_token(second.token, a_participant())).participant != holding.participant


async def test_an_unknown_token_and_an_unknown_credential_open_nothing(access: Access) -> None:
    with pytest.raises(JoinTokenUnknown):
        await access.redeem_join_token("no such token", a_participant())
    assert await access.resume("no such credential") is None


async def test_old_tokens_are_forgotten_a_few_at_a_time(
    access: Access, tenant_id: TenantId, engine: AsyncEngine, admin: AsyncEngine
) -> None:
    extra = 3
    for _ in range(PURGE_ROWS_MAX + extra):
        await access.issue_join_token(tenant_id, a_conversation())
    async with admin.begin() as connection:
        await connection.execute(
            text(
                "update public.join_tokens set expires_at = now() - cast(:age as interval)"
                " where tenant_id = :t"
            ),
            {"age": JOIN_TOKEN_RETENTION + timedelta(minutes=1), "t": tenant_id},
        )

    await access.issue_join_token(tenant_id, a_conversation())

    async with tenant_transaction(engine, tenant_id) as connection:
        assert await connection.scalar(text("select count(*) from public.join_tokens")) == extra + 1


# --- requests that are sent twice ---------------------------------------------------------------------
REQUEST = secret_hash("a request")


def a_claim() -> dict[str, Any]:
    return {"conversation_id": a_conversation(), "event_id": EventId(uuid4())}


async def test_a_key_that_comes_again_gives_the_first_ids(keys: IdempotencyKeys, tenant_id: TenantId) -> None:
    first = await keys.claim(tenant_id, "k", request_sha256=REQUEST, **a_claim())

    again = await keys.claim(tenant_id, "k", request_sha256=REQUEST, **a_claim())

    assert (first.fresh, again.fresh) == (True, False)
    assert (again.conversation_id, again.event_id) == (first.conversation_id, first.event_id)


async def test_of_several_at_once_one_is_first(keys: IdempotencyKeys, tenant_id: TenantId) -> None:
    claims = await asyncio.gather(
        *(keys.claim(tenant_id, "k", request_sha256=REQUEST, **a_claim()) for _ in range(6))
    )

    assert sum(claim.fresh for claim in claims) == 1
    assert len({claim.conversation_id for claim in claims}) == 1


async def test_a_key_with_another_request_is_refused(keys: IdempotencyKeys, tenant_id: TenantId) -> None:
    await keys.claim(tenant_id, "k", request_sha256=REQUEST, **a_claim())

    with pytest.raises(IdempotencyKeyReused):
        await keys.claim(tenant_id, "k", request_sha256=secret_hash("another"), **a_claim())


@pytest.mark.parametrize("key", ["", "k" * (KEY_CHARS_MAX + 1), "k\0"], ids=["empty", "long", "zero"])
async def test_a_key_that_cannot_be_kept_is_refused(
    keys: IdempotencyKeys, tenant_id: TenantId, key: str
) -> None:
    with pytest.raises(InvalidIdempotencyKey, match=str(KEY_CHARS_MAX)):
        await keys.claim(tenant_id, key, request_sha256=REQUEST, **a_claim())
    assert (await keys.claim(tenant_id, "k" * KEY_CHARS_MAX, request_sha256=REQUEST, **a_claim())).fresh


async def test_a_key_belongs_to_its_tenant(
    keys: IdempotencyKeys, tenant_id: TenantId, addresses: Addresses
) -> None:
    await keys.claim(tenant_id, "k", request_sha256=REQUEST, **a_claim())

    assert (await keys.claim(TenantId(uuid4()), "k", request_sha256=REQUEST, **a_claim())).fresh


async def test_a_key_is_forgotten_after_its_retention_and_old_ones_go_a_few_at_a_time(
    keys: IdempotencyKeys, tenant_id: TenantId, engine: AsyncEngine
) -> None:
    for number in range(PURGE_ROWS_MAX + 3):
        await keys.claim(tenant_id, f"k{number}", request_sha256=REQUEST, **a_claim())
    async with tenant_transaction(engine, tenant_id) as connection:
        await connection.execute(text("update public.idempotency_keys set expires_at = now()"))

    claim = await keys.claim(tenant_id, "k0", request_sha256=secret_hash("another"), **a_claim())

    assert claim.fresh
    async with tenant_transaction(engine, tenant_id) as connection:
        assert 1 <= await connection.scalar(text("select count(*) from public.idempotency_keys")) <= 4
