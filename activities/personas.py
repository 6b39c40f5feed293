"""Personas: read from files, published as immutable revisions, loaded and listed."""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.knowledge.embedding import Embedder
from activities.knowledge.ingest import ingest
from activities.store.tenancy import tenant_transaction
from domain.errors import NotFound, VersionConflict
from domain.events.catalogue import PersonaPublished
from domain.events.envelope import Actor, NewEvent
from domain.events.payload import Payload
from domain.ids import EventId, PersonaId, TenantId, persona_stream, uuid7
from domain.mind.gate import check_publishable
from domain.mind.persona import (
    DOCUMENT_CHARS_MAX,
    DOCUMENTS_CHARS_MAX,
    Persona,
    PersonaInvalid,
    PublishedPersona,
    parse_persona,
    parse_persona_file,
)
from domain.ports import EventStore

# A persona with all its documents inline, in UTF-8, with room for quoting.
PERSONA_BYTES_MAX = 6 * DOCUMENTS_CHARS_MAX
PERSONA_FILE_BYTES_MAX = 1_000_000
PERSONAS_LISTED_MAX = 500
# So many publishers of one persona may be faster; each of them records at least one revision.
RECORD_ATTEMPTS_MAX = 20


# --- reading -------------------------------------------------------------------------------------------
def load_persona_file(path: Path) -> Persona:
    """A persona file (YAML or JSON) with the documents that it names. Blocking.

    Raises PersonaInvalid; every problem is a sentence that names the field.
    """
    value = _parse_yaml(_read_text(path, PERSONA_FILE_BYTES_MAX, path.name), path.name)
    file = parse_persona_file(value)
    folder = path.resolve().parent
    texts = {}
    for number, document in enumerate(file.documents):
        wanted = getattr(document, "path", None)
        if wanted is None:
            continue
        place = f"documents.{number}.path"
        target = (folder / wanted).resolve()
        if not target.is_relative_to(folder):
            raise PersonaInvalid((f"{place}: the document must lie in the folder of the persona file.",))
        texts[wanted] = _read_text(target, 4 * DOCUMENT_CHARS_MAX, place)
    return file.resolve(texts)


def parse_persona_text(content: bytes) -> Persona:
    """A persona document as a request brings it: JSON or YAML, documents inline. Raises PersonaInvalid."""
    if len(content) > PERSONA_BYTES_MAX:
        raise PersonaInvalid((f"persona: the document is longer than {PERSONA_BYTES_MAX} bytes.",))
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError:
        raise PersonaInvalid(("persona: the document is not UTF-8 text.",)) from None
    try:
        # JSON first: it is most of what comes, and a YAML parser is slow with it.
        value: object = json.loads(decoded)
    except ValueError:
        value = _parse_yaml(decoded, "persona")
    return parse_persona(value)


