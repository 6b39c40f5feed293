"""What Temporal keeps of a conversation: nothing that it can read, and nothing that was said."""

from __future__ import annotations

import json
from collections.abc import Iterator

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from domain.errors import VivavoceError
from ops.devstack.temporal import TemporalServer
from tests.fakes.media_host import FakeMediaHost
from tests.temporal_fixtures import PAYLOAD_KEY, World
from workflows.codec import EncryptionCodec
from workflows.media_session import WAITING_IS_RECORDED

# Of the request, and of the error below.
SAID = (b"Lovelace", b"burst pipe", b"Main Street")


class Garrulous(VivavoceError):
    """An error that quotes what it choked on."""

    code = "garrulous"


def _payloads(message: Message) -> Iterator[Payload]:
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if isinstance(value, Message):
            yield from _payloads(value)
        elif hasattr(value, "items"):
            for each in value.values():
                if isinstance(each, Message):
                    yield from _payloads(each)
        else:
            for each in value:
                yield from _payloads(each)


async def test_a_raw_history_holds_only_encrypted_payloads_and_no_words_inside_them(
    running: World, host: FakeMediaHost, temporal_server: TemporalServer
) -> None:
    conversation_id = await running.start()
    failing = await running.live(host, conversation_id)
    failing.fail_with = Garrulous("Ada Lovelace, 12 Main Street")
    failing.over.set()
    host.hang_up(await running.session(host, conversation_id, epoch=2))
    await running.outcome(conversation_id)

    stranger = await Client.connect(temporal_server.address)
    found: list[Payload] = []
    raw = b""
    for name in (str(conversation_id), f"{conversation_id}-media-1", f"{conversation_id}-media-2"):
        history = await stranger.get_workflow_handle(name).fetch_history()
        for event in history.events:
            raw += event.SerializeToString()
            found += _payloads(event)

    sealed = [payload for payload in found if payload.metadata.get("encoding") == b"binary/encrypted"]
    clear = [json.loads(payload.data) for payload in found if payload not in sealed]
    assert len(sealed) > 20
    # The SDK's own note of which way a workflow decides, by a name that stands in the code.
    for note in clear:
        assert note in ([WAITING_IS_RECORDED], {"id": WAITING_IS_RECORDED, "deprecated": False})
    opened = await EncryptionCodec(PAYLOAD_KEY).decode(sealed)
    inside = b"".join(payload.data for payload in opened)
    # The test looks in the right place: ids and codes are there, once decrypted.
    assert str(running.tenant_id).encode() in inside
    assert b"garrulous" in inside
    for words in SAID:
        assert words not in raw
        assert words not in inside
