"""The list of conversations: newest first, exact across pages, told up to which version."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.projections.conversations import (
    CONVERSATIONS_PAGE_MAX,
    PAGES_SCANNED_MAX,
    Conversations,
    InvalidCursor,
)
from activities.store.event_store import PostgresEventStore
from domain.conversation.state import Status
from domain.events.catalogue import EndReason
from domain.events.envelope import NewEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, TenantId, conversation_stream, custody_stream
from tests.fakes.events import assigned, ended, requested, said, sealed, started


@pytest.fixture
def conversations(engine: AsyncEngine) -> Conversations:
    return Conversations(engine)


async def recorded(
    store: PostgresEventStore, tenant_id: TenantId, *events: NewEvent[Payload], epoch: int = 0
) -> ConversationId:
    conversation_id = ConversationId(uuid4())
    await store.append(
        tenant_id,
        conversation_stream(conversation_id),
        [requested(), *events],
        expected="no_stream",
        epoch=epoch,
    )
    return conversation_id


async def pages(
    conversations: Conversations, tenant_id: TenantId, *, limit: int, status: Status | None = None
) -> list[list[ConversationId]]:
    found, cursor = list[list[ConversationId]](), None
    while True:
        page = await conversations.page(tenant_id, limit=limit, cursor=cursor, status=status)
        found.append([item.conversation_id for item in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_conversation_is_told_as_its_events_say(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    begun, over, closed = assigned(), ended(), sealed(5)
    conversation_id = await recorded(event_store, tenant_id, begun, started(), said(), over, closed, epoch=3)

    summary = await conversations.get(tenant_id, conversation_id)

    assert summary is not None
    assert (summary.status, summary.version, summary.epoch) == (Status.SEALED, 6, 3)
    assert (summary.end_reason, summary.ended_at) == (EndReason.REQUESTED, over.occurred_at)
    assert summary.sealed == closed.payload
    assert summary.persona_revision == 1


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((), Status.REQUESTED),
        ((assigned(),), Status.AWAITING_PARTICIPANT),
        ((assigned(), started()), Status.LIVE),
        ((assigned(), started(), ended()), Status.WRAPPING_UP),
    ],
)
async def test_the_status_is_that_of_the_fold(
    conversations: Conversations,
    event_store: PostgresEventStore,
    tenant_id: TenantId,
    events: tuple[NewEvent[Payload], ...],
    status: Status,
) -> None:
    conversation_id = await recorded(event_store, tenant_id, *events)

    summary = await conversations.get(tenant_id, conversation_id)

    assert summary is not None
    assert summary.status is status
    assert summary.sealed is None


async def test_what_is_not_there_or_anothers_is_not_found(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    conversation_id = await recorded(event_store, tenant_id)

    assert await conversations.get(tenant_id, ConversationId(uuid4())) is None
    assert await conversations.get(TenantId(uuid4()), conversation_id) is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_every_conversation_once_newest_first(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId, limit: int
) -> None:
    made = [await recorded(event_store, tenant_id) for _ in range(7)]

    found = await pages(conversations, tenant_id, limit=limit)

    assert [each for page in found for each in page] == made[::-1]
    assert all(len(page) <= limit for page in found)


async def test_pages_stay_exact_while_conversations_begin_and_go_on(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    made = [await recorded(event_store, tenant_id) for _ in range(4)]
    first = await conversations.page(tenant_id, limit=2)

    await recorded(event_store, tenant_id)
    for conversation_id in made:
        await event_store.append(
            tenant_id, conversation_stream(conversation_id), [assigned()], expected="any", epoch=1
        )
    second = await conversations.page(tenant_id, limit=2, cursor=first.next_cursor)

    assert [item.conversation_id for item in (*first.items, *second.items)] == made[::-1]
    assert {item.version for item in second.items} == {2}


async def test_conversations_that_began_in_the_same_instant_stand_on_one_page_each(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId, admin: AsyncEngine
) -> None:
    made = {await recorded(event_store, tenant_id) for _ in range(5)}
    async with admin.begin() as connection:
        await connection.execute(
            text("update public.streams set created_at = now() where tenant_id = :t"), {"t": tenant_id}
        )

    found = [each for page in await pages(conversations, tenant_id, limit=2) for each in page]

    assert len(found) == 5
    assert set(found) == made


async def test_a_status_narrows_the_list(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    waiting = await recorded(event_store, tenant_id, assigned())
    live = await recorded(event_store, tenant_id, assigned(), started())
    over = await recorded(event_store, tenant_id, ended(), sealed(2))
    also_live = await recorded(event_store, tenant_id, assigned(), started())

    assert await pages(conversations, tenant_id, limit=10, status=Status.LIVE) == [[also_live, live]]
    assert await pages(conversations, tenant_id, limit=10, status=Status.SEALED) == [[over]]
    assert await pages(conversations, tenant_id, limit=10, status=Status.AWAITING_PARTICIPANT) == [[waiting]]
    assert await pages(conversations, tenant_id, limit=10, status=Status.REASSIGNING) == [[]]


async def test_a_rare_status_is_looked_for_in_bounded_steps(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    rare = await recorded(event_store, tenant_id, assigned(), started())
    for _ in range(PAGES_SCANNED_MAX):
        await recorded(event_store, tenant_id)

    first = await conversations.page(tenant_id, limit=1, status=Status.LIVE)
    second = await conversations.page(tenant_id, limit=1, status=Status.LIVE, cursor=first.next_cursor)

    assert first.items == ()
    assert [item.conversation_id for item in second.items] == [rare]


async def test_a_page_is_bounded(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    for _ in range(CONVERSATIONS_PAGE_MAX + 1):
        await recorded(event_store, tenant_id)

    page = await conversations.page(tenant_id, limit=10 * CONVERSATIONS_PAGE_MAX)

    assert len(page.items) == CONVERSATIONS_PAGE_MAX
    assert page.next_cursor is not None


async def test_streams_of_other_kinds_are_no_conversations(
    conversations: Conversations, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    conversation_id = await recorded(event_store, tenant_id)
    await event_store.append(tenant_id, custody_stream(conversation_id), [said()], expected="any", epoch=0)

    assert await pages(conversations, tenant_id, limit=10) == [[conversation_id]]


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "e30", "WzEsMl0", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwieCJd"])
async def test_a_cursor_that_was_never_given_out_is_refused(
    conversations: Conversations, tenant_id: TenantId, cursor: str
) -> None:
    with pytest.raises(InvalidCursor):
        await conversations.page(tenant_id, cursor=cursor)


async def test_open_conversations_of_all_tenants_are_found_oldest_first_a_page_at_a_time(
    engine: AsyncEngine, event_store: PostgresEventStore
) -> None:
    tenants = [TenantId(uuid4()), TenantId(uuid4())]
    made = [await recorded(event_store, tenant, assigned()) for tenant in tenants * 2]
    closed = await recorded(event_store, tenants[0], sealed(1))
    streams = [conversation_stream(each) for each in made]

    found: list[tuple[TenantId, str]] = []
    after, after_stream = None, None
    while True:
        async with engine.connect() as connection:
            rows = (
                await connection.execute(
                    text("select * from public.unsealed_conversations(:after, :after_stream, 3)"),
                    {"after": after, "after_stream": after_stream},
                )
            ).all()
        found += [(row.tenant_id, row.stream_id) for row in rows]
        if len(rows) < 3:
            break
        after, after_stream = rows[-1].created_at, rows[-1].stream_id

    assert len(found) == len(set(found))
    assert [stream for _, stream in found if stream in streams] == streams
    assert {tenant for tenant, stream in found if stream in streams} == set(tenants)
    assert conversation_stream(closed) not in {stream for _, stream in found}
