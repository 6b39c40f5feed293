"""Every bound of the live session, and what happens at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest

from domain.errors import StoreUnavailable, Unavailable
from domain.events.catalogue import (
    ConversationRequested,
    EndReason,
    GuardrailEvaluated,
    PromptAssembled,
    ReplyGenerated,
    RetrievalOutcome,
    RetrievalPerformed,
    SentenceCommitted,
    Verdict,
)
from domain.events.envelope import RecordedEvent
from domain.events.payload import Payload
from domain.ids import ConversationId, TenantId
from domain.mind.prompt import Prompt
from domain.ports import Drain, EventStore, FactKind, Offer, Retrieval
from media import brain as brain_module
from media import peer as peer_module
from media import scribe as scribe_module
from media import worker as worker_module
from media.errors import NoPlace, TooManyOffers
from media.session import PEERS_MAX
from media.worker import MediaWorker
from ops.processes.control import BODY_BYTES_MAX, control_app
from tests.media.session.rig import Breakable, Call, Models, assigned_call, live_call, offer_of, persona

Speak = Callable[[str], np.ndarray]


async def answered(call: Call) -> None:
    """Asks something in writing and waits until the persona has spoken."""
    await call.join()
    await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
    call.caller.tell({"type": "text", "text": "What happens now?"})
    await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"], 40)


async def test_a_reply_has_a_greatest_number_of_sentences(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an answerer that does not stop, when three sentences may be said
    monkeypatch.setattr(brain_module, "SENTENCES_REPLY_MAX", 3)
    async with live_call(models, event_store, tenant_id, tmp_path, lines=["Yes. " * 50]) as call:
        await answered(call)
        await call.end()

        # Then three are, and the answerer was asked no further
        assert len(await call.of(SentenceCommitted)) == 2 + 3
        [reply] = await call.of(ReplyGenerated)
        assert (reply.sentences, reply.finish) == (3, "cut_at_limit")


@dataclass
class Broken:
    """An answerer that fails in its own way after its first words."""

    fail: Callable[[], None] | None
    name: str = "broken"
    prompts: list[Prompt] = field(default_factory=list)

    async def answer(self, prompt: Prompt) -> AsyncIterator[str]:
        if self.fail is None:
            await asyncio.Event().wait()
        else:
            self.fail()
        yield "never"


def unavailable() -> None:
    raise Unavailable("the model does not answer")


@pytest.mark.parametrize("way", ["late", "unavailable"])
async def test_an_answerer_that_fails_is_answered_for_in_a_sentence(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    # Given an answerer that takes too long, or says that it is unavailable
    monkeypatch.setattr(brain_module, "PIECE_S_MAX", 0.2)
    broken = Broken(unavailable if way == "unavailable" else None)
    published = persona(failed="Something went wrong here. Please ask me again.")
    async with live_call(
        models, event_store, tenant_id, tmp_path, published=published, answerer=broken
    ) as call:
        await answered(call)
        await call.end()

        # Then the caller hears a sentence of the persona's, and the record says that the reply failed
        assert [s.text for s in await call.of(SentenceCommitted)][2:] == [
            "Something went wrong here.",
            "Please ask me again.",
        ]
        assert [reply.finish for reply in await call.of(ReplyGenerated)] == ["failed"]


class LateLibrary:
    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        await asyncio.Event().wait()
        return Retrieval((), 0.0)


class AwayLibrary:
    """Refuses so many times, and then holds nothing."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals

    async def retrieve(
        self, tenant_id: TenantId, knowledge_revision: str, question: str, *, limit: int
    ) -> Retrieval:
        if self._refusals > 0:
            self._refusals -= 1
            raise StoreUnavailable
        return Retrieval((), 0.0)


