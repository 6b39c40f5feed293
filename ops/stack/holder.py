"""A process that holds the embedded Postgres for as long as it lives.

The server itself runs under its keeper, which stops it when the last holder has gone, however that one went.
Should the server be gone for long, this process ends, and the supervisor starts it and the server anew.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from domain.errors import VivavoceError
from ops.devstack.postgres import EmbeddedPostgres

LOOK_INTERVAL_S = 1.0
# The keeper takes less to bring back a server that was killed.
GONE_S_MAX = 15.0
PROBE_TIMEOUT_S = 1.0
SOCKET_NAME = ".s.PGSQL.5432"


async def server_answers(server: EmbeddedPostgres) -> bool:
    """Whether somebody listens on the server's socket."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_unix_connection(str(server.socket_dir / SOCKET_NAME))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def hold(data_dir: Path, *, gone_s_max: float = GONE_S_MAX, look_s: float = LOOK_INTERVAL_S) -> int:
    """Until SIGTERM or SIGINT, which is 0; 1 when the server was away for longer than `gone_s_max`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = EmbeddedPostgres(data_dir)
    await asyncio.to_thread(server.start)
    sys.stdout.write("the embedded Postgres answers\n")
    try:
        seen_s = loop.time()
        while not stop.is_set():
            if await server_answers(server):
                seen_s = loop.time()
            elif loop.time() - seen_s > gone_s_max:
                sys.stderr.write("the embedded Postgres went away\n")
                return 1
            try:
                await asyncio.wait_for(stop.wait(), look_s)
            except TimeoutError:
                continue
    finally:
        await asyncio.to_thread(server.close)
    return 0


def main() -> int:
    try:
        return asyncio.run(hold(Path(sys.argv[1])))
    except VivavoceError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
