"""From times of speech to latency: what counts, what is a cut-in, and what is silence."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.ids import TurnId
from ops.caller.document import latency_figures, stage_figures
from ops.caller.latency import ANSWER_WITHIN_S, Run, Spoken, TurnLatency, measure, percentile
from ops.caller.phone import Stages
from ops.caller.ring import Outcome


def test_latency_runs_from_the_last_speech_sent_to_the_first_received() -> None:
    [turn] = measure([Spoken(10.0, 12.0)], [Run(1.0, 5.0), Run(12.8, 15.0)])

    assert turn.latency_ms == pytest.approx(800)
    assert turn.cut_ins == 0


def test_each_file_has_the_first_reply_after_it() -> None:
    turns = measure([Spoken(10, 12), Spoken(20, 21)], [Run(12.5, 14), Run(16, 17), Run(22, 23)])

    assert [turn.latency_ms for turn in turns] == [pytest.approx(500), pytest.approx(1000)]


def test_a_reply_that_begins_before_the_last_speech_is_a_cut_in_and_has_no_latency() -> None:
    turns = measure([Spoken(10, 14)], [Run(12, 16)])

    assert turns == [TurnLatency(latency_ms=None, cut_ins=1)]
    assert latency_figures(turns).model_dump() == {
        **{"turns": 1, "p50": None, "p95": None, "max": None},
        **{"each": [], "cut_ins": 1},
    }


def test_an_answer_after_a_cut_in_counts() -> None:
    figures = latency_figures(measure([Spoken(10, 14)], [Run(12, 12.4), Run(15, 16)]))

    assert (figures.each, figures.cut_ins) == ([1000], 1)


def test_no_answer_in_time_is_null() -> None:
    late = 12.0 + ANSWER_WITHIN_S + 0.1

    figures = latency_figures(measure([Spoken(10, 12)], [Run(late, late + 1)]))

    assert figures.each == [None]


def test_an_answer_to_the_next_file_is_none_to_this_one() -> None:
    figures = latency_figures(measure([Spoken(10, 12), Spoken(20, 21)], [Run(21.5, 22)]))

    assert figures.each == [None, 500]


def test_what_was_spoken_over_is_neither_an_answer_nor_a_cut_in() -> None:
    [_, second] = measure([Spoken(10, 12), Spoken(14, 16)], [Run(13, 14.25), Run(17, 18)])

    assert second.latency_ms == pytest.approx(1000)
    assert second.cut_ins == 0
    assert second.barge_in_silence_ms == pytest.approx(250)


def stages(total_ms: float) -> Stages:
    return Stages(
        turn_id=TurnId(uuid4()),
        end_of_turn=total_ms - 40,
        recognition=10,
        answer=10,
        gate_and_commit=10,
        synthesis=10,
    )


def test_transport_is_what_the_stages_do_not_account_for() -> None:
    # Between the two turns come the stages of a reply that was never heard.
    outcome = Outcome(
        spoken=[Spoken(10, 12), Spoken(20, 21), Spoken(30, 31)],
        replies=[Run(12.5, 14), Run(22, 23), Run(31.7, 32)],
        stages=[(12.4, stages(400)), (17.0, stages(9000)), (21.9, stages(900)), (31.6, stages(640))],
    )

    figures = stage_figures(outcome, measure(outcome.spoken, outcome.replies))

    assert figures.transport == pytest.approx(100)
    assert figures.end_of_turn == pytest.approx(600)
    assert figures.recognition == 10


def test_without_stages_there_are_none_to_show() -> None:
    outcome = Outcome(spoken=[Spoken(10, 12)], replies=[Run(12.5, 14)])

    assert set(stage_figures(outcome, measure(outcome.spoken, outcome.replies)).model_dump().values()) == {
        None
    }


@pytest.mark.parametrize(("share", "value"), [(0.5, 20.0), (0.95, 40.0), (0.25, 10.0), (1.0, 40.0)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([40.0, 10.0, 30.0, 20.0], share) == value
