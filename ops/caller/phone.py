"""One WebRTC call: a microphone, an ear, an eye and the data channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from pydantic import BaseModel, ValidationError

from domain.ids import TurnId
from ops.caller.ear import Ear
from ops.caller.errors import CallFailed
from ops.caller.eye import Eye
from ops.caller.mouth import Mouth
from ops.caller.taps import tap_receiver, tap_sender

CHANNEL = "vivavoce"
HEARTBEAT_S = 1.0
CONNECT_WITHIN_S = 20.0
# The worker's heartbeat comes each second.
SILENT_WORKER_S = 10.0
HANG_UP_WITHIN_S = 3.0
CLOSE_WITHIN_S = 5.0


class Stages(BaseModel):
    """Where the time of one turn went, as the media worker saw it, in milliseconds."""

    turn_id: TurnId
    end_of_turn: float
    recognition: float
    answer: float
    gate_and_commit: float
    synthesis: float

    @property
    def total_ms(self) -> float:
        return self.end_of_turn + self.recognition + self.answer + self.gate_and_commit + self.synthesis


@dataclass(frozen=True, slots=True)
class Caption:
    """A finished line of either side, for showing while the call runs."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Saved:
    """Where what was heard and seen is written to; None for what is not kept."""

    heard: Path | None = None
    video: Path | None = None


class Phone:
    """Made inside `call`. `stages` holds (arrival, stages), with arrival in seconds of the loop's clock."""

    def __init__(self, saved: Saved, on_caption: Callable[[Caption], None]) -> None:
        self.mouth, self.ear, self.eye = Mouth(), Ear(saved.heard), Eye(saved.video)
        self.stages: list[tuple[float, Stages]] = []
        # The worker said that the call is over.
        self.ended = asyncio.Event()
        self._hung_up = False
        self._on_caption = on_caption
        self._loop = asyncio.get_running_loop()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel(CHANNEL)
        self._open, self._lost = asyncio.Event(), asyncio.Event()
        self._failure: CallFailed | None = None
        self._channel.on("open", self._open.set)
        self._channel.on("message", self._on_message)
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("track", self._on_track)
        self._drains: list[MediaStreamTrack] = []
        self._heard_worker_s = self._loop.time()

    async def offer(self) -> str:
        """The SDP to send, with all candidates in it."""
        microphone = self._peer.addTransceiver("audio", direction="sendrecv")
        microphone.sender.replaceTrack(self.mouth)
        camera = self._peer.addTransceiver("video", direction="recvonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        tap_sender(microphone.sender, self._loop.time, self.mouth.on_left)
        tap_receiver(microphone.receiver, self._loop.time, self.ear.on_arrived)
        tap_receiver(camera.receiver, self._loop.time, self.eye.on_arrived)
        return self._peer.localDescription.sdp

    async def connect(self, answer_sdp: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(answer_sdp, "answer"))
        try:
            await asyncio.wait_for(self._open.wait(), CONNECT_WITHIN_S)
        except TimeoutError:
            raise CallFailed(
                f"The media worker did not connect within {CONNECT_WITHIN_S:.0f} s: let UDP through between "
                "this machine and it."
            ) from None
        self._heard_worker_s = self._loop.time()

    async def keep(self) -> None:
        """Sends heartbeats and drains tracks until cancelled. Raises CallFailed when the connection goes."""
        async with asyncio.TaskGroup() as group:
            for track in self._drains:
                group.create_task(_drain(track))
            while not self._lost.is_set():
                self._send({"type": "heartbeat"})
                if self._loop.time() - self._heard_worker_s > SILENT_WORKER_S:
                    raise CallFailed(f"The media worker was not heard of for {SILENT_WORKER_S:.0f} s.")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), HEARTBEAT_S)
        if self._failure is not None:
            raise self._failure
        if not self.ended.is_set() and not self._hung_up:
            raise CallFailed("The connection to the media worker was lost.")

    async def hang_up(self) -> bool:
        """Tells the worker, and whether it has taken note within HANG_UP_WITHIN_S."""
        self._hung_up = True
        self._send({"type": "hang_up"})
        noted = {asyncio.ensure_future(event.wait()) for event in (self.ended, self._lost)}
        done, waiting = await asyncio.wait(
            noted, timeout=HANG_UP_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        for each in waiting:
            each.cancel()
        return bool(done)

    async def close(self) -> None:
        self._hung_up = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), CLOSE_WITHIN_S)
        self.ear.close()
        self.eye.close()

    def _send(self, message: dict[str, str]) -> None:
        if self._channel.readyState == "open":
            self._channel.send(json.dumps(message))

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._lost.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        # aiortc decodes into a queue without a limit: somebody has to take the frames out.
        self._drains.append(track)

    def _on_message(self, text: str | bytes) -> None:
        self._heard_worker_s = self._loop.time()
        try:
            message = json.loads(text)
            match message:
                case {"type": "stages"}:
                    self.stages.append((self._loop.time(), Stages.model_validate(message)))
                case {"type": "caption", "role": str(role), "text": str(words), "final": True}:
                    self._on_caption(Caption(role, words))
                case {"type": "state", "state": "ended"}:
                    self.ended.set()
                case _:
                    pass
        except (ValueError, ValidationError) as error:
            raise CallFailed(
                f"The media worker sent a message of another form: {type(error).__name__}."
            ) from error


async def _drain(track: MediaStreamTrack) -> None:
    with suppress(MediaStreamError):
        while True:
            await track.recv()


@asynccontextmanager
async def call(saved: Saved, on_caption: Callable[[Caption], None]) -> AsyncIterator[Phone]:
    """A phone that is closed at the end, however that comes."""
    phone = Phone(saved, on_caption)
    try:
        yield phone
    finally:
        await phone.close()
