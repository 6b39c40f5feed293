"""What the API may rely on when it forwards to a media worker: the worker's real endpoint and the fake."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import httpx
import pytest

from domain.ids import ConversationId, ParticipantId, WorkerId
from domain.ports import Offer, OfferRefused
from media.errors import AnotherParticipant, BadOffer, NoSession
from ops.api import media_control
from ops.api.media_control import ANSWER_BYTES_MAX, HttpMediaControl
from ops.api.ports import MediaControl, WorkerAddressRefused, WorkerRefused, WorkerUnavailable
from ops.media_hosts import MediaHosts
from ops.processes.control import control_app
from tests.fakes.api import FakeMedia

HOSTS = MediaHosts.parse("worker.test, 127.0.0.1")
SECRET = "the control secret of the tests"
CONVERSATION = ConversationId(uuid4())
ANNA, BEN = ParticipantId(uuid4()), ParticipantId(uuid4())


class _Worker:
    """Stands where the media worker does, behind its real control endpoint."""

    worker_id = WorkerId(uuid4())
    sessions = 1

    def __init__(self) -> None:
        self.holds: dict[ConversationId, ParticipantId | None] = {CONVERSATION: None}
        self.answers_with = "v=0 answer"

    async def offer(self, conversation_id: ConversationId, offer: Offer) -> str:
        if conversation_id not in self.holds:
            raise NoSession("no session")
        if self.holds[conversation_id] not in (None, offer.participant_id):
            raise AnotherParticipant("another participant")
        if not offer.sdp.startswith("v=0"):
            raise BadOffer("no offer")
        self.holds[conversation_id] = offer.participant_id
        return self.answers_with

    def leave(self, conversation_id: ConversationId, participant_id: ParticipantId) -> None:
        if self.holds.pop(conversation_id, None) is None:
            raise NoSession("no session")


def _client(worker: _Worker) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(control_app(worker, SECRET))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport)


@pytest.fixture(params=["http", "fake"])
async def control(request: pytest.FixtureRequest) -> AsyncIterator[MediaControl]:
    if request.param == "fake":
        fake = FakeMedia()
        fake.sessions[CONVERSATION] = None
        yield fake
        return
    async with _client(_Worker()) as client:
        yield HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS)


async def test_an_offer_is_answered_again_and_again_for_its_participant(control: MediaControl) -> None:
    for _ in range(2):
        assert (await control.offer(FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0")).startswith("v=0")


async def test_each_refusal_has_its_reason(control: MediaControl) -> None:
    await control.offer(FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0")
    for conversation_id, participant_id, sdp, reason in [
        (ConversationId(uuid4()), ANNA, "v=0", OfferRefused.NO_SESSION),
        (CONVERSATION, BEN, "v=0", OfferRefused.ANOTHER_PARTICIPANT),
        (CONVERSATION, ANNA, "nonsense", OfferRefused.BAD_OFFER),
    ]:
        with pytest.raises(WorkerRefused) as refused:
            await control.offer(FakeMedia.ADDRESS, conversation_id, participant_id, sdp)
        assert refused.value.reason is reason


async def test_leaving_twice_is_leaving(control: MediaControl) -> None:
    await control.offer(FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0")

    for _ in range(2):
        await control.leave(FakeMedia.ADDRESS, CONVERSATION, ANNA)

    with pytest.raises(WorkerRefused):
        await control.offer(FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0")


async def test_a_worker_that_is_not_there_is_unavailable() -> None:
    async with httpx.AsyncClient(timeout=1) as client:
        nobody = HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS)
        with pytest.raises(WorkerUnavailable):
            await nobody.offer("http://127.0.0.1:9", CONVERSATION, ANNA, "v=0")
        with pytest.raises(WorkerUnavailable):
            await nobody.leave("http://127.0.0.1:9", CONVERSATION, ANNA)


async def test_nothing_is_sent_to_a_host_that_is_no_media_workers() -> None:
    # Given somebody who listens on a host that was not named
    sent: list[httpx.Request] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(_overheard(sent))) as client:
        control = HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS)

        # When the log names their address
        for address in ("http://127.0.0.2:80", "http://evil.test:80", "http://127.0.0.1:80/path", "none"):
            with pytest.raises(WorkerAddressRefused):
                await control.offer(address, CONVERSATION, ANNA, "v=0")
            with pytest.raises(WorkerAddressRefused):
                await control.leave(address, CONVERSATION, ANNA)

    # Then they hear nothing
    assert sent == []


async def test_a_worker_that_points_elsewhere_is_not_followed() -> None:
    sent: list[httpx.Request] = []
    async with media_control.control_client() as bounded:
        follows = bounded.follow_redirects
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(_overheard(sent)), follow_redirects=follows
    ) as client:
        control = HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS)
        with pytest.raises(WorkerUnavailable):
            await control.offer(FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0")

    assert [str(request.url.host) for request in sent] == ["worker.test"]


def _overheard(sent: list[httpx.Request]) -> Callable[[httpx.Request], httpx.Response]:
    """Sends whoever comes to another host."""

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(307, headers={"Location": "http://evil.test:80/"})

    return answer


async def test_a_worker_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_control, "FORWARD_S_MAX", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with media_control.control_client() as client:
            with pytest.raises(WorkerUnavailable):
                await HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS).offer(
                    address, CONVERSATION, ANNA, "v=0"
                )


async def test_a_worker_with_another_secret_is_unavailable() -> None:
    async with _client(_Worker()) as client:
        with pytest.raises(WorkerUnavailable):
            await HttpMediaControl(client, control_secret="another", hosts=HOSTS).offer(
                FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0"
            )


async def test_an_answer_beyond_its_bound_is_no_answer() -> None:
    worker = _Worker()
    worker.answers_with = "v" * (ANSWER_BYTES_MAX + 1)
    async with _client(worker) as client:
        with pytest.raises(WorkerUnavailable):
            await HttpMediaControl(client, control_secret=SECRET, hosts=HOSTS).offer(
                FakeMedia.ADDRESS, CONVERSATION, ANNA, "v=0"
            )
