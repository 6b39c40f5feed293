"""The bounds of a connection and of its tracks, at the limit and just below it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import cast

import av
import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcicetransport import connection_kwargs
from pydantic import SecretStr
from structlog.testing import capture_logs

from domain.events.canonical import Json
from domain.ice import IceServer
from media.errors import BadOffer
from media.peer import (
    CHANNEL_BUFFERED_BYTES_MAX,
    CLOSE_S_MAX,
    MESSAGE_BYTES_MAX,
    SDP_BYTES_MAX,
    UNTOLD_MAX,
    CloseReason,
    Peer,
    Sending,
    configuration,
)
from media.speaking.playout import SILENT_FRAME
from media.tracks import LATE_S_MAX, PersonaAudio
from tests.media.session.rig import offer_of
from tests.virtual_time import in_virtual_time, virtual_loop

FRAME_S = 0.02


class Listening:
    """Remembers what the page sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Json]] = []

    def connected(self, peer: Peer) -> None: ...

    def heard(self, peer: Peer, frame: av.AudioFrame) -> None: ...

    def told(self, peer: Peer, message: dict[str, Json]) -> None:
        self.messages.append(message)

    def gone(self, peer: Peer, reason: CloseReason) -> None: ...


class Connection(RTCPeerConnection):
    """A real one that takes as long to close as it is told to."""

    def __init__(self, close_s: float = 0.0) -> None:
        super().__init__(RTCConfiguration(iceServers=[]))
        self._close_s = close_s

    async def close(self) -> None:
        await asyncio.sleep(self._close_s)
        await super().close()


class Channel:
    """A data channel whose other side reads nothing."""

    readyState = "open"

    def __init__(self, buffered: int = 0) -> None:
        self.bufferedAmount = buffered
        self.sent: list[str] = []
        self.handlers: dict[str, Callable[[str], None]] = {}

    def on(self, name: str, handler: Callable[[str], None]) -> None:
        self.handlers[name] = handler

    def send(self, text: str) -> None:
        self.sent.append(text)
        self.bufferedAmount += len(text.encode())


def peer_with(
    connection: RTCPeerConnection, channel: Channel | None = None, *, close_s_max: float = CLOSE_S_MAX
) -> tuple[Peer, Listening]:
    listener = Listening()
    sending = Sending(AudioStreamTrack(), None)
    peer = Peer(listener, sending, 1, connection=connection, close_s_max=close_s_max)
    if channel is not None:
        peer._on_channel(cast(RTCDataChannel, channel))
    return peer, listener


@pytest.mark.parametrize(("below", "sent"), [(1, 1), (0, 0)])
async def test_a_page_that_reads_no_more_is_sent_no_more(below: int, sent: int) -> None:
    # Given a channel that holds one byte less than it may, or as much as it may
    channel = Channel(CHANNEL_BUFFERED_BYTES_MAX - below)
    peer, _ = peer_with(Connection(), channel)

    # When the page is told something twice, then what is above the bound is dropped and nothing waits
    peer.tell({"type": "caption", "text": "Grüße"})
    peer.tell({"type": "caption", "text": "more"})
    assert len(channel.sent) == sent
    assert channel.bufferedAmount <= CHANNEL_BUFFERED_BYTES_MAX + MESSAGE_BYTES_MAX

    # And once the other side has read, the next message goes out
    channel.bufferedAmount = 0
    peer.tell({"type": "heartbeat"})
    assert json.loads(channel.sent[-1]) == {"type": "heartbeat"}
    await peer.shut()


async def test_what_is_told_before_the_channel_is_there_waits_for_it_up_to_a_bound() -> None:
    # Given a page that is told more than may wait while its channel is being made
    peer, _ = peer_with(Connection())
    for number in range(UNTOLD_MAX + 2):
        peer.tell({"type": "caption", "id": number})

    # When the channel opens, then it is sent the newest, in their order, and what comes after them
    channel = Channel()
    peer._on_channel(cast(RTCDataChannel, channel))
    peer.tell({"type": "heartbeat"})
    *waited, last = [json.loads(text) for text in channel.sent]
    assert [message["id"] for message in waited] == list(range(2, UNTOLD_MAX + 2))
    assert last == {"type": "heartbeat"}
    await peer.shut()


@in_virtual_time
async def test_a_connection_that_does_not_close_is_left_after_its_time() -> None:
    # Given one that closes just in time and one that does not, when both are shut
    for close_s, took_s, failed in ((CLOSE_S_MAX - 0.1, CLOSE_S_MAX - 0.1, []), (60.0, CLOSE_S_MAX, ["x"])):
        peer, _ = peer_with(Connection(close_s))
        began_s = virtual_loop().time()
        with capture_logs() as logs:
            await peer.shut()

        # Then neither takes longer than the bound, and only the second is reported
        assert virtual_loop().time() - began_s == pytest.approx(took_s, abs=0.01)
        assert [line["event"] for line in logs] == ["peer.close_failed" for _ in failed]


