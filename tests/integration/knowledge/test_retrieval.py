"""The retriever's contract, on Postgres and on the fake; then what only Postgres must do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.knowledge.chunking import chunks_of
from activities.knowledge.embedding import Vectors
from activities.knowledge.ingest import BATCH_CHUNKS, ingest
from activities.knowledge.retrieval import PASSAGES_MAX, PostgresRetriever, RetrievalUnavailable
from activities.store.tenancy import tenant_transaction
from domain.ids import TenantId
from domain.mind.persona import Persona, parse_persona
from domain.mind.prompt import Passage
from domain.ports import Retriever
from ops.bootstrap import Addresses, ensure_tenant
from tests.fakes.embedder import WordEmbedder
from tests.fakes.retriever import MemoryRetriever
from tests.unit.mind.policies import persona_document

GUIDE = """# Guide

## Excess

The excess for water is 500 pounds. The excess for subsidence is 1,000 pounds.

## Reporting

Report damage within thirty days. A burst pipe counts as damage.

## Complaints

Write to the complaints team, and the ombudsman hears what they cannot settle.
"""


@pytest.fixture
def desk() -> Persona:
    return parse_persona(persona_document(documents=[{"title": "Guide", "text": GUIDE}]))


@pytest.fixture(params=["postgres", "memory"])
async def retriever(
    request: pytest.FixtureRequest,
    engine: AsyncEngine,
    executor: ThreadPoolExecutor,
    tenant_id: TenantId,
    desk: Persona,
) -> Retriever:
    if request.param == "postgres":
        await ingest(engine, tenant_id, desk, embedder=WordEmbedder(), executor=executor)
        return PostgresRetriever(engine, WordEmbedder(), executor)
    document = desk.documents[0]
    passages = [
        Passage(c.document_id, document.title, c.chunk_id, c.heading, c.text, c.start, c.end, 0)
        for c in chunks_of(document)
    ]
    return MemoryRetriever({(tenant_id, desk.knowledge_revision): passages})


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("What is the excess for water?", "Excess"),
        ("Hi, um, how do I report a burst pipe, please?", "Reporting"),
        ("Who is the ombudsman?", "Complaints"),
    ],
)
async def test_the_passage_that_answers_comes_first(
    retriever: Retriever, tenant_id: TenantId, desk: Persona, question: str, heading: str
) -> None:
    found = await retriever.retrieve(tenant_id, desk.knowledge_revision, question, limit=3)
    assert found.passages[0].heading == heading
    assert found.took_ms >= 0


async def test_a_passage_is_its_characters_of_the_document(
    retriever: Retriever, tenant_id: TenantId, desk: Persona
) -> None:
    found = await retriever.retrieve(tenant_id, desk.knowledge_revision, "excess", limit=3)
    for passage in found.passages:
        assert GUIDE[passage.start : passage.end] == passage.text
        assert (passage.document_id, passage.document_title) == ("guide", "Guide")


async def test_scores_fall_and_no_more_come_than_were_asked_for(
    retriever: Retriever, tenant_id: TenantId, desk: Persona
) -> None:
    found = await retriever.retrieve(tenant_id, desk.knowledge_revision, "the excess for water", limit=2)
    scores = [passage.score for passage in found.passages]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("question", ["", "the of and", "' & | ! :* \\ ( <->", "🙂", "x" * 5000])
async def test_any_question_can_be_asked(
    retriever: Retriever, tenant_id: TenantId, desk: Persona, question: str
) -> None:
    found = await retriever.retrieve(tenant_id, desk.knowledge_revision, question, limit=3)
    assert len(found.passages) == 3


async def test_an_unknown_revision_and_another_tenant_have_no_passages(
    retriever: Retriever, tenant_id: TenantId, addresses: Addresses, desk: Persona
) -> None:
    stranger = TenantId(uuid4())
    await ensure_tenant(addresses.admin_url, stranger, name="a stranger")
    assert (await retriever.retrieve(tenant_id, "0" * 64, "excess", limit=3)).passages == ()
    assert (await retriever.retrieve(stranger, desk.knowledge_revision, "excess", limit=3)).passages == ()


# --- Postgres alone ------------------------------------------------------------------------------------
async def _stored(engine: AsyncEngine, tenant_id: TenantId) -> int:
    async with tenant_transaction(engine, tenant_id) as connection:
        return int(await connection.scalar(text("select count(*) from public.chunks")) or 0)


class _CountingEmbedder(WordEmbedder):
    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(len(texts))
        return super().embed(texts)


async def test_documents_are_made_searchable_once(
    engine: AsyncEngine, executor: ThreadPoolExecutor, tenant_id: TenantId, desk: Persona
) -> None:
    embedder = _CountingEmbedder()
    for _ in range(2):
        assert await ingest(engine, tenant_id, desk, embedder=embedder, executor=executor) == 3
    assert embedder.batches == [3]
    assert await _stored(engine, tenant_id) == 3


async def test_two_at_once_store_each_chunk_once(
    engine: AsyncEngine, executor: ThreadPoolExecutor, tenant_id: TenantId, desk: Persona
) -> None:
    await asyncio.gather(
        *(ingest(engine, tenant_id, desk, embedder=WordEmbedder(), executor=executor) for _ in range(3))
    )
    assert await _stored(engine, tenant_id) == 3


class _FailingEmbedder(WordEmbedder):
    def __init__(self) -> None:
        self.left = 1

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.left == 0:
            raise RuntimeError("out of luck")
        self.left -= 1
        return super().embed(texts)


async def test_an_ingestion_that_broke_off_is_completed_by_the_next(
    engine: AsyncEngine, executor: ThreadPoolExecutor, tenant_id: TenantId
) -> None:
    many = "\n\n".join(f"## Section {n}\n\nParagraph number {n}." for n in range(2 * BATCH_CHUNKS))
    persona = parse_persona(persona_document(documents=[{"title": "Many", "text": many}]))
    with pytest.raises(RuntimeError, match="out of luck"):
        await ingest(engine, tenant_id, persona, embedder=_FailingEmbedder(), executor=executor)
    assert await _stored(engine, tenant_id) == BATCH_CHUNKS
    await ingest(engine, tenant_id, persona, embedder=WordEmbedder(), executor=executor)
    assert await _stored(engine, tenant_id) == 2 * BATCH_CHUNKS
    retriever = PostgresRetriever(engine, WordEmbedder(), executor)
    found = await retriever.retrieve(tenant_id, persona.knowledge_revision, "paragraph", limit=1000)
    assert len(found.passages) == PASSAGES_MAX


async def test_a_persona_without_documents_has_nothing_to_find(
    engine: AsyncEngine, executor: ThreadPoolExecutor, tenant_id: TenantId
) -> None:
    persona = parse_persona(persona_document())
    assert await ingest(engine, tenant_id, persona, embedder=WordEmbedder(), executor=executor) == 0
    retriever = PostgresRetriever(engine, WordEmbedder(), executor)
    assert (await retriever.retrieve(tenant_id, persona.knowledge_revision, "why", limit=3)).passages == ()


class _StuckEmbedder(WordEmbedder):
    def __init__(self) -> None:
        self.released = threading.Event()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.released.wait(30)
        return super().embed(texts)


async def test_passages_that_do_not_come_in_time_are_unavailable(
    engine: AsyncEngine, executor: ThreadPoolExecutor, tenant_id: TenantId
) -> None:
    embedder = _StuckEmbedder()
    retriever = PostgresRetriever(engine, embedder, executor, timeout_s=0.05)
    try:
        with pytest.raises(RetrievalUnavailable):
            await retriever.retrieve(tenant_id, "0" * 64, "why", limit=3)
    finally:
        embedder.released.set()