async def test_documents_that_come_too_late_are_never_said_to_hold_nothing(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a library that does not answer in time
    monkeypatch.setattr(brain_module, "RETRIEVAL_S_MAX", 0.2)
    monkeypatch.setattr(brain_module, "RETRIEVAL_TRIED_S_MAX", 0.5)
    async with live_call(models, event_store, tenant_id, tmp_path, retriever=LateLibrary()) as call:
        await answered(call)
        await call.end()

        # Then the persona says that something went wrong, and the record says what
        [looked] = await call.of(RetrievalPerformed)
        assert (looked.outcome, looked.passages) == (RetrievalOutcome.UNAVAILABLE, ())
        assert looked.attempts >= 2
        said = " ".join(sentence.text for sentence in await call.of(SentenceCommitted))
        assert said.endswith("something went wrong on my side. Please ask me again.")
        assert [reply.finish for reply in await call.of(ReplyGenerated)] == ["failed"]
        assert await call.of(PromptAssembled) == []


async def test_documents_that_are_back_in_time_are_answered_from(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a library that is away at first
    library = AwayLibrary(refusals=2)
    async with live_call(models, event_store, tenant_id, tmp_path, retriever=library) as call:
        await answered(call)
        await call.end()

        # Then it is asked until it answers, and so is the question
        [looked] = await call.of(RetrievalPerformed)
        assert (looked.outcome, looked.attempts) == (RetrievalOutcome.NOTHING, 3)
        assert [reply.finish for reply in await call.of(ReplyGenerated)] == ["complete"]


async def test_the_policy_can_end_the_call_after_its_last_word(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a rule that ends the call on abuse
    published = persona(
        guardrails=[
            {
                "guardrail_name": "no_abuse",
                "scope": "input",
                "test": {"kind": "pattern", "any_of": [r"\bidiot\b"]},
                "verdict": "end",
                "say": "I am ending this call now.",
            }
        ]
    )
    async with live_call(models, event_store, tenant_id, tmp_path, published=published) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])

        # When it is met
        call.caller.tell({"type": "text", "text": "You idiot"})
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        await call.caller.until(lambda: any(fact.kind is FactKind.END_WANTED for fact in call.facts))

        # Then the sentence was played, and the workflow is asked to end with the ground
        (wanted,) = [fact for fact in call.facts if fact.kind is FactKind.END_WANTED]
        assert wanted.reason is EndReason.GUARDRAIL
        (met,) = [event for event in await call.events() if _ends_the_call(event)]
        assert wanted.cause == met.event_id
        await call.end()


def _ends_the_call(event: RecordedEvent[Payload]) -> bool:
    return isinstance(event.payload, GuardrailEvaluated) and event.payload.verdict is Verdict.END


async def test_a_page_that_says_nothing_is_taken_for_lost(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a connection that may be silent for half a second
    monkeypatch.setattr(peer_module, "SILENCE_S_MAX", 0.5)
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()

        # When the caller's process is as good as dead
        call.caller.freeze()

        # Then the workflow is told that the participant is not there
        await call.caller.until(
            lambda: FactKind.PARTICIPANT_DISCONNECTED in [fact.kind for fact in call.facts], 10
        )
        await call.end()


async def test_messages_that_are_none_are_passed_over(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a connected page, when it sends what no page sends
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        for raw in (
            "",
            "[",
            "[]",
            '{"type": 7}',
            '{"type": "text"}',
            '{"type": "text", "text": ""}',
            "[" * 16_000,
        ):
            call.caller.channel.send(raw)
        call.caller.tell({"type": "text", "text": "x" * 2_001})
        call.caller.channel.send('{"type": "text", "text": "half a pair: \\ud800"}')
        call.caller.channel.send("x" * (peer_module.MESSAGE_BYTES_MAX + 1))

        # Then the call goes on as if nothing had come
        call.caller.tell({"type": "text", "text": "Are you there?"})
        await call.caller.until(lambda: call.caller.states()[-3:] == ["thinking", "speaking", "listening"])
        await call.end()
        assert len(call.answerer.prompts) == 1


async def test_a_worker_takes_as_many_sessions_as_it_may_and_gives_an_unused_claim_back(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a worker with two places, one of them carried
    monkeypatch.setattr(worker_module, "CLAIM_S_MAX", 0.2)
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        first, second = ConversationId(uuid4()), ConversationId(uuid4())

        # When the other one is claimed, then a third claim is refused, and the same claim again is not
        assert call.worker.claim(first)
        assert not call.worker.claim(second)
        assert call.worker.claim(first)

        # And a claim that nobody used is free again. Nothing happens when its time is up: it has to pass.
        await asyncio.sleep(worker_module.CLAIM_S_MAX + 0.05)
        assert call.worker.claim(second)
        await call.end()


async def control(worker: MediaWorker, path: str, **arguments: object) -> httpx.Response:
    transport = httpx.ASGITransport(control_app(worker, "the secret"))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        return await client.request("POST", path, **arguments)  # type: ignore[arg-type]  # passed through


async def test_a_session_whose_claim_has_passed_finds_its_place_taken_and_is_refused(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a worker with two places, one of them carried, and a conversation that claimed the other
    monkeypatch.setattr(worker_module, "CLAIM_S_MAX", 0.2)
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        requested = next(iter(await call.of(ConversationRequested)))
        late = (tenant_id, ConversationId(uuid4()))
        spec = await assigned_call(event_store, late, requested, call.worker)
        assert call.worker.claim(spec.conversation_id)

        # When it comes only after its claim has passed, and another conversation has the place
        await asyncio.sleep(0.25)
        other = ConversationId(uuid4())
        assert call.worker.claim(other)
        with pytest.raises(NoPlace, match="at most 2 sessions"):
            await call.worker.run(spec, drain=Drain(), report=lambda _fact: None)

        # Then only the first is carried; and when the place is free again, so is the second
        assert call.worker.sessions == 1
        await asyncio.sleep(0.25)
        drain = Drain()
        drain.set()
        assert (await call.worker.run(spec, drain=drain, report=lambda _fact: None)).gaps == ()


async def test_the_control_endpoint_answers_only_to_the_installation(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a worker that carries one session
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        offer = f"/sessions/{call.conversation_id}/offer"
        body = {"participant_id": str(call.participant_id), "sdp": "v=0"}
        key = {"Authorization": "Bearer the secret"}

        # Then each refusal has its code
        refusals = [
            (await control(call.worker, offer, json=body), 401, "unauthorised"),
            (await control(call.worker, offer, json=body, headers={"Authorization": "Bearer x"}), 401, None),
            (
                await control(call.worker, f"/sessions/{uuid4()}/offer", json=body, headers=key),
                404,
                "no_session",
            ),
            (await control(call.worker, offer, json=body, headers=key), 422, "bad_offer"),
            (await control(call.worker, offer, json={"sdp": "v=0"}, headers=key), 422, "invalid_input"),
            (await control(call.worker, offer, content=b"x" * (BODY_BYTES_MAX + 1), headers=key), 413, None),
        ]
        for response, status, code in refusals:
            assert response.status_code == status
            assert code is None or response.json()["code"] == code
        await call.end()


async def test_a_record_that_stays_away_ends_the_call_in_order(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a call whose store goes away, with room for a few facts
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: call.caller.states()[-2:] == ["speaking", "listening"])
        monkeypatch.setattr(scribe_module, "EVENTS_WAITING_MAX", 4)
        store.away = True

        # When more happens than can be kept
        call.caller.tell({"type": "text", "text": "What happens now?"})
        await call.caller.until(lambda: call.caller.states()[-1] == "ended")

        # Then the workflow is asked to end with the ground, the session lives to drain, and names its gap
        (wanted,) = [fact for fact in call.facts if fact.kind is FactKind.END_WANTED]
        assert wanted.reason is EndReason.RECORD_UNAVAILABLE
        assert not call.session.done()
        store.away = False
        assert "record_backlog_full" in (await call.end()).gaps


async def test_connections_of_one_session_are_bounded(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a participant who sends one offer after another and connects none
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        offers = [await offer_of() for _ in range(PEERS_MAX + 1)]
        for sdp in offers[:-1]:
            await call.worker.offer(call.conversation_id, Offer(call.participant_id, sdp))

        # Then at the bound the next one is told to wait
        with pytest.raises(TooManyOffers, match="wait"):
            await call.worker.offer(call.conversation_id, Offer(call.participant_id, offers[-1]))
        await call.end()
