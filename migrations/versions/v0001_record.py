"""The record: tenants and their keys, streams, events, the append, and what a participant joins with."""

from __future__ import annotations

from alembic import op

from migrations.functions.append_v1 import APPEND_EVENTS
from migrations.functions.gate_v1 import GATE_COLUMNS, GATE_FUNCTIONS
from migrations.tenancy import APP_ROLE, GATE_ROLE, seen_by_gate, separate_tenants

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANTS = [
    """
    create table public.tenants (
        tenant_id uuid primary key,
        name text not null check (length(name) between 1 and 200),
        created_at timestamptz not null default now()
    )
    """,
    """
    create table public.api_keys (
        tenant_id uuid not null references public.tenants,
        key_id uuid not null,
        name text not null check (length(name) between 1 and 200),
        key_hash bytea not null unique check (octet_length(key_hash) = 32),
        created_at timestamptz not null default now(),
        revoked_at timestamptz,
        primary key (tenant_id, key_id)
    )
    """,
]

LOG = [
    # Room is left in each page, so that raising a version rewrites a row in place and touches no index.
    """
    create table public.streams (
        tenant_id uuid not null,
        stream_id text not null check (length(stream_id) between 1 and 64),
        version bigint not null check (version >= 1),
        epoch integer not null check (epoch >= 0),
        sealed boolean not null default false,
        created_at timestamptz not null default clock_timestamp(),
        primary key (tenant_id, stream_id)
    ) with (fillfactor = 70)
    """,
    "create index streams_newest on public.streams (tenant_id, created_at desc, stream_id desc)",
    """
    create index streams_newest_open on public.streams (tenant_id, created_at desc, stream_id desc)
        where not sealed
    """,
    """
    create index streams_open_conversations on public.streams (created_at, stream_id)
        where not sealed and stream_id like 'conversation-%'
    """,
    # subject_id and key_id name whose key encrypts the payload; they are null while it is stored in clear.
    """
    create table public.events (
        tenant_id uuid not null,
        stream_id text not null,
        version bigint not null check (version >= 1),
        event_id uuid not null,
        type text not null check (length(type) between 1 and 64),
        schema_version smallint not null check (schema_version >= 1),
        occurred_at timestamptz not null,
        recorded_at timestamptz not null,
        media_ms bigint,
        actor_kind text not null,
        actor_id text not null check (length(actor_id) <= 64),
        causation_id uuid,
        correlation_id uuid,
        session_epoch integer not null check (session_epoch >= 0),
        subject_id uuid,
        key_id uuid,
        classification text not null check (classification in ('public', 'personal', 'biometric')),
        payload bytea not null,
        payload_sha256 bytea not null check (octet_length(payload_sha256) = 32),
        xid xid8 not null default pg_current_xact_id(),
        primary key (tenant_id, stream_id, version),
        unique (tenant_id, stream_id, event_id)
    )
    """,
    # The few events that a list of conversations is folded from.
    """
    create index events_lifecycle on public.events (tenant_id, stream_id, version)
        where type in ('conversation.requested', 'conversation.started', 'conversation.ended',
                       'conversation.sealed', 'media.assigned', 'media.lost')
    """,
]

JOINING = [
    """
    create table public.join_tokens (
        tenant_id uuid not null,
        token_hash bytea primary key check (octet_length(token_hash) = 32),
        conversation_id uuid not null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null,
        used_at timestamptz
    )
    """,
    "create index join_tokens_expiry on public.join_tokens (tenant_id, expires_at)",
    """
    create table public.participants (
        tenant_id uuid not null,
        conversation_id uuid not null,
        participant_id uuid not null,
        credential_hash bytea not null unique check (octet_length(credential_hash) = 32),
        joined_at timestamptz not null default now(),
        left_at timestamptz,
        primary key (tenant_id, conversation_id, participant_id)
    )
    """,
    # One participant holds the session at a time.
    """
    create unique index participants_holding on public.participants (tenant_id, conversation_id)
        where left_at is null
    """,
    """
    create table public.idempotency_keys (
        tenant_id uuid not null,
        key text not null check (length(key) between 1 and 255),
        request_sha256 bytea not null check (octet_length(request_sha256) = 32),
        conversation_id uuid not null,
        event_id uuid not null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null,
        primary key (tenant_id, key)
    )
    """,
    "create index idempotency_keys_expiry on public.idempotency_keys (tenant_id, expires_at)",
]

TABLES = ("tenants", "api_keys", "streams", "events", "join_tokens", "participants", "idempotency_keys")

# Events can be added and read by the role that the processes use, and neither changed nor removed.
GRANTS = [
    f"grant usage on schema public to {APP_ROLE}",
    f"grant select on public.tenants, public.api_keys to {APP_ROLE}",
    f"grant select, insert on public.events to {APP_ROLE}",
    f"grant select, insert, update (version, epoch, sealed) on public.streams to {APP_ROLE}",
    f"grant select, insert, update (used_at), delete on public.join_tokens to {APP_ROLE}",
    f"grant select, insert, update (left_at) on public.participants to {APP_ROLE}",
    f"grant select, insert, update, delete on public.idempotency_keys to {APP_ROLE}",
    f"grant select on public.alembic_version to {APP_ROLE}",
    "revoke execute on function public.append_events from public",
    f"grant execute on function public.append_events to {APP_ROLE}",
]


def gate() -> list[str]:
    statements = [f"grant usage, create on schema public to {GATE_ROLE}"]
    for table, columns in GATE_COLUMNS.items():
        statements += seen_by_gate(table, columns)
    for signature, definition in GATE_FUNCTIONS.items():
        statements += [
            definition,
            f"revoke execute on function public.{signature} from public",
            f"grant execute on function public.{signature} to {APP_ROLE}",
            f"alter function public.{signature} owner to {GATE_ROLE}",
        ]
    # It may hold functions from here on, and make none.
    return [*statements, f"revoke create on schema public from {GATE_ROLE}"]


def upgrade() -> None:
    statements = [*TENANTS, *LOG, *JOINING]
    for table in TABLES:
        statements += separate_tenants(table)
    for statement in [*statements, APPEND_EVENTS, *GRANTS, *gate()]:
        op.execute(statement)
