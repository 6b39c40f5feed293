"""The answerer that is built in: it speaks sentences of the documents and knows nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from activities.knowledge.embedding import Embedder
from domain.mind.grounded import (
    Answer,
    answer,
    candidates_of,
    nearest_by_words,
    scored,
    search_question,
)
from domain.mind.prompt import Prompt
from domain.mind.small_talk import small_talk


class GroundedAnswerer:
    """No language model: the same prompt gives the same answer, without a network, on one core.

    Shared by all sessions of a process. What it says stands word for word in a passage of the prompt or in
    the persona's own texts, but for a few set phrases of courtesy and of doubt.
    """

    def __init__(self, embedder: Embedder, executor: Executor) -> None:
        self._embedder, self._executor = embedder, executor

    @property
    def name(self) -> str:
        return "grounded"

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        """Whole sentences, each with the space that follows it."""
        sentences = small_talk(prompt.question, prompt.said, prompt.texts)
        if sentences is None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor, self._found, prompt)
            sentences = found.sentences
        for sentence in sentences:
            yield f"{sentence} "

    def _found(self, prompt: Prompt) -> Answer:
        question = search_question(prompt.question, prompt.said)
        candidates = nearest_by_words(question, prompt.passages, candidates_of(prompt.passages))
        if not candidates:
            return answer((), not_found=prompt.texts.not_found)
        vectors = self._embedder.embed([question, *(candidate.text for candidate in candidates)])
        likeness = (vectors[1:] @ vectors[0]).tolist()
        ranked = scored(question, prompt.passages, candidates, likeness)
        return answer(ranked, not_found=prompt.texts.not_found)
