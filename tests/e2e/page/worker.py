"""A media worker as a page sees it: answers its offers, sounds, shows a picture, and says what a test wants.

It stands behind the `MediaControl` port of a real API; the peer connections to it are real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack

from domain.ids import ConversationId, ParticipantId
from domain.ports import OfferRefused
from ops.api.ports import WorkerRefused

ADDRESS = "http://worker.test:7000"
HEARTBEAT_S = 1.0
# The test's own device sounds a beep each second.
AUDIBLE = 200.0
# What Opus leaves of silence.
SILENT = 20.0


class _Picture(VideoStreamTrack):
    """One colour, 512 by 512."""

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(np.full((512, 512, 3), (40, 90, 120), np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class PagePeer:
    """One connection of a page."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel: asyncio.Future[RTCDataChannel] = asyncio.get_running_loop().create_future()
        self.said: list[dict[str, Any]] = []
        self.loudness: dict[str, float] = {"audio": 0.0}
        self.pictures = 0
        self.beating = True
        self._tasks: set[asyncio.Task[None]] = set()
        self.connection.on("datachannel", self._on_channel)
        self.connection.on("track", lambda track: self._spawn(self._take(track)))

    async def answer(self, sdp: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        self.connection.addTrack(AudioStreamTrack())
        self.connection.addTrack(_Picture())
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        local: str = self.connection.localDescription.sdp
        return local

    async def tell(self, **message: Any) -> None:
        channel = await self.channel
        channel.send(json.dumps(message))

    async def drop(self) -> None:
        """As when the process of the worker is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()

    def texts(self) -> list[str]:
        return [message["text"] for message in self.said if message["type"] == "text"]

    def kinds(self) -> set[str]:
        return {message["type"] for message in self.said}

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda raw: self.said.append(json.loads(raw)))
        self.channel.set_result(channel)
        self._spawn(self._beat(channel))

    async def _beat(self, channel: RTCDataChannel) -> None:
        while channel.readyState == "open":
            if self.beating:
                channel.send(json.dumps({"type": "heartbeat", "media_ms": 0}))
            await asyncio.sleep(HEARTBEAT_S)

    async def _take(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, av.AudioFrame):
                samples = frame.to_ndarray().astype(np.float64)
                # The beep is short: its loudness decays over half a second or so.
                self.loudness["audio"] = max(0.96 * self.loudness["audio"], float(np.abs(samples).max()))
            else:
                self.pictures += 1

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class PageWorker:
    """The `MediaControl` port. `full` makes it answer as when the session is not there yet."""

    def __init__(self) -> None:
        self.peers: list[PagePeer] = []
        self.offers: list[str] = []
        self.left: list[ParticipantId] = []
        self.full = False
        self._arrived = asyncio.Event()

    async def offer(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId, sdp: str
    ) -> str:
        self.offers.append(sdp)
        if self.full:
            raise WorkerRefused(OfferRefused.NO_SESSION)
        peer = PagePeer()
        answer = await peer.answer(sdp)
        self.peers.append(peer)
        self._arrived.set()
        return answer

    async def leave(
        self, address: str, conversation_id: ConversationId, participant_id: ParticipantId
    ) -> None:
        self.left.append(participant_id)

    async def connected(self, number: int = 1) -> PagePeer:
        """The peer of the page's connection of that number, once its channel is open."""
        async with asyncio.timeout(20):
            while len(self.peers) < number:
                self._arrived.clear()
                await self._arrived.wait()
            await self.peers[number - 1].channel
        return self.peers[number - 1]

    async def close(self) -> None:
        for peer in self.peers:
            await peer.drop()


async def until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Waits for what only the other side's packets can bring, looking twenty times a second."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # Sound grows and fades; no single moment is an event.
            await asyncio.sleep(0.05)
