"""The order of a call: wait, speak, listen, and so on to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ops.caller.ear import Ear
from ops.caller.errors import CallFailed
from ops.caller.latency import ANSWER_WITHIN_S, Run, Spoken
from ops.caller.mouth import Mouth
from ops.caller.sound import Sound

SILENCE_S = 1.0
REPLY_SECONDS_MAX = 180.0


async def converse(
    mouth: Mouth,
    ear: Ear,
    sounds: Sequence[Sound],
    *,
    barge_in_s: float | None,
    spoken: list[Spoken],
    on_said: Callable[[int], None] = lambda _: None,
) -> None:
    """Says each sound after the persona fell silent for a second; with `barge_in_s`, from the second on, that
    long after the persona began its reply. Returns when the last reply has been heard; `spoken` grows with
    each sound, so that a call that is cut short still has its figures. Where it holds some already, the call
    goes on behind them: on a new connection, on which the persona may have a word to say first."""
    loop = asyncio.get_running_loop()
    connected_s = loop.time()
    await ear.reply_after(0.0, within_s=connected_s + ANSWER_WITHIN_S)
    await _silence(ear, since_s=connected_s)
    for number in range(len(spoken), len(sounds)):
        sound = sounds[number]
        on_said(number)
        said = await mouth.say(sound)
        spoken.append(said)
        began_s = await _reply_began(ear, said)
        if barge_in_s is not None and number + 1 < len(sounds) and began_s is not None:
            await asyncio.sleep(max(0.0, began_s + barge_in_s - loop.time()))
        else:
            await _silence(ear)


async def _reply_began(ear: Ear, said: Spoken) -> float | None:
    """When the persona began to answer; a reply that runs on over the end of the question is the answer."""
    early = next(
        (run for run in ear.runs if said.first_s < run.began_s < said.last_s and run.ended_s >= said.last_s),
        None,
    )
    if early is not None:
        return early.began_s
    reply = await ear.reply_after(said.last_s, within_s=ANSWER_WITHIN_S)
    return None if reply is None else reply.began_s


def forget_unanswered(spoken: list[Spoken], replies: Sequence[Run], *, heard_until_s: float) -> None:
    """Takes back the last sound when the connection was lost before its answer was heard to the end, which
    is a second of silence. As a person would, the caller asks again; how long the line was away is no latency
    of an answer. `heard_until_s` is when the last packet came, silent ones too."""
    if not spoken:
        return
    last = spoken[-1]
    answers = [run for run in replies if run.began_s > last.first_s and run.ended_s >= last.last_s]
    if not answers or heard_until_s - answers[-1].ended_s < SILENCE_S:
        spoken.pop()


async def _silence(ear: Ear, *, since_s: float = 0.0) -> None:
    try:
        await asyncio.wait_for(ear.silence(SILENCE_S, since_s=since_s), REPLY_SECONDS_MAX)
    except TimeoutError:
        raise CallFailed(f"The persona has spoken for {REPLY_SECONDS_MAX:.0f} s without a pause.") from None
