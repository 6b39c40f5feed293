"""The caller's ear, mouth and eye, each fed by hand."""

from __future__ import annotations

import asyncio
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av import AudioFrame, VideoFrame

from ops.caller.ear import Ear
from ops.caller.errors import CallFailed, SoundUnusable
from ops.caller.eye import HEIGHT, WIDTH, Eye
from ops.caller.loudness import SAMPLE_RATE, WINDOW_SAMPLES, Pcm, speech_span, speech_windows
from ops.caller.mouth import FRAME_SAMPLES, Mouth
from ops.caller.sound import Sound, read_sound
from ops.caller.taps import Arrived, Left
from tests.unit.caller.speech import joined, silence, tone

FIRST_TIMESTAMP = (1 << 32) - 5 * FRAME_SAMPLES  # The clock of RTP wraps within the first packets.


def packets(pcm: Pcm, *, began_s: float = 100.0) -> list[Arrived]:
    """As a persona's worker sends them: 20 ms of Opus each, arriving when they were said."""
    encoder = OpusEncoder()
    found: list[Arrived] = []
    for number in range(len(pcm) // FRAME_SAMPLES):
        samples = pcm[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * FRAME_SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        for payload in encoder.encode(frame)[0]:
            position = len(found) * FRAME_SAMPLES
            found.append(
                Arrived(
                    at_s=began_s + position / SAMPLE_RATE,
                    sequence=len(found),
                    timestamp=(FIRST_TIMESTAMP + position) % (1 << 32),
                    marker=False,
                    payload_type=96,
                    payload=payload,
                )
            )
    return found


@pytest.mark.parametrize(("dbfs", "loud"), [(-39.0, True), (-41.0, False)])
def test_speech_is_what_is_louder_than_forty_below_full_scale(dbfs: float, loud: bool) -> None:
    assert set(speech_windows(tone(0.1, dbfs=dbfs, hz=1000))) == {loud}


def test_the_span_of_speech_is_found_to_the_window() -> None:
    span = speech_span(joined(silence(0.5), tone(1.0), silence(0.3)))

    assert span == (round(0.5 * SAMPLE_RATE), round(1.5 * SAMPLE_RATE) - 1)
    assert speech_span(silence(1.0)) is None


async def test_the_ear_times_speech_at_the_packet() -> None:
    ear = Ear()

    for packet in packets(joined(silence(1.0), tone(0.5), silence(1.0), tone(0.5), silence(0.5))):
        ear.on_arrived(packet)

    first, second = ear.runs
    # One packet of 20 ms, and the coder's own look-ahead of less than one.
    assert first.began_s == pytest.approx(101.0, abs=0.021)
    assert first.ended_s == pytest.approx(101.5, abs=0.041)
    assert second.began_s == pytest.approx(102.5, abs=0.021)


async def test_a_packet_that_is_held_up_does_not_begin_a_new_reply() -> None:
    ear = Ear()

    for number, packet in enumerate(packets(tone(1.0))):
        late_s = 0.0 if number < 25 else 2.0
        ear.on_arrived(
            Arrived(packet.at_s + late_s, packet.sequence, packet.timestamp, False, 96, packet.payload)
        )

    assert len(ear.runs) == 1


async def test_a_packet_that_comes_twice_is_heard_once(tmp_path: Path) -> None:
    ear = Ear(tmp_path / "heard.wav")

    for packet in packets(tone(0.5)):
        ear.on_arrived(packet)
        ear.on_arrived(packet)
    ear.close()

    assert frames(tmp_path / "heard.wav") == pytest.approx(0.5 * SAMPLE_RATE, abs=FRAME_SAMPLES)


async def test_what_was_heard_is_written_with_its_gaps(tmp_path: Path) -> None:
    ear = Ear(tmp_path / "heard.wav")
    sent = packets(joined(tone(0.4), silence(1.0), tone(0.4)))

    for packet in sent[:30] + sent[50:]:
        ear.on_arrived(packet)
    ear.close()

    with wave.open(str(tmp_path / "heard.wav")) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    loud = np.flatnonzero(speech_windows(heard)) * WINDOW_SAMPLES / SAMPLE_RATE
    assert loud[0] == pytest.approx(0.0, abs=0.02)
    assert loud[-1] == pytest.approx(1.8, abs=0.03)
    assert not np.any((loud > 0.45) & (loud < 1.35))


async def test_what_is_heard_on_a_second_connection_stands_behind_the_time_between(tmp_path: Path) -> None:
    ear = Ear(tmp_path / "heard.wav")
    ear.connect()
    for packet in packets(tone(0.4), began_s=100.0):
        ear.on_arrived(packet)

    # Its timestamps begin anew, five packets before those of the first.
    ear.connect()
    for packet in packets(joined(silence(0.2), tone(0.4)), began_s=103.0):
        ear.on_arrived(
            Arrived(
                packet.at_s, packet.sequence, packet.timestamp - 5 * FRAME_SAMPLES, False, 96, packet.payload
            )
        )
    ear.close()

    with wave.open(str(tmp_path / "heard.wav")) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    loud = np.flatnonzero(speech_windows(heard)) * WINDOW_SAMPLES / SAMPLE_RATE
    assert loud[-1] == pytest.approx(3.6, abs=0.03)
    assert not np.any((loud > 0.45) & (loud < 3.15))
    assert [run.began_s for run in ear.runs] == pytest.approx([100.0, 103.2], abs=0.03)


async def test_a_packet_from_before_the_first_is_too_late_to_be_heard(tmp_path: Path) -> None:
    ear = Ear(tmp_path / "heard.wav")
    first, second, *rest = packets(tone(0.4))

    for packet in (second, first, *rest):
        ear.on_arrived(packet)
    ear.close()

    assert frames(tmp_path / "heard.wav") == pytest.approx(0.38 * SAMPLE_RATE, abs=FRAME_SAMPLES)


async def test_waiting_for_a_reply_ends_when_it_begins_or_when_time_is_up() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    waiting = asyncio.create_task(ear.reply_after(loop.time() - 1, within_s=30.0))
    await asyncio.sleep(0)

    for packet in packets(tone(0.1), began_s=loop.time()):
        ear.on_arrived(packet)

    assert await waiting == ear.runs[0]
    assert await ear.reply_after(loop.time() + 50, within_s=-60.0) is None


async def test_silence_is_what_is_heard_and_not_what_does_not_arrive() -> None:
    ear, loop = Ear(), asyncio.get_running_loop()
    began_s = loop.time() - 60.0
    sent = packets(joined(tone(0.5), silence(1.1)), began_s=began_s)
    for packet in sent[:25]:
        ear.on_arrived(packet)

    # The last word is a minute old by the clock, and nothing came after it.
    waiting = asyncio.create_task(ear.silence(1.0))
    await asyncio.sleep(0)
    assert not waiting.done()

    for packet in sent[25:]:
        ear.on_arrived(packet)
    await asyncio.wait_for(waiting, 1.0)


def frames(path: Path) -> int:
    with wave.open(str(path)) as file:
        return int(file.getnframes())


async def test_the_mouth_tells_when_the_packets_with_first_and_last_speech_left() -> None:
    mouth = Mouth()
    sound = Sound.of("tone", joined(silence(0.05), tone(0.06), silence(0.05)))
    saying = asyncio.create_task(mouth.say(sound))
    await asyncio.sleep(0)
    heard: list[Pcm] = []

    for number in range(12):
        heard.append((await mouth.recv()).to_ndarray().reshape(-1).astype(np.int16))
        # Packet n leaves at second n, whatever the clock says.
        mouth.on_left(Left(float(number), (FIRST_TIMESTAMP + number * FRAME_SAMPLES) % (1 << 32)))
    spoken = await saying

    # Speech is in the samples from 50 to 110 ms: in the frames 2 to 5 of 20 ms.
    assert (spoken.first_s, spoken.last_s) == (2.0, 5.0)
    assert np.array_equal(np.concatenate(heard)[: len(sound.pcm)], sound.pcm)


async def test_the_mouth_keeps_real_time() -> None:
    mouth, loop = Mouth(), asyncio.get_running_loop()
    began_s = loop.time()

    for _ in range(11):
        frame = await mouth.recv()

    assert loop.time() - began_s >= 0.2
    assert frame.pts == 10 * FRAME_SAMPLES


async def test_a_sound_that_a_connection_did_not_carry_is_given_up_and_may_be_said_again() -> None:
    mouth = Mouth()
    sound = Sound.of("tone", tone(0.06))
    lost = mouth.track()
    saying = asyncio.create_task(mouth.say(sound))
    await asyncio.sleep(0)
    await lost.recv()
    mouth.on_left(Left(0.0, 7 * FRAME_SAMPLES))

    fresh = mouth.track()

    with pytest.raises(asyncio.CancelledError):
        await saying
    again = asyncio.create_task(mouth.say(sound))
    await asyncio.sleep(0)
    for number in range(4):
        await fresh.recv()
        mouth.on_left(Left(10.0 + number, (FIRST_TIMESTAMP + number * FRAME_SAMPLES) % (1 << 32)))
    spoken = await again
    assert (spoken.first_s, spoken.last_s) == (10.0, 12.0)


async def test_a_new_connection_is_not_sent_the_time_that_passed_without_one() -> None:
    mouth, loop = Mouth(), asyncio.get_running_loop()
    await mouth.track().recv()
    await asyncio.sleep(0.2)

    fresh = mouth.track()
    began_s = loop.time()
    for _ in range(6):
        await fresh.recv()

    assert loop.time() - began_s >= 0.1


async def test_two_sounds_at_once_are_refused() -> None:
    mouth = Mouth()
    sound = Sound.of("tone", tone(0.1))
    first = asyncio.create_task(mouth.say(sound))
    await asyncio.sleep(0)

    with pytest.raises(CallFailed, match="one sound at a time"):
        await mouth.say(sound)
    first.cancel()


@pytest.mark.parametrize(
    ("rate", "suffix", "codec"), [(16_000, "wav", "pcm_s16le"), (44_100, "flac", "flac")]
)
def test_files_of_any_rate_are_brought_to_48_khz(tmp_path: Path, rate: int, suffix: str, codec: str) -> None:
    path = tmp_path / f"speech.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        samples = (np.sin(np.arange(rate) * 2 * np.pi * 200 / rate) * 8000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    sound = read_sound(path)

    assert sound.duration_s == pytest.approx(1.0, abs=0.01)
    assert sound.first_speech < WINDOW_SAMPLES


def test_what_cannot_be_played_is_said_in_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no sound")

    with pytest.raises(SoundUnusable, match="cannot be read as audio"):
        read_sound(text)
    with pytest.raises(SoundUnusable, match="There is no file"):
        read_sound(tmp_path / "missing.wav")
    with pytest.raises(SoundUnusable, match="no speech to measure"):
        Sound.of("hush.wav", silence(1.0))


def pictures(count: int) -> list[Arrived]:
    encoder = Vp8Encoder()
    found: list[Arrived] = []
    for number in range(count):
        rgb = np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        frame = VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(frame, force_keyframe=number == 0)
        for part, payload in enumerate(payloads):
            last = part == len(payloads) - 1
            found.append(Arrived(number * 0.04, len(found), timestamp, last, 97, payload))
    return found


def test_the_eye_counts_whole_pictures_and_the_longest_gap() -> None:
    eye = Eye()

    for packet in pictures(6):
        held_up_s = 0.1 if packet.timestamp >= 3 * 3600 else 0.0
        eye.on_arrived(
            Arrived(packet.at_s + held_up_s, packet.sequence, packet.timestamp, packet.marker, 97, b"")
        )

    seen = eye.seen()
    assert seen.frames == 6
    assert seen.longest_gap_ms == pytest.approx(140)
    assert seen.fps == pytest.approx(5 / 0.3)


def test_pictures_are_written_as_they_came_but_those_with_a_part_missing(tmp_path: Path) -> None:
    eye = Eye(tmp_path / "seen.webm")
    sent = pictures(6)
    missing = next(packet for packet in sent if packet.timestamp == 2 * 3600 and not packet.marker)

    for packet in sent:
        if packet is not missing:
            eye.on_arrived(packet)
    eye.close()

    with av.open(str(tmp_path / "seen.webm")) as container:
        times = [round(float(frame.pts * frame.time_base) * 25) for frame in container.decode(video=0)]  # type: ignore[operator]
    assert times == [0, 1, 3, 4, 5]


def test_pictures_of_a_second_connection_follow_at_the_time_at_which_they_came(tmp_path: Path) -> None:
    eye = Eye(tmp_path / "seen.webm")
    eye.connect()
    for packet in pictures(3):
        eye.on_arrived(packet)

    eye.connect()
    for packet in pictures(3):
        eye.on_arrived(
            Arrived(packet.at_s + 2.0, packet.sequence, packet.timestamp, packet.marker, 98, packet.payload)
        )
    eye.close()

    with av.open(str(tmp_path / "seen.webm")) as container:
        times = [round(float(frame.pts * frame.time_base) * 25) for frame in container.decode(video=0)]  # type: ignore[operator]
    assert times == [0, 1, 2, 50, 51, 52]
    assert eye.seen().frames == 6
    assert eye.seen().longest_gap_ms == pytest.approx(1920)
