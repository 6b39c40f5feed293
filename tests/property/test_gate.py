"""The gate's promises for any text: whole numbers stay inside, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.events.catalogue import Verdict
from domain.mind.detectors import luhn
from domain.mind.gate import JUDGED_CHARS_MAX, TAIL_CHARS_MAX, Gate, GateState
from domain.mind.persona import Guardrail, PatternTest, PersonalData, PersonalDataTest, Policy, SecretTest
from domain.mind.spelling import clean, spell

GATE = Gate(
    Policy(
        rules=(
            Guardrail(
                guardrail_name="numbers",
                scope="output",
                test=PersonalDataTest(data=(PersonalData.CARD_NUMBER, PersonalData.EMAIL)),
                verdict=Verdict.REDACT,
                say="that",
            ),
            Guardrail(
                guardrail_name="secret",
                scope="output",
                test=SecretTest(secrets=("lantern orchid",)),
                verdict=Verdict.REFUSE,
                say="No.",
            ),
        ),
        handover="One moment.",
        blocked="No.",
    )
)
WORDS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905
separators = st.sampled_from([" ", "-", ", ", ". ", " - ", "  ", "\u00a0", "\u200b"])
texts = st.text(max_size=300)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """Sixteen digits that pass Luhn's check and begin as an issuer's do."""
    body = "4" + draw(st.text("0123456789", min_size=14, max_size=14))
    return next(body + last for last in "0123456789" if luhn(body + last))


@st.composite
def spelled_cards(draw: st.DrawFn) -> str:
    """A card number as it may be written or read out."""
    parts = []
    for digit in draw(card_numbers()):
        parts.append(WORDS[int(digit)] if draw(st.booleans()) else digit)
    out = parts[0]
    for before, part in pairwise(parts):
        plain = before.isdigit() and part.isdigit()
        out += (draw(separators) if not plain or draw(st.booleans()) else "") + part
        # Words that touch are one word, and no number any more.
    return out


def _spaced(card: str) -> str:
    return f"It is {card} as far as I see."


@given(card=spelled_cards().filter(lambda card: "\u200b" not in card))
def test_a_card_number_is_never_said_however_it_is_spelled(card: str) -> None:
    judgement = GATE.judge(_spaced(card), scope="output")
    assert judgement.verdict is Verdict.REDACT
    assert judgement.text_to_say == "It is that as far as I see."


@given(card=card_numbers(), cuts=st.lists(st.integers(2, 14), min_size=1, max_size=3, unique=True))
def test_a_card_number_dealt_out_over_sentences_is_never_said_whole(card: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(card)]
    parts = [card[a:b] for a, b in pairwise(places)]
    if min(len(part) for part in parts) < 2:
        return
    state, verdicts = GateState(), []
    for part in parts:
        judgement = GATE.judge(f"Next comes {part} here.", scope="output", state=state)
        state = judgement.state
        verdicts.append(judgement.verdict)
    assert Verdict.REDACT in verdicts


@given(text=texts)
def test_what_is_allowed_is_said_word_for_word(text: str) -> None:
    judgement = GATE.judge(text, scope="output")
    if judgement.verdict is Verdict.ALLOW:
        assert judgement.text_to_say == clean(text)


@given(text=texts, tail=st.text(max_size=TAIL_CHARS_MAX))
def test_the_same_text_is_always_judged_the_same(text: str, tail: str) -> None:
    state = GateState(tail)
    assert GATE.judge(text, scope="output", state=state) == GATE.judge(text, scope="output", state=state)


@given(text=texts)
def test_a_redacted_text_passes_the_gate(text: str) -> None:
    judgement = GATE.judge(text, scope="output")
    if judgement.verdict is Verdict.REDACT and judgement.text_to_say is not None:
        assert GATE.judge(judgement.text_to_say, scope="output").verdict is Verdict.ALLOW


@given(text=st.text(min_size=JUDGED_CHARS_MAX + 1, max_size=JUDGED_CHARS_MAX + 20, alphabet="ab "))
def test_nothing_that_cannot_be_judged_is_said(text: str) -> None:
    judgement = GATE.judge(text, scope="output")
    assert judgement.text_to_say == "No."
    assert judgement.stops_reply


@given(text=texts)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(text=texts)
def test_every_place_of_a_spelling_leads_back_into_the_text(text: str) -> None:
    spelled = spell(text)
    assert len(spelled.text) == len(spelled.starts) == len(spelled.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(spelled.starts, spelled.ends, strict=True))
    assert list(spelled.starts) == sorted(spelled.starts)


@given(text=texts)
def test_any_pattern_hit_stops_the_sentence(text: str) -> None:
    gate = Gate(
        Policy(
            rules=(
                Guardrail(
                    guardrail_name="x",
                    scope="output",
                    test=PatternTest(any_of=("[a-f]",)),
                    verdict=Verdict.REPLACE,
                    say="Zzz.",
                ),
            ),
            handover="Hm.",
            blocked="Hm.",
        )
    )
    stopped = gate.judge(text, scope="output").verdict is Verdict.REPLACE
    assert stopped == any(char in "abcdefABCDEF" for char in clean(text))
