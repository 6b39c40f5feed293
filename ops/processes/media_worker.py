"""The media worker process: models, threads, the control endpoint, and its two Temporal workers."""

from __future__ import annotations

import asyncio
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import structlog
import torch
import uvicorn
from temporalio.client import Client

from activities.knowledge.minilm import MiniLm
from activities.knowledge.retrieval import PostgresRetriever
from activities.media_session import MediaSessionActivities, media_workers
from activities.personas import PostgresPersonaLibrary
from activities.providers.grounded import GroundedAnswerer
from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from domain.ids import WorkerId
from media.hearing.ear import HearingModels
from media.hearing.threads import HearingThreads
from media.leftovers import tell_leftovers
from media.models import ModelName, locate
from media.parts import Parts, Threads
from media.priority import frames_first, model_thread
from media.speaking.face import FaceRenderer
from media.speaking.tts import HibariSynthesiser
from media.studio import Studio
from media.worker import MediaWorker
from ops.logs import quiet_loop_errors
from ops.processes.backing import backed
from ops.processes.control import control_app
from ops.settings import Settings

log = structlog.get_logger()

SHUTDOWN_S_MAX = 10.0


async def run(settings: Settings) -> None:
    """Carries sessions until SIGTERM or SIGINT; then drains them, within a bound, and returns.

    Raises what `backed` raises, or ModelError."""
    # One thread for each model is faster than several that wait for each other beside an encoder.
    torch.set_num_threads(1)
    frames_first()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    quiet_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = create_engine(settings.database_url.get_secret_value(), application_name="vivavoce-media")
    try:
        client = await backed(settings, engine, stop)
        if client is None:
            return
        store = PostgresEventStore(engine)
        embedder = await asyncio.to_thread(_embedder, settings)
        thinking = model_thread("thinking")
        parts = Parts(
            store=store,
            personas=PostgresPersonaLibrary(engine),
            retriever=PostgresRetriever(engine, embedder, thinking),
            answerer=GroundedAnswerer(embedder, thinking),
            synthesiser=await asyncio.to_thread(_synthesiser, settings),
            hearing=await asyncio.to_thread(HearingModels.load, settings.models_dir),
            studio=Studio(
                await asyncio.to_thread(FaceRenderer, device=settings.device),
                ThreadPoolExecutor(1, "face"),
            ),
            threads=Threads(
                hearing=HearingThreads(
                    recognition=model_thread("recognition"),
                    judgement=model_thread("judgement"),
                ),
                voice=model_thread("voice"),
            ),
            recordings=settings.recordings_dir,
            now=lambda: datetime.now(UTC),
            ice_servers=settings.ice_servers,
        )
        await _serve(settings, parts, store, client, stop)
    finally:
        await engine.dispose()


async def _serve(
    settings: Settings, parts: Parts, store: PostgresEventStore, client: Client, stop: asyncio.Event
) -> None:
    listener = socket.create_server((settings.media_host, settings.media_port))
    port = listener.getsockname()[1]
    worker = MediaWorker(
        parts,
        worker_id=WorkerId(uuid4()),
        address=f"http://{settings.media_host}:{port}",
        sessions_max=settings.sessions_max,
    )
    queue = f"vivavoce-media-{worker.worker_id}"
    activities = MediaSessionActivities(worker, store, client, task_queue=queue)
    claims, sessions = media_workers(client, activities, task_queue=queue, sessions_max=settings.sessions_max)
    secret = settings.control_secret.get_secret_value()
    server = uvicorn.Server(
        uvicorn.Config(
            control_app(worker, secret),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(tell_leftovers, settings.recordings_dir))
        drawing = tasks.create_task(parts.studio.run())
        serving = tasks.create_task(_control(server, listener))
        async with sessions:
            async with claims:
                log.info("media.ready", worker_id=str(worker.worker_id), port=port)
                await stop.wait()
            log.info("media.draining", sessions=worker.sessions)
        server.should_exit = True
        await _finished(serving)
        drawing.cancel()


async def _finished(serving: asyncio.Task[None], *, within_s: float = SHUTDOWN_S_MAX) -> None:
    """Lets requests that are under way end; one that takes longer is cut off."""
    await asyncio.wait({serving}, timeout=within_s)
    serving.cancel()


async def _control(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn would take the signals for itself, and leave the sessions undrained.
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    await server.main_loop()
    await server.shutdown(sockets=[listener])


def _embedder(settings: Settings) -> MiniLm:
    embedder = MiniLm(locate(settings.models_dir, ModelName.MINILM_WEIGHTS).parent)
    embedder.embed(["warm"])
    return embedder


def _synthesiser(settings: Settings) -> HibariSynthesiser:
    synthesiser = HibariSynthesiser(locate(settings.models_dir, ModelName.HIBARI))
    synthesiser.warm_up()
    return synthesiser
