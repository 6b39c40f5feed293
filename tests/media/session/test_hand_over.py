"""A session that another one takes over from: nobody has left, and the participant is let go to come back."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from domain.events.catalogue import ParticipantLeft, SentenceInterrupted
from domain.ids import ParticipantId, TenantId
from domain.ports import EventStore, Offer
from media.errors import AnotherParticipant, NoSession
from tests.media.session.rig import Models, live_call


async def test_the_connection_ends_and_the_call_does_not(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a participant in a call, when its session is handed over
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        await call.join()
        await call.caller.until(lambda: "speaking" in call.caller.states())
        session = call.live()
        call.drain.hand_over()
        drained = await call.session

        # Then what was being said is cut off as by a lost connection, and nobody is said to have left
        assert drained.gaps == ()
        causes = {cut.cause for cut in await call.of(SentenceInterrupted)}
        assert {"connection_lost"} <= causes <= {"connection_lost", "withdrawn"}
        assert await call.of(ParticipantLeft) == []
        assert "ended" not in call.caller.states()
        # And who comes back to it is sent to look for the one that goes on
        with pytest.raises(NoSession):
            await session.offer(Offer(call.participant_id, "v=0"))
        with pytest.raises(NoSession):
            session.leave(call.participant_id)


async def test_a_session_that_ends_sends_nobody_to_another(
    models: Models, event_store: EventStore, tenant_id: TenantId, tmp_path: Path
) -> None:
    # Given a session without a participant, when it ends
    async with live_call(models, event_store, tenant_id, tmp_path) as call:
        session = call.live()
        await call.end()

        # Then an offer is told that the conversation is over
        with pytest.raises(AnotherParticipant):
            await session.offer(Offer(ParticipantId(uuid4()), "v=0"))
