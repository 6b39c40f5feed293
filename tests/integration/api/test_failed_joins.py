"""A join that fails leaves the token as good as it was, and the place free."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.projections.conversations import Conversations, ConversationSummary
from activities.store import access as access_module
from activities.store.access import UNDO_PAUSES_S, Access, Invitation, Joined, JoinTokenUsed
from activities.store.engine import create_engine
from domain.errors import StoreUnavailable
from domain.ids import ConversationId, ParticipantId, TenantId
from ops.api.app import create_app
from ops.api.services import Services
from ops.bootstrap import Addresses
from tests.api_fixtures import PUBLIC_URL
from tests.fakes.conversation_log import Log
from tests.integration.api.expectations import assert_problem
from tests.temporal_fixtures import eventually


class _AnswerLost(Access):
    """Joins, and the answer to its commit never comes."""

    async def _redeem(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> Joined:
        await super()._redeem(token, invitation, participant_id)
        raise StoreUnavailable("the connection to Postgres was lost")


class _AnswerLate(Access):
    """Joins, and waits for an answer until it is cancelled."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.stored = asyncio.Event()

    async def _redeem(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> Joined:
        joined = await super()._redeem(token, invitation, participant_id)
        self.stored.set()
        await asyncio.Event().wait()
        return joined


class _GoneForGood(_AnswerLost):
    """Postgres does not come back to take the join back either."""

    attempts = 0

    async def _undo(self, token: str, invitation: Invitation, participant_id: ParticipantId) -> None:
        self.attempts += 1
        raise StoreUnavailable("the connection to Postgres was lost")


class _AwayOnce(Conversations):
    """The first question finds no Postgres."""

    away = True

    async def get(self, tenant_id: TenantId, conversation_id: ConversationId) -> ConversationSummary | None:
        if self.away:
            self.away = False
            raise StoreUnavailable("the connection to Postgres was lost")
        return await super().get(tenant_id, conversation_id)


@asynccontextmanager
async def _api(services: Services, **replaced: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(dataclasses.replace(services, **replaced))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture
async def admin(addresses: Addresses) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(addresses.admin_url, application_name="administrator")
    yield engine
    await engine.dispose()


async def _join(api: httpx.AsyncClient, conversation: dict[str, Any]) -> httpx.Response:
    return await api.post(
        f"/v1/conversations/{conversation['conversation_id']}/join",
        json={"join_token": conversation["join_token"]},
    )


@asynccontextmanager
async def _held_up(admin: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """Joins wait between spending the token and taking the place."""
    async with admin.connect() as connection, connection.begin():
        await connection.execute(text("lock table public.participants in share row exclusive mode"))
        yield admin


async def _waiting(admin: AsyncEngine) -> int | None:
    """The server process of the join that is held up."""
    async with admin.connect() as connection:
        found: int | None = await connection.scalar(
            text("select pid from pg_locks where relation = 'public.participants'::regclass and not granted")
        )
        return found


async def test_a_conversation_that_is_over_spends_no_token(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], conversation_log: Log
) -> None:
    await conversation_log.end(conversation["conversation_id"])

    for _ in range(2):
        assert_problem(await _join(anyone, conversation), 409, "conversation_ended")


async def test_a_conversation_that_is_not_the_tokens_spends_no_token(
    anyone: httpx.AsyncClient, conversation: dict[str, Any]
) -> None:
    elsewhere = {**conversation, "conversation_id": str(uuid4())}

    assert_problem(await _join(anyone, elsewhere), 404, "join_token_unknown")
    assert (await _join(anyone, conversation)).status_code == 200


async def test_postgres_away_before_the_token_is_spent(
    services: Services, engine: AsyncEngine, conversation: dict[str, Any]
) -> None:
    async with _api(services, conversations=_AwayOnce(engine)) as api:
        assert_problem(await _join(api, conversation), 503, "store_unavailable")
        assert (await _join(api, conversation)).status_code == 200


async def test_a_connection_that_is_cut_between_token_and_place(
    anyone: httpx.AsyncClient, conversation: dict[str, Any], admin: AsyncEngine
) -> None:
    # Given a join that has spent its token and has no place yet
    async with _held_up(admin):
        joining = asyncio.create_task(_join(anyone, conversation))
        pid = await eventually(lambda: _waiting(admin))

        # When its connection to Postgres is cut
        async with admin.connect() as connection:
            await connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
    failed = await joining

    # Then the same token still works
    assert_problem(failed, 503, "store_unavailable")
    assert (await _join(anyone, conversation)).status_code == 200


async def test_a_join_that_was_stored_and_whose_answer_was_lost_is_taken_back(
    anyone: httpx.AsyncClient, services: Services, engine: AsyncEngine, conversation: dict[str, Any]
) -> None:
    async with _api(services, access=_AnswerLost(engine)) as api:
        assert_problem(await _join(api, conversation), 503, "store_unavailable")

    joined = await _join(anyone, conversation)

    assert joined.status_code == 200
    assert await services.access.resume(joined.json()["resume_credential"]) is not None
    assert_problem(await _join(anyone, conversation), 409, "join_token_used")


async def test_a_join_that_is_cancelled_before_it_has_a_place(
    services: Services, conversation: dict[str, Any], admin: AsyncEngine
) -> None:
    async with _held_up(admin):
        joining = asyncio.create_task(
            services.access.redeem_join_token(conversation["join_token"], ParticipantId(uuid4()))
        )
        await eventually(lambda: _waiting(admin))
        joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining

    again = await services.access.redeem_join_token(conversation["join_token"], ParticipantId(uuid4()))
    assert again.participant.conversation_id == UUID(conversation["conversation_id"])


async def test_a_join_that_is_cancelled_after_it_was_stored(
    engine: AsyncEngine, services: Services, conversation: dict[str, Any]
) -> None:
    late = _AnswerLate(engine)
    joining = asyncio.create_task(late.redeem_join_token(conversation["join_token"], ParticipantId(uuid4())))
    await late.stored.wait()

    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining

    assert await services.access.redeem_join_token(conversation["join_token"], ParticipantId(uuid4()))


async def test_of_two_joins_at_once_exactly_one_wins(
    anyone: httpx.AsyncClient, conversation: dict[str, Any]
) -> None:
    answers = await asyncio.gather(*(_join(anyone, conversation) for _ in range(2)))

    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert won.status_code == 200
    assert_problem(lost, 409, "join_token_used")


async def test_who_lost_against_another_does_not_take_their_join_back(
    engine: AsyncEngine, services: Services, conversation: dict[str, Any]
) -> None:
    """A join that breaks off knows what it stored itself from what another stored meanwhile."""
    token = conversation["join_token"]
    won = await services.access.redeem_join_token(token, ParticipantId(uuid4()))
    loser = Access(engine)

    await loser._take_back(token, await loser.invitation(token), ParticipantId(uuid4()))

    assert await services.access.resume(won.resume_credential) == won.participant
    with pytest.raises(JoinTokenUsed):
        await services.access.redeem_join_token(token, ParticipantId(uuid4()))


async def test_taking_back_is_given_up_after_its_attempts(
    engine: AsyncEngine, conversation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = _GoneForGood(engine)
    monkeypatch.setattr(access_module, "UNDO_PAUSES_S", tuple(0.0 for _ in UNDO_PAUSES_S))

    with pytest.raises(StoreUnavailable):
        await gone.redeem_join_token(conversation["join_token"], ParticipantId(uuid4()))

    assert gone.attempts == len(UNDO_PAUSES_S) + 1


async def test_taking_back_is_given_up_when_its_time_is_up(
    engine: AsyncEngine, conversation: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = _GoneForGood(engine)
    monkeypatch.setattr(access_module, "UNDO_S_MAX", 0.01)

    with pytest.raises(StoreUnavailable):
        await gone.redeem_join_token(conversation["join_token"], ParticipantId(uuid4()))

    assert gone.attempts == 1
