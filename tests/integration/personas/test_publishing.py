from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities import personas as personas_module
from activities.personas import PersonaNotFound, PersonaPublisher, PostgresPersonaLibrary, Publication
from activities.store.event_store import PostgresEventStore
from domain.errors import NotFound, StoreUnavailable
from domain.events.canonical import Json
from domain.events.catalogue import PersonaPublished
from domain.events.envelope import Actor, ActorKind
from domain.ids import PersonaId, TenantId, persona_stream
from domain.mind.persona import Persona, PersonaInvalid, parse_persona
from domain.ports import Appended
from ops.bootstrap import Addresses, ensure_tenant
from tests.fakes.embedder import WordEmbedder
from tests.unit.mind.policies import persona_document

PUBLISHERS = 4
ACTOR = Actor(kind=ActorKind.SERVICE, id="tests")


def _persona(greeting: str = "Hello.", text: str = "The excess is 250 pounds.") -> Persona:
    return parse_persona(persona_document(greeting=greeting, documents=[{"title": "Guide", "text": text}]))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def publisher(
    engine: AsyncEngine, event_store: PostgresEventStore, executor: ThreadPoolExecutor
) -> PersonaPublisher:
    return PersonaPublisher(engine, event_store, embedder=WordEmbedder(), executor=executor)


@pytest.fixture
def library(engine: AsyncEngine) -> PostgresPersonaLibrary:
    return PostgresPersonaLibrary(engine)


async def _events(
    store: PostgresEventStore, tenant_id: TenantId, publication: Publication
) -> list[PersonaPublished]:
    recorded = await store.read(tenant_id, persona_stream(publication.published.persona_id))
    return [event.payload for event in recorded if isinstance(event.payload, PersonaPublished)]