def _read_text(path: Path, bytes_max: int, place: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
        decoded = content.decode("utf-8")
    except FileNotFoundError:
        raise PersonaInvalid((f"{place}: there is no file {path.name}.",)) from None
    except OSError as error:
        raise PersonaInvalid((f"{place}: {path.name} cannot be read ({error.strerror}).",)) from None
    except UnicodeDecodeError:
        raise PersonaInvalid((f"{place}: {path.name} is not UTF-8 text.",)) from None
    if len(content) > bytes_max:
        raise PersonaInvalid((f"{place}: {path.name} is longer than {bytes_max} bytes.",))
    return decoded


def _parse_yaml(content: str, place: str) -> object:
    try:
        # An alias can make a short text stand for an endless one, and no persona needs one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=yaml.SafeLoader)):
            raise PersonaInvalid((f"{place}: YAML aliases (*name) are not taken; write the value again.",))
        return yaml.safe_load(content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise PersonaInvalid((f"{place}: the YAML cannot be read{where}: {error.problem}.",)) from None
    except (yaml.YAMLError, RecursionError):
        raise PersonaInvalid((f"{place}: the YAML cannot be read.",)) from None


# --- publishing ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Publication:
    """`created` is False where the same content had been published before; nothing was changed then."""

    published: PublishedPersona
    created: bool


class PersonaPublisher:
    """Publishes personas: documents first, then the revision, then its event."""

    def __init__(
        self, engine: AsyncEngine, store: EventStore, *, embedder: Embedder, executor: Executor
    ) -> None:
        self._engine, self._store = engine, store
        self._embedder, self._executor = embedder, executor

    async def publish(
        self, tenant_id: TenantId, persona: Persona, *, actor: Actor, persona_id: PersonaId | None = None
    ) -> Publication:
        """The next revision of `persona_id`, or the first of a new persona. Without an id, what is somebody's
        newest revision already is that persona.

        Raises PersonaInvalid where the policy would stop the persona's own texts, NotFound for an id that
        is not there, StoreUnavailable. A publication that failed half-way is completed by the next one.
        """
        check_publishable(persona)
        now = datetime.now(UTC)
        new = PersonaId(uuid7(now, os.urandom(10)))
        if persona_id is not None:
            await PostgresPersonaLibrary(self._engine).latest_revision(tenant_id, persona_id)
        # A revision that can be loaded can be answered from.
        await ingest(self._engine, tenant_id, persona, embedder=self._embedder, executor=self._executor)
        async with tenant_transaction(self._engine, tenant_id) as connection:
            identity = persona_id or await _identity(connection, tenant_id, persona) or new
            revision, created = await _store_revision(connection, tenant_id, identity, persona)
        await self._record(tenant_id, identity, revision, actor)
        return Publication(_published(identity, revision, persona), created)

    async def _record(self, tenant_id: TenantId, persona_id: PersonaId, revision: int, actor: Actor) -> None:
        """One event for each revision, at the version of the same number. What an earlier publication left
        out is recorded with it; a repeat, or another publisher, finds the event there."""
        stream = persona_stream(persona_id)
        for attempt in range(RECORD_ATTEMPTS_MAX):
            head = await self._store.head(tenant_id, stream)
            version = 0 if head is None else head.version
            if version >= revision:
                return
            events = await self._unrecorded(tenant_id, persona_id, version, revision, actor)
            try:
                await self._store.append(tenant_id, stream, events, expected=version or "no_stream", epoch=0)
            except VersionConflict:
                # Another publisher was faster; the next look shows how much of this it recorded.
                if attempt == RECORD_ATTEMPTS_MAX - 1:
                    raise
            else:
                return

    async def _unrecorded(
        self, tenant_id: TenantId, persona_id: PersonaId, after: int, last: int, actor: Actor
    ) -> list[NewEvent[Payload]]:
        key = {"tenant_id": tenant_id, "persona_id": persona_id, "after": after, "last": last}
        async with tenant_transaction(self._engine, tenant_id) as connection:
            rows = (await connection.execute(_UNRECORDED, key)).all()
        now = datetime.now(UTC)
        return [
            NewEvent[Payload](
                event_id=EventId(uuid7(now, os.urandom(10))),
                occurred_at=now,
                actor=actor,
                payload=PersonaPublished(
                    persona_id=persona_id,
                    revision=row.revision,
                    content_sha256=row.content_sha256,
                    policy_revision=row.policy_revision,
                    knowledge_revision=row.knowledge_revision,
                ),
            )
            for row in rows
        ]


_UNRECORDED = text(
    "select revision, content_sha256, policy_revision, knowledge_revision from public.persona_revisions"
    " where tenant_id = :tenant_id and persona_id = :persona_id and revision > :after and revision <= :last"
    " order by revision"
)
# Two publishers of the same new content wait for each other, or it would become two personas.
_LOCK_CONTENT = text(
    "select pg_advisory_xact_lock(hashtextextended(cast(:tenant_id as text) || :content_sha256, 0))"
)
_WHO_HAS_IT = text(
    "select personas.persona_id from public.personas join public.persona_revisions"
    " on persona_revisions.tenant_id = personas.tenant_id"
    " and persona_revisions.persona_id = personas.persona_id and revision = latest_revision"
    " where personas.tenant_id = :tenant_id and content_sha256 = :content_sha256"
    " order by personas.created_at, personas.persona_id limit 1"
)
_ADD_PERSONA = text(
    "insert into public.personas (tenant_id, persona_id) values (:tenant_id, :persona_id)"
    " on conflict do nothing"
)
_LOCK_PERSONA = text(
    "select latest_revision from public.personas"
    " where tenant_id = :tenant_id and persona_id = :persona_id for update"
)
_SAME_CONTENT = text(
    "select revision from public.persona_revisions"
    " where tenant_id = :tenant_id and persona_id = :persona_id and content_sha256 = :content_sha256"
)
_ADD_REVISION = text(
    "insert into public.persona_revisions (tenant_id, persona_id, revision, document, content_sha256,"
    " policy_revision, knowledge_revision) values (:tenant_id, :persona_id, :revision,"
    " cast(:document as jsonb), :content_sha256, :policy_revision, :knowledge_revision)"
)
_SET_LATEST = text(
    "update public.personas set latest_revision = :revision"
    " where tenant_id = :tenant_id and persona_id = :persona_id"
)


async def _identity(connection: AsyncConnection, tenant_id: TenantId, persona: Persona) -> PersonaId | None:
    """The persona whose newest revision this content is; nobody else makes one in this transaction."""
    key = {"tenant_id": tenant_id, "content_sha256": persona.content_sha256}
    await connection.execute(_LOCK_CONTENT, key | {"tenant_id": str(tenant_id)})
    found = await connection.scalar(_WHO_HAS_IT, key)
    return None if found is None else PersonaId(found)


async def _store_revision(
    connection: AsyncConnection, tenant_id: TenantId, persona_id: PersonaId, persona: Persona
) -> tuple[int, bool]:
    key = {"tenant_id": tenant_id, "persona_id": persona_id}
    await connection.execute(_ADD_PERSONA, key)
    latest = (await connection.execute(_LOCK_PERSONA, key)).scalar_one()
    content = {"content_sha256": persona.content_sha256}
    same = await connection.scalar(_SAME_CONTENT, key | content)
    if same is not None:
        return int(same), False
    revision = int(latest) + 1
    row = {
        **key,
        **content,
        "revision": revision,
        "document": json.dumps(persona.to_json()),
        "policy_revision": persona.policy_revision,
        "knowledge_revision": persona.knowledge_revision,
    }
    await connection.execute(_ADD_REVISION, row)
    await connection.execute(_SET_LATEST, {**key, "revision": revision})
    return revision, True


def _published(persona_id: PersonaId, revision: int, persona: Persona) -> PublishedPersona:
    return PublishedPersona(
        persona_id=persona_id,
        revision=revision,
        persona=persona,
        policy_revision=persona.policy_revision,
        knowledge_revision=persona.knowledge_revision,
    )


# --- reading what was published ------------------------------------------------------------------------
class PersonaNotFound(NotFound):
    """There is no such persona, or no such revision of it."""

    code = "persona_not_found"


@dataclass(frozen=True, slots=True)
class PersonaSummary:
    persona_id: PersonaId
    # The newest one.
    revision: int
    name: str
    language: str
    document_titles: tuple[str, ...]
    created_at: datetime


_LOAD = text(
    "select document from public.persona_revisions"
    " where tenant_id = :tenant_id and persona_id = :persona_id and revision = :revision"
)
_LATEST = text(
    "select latest_revision from public.personas"
    " where tenant_id = :tenant_id and persona_id = :persona_id and latest_revision > 0"
)
_LIST = text(
    "select personas.persona_id, revision, document ->> 'name' as name, document ->> 'language' as language,"
    " array(select value ->> 'title' from jsonb_array_elements(document -> 'documents')) as titles,"
    " persona_revisions.created_at"
    " from public.personas join public.persona_revisions"
    " on persona_revisions.tenant_id = personas.tenant_id"
    " and persona_revisions.persona_id = personas.persona_id and revision = latest_revision"
    " where personas.tenant_id = :tenant_id"
    " order by personas.created_at desc, personas.persona_id limit :limit"
)


class PostgresPersonaLibrary:
    """Every published revision of a tenant."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self, tenant_id: TenantId, persona_id: PersonaId, revision: int) -> PublishedPersona:
        """Raises NotFound or StoreUnavailable."""
        key = {"tenant_id": tenant_id, "persona_id": persona_id, "revision": revision}
        async with tenant_transaction(self._engine, tenant_id) as connection:
            document = await connection.scalar(_LOAD, key)
        if document is None:
            raise PersonaNotFound(f"there is no revision {revision} of persona {persona_id}")
        value = json.loads(document) if isinstance(document, str) else document
        # Long texts and many rules: not on the loop that carries frames.
        persona = await asyncio.to_thread(parse_persona, value)
        return _published(persona_id, revision, persona)

    async def latest_revision(self, tenant_id: TenantId, persona_id: PersonaId) -> int:
        """Raises NotFound or StoreUnavailable."""
        key = {"tenant_id": tenant_id, "persona_id": persona_id}
        async with tenant_transaction(self._engine, tenant_id) as connection:
            revision = await connection.scalar(_LATEST, key)
        if revision is None:
            raise PersonaNotFound(f"there is no persona {persona_id}")
        return int(revision)

    async def latest(self, tenant_id: TenantId, persona_id: PersonaId) -> PublishedPersona:
        """The newest revision. Raises NotFound or StoreUnavailable."""
        return await self.load(tenant_id, persona_id, await self.latest_revision(tenant_id, persona_id))

    async def summaries(self, tenant_id: TenantId) -> tuple[PersonaSummary, ...]:
        """The newest first, at most PERSONAS_LISTED_MAX."""
        async with tenant_transaction(self._engine, tenant_id) as connection:
            rows = (
                await connection.execute(_LIST, {"tenant_id": tenant_id, "limit": PERSONAS_LISTED_MAX})
            ).all()
        return tuple(
            PersonaSummary(
                persona_id=PersonaId(row.persona_id),
                revision=row.revision,
                name=row.name,
                language=row.language,
                document_titles=tuple(row.titles),
                created_at=row.created_at,
            )
            for row in rows
        )
