"""A retriever over passages that a test holds in its hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.ids import TenantId
from domain.mind.grounded import content_words, stem, words_of
from domain.mind.prompt import Passage
from domain.ports import Retrieval


class MemoryRetriever:
    """Passages score by the share of the question's words that they hold."""

    def __init__(self, passages: Mapping[tuple[TenantId, str], Sequence[Passage]]) -> None:
        self._passages = passages

    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        asked = {stem(word) for word in content_words(question)}
        found = []
        for passage in self._passages.get((tenant_id, knowledge_revision), ()):
            held = {stem(word) for word in words_of(f"{passage.heading} {passage.text}")}
            found.append(replace(passage, score=len(asked & held) / max(1, len(asked))))
        found.sort(key=lambda passage: (-passage.score, passage.chunk_id))
        return Retrieval(tuple(found[:limit]), 0.0)
