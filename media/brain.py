"""From what was heard to what is said: retrieve, assemble, answer, sentence by sentence.

A reply is one cancellable task. Whatever it noted before it was cancelled stays noted; what it had
committed and not played is recorded as withdrawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

import structlog

from domain.conversation.transcript import Line
from domain.errors import Unavailable
from domain.events.catalogue import (
    EndReason,
    PromptAssembled,
    ReplyGenerated,
    RetrievalOutcome,
    RetrievalPerformed,
    RetrievedPassage,
    SentenceKind,
    Verdict,
)
from domain.ids import EventId, ReplyId, TenantId, TurnId
from domain.mind.gate import GateState, Judgement
from domain.mind.grounded import search_question
from domain.mind.persona import PublishedPersona
from domain.mind.prompt import OwnTexts, Passage, Prompt, assemble
from domain.mind.sentences import SentenceBuffer, split_sentences
from domain.ports import Answerer, Retriever
from media.errors import RecordBacklogFull
from media.scribe import Scribe
from media.speaking.speaker import Draft, Said, Speaker

log = structlog.get_logger()

SENTENCES_REPLY_MAX = 12
PASSAGES_MAX = 6
RETRIEVAL_S_MAX = 1.0
# Documents that cannot be looked through are asked for again for so long; then the persona says that
# something went wrong.
RETRIEVAL_TRIED_S_MAX = 6.0
RETRIEVAL_PAUSE_S = 0.25
# The longest wait for the answerer's next piece; what is being spoken meanwhile takes its own time.
PIECE_S_MAX = 15.0

Finish = Literal["complete", "cancelled", "stopped_by_policy", "cut_at_limit", "failed"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reply is for. `said` is everything before it, as a prompt may hold it."""

    turn_id: TurnId
    question: str
    said: tuple[Line, ...]
    cause: EventId | None


@dataclass(slots=True)
class Stages:
    """Where the time to the first sentence went, in milliseconds."""

    answer: float = 0.0
    gate_and_commit: float = 0.0
    synthesis: float = 0.0


@dataclass(slots=True)
class _Reply:
    reply_id: ReplyId
    turn_id: TurnId
    cause: EventId | None
    sentences: int = 0
    gate: GateState = field(default_factory=GateState)
    finish: Finish = "complete"
    stages: Stages = field(default_factory=Stages)


