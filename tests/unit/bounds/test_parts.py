"""Limits of small parts: how much they take, and what they do with more."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import uuid4

import pytest
from pydantic import ValidationError

from activities.knowledge.chunking import TITLE_WORDS_MAX, chunks_of
from activities.knowledge.minilm import REMEMBERED_MAX, MiniLm
from activities.personas import RECORD_ATTEMPTS_MAX, PersonaPublisher
from domain.errors import VersionConflict
from domain.events.envelope import Actor, ActorKind
from domain.ids import PersonaId, TenantId, conversation_stream
from domain.mind.persona import Document
from media.hearing.asr import BLIP_GAP_MS, BLIP_MS_MAX, LOOP_TIMES, LOOP_TOKENS_MAX, without_loop
from media.hearing.asr import without_silent_front as from_first_speech
from media.hearing.moonshine import Hypothesis
from media.hearing.vad import WINDOW_MS, HeardWindow
from media.speaking.face.gaze import DEGREES, GLANCE_DEG_MAX, Gaze, Lids
from media.speaking.face.motion import NOD_DEG_MAX, NOD_DEG_MIN, FaceMotion
from media.speaking.reading import SPELLED_LETTERS_MAX, readings
from ops.api.media_control import CONNECT_S_MAX, control_client
from ops.api.models import CURSOR_CHARS_MAX, TOKEN_CHARS_MAX, Join, PageQuery
from ops.devstack import postgres_keeper
from ops.devstack.postgres_keeper import SHORT_LIVES_MAX, Keeper
from ops.devstack.temporal import LOG_TAIL_CHARACTERS_MAX, TemporalServer
from ops.stack.child import LAST_LINE_CHARACTERS_MAX, last_line


def test_a_line_above_a_rule_is_a_title_up_to_so_many_words() -> None:
    def headings(words: int) -> set[str]:
        line = " ".join(["word"] * words)
        document = Document(title="Guide", text=f"{line}\n-----\n\nWe pay by transfer.")
        return {chunk.heading for chunk in chunks_of(document)}

    assert headings(TITLE_WORDS_MAX) == {" ".join(["word"] * TITLE_WORDS_MAX)}
    assert headings(TITLE_WORDS_MAX + 1) == {""}


def test_letters_of_a_code_are_spelled_up_to_the_limit_and_a_word_beyond() -> None:
    [short, long] = readings(
        [f"{'BCDFG'[:SPELLED_LETTERS_MAX]}-19", f"{'BCDFG'[: SPELLED_LETTERS_MAX + 1]}-19"]
    )

    assert short.startswith("B.C.D.")
    assert long.startswith("BCDF")


def test_a_glance_goes_no_further_than_the_eye_turns() -> None:
    gaze, lids = Gaze(Random(1)), Lids(Random(2))
    far = 0.0
    for _ in range(20_000):
        gaze.turn(lids)
        far = max(far, abs(gaze.x))

    # Some glances reach the limit, and none goes beyond it.
    assert far == pytest.approx(GLANCE_DEG_MAX / DEGREES)


def test_a_nod_is_no_deeper_than_the_limit() -> None:
    depths = []
    for seed in range(500):
        motion = FaceMotion(Random(seed))
        motion.nod()
        depths.append(motion._nod_deg)

    assert NOD_DEG_MIN <= min(depths) < NOD_DEG_MIN + 0.1
    assert NOD_DEG_MAX - 0.1 < max(depths) <= NOD_DEG_MAX


def windows(*speech: tuple[float, int]) -> list[HeardWindow]:
    """Stretches of that probability, so many milliseconds each."""
    each = [probability for probability, ms in speech for _ in range(ms // WINDOW_MS)]
    return [HeardWindow(number * WINDOW_MS, probability, b"") for number, probability in enumerate(each)]


def test_a_sound_on_its_own_is_a_click_up_to_the_limit() -> None:
    def begins_ms(first_ms: int) -> int:
        heard = windows((0.0, 1_600), (0.9, first_ms), (0.0, BLIP_GAP_MS + 3_200), (0.9, 640))
        return from_first_speech(heard)[0].start_ms

    assert begins_ms(BLIP_MS_MAX) > 3_200
    assert begins_ms(BLIP_MS_MAX + WINDOW_MS) <= 1_600


def test_a_phrase_that_the_model_repeats_is_found_up_to_so_many_tokens() -> None:
    def read(length: int) -> int:
        tokens = (900, *tuple(range(length)) * LOOP_TIMES)
        return len(without_loop(Hypothesis(tokens, (1.0,) * len(tokens))).tokens)

    assert read(LOOP_TOKENS_MAX) == 1 + LOOP_TOKENS_MAX
    assert read(LOOP_TOKENS_MAX + 1) == 1 + (LOOP_TOKENS_MAX + 1) * LOOP_TIMES


def test_a_token_and_a_cursor_may_be_as_long_as_the_limit() -> None:
    Join(join_token="t" * TOKEN_CHARS_MAX)
    PageQuery(cursor="c" * CURSOR_CHARS_MAX)

    with pytest.raises(ValidationError, match="join_token"):
        Join(join_token="t" * (TOKEN_CHARS_MAX + 1))
    with pytest.raises(ValidationError, match="cursor"):
        PageQuery(cursor="c" * (CURSOR_CHARS_MAX + 1))


async def test_a_media_worker_has_so_long_to_take_a_connection() -> None:
    async with control_client() as client:
        assert (client.timeout.connect, client.timeout.pool) == (CONNECT_S_MAX, CONNECT_S_MAX)


def test_the_last_line_of_a_log_is_shortened(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("first\n" + "x" * 1_000 + "\n")
    server = TemporalServer(cast(Any, None), "127.0.0.1:1", log)

    assert last_line(log) == "x" * LAST_LINE_CHARACTERS_MAX
    assert server._last_line() == "x" * LOG_TAIL_CHARACTERS_MAX

    log.write_text("first\nlast\n\n")
    assert last_line(log) == server._last_line() == "last"


def test_a_server_that_ends_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server that writes a letter and ends at once, and a lock that the test holds
    monkeypatch.setattr(postgres_keeper, "RESTART_PAUSE_S", 0.0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Keeper, "_await_release", lambda *_: None)
    with (tmp_path / "log").open("ab") as log:
        keeper = Keeper([sys.executable, "-S", "-c", "print('x', end='')"], user=None, log=log)

        # When it is kept, then it is started so often and no more
        assert keeper.run(tmp_path / "holders") == 1
    assert (tmp_path / "log").read_text() == "x" * SHORT_LIVES_MAX


class AlwaysSooner:
    """A store in which somebody else has always just written."""

    def __init__(self) -> None:
        self.attempts = 0

    async def head(self, *_: Any) -> None:
        return None

    async def append(self, *_: Any, **__: Any) -> None:
        self.attempts += 1
        raise VersionConflict(conversation_stream(cast(Any, uuid4())), expected=0, actual=1)


async def test_a_publisher_that_is_always_too_late_says_so_after_so_many_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = AlwaysSooner()
    publisher = PersonaPublisher.__new__(PersonaPublisher)
    publisher._store = cast(Any, store)

    async def nothing(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(publisher, "_unrecorded", nothing)

    with pytest.raises(VersionConflict):
        await publisher._record(
            TenantId(uuid4()), PersonaId(uuid4()), 1, Actor(kind=ActorKind.SERVICE, id="tests")
        )
    assert store.attempts == RECORD_ATTEMPTS_MAX


def test_the_embedder_remembers_so_many_texts_unless_it_is_told_otherwise() -> None:
    assert (MiniLm.__init__.__kwdefaults__ or {})["remembered_max"] == REMEMBERED_MAX
