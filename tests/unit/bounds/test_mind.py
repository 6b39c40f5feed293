"""Limits of the mind: what may be, and what is refused, cut or forgotten beyond it."""

from __future__ import annotations

import pytest

from domain.conversation.phrases import LEADING_WORDS_MAX, STRANDED_WORDS_MAX, Phrase, phrase_of
from domain.conversation.transcript import Role
from domain.events.canonical import Json
from domain.mind import detectors, patterns, spelling
from domain.mind.detectors import (
    ALLOW_LISTS_MAX,
    CARD_DIGITS_MAX,
    LOCAL_DIGITS_MIN,
    PHONE_DIGITS_MAX,
    PREFIX_DIGITS_MAX,
    RUN_DIGITS_MAX,
    is_card_number,
    luhn,
    personal_data,
)
from domain.mind.grounded import (
    FOLLOW_UP_WORDS_MAX,
    LIST_WORDS_MAX,
    PASSAGE_SCORE_MAX,
    PASSAGES_READ_MAX,
    Candidate,
    candidates_of,
    scored,
    search_question,
    spoken_sentences,
)
from domain.mind.patterns import COMPILED_MAX, PATTERN_BYTES_MAX, PatternInvalid
from domain.mind.persona import (
    ALLOWED_TEXTS_MAX,
    DOCUMENTS_MAX,
    GUARDRAILS_MAX,
    PATTERNS_MAX,
    SECRETS_MAX,
    SPOKEN_CHARS_MAX,
    SYSTEM_PROMPT_CHARS_MAX,
    PersonaInvalid,
    PersonalData,
    PersonalDataTest,
    parse_persona,
)
from domain.mind.prompt import OwnTexts, Passage
from domain.mind.small_talk import REPEATED_SENTENCES_MAX, small_talk
from domain.mind.spelling import _AMOUNT_DIGITS_MAX, _CAPITALS_MAX, SEPARATORS_MAX, SPELLED_MAX, spell
from tests.unit.mind.policies import persona_document


def guardrail(test: Json, number: int = 0) -> Json:
    return {
        "guardrail_name": f"rule_{number}",
        "scope": "output",
        "test": test,
        "verdict": "replace",
        "say": "Silver.",
    }


def with_test(test: Json) -> dict[str, Json]:
    return {"guardrails": [guardrail(test)]}


def of_size(field: str, size: int) -> dict[str, Json]:
    """A persona's change in which that field has so many entries or characters."""
    words: list[Json] = [f"gold{number}" for number in range(size)]
    match field:
        case "greeting" | "system_prompt":
            return {field: "x" * size}
        case "documents":
            return {"documents": [{"title": f"Guide {number}", "text": "Text."} for number in range(size)]}
        case "guardrails":
            rules = [guardrail({"kind": "pattern", "any_of": ["gold"]}, number) for number in range(size)]
            return {"guardrails": rules}
        case "any_of":
            return with_test({"kind": "pattern", "any_of": words})
        case "unless":
            return with_test({"kind": "pattern", "any_of": ["gold"], "unless": words})
        case "allow":
            return with_test({"kind": "personal_data", "data": ["phone"], "allow": words})
        case _:
            return with_test({"kind": "secret", "secrets": words})


@pytest.mark.parametrize(
    ("field", "size_max"),
    [
        ("greeting", SPOKEN_CHARS_MAX),
        ("system_prompt", SYSTEM_PROMPT_CHARS_MAX),
        ("documents", DOCUMENTS_MAX),
        ("guardrails", GUARDRAILS_MAX),
        ("any_of", PATTERNS_MAX),
        ("unless", PATTERNS_MAX),
        ("allow", ALLOWED_TEXTS_MAX),
        ("secrets", SECRETS_MAX),
    ],
)
def test_a_persona_may_be_as_large_as_the_limit_and_one_more_is_refused(field: str, size_max: int) -> None:
    parse_persona(persona_document(**of_size(field, size_max)))

    with pytest.raises(PersonaInvalid) as refused:
        parse_persona(persona_document(**of_size(field, size_max + 1)))
    assert any(field in problem for problem in refused.value.problems)


