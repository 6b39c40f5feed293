"""What every session of a worker shares: models, threads, and the ports that lead outside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.ice import IceServer
from domain.ports import Answerer, EventStore, PersonaLibrary, Retriever
from media.hearing.ear import HearingModels
from media.hearing.threads import HearingThreads
from media.speaking.speaker import Synthesiser
from media.studio import Studio


@dataclass(frozen=True, slots=True)
class Threads:
    """Each model has a thread of its own, so that none waits for another, and none for aiortc's."""

    hearing: HearingThreads
    voice: Executor


@dataclass(frozen=True, slots=True)
class Parts:
    store: EventStore
    personas: PersonaLibrary
    retriever: Retriever
    answerer: Answerer
    synthesiser: Synthesiser
    hearing: HearingModels
    studio: Studio
    threads: Threads
    recordings: Path
    now: Callable[[], datetime]
    ice_servers: tuple[IceServer, ...] = ()
