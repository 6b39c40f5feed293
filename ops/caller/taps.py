"""The one place that reaches into aiortc: the moments at which RTP packets leave and arrive.

aiortc tells tracks about audio only after its jitter buffer, which holds four packets, 80 ms. Latency that a
person feels begins and ends at the packet, so the two methods through which every packet goes are wrapped on
the objects of one call. They are private to aiortc, whose version is pinned; the tests of this module fail
when they move.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, cast

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import RtpPacket

RTP_HEADER_BYTES = 12
# RFC 5761: the second byte tells RTCP from RTP where both share a port.
RTCP_TYPES = (192, 223)


@dataclass(frozen=True, slots=True)
class Arrived:
    """One RTP packet as it came in, before any buffer. `at_s` is seconds of the loop's clock."""

    at_s: float
    sequence: int
    timestamp: int
    marker: bool
    payload_type: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Left:
    """One RTP packet that was handed to the transport at `at_s`."""

    at_s: float
    timestamp: int


class _Receiver(Protocol):
    _handle_rtp_packet: Callable[..., Awaitable[None]]


class _Transport(Protocol):
    _send_rtp: Callable[[bytes], Awaitable[None]]


def tap_receiver(
    receiver: RTCRtpReceiver, clock: Callable[[], float], told: Callable[[Arrived], None]
) -> None:
    """Calls `told` for each packet of this receiver, before aiortc handles it."""
    inside = cast(_Receiver, receiver)
    handle = inside._handle_rtp_packet

    async def tapped(packet: RtpPacket, arrival_time_ms: int) -> None:
        told(
            Arrived(
                at_s=clock(),
                sequence=packet.sequence_number,
                timestamp=packet.timestamp,
                marker=bool(packet.marker),
                payload_type=packet.payload_type,
                payload=bytes(packet.payload),
            )
        )
        await handle(packet, arrival_time_ms=arrival_time_ms)

    inside._handle_rtp_packet = tapped


def tap_sender(sender: RTCRtpSender, clock: Callable[[], float], told: Callable[[Left], None]) -> None:
    """Calls `told` for each packet of this sender, after the transport took it."""
    inside = cast(_Transport, sender.transport)
    send = inside._send_rtp
    # RTCP and the other media of the call go through the same transport.
    ssrc = sender._ssrc

    async def tapped(data: bytes) -> None:
        await send(data)
        if len(data) >= RTP_HEADER_BYTES and not RTCP_TYPES[0] <= data[1] <= RTCP_TYPES[1]:
            timestamp, source = struct.unpack_from("!LL", data, 4)
            if source == ssrc:
                told(Left(clock(), timestamp))

    inside._send_rtp = tapped
