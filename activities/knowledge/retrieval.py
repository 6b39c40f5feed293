"""Finds the passages that answer a question: by meaning and by words at once."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.knowledge.embedding import Embedder
from activities.knowledge.ingest import vector_literal
from activities.store.tenancy import tenant_transaction
from domain.errors import Unavailable
from domain.ids import TenantId
from domain.mind.grounded import content_words
from domain.mind.prompt import Passage
from domain.ports import Retrieval

# A caller waits for an answer: what takes longer than this is no answer.
RETRIEVAL_TIMEOUT_S = 2.0
PASSAGES_MAX = 20
QUESTION_CHARS_MAX = 1_000
# How much shared words count beside likeness of meaning. Both are at most 1. Words are weighed by how rare
# they are in the documents, so that a caller's own words, which stand nowhere, take the lexical part down
# for every passage alike and leave the choice to meaning.
LEXICAL_WEIGHT = 0.6

# All chunks of one revision are compared, which is exact; a persona's documents are bounded, and so are they.
# The tsvector is appended to nothing so that it is read from its storage once and not once for each word.
_SEARCH = text(
    """
    with asked as materialized (
        select lexeme, cast(quote_literal(lexeme) as tsquery) as term
        from unnest(tsvector_to_array(to_tsvector('english', cast(:words as text)))) as lexeme
    ),
    known as materialized (
        select chunk_id, tsv || cast('' as tsvector) as tsv,
               1 - (embedding operator(public.<=>) cast(cast(:embedding as text) as public.vector))
               as semantic
        from public.chunks
        where tenant_id = :tenant_id and knowledge_revision = :revision
    ),
    hits as materialized (
        select known.chunk_id, asked.lexeme, ts_rank('{1,1,1,1}', known.tsv, asked.term) as share
        from asked join known on known.tsv @@ asked.term
    ),
    rarity as materialized (
        select asked.lexeme,
               ln(1 + ((select count(*) from known) - count(hits.lexeme) + 0.5) / (count(hits.lexeme) + 0.5))
               as weight
        from asked left join hits using (lexeme) group by asked.lexeme
    ),
    lexical as (
        select chunk_id, sum(share * weight) / (select sum(weight) from rarity) as score
        from hits join rarity using (lexeme) group by chunk_id
    ),
    best as (
        select chunk_id, semantic + :lexical_weight * coalesce(lexical.score, 0) as score
        from known left join lexical using (chunk_id)
        order by score desc, chunk_id limit :limit
    )
    select chunks.chunk_id, chunks.document_id, documents.title, chunks.heading, chunks.text,
           chunks.start_char, chunks.end_char, best.score
    from best
    join public.chunks on chunks.tenant_id = :tenant_id and chunks.knowledge_revision = :revision
        and chunks.chunk_id = best.chunk_id
    join public.documents on documents.tenant_id = :tenant_id and documents.knowledge_revision = :revision
        and documents.document_id = chunks.document_id
    order by best.score desc, chunks.chunk_id
    """
)


class RetrievalUnavailable(Unavailable):
    """The passages did not come in time."""

    code = "retrieval_unavailable"


class PostgresRetriever:
    """The retriever over the chunks that `ingest` stored."""

    def __init__(
        self,
        engine: AsyncEngine,
        embedder: Embedder,
        executor: Executor,
        *,
        timeout_s: float = RETRIEVAL_TIMEOUT_S,
    ) -> None:
        self._engine, self._embedder, self._executor = engine, embedder, executor
        self._timeout_s = timeout_s

    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        """At most PASSAGES_MAX passages. A revision without documents has none. Raises Unavailable."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                passages = await self._search(tenant_id, knowledge_revision, question, limit)
        except TimeoutError:
            raise RetrievalUnavailable(f"no passages within {self._timeout_s} s") from None
        return Retrieval(passages, (time.perf_counter() - began) * 1000)

    async def _search(
        self, tenant_id: TenantId, revision: str, question: str, limit: int
    ) -> tuple[Passage, ...]:
        asked = question[:QUESTION_CHARS_MAX]
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self._executor, self._embedder.embed, [asked])
        async with tenant_transaction(self._engine, tenant_id) as connection:
            found = await connection.execute(
                _SEARCH,
                {
                    "words": " ".join(content_words(asked)),
                    "embedding": vector_literal(vectors[0].tolist()),
                    "tenant_id": tenant_id,
                    "revision": revision,
                    "lexical_weight": LEXICAL_WEIGHT,
                    "limit": max(1, min(limit, PASSAGES_MAX)),
                },
            )
            rows = found.all()
        return tuple(
            Passage(
                document_id=row.document_id,
                document_title=row.title,
                chunk_id=row.chunk_id,
                heading=row.heading,
                text=row.text,
                start=row.start_char,
                end=row.end_char,
                score=round(float(row.score), 6),
            )
            for row in rows
        )
