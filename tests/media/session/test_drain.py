"""How long a session may take to end, and how much sound may wait for its ear."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from domain.events.catalogue import FloorChanged, FloorState, TrackKind
from domain.ids import TenantId
from domain.ports import SESSION_DRAIN_S_MAX, EventStore
from media.recorder import Recorder
from media.session import FLUSH_S_MAX, FRAMES_HEARD_MAX, RECORDING_STOP_S_MAX
from tests.media.session.rig import Breakable, Call, Models, live_call
from tests.media.session.test_peer import Connection, peer_with

# What ending takes beside its waits.
SPARE_S = 0.4


async def ended(call: Call) -> tuple[tuple[str, ...], float]:
    """The gaps that the session tells, and the seconds that it took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    drained = await call.end()
    return drained.gaps, loop.time() - began_s


def away(call: Call, store: Breakable) -> None:
    """Takes the store away while a fact waits for it."""
    store.away = True
    call.live()._scribe.note(FloorChanged(state=FloorState.LISTENING, reason="silence"))


def slow_disk(call: Call, folder: Path) -> threading.Event:
    """The recording cannot be brought to its end before the event is set."""
    written = threading.Event()
    live = call.live()
    live._recorder = Recorder(folder, call.conversation_id, epoch=2, sealed=lambda _: _until(written))
    live._recorder.sound(TrackKind.PARTICIPANT_AUDIO, 0, bytes(1_920))
    return written


def _until(written: threading.Event) -> None:
    written.wait(10)


def test_the_waits_at_the_end_fit_into_the_time_that_a_session_has_for_it() -> None:
    assert RECORDING_STOP_S_MAX + FLUSH_S_MAX < SESSION_DRAIN_S_MAX


async def test_a_store_that_stays_away_is_waited_for_within_the_limit(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a fact that waits for a store that is away, when the session ends
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        away(call, store)
        gaps, took_s = await ended(call)

    # Then it waits as long as it may, and names what is missing
    assert gaps == ("record_backlog",)
    assert FLUSH_S_MAX <= took_s < FLUSH_S_MAX + SPARE_S


async def test_a_store_that_comes_back_in_time_leaves_no_gap(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given the same, when the store is back before the limit
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        away(call, store)
        asyncio.get_running_loop().call_later(FLUSH_S_MAX / 3, setattr, store, "away", False)
        gaps, took_s = await ended(call)
        stored = await call.of(FloorChanged)

    # Then everything is stored
    assert gaps == ()
    assert took_s < FLUSH_S_MAX
    assert stored[-1] == FloorChanged(state=FloorState.LISTENING, reason="silence")


@pytest.mark.parametrize(
    ("free_after_s", "gaps"), [(RECORDING_STOP_S_MAX / 2, ()), (RECORDING_STOP_S_MAX + 2, ("recording",))]
)
async def test_a_disk_is_waited_for_within_the_limit(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    free_after_s: float,
    gaps: tuple[str, ...],
) -> None:
    # Given a recording whose last segment is not on disk yet, when the session ends
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        written = slow_disk(call, tmp_path)
        asyncio.get_running_loop().call_later(free_after_s, written.set)
        told, took_s = await ended(call)
        written.set()

    # Then it waits for it, but not beyond the limit, and names what is missing
    assert told == gaps
    waited_s = min(free_after_s, RECORDING_STOP_S_MAX)
    assert waited_s <= took_s < waited_s + SPARE_S


async def test_both_at_once_are_told_before_the_session_is_cut_off(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given neither store nor disk, when the session ends
    store = Breakable(event_store)
    async with live_call(models, store, tenant_id, tmp_path) as call:
        written = slow_disk(call, tmp_path)
        away(call, store)
        gaps, took_s = await ended(call)
        written.set()

    # Then both gaps are told in time
    assert gaps == ("recording", "record_backlog")
    assert took_s < SESSION_DRAIN_S_MAX


@pytest.mark.parametrize(("beyond", "lost", "gaps"), [(0, 0, ()), (1, 1, ("sound_not_heard",))])
async def test_sound_that_the_ear_has_no_time_for_is_given_up_from_the_oldest_on(
    models: Models,
    event_store: EventStore,
    tenant_id: TenantId,
    tmp_path: Path,
    beyond: int,
    lost: int,
    gaps: tuple[str, ...],
) -> None:
    # Given a live connection
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        live, (peer, _) = call.live(), peer_with(Connection())
        live._live = peer

        # When as many frames come before the ear's next turn as may wait, or one more
        for number in range(FRAMES_HEARD_MAX + beyond):
            live.heard(peer, frame_of(number))

        # Then the newest wait, and what was given up is a gap of the record
        assert (live._frames.qsize(), live._frames_lost) == (FRAMES_HEARD_MAX, lost)
        assert np.frombuffer(live._frames._queue[0][1], np.int16)[0] == beyond  # type: ignore[attr-defined]  # to look without taking
        assert (await ended(call))[0] == gaps
        await peer.shut()


def frame_of(value: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.full((1, 960), value, np.int16), format="s16", layout="mono")
    frame.sample_rate = 48_000
    return frame