def test_a_pattern_that_needs_more_memory_than_it_may_is_refused() -> None:
    assert PATTERN_BYTES_MAX == 1 << 20
    assert patterns.check(r"\pL{3}x")

    with pytest.raises(PatternInvalid, match="cannot be used"):
        patterns.check(r"(\pL{100}){10}x")


@pytest.mark.parametrize(
    ("known", "size_max"),
    [
        (lambda n: patterns.find(f"g{n}ld", f"g{n}ld"), COMPILED_MAX),
        (lambda n: spell(f"gate {n}"), SPELLED_MAX),
        (lambda n: detectors._allowed((f"desk{n}@example.org",)), ALLOW_LISTS_MAX),
    ],
    ids=["patterns", "spellings", "allow_lists"],
)
def test_what_is_remembered_is_bounded_and_the_rest_is_worked_out_again(known, size_max: int) -> None:  # type: ignore[no-untyped-def]  # three functions of different results
    caches = {
        COMPILED_MAX: patterns._compile,
        SPELLED_MAX: spelling.spell,
        ALLOW_LISTS_MAX: detectors._allowed,
    }
    first = known(0)

    for number in range(1, size_max + 5):
        known(number)

    assert caches[size_max].cache_info().currsize == size_max
    assert known(0) == first


def test_a_run_of_digits_that_is_too_long_to_be_searched_is_taken_out_whole() -> None:
    cards = PersonalDataTest(data=(PersonalData.CARD_NUMBER,))

    assert personal_data(cards, "0" * RUN_DIGITS_MAX) == []
    [hit] = personal_data(cards, "0" * (RUN_DIGITS_MAX + 1))
    assert hit.spans == ((0, RUN_DIGITS_MAX + 1),)


def with_check_digit(digits: str) -> str:
    return next(f"{digits}{check}" for check in range(10) if luhn(f"{digits}{check}"))


def test_a_card_number_has_so_many_digits_and_no_more() -> None:
    longest = with_check_digit("58" + "0" * (CARD_DIGITS_MAX - 3))

    assert len(longest) == CARD_DIGITS_MAX
    assert is_card_number(longest)
    assert not is_card_number(with_check_digit("58" + "0" * (CARD_DIGITS_MAX - 2)))


def test_a_telephone_number_has_so_many_digits_and_no_more() -> None:
    phones = PersonalDataTest(data=(PersonalData.PHONE,))

    assert personal_data(phones, "+" + "1" * PHONE_DIGITS_MAX)
    assert personal_data(phones, "+" + "1" * (PHONE_DIGITS_MAX + 1)) == []


def test_an_allowed_number_may_have_a_prefix_up_to_the_limit() -> None:
    local = "9460958"
    assert len(local) == LOCAL_DIGITS_MIN
    phones = PersonalDataTest(data=(PersonalData.PHONE,), allow=(local,))

    assert personal_data(phones, f"+{'1' * PREFIX_DIGITS_MAX}{local}") == []
    assert personal_data(phones, f"+{'1' * (PREFIX_DIGITS_MAX + 1)}{local}")


def test_capitals_are_a_code_up_to_the_limit_and_a_word_beyond() -> None:
    letters = "ABCDEFGH"

    assert spell(f"{letters[:_CAPITALS_MAX]} 12").text == f"{letters[:_CAPITALS_MAX]}12"
    assert spell(f"{letters[: _CAPITALS_MAX + 1]} 12").text == f"{letters[: _CAPITALS_MAX + 1]} 12"


