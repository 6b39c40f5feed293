"""Published personas, and the documents that they answer from."""

from __future__ import annotations

from alembic import op

from migrations.tenancy import APP_ROLE, separate_tenants

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PERSONAS = [
    # latest_revision is what publishing locks: revisions are dense, and two at once do not collide.
    """
    create table public.personas (
        tenant_id uuid not null,
        persona_id uuid not null,
        latest_revision integer not null default 0 check (latest_revision >= 0),
        created_at timestamptz not null default now(),
        primary key (tenant_id, persona_id)
    )
    """,
    """
    create table public.persona_revisions (
        tenant_id uuid not null,
        persona_id uuid not null,
        revision integer not null check (revision >= 1),
        document jsonb not null,
        content_sha256 text not null check (length(content_sha256) = 64),
        policy_revision text not null check (length(policy_revision) = 64),
        knowledge_revision text not null check (length(knowledge_revision) = 64),
        created_at timestamptz not null default now(),
        primary key (tenant_id, persona_id, revision),
        unique (tenant_id, persona_id, content_sha256),
        foreign key (tenant_id, persona_id) references public.personas
    )
    """,
]

# A knowledge revision is the digest of its documents, so that the same documents are stored once.
KNOWLEDGE = [
    """
    create table public.documents (
        tenant_id uuid not null,
        knowledge_revision text not null check (length(knowledge_revision) = 64),
        document_id text not null,
        title text not null,
        content_sha256 text not null check (length(content_sha256) = 64),
        text text not null,
        created_at timestamptz not null default now(),
        primary key (tenant_id, knowledge_revision, document_id)
    )
    """,
    """
    create table public.chunks (
        tenant_id uuid not null,
        knowledge_revision text not null,
        chunk_id text not null,
        document_id text not null,
        heading text not null,
        text text not null,
        start_char integer not null check (start_char >= 0),
        end_char integer not null check (end_char >= start_char),
        embedding public.vector(384) not null,
        tsv tsvector not null,
        primary key (tenant_id, knowledge_revision, chunk_id),
        foreign key (tenant_id, knowledge_revision, document_id) references public.documents
    )
    """,
    "create index chunks_of_document on public.chunks (tenant_id, knowledge_revision, document_id)",
    "create index chunks_text on public.chunks using gin (tsv)",
    "create index chunks_embedding on public.chunks using hnsw (embedding public.vector_cosine_ops)",
]

# Revisions, documents and chunks are immutable once they are published.
GRANTS = [
    f"grant select, insert, update (latest_revision) on public.personas to {APP_ROLE}",
    f"grant select, insert on public.persona_revisions to {APP_ROLE}",
    f"grant select, insert on public.documents to {APP_ROLE}",
    f"grant select, insert on public.chunks to {APP_ROLE}",
]


def upgrade() -> None:
    statements = [*PERSONAS, *KNOWLEDGE]
    for table in ("personas", "persona_revisions", "documents", "chunks"):
        statements += separate_tenants(table)
    for statement in [*statements, *GRANTS]:
        op.execute(statement)