async def test_what_was_published_is_loaded_again_exactly(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    publication = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    published = publication.published
    assert publication.created
    assert published.revision == 1
    assert await library.load(tenant_id, published.persona_id, 1) == published
    assert published.policy_revision == _persona().policy_revision
    assert published.knowledge_revision == _persona().knowledge_revision


async def test_changed_content_is_the_next_revision_and_the_first_stays_as_it_was(
    publisher: PersonaPublisher,
    library: PostgresPersonaLibrary,
    event_store: PostgresEventStore,
    tenant_id: TenantId,
) -> None:
    first = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    persona_id = first.published.persona_id
    second = await publisher.publish(tenant_id, _persona("Good day."), actor=ACTOR, persona_id=persona_id)
    assert (second.published.revision, second.created) == (2, True)
    assert (await library.load(tenant_id, persona_id, 1)).persona.greeting == "Hello."
    assert (await library.latest(tenant_id, persona_id)).persona.greeting == "Good day."
    assert [event.revision for event in await _events(event_store, tenant_id, second)] == [1, 2]


async def test_the_same_content_again_is_the_same_revision_and_no_second_event(
    publisher: PersonaPublisher, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    first = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    again = await publisher.publish(tenant_id, _persona(), actor=ACTOR, persona_id=first.published.persona_id)
    assert again == Publication(first.published, created=False)
    assert len(await _events(event_store, tenant_id, first)) == 1


async def test_the_same_content_without_an_id_is_the_same_persona(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    publications = await asyncio.gather(
        *(publisher.publish(tenant_id, _persona(), actor=ACTOR) for _ in range(PUBLISHERS))
    )
    other = await publisher.publish(tenant_id, _persona("Good day."), actor=ACTOR)

    assert len({each.published.persona_id for each in publications}) == 1
    assert [each.created for each in publications].count(True) == 1
    assert len(await library.summaries(tenant_id)) == 2
    assert other.created


async def test_what_somebody_said_once_and_says_no_more_is_a_new_persona(
    publisher: PersonaPublisher, tenant_id: TenantId
) -> None:
    first = (await publisher.publish(tenant_id, _persona(), actor=ACTOR)).published
    await publisher.publish(tenant_id, _persona("Good day."), actor=ACTOR, persona_id=first.persona_id)

    again = await publisher.publish(tenant_id, _persona(), actor=ACTOR)

    assert again.created
    assert again.published.persona_id != first.persona_id


async def test_an_earlier_revision_s_content_comes_back_as_that_revision(
    publisher: PersonaPublisher, tenant_id: TenantId
) -> None:
    first = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    persona_id = first.published.persona_id
    await publisher.publish(tenant_id, _persona("Good day."), actor=ACTOR, persona_id=persona_id)
    back = await publisher.publish(tenant_id, _persona(), actor=ACTOR, persona_id=persona_id)
    assert (back.published.revision, back.created) == (1, False)


async def test_many_at_once_make_dense_revisions(
    publisher: PersonaPublisher, event_store: PostgresEventStore, tenant_id: TenantId
) -> None:
    first = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    persona_id = first.published.persona_id
    published = await asyncio.gather(
        *(
            publisher.publish(tenant_id, _persona(f"Hello {n}."), actor=ACTOR, persona_id=persona_id)
            for n in range(5)
        )
    )
    assert sorted(each.published.revision for each in published) == [2, 3, 4, 5, 6]
    recorded = await _events(event_store, tenant_id, first)
    assert [event.revision for event in recorded] == [1, 2, 3, 4, 5, 6]


class _BrokenOnce(PostgresEventStore):
    """Loses the first append, as a server that goes down just then."""

    broken = True

    async def append(self, *args: object, **kwargs: object) -> Appended:
        if self.broken:
            self.broken = False
            raise StoreUnavailable("gone")
        return await super().append(*args, **kwargs)  # type: ignore[arg-type]


async def test_a_publication_that_lost_its_event_is_completed_by_the_next(
    engine: AsyncEngine, executor: ThreadPoolExecutor, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    store = _BrokenOnce(engine)
    publisher = PersonaPublisher(engine, store, embedder=WordEmbedder(), executor=executor)
    with pytest.raises(StoreUnavailable):
        await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    (summary,) = await library.summaries(tenant_id)
    changed = await publisher.publish(
        tenant_id, _persona("Good day."), actor=ACTOR, persona_id=summary.persona_id
    )
    assert changed.published.revision == 2
    assert [event.revision for event in await _events(store, tenant_id, changed)] == [1, 2]


async def test_a_persona_that_contradicts_its_policy_leaves_nothing(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    rule: dict[str, Json] = {
        "guardrail_name": "no_hello",
        "scope": "output",
        "test": {"kind": "pattern", "any_of": ["hello"]},
        "verdict": "replace",
        "say": "Hm.",
    }
    with pytest.raises(PersonaInvalid, match="greeting"):
        await publisher.publish(tenant_id, parse_persona(persona_document(guardrails=[rule])), actor=ACTOR)
    assert await library.summaries(tenant_id) == ()


async def test_an_unknown_persona_is_not_found(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    unknown = PersonaId(uuid4())
    with pytest.raises(NotFound):
        await publisher.publish(tenant_id, _persona(), actor=ACTOR, persona_id=unknown)
    with pytest.raises(PersonaNotFound):
        await library.load(tenant_id, unknown, 1)
    published = (await publisher.publish(tenant_id, _persona(), actor=ACTOR)).published
    with pytest.raises(PersonaNotFound, match="revision 2"):
        await library.load(tenant_id, published.persona_id, 2)


async def test_another_tenant_sees_nothing_of_it(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, addresses: Addresses, tenant_id: TenantId
) -> None:
    stranger = TenantId(uuid4())
    await ensure_tenant(addresses.admin_url, stranger, name="a stranger")
    published = (await publisher.publish(tenant_id, _persona(), actor=ACTOR)).published
    with pytest.raises(PersonaNotFound):
        await library.load(stranger, published.persona_id, 1)
    assert await library.summaries(stranger) == ()


async def test_the_list_shows_the_newest_revision_of_each(
    publisher: PersonaPublisher, library: PostgresPersonaLibrary, tenant_id: TenantId
) -> None:
    first = await publisher.publish(tenant_id, _persona(), actor=ACTOR)
    second = await publisher.publish(tenant_id, _persona("Hi."), actor=ACTOR)
    await publisher.publish(
        tenant_id, _persona("Good day."), actor=ACTOR, persona_id=first.published.persona_id
    )
    listed = await library.summaries(tenant_id)
    assert [(each.persona_id, each.revision) for each in listed] == [
        (second.published.persona_id, 1),
        (first.published.persona_id, 2),
    ]
    assert listed[0].document_titles == ("Guide",)


async def test_so_many_personas_are_listed_and_the_newest_are_among_them(
    publisher: PersonaPublisher,
    library: PostgresPersonaLibrary,
    tenant_id: TenantId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given one persona more than may be listed
    monkeypatch.setattr(personas_module, "PERSONAS_LISTED_MAX", 2)
    published = [
        await publisher.publish(tenant_id, _persona(greeting), actor=ACTOR)
        for greeting in ("Hello.", "Good day.", "Welcome.")
    ]

    # Then the oldest is left out
    listed = [summary.persona_id for summary in await library.summaries(tenant_id)]
    assert listed == [each.published.persona_id for each in reversed(published[1:])]