def test_parts_are_one_number_up_to_so_many_separators_between_them() -> None:
    assert spell("twenty" + "-" * SEPARATORS_MAX + "one").text == "21"
    assert spell("twenty" + "-" * (SEPARATORS_MAX + 1) + "one").text == "201"

    # A separator sees as many others on each side of itself, so that it takes one more to part two digits.
    assert spell("1" + "-" * (SEPARATORS_MAX + 1) + "2").text == "12"
    assert "-" in spell("1" + "-" * (SEPARATORS_MAX + 2) + "2").text


def test_only_a_small_number_is_multiplied_by_the_word_after_it() -> None:
    assert spell("9" * _AMOUNT_DIGITS_MAX + " thousand").text == "9" * _AMOUNT_DIGITS_MAX + "000"
    assert spell("9" * (_AMOUNT_DIGITS_MAX + 1) + " thousand").text.endswith("9 thousand")


def test_a_stranded_preposition_ends_a_short_question_only() -> None:
    def asked(words: int) -> str:
        return " ".join(["What", "is", *["it"] * (words - 3), "for?"])

    assert phrase_of(asked(STRANDED_WORDS_MAX)) is Phrase.QUESTION
    assert phrase_of(asked(STRANDED_WORDS_MAX + 1)) is Phrase.DANGLING


def test_a_leading_word_makes_a_beginning_of_a_short_piece_only() -> None:
    def said(words: int) -> str:
        return " ".join(["And", *["people"] * (words - 1)]) + "."

    assert phrase_of(said(LEADING_WORDS_MAX)) is Phrase.OPEN
    assert phrase_of(said(LEADING_WORDS_MAX + 1)) is Phrase.STATEMENT


def test_what_is_repeated_is_the_last_few_sentences() -> None:
    texts = OwnTexts("Nora", "You are speaking with an AI.", "I don't have that.")
    said = [(Role.PERSONA, f"Sentence {number}.") for number in range(REPEATED_SENTENCES_MAX + 2)]

    assert small_talk("Say that again", said, texts) == tuple(
        text for _, text in said[-REPEATED_SENTENCES_MAX:]
    )
    assert small_talk("Say that again", said[:REPEATED_SENTENCES_MAX], texts) == tuple(
        text for _, text in said[:REPEATED_SENTENCES_MAX]
    )


def passage(text: str, score: float = 1.0) -> Passage:
    return Passage("d", "Guide", "d:0", "", text, 0, len(text), score)


def test_the_answer_is_looked_for_in_the_first_passages_only() -> None:
    passages = [passage(f"Sentence {number} stands here.") for number in range(PASSAGES_READ_MAX + 2)]

    assert {each.passage for each in candidates_of(passages)} == set(range(PASSAGES_READ_MAX))


def test_a_passage_s_score_counts_up_to_the_limit() -> None:
    def score(of_passage: float) -> float:
        [best] = scored("roof", [passage("A roof.", of_passage)], [Candidate("A roof.", 0, 0, None)], [0.5])
        return best.score

    assert score(PASSAGE_SCORE_MAX - 0.1) < score(PASSAGE_SCORE_MAX) == score(PASSAGE_SCORE_MAX * 10)


def test_a_question_that_leans_on_the_one_before_is_short() -> None:
    said = [(Role.USER, "Is water damage covered?")]
    words = ["basements", "garages", "sheds", "fences"]

    short = "And " + " ".join(words[:FOLLOW_UP_WORDS_MAX]) + "?"
    longer = "And " + " ".join(words[: FOLLOW_UP_WORDS_MAX + 1]) + "?"

    assert search_question(short, said) == f"Is water damage covered? {short}"
    assert search_question(longer, said) == longer


def test_a_list_is_one_sentence_up_to_so_many_words() -> None:
    items = "\n".join(f"- thing{number}" for number in range(LIST_WORDS_MAX + 20))

    first, *others = spoken_sentences(f"You need:\n\n{items}")

    assert len(first.split()) == LIST_WORDS_MAX
    assert len(others) == LIST_WORDS_MAX + 20 - (LIST_WORDS_MAX - 2)
