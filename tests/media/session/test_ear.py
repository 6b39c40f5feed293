"""The ear: sound in, turns out, on the session's timeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from media.hearing import asr
from media.hearing.ear import Ear, HeardTurn
from media.hearing.threads import HearingThreads
from media.sound import Downsampler
from tests.media.session.rig import Models

Speak = Callable[[str], np.ndarray]
FRAME = 960


@dataclass
class Listener:
    """Writes down what the ear tells, with its time."""

    told: list[tuple[str, int]] = field(default_factory=list)
    turns: list[HeardTurn] = field(default_factory=list)
    parts: list[HeardTurn] = field(default_factory=list)
    heard: list[HeardTurn] = field(default_factory=list)
    turn: asyncio.Event = field(default_factory=asyncio.Event)

    def voice_began(self, at_ms: int) -> None:
        self.told.append(("voice_began", at_ms))

    def interrupted(self, at_ms: int) -> None:
        self.told.append(("interrupted", at_ms))

    def backchannel(self, at_ms: int) -> None:
        self.told.append(("backchannel", at_ms))

    def paused(self, at_ms: int) -> None:
        self.told.append(("paused", at_ms))

    def resumed(self, at_ms: int) -> None:
        self.told.append(("resumed", at_ms))

    def part_heard(self, heard: HeardTurn) -> None:
        self.parts.append(heard)
        self.heard.append(heard)

    def turn_ended(self, heard: HeardTurn) -> None:
        self.turns.append(heard)
        self.heard.append(heard)
        self.turn.set()

    def said(self) -> str:
        return " ".join(heard.text for heard in self.heard).lower()

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@dataclass
class Hearing:
    ear: Ear
    listener: Listener
    down: Downsampler
    at_ms: int = 0

    async def hear(self, samples: np.ndarray) -> None:
        """In real time: what the ear decides depends on when its threads answer."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for start in range(0, len(samples) - FRAME + 1, FRAME):
            self.at_ms += 20
            self.ear.feed(self.down.feed(samples[start : start + FRAME].tobytes()), self.at_ms)
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - loop.time()))


@asynccontextmanager
async def hearing(
    models: Models, *, persona_speaks: bool = False, start_ms: int = 0
) -> AsyncIterator[Hearing]:
    pools = [ThreadPoolExecutor(1) for _ in range(2)]
    listener = Listener()
    rig: Hearing
    ear = Ear(
        models.hearing,
        HearingThreads(*pools),
        listener,
        persona_speaks=lambda: persona_speaks,
        now_ms=lambda: rig.at_ms,
    )
    rig = Hearing(ear, listener, Downsampler(), start_ms)
    running = asyncio.ensure_future(ear.run())
    try:
        yield rig
    finally:
        running.cancel()
        await asyncio.wait({running})
        for pool in pools:
            pool.shutdown()


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * 48_000), np.int16)


def without_silence(samples: np.ndarray) -> np.ndarray:
    (loud,) = np.nonzero(np.abs(samples.astype(np.int32)) > 300)
    return samples[loud[0] : loud[-1] + 1]


async def test_a_question_is_one_turn_with_its_words_in_their_place(models: Models, speak: Speak) -> None:
    # Given a session whose timeline stands at ten seconds, when a question is asked after half a second
    question = speak("When will my claim be paid?")
    async with hearing(models, start_ms=10_000) as rig:
        await rig.hear(np.concatenate([silence(0.5), question, silence(2.0)]))
        async with asyncio.timeout(5):
            await rig.listener.turn.wait()

    # Then it is one turn, its words lie where they were said, and nothing else was told
    (turn,) = rig.listener.turns
    assert "claim" in turn.text.lower()
    assert turn.times == "aligned"
    assert abs(turn.started_ms - 10_500) < 250
    assert abs(turn.ended_ms - (10_500 + len(question) // 48)) < 400
    starts = [word.start_ms for word in turn.words]
    assert starts == sorted(starts)
    assert turn.started_ms - 100 <= starts[0] <= turn.words[-1].end_ms <= turn.ended_ms + 100
    assert rig.listener.names()[0] == "voice_began"


async def test_a_speaker_who_goes_on_in_mid_sentence_is_not_cut_off(models: Models, speak: Speak) -> None:
    # Given a sentence with a second of thought after "because"
    first, second = speak("I am calling you because"), speak("my roof was damaged by the storm.")
    async with hearing(models) as rig:
        await rig.hear(np.concatenate([silence(0.3), first, silence(1.0), second, silence(2.5)]))
        async with asyncio.timeout(5):
            await rig.listener.turn.wait()

    # Then both halves are one turn
    (turn,) = rig.listener.turns
    assert "because" in turn.text.lower()
    assert "roof" in turn.text.lower()
    assert "resumed" in rig.listener.names()


async def test_speech_beside_the_persona_is_an_interruption_and_then_a_turn(
    models: Models, speak: Speak
) -> None:
    # Given a persona who speaks, when the participant asks something
    async with hearing(models, persona_speaks=True) as rig:
        await rig.hear(np.concatenate([silence(0.3), speak("Wait, what does that cost?"), silence(2.0)]))
        async with asyncio.timeout(5):
            await rig.listener.turn.wait()

    # Then the interruption is told before the words are
    assert rig.listener.names()[0] == "interrupted"
    assert "cost" in rig.listener.turns[0].text.lower()


async def test_speech_that_is_longer_than_an_utterance_may_be_is_handed_over_in_parts_and_none_is_lost(
    models: Models, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given utterances of one short piece at most, when somebody says a long sentence in one breath
    monkeypatch.setattr(asr, "PIECES_MAX", 1)
    monkeypatch.setattr(asr, "PIECE_MS_MAX", 4_000)
    monkeypatch.setattr(asr, "PIECE_MS_MIN", 2_000)
    sentence = "First the pipe burst and then the cellar was full of water and the boiler stood in it"
    more = " and my neighbour helped us to carry the furniture up to the garage and the garden"
    async with hearing(models, start_ms=10_000) as rig:
        breath = [without_silence(speak(text)) for text in (sentence + more, more)]
        await rig.hear(np.concatenate([silence(0.5), *breath, silence(2.5)]))
        async with asyncio.timeout(8):
            while rig.listener.said().count("garden") < 2:
                rig.listener.turn.clear()
                await rig.listener.turn.wait()

    # Then it was read in parts that follow one another, and no word of it is missing
    assert rig.listener.parts
    spans = [(heard.started_ms, heard.ended_ms) for heard in rig.listener.heard]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for word in ("pipe", "cellar", "boiler", "furniture", "garage"):
        assert word in rig.listener.said()
    assert rig.ear.lost_ms == 0


async def test_silence_and_noise_are_no_turn(models: Models) -> None:
    # Given three seconds of faint noise
    noise = (np.random.default_rng(7).normal(0, 60, 3 * 48_000)).astype(np.int16)
    async with hearing(models) as rig:
        await rig.hear(noise)

    # Then nothing was told
    assert rig.listener.told == []
    assert rig.listener.turns == []
