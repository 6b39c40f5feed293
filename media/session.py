"""One live session: the connection, the ear, the brain and the voice, held together by one task group."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from random import Random

import av
import structlog

from domain.errors import StoreError, first_of
from domain.events.canonical import Json
from domain.events.catalogue import (
    EndReason,
    MediaConnected,
    MediaDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    RecordingSegmentSealed,
    SentenceCommitted,
    TrackKind,
)
from domain.events.envelope import Actor, ActorKind, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, ParticipantId, WorkerId, conversation_stream, uuid7
from domain.mind.emotion import Emotion
from domain.mind.gate import Gate
from domain.mind.persona import PublishedPersona
from domain.ports import Drain, Drained, Fact, FactKind, Offer, SessionSpec
from domain.speech import VOICES, VoiceName
from domain.text import storable
from media.brain import Brain
from media.clock import MediaClock
from media.dialogue import Dialogue
from media.errors import AnotherParticipant, MediaError, NoSession, TooManyOffers
from media.hearing.ear import Ear
from media.page import Page
from media.parts import Parts
from media.peer import CloseReason, Peer, Sending
from media.recorder import Recorder
from media.scribe import Scribe
from media.sound import Downsampler, mono_48k
from media.speaking.face import FaceMotion, YuvFrame
from media.speaking.playout import SILENT_FRAME
from media.speaking.speaker import Speaker
from media.studio import Expression, Seat, new_pictures
from media.tracks import PersonaAudio, PersonaVideo

log = structlog.get_logger()

HEARTBEAT_S = 1.0
TEXT_CHARS_MAX = 2_000
# Connections of one session that are being made, stand or are being shut.
PEERS_MAX = 4
# Five seconds of sound may wait for the ear.
FRAMES_HEARD_MAX = 250
# Together less than SESSION_DRAIN_S_MAX: who takes longer is cut off, and its gaps go untold.
RECORDING_STOP_S_MAX = 2.0
FLUSH_S_MAX = 1.2


class Session:
    """Carries one conversation under one epoch. `run` owns every task of it."""

    def __init__(
        self,
        parts: Parts,
        spec: SessionSpec,
        published: PublishedPersona,
        worker_id: WorkerId,
        report: Callable[[Fact], None],
    ) -> None:
        if spec.state.requested is None:
            raise ValueError("a session needs a conversation that was requested")
        if spec.state.assigned_event_id is None:
            raise ValueError("a session needs a conversation that was assigned to its worker")
        self._parts, self._spec, self._published, self._report = parts, spec, published, report
        self._requested, self._assigned = spec.state.requested, spec.state.assigned_event_id
        self._properties = spec.state.requested.properties
        self._conversation_id = str(spec.conversation_id)
        self._clock = MediaClock(spec.state.media_ms)
        self._participant_id = spec.state.participant_id
        self._joined = spec.state.participant_id is not None
        self._peers: list[Peer] = []
        self._live: Peer | None = None
        # Each connection has its own pictures: one that is being shut must not take those of the next.
        self._pictures: dict[int, asyncio.Queue[YuvFrame]] = {}
        # The event of each connection that stands, by its number.
        self._stood: dict[int, EventId] = {}
        # What the session goes on from: its assignment, then the newest connection of the participant.
        self._since = self._assigned
        self._connections = spec.state.connections
        self._tasks: asyncio.TaskGroup | None = None
        self._full = asyncio.Event()
        # Nobody is carried any more: the participant left, or another session goes on.
        self._left = self._handed_over = False
        self._frames: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(FRAMES_HEARD_MAX)
        self._frames_lost = 0
        self._downsampler = Downsampler()
        self._page = Page(self._send)
        self._scribe = self._make_scribe(worker_id)
        self._speaker = self._make_speaker()
        self._seat = Seat(FaceMotion(Random()), self._expression, self._filmed)
        self._dialogue = self._make_dialogue()
        self._ear = Ear(
            parts.hearing,
            parts.threads.hearing,
            self._dialogue,
            persona_speaks=lambda: self._speaker.audible_now,
            now_ms=self._clock.now_ms,
        )
        self._recorder = self._make_recorder()

    # --- life ----------------------------------------------------------------------------------------
    async def run(self, drain: Drain) -> Drained:
        """Until `drain` is set. Raises what the store refuses: a session that lost its ownership is silent
        at once and writes nothing more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                background = [
                    tasks.create_task(self._scribe.run()),
                    tasks.create_task(self._ear.run()),
                    tasks.create_task(self._listen()),
                    tasks.create_task(self._beat()),
                    tasks.create_task(self._guard_backlog()),
                ]
                await drain.wait()
                drained = await self._drain(handed_over=drain.handed_over)
                for task in background:
                    task.cancel()
        except* StoreError as refused:
            # One refusal stands for all of them.
            raise first_of(refused) from refused
        finally:
            self._tasks = None
            self._parts.studio.leave(self._seat)
            await asyncio.shield(self._stop_recording())
        return drained

    async def offer(self, offer: Offer) -> str:
        """Answers an offer of the participant; an older connection gives way when this one stands."""
        self._check_open()
        if self._participant_id not in (None, offer.participant_id):
            raise AnotherParticipant("another participant holds this conversation; only one can")
        if len(self._peers) >= PEERS_MAX:
            raise TooManyOffers("several connections of this call are being made already; wait a few seconds")
        self._participant_id = offer.participant_id
        self._connections += 1
        number, pictures = self._connections, new_pictures()
        video = None if self._properties.audio_only else PersonaVideo(pictures)
        sending = Sending(PersonaAudio(lambda: self._frame_for(number)), video)
        peer = Peer(self, sending, number, ice_servers=self._parts.ice_servers)
        answer = await peer.answer(offer.sdp)
        try:
            self._check_open()
        except MediaError:
            await peer.shut()
            raise
        self._peers.append(peer)
        self._pictures[number] = pictures
        self._start(peer.run())
        return answer

    def _check_open(self) -> None:
        if self._handed_over:
            raise NoSession("another session carries the conversation on")
        if self._tasks is None or self._left:
            raise AnotherParticipant("the conversation is over")

    def leave(self, participant_id: ParticipantId) -> None:
        """The participant hung up."""
        if self._handed_over:
            raise NoSession("another session carries the conversation on")
        if participant_id != self._participant_id:
            raise AnotherParticipant("only the participant of this conversation can hang up")
        self._hang_up()

    def _hang_up(self) -> None:
        if not self._left:
            cause = self._part("hung_up", EndReason.PARTICIPANT_HUNG_UP.value)
            self._report(Fact(FactKind.END_WANTED, EndReason.PARTICIPANT_HUNG_UP, cause=cause))

    def _part(self, reason: str, shown: str | None) -> EventId | None:
        """Nobody is in the call any more. Returns the event that says so, if anybody ever was."""
        cause = None
        self._left = True
        self._dialogue.close()
        self._page.state("ended", shown)
        if self._participant_id is not None and self._joined:
            left = ParticipantLeft.model_validate({"participant_id": self._participant_id, "reason": reason})
            now_ms, who = self._clock.now_ms(), self._participant()
            cause = self._scribe.note(left, cause=self._since, media_ms=now_ms, actor=who)
        for peer in self._peers:
            peer.close("closed")
        return cause

    def _hand_over(self) -> None:
        """Nobody has left: the page is not told of an end, and connects again to whoever goes on."""
        self._left = self._handed_over = True
        self._dialogue.silence("connection_lost")
        self._dialogue.close()
        for peer in self._peers:
            peer.close("closed")

    async def _drain(self, *, handed_over: bool) -> Drained:
        if not self._left:
            if handed_over:
                self._hand_over()
            else:
                self._part("ended", None)
        gaps = await self._stop_recording()
        try:
            version = await asyncio.wait_for(self._scribe.flush(), FLUSH_S_MAX)
        except TimeoutError:
            version, gaps = self._scribe.last_version, (*gaps, "record_backlog")
        if self._scribe.refused:
            gaps = (*gaps, "record_backlog_full")
        if self._frames_lost or self._ear.lost_ms:
            gaps = (*gaps, "sound_not_heard")
        return Drained(version, gaps)

    async def _guard_backlog(self) -> None:
        """When no more facts can be kept, nothing more may happen."""
        await self._full.wait()
        log.error("session.record_backlog_full", conversation_id=self._conversation_id)
        self._part("ended", EndReason.RECORD_UNAVAILABLE.value)
        self._report(Fact(FactKind.END_WANTED, EndReason.RECORD_UNAVAILABLE))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._page.heartbeat(self._clock.now_ms())

    async def _listen(self) -> None:
        while True:
            at_ms, pcm = await self._frames.get()
            self._ear.feed(self._downsampler.feed(pcm), at_ms)

    # --- the connection (PeerListener) ---------------------------------------------------------------
    def connected(self, peer: Peer) -> None:
        if self._participant_id is None or self._left:
            peer.close("closed")
            return
        for other in self._peers:
            if other is not peer:
                other.close("replaced")
        self._live = peer
        self._seat.pictures = self._pictures[peer.number]
        now_ms = self._clock.now_ms()
        stands = MediaConnected(participant_id=self._participant_id, connection=peer.number)
        cause = self._scribe.note(stands, cause=self._assigned, media_ms=now_ms)
        self._stood[peer.number] = self._since = cause
        if not self._joined:
            self._joined = True
            joined = ParticipantJoined(participant_id=self._participant_id)
            self._scribe.note(joined, cause=cause, media_ms=now_ms, actor=self._participant())
        self._report(Fact(FactKind.PARTICIPANT_CONNECTED, cause=cause))
        if not self._properties.audio_only:
            self._parts.studio.take(self._seat)
        self._page.again()
        self._dialogue.active()
        self._dialogue.open(cause)

    def heard(self, peer: Peer, frame: av.AudioFrame) -> None:
        if peer is not self._live or self._left:
            return
        now_ms, pcm = self._clock.now_ms(), mono_48k(frame)
        if self._recorder is not None:
            self._recorder.sound(TrackKind.PARTICIPANT_AUDIO, now_ms, pcm)
        if self._frames.full():
            # The oldest sound is given up, since the newest decides who has the floor.
            self._frames.get_nowait()
            self._frames_lost += 1
        self._frames.put_nowait((now_ms, pcm))

    def told(self, peer: Peer, message: dict[str, Json]) -> None:
        match message:
            case {"type": "hang_up"}:
                self._hang_up()
            case {"type": "text", "text": str(text)} if 0 < len(text.strip()) <= TEXT_CHARS_MAX and storable(
                text
            ):
                if not self._left:
                    self._dialogue.typed(text.strip())
            case {"type": "heartbeat"}:
                pass
            case _:
                log.warning("session.message_refused", conversation_id=self._conversation_id)

    def gone(self, peer: Peer, reason: CloseReason) -> None:
        self._peers.remove(peer)
        self._pictures.pop(peer.number, None)
        if self._participant_id is None or peer.number not in self._stood:
            return
        stood = self._stood.pop(peer.number)
        ended = MediaDisconnected(participant_id=self._participant_id, connection=peer.number, reason=reason)
        cause = self._scribe.note(ended, cause=stood, media_ms=self._clock.now_ms())
        if peer is self._live:
            self._live = None
            self._parts.studio.leave(self._seat)
            if not self._left:
                self._dialogue.silence("connection_lost")
                self._report(Fact(FactKind.PARTICIPANT_DISCONNECTED, cause=cause))

    # --- sound and pictures --------------------------------------------------------------------------
    def _frame_for(self, connection: int) -> bytes:
        """What a connection sends next. Only the live one is spoken to: what another took would count as
        played, and not be heard."""
        if self._live is None or self._live.number != connection:
            return SILENT_FRAME
        frame = self._speaker.next_frame()
        if self._recorder is not None:
            self._recorder.sound(TrackKind.PERSONA_AUDIO, self._clock.now_ms(), frame)
        return frame

    def _filmed(self, picture: YuvFrame) -> None:
        if self._recorder is not None:
            self._recorder.picture(self._clock.now_ms(), picture)

    def _expression(self) -> Expression:
        now = self._speaker.mouthing()
        if now is None:
            return Expression(Emotion.NEUTRAL, 0.0, speaking=False, mouth=None, at_s=0.0)
        emotion, strength = now.mood
        return Expression(emotion, strength, speaking=True, mouth=now.mouth, at_s=now.at_s)

    async def _stop_recording(self) -> tuple[str, ...]:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return ()
        done = await asyncio.to_thread(recorder.stop, RECORDING_STOP_S_MAX)
        # Segments are noted through the loop's own queue: let it turn once.
        await asyncio.sleep(0)
        return () if done and not recorder.failed and not recorder.frames_lost else ("recording",)

    # --- making the parts ----------------------------------------------------------------------------
    def _make_scribe(self, worker_id: WorkerId) -> Scribe:
        return Scribe(
            self._parts.store,
            self._spec.tenant_id,
            conversation_stream(self._spec.conversation_id),
            epoch=self._spec.epoch,
            version=self._spec.state.version,
            actor=Actor(kind=ActorKind.MEDIA_WORKER, id=str(worker_id)),
            now=self._parts.now,
            noted=self._noted,
            full=self._full.set,
        )

    def _make_speaker(self) -> Speaker:
        persona = self._published.persona
        named = VOICES[VoiceName(persona.voice.name)]
        voice = named.varied(pitch=persona.voice.pitch, rate=persona.voice.rate)
        return Speaker(
            scribe=self._scribe,
            gate=Gate(persona.policy),
            synthesiser=self._parts.synthesiser,
            thread=self._parts.threads.voice,
            voice=voice,
            clock=self._clock,
            policy_revision=self._published.policy_revision,
            language=persona.language,
            mint=self._mint,
            audible=self._audible,
            disclosed=self._spec.state.disclosed,
            persona=Actor(kind=ActorKind.PERSONA, id=str(self._published.persona_id)),
        )

    def _make_dialogue(self) -> Dialogue:
        dialogue = Dialogue(
            transcript=self._spec.state.transcript,
            scribe=self._scribe,
            speaker=self._speaker,
            page=self._page,
            clock=self._clock,
            mint=self._mint,
            start=self._start,
            report=self._report,
            participant=self._participant,
            nod=self._seat.motion.nod,
            raise_brows=self._seat.motion.raise_brows,
        )
        dialogue.brain = Brain(
            tenant_id=self._spec.tenant_id,
            published=self._published,
            context=self._requested.conversational_context or "",
            greeting=self._requested.custom_greeting,
            answerer=self._parts.answerer,
            retriever=self._parts.retriever,
            speaker=self._speaker,
            scribe=self._scribe,
            mint=self._mint,
            wants_end=dialogue.end_after_speaking,
            first=dialogue.first_sentence,
        )
        return dialogue

    def _make_recorder(self) -> Recorder | None:
        if not self._properties.enable_recording:
            return None
        loop = asyncio.get_running_loop()

        def sealed(segment: RecordingSegmentSealed) -> None:
            loop.call_soon_threadsafe(self._note_segment, segment)

        return Recorder(
            self._parts.recordings,
            self._spec.conversation_id,
            epoch=self._spec.epoch,
            sealed=sealed,
            recorded=self._spec.state.recorded,
        )

    def _note_segment(self, segment: RecordingSegmentSealed) -> None:
        start_ms, duration_ms = segment.start_media_ms, segment.duration_ms
        ended_ms = None if start_ms is None or duration_ms is None else start_ms + duration_ms
        self._scribe.note(segment, cause=self._since, media_ms=ended_ms)

    def _noted(self, event: NewEvent[Payload]) -> None:
        self._dialogue.noted(event)

    def _audible(self, sentence: SentenceCommitted, synthesised: EventId) -> None:
        self._dialogue.audible(sentence, synthesised)

    def _mint(self) -> EventId:
        return EventId(uuid7(self._parts.now(), secrets.token_bytes(10)))

    def _participant(self) -> Actor:
        return Actor(kind=ActorKind.PARTICIPANT, id=str(self._participant_id))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            work.close()
            raise AnotherParticipant("the conversation is over")
        return self._tasks.create_task(work)

    def _send(self, message: dict[str, Json]) -> None:
        if self._live is not None:
            self._live.tell(message)
