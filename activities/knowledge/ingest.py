"""Makes documents searchable: cuts them, embeds the pieces and stores both, once for each revision."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.knowledge.chunking import HEADING_SEPARATOR, Chunk, chunks_of
from activities.knowledge.embedding import Embedder, Vectors
from activities.store.tenancy import tenant_transaction
from domain.ids import TenantId
from domain.mind.persona import Document, Persona

# Chunks embedded and stored at a time: about a second of one core, and a statement well within its time-out.
BATCH_CHUNKS = 64

_COUNT = text(
    "select count(*) from public.chunks where tenant_id = :tenant_id and knowledge_revision = :revision"
)
_INSERT_DOCUMENT = text(
    "insert into public.documents (tenant_id, knowledge_revision, document_id, title, content_sha256, text)"
    " values (:tenant_id, :revision, :document_id, :title, :sha256, :text) on conflict do nothing"
)
_INSERT_CHUNK = text(
    "insert into public.chunks (tenant_id, knowledge_revision, chunk_id, document_id, heading, text,"
    " start_char, end_char, embedding, tsv)"
    " values (:tenant_id, :revision, :chunk_id, :document_id, :heading, :text, :start_char, :end_char,"
    " cast(cast(:embedding as text) as public.vector),"
    " setweight(to_tsvector('english', cast(:title as text)), 'B')"
    " || setweight(to_tsvector('english', cast(:heading_words as text)), 'A')"
    " || to_tsvector('english', cast(:text as text))) on conflict do nothing"
)


async def ingest(
    engine: AsyncEngine, tenant_id: TenantId, persona: Persona, *, embedder: Embedder, executor: Executor
) -> int:
    """Stores what is missing of the persona's documents; returns how many chunks they have.

    Safe to run twice and by two at once: chunk ids and texts follow from the documents alone.
    """
    revision = persona.knowledge_revision
    pieces = [(document, chunk) for document in persona.documents for chunk in chunks_of(document)]
    async with tenant_transaction(engine, tenant_id) as connection:
        stored = await connection.scalar(_COUNT, {"tenant_id": tenant_id, "revision": revision})
    if stored == len(pieces):
        return len(pieces)
    await _store_documents(engine, tenant_id, revision, persona.documents)
    loop = asyncio.get_running_loop()
    for start in range(0, len(pieces), BATCH_CHUNKS):
        batch = pieces[start : start + BATCH_CHUNKS]
        texts = [embedded_text(document.title, chunk) for document, chunk in batch]
        vectors = await loop.run_in_executor(executor, embedder.embed, texts)
        await _store_chunks(engine, tenant_id, revision, batch, vectors)
    return len(pieces)


def embedded_text(title: str, chunk: Chunk) -> str:
    """A chunk with what stands above it: a paragraph under "Excess" need not say the word again."""
    return ". ".join(part for part in (title, chunk.heading, chunk.text) if part)


def vector_literal(vector: Sequence[float]) -> str:
    """pgvector's written form."""
    return "[" + ",".join(f"{number:.7g}" for number in vector) + "]"


async def _store_documents(
    engine: AsyncEngine, tenant_id: TenantId, revision: str, documents: Sequence[Document]
) -> None:
    rows = [
        {
            "tenant_id": tenant_id,
            "revision": revision,
            "document_id": document.document_id,
            "title": document.title,
            "sha256": hashlib.sha256(document.text.encode()).hexdigest(),
            "text": document.text,
        }
        for document in documents
    ]
    async with tenant_transaction(engine, tenant_id) as connection:
        await connection.execute(_INSERT_DOCUMENT, rows)


async def _store_chunks(
    engine: AsyncEngine,
    tenant_id: TenantId,
    revision: str,
    batch: Sequence[tuple[Document, Chunk]],
    vectors: Vectors,
) -> None:
    rows = [
        {
            "tenant_id": tenant_id,
            "revision": revision,
            "chunk_id": chunk.chunk_id,
            "document_id": chunk.document_id,
            "heading": chunk.heading,
            "heading_words": chunk.heading.replace(HEADING_SEPARATOR, " "),
            "title": document.title,
            "text": chunk.text,
            "start_char": chunk.start,
            "end_char": chunk.end,
            "embedding": vector_literal(vector.tolist()),
        }
        for (document, chunk), vector in zip(batch, vectors, strict=True)
    ]
    async with tenant_transaction(engine, tenant_id) as connection:
        await connection.execute(_INSERT_CHUNK, rows)
