"""A transcript that is taken down event by event is the one that is folded from all of them at once."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.conversation.transcript import Line, Role, Transcript
from domain.events.catalogue import (
    SentenceCommitted,
    SentenceInterrupted,
    SentenceKind,
    SentencePlayed,
    TextInjected,
    UtteranceTranscribed,
)
from domain.events.payload import Payload
from domain.ids import ReplyId, SentenceId, TurnId, UtteranceId
from domain.mind.emotion import Emotion

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TURN = TurnId(UUID(int=1))

sentences = st.integers(1, 5).map(lambda n: SentenceId(UUID(int=n)))


def heard(text: str) -> UtteranceTranscribed:
    return UtteranceTranscribed(
        utterance_id=UtteranceId(UUID(int=1)),
        turn_id=TURN,
        text=text,
        words=(),
        times="none",
        recogniser="none",
        source="text",
        started_media_ms=0,
        ended_media_ms=0,
    )


def committed(sentence_id: SentenceId) -> SentenceCommitted:
    return SentenceCommitted(
        sentence_id=sentence_id,
        reply_id=ReplyId(UUID(int=1)),
        turn_id=TURN,
        index=0,
        kind=SentenceKind.ANSWER,
        text=f"Sentence {sentence_id.int}.",
        emotion=Emotion.NEUTRAL,
    )


def played(sentence_id: SentenceId) -> SentencePlayed:
    return SentencePlayed(sentence_id=sentence_id, started_media_ms=0, played_ms=900)


def cut(sentence_id: SentenceId) -> SentenceInterrupted:
    return SentenceInterrupted(
        sentence_id=sentence_id, started_media_ms=0, played_ms=9, played_text="Sent", cause="barge_in"
    )


events = st.lists(
    st.one_of(
        st.sampled_from(["Hello.", "Why?"]).map(heard),
        st.just(TextInjected(text="Be brief.")),
        sentences.map(committed),
        sentences.map(played),
        sentences.map(cut),
    ),
    max_size=40,
)


def at(place: int) -> datetime:
    return NOON + timedelta(seconds=place)


def taken_down(payloads: list[Payload]) -> list[Transcript]:
    """The transcript after each event, beginning with none."""
    states = [Transcript()]
    for place, payload in enumerate(payloads):
        states.append(states[-1].evolve(payload, at=at(place), turn_id=TURN))
    return states


def folded(payloads: list[Payload]) -> tuple[Line, ...]:
    """What the lines must be, written down plainly: every event goes through all lines."""
    lines: list[Line] = []
    for place, payload in enumerate(payloads):
        when = at(place)
        match payload:
            case UtteranceTranscribed():
                lines.append(Line(Role.USER, payload.text, TURN, when, when))
            case TextInjected():
                lines.append(Line(Role.INJECTED, payload.text, TURN, when, when))
            case SentenceCommitted():
                own = payload.sentence_id
                lines.append(Line(Role.PERSONA, payload.text, TURN, when, when, own, fate="pending"))
            case SentencePlayed() | SentenceInterrupted():
                for k, line in enumerate(lines):
                    if line.sentence_id == payload.sentence_id and line.fate == "pending":
                        if isinstance(payload, SentencePlayed):
                            settled = replace(line, played=line.text, fate="played")
                        else:
                            settled = replace(line, played=payload.played_text, fate="interrupted")
                        lines[k] = replace(settled, ended_at=when)
            case _:
                raise AssertionError(payload)
    return tuple(lines)


def once_each(payloads: list[Payload]) -> list[Payload]:
    """A sentence is committed once: its id is its own."""
    seen: set[SentenceId] = set()
    kept: list[Payload] = []
    for payload in payloads:
        if isinstance(payload, SentenceCommitted):
            if payload.sentence_id in seen:
                continue
            seen.add(payload.sentence_id)
        kept.append(payload)
    return kept


@given(events)
def test_what_is_taken_down_one_by_one_is_the_fold_of_everything(payloads: list[Payload]) -> None:
    payloads = once_each(payloads)

    states = taken_down(payloads)

    # Every earlier transcript is still the fold of what it had been told
    for told, state in enumerate(states):
        assert state.lines == folded(payloads[:told])
        assert state.count == len(state.lines)
        # And its turns hold all lines, each with one role that its neighbours do not have
        turns = state.turns()
        assert tuple(line for turn in turns for line in turn.lines) == state.lines
        assert all(a.role is not b.role for a, b in pairwise(turns))
        assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))


@given(events, events, events)
def test_two_that_go_on_from_one_do_not_see_each_other(
    before: list[Payload], one: list[Payload], other: list[Payload]
) -> None:
    before, one, other = once_each(before), once_each(before + one), once_each(before + other)
    shared = taken_down(before)[-1]

    def go_on(payloads: list[Payload]) -> Transcript:
        state = shared
        for place, payload in enumerate(payloads[len(before) :], len(before)):
            state = state.evolve(payload, at=at(place), turn_id=TURN)
        return state

    first, second = go_on(one), go_on(other)

    assert (first.lines, second.lines) == (folded(one), folded(other))
    assert shared.lines == folded(before)


def test_taking_an_event_down_copies_nothing_of_a_long_conversation() -> None:
    # Given a conversation of many lines
    state = Transcript()
    for n in range(20_000):
        own = SentenceId(UUID(int=n + 1))
        state = state.evolve(committed(own), at=NOON, turn_id=TURN)
        state = state.evolve(played(own), at=NOON, turn_id=TURN)

    # When one more sentence is committed and played
    tracemalloc.start()
    own = SentenceId(UUID(int=1 << 64))
    after = state.evolve(committed(own), at=NOON, turn_id=TURN).evolve(played(own), at=NOON, turn_id=TURN)

    # Then that took the room of two events, and not of the conversation over again
    _, bytes_at_most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bytes_at_most < 10_000
    assert after.count == state.count + 1 == 20_001
    assert after.lines[:-1] == state.lines
