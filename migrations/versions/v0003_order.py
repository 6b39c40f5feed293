"""The order of all events: dense global positions, who gives them, and how far each reader has come."""

from __future__ import annotations

from alembic import op

from migrations.functions.log_v1 import LOG_COLUMNS, LOG_FUNCTIONS, READ_LOG
from migrations.functions.sequence_v1 import sequence_events
from migrations.tenancy import APP_ROLE, GATE_ROLE, SEQUENCER_ROLE, seen_by_gate, separate_tenants

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HEADER_COLUMNS = """tenant_id, stream_id, version, event_id, type, schema_version, occurred_at, recorded_at,
    media_ms, actor_kind, actor_id, causation_id, correlation_id, session_epoch, subject_id, key_id,
    classification, payload_sha256, xid"""

ORDER = [
    # No foreign key to events: it would lock each of them once more, and an event that is gone must be told.
    """
    create table public.log_index (
        position bigint primary key check (position >= 1),
        tenant_id uuid not null,
        stream_id text not null,
        version bigint not null check (version >= 1),
        entry_hash bytea check (octet_length(entry_hash) = 32),
        unique (tenant_id, stream_id, version)
    )
    """,
    "create index log_index_of_tenant on public.log_index (tenant_id, position)",
    # By the transaction that wrote them, which is how new ones are found.
    "create index events_of_transaction on public.events (xid)",
]

LEADING = [
    # One row. The token rises with each leader; times are the database's. cluster is the server's own number.
    """
    create table public.sequencer (
        only_one boolean primary key default true check (only_one),
        holder text not null check (length(holder) <= 200),
        token bigint not null check (token >= 0),
        expires_at timestamptz not null,
        cluster bigint not null
    )
    """,
    """
    insert into public.sequencer (holder, token, expires_at, cluster)
    values ('', 0, '-infinity', 0)
    """,
    # Which transactions were looked through; the newest row holds. Rows are added and not changed: while any
    # transaction stays open no version of a changed row is cleared away, and all would be read each time.
    """
    create table public.log_scans (
        scan bigint primary key,
        cluster bigint not null,
        scanned_below xid8 not null,
        unfinished xid8[] not null
    )
    """,
    """
    create table public.subscriptions (
        name text primary key check (length(name) between 1 and 100),
        position bigint not null check (position >= 0),
        updated_at timestamptz not null default clock_timestamp()
    )
    """,
]

# Positions can be added and neither changed nor removed.
GRANTS = [
    f"grant usage on schema public to {SEQUENCER_ROLE}",
    f"grant select ({HEADER_COLUMNS}) on public.events to {SEQUENCER_ROLE}",
    f"create policy seen_by_sequencer on public.events for select to {SEQUENCER_ROLE} using (true)",
    f"grant select, insert on public.log_index to {SEQUENCER_ROLE}",
    f"create policy seen_by_sequencer on public.log_index for select to {SEQUENCER_ROLE} using (true)",
    f"create policy added_by_sequencer on public.log_index for insert to {SEQUENCER_ROLE} with check (true)",
    f"grant select, update (holder, token, expires_at, cluster) on public.sequencer to {SEQUENCER_ROLE}",
    f"grant select, insert, delete on public.log_scans to {SEQUENCER_ROLE}",
    "revoke execute on function public.sequence_events from public",
    f"grant execute on function public.sequence_events to {SEQUENCER_ROLE}",
    f"grant select on public.alembic_version to {SEQUENCER_ROLE}",
    f"grant select on public.log_index to {APP_ROLE}",
    f"grant select, insert, update (position, updated_at) on public.subscriptions to {APP_ROLE}",
    "revoke execute on function public.read_log from public",
    f"grant execute on function public.read_log to {APP_ROLE}",
]


def gate() -> list[str]:
    statements = [f"grant create on schema public to {GATE_ROLE}", *seen_by_gate("log_index", LOG_COLUMNS)]
    for signature, definition in LOG_FUNCTIONS.items():
        statements += [
            definition,
            f"revoke execute on function public.{signature} from public",
            f"grant execute on function public.{signature} to {APP_ROLE}",
            f"alter function public.{signature} owner to {GATE_ROLE}",
        ]
    return [*statements, f"revoke create on schema public from {GATE_ROLE}"]


def upgrade() -> None:
    statements = [*ORDER, *separate_tenants("log_index"), *LEADING, sequence_events(), READ_LOG]
    for statement in [*statements, *GRANTS, *gate()]:
        op.execute(statement)
