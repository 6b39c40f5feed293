"""How long a durable append takes, as a live session makes it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from domain.events.catalogue import (
    GuardrailEvaluated,
    SentenceCommitted,
    SentenceKind,
    Verdict,
)
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, ReplyId, SentenceId, StreamId, TenantId, TurnId
from domain.mind.emotion import Emotion
from domain.ports import EventStore

# Not measured: the first appends of a connection plan the statement and fill the caches.
WARM_UP_APPENDS = 20
APPENDS_MAX = 100_000
WRITERS_MAX = 64

_SENTENCE = "Your policy covers water damage from a burst pipe, and the excess is two hundred pounds."


@dataclass(frozen=True, slots=True)
class AppendFigures:
    """Milliseconds from the call to its durable result; `appends_per_s` over all writers together."""

    appends: int
    events: int
    writers: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    appends_per_s: float


async def measure_appends(store: EventStore, *, appends: int = 1000, writers: int = 1) -> AppendFigures:
    """Each append is what a sentence waits for: its verdict and itself. Each writer has a stream of its own.

    What it writes stays in the log, under a tenant made for it that nobody has a key for.
    """
    if not 1 <= appends <= APPENDS_MAX or not 1 <= writers <= WRITERS_MAX:
        raise ValueError(f"1 to {APPENDS_MAX} appends by 1 to {WRITERS_MAX} writers can be measured")
    tenant_id = TenantId(uuid4())
    streams = [StreamId(f"benchmark-{uuid4()}") for _ in range(writers)]
    for stream in streams:
        await _write(store, tenant_id, stream, max(1, WARM_UP_APPENDS // writers))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        shares = [appends // writers + (number < appends % writers) for number in range(writers)]
        running = [
            tasks.create_task(_write(store, tenant_id, stream, share))
            for stream, share in zip(streams, shares, strict=True)
        ]
    took_s = time.perf_counter() - began
    each = sorted(latency for task in running for latency in task.result())
    return AppendFigures(
        appends=appends,
        events=2 * appends,
        writers=writers,
        p50_ms=percentile(each, 50),
        p95_ms=percentile(each, 95),
        p99_ms=percentile(each, 99),
        max_ms=each[-1],
        appends_per_s=appends / took_s,
    )


async def _write(store: EventStore, tenant_id: TenantId, stream: StreamId, appends: int) -> list[float]:
    latencies_ms = []
    for _ in range(appends):
        batch = _verdict_and_sentence()
        began = time.perf_counter()
        await store.append(tenant_id, stream, batch, expected="any", epoch=1)
        latencies_ms.append((time.perf_counter() - began) * 1000)
    return latencies_ms


def _verdict_and_sentence() -> list[NewEvent[Payload]]:
    sentence_id, turn_id = SentenceId(uuid4()), TurnId(uuid4())
    verdict = GuardrailEvaluated(
        sentence_id=sentence_id,
        scope="output",
        policy_revision="0" * 64,
        verdict=Verdict.ALLOW,
        rule=None,
        evaluated=("payout", "card_number"),
        candidate=_SENTENCE,
    )
    sentence = SentenceCommitted(
        sentence_id=sentence_id,
        reply_id=ReplyId(uuid4()),
        turn_id=turn_id,
        index=0,
        kind=SentenceKind.ANSWER,
        text=_SENTENCE,
        emotion=Emotion.NEUTRAL,
    )
    return [
        NewEvent(
            event_id=EventId(uuid4()),
            occurred_at=datetime.now(UTC),
            actor=Actor(kind=ActorKind.SYSTEM, id="benchmark"),
            payload=payload,
            correlation_id=turn_id,
            media_ms=0,
        )
        for payload in (verdict, sentence)
    ]


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Nearest rank."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
