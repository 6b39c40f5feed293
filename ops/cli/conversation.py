"""`conversation`: what is on the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from domain.conversation.state import Status
from ops.cli.database import with_database
from ops.cli.errors import Stop
from ops.cli.options import DATA_DEFAULT, AsJson, Data
from ops.cli.output import emit_json, emit_table, say

if TYPE_CHECKING:
    from pydantic import JsonValue
    from sqlalchemy.ext.asyncio import AsyncEngine

    from activities.projections.conversations import ConversationPage, ConversationSummary
    from domain.ids import ConversationId, TenantId
    from ops.event_view import EventView

app = typer.Typer(
    no_args_is_help=True,
    help="Conversations on the record. All but `end` work whether or not the stack is up.",
)

LIST_DEFAULT = 50
LIST_MAX = 200
# The most that one payload takes on the screen; `--json` shows all of it.
PAYLOAD_CHARACTERS_SHOWN = 160
# What a person looks for, in this order; ids and digests are in `--json`.
TOLD_FIRST = (
    "verdict", "rule", "state", "reason", "source", "capture", "count", "track", "finish", "cause", "kind",
    "text", "played_text", "candidate", "passages", "took_ms", "duration_ms", "played_ms", "connection",
    "gaps", "waited_ms",
)  # fmt: skip


def _uuid(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise Stop(f"“{given}” is no conversation's id: see `vivavoce conversation list`.") from None


Id = Annotated[
    UUID, typer.Argument(metavar="ID", help="The conversation's id.", show_default=False, parser=_uuid)
]


@app.command(name="list")
def list_conversations(
    data: Data = DATA_DEFAULT,
    limit: Annotated[
        int, typer.Option(min=1, max=LIST_MAX, help="How many, the newest first.")
    ] = LIST_DEFAULT,
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List conversations, the newest first."""
    page = with_database(data, lambda engine, tenant: _page(engine, tenant, limit, cursor, status))
    if as_json:
        emit_json({"conversations": [_row(each) for each in page.items], "next_cursor": page.next_cursor})
        return
    emit_table(
        ("conversation", "status", "created", "ended", "reason", "events"),
        [
            (
                str(each.conversation_id),
                each.status.value,
                f"{each.created_at:%Y-%m-%d %H:%M:%S}",
                f"{each.ended_at:%H:%M:%S}" if each.ended_at else "",
                each.end_reason.value if each.end_reason else "",
                str(each.version),
            )
            for each in page.items
        ],
    )
    if page.next_cursor is not None:
        say(f"There are more: --cursor {page.next_cursor}")


@app.command()
def show(conversation: Id, data: Data = DATA_DEFAULT, as_json: AsJson = False) -> None:
    """Show one conversation and where it stands."""
    found = with_database(data, lambda engine, tenant: _summary(engine, tenant, _id(conversation)))
    if found is None:
        raise _not_found(conversation)
    row = _row(found)
    if as_json:
        emit_json(row)
        return
    sealed = row.pop("sealed")
    emit_table(
        ("field", "value"), [(name, "" if value is None else str(value)) for name, value in row.items()]
    )
    if isinstance(sealed, dict):
        say(f"Sealed over {sealed['count']} events, capture {sealed['capture']}, {sealed['headers_sha256']}.")


@app.command()
def events(
    conversation: Id,
    data: Data = DATA_DEFAULT,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this type; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show every event of a conversation, in order."""
    found = with_database(data, lambda engine, tenant: _events(engine, tenant, _id(conversation)))
    if not found:
        raise _not_found(conversation)
    wanted = [event for event in found if not kind or event.type in kind]
    if as_json:
        emit_json({"events": [event.model_dump(mode="json") for event in wanted]})
        return
    emit_table(
        ("version", "at", "media", "type", "what"),
        [
            (
                str(event.version),
                f"{event.occurred_at:%H:%M:%S.%f}"[:-3],
                "" if event.media_ms is None else f"{event.media_ms / 1000:.2f}",
                event.type,
                _shortened(event),
            )
            for event in wanted
        ],
    )


@app.command()
def end(conversation: Id, data: Data = DATA_DEFAULT, as_json: AsJson = False) -> None:
    """End a conversation that is going on. Needs the stack."""
    import asyncio

    ending = asyncio.run(_end(data, _id(conversation)))
    if as_json:
        emit_json({"conversation_id": str(conversation), "ending": ending})
    else:
        say("It is being ended." if ending else "It had ended before.")


async def _end(data: Path, conversation_id: ConversationId) -> bool:
    """Whether there was something to end."""
    from ops.caller.api import Api
    from ops.stack.environment import secrets_of
    from ops.stack.folder import DataFolder

    folder = DataFolder(data)
    run = folder.run() if folder.held() else None
    if run is None:
        raise Stop(f"Nothing is running in {data}, so nothing can be ended: start it with `vivavoce up`.")
    async with Api(run.api_url, secrets_of(folder).api_key) as api:
        status = await api.status(conversation_id)
        await api.end(conversation_id)
    return status not in (Status.WRAPPING_UP, Status.SEALED)


async def _page(
    engine: AsyncEngine, tenant: TenantId, limit: int, cursor: str | None, status: Status | None
) -> ConversationPage:
    from activities.projections.conversations import Conversations

    return await Conversations(engine).page(tenant, limit=limit, cursor=cursor, status=status)


async def _summary(
    engine: AsyncEngine, tenant: TenantId, conversation_id: ConversationId
) -> ConversationSummary | None:
    from activities.projections.conversations import Conversations

    return await Conversations(engine).get(tenant, conversation_id)


async def _events(engine: AsyncEngine, tenant: TenantId, conversation_id: ConversationId) -> list[EventView]:
    from activities.store.event_store import PostgresEventStore
    from domain.ids import conversation_stream
    from ops.event_view import EventView

    store, stream = PostgresEventStore(engine), conversation_stream(conversation_id)
    found: list[EventView] = []
    while page := await store.read(tenant, stream, after=found[-1].version if found else 0):
        found += [EventView.of(event) for event in page]
    return found


def _row(summary: ConversationSummary) -> dict[str, JsonValue]:
    """The form of the HTTP interface: where the media worker is reached is the installation's own affair."""
    from pydantic import TypeAdapter

    from activities.projections.conversations import ConversationSummary as Summary

    row: dict[str, JsonValue] = TypeAdapter(Summary).dump_python(summary, mode="json")
    del row["worker_address"]
    return row


def _shortened(event: EventView) -> str:
    told = [
        _told(name, event.payload[name]) for name in TOLD_FIRST if event.payload.get(name) not in (None, [])
    ]
    text = "  ".join(told)
    return text if len(text) <= PAYLOAD_CHARACTERS_SHOWN else f"{text[: PAYLOAD_CHARACTERS_SHOWN - 1]}…"


def _told(name: str, value: JsonValue) -> str:
    match value:
        case str() if name in ("text", "played_text", "candidate"):
            return f"“{value}”"
        case list() if name == "passages":
            return f"{len(value)} passages"
        case list():
            return ", ".join(str(each) for each in value)
        case str():
            return value
        case _:
            return f"{name} {value}"


def _id(given: UUID) -> ConversationId:
    from domain.ids import ConversationId

    return ConversationId(given)


def _not_found(conversation: UUID) -> Stop:
    return Stop(f"There is no conversation {conversation} here: see `vivavoce conversation list`.")
