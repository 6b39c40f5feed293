"""What `vivavoce up` starts, in which order, and how it knows that each is ready."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from ops.cli.errors import Stop
from ops.devstack.postgres import EmbeddedPostgres
from ops.devstack.temporal import NAMESPACE, free_port, temporal_command, temporal_is_ready
from ops.stack.child import ChildSpec, Probe, Task
from ops.stack.database import application_url
from ops.stack.environment import Addresses, Secrets, settings_environment
from ops.stack.folder import DataFolder
from ops.stack.holder import server_answers
from ops.stack.supervisor import Stage
from workflows.contracts import WORKFLOW_QUEUE

# Cold caches on a small machine: each is several times what was measured there.
READY_WITHIN_S = 90.0
PREPARED_WITHIN_S = 180.0
STOP_WITHIN_S = 15.0
# Longer than the server's own fast stop and the kill after it.
POSTGRES_STOP_WITHIN_S = 35.0
PROBE_TIMEOUT_S = 1.5

_CLI = (sys.executable, "-m", "ops.cli.main", "process")


@dataclass(frozen=True)
class Plan:
    """One run of the stack."""

    folder: DataFolder
    secrets: Secrets
    models_dir: Path
    api_host: str
    api_port: int

    @cached_property
    def addresses(self) -> Addresses:
        return Addresses(
            database_url=application_url(self.folder),
            temporal=f"127.0.0.1:{free_port()}",
            api_host=self.api_host,
            api_port=self.api_port,
            media_port=free_port(),
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        return settings_environment(self.folder, self.secrets, self.addresses, self.models_dir)

    @property
    def link(self) -> str:
        """Opens the start page. The key is behind the `#`, which browsers do not send to servers."""
        return f"{self.addresses.api_url}/#key={self.secrets.api_key}"

    def stages(self) -> Sequence[Stage]:
        return (
            (self._postgres, self._temporal),
            (self._preparation,),
            (self._workflows, self._media, self._api),
        )

    def _postgres(self) -> ChildSpec:
        server = EmbeddedPostgres(self.folder.postgres)
        return ChildSpec(
            "postgres",
            (sys.executable, "-m", "ops.stack.holder", str(self.folder.postgres)),
            self.environment,
            lambda: server_answers(server),
            READY_WITHIN_S,
            POSTGRES_STOP_WITHIN_S,
        )

    def _temporal(self) -> ChildSpec:
        address = self.addresses.temporal
        return ChildSpec(
            "temporal",
            temporal_command(self.folder.temporal_db, int(address.rpartition(":")[2])),
            self.environment,
            lambda: temporal_is_ready(address),
            READY_WITHIN_S,
            STOP_WITHIN_S,
            # It writes what it holds before it ends.
            orphan_signal=signal.SIGTERM,
        )

    def _preparation(self) -> Task:
        return Task(
            "database",
            (sys.executable, "-m", "ops.stack.preparation", str(self.folder.root), str(self.models_dir)),
            self.environment,
            PREPARED_WITHIN_S,
        )

    def _workflows(self) -> ChildSpec:
        return self._process("workflows", lambda: has_poller(self.addresses.temporal))

    def _media(self) -> ChildSpec:
        return self._process("media", answers_ok(f"http://127.0.0.1:{self.addresses.media_port}/health"))

    def _api(self) -> ChildSpec:
        return self._process("api", answers_ok(f"{self.addresses.api_url}/v1/health/ready"))

    def _process(self, name: str, ready: Probe) -> ChildSpec:
        return ChildSpec(name, (*_CLI, name), self.environment, ready, READY_WITHIN_S, STOP_WITHIN_S)


def check_port(host: str, port: int) -> None:
    """Raises Stop when another program listens there, or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise Stop(
                f"Port {port} on {host} cannot be used ({error.strerror}): stop the program that uses it, or "
                "choose another with --port."
            ) from None


def answers_ok(url: str) -> Probe:
    async def probe() -> bool:
        # Plain HTTP: making a TLS context takes longer than the whole request.
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False, verify=False) as client:  # noqa: S501
            try:
                return (await client.get(url)).status_code == HTTPStatus.OK
            except httpx.HTTPError:
                return False

    return probe


async def has_poller(address: str) -> bool:
    """Whether a process asks Temporal for workflow tasks."""
    request = DescribeTaskQueueRequest(
        namespace=NAMESPACE,
        task_queue=TaskQueue(name=WORKFLOW_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            client = await Client.connect(address)
            answer = await client.workflow_service.describe_task_queue(
                request, timeout=timedelta(seconds=PROBE_TIMEOUT_S)
            )
    except (RPCError, RuntimeError, TimeoutError):
        return False
    return len(answer.pollers) > 0
