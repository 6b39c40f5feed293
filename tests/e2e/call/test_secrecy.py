"""What people say and write stands in the record and in the recordings, and nowhere else: calls that go well
and requests that go wrong, each with words in it that can be looked for."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from domain.ids import PersonaId
from ops.caller.api import Api
from ops.caller.ear import Ear
from ops.caller.eye import Eye
from ops.caller.line import Line, Senses
from ops.caller.mouth import Mouth
from ops.devstack.postgres import EmbeddedPostgres
from ops.stack.child import LOG_BYTES_MAX
from tests.e2e.call.browser import BrowserCall
from tests.e2e.call.traces import forms, traces, traces_in_files, traces_in_sqlite
from tests.stack import RunningStack, payloads, until
from workflows.codec import EncryptionCodec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Of what was typed; see the call.
TYPED_WORDS = ("Araminta", "Quillfeather", "7740291836", "polymyositis")
# Of requests that are refused, and of a call whose database goes away.
REFUSED_WORDS = ("Thaddeus", "Ottershaw", "5519027734", "sarcoidosis")
REFUSED = "Thaddeus Ottershaw, account 5519027734, suffers from sarcoidosis"
# As many words of either side in a row are nobody else's.
PHRASE_WORDS = 4
AWAY_S = 3.0
ROTATED_WITHIN_S = 45.0
CONNECTED_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def rotating(running: RunningStack) -> Path:
    """Logs that are about to be moved aside: a hole brings them above their limit."""
    logs = running.folder / "logs"
    for log in logs.glob("*.log"):
        os.truncate(log, max(log.stat().st_size, LOG_BYTES_MAX) + 1)
    return logs


def test_what_was_said_stands_nowhere_but_in_the_record(
    rotating: Path, running: RunningStack, browser_call: BrowserCall
) -> None:
    # Given a call in which a person spoke, and a name, a number and a diagnosis were typed, beside which
    # requests with such words were refused and the database went away under them
    for status in refused_requests(running):
        assert status >= 400
    broken = asyncio.run(call_without_a_database(running))

    # When everything that was said is looked for, as the record holds it
    events = running.events(browser_call.conversation_id)
    words = [*said_by_the_person(events), *TYPED_WORDS, *REFUSED_WORDS, *said_by_the_persona(events)]
    record = json.dumps([events, running.events(broken)], ensure_ascii=False)
    assert {word for word in words if word not in record} == set()
    assert len(said_by_the_person(events)) >= 1, "the recogniser made out none of what was said"
    until(lambda: any(rotating.glob("*.log.1")), within_s=ROTATED_WITHIN_S)

    # Then it is in no file and no file's name, in no log, kept or moved aside, and in no output
    assert traces_in_files(running.folder, words) == []
    assert traces(words, running.output.encode()) == []
    # And not in what Temporal keeps, neither compressed nor under its encryption
    assert traces_in_sqlite(running.folder / "temporal.db", words) == []
    inside = asyncio.run(histories(running))
    assert browser_call.conversation_id.encode() in inside, "the right place to look"
    assert traces(words, inside) == []


@pytest.mark.parametrize("word", ["polymyositis", "Quillfeather", "seven weeks"])
def test_a_word_is_found_in_every_form_in_which_it_might_stand(word: str, tmp_path: Path) -> None:
    for number, form in enumerate(forms(word)):
        (tmp_path / f"{number}.log.1").write_bytes(b"\xff{" + form + b"}\0")
    for shift in range(3):
        (tmp_path / f"base64-{shift}.log").write_bytes(base64.b64encode(b"." * shift + word.encode() + b"!?"))
    (tmp_path / f"{word}.txt").touch()
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "said.ogg").write_bytes(word.encode())

    found = {name for name, _ in traces_in_files(tmp_path, [word])}

    assert found == {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*.*")}


def said_by_the_person(events: list[dict[str, Any]]) -> list[str]:
    """What the recogniser made of the voice, and of a name where one was spoken."""
    heard = [p["text"] for p in payloads(events, "utterance.transcribed") if p["source"] == "speech"]
    rare = [word for word in re.findall(r"\w+", " ".join(heard)) if re.match(r"(?i)winterb", word)]
    return [*phrases(heard), *rare]


def said_by_the_persona(events: list[dict[str, Any]]) -> list[str]:
    return phrases(sentence["text"] for sentence in payloads(events, "sentence.committed"))


def phrases(texts: Iterable[str]) -> list[str]:
    """Every few words in a row."""
    found: set[str] = set()
    for text in texts:
        words = text.split()
        found |= {" ".join(words[at : at + PHRASE_WORDS]) for at in range(len(words) - PHRASE_WORDS + 1)}
    return sorted(found)


def refused_requests(running: RunningStack) -> Iterator[int]:
    """Requests with words at every place that a request has, none of them good."""
    address, key = running.link.split("/#key=")
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        post = client.post
        conversations = "/v1/conversations"
        yield post(conversations, json={"persona_id": REFUSED}).status_code
        yield post(conversations, json={"conversational_context": [REFUSED]}).status_code
        yield post(conversations, content=f'{{"broken": "{REFUSED}'.encode()).status_code
        yield post("/v1/personas", json={"name": REFUSED, "greeting": {"oops": REFUSED}}).status_code
        yield post(
            "/v1/personas", content=f"name: [{REFUSED}", headers={"Content-Type": "application/yaml"}
        ).status_code
        yield client.get(f"{conversations}/{REFUSED}").status_code
        yield client.get(conversations, params={"limit": REFUSED}).status_code
        yield client.get(f"/{REFUSED}", headers={"User-Agent": REFUSED, "Referer": REFUSED}).status_code
        yield client.get(conversations, headers={"Authorization": f"Bearer {REFUSED}"}).status_code
        missing = "00000000-0000-4000-8000-000000000000"
        yield post(f"{conversations}/{missing}/join", json={"join_token": REFUSED}).status_code
        yield post(f"{conversations}/{missing}/offer", json={"sdp": REFUSED, "type": "offer"}).status_code


async def call_without_a_database(running: RunningStack) -> str:
    """Sends the worker what is no message, and then something to answer while there is no Postgres: retrieval
    and record both fail with the words in their hands. Returns the conversation when it has been answered."""
    address, key = running.link.split("/#key=")
    told: list[object] = []
    news = asyncio.Event()

    def tell(message: object) -> None:
        told.append(message)
        news.set()

    async def until_told(kind: str, **fields: str) -> None:
        while not any(isinstance(m, dict) and m.items() >= {"type": kind, **fields}.items() for m in told):
            news.clear()
            await news.wait()

    async with Api(address, key) as api, asyncio.timeout(CONNECTED_WITHIN_S):
        found = running.ask("persona", "list")["personas"]
        persona = next(each["persona_id"] for each in found if each["name"] == "Ivo")
        invitation = await api.invite(PersonaId(persona))
        membership = await api.join(invitation)
        line = Line(Senses(Mouth(), Ear(), Eye()), tell)
        try:
            await line.open(lambda sdp: api.offer(invitation.conversation_id, membership, sdp))
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(line.keep())
                await until_told("state", state="speaking")
                line.send({"type": REFUSED, "text": REFUSED})
                line.send({"type": "text", "words": REFUSED})
                line.send({"type": "text", "text": f"{REFUSED}. " * 100})
                server = EmbeddedPostgres(running.folder / "postgres")
                await asyncio.to_thread(server.interrupt)
                line.send({"type": "text", "text": f"{REFUSED}. What about complaints?"})
                # And the API in the middle of the same outage.
                status = await asyncio.to_thread(invite_with_words, running, persona)
                assert status >= 500
                await asyncio.to_thread(server.resume)
                told.clear()
                await until_told("caption", role="persona")
                keeping.cancel()
        finally:
            await line.close()
        await api.end(invitation.conversation_id)
    return str(invitation.conversation_id)


def invite_with_words(running: RunningStack, persona: str) -> int:
    address, key = running.link.split("/#key=")
    body = {"persona_id": persona, "conversational_context": REFUSED, "custom_greeting": REFUSED}
    headers = {"Authorization": f"Bearer {key}"}
    time.sleep(AWAY_S / 2)
    return httpx.post(f"{address}/v1/conversations", json=body, headers=headers, timeout=60).status_code


async def histories(running: RunningStack) -> bytes:
    """All that Temporal was ever told, decrypted."""
    address = json.loads((running.folder / "run.json").read_text())["temporal_address"]
    secrets = json.loads((running.folder / "secrets.json").read_text())
    codec = EncryptionCodec(base64.b64decode(secrets["payload_key"]))
    client = await Client.connect(address)
    raw: list[bytes] = []
    async for run in client.list_workflows():
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        for event in history.events:
            raw.append(event.SerializeToString())
            sealed = [p for p in sealed_in(event) if p.metadata.get("encoding") == b"binary/encrypted"]
            raw += [payload.data for payload in await codec.decode(sealed)]
    return b"\0".join(raw)


def sealed_in(message: Message) -> Iterator[Payload]:
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if isinstance(value, Message):
            yield from sealed_in(value)
            continue
        for each in value.values() if hasattr(value, "values") else value:
            if isinstance(each, Message):
                yield from sealed_in(each)
