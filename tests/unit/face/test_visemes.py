"""The mouth of a sentence."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.speech import Sound
from media.speaking.face.rig import MOUTH
from media.speaking.face.visemes import FRAME_S, FRAME_S_MAX, LEAD_S, PHONEMES, VISEMES, VOWELS, MouthTrack

PRESS = VISEMES["PP"]["press"]
TUCK = VISEMES["FF"]["tuck"]
# Every symbol that the built-in synthesiser's dictionary uses for a sound.
SPOKEN = "AIOQTWYabdefhijklmnopstuvwxzæðŋɐɑɒɔəɚɛɜɡɪɫɹɾʃʊʌʒʔʤʧθᵊᵻ"


def said(*parts: tuple[str, float], start_s: float = 0.0) -> list[Sound]:
    """Sounds one after another, each with its length in seconds."""
    sounds, clock = [], start_s
    for phoneme, length in parts:
        sounds.append(Sound(phoneme, clock, clock + length))
        clock += length
    return sounds


def frames(track: MouthTrack, key: str, first_s: float, last_s: float) -> list[float]:
    name = next(n for n in MOUTH if n == key)
    count = int((last_s - first_s) / FRAME_S)
    times = [first_s + k * FRAME_S for k in range(-1, count)]
    return [track.shape(now, before)[name] for before, now in itertools.pairwise(times)]


def test_every_spoken_phoneme_has_a_mouth_shape() -> None:
    assert [phoneme for phoneme in SPOKEN if phoneme not in PHONEMES] == []
    assert set(VOWELS) <= set(PHONEMES)


def test_a_closure_shorter_than_a_frame_is_whole_on_the_frame_nearest_to_its_middle() -> None:
    track = MouthTrack(said(("ɑ", 0.30), ("m", 0.020), ("ɑ", 0.30)))
    shut = [k for k, press in enumerate(frames(track, "press", 0.0, 0.7)) if press >= PRESS]
    # Its middle is at 310 ms; the picture is ahead by the lead, so frame 7 (270 ms + lead) is due.
    assert shut == [round((0.310 - LEAD_S) / FRAME_S)]


@settings(deadline=None)
@given(offset=st.floats(0.0, FRAME_S), length=st.floats(0.015, 0.035))
def test_a_short_closure_is_whole_on_exactly_one_frame_wherever_frames_fall(
    offset: float, length: float
) -> None:
    track = MouthTrack(said(("ɑ", 0.3), ("p", length), ("ɑ", 0.3)))
    shut = [press for press in frames(track, "press", offset, 0.6) if press >= PRESS]
    assert len(shut) == 1


@settings(deadline=None)
@given(
    moves=st.lists(st.sampled_from([0.0, 0.02, 0.04, 0.06, 0.08]), min_size=8, max_size=40),
    middle_s=st.floats(0.3, 0.5),
)
@example(moves=[0.0] * 6 + [0.04, 0.02], middle_s=0.30000000000000004)  # On the border of two frames.
def test_no_closure_is_missed_when_the_playout_clock_moves_unevenly(
    moves: list[float], middle_s: float
) -> None:
    sounds = [
        Sound("ɑ", 0.0, middle_s - 0.01),
        Sound("b", middle_s - 0.01, middle_s + 0.01),
        Sound("ɑ", middle_s + 0.01, 2.0),
    ]
    track, at_s, shut = MouthTrack(sounds), 0.2, 0
    for move in [*moves, *[0.04] * 20]:
        before_s, at_s = at_s, at_s + move
        shut += track.shape(at_s, before_s)["press"] >= PRESS
    assert shut == 1


def test_a_frame_that_comes_very_late_does_not_show_what_is_long_past() -> None:
    track = MouthTrack(said(("ɑ", 0.3), ("m", 0.02), ("ɑ", 0.6)))
    assert track.shape(0.31 + FRAME_S_MAX + 0.02, since_s=-5.0)["press"] < 0.2


def test_teeth_touch_the_lip_on_f() -> None:
    track = MouthTrack(said(("ɑ", 0.2), ("f", 0.09), ("ɑ", 0.2)))
    assert max(frames(track, "tuck", 0.0, 0.5)) >= TUCK
    assert track.shape(0.05)["tuck"] < 0.2


def test_lips_round_before_a_rounded_vowel_sounds_but_not_long_before_speech() -> None:
    track = MouthTrack(said((" ", 0.4), ("s", 0.10), ("u", 0.15), (" ", 0.4)))
    assert track.shape(0.42)["round"] > 0.15
    assert track.shape(0.05)["round"] < 0.1
    assert track.shape(0.54)["round"] > 0.6


def test_an_open_vowel_opens_wider_when_stressed() -> None:
    plain = MouthTrack([Sound("ɑ", 0.0, 0.2)])
    stressed = MouthTrack([Sound("ɑ", 0.0, 0.2, stress=True)])
    assert stressed.shape(0.06)["jaw"] > plain.shape(0.06)["jaw"] > 0.5
    assert (stressed.stress(0.1), plain.stress(0.1), stressed.stress(0.25)) == (1.0, 0.0, 0.0)


def test_stress_on_a_consonant_is_no_beat() -> None:
    assert MouthTrack([Sound("k", 0.0, 0.1, stress=True)]).stress(0.05) == 0.0


def test_a_diphthong_moves_from_its_first_shape_to_its_second() -> None:
    track = MouthTrack([Sound("W", 0.0, 0.3)])
    early, late = track.shape(0.03), track.shape(0.2)
    assert early["jaw"] > late["jaw"]
    assert early["round"] < late["round"]


@pytest.mark.parametrize("at_s", [-3.0, 9.0])
def test_far_from_any_sound_the_mouth_rests(at_s: float) -> None:
    assert set(MouthTrack(said(("ɑ", 0.3))).shape(at_s).values()) == {0.0}
    assert set(MouthTrack([]).shape(at_s).values()) == {0.0}


def test_sounds_may_come_in_any_order_and_unknown_ones_are_silence() -> None:
    sounds = said(("p", 0.1), ("ɑ", 0.2), ("?", 0.2))
    assert MouthTrack(sounds).shape(0.12) == MouthTrack(sounds[::-1]).shape(0.12)
    assert MouthTrack(sounds).shape(0.45)["jaw"] < 0.1
