"""What the caller sees: how many pictures, how evenly, and, when asked, the pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from aiortc.codecs.vpx import vp8_depayload

from ops.caller.taps import Arrived

VIDEO_CLOCK = 90_000
WIDTH = HEIGHT = 512
_RTP_CLOCK = 1 << 32


@dataclass(frozen=True, slots=True)
class Seen:
    frames: int
    fps: float
    longest_gap_ms: float


class Eye:
    """Counts pictures at the packet that completes each. With `video`, writes them as they came to a WebM
    file, without decoding: what is looked at later is what was sent."""

    def __init__(self, video: Path | None = None) -> None:
        self._writer = None if video is None else _Writer(video)
        self._frames = 0
        self._last_timestamp: int | None = None
        self._first_s = self._last_s = 0.0
        self._longest_gap_s = 0.0

    def connect(self) -> None:
        """What arrives from now on belongs to a new connection. The time between the two is a gap like any
        other: nothing was to be seen."""
        self._last_timestamp = None
        if self._writer is not None:
            self._writer.connect()

    def on_arrived(self, packet: Arrived) -> None:
        """Told by the tap of the receiver."""
        if self._writer is not None:
            self._writer.add(packet)
        if not packet.marker or not self._is_newer(packet.timestamp):
            return
        self._last_timestamp = packet.timestamp
        if self._frames == 0:
            self._first_s = packet.at_s
        else:
            self._longest_gap_s = max(self._longest_gap_s, packet.at_s - self._last_s)
        self._frames += 1
        self._last_s = packet.at_s

    def seen(self) -> Seen:
        span_s = self._last_s - self._first_s
        fps = (self._frames - 1) / span_s if span_s > 0 else 0.0
        return Seen(self._frames, fps, self._longest_gap_s * 1000)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _is_newer(self, timestamp: int) -> bool:
        last = self._last_timestamp
        return last is None or 0 < (timestamp - last) % _RTP_CLOCK < _RTP_CLOCK // 2


class _Writer:
    """Puts the packets of each picture together again. A picture of which one is missing is left out."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path), "w", format="webm")
        stream = self._container.add_stream("libvpx", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, VIDEO_CLOCK)
        self._stream = stream
        self._payload_type: int | None = None
        # Where the present connection's timestamps began, and what time of the file that is.
        self._origin: int | None = None
        self._base = 0
        self._first_s: float | None = None
        self._last_time = -1
        self._parts: list[bytes] = []
        self._next_sequence: int | None = None
        self._whole = True

    def connect(self) -> None:
        """Goes on with the next key frame, at the time at which it comes."""
        self._payload_type = self._next_sequence = self._origin = None
        self._parts, self._whole = [], True

    def add(self, packet: Arrived) -> None:
        if self._payload_type is None:
            self._payload_type = packet.payload_type
        if packet.payload_type != self._payload_type or not packet.payload:
            return  # Retransmissions have a type of their own.
        if self._next_sequence is not None and packet.sequence != self._next_sequence:
            self._whole = False
        self._next_sequence = (packet.sequence + 1) % (1 << 16)
        self._parts.append(vp8_depayload(packet.payload))
        if packet.marker:
            if self._whole:
                self._mux(b"".join(self._parts), packet)
            self._parts, self._whole = [], True

    def close(self) -> None:
        self._container.close()

    def _mux(self, picture: bytes, last: Arrived) -> None:
        # RFC 6386, section 9.1: the lowest bit of the first byte is 0 in a key frame.
        is_key = picture[0] & 1 == 0
        if self._origin is None:
            if not is_key:
                return
            if self._first_s is None:
                self._first_s = last.at_s
            self._origin = last.timestamp
            self._base = max(self._last_time + 1, round((last.at_s - self._first_s) * VIDEO_CLOCK))
        self._last_time = self._base + (last.timestamp - self._origin) % _RTP_CLOCK
        packet = av.Packet(picture)
        packet.stream = self._stream
        packet.pts = packet.dts = self._last_time
        packet.time_base = Fraction(1, VIDEO_CLOCK)
        packet.is_keyframe = is_key
        self._container.mux(packet)
