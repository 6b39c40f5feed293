"""One peer connection: aiortc behind the few things that a session needs of it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import av
import structlog
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from domain.events.canonical import Json
from domain.ice import IceServer
from media.errors import BadOffer

log = structlog.get_logger()

# aiortc holds four packets of sound back before it decodes the first. One is enough to reorder neighbours;
# the other three would stand at the head of every answer.
AUDIO_PREFETCH_PACKETS = 1
AUDIO_JITTER_CAPACITY = 16
# aiortc notices a dead peer after half a minute; its own page or caller sends one of these each second.
SILENCE_S_MAX = 5.0
MESSAGE_BYTES_MAX = 16_384
# Beyond this the other side reads no more: what the page shows may be lost, what is recorded is not.
CHANNEL_BUFFERED_BYTES_MAX = 262_144
# State, captions and stages of the first sentence or two: a channel opens within a round trip or so.
UNTOLD_MAX = 16
CLOSE_S_MAX = 2.0
SDP_BYTES_MAX = 65_536

_SDP_ERRORS = (ValueError, KeyError, IndexError, AssertionError, AttributeError, TypeError)
_AIORTC_ERRORS = (InternalError, InvalidAccessError, InvalidStateError, OperationError)

CloseReason = Literal["closed", "lost", "replaced"]


class PeerListener(Protocol):
    """Whom a peer tells. Every call returns at once."""

    def connected(self, peer: Peer) -> None: ...

    def heard(self, peer: Peer, frame: av.AudioFrame) -> None: ...

    def told(self, peer: Peer, message: dict[str, Json]) -> None: ...

    def gone(self, peer: Peer, reason: CloseReason) -> None: ...


@dataclass(frozen=True, slots=True)
class Sending:
    """What goes out on this connection; no pictures in a call without video."""

    audio: MediaStreamTrack
    video: MediaStreamTrack | None


class Peer:
    """A connection from its offer to its end. `run` must be running while it lives."""

    def __init__(
        self,
        listener: PeerListener,
        sending: Sending,
        number: int,
        *,
        ice_servers: Sequence[IceServer] = (),
        connection: RTCPeerConnection | None = None,
        close_s_max: float = CLOSE_S_MAX,
    ) -> None:
        self.number = number
        self._listener, self._sending, self._close_s_max = listener, sending, close_s_max
        self._connection = connection or RTCPeerConnection(configuration(ice_servers))
        self._channel: RTCDataChannel | None = None
        self._untold: deque[dict[str, Json]] = deque(maxlen=UNTOLD_MAX)
        self._track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._reason: CloseReason = "lost"
        self._heard_from_s = asyncio.get_running_loop().time()

    async def answer(self, sdp: str) -> str:
        """The answer to an offer. Raises BadOffer for what is none."""
        if _size(sdp) > SDP_BYTES_MAX:
            raise BadOffer(f"an offer may hold {SDP_BYTES_MAX} bytes")
        connection = self._connection
        connection.on("track", self._on_track)
        connection.on("datachannel", self._on_channel)
        connection.on("connectionstatechange", self._on_state)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
            kinds = {transceiver.kind for transceiver in connection.getTransceivers()}
            if "audio" not in kinds:
                raise BadOffer("the offer has no audio section; a conversation needs one")
            connection.addTrack(self._sending.audio)
            if self._sending.video is not None and "video" in kinds:
                connection.addTrack(self._sending.video)
            _decline_pictures(connection)
            await connection.setLocalDescription(await connection.createAnswer())
        except (*_SDP_ERRORS, *_AIORTC_ERRORS) as error:
            # aiortc's parser has no error of its own.
            await self.shut()
            raise BadOffer("the offer is not SDP that a WebRTC endpoint can answer") from error
        except BadOffer:
            await self.shut()
            raise
        return connection.localDescription.sdp

    async def run(self) -> None:
        """Lives until the connection ends, is closed, or falls silent; then tells the listener, once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(self._hear())
                watching = tasks.create_task(self._watch())
                await self._closed.wait()
                hearing.cancel()
                watching.cancel()
        finally:
            # Cancellation must not leave a connection behind: the process would survive its own end.
            await asyncio.shield(self.shut())
        self._listener.gone(self, self._reason)

    def close(self, reason: CloseReason) -> None:
        if not self._closed.is_set():
            self._reason = reason
            self._closed.set()

    def tell(self, message: dict[str, Json]) -> None:
        """Sends a message to the page, if it still reads. The record does not depend on it. A new connection
        has sound before it has a channel: what is told until then waits, the newest of it."""
        channel = self._channel
        if channel is None:
            self._untold.append(message)
            return
        if channel.readyState != "open":
            return
        if channel.bufferedAmount < CHANNEL_BUFFERED_BYTES_MAX:
            channel.send(json.dumps(message, ensure_ascii=False))

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio":
            return
        for receiver in self._connection.getReceivers():
            if receiver.track is track:
                _shorten_jitter_buffer(receiver)
        if not self._track.done():
            self._track.set_result(track)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        while self._untold:
            self.tell(self._untold.popleft())

    def _on_message(self, raw: str | bytes) -> None:
        self._heard_from_s = asyncio.get_running_loop().time()
        if (size := _size(raw)) > MESSAGE_BYTES_MAX:
            log.warning("peer.message_refused", reason="too_long", size=size)
            return
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            log.warning("peer.message_refused", reason="not_json")
            return
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            self._listener.told(self, message)
        else:
            log.warning("peer.message_refused", reason="no_type")

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._listener.connected(self)
        elif state in ("failed", "closed"):
            self.close("lost")

    async def _hear(self) -> None:
        track = await self._track
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self.close("lost")
                return
            self._heard_from_s = asyncio.get_running_loop().time()
            self._listener.heard(self, cast(av.AudioFrame, frame))

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left_s = self._heard_from_s + SILENCE_S_MAX - loop.time()
            if left_s <= 0:
                self.close("lost")
                return
            await asyncio.sleep(left_s)

    async def shut(self) -> None:
        """Ends the connection within a bound; for a peer that `run` was never called on."""
        try:
            await asyncio.wait_for(self._connection.close(), self._close_s_max)
        except (TimeoutError, *_SDP_ERRORS, *_AIORTC_ERRORS) as error:
            # A connection whose offer was half understood cannot always be taken apart.
            log.warning("peer.close_failed", connection=self.number, error=type(error).__name__)


def configuration(servers: Sequence[IceServer]) -> RTCConfiguration:
    """An empty list is host addresses only; without one aiortc would ask a server of its own choice."""
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(urls=list(server.urls), username=server.username, credential=server.shown_credential)
            for server in servers
        ]
    )


def _size(received: str | bytes) -> int:
    """In bytes, as it travelled. Half a surrogate pair counts too: JSON can carry one."""
    return len(received.encode(errors="surrogatepass")) if isinstance(received, str) else len(received)


def _decline_pictures(connection: RTCPeerConnection) -> None:
    """Nothing here looks at a camera, so none is received: what is not computed is not sent either."""
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.direction = "sendonly" if transceiver.sender.track else "inactive"


def _shorten_jitter_buffer(receiver: RTCRtpReceiver) -> None:
    """aiortc has no setting for it; a test fails when a release moves this attribute."""
    name = "_RTCRtpReceiver__jitter_buffer"
    if not isinstance(getattr(receiver, name), JitterBuffer):
        raise TypeError("aiortc keeps its jitter buffer somewhere else in this release")
    setattr(receiver, name, JitterBuffer(AUDIO_JITTER_CAPACITY, prefetch=AUDIO_PREFETCH_PACKETS))
