"""Gives committed events their places in the order of all: dense positions from 1, each event once.

One leader at a time. What says so is a lease in the database with a token that rises with each leader, and it
is compared inside the statement that gives the places: a leader that was paused, or whose connection hung,
finds another token there and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NewType
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.store.failures import store_failures
from domain.errors import RuleBroken, StoreUnavailable
from domain.ids import Position, StreamId, TenantId

log = structlog.get_logger()

# Rises with each leader, so that the statements of an earlier one are known.
LeaseToken = NewType("LeaseToken", int)

# A leader that is gone keeps its lease so long, and whoever stands by asks this often: together, and with
# the time to connect, less than the five seconds within which another must lead.
LEASE = timedelta(seconds=3)
RENEW_INTERVAL_S = 1.0
STANDBY_INTERVAL_S = 0.5
# How long the leader rests when there was nothing more to do, which is most of what an event waits.
REST_S = 0.01
# Events looked at in one statement: some 20 ms of work, so that a lease never runs out during one.
BATCH_EVENTS_MAX = 1000
# How long to wait before the database is tried again after it was away.
RETRY_S = 0.5
# Of what was looked through only the newest counts; older rows are cleared away this often.
PURGE_INTERVAL_S = 60.0
SCANS_KEPT = 100
HOLDER_CHARS_MAX = 200


class LeaseLost(RuleBroken):
    """Another process leads, or may: stand by and acquire the lease again."""

    code = "lease_lost"


class NotASequencer(RuleBroken):
    """The process is connected as a role that may not give positions."""

    code = "not_a_sequencer"


@dataclass(frozen=True, slots=True)
class Placed:
    """One event's place. `entry_hash` is the 32 bytes stored with it, or None where none are computed."""

    position: Position
    tenant_id: TenantId
    stream_id: StreamId
    version: int
    entry_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one statement placed, in the order of positions. `more`: there is more to do at once."""

    placed: tuple[Placed, ...]
    more: bool


class Sequencer:
    """The statements, each in a transaction of its own. `holder` says who leads, for people to read.

    Every method raises StoreUnavailable where the database does not answer; what was asked for may then be
    done or not, and doing it again is safe.
    """

    def __init__(self, engine: AsyncEngine, *, holder: str, lease: timedelta = LEASE) -> None:
        if not 1 <= len(holder) <= HOLDER_CHARS_MAX:
            raise ValueError(f"a holder's name has 1 to {HOLDER_CHARS_MAX} characters")
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._holder, self._lease = holder, lease

    async def acquire(self) -> LeaseToken | None:
        """The token of a new lease, or None while another's holds. Raises NotASequencer."""
        with store_failures():
            try:
                async with self._single.connect() as connection:
                    token = await connection.scalar(_ACQUIRE, {"holder": self._holder, "lease": self._lease})
            except ProgrammingError as error:
                if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
                    raise
                raise NotASequencer(
                    "the role that VIVAVOCE_DATABASE_URL names may not give positions: give the sequencer "
                    "the address of the role vivavoce_sequencer, which bootstrap prepared"
                ) from error
        return None if token is None else LeaseToken(token)

    async def renew(self, token: LeaseToken) -> None:
        """Raises LeaseLost where the lease ran out, though nobody took it yet."""
        with store_failures():
            async with self._single.connect() as connection:
                renewed = await connection.execute(_RENEW, {"token": token, "lease": self._lease})
        if renewed.rowcount != 1:
            raise LeaseLost("the sequencer's lease ran out, or another process took it")

    async def release(self, token: LeaseToken) -> None:
        """Another may lead at once. A lease that was lost is left as it is."""
        with store_failures():
            async with self._single.connect() as connection:
                await connection.execute(_RELEASE, {"token": token})

    async def sequence(self, token: LeaseToken, *, limit: int = BATCH_EVENTS_MAX) -> Batch:
        """Looks at `limit` committed events, or at one transaction of more, and places 2 * `limit` at most.

        An append that was answered before another began stands before it. Raises LeaseLost.
        """
        if not 1 <= limit <= BATCH_EVENTS_MAX:
            raise ValueError(f"1 to {BATCH_EVENTS_MAX} events are looked at in one statement")
        with store_failures():
            async with self._single.connect() as connection:
                row = (await connection.exec_driver_sql(_SEQUENCE, (token, limit))).one()
        if row.outcome == "lost":
            raise LeaseLost("the sequencer's lease ran out, or another process took it")
        columns = (row.positions, row.tenant_ids, row.stream_ids, row.versions, row.entry_hashes)
        return Batch(tuple(map(_placed, *(column or () for column in columns))), row.more)

    async def purge(self, token: LeaseToken) -> None:
        """Clears away what was noted of earlier looks. Raises LeaseLost."""
        with store_failures():
            async with self._single.connect() as connection:
                purged = await connection.execute(_PURGE, {"token": token, "kept": SCANS_KEPT})
                if purged.scalar_one() is not True:
                    raise LeaseLost("the sequencer's lease ran out, or another process took it")