class Brain:
    """Answers one turn at a time. `wants_end` is called when the policy ends the conversation, with the event
    of that verdict; `first` with the stages of a reply as soon as its first sentence waits to be played."""

    def __init__(
        self,
        *,
        tenant_id: TenantId,
        published: PublishedPersona,
        context: str,
        greeting: str | None,
        answerer: Answerer,
        retriever: Retriever,
        speaker: Speaker,
        scribe: Scribe,
        mint: Callable[[], EventId],
        wants_end: Callable[[EndReason, EventId], None],
        first: Callable[[TurnId, Stages], None],
    ) -> None:
        self._tenant_id, self._published, self._context = tenant_id, published, context
        self._greeting = greeting
        self._answerer, self._retriever = answerer, retriever
        self._speaker, self._scribe, self._mint = speaker, scribe, mint
        self._wants_end, self._first = wants_end, first
        persona = published.persona
        # By these the persona says that it does not know, or could not answer.
        self._owned_up = frozenset((*split_sentences(persona.not_found), *split_sentences(persona.failed)))

    async def open(self, *, greet: bool, cause: EventId) -> None:
        """The disclosure, and the greeting behind it where nobody has been greeted yet. `cause` is the event
        that somebody is there to hear it."""
        persona = self._published.persona
        lines = [(persona.disclosure, SentenceKind.DISCLOSURE)]
        if greet:
            lines.append((self._greeting or persona.greeting, SentenceKind.GREETING))
        reply = _Reply(ReplyId(self._mint()), TurnId(self._mint()), cause)
        try:
            for text, kind in lines:
                if not await self._say_all(reply, text, kind):
                    return
        except RecordBacklogFull:
            # The session is told by its scribe, and ends; nothing more may be said.
            return

    async def answer(self, asked: Asked) -> None:
        """Speaks the answer. Returns when its last sentence waits to be played; cancel it to stop."""
        reply = _Reply(ReplyId(self._mint()), asked.turn_id, asked.cause)
        began_s = asyncio.get_running_loop().time()
        try:
            if not self._speaker.disclosed:
                persona = self._published.persona
                if not await self._say_all(reply, persona.disclosure, SentenceKind.DISCLOSURE):
                    return
            judgement, evaluated = self._speaker.judge_input(
                asked.question, turn_id=asked.turn_id, cause=asked.cause
            )
            if judgement.verdict is Verdict.ALLOW:
                await self._answer(reply, asked, began_s)
            else:
                await self._respond(reply, judgement, evaluated)
        except asyncio.CancelledError:
            reply.finish = "cancelled"
            raise
        except RecordBacklogFull:
            # The session is told by its scribe, and ends; nothing more may be said.
            reply.finish = "failed"
        except Exception:
            reply.finish = "failed"
            raise
        finally:
            self._scribe.note(
                ReplyGenerated(
                    reply_id=reply.reply_id,
                    turn_id=reply.turn_id,
                    answerer=self._answerer.name,
                    sentences=reply.sentences,
                    finish=reply.finish,
                ),
                turn_id=reply.turn_id,
                cause=reply.cause,
            )

    async def _answer(self, reply: _Reply, asked: Asked, began_s: float) -> None:
        passages = await self._retrieve(asked)
        if passages is None:
            await self._fail(reply)
            return
        prompt = self._prompt(asked, passages)
        reply.cause = self._scribe.note(
            PromptAssembled(turn_id=asked.turn_id, digest=prompt.digest(), content=prompt.content()),
            turn_id=asked.turn_id,
            cause=asked.cause,
        )
        buffer = SentenceBuffer()
        pieces = self._answerer.answer(prompt)
        try:
            while (piece := await _next_piece(pieces)) is not None:
                sentences, buffer = buffer.feed(piece)
                if not await self._speak(reply, sentences, began_s):
                    return
            await self._speak(reply, buffer.finish(), began_s)
        except (TimeoutError, Unavailable):
            log.warning("brain.answer_failed", turn_id=str(asked.turn_id), answerer=self._answerer.name)
            await self._fail(reply)
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    async def _fail(self, reply: _Reply) -> None:
        reply.finish = "failed"
        await self._say_all(reply, self._published.persona.failed, SentenceKind.ANSWER)

    async def _speak(self, reply: _Reply, sentences: tuple[str, ...], began_s: float) -> bool:
        """Whether the reply may go on."""
        loop = asyncio.get_running_loop()
        for sentence in sentences:
            if reply.sentences >= SENTENCES_REPLY_MAX:
                reply.finish = "cut_at_limit"
                return False
            is_first, ready_s = reply.sentences == 0, loop.time()
            said = await self._say(reply, sentence, SentenceKind.ANSWER)
            if is_first:
                stages = reply.stages
                stages.answer = round((ready_s - began_s) * 1000, 1)
                stages.gate_and_commit, stages.synthesis = said.gate_and_commit_ms, said.synthesis_ms
                self._first(reply.turn_id, stages)
            if not self._may_go_on(reply, said.judgement, said.evaluated):
                return False
        return True

    async def _respond(self, reply: _Reply, judgement: Judgement, evaluated: EventId) -> None:
        """Says what the policy says to the person's words, by the verdict in `evaluated`."""
        reply.finish, reply.cause = "stopped_by_policy", evaluated
        if judgement.verdict is Verdict.ESCALATE:
            # Noted before it is said, since the sentence may say so, and since whoever is in danger cuts in.
            self._speaker.hand_over(judgement.rule or "", reply.turn_id, evaluated)
        if judgement.text_to_say is not None:
            kind = SentenceKind.HANDOVER if judgement.verdict is Verdict.ESCALATE else SentenceKind.REFUSAL
            await self._say_all(reply, judgement.text_to_say, kind)
        self._may_go_on(reply, judgement, evaluated)

    async def _say_all(self, reply: _Reply, text: str, kind: SentenceKind) -> bool:
        """A text that the persona's owner wrote; it passes the gate sentence by sentence like any other.
        Whether the reply may go on."""
        sentences = split_sentences(text)
        for number, sentence in enumerate(sentences, 1):
            said = await self._say(reply, sentence, kind, last=number == len(sentences))
            if not self._may_go_on(reply, said.judgement, said.evaluated):
                return False
        return True

    async def _say(self, reply: _Reply, text: str, kind: SentenceKind, *, last: bool = True) -> Said:
        owned_up = text in self._owned_up
        draft = Draft(text, kind, reply.reply_id, reply.turn_id, reply.sentences, last, owned_up)
        reply.sentences += 1
        said = await self._speaker.say(draft, before=reply.gate, cause=reply.cause)
        reply.gate = said.judgement.state
        return said

    def _may_go_on(self, reply: _Reply, judgement: Judgement, evaluated: EventId) -> bool:
        match judgement.verdict:
            case Verdict.ALLOW | Verdict.REDACT | Verdict.REPLACE:
                return True
            case Verdict.END:
                self._wants_end(EndReason.GUARDRAIL, evaluated)
            case Verdict.REFUSE | Verdict.ESCALATE:
                pass
        reply.finish = "stopped_by_policy"
        return False

    async def _retrieve(self, asked: Asked) -> tuple[Passage, ...] | None:
        """None when the documents could not be looked through: to answer then that they hold nothing would be
        untrue. Asked again meanwhile, since no sentence could be recorded, and so spoken, either."""
        revision, question = self._published.knowledge_revision, _with_context(asked)
        loop = asyncio.get_running_loop()
        began_s, attempts = loop.time(), 0
        passages: tuple[Passage, ...] | None = None
        while passages is None and (attempts == 0 or loop.time() - began_s < RETRIEVAL_TRIED_S_MAX):
            if attempts > 0:
                await asyncio.sleep(RETRIEVAL_PAUSE_S)
            attempts += 1
            try:
                async with asyncio.timeout(RETRIEVAL_S_MAX):
                    found = await self._retriever.retrieve(
                        self._tenant_id, revision, question, limit=PASSAGES_MAX
                    )
                passages = found.passages
            except (TimeoutError, Unavailable):
                log.warning("brain.retrieval_failed", turn_id=str(asked.turn_id), attempt=attempts)
        self._scribe.note(
            RetrievalPerformed(
                turn_id=asked.turn_id,
                knowledge_revision=revision,
                strategy="balanced",
                passages=tuple(
                    RetrievedPassage(document_id=p.document_id, chunk_id=p.chunk_id, score=p.score, rank=k)
                    for k, p in enumerate(passages or (), 1)
                ),
                outcome=_outcome(passages),
                attempts=attempts,
                took_ms=round((loop.time() - began_s) * 1000, 1),
            ),
            turn_id=asked.turn_id,
            cause=asked.cause,
        )
        return passages

    def _prompt(self, asked: Asked, passages: tuple[Passage, ...]) -> Prompt:
        persona = self._published.persona
        return assemble(
            turn_id=asked.turn_id,
            system=persona.system_prompt,
            context=self._context,
            said=asked.said,
            question=asked.question,
            passages=passages,
            texts=OwnTexts(persona.name, persona.disclosure, persona.not_found),
        )


def _outcome(passages: tuple[Passage, ...] | None) -> RetrievalOutcome:
    if passages is None:
        return RetrievalOutcome.UNAVAILABLE
    return RetrievalOutcome.FOUND if passages else RetrievalOutcome.NOTHING


def _with_context(asked: Asked) -> str:
    """The question, with the one before it where it leans on that ("And by when?")."""
    return search_question(asked.question, [(line.role, line.text) for line in asked.said])


async def _next_piece(pieces: AsyncIterator[str]) -> str | None:
    """None at the end. Raises TimeoutError when the next piece takes longer than PIECE_S_MAX."""
    async with asyncio.timeout(PIECE_S_MAX):
        return await anext(pieces, None)
