"""The real synthesiser: what it says, how long, how loud, and where each word lies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.mind.emotion import Emotion
from domain.mind.sentences import SENTENCE_CHARS_MAX
from domain.speech import (
    CALLER_VOICE,
    DEFAULT_VOICE,
    PITCH_MAX,
    PITCH_MIN,
    RATE_MAX,
    RATE_MIN,
    VOICES,
    SynthesisedSentence,
    Voice,
    VoiceName,
)
from media.speaking.timing import LEAD_MS, TAIL_MS
from media.speaking.tts import (
    EMOTION_PROSODY,
    OUTPUT_RATE,
    TEXT_CHARS_MAX,
    UNSPEAKABLE_MS,
    HibariSynthesiser,
    NothingToSay,
    TextTooLong,
    prosody,
    shaped_melody,
    upsampled,
)

HEART = VOICES[DEFAULT_VOICE]
HEART_HZ = 200.0
CLAIM = "We found your claim and paid it on Thursday."

AWKWARD = [
    "Yes.", "No", "I", "A.", "Stop!", "Hmm…", "Is it?", "…", "!!!", "—", "👍", "你好", "Привет, мир.",
    "Zażółć gęślą jaźń.", "It costs $1,200.", "It costs $1,200.50, i.e. £3.2 million.",
    "€15 or ¥3,000 or ₹500", "12% of $0.99", "-5 °C", "Your item SN-20 is covered.",
    "Policy HM-2024-00731 is active.", "Claim 20451882 is open.", "Code 0042", "4111 1111 1111 1111",
    "On 3 May 2026 at 7:30 p.m. Dr. Smith called.", "2026-11-24", "11/24/2026", "Jan. 5th, 2019", "10:00",
    "at 24:61", "99/99/9999", "Write to claims@harbour-mutual.example today.",
    "See https://www.harbour.example/claims?id=3&x=y#top now.", "www.x.example/",
    "Call 1-800-555-0199 or (555) 123-4567.", "+44 20 7946 0958",
    "Section 4.2.1 (page 7) says: “no” — really…", "24/7 and/or N/A",
    "[link](http://x.example) **bold** _it_ `code` # x", "a*b*c", "x=y+z<w>v~u^t|s\\r",
    "Mr. O'Neil's 'quoted' word’s end'", "1st, 2nd, 23rd, 101st", "1,2,3", "1,000,000",
    "1,111,111,111,111,111,111,111", "9" * 60, "3/4 and 1/0", "½ m² ³ ™ © §4",
    "COVID-19 CEO NASA FAQ PDF H2O A1C", "iPhone15 4x4 10k 5km/h 3GB", "e.g. this etc. vs. that, et al.",
    "U.S. and U.K.", "a" * 80, "aaa-bbb_ccc/ddd", "ﬁne ｆｕｌｌ１２ wi\u200bdth", "tab\tand\nnew line",
    "  spaces   around  ", "(((", "\"'“”‘’\"", "a'b'c'd", "W W W", "É é ü ß ñ", "no-space,after,commas",
    "Well—yes–no-maybe", "١٢٣ ४५", ".5 and 5. and .", "$", "$ 5 $", "% & @ #", "[](/)", "@@", "a@b",
    "The a to in by the used a the an.", "[x](/ˈA/) y", "① ❷ x₂ ⑩ Ⅷ ⅔ 5⁷",
]  # fmt: skip


def samples(sentence: SynthesisedSentence) -> npt.NDArray[np.float64]:
    return np.frombuffer(sentence.pcm16, "<i2").astype(np.float64) / 32768


def loud_ms(sentence: SynthesisedSentence, dbfs: float = -40.0) -> list[int]:
    """Starts of the 10 ms windows above a level: what a caller takes for speech."""
    window = OUTPUT_RATE // 100
    audio = samples(sentence)
    power = np.square(audio[: len(audio) // window * window]).reshape(-1, window).mean(axis=1)
    return [int(at) * 10 for at in np.flatnonzero(power > 10 ** (dbfs / 10))]


def pitch_hz(sentence: SynthesisedSentence, *, around: float) -> float:
    """Median pitch of the clearly voiced stretches of 40 ms, looked for within 40 % of a value: half and
    double of a pitch look much like it."""
    audio, size = samples(sentence), OUTPUT_RATE // 25
    low, high = round(OUTPUT_RATE / (1.4 * around)), round(OUTPUT_RATE / (0.6 * around))
    found = []
    for start in range(0, len(audio) - size, size):
        piece = audio[start : start + size]
        matches = np.correlate(piece, piece, "full")[size - 1 :] / np.arange(size, 0, -1)
        best = low + int(np.argmax(matches[low:high]))
        if np.sqrt(np.mean(piece**2)) > 0.03 and matches[best] > 0.7 * matches[0]:
            found.append(OUTPUT_RATE / best)
    return float(np.median(found))


def assert_sound(text: str, sentence: SynthesisedSentence) -> None:
    """Whatever is said: all words in order, sounds without a gap, times inside the audio."""
    assert [word.w for word in sentence.words] == text.split()
    edges = [edge for word in sentence.words for edge in (word.start_ms, word.end_ms)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= sentence.duration_ms
    assert sentence.sounds[0].start_s == 0.0
    assert sentence.sounds[-1].end_s == pytest.approx(sentence.samples / OUTPUT_RATE)
    assert all(a.end_s == b.start_s for a, b in pairwise(sentence.sounds))
    assert all(sound.end_s >= sound.start_s for sound in sentence.sounds)
    assert sentence.sample_rate == OUTPUT_RATE
    assert sentence.samples > 0


@pytest.mark.parametrize("text", AWKWARD)
def test_every_word_of_an_awkward_text_has_its_time(synthesiser: HibariSynthesiser, text: str) -> None:
    assert_sound(text, synthesiser.synthesise(text, voice=HEART))


@given(st.lists(st.sampled_from([word for text in AWKWARD for word in text.split()]), min_size=1, max_size=7))
@settings(max_examples=60, deadline=None)
def test_any_mixture_of_awkward_words_keeps_every_word(
    synthesiser: HibariSynthesiser, words: list[str]
) -> None:
    text = " ".join(words)[:TEXT_CHARS_MAX].strip()

    assert_sound(text, synthesiser.synthesise(text, voice=HEART))


@given(st.text(alphabet="aZé09.,-$£€%:;/()'\"’@#&+= !?…—x*_~^<>|²½١①", min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_characters_can_be_spoken_or_passed_over(synthesiser: HibariSynthesiser, text: str) -> None:
    if text.split():
        assert_sound(text, synthesiser.synthesise(text, voice=HEART))


@pytest.mark.parametrize("text", ["Yes.", "Is that right?", CLAIM, "Thanks, five of them stopped."])
def test_silence_around_a_sentence_is_cut_to_the_named_remainders(
    synthesiser: HibariSynthesiser, text: str
) -> None:
    sentence = synthesiser.synthesise(text, voice=HEART)

    loud = loud_ms(sentence, dbfs=-50.0)
    assert loud[0] <= LEAD_MS + 10
    assert TAIL_MS - 10 <= sentence.duration_ms - (loud[-1] + 10) <= TAIL_MS + 10


def test_speech_is_as_loud_as_other_speech_and_is_not_clipped(synthesiser: HibariSynthesiser) -> None:
    for text in ("Yes.", CLAIM, "That sounds awful; I am sorry to hear it!"):
        audio = samples(synthesiser.synthesise(text, voice=HEART))
        active = audio[np.abs(audio) > 0.01]
        assert -25 < 20 * np.log10(np.sqrt(np.mean(active**2))) < -14
        assert np.abs(audio).max() < 0.98


def test_words_lie_where_the_sound_is(synthesiser: HibariSynthesiser) -> None:
    sentence = synthesiser.synthesise("Stop, stop, stop.", voice=HEART)

    loud = loud_ms(sentence)
    for word in sentence.words:
        inside = [at for at in loud if word.start_ms - 10 <= at < word.end_ms]
        assert len(inside) >= (word.end_ms - word.start_ms) // 30
    assert sentence.words[0].start_ms == LEAD_MS
    assert sentence.words[-1].end_ms == sentence.duration_ms - TAIL_MS


def test_a_number_is_one_word_over_its_whole_reading(synthesiser: HibariSynthesiser) -> None:
    sentence = synthesiser.synthesise("It is $1,200,345.67 now.", voice=HEART)

    _, _, amount, now = sentence.words
    assert amount.end_ms - amount.start_ms > 2500
    assert now.end_ms - now.start_ms < 600


def test_the_phonemes_of_a_sentence_are_all_there_with_their_stress(synthesiser: HibariSynthesiser) -> None:
    sentence = synthesiser.synthesise(CLAIM, voice=HEART)

    voiced = "".join(sound.phoneme for sound in sentence.sounds if sound.phoneme not in " .")
    assert voiced == "wifWndjʊɹklAmændpAdɪtɔnθɜɹzdA"
    assert {sound.phoneme for sound in sentence.sounds if sound.stress} >= {"W", "A", "ɜ"}


def test_the_same_text_in_the_same_voice_gives_the_same_bytes(synthesiser: HibariSynthesiser) -> None:
    first = synthesiser.synthesise(CLAIM, voice=HEART)
    synthesiser.synthesise("Something else.", voice=HEART)

    assert synthesiser.synthesise(CLAIM, voice=HEART) == first


def test_the_callers_voice_is_lower_by_its_factor(synthesiser: HibariSynthesiser) -> None:
    factor = VOICES[CALLER_VOICE].pitch
    own = pitch_hz(synthesiser.synthesise(CLAIM, voice=HEART), around=HEART_HZ)
    caller = pitch_hz(synthesiser.synthesise(CLAIM, voice=VOICES[CALLER_VOICE]), around=HEART_HZ * factor)

    assert caller / own == pytest.approx(factor, abs=0.05)


def test_a_faster_voice_takes_less_time(synthesiser: HibariSynthesiser) -> None:
    slow = synthesiser.synthesise(CLAIM, voice=Voice(VoiceName("slow"), rate=RATE_MIN))
    fast = synthesiser.synthesise(CLAIM, voice=Voice(VoiceName("fast"), rate=RATE_MAX))

    assert slow.duration_ms > 1.5 * fast.duration_ms
    assert_sound(CLAIM, slow)
    assert_sound(CLAIM, fast)


def test_an_emotion_is_heard_in_pitch_and_pace(synthesiser: HibariSynthesiser) -> None:
    neutral = synthesiser.synthesise(CLAIM, voice=HEART)
    sad = synthesiser.synthesise(CLAIM, voice=HEART, emotion=Emotion.DEJECTED, strength=1.0)
    excited = synthesiser.synthesise(CLAIM, voice=HEART, emotion=Emotion.EXCITED, strength=1.0)

    heard = [pitch_hz(sentence, around=HEART_HZ) for sentence in (sad, neutral, excited)]
    assert heard == sorted(heard)
    assert heard[2] > 1.1 * heard[0]
    assert sad.duration_ms > neutral.duration_ms > excited.duration_ms


def test_every_emotion_keeps_every_voice_within_what_can_be_understood() -> None:
    assert set(EMOTION_PROSODY) == set(Emotion)
    lowest = Voice(VoiceName("lowest"), pitch=PITCH_MIN, rate=RATE_MIN)
    highest = Voice(VoiceName("highest"), pitch=PITCH_MAX, rate=RATE_MAX)
    for emotion in Emotion:
        for voice in (lowest, highest, *VOICES.values()):
            moved = prosody(voice, emotion, 5.0)
            assert PITCH_MIN <= moved.pitch <= PITCH_MAX
            assert RATE_MIN <= moved.rate <= RATE_MAX


def test_without_strength_an_emotion_changes_nothing() -> None:
    moved = prosody(HEART, Emotion.ELATED, 0.0)

    assert (moved.pitch, moved.rate, moved.pitch_range) == (1.0, 1.0, 1.0)


def test_the_pitch_range_is_widened_around_the_mean_and_silence_stays_silent() -> None:
    f0 = np.asarray([0.0, 100.0, 200.0, 0.0], np.float32)

    wider = shaped_melody(f0, pitch=1.0, pitch_range=2.0)

    assert wider.tolist() == pytest.approx([0.0, 70.71, 282.84, 0.0], abs=0.01)


def test_upsampling_keeps_a_tone_and_its_place() -> None:
    at = np.arange(2400) / 24_000
    doubled = upsampled(np.sin(2 * np.pi * 3000 * at).astype(np.float32))

    expected = np.sin(2 * np.pi * 3000 * np.arange(4800) / 48_000)
    middle = slice(200, -200)
    assert np.abs(doubled[middle] - expected[middle]).max() < 0.002


def test_a_sentence_without_anything_to_say_is_a_short_silence(synthesiser: HibariSynthesiser) -> None:
    sentence = synthesiser.synthesise("👍 — …", voice=HEART)

    assert sentence.duration_ms == UNSPEAKABLE_MS
    assert not samples(sentence).any()
    assert_sound("👍 — …", sentence)


def test_a_text_over_the_limit_is_refused(synthesiser: HibariSynthesiser) -> None:
    at_limit = ("word " * TEXT_CHARS_MAX)[:TEXT_CHARS_MAX]
    assert_sound(at_limit, synthesiser.synthesise(at_limit, voice=HEART))

    with pytest.raises(TextTooLong, match=str(TEXT_CHARS_MAX)):
        synthesiser.synthesise(at_limit + "x", voice=HEART)


def test_the_longest_sentence_of_the_splitter_is_within_the_limit() -> None:
    assert SENTENCE_CHARS_MAX <= TEXT_CHARS_MAX


def test_a_text_without_a_word_is_refused(synthesiser: HibariSynthesiser) -> None:
    with pytest.raises(NothingToSay):
        synthesiser.synthesise(" \n ", voice=HEART)