def _placed(position: int, tenant_id: UUID, stream_id: str, version: int, entry_hash: bytes | None) -> Placed:
    return Placed(Position(position), TenantId(tenant_id), StreamId(stream_id), version, entry_hash)


async def lead_or_stand_by(
    sequencer: Sequencer,
    stop: asyncio.Event,
    *,
    on_batch: Callable[[Batch], None] = lambda _: None,
    standby_interval_s: float = STANDBY_INTERVAL_S,
    renew_interval_s: float = RENEW_INTERVAL_S,
    limit: int = BATCH_EVENTS_MAX,
) -> None:
    """Until `stop` is set: leads while it holds the lease, and asks for it while another does.

    `on_batch` is called with each batch that placed something, after it was committed. A database that
    is away is waited for. Raises NotASequencer.
    """
    leading = _Leading(sequencer, stop, on_batch, renew_interval_s, limit)
    while not stop.is_set():
        try:
            token = await sequencer.acquire()
            if token is None:
                await _rest(stop, standby_interval_s)
                continue
            log.info("sequencer.leads", token=token)
            await leading.run(token)
            # Whoever stands by need not wait until it runs out.
            await sequencer.release(token)
        except LeaseLost as lost:
            log.warning("sequencer.lease_lost", code=lost.code)
        except StoreUnavailable as away:
            log.warning("sequencer.postponed", code=away.code)
            await _rest(stop, RETRY_S)


class _Leading:
    """What the leader does, over and over."""

    def __init__(
        self,
        sequencer: Sequencer,
        stop: asyncio.Event,
        on_batch: Callable[[Batch], None],
        renew_interval_s: float,
        limit: int,
    ) -> None:
        self._sequencer, self._stop, self._on_batch = sequencer, stop, on_batch
        self._renew_interval_s, self._limit = renew_interval_s, limit

    async def run(self, token: LeaseToken) -> None:
        """Until the order to stop. Raises LeaseLost or StoreUnavailable."""
        clock = asyncio.get_running_loop().time
        renew_at, purge_at = clock() + self._renew_interval_s, clock() + PURGE_INTERVAL_S
        while not self._stop.is_set():
            if clock() >= renew_at:
                # Counted from before it is asked for: the lease may begin as early as that.
                renew_at = clock() + self._renew_interval_s
                await self._sequencer.renew(token)
            batch = await self._sequencer.sequence(token, limit=self._limit)
            if batch.placed:
                self._on_batch(batch)
            if clock() >= purge_at:
                purge_at = clock() + PURGE_INTERVAL_S
                await self._sequencer.purge(token)
            if not batch.more:
                await _rest(self._stop, REST_S)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def has_leader(engine: AsyncEngine) -> bool:
    """Whether some process holds the lease. For the sequencer's role."""
    with store_failures():
        async with engine.connect() as connection:
            return bool(await connection.scalar(_HAS_LEADER))


_INSUFFICIENT_PRIVILEGE = "42501"
# The server's own number is noted, so that a copy of the database elsewhere is known as one.
_ACQUIRE = text(
    """
    update public.sequencer
       set holder = :holder, token = token + 1,
           expires_at = clock_timestamp() + cast(:lease as interval),
           cluster = (select system_identifier from pg_control_system())
     where expires_at <= clock_timestamp()
    returning token
    """
)
_RENEW = text(
    """
    update public.sequencer set expires_at = clock_timestamp() + cast(:lease as interval)
     where token = :token and expires_at > clock_timestamp()
    """
)
_RELEASE = text(
    "update public.sequencer set expires_at = clock_timestamp()"
    " where token = :token and expires_at > clock_timestamp()"
)
_SEQUENCE = """
    select outcome, more, positions, tenant_ids, stream_ids, versions, entry_hashes
      from public.sequence_events($1, $2)
"""
_PURGE = text(
    """
    with leads as (
        select token = :token and expires_at > clock_timestamp() as so from public.sequencer
    ), purged as (
        delete from public.log_scans
         where scan <= (select max(scan) - :kept from public.log_scans) and (select so from leads)
    )
    select so from leads
    """
)
_HAS_LEADER = text("select expires_at > clock_timestamp() from public.sequencer")
