"""A persona that says beeps, behind the interface that the caller knows: HTTP in front, WebRTC behind it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from uuid import UUID, uuid4

import numpy as np
import uvicorn
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack, VideoStreamTrack
from av import AudioFrame
from fastapi import FastAPI, Request, Response
from pydantic import JsonValue

from ops.caller.loudness import SAMPLE_RATE, Pcm, speech_windows
from ops.caller.mouth import FRAME_SAMPLES
from tests.unit.caller.speech import silence, tone

PERSONA = UUID("7c2d2b50-9f3e-4a35-a1de-2f6d3a5b9c10")
ANSWER_AFTER_S = 0.3
QUIET_S = 0.15


class Voice:
    """Beeps when told to, and notes when the first frame of each beep was handed to the transport."""

    def __init__(self) -> None:
        self.began_s: list[float] = []
        self._rest = silence(0)
        self._position = 0
        self._origin_s: float | None = None
        self._fresh = False

    def beep(self, seconds: float) -> None:
        self._rest, self._fresh = tone(seconds), True

    def hush(self) -> None:
        self._rest = silence(0)

    @property
    def speaking(self) -> bool:
        return len(self._rest) > 0

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        if self._origin_s is None:
            self._origin_s = loop.time()
        await asyncio.sleep(max(0.0, self._origin_s + self._position / SAMPLE_RATE - loop.time()))
        samples = np.zeros(FRAME_SAMPLES, np.int16)
        piece, self._rest = self._rest[:FRAME_SAMPLES], self._rest[FRAME_SAMPLES:]
        samples[: len(piece)] = piece
        if self._fresh:
            self.began_s.append(loop.time())
            self._fresh = False
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._position, Fraction(1, SAMPLE_RATE)
        self._position += FRAME_SAMPLES
        return frame


class _Track(MediaStreamTrack):
    """The voice as one connection has it."""

    kind = "audio"

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self._voice = voice

    async def recv(self) -> AudioFrame:
        return await self._voice.recv()


class FakePersona:
    """Greets with a beep, answers each sound with one, and stops when it is spoken over.

    `drop` loses the connection, as a worker does that is killed: with a word or without one.
    """

    def __init__(self, events: list[dict[str, JsonValue]] | None = None, *, mute: bool = False) -> None:
        self.voice, self.conversation_id, self.mute = Voice(), uuid4(), mute
        self.sealed = asyncio.Event()
        self.messages: list[dict[str, JsonValue]] = []
        self.ends_itself = False
        self.credentials: list[str] = []
        # What an offer is answered with instead of a connection.
        self.refusal: Response | None = None
        self.heard = asyncio.Event()
        self._events = events or []
        self._offers = 0
        self._greeted = False
        self._beating = True
        self._peer = RTCPeerConnection()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The address of its HTTP interface."""
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(self._app(), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for task in self._tasks:
                task.cancel()
            await self._peer.close()
            server.should_exit = True
            await serving

    async def drop(self, *, silently: bool = False) -> None:
        self._beating = False
        self.voice.hush()
        if not silently:
            await self._peer.close()

    def _app(self) -> FastAPI:
        app = FastAPI()
        path = f"/v1/conversations/{self.conversation_id}"

        @app.post("/v1/conversations", status_code=201)
        async def create() -> dict[str, str]:
            return {"conversation_id": str(self.conversation_id), "join_token": "once"}

        @app.post(f"{path}/join")
        async def join() -> dict[str, str]:
            return {"participant_id": str(uuid4()), "resume_credential": "again"}

        @app.post(f"{path}/offer")
        async def offer(request: Request) -> Response:
            self._offers += 1
            self.credentials.append(request.headers["Authorization"])
            if self.refusal is not None:
                return self.refusal
            if self._offers == 1:
                # No worker is assigned in the first moment.
                return Response(status_code=503, headers={"Retry-After": "0"})
            answer = await self._answer((await request.json())["sdp"])
            return Response(json.dumps({"sdp": answer, "type": "answer"}))

        @app.post(f"{path}/end", status_code=202)
        @app.post(f"{path}/leave", status_code=202)
        async def leave() -> None:
            self.sealed.set()

        @app.get(path)
        async def show() -> dict[str, str]:
            return {"status": "sealed" if self.sealed.is_set() else "live"}

        @app.get(f"{path}/events")
        async def read(after: int, limit: int) -> dict[str, JsonValue]:
            page = self._events[after : after + limit]
            return {"events": [*page], "next_after": after + len(page)}

        return app

    async def _answer(self, sdp: str) -> str:
        if not self._beating:
            await self._peer.close()
            self._peer, self._beating = RTCPeerConnection(), True
        self._peer.on("track", lambda track: self._begin(track) if track.kind == "audio" else None)
        self._peer.on("datachannel", self._on_channel)
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        self._peer.addTrack(_Track(self.voice))
        self._peer.addTrack(VideoStreamTrack())
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return self._peer.localDescription.sdp

    def _begin(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._listen(track))
        self._tasks.add(task)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        def told(text: str) -> None:
            message = json.loads(text)
            self.messages.append(message)
            if not self._beating:
                return
            channel.send(json.dumps({"type": "heartbeat", "media_ms": 0}))
            if message["type"] == "hang_up":
                channel.send(json.dumps({"type": "state", "state": "ended", "reason": None}))
                self.sealed.set()
            elif self.ends_itself and len(self.voice.began_s) >= 2:
                channel.send(json.dumps({"type": "state", "state": "ended", "reason": "guardrail"}))
                self.sealed.set()

        channel.on("message", told)

    async def _listen(self, track: MediaStreamTrack) -> None:
        if not self.mute and not self._greeted:
            self._greeted = True
            self.voice.beep(0.5)
        heard = False
        quiet_s = 0.0
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            if speech_windows(_mono(frame)).any():
                heard, quiet_s = True, 0.0
                self.heard.set()
                self.voice.hush()
            else:
                quiet_s += frame.samples / SAMPLE_RATE
            if heard and quiet_s >= QUIET_S and self._beating:
                heard = False
                await asyncio.sleep(ANSWER_AFTER_S)
                if not self.mute:
                    self.voice.beep(0.8)


def _mono(frame: AudioFrame) -> Pcm:
    samples: Pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype(np.int16)
    return samples
