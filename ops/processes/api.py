"""The HTTP process: serves `/v1`, the start page and the call element until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.knowledge.embedding import Vectors
from activities.knowledge.minilm import EmbeddingModelUnusable, MiniLm
from activities.personas import PersonaPublisher, PostgresPersonaLibrary
from activities.projections.conversations import Conversations
from activities.store.access import Access
from activities.store.engine import create_engine
from activities.store.event_store import PostgresEventStore
from activities.store.failures import store_failures
from activities.store.idempotency import IdempotencyKeys
from domain.errors import InvalidInput, Unavailable
from media.models import ModelError, ModelName, locate
from ops.api.app import create_app
from ops.api.media_control import HttpMediaControl, control_client
from ops.api.runs import TemporalRuns
from ops.api.services import Services
from ops.logs import configure_logs, quiet_loop_errors
from ops.media_hosts import MediaHosts
from ops.processes.backing import backed
from ops.settings import Settings

log = structlog.get_logger()

# Requests that are under way when the order to stop comes may take so long; then they are cut off.
SHUTDOWN_S_MAX = 5
KEEP_ALIVE_S = 15
BACKLOG = 256


class ApiPortInUse(InvalidInput):
    """Another program listens where the API was to listen."""

    code = "api_port_in_use"


async def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises ApiPortInUse, or what `backed` raises, before it answers a single
    request."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    quiet_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _listener(settings) as listener:
        async with services(settings, stop) as ready:
            if ready is None:
                return
            port = listener.getsockname()[1]
            log.info("api.ready", host=settings.api_host, port=port)
            await serve(create_app(ready), listener, stop)
            log.info("api.stopped")


@asynccontextmanager
async def services(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Services | None]:
    """Everything that the routes need, opened, and closed at the end; None when `stop` was set meanwhile."""
    engine = create_engine(
        settings.database_url.get_secret_value(), application_name="vivavoce api", pre_ping=True
    )
    embedding = ThreadPoolExecutor(1, "embedding")
    try:
        client = await backed(settings, engine, stop)
        if client is None:
            yield None
            return
        async with control_client() as control:
            store = PostgresEventStore(engine)
            yield Services(
                store=store,
                access=Access(engine),
                idempotency=IdempotencyKeys(engine),
                conversations=Conversations(engine),
                personas=PostgresPersonaLibrary(engine),
                publisher=PersonaPublisher(
                    engine, store, embedder=LateMiniLm(settings.models_dir), executor=embedding
                ),
                runs=TemporalRuns(client, continue_after_messages=settings.continue_as_new_messages),
                media=HttpMediaControl(
                    control,
                    control_secret=settings.control_secret.get_secret_value(),
                    hosts=MediaHosts.parse(settings.media_hosts),
                ),
                store_ready=functools.partial(_answers, engine),
                now=lambda: datetime.now(UTC),
                entropy=secrets.token_bytes,
                public_url=settings.public_url.rstrip("/"),
                ice_servers=settings.ice_servers,
            )
    finally:
        embedding.shutdown(wait=False, cancel_futures=True)
        await engine.dispose()


async def serve(
    app: FastAPI, listener: socket.socket, stop: asyncio.Event, *, shutdown_s_max: int = SHUTDOWN_S_MAX
) -> None:
    """Answers until `stop` is set; then lets what is under way finish, within that time."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=shutdown_s_max,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which has more to close than a socket."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class EmbeddingUnavailable(Unavailable):
    """This process has no embedding model to make documents searchable with."""

    code = "embedding_unavailable"


class LateMiniLm:
    """The embedder, loaded when a persona is published: a process that publishes none does without it."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._model.embed(texts)

    @functools.cached_property
    def _model(self) -> MiniLm:
        try:
            return MiniLm(locate(self._models_dir, ModelName.MINILM_WEIGHTS).parent)
        except (ModelError, EmbeddingModelUnusable) as error:
            log.error("api.embedding_model_unusable", error=type(error).__name__)
            raise EmbeddingUnavailable(
                "the embedding model is not there, so that no documents can be taken in:"
                " run `vivavoce models fetch` where the API runs, then publish again"
            ) from error


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.api_host, settings.api_port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise ApiPortInUse(
            f"the API cannot listen on {settings.api_host} port {settings.api_port} ({error.strerror}):"
            " stop what uses it, or set VIVAVOCE_API_PORT"
        ) from error
    with listener:
        yield listener


async def _answers(engine: AsyncEngine) -> bool:
    with store_failures():
        async with engine.connect() as connection:
            return bool(await connection.scalar(text("select 1")) == 1)
