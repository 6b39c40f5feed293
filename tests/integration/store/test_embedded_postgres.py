"""The embedded server: shared while anybody holds it, gone when nobody does, back after it was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.engine import POOL_CONNECTIONS_MAX, create_engine
from activities.store.failures import store_failures
from ops.devstack.postgres import (
    CONNECTIONS_MAX,
    LOG_BYTES_MAX,
    SOCKET_PATH_BYTES_MAX,
    DataFolderVersion,
    EmbeddedPostgres,
    PostgresDidNotStart,
)

ROOT = Path(__file__).parents[3]
WAIT_S_MAX = 30.0

HOLDER = """
import sys
from pathlib import Path
from ops.devstack.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print("holding", server.superuser_url, flush=True)
sys.stdin.readline()
server.close()
print("closed", flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vivavoce-test-") as name:
        yield Path(name)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder) as server:
        yield server


def holder(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert told(process) == "closed\n"
    process.wait(WAIT_S_MAX)
    finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    process.wait(WAIT_S_MAX)
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def processes_of(folder: Path) -> list[int]:
    """The keeper and every process of the server, by what their command lines name or where they work."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            place = os.readlink(entry / "cwd")
        except OSError:
            continue
        if str(entry.name) != str(os.getpid()) and (
            (b"postgres_keeper" in command and str(folder).encode() in command)
            or place.startswith(str(folder))
        ):
            found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


async def answer(engine: AsyncEngine) -> int:
    with store_failures():
        async with engine.connect() as connection:
            return int((await connection.scalar(text("select pg_backend_pid()"))) or 0)


def answers(server: EmbeddedPostgres) -> bool:
    async def ask() -> bool:
        engine = create_engine(server.superuser_url, application_name="tests")
        try:
            return await answer(engine) > 0
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def test_it_starts_answers_and_leaves_no_process_behind(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    assert answers(server)
    assert processes_of(folder)

    server.close()

    assert processes_of(folder) == []


def test_what_was_stored_is_there_at_the_next_start(folder: Path) -> None:
    async def run(url: str, statement: str) -> object:
        engine = create_engine(url, application_name="tests")
        try:
            async with engine.begin() as connection:
                found = await connection.execute(text(statement))
                return found.scalar_one() if found.returns_rows else None
        finally:
            await engine.dispose()

    with EmbeddedPostgres(folder) as server:
        asyncio.run(run(server.superuser_url, "create table kept as select 42 as answer"))
    with EmbeddedPostgres(folder) as server:
        assert asyncio.run(run(server.superuser_url, "select answer from kept")) == 42


def test_processes_that_start_it_at_the_same_time_share_it_and_the_last_one_stops_it(folder: Path) -> None:
    holders = [holder(folder) for _ in range(3)]
    addresses = {told(process) for process in holders}
    assert len(addresses) == 1
    pid = postmaster(folder)

    for process in holders[:2]:
        let_go(process)
        assert postmaster(folder) == pid

    let_go(holders[2])
    assert processes_of(folder) == []


def test_the_one_that_started_it_may_go_first(folder: Path) -> None:
    first = holder(folder)
    told(first)
    with EmbeddedPostgres(folder) as server:
        let_go(first)
        assert answers(server)
    assert processes_of(folder) == []


def test_it_stops_when_its_last_holder_is_killed(folder: Path) -> None:
    process = holder(folder)
    told(process)

    process.kill()

    finish(process)
    eventually(lambda: processes_of(folder) == [])


def test_a_holder_that_is_killed_takes_nothing_from_the_others(
    folder: Path, server: EmbeddedPostgres
) -> None:
    process = holder(folder)
    told(process)

    process.kill()

    finish(process)
    assert answers(server)


def test_a_start_during_a_stop_waits_and_starts_anew(folder: Path) -> None:
    for _ in range(3):
        process = holder(folder)
        told(process)
        process.kill()
        with EmbeddedPostgres(folder) as server:
            assert answers(server)
        finish(process)
    assert processes_of(folder) == []


def test_it_comes_back_at_the_same_address_after_it_was_killed(
    folder: Path, server: EmbeddedPostgres
) -> None:
    pid, address = postmaster(folder), server.superuser_url

    os.kill(pid, signal.SIGKILL)

    eventually(lambda: (folder / "data" / "postmaster.pid").exists() and postmaster(folder) != pid)
    server.resume()  # Returns when it answers.
    assert answers(server)
    assert server.superuser_url == address


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel tells a child of its parent's death on Linux only"
)
def test_the_server_ends_when_its_keeper_is_killed(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()

    os.kill(int((folder / "keeper").read_text()), signal.SIGKILL)

    eventually(lambda: not (folder / "data" / "postmaster.pid").exists())
    server.close()
    eventually(lambda: processes_of(folder) == [])


def test_an_outage_ends_at_the_same_address(server: EmbeddedPostgres) -> None:
    address = server.superuser_url

    server.interrupt()
    with pytest.raises(Exception, match="did not answer"):
        answers(server)
    server.resume()

    assert answers(server)
    assert server.superuser_url == address


def test_a_folder_of_another_version_is_refused_with_a_sentence(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        pass
    (folder / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(DataFolderVersion, match=r"PostgreSQL 16.*runs 18.*move the folder away"):
        EmbeddedPostgres(folder).start()

    assert processes_of(folder) == []


def test_a_server_that_cannot_start_says_where_to_look(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        pass
    (folder / "data" / "postgresql.conf").write_text("no such setting = 1\n")

    with pytest.raises(PostgresDidNotStart, match=r"server\.log"):
        EmbeddedPostgres(folder).start()

    eventually(lambda: processes_of(folder) == [])


def test_a_first_start_that_was_cut_off_is_begun_again(folder: Path) -> None:
    (folder / "data.torn").mkdir()

    with EmbeddedPostgres(folder) as server:
        assert answers(server)


def test_a_log_that_has_grown_too_large_is_put_aside_at_the_next_start(folder: Path) -> None:
    log = folder / "server.log"
    log.touch()
    os.truncate(log, LOG_BYTES_MAX + 1)

    with EmbeddedPostgres(folder):
        pass

    assert log.stat().st_size < LOG_BYTES_MAX
    assert (folder / "server.log.1").stat().st_size == LOG_BYTES_MAX + 1


def test_the_server_has_room_for_every_pool_of_the_stack(server: EmbeddedPostgres) -> None:
    async def ask() -> int:
        engine = create_engine(server.superuser_url, application_name="tests")
        try:
            async with engine.connect() as connection:
                return int(await connection.scalar(text("select current_setting('max_connections')")) or 0)
        finally:
            await engine.dispose()

    # Three processes of the stack with a full pool each, and commands beside them.
    assert asyncio.run(ask()) == CONNECTIONS_MAX > 3 * POOL_CONNECTIONS_MAX


def test_a_long_path_gets_a_socket_of_its_own(folder: Path) -> None:
    deep = folder / ("a" * 60) / ("b" * 60)

    with EmbeddedPostgres(deep) as server:
        assert len(os.fsencode(server.socket_dir / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES_MAX
        assert answers(server)


def test_nobody_else_may_open_the_socket(server: EmbeddedPostgres) -> None:
    assert server.socket_dir.stat().st_mode & 0o077 == 0


async def test_statements_and_values_stay_out_of_the_servers_log(
    folder: Path, server: EmbeddedPostgres
) -> None:
    engine = create_engine(server.superuser_url, application_name="tests")
    async with engine.connect() as connection:
        await connection.execute(text("create temporary table said (words text primary key)"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("insert into said values (:w), (:w)"), {"w": "my secret words"})
    await engine.dispose()

    log = (folder / "server.log").read_text()
    assert "duplicate key" in log
    assert "secret words" not in log
    assert "insert into said" not in log
