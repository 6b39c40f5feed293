"""`persona`: who people talk to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from ops.cli.database import with_database
from ops.cli.options import DATA_DEFAULT, AsJson, Data, Models, models_folder
from ops.cli.output import emit_json, emit_table, say

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from activities.personas import PersonaSummary, Publication
    from domain.ids import TenantId

app = typer.Typer(no_args_is_help=True, help="Personas. Works whether or not the stack is up.")

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A persona file (YAML or JSON).", show_default=False)
]


@app.command()
def publish(
    file: File,
    data: Data = DATA_DEFAULT,
    models: Models = None,
    persona_id: Annotated[
        UUID | None, typer.Option(help="Publish the next revision of this persona, instead of a new one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a persona with its documents. The same content again changes nothing."""
    publication = with_database(
        data, lambda engine, tenant: _publish(engine, tenant, file, models_folder(models), persona_id)
    )
    published = publication.published
    if as_json:
        emit_json(
            {
                "persona_id": str(published.persona_id),
                "revision": published.revision,
                "created": publication.created,
                "content_sha256": published.persona.content_sha256,
                "policy_revision": published.policy_revision,
                "knowledge_revision": published.knowledge_revision,
            }
        )
        return
    verb = "is published as" if publication.created else "was published before as"
    say(f"{published.persona.name} {verb} revision {published.revision} of {published.persona_id}.")


@app.command(name="list")
def list_personas(data: Data = DATA_DEFAULT, as_json: AsJson = False) -> None:
    """List published personas, the newest first, each with its latest revision."""
    found = with_database(data, _summaries)
    if as_json:
        emit_json(
            {
                "personas": [
                    {
                        "persona_id": str(each.persona_id),
                        "revision": each.revision,
                        "name": each.name,
                        "language": each.language,
                        "documents": list(each.document_titles),
                        "created_at": each.created_at.isoformat(),
                    }
                    for each in found
                ]
            }
        )
        return
    emit_table(
        ("persona", "name", "revision", "language", "documents"),
        [
            (
                str(each.persona_id),
                each.name,
                str(each.revision),
                each.language,
                ", ".join(each.document_titles),
            )
            for each in found
        ],
    )


async def _publish(
    engine: AsyncEngine, tenant: TenantId, file: Path, models_dir: Path, persona_id: UUID | None
) -> Publication:
    from domain.ids import PersonaId
    from ops.stack.example import publish_file

    identity = None if persona_id is None else PersonaId(persona_id)
    return await publish_file(engine, tenant, file, models_dir, persona_id=identity)


async def _summaries(engine: AsyncEngine, tenant: TenantId) -> tuple[PersonaSummary, ...]:
    from activities.personas import PostgresPersonaLibrary

    return await PostgresPersonaLibrary(engine).summaries(tenant)
