"""The benchmark measures what it says and leaves the process as it was."""

import pytest
import torch

from media.speaking.face.benchmark import SECONDS_MAX, measure
from media.speaking.face.renderer import SESSIONS_MAX


def test_a_short_run_gives_figures_for_speaking_and_listening(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    figures = measure(1.0, 2, "cpu")
    assert (figures.device, figures.texture_scale) == ("cpu", 1.0)
    assert (figures.sessions, figures.frames) == (2, 25)
    for times in (figures.speaking, figures.listening):
        assert 0 < times.least <= times.p50 <= times.p95
        assert times.core_share == pytest.approx(times.mean * 0.025)
    assert figures.listening.least < figures.speaking.p50
    assert figures.motion_ms > 0
    assert torch.get_num_threads() == threads
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "sessions", "reason"),
    [
        (0.5, 1, "1 to 600 seconds"),
        (SECONDS_MAX + 1, 1, "1 to 600 seconds"),
        (5.0, 0, "1 to 32 sessions"),
        (5.0, SESSIONS_MAX + 1, "1 to 32 sessions"),
    ],
)
def test_runs_out_of_bounds_are_refused(seconds: float, sessions: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        measure(seconds, sessions, "cpu")
