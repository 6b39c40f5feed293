"""One peer connection of the caller, from its offer to its loss. A lost one is never mended: the next is a
new Line, on the same mouth, ear and eye."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from ops.caller.ear import Ear
from ops.caller.errors import CallFailed, LineLost
from ops.caller.eye import Eye
from ops.caller.mouth import Mouth
from ops.caller.taps import tap_receiver, tap_sender

CHANNEL = "vivavoce"
HEARTBEAT_S = 1.0
CONNECT_WITHIN_S = 20.0
# The worker's heartbeat comes each second; the call page takes it for lost after the same time.
SILENT_WORKER_S = 5.0
CLOSE_WITHIN_S = 5.0

# Takes the SDP of an offer, with all candidates in it, and gives that of the answer.
Exchange = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Senses:
    """What a caller speaks, hears and sees with, over however many connections."""

    mouth: Mouth
    ear: Ear
    eye: Eye


class Line:
    """`on_message` is told each message of the worker, decoded; what it raises ends the line."""

    def __init__(self, senses: Senses, on_message: Callable[[object], None]) -> None:
        self.lost = asyncio.Event()
        self._senses, self._on_message = senses, on_message
        self._loop = asyncio.get_running_loop()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel(CHANNEL)
        self._open = asyncio.Event()
        self._failure: CallFailed | None = None
        self._channel.on("open", self._open.set)
        self._channel.on("close", self.lost.set)
        self._channel.on("message", self._receive)
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("track", self._on_track)
        self._drains: list[MediaStreamTrack] = []
        self._heard_worker_s = self._loop.time()

    async def open(self, exchange: Exchange) -> None:
        """Returns when messages can be sent. Raises LineLost when the worker is not reached in time, and
        whatever `exchange` raises."""
        answer = await exchange(await self._offer())
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        try:
            await asyncio.wait_for(self._open.wait(), CONNECT_WITHIN_S)
        except TimeoutError:
            raise LineLost(
                f"The media worker did not connect within {CONNECT_WITHIN_S:.0f} s: let UDP through between "
                "this machine and it."
            ) from None
        self._heard_worker_s = self._loop.time()

    async def keep(self) -> None:
        """Sends heartbeats and drains tracks until the connection is lost. Raises LineLost when the worker
        falls silent on it, and CallFailed when it says what cannot be understood."""
        async with asyncio.TaskGroup() as group:
            draining = [group.create_task(_drain(track)) for track in self._drains]
            while not self.lost.is_set():
                self.send({"type": "heartbeat"})
                if self._loop.time() - self._heard_worker_s > SILENT_WORKER_S:
                    self._lose(LineLost(f"The media worker was not heard of for {SILENT_WORKER_S:g} s."))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.lost.wait(), HEARTBEAT_S)
            for drain in draining:
                drain.cancel()
        if self._failure is not None:
            raise self._failure

    def send(self, message: dict[str, str]) -> None:
        if self._channel.readyState == "open":
            self._channel.send(json.dumps(message))

    async def close(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), CLOSE_WITHIN_S)

    async def _offer(self) -> str:
        mouth, ear, eye = self._senses.mouth, self._senses.ear, self._senses.eye
        microphone = self._peer.addTransceiver("audio", direction="sendrecv")
        microphone.sender.replaceTrack(mouth.track())
        camera = self._peer.addTransceiver("video", direction="recvonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        ear.connect()
        eye.connect()
        tap_sender(microphone.sender, self._loop.time, mouth.on_left)
        tap_receiver(microphone.receiver, self._loop.time, ear.on_arrived)
        tap_receiver(camera.receiver, self._loop.time, eye.on_arrived)
        return self._peer.localDescription.sdp

    def _lose(self, failure: CallFailed) -> None:
        self._failure = failure
        self.lost.set()

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self.lost.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        # aiortc decodes into a queue without a limit: somebody has to take the frames out.
        self._drains.append(track)

    def _receive(self, text: str | bytes) -> None:
        self._heard_worker_s = self._loop.time()
        try:
            self._on_message(json.loads(text))
        except ValueError as error:
            # Raised here it would reach aiortc, which knows nothing of calls: `keep` raises it instead.
            self._lose(
                CallFailed(f"The media worker sent a message of another form: {type(error).__name__}.")
            )


async def _drain(track: MediaStreamTrack) -> None:
    with suppress(MediaStreamError):
        while True:
            await track.recv()
