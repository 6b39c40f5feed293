"""What `vivavoce up` starts, in which order, and how it knows that each is ready."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ops.cli.errors import Stop
from ops.devstack.postgres import EmbeddedPostgres
from ops.devstack.temporal import free_port, temporal_command, temporal_is_ready
from ops.roles import APP_ROLE, DATABASE, SEQUENCER_ROLE
from ops.stack.child import ChildSpec, Probe, Task
from ops.stack.environment import PREPARED_WITHIN_S, Addresses, Secrets, settings_environment
from ops.stack.folder import DataFolder
from ops.stack.holder import server_answers
from ops.stack.supervisor import Stage

# Cold caches on a small machine: several times what was measured there.
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 15.0
# Longer than the server's own fast stop and the kill after it.
POSTGRES_STOP_WITHIN_S = 35.0

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
            database_url=EmbeddedPostgres(self.folder.postgres).url(user=APP_ROLE, database=DATABASE),
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
        """All at once: each waits for what it needs by itself, and loads its code meanwhile. They stop one by
        one, the last first."""
        return (
            (
                self._postgres,
                self._temporal,
                self._preparation,
                self._sequencer,
                self._workflows,
                self._media,
                self._api,
            ),
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

    def _sequencer(self) -> ChildSpec:
        url = EmbeddedPostgres(self.folder.postgres).url(user=SEQUENCER_ROLE, database=DATABASE)

        async def ready() -> bool:
            from ops.stack.probes import some_sequencer_leads  # noqa: PLC0415

            return await some_sequencer_leads(url)

        return replace(
            self._process("sequencer", ready), environment={**self.environment, "VIVAVOCE_DATABASE_URL": url}
        )

    def _workflows(self) -> ChildSpec:
        async def ready() -> bool:
            from ops.stack.probes import has_poller  # noqa: PLC0415

            return await has_poller(self.addresses.temporal)

        return self._process("workflows", ready)

    def _media(self) -> ChildSpec:
        return self._process("media", _answers_ok(f"http://127.0.0.1:{self.addresses.media_port}/health"))

    def _api(self) -> ChildSpec:
        return self._process("api", _answers_ok(f"{self.addresses.api_url}/v1/health/ready"))

    def _process(self, name: str, ready: Probe) -> ChildSpec:
        # It waits for the preparation first.
        within_s = PREPARED_WITHIN_S + READY_WITHIN_S
        return ChildSpec(name, (*_CLI, name), self.environment, ready, within_s, STOP_WITHIN_S)


def _answers_ok(url: str) -> Probe:
    async def ready() -> bool:
        from ops.stack.probes import answers_ok  # noqa: PLC0415

        return await answers_ok(url)

    return ready


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
