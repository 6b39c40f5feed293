"""Card numbers that are dealt out over several phrases, with an "o" beside the digits."""

from __future__ import annotations

import pytest

from domain.mind.detectors import personal_data
from domain.mind.persona import PersonalData, PersonalDataTest

CARDS = PersonalDataTest(data=(PersonalData.CARD_NUMBER,))


@pytest.mark.parametrize(
    "text",
    [
        "o 4111 then 1111 then 1111 then 1111",
        "Oh, four one one one. Then one one one one. Then one one one one, then one one one one.",
        "It is 4111, oh, then oh, 1111, then 1111 and 1111 o.",
        "O, O, O, 4111 1111 and then 1111 1111.",
        "o 378282 and then 246310005",
    ],
)
def test_an_o_beside_the_groups_does_not_hide_a_card_number(text: str) -> None:
    assert personal_data(CARDS, text), text


@pytest.mark.parametrize(
    "text", ["o 4111 1111 1111 1111", "Number o4111111111111111", "4111 1111 1111 1111 o"]
)
def test_an_o_before_or_after_a_whole_card_number_does_not_hide_it(text: str) -> None:
    # Then what is taken out is the number, and only it
    (hit,) = personal_data(CARDS, text)
    ((start, end),) = hit.spans
    assert text[start:end].replace(" ", "") == "4111111111111111"


def test_an_o_that_is_a_digit_of_the_number_still_counts_as_one() -> None:
    # Given a card number one of whose groups begins and ends with a nought that is said as "oh"
    (hit,) = personal_data(CARDS, "five one oh five, then one oh five one, then oh five one oh, then 5100")

    # Then all four groups are found
    assert len(hit.spans) == 4


def test_what_is_taken_out_of_a_dealt_number_is_its_digits_without_the_o() -> None:
    text = "o 4111 then 1111 then 1111 then 1111"

    (hit,) = personal_data(CARDS, text)

    assert [text[start:end] for start, end in hit.spans] == ["4111", "1111", "1111", "1111"]


@pytest.mark.parametrize(
    "text",
    [
        "Oh, it was 1999, oh, or 2005; the claim is from 2019, then 2021.",
        "Oh 41 people called, then 1111 more, then 11.",
        "Call oh two oh, seven nine four six, oh one one two.",
        "0 4111 then 1111 then 1111 then 1112",
        "o 4111 then 1111 then 1111 then 1112",
    ],
)
def test_numbers_with_an_o_that_make_no_card_number_pass(text: str) -> None:
    assert personal_data(CARDS, text) == []