@in_virtual_time
async def test_the_time_to_close_is_the_caller_s_to_set() -> None:
    peer, _ = peer_with(Connection(60), close_s_max=0.5)
    began_s = virtual_loop().time()

    await peer.shut()

    assert virtual_loop().time() - began_s == pytest.approx(0.5)


async def test_an_offer_may_be_as_long_as_the_limit_and_no_longer() -> None:
    # Given a good offer that unknown lines, in letters of two bytes, bring to the limit
    offer = await offer_of()
    line, end = "a=x-note:", "\r\n"
    room = SDP_BYTES_MAX - len((offer + line + end).encode())
    padded = offer + line + "é" * (room // 2) + "e" * (room % 2) + end
    assert len(padded.encode()) == SDP_BYTES_MAX

    # When it is offered, then it is answered
    peer, _ = peer_with(Connection())
    assert (await peer.answer(padded)).startswith("v=0")
    await peer.shut()

    # And with one byte more it is refused, although it has far fewer characters
    longer, _ = peer_with(Connection())
    with pytest.raises(BadOffer, match=str(SDP_BYTES_MAX)):
        await longer.answer(padded.replace("x-note", "x-notes"))
    await longer.shut()


async def test_a_message_of_the_page_may_be_as_long_as_the_limit_and_no_longer() -> None:
    # Given a channel
    channel = Channel()
    peer, listener = peer_with(Connection(), channel)
    empty = len('{"type": ""}')
    room = MESSAGE_BYTES_MAX - empty
    longest = "é" * (room // 2) + "e" * (room % 2)

    # When a message of the greatest length comes, and one that is longer by a byte
    channel.handlers["message"](f'{{"type": "{longest}"}}')
    channel.handlers["message"](f'{{"type": "{longest}e"}}')

    # Then the first is read and the second is passed over
    assert listener.messages == [{"type": longest}]
    await peer.shut()


@pytest.mark.parametrize(("held_up_s", "caught_up"), [(LATE_S_MAX - 0.01, True), (LATE_S_MAX + 0.01, False)])
def test_a_short_delay_is_caught_up_and_a_long_one_is_not(held_up_s: float, caught_up: bool) -> None:
    @in_virtual_time
    async def heard() -> None:
        # Given a track that keeps its beat
        track = PersonaAudio(lambda: SILENT_FRAME)
        await track.recv()
        began_s = virtual_loop().time() + FRAME_S

        # When the loop is held up from the moment at which the next frame is due
        virtual_loop().pass_time(FRAME_S + held_up_s)
        for _ in range(20):
            await track.recv()

        # Then a short delay is made up for by the twentieth frame; after a long one the beat begins anew
        late_s = virtual_loop().time() - (began_s + 19 * FRAME_S)
        assert late_s == pytest.approx(0.0 if caught_up else held_up_s, abs=1e-6)

    heard()


class StunServer(asyncio.DatagramProtocol):
    """Tells whoever asks that they are seen at ADDRESS."""

    ADDRESS = ("192.0.2.7", 40_000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # RFC 8489: a binding response with one XOR-MAPPED-ADDRESS, which hides the address from rewriters.
        host, port = self.ADDRESS
        cookie_and_id = data[4:20]
        hidden = bytes(a ^ b for a, b in zip(socket.inet_aton(host), cookie_and_id, strict=False))
        seen = struct.pack("!HHBBH", 0x0020, 8, 0, 1, port ^ int.from_bytes(cookie_and_id[:2])) + hidden
        answer = struct.pack("!HH", 0x0101, len(seen)) + cookie_and_id + seen
        self._transport.sendto(answer, addr)


async def test_the_stun_server_of_the_installation_is_asked_and_nobody_else() -> None:
    # Given a STUN server on this machine
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    servers = (IceServer(urls=(f"stun:127.0.0.1:{port}",)),)

    # When an offer is answered with that server, and one without any
    offer = await offer_of()
    seen = Peer(Listening(), Sending(AudioStreamTrack(), None), 1, ice_servers=servers)
    hidden = Peer(Listening(), Sending(AudioStreamTrack(), None), 2)
    answers = [await peer.answer(offer) for peer in (seen, hidden)]

    # Then the first answer holds the address that the server sees, and the second only the machine's own
    assert [StunServer.ADDRESS[0] in sdp for sdp in answers] == [True, False]
    assert "typ srflx" not in answers[1]
    await asyncio.gather(seen.shut(), hidden.shut())
    transport.close()


def test_a_turn_server_is_asked_with_its_credential() -> None:
    server = IceServer(urls=("turn:turn.test:3478",), username="u", credential=SecretStr("c"))

    [told] = configuration([server]).iceServers or []

    assert (told.urls, told.username, told.credential) == (["turn:turn.test:3478"], "u", "c")
    assert connection_kwargs([told])["turn_password"] == "c"
    assert configuration([]).iceServers == []
