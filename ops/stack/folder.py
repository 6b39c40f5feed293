"""The data folder of one installation: what lies where, who runs in it, and for which version it was made."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from domain.events.payload import Frozen
from ops.cli.errors import Stop

# Raised when what lies in the folder changes its form.
LAYOUT = 1
# What lies in the folder is what people said and the keys of the installation: its owner's alone.
FOLDER_MODE = 0o700
LOCK_ATTEMPTS = 5
LOCK_INTERVAL_S = 0.05


class Running(Frozen):
    """One process of a running stack."""

    name: str
    pid: int
    # Tells the process from a later one with the same number.
    birth: str | None
    restarts: int
    log: str


class Run(Frozen):
    """What a running stack says about itself, for every other command in the same folder."""

    pid: int
    birth: str | None
    started_at: str
    api_url: str
    # Opens the start page with its key; as secret as the key.
    link: str
    temporal_address: str
    ready: bool = False
    processes: tuple[Running, ...] = Field(default=())


class _Version(Frozen):
    layout: int
    made_by: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def temporal_db(self) -> Path:
        return self.root / "temporal.db"

    @property
    def recordings(self) -> Path:
        return self.root / "recordings"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def run_file(self) -> Path:
        return self.root / "run.json"

    def open(self, *, product_version: str) -> None:
        """Makes the folder, or checks that this release can use the one that is there. Raises Stop."""
        try:
            for path in (self.root, self.logs, self.recordings):
                path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for path in (self.logs, self.recordings):
                # One that an earlier release made, or a umask that takes the owner's own rights away.
                path.chmod(FOLDER_MODE)
            version_file = self.root / "version.json"
            if not version_file.exists():
                mark = _Version(layout=LAYOUT, made_by=product_version)
                write_private(version_file, mark.model_dump_json())
            found = _Version.model_validate_json(version_file.read_bytes())
        except ValidationError:
            raise Stop(f"{self.root} is not a data folder of Vivavoce: choose another with --data.") from None
        except OSError as error:
            raise Stop(
                f"The data folder {self.root} cannot be used ({error.strerror}): mend that or choose another "
                "with --data."
            ) from None
        if found.layout != LAYOUT:
            raise Stop(
                f"The data folder {self.root} has form {found.layout}, made by Vivavoce {found.made_by}; "
                f"{product_version} uses form {LAYOUT}: run that release, or choose another with --data."
            )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Only one stack runs in a folder. The kernel lets go when the holder dies, however it dies."""
        handle = self._lock()
        if handle is None:
            run = self.run()
            where = f" at {run.api_url}" if run is not None else ""
            raise Stop(
                f"Vivavoce is running in {self.root} already{where}: use it, or stop it with `vivavoce down`."
            )
        try:
            yield
        finally:
            self.run_file.unlink(missing_ok=True)
            os.close(handle)

    def held(self) -> bool:
        """Whether a stack runs in this folder."""
        if not self.root.exists():
            return False
        handle = self._try_lock(fcntl.LOCK_SH)
        if handle is None:
            return True
        os.close(handle)
        return False

    def run(self) -> Run | None:
        """What the stack last said about itself; also of one that was killed."""
        try:
            return Run.model_validate_json(self.run_file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Stop(
                f"{self.run_file} was written by another release: run `vivavoce down` of that release."
            ) from error

    def write_run(self, run: Run) -> None:
        write_private(self.run_file, json.dumps(run.model_dump(mode="json"), indent=1))

    def _lock(self) -> int | None:
        # Another command that only looks whether a stack runs holds the lock for a moment, too.
        for _ in range(LOCK_ATTEMPTS):
            handle = self._try_lock(fcntl.LOCK_EX)
            if handle is not None:
                return handle
            time.sleep(LOCK_INTERVAL_S)
        return None

    def _try_lock(self, kind: int) -> int | None:
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step; only its owner can read it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    part.replace(path)
