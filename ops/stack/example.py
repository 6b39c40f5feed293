"""Publishing a persona from a file, above all the example: a new installation has somebody to talk to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.personas import PersonaPublisher, Publication, load_persona_file
from activities.store.event_store import PostgresEventStore
from domain.events.envelope import Actor, ActorKind
from domain.events.payload import Frozen
from domain.ids import PersonaId, TenantId
from media.models import ModelName, locate
from ops.stack.folder import DataFolder, write_private

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "claims_desk" / "persona.yaml"
CLI_ACTOR = Actor(kind=ActorKind.SERVICE, id="cli")


class Example(Frozen):
    """Which persona it became, and of which content."""

    persona_id: PersonaId
    content_sha256: str


def example_of(folder: DataFolder) -> Example | None:
    try:
        return Example.model_validate_json((folder.root / "example.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


async def publish_file(
    engine: AsyncEngine,
    tenant_id: TenantId,
    file: Path,
    models_dir: Path,
    *,
    persona_id: PersonaId | None = None,
) -> Publication:
    """Publishes a persona file with its documents. Raises PersonaInvalid, NotFound or ModelError."""
    # Loaded where something is published: most starts publish nothing.
    from activities.knowledge.minilm import MiniLm  # noqa: PLC0415

    persona = load_persona_file(file)
    embedder = MiniLm(locate(models_dir, ModelName.MINILM_WEIGHTS).parent)
    with ThreadPoolExecutor(1, "embedding") as executor:
        publisher = PersonaPublisher(engine, PostgresEventStore(engine), embedder=embedder, executor=executor)
        return await publisher.publish(tenant_id, persona, actor=CLI_ACTOR, persona_id=persona_id)


async def publish_example(
    folder: DataFolder, engine: AsyncEngine, tenant_id: TenantId, models_dir: Path, *, file: Path = EXAMPLE
) -> Example:
    """Publishes it when it is new or has changed with a release; else loads no model and takes no time."""
    content_sha256 = load_persona_file(file).content_sha256
    known = example_of(folder)
    if known is not None and known.content_sha256 == content_sha256:
        return known
    publication = await publish_file(
        engine, tenant_id, file, models_dir, persona_id=None if known is None else known.persona_id
    )
    example = Example(persona_id=publication.published.persona_id, content_sha256=content_sha256)
    write_private(folder.root / "example.json", example.model_dump_json())
    return example
