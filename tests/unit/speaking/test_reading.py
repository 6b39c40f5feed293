"""How written words are read aloud."""

from __future__ import annotations

import pytest

from media.speaking.reading import GROUPED_DIGITS_MAX, NUMBER_DIGITS_MAX, origins, readings


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("item SN-20, please", "item S.N. 20, please"),
        ("policy HM-2024-00731.", "policy H.M. 2 0 2 4, 0 0 7, 3 1."),
        ("COVID-19 and MP3", "COVID 19 and MP3"),
        ("claims@harbour-mutual.example.", "claims at harbour dash mutual dot example."),
        ("a.b+c@x.example", "a dot b plus c at x dot example"),
        ("(https://www.harbour.example/faq/)", "(w w w dot harbour dot example slash faq)"),
        ("harbour.example/a?id=3", "harbour dot example slash a question mark id equals 3"),
        ("claim 20451882", "claim 2 0 4 5, 1 8 8 2"),
        ("code 0042", "code 0 0 4 2"),
        ("in 2026 it was 4200", "in 2026 it was 4200"),
        ("$1,200 or $1,200.50", "$1,200 or $1,200.50"),
        ("at 10:05 on 05/11/2026", "at 10:05 on 05/11/2026"),
        ("on 2026-11-24, 2019-2024", "on 2026-11-24, 2019-2024"),
        ("call 1-800-555-0199!", "call 1, 8 0 0, 5 5 5, 0 1 9 9!"),
        ("call (555) 123-4567", "call (5 5 5) 1 2 3, 4 5 6 7"),
        ("+44 20 7946 0958", "4 4 2 0 7 9 4 6 0 9 5 8"),
        ("card ****4821", "card 4 8 2 1"),
        ("4111 1111 1111 1111", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("page 4.2.1 of 12,5", "page 4.2.1 of 1 2, 5"),
        ("we are open 24/7.", "we are open 24 7."),
        ("**bold** and `code`", "bold and code"),
        ("[our policy](https://harbour.example/p)", "our policy"),
        ("ﬁre １２", "fire 12"),
        ("zero\u200bwidth", "zerowidth"),
        ("① x₂ ⑩ Ⅷ ⅔ ½ m² ٣", "1 x2 10 VIII 2/3 ½ m² 3"),
        ("it’s “fine”", "it’s “fine”"),
    ],
)
def test_what_is_written_is_read_so_that_a_listener_can_use_it(written: str, read: str) -> None:
    assert " ".join(readings(written.split())) == read


def test_each_written_word_has_one_reading() -> None:
    words = ["Write", "to", "claims@harbour.example", "—", "or", "call", "555-0199", "now", "👍"]

    assert len(readings(words)) == len(words)


def test_a_number_up_to_the_limit_is_an_amount_and_a_longer_one_is_spelled() -> None:
    assert readings(["9" * NUMBER_DIGITS_MAX]) == ["9" * NUMBER_DIGITS_MAX]
    assert readings(["9" * (NUMBER_DIGITS_MAX + 1)]) == ["9 9 9, 9 9"]


def test_an_amount_with_more_digits_than_have_a_name_is_spelled() -> None:
    most = ",".join(["999"] * (GROUPED_DIGITS_MAX // 3))

    assert readings([most]) == [most]
    assert readings([most + ",999"]) == [", ".join(["9 9 9"] * (GROUPED_DIGITS_MAX // 3 + 1))]


def test_words_that_a_rule_kept_keep_their_origin() -> None:
    assert origins(["a", "b", "c"], [0, 1, 2], ["a", "b", "c"]) == [0, 1, 2]


def test_several_words_made_of_one_belong_to_it() -> None:
    rewritten = ["at", "seven", "thirty", "sharp"]

    assert origins(["at", "7:30", "sharp"], [0, 1, 2], rewritten) == [0, 1, 1, 2]


def test_a_word_that_a_rule_adds_belongs_to_the_one_before() -> None:
    rewritten = ["paid", "3", "million", "dollars", "today"]

    assert origins(["paid", "$3", "million", "today"], [0, 1, 2, 3], rewritten) == [0, 1, 2, 2, 3]


def test_words_rewritten_together_share_what_came_of_them() -> None:
    # "3 May" is read "the third of May", "7:30 pm" is read "seven thirty P.M.".
    day = origins(["on", "3", "May"], [0, 1, 2], ["on", "the", "third", "of", "May"])
    hour = origins(["at", "7:30", "pm."], [0, 1, 2], ["at", "seven", "thirty", "P.M."])

    assert day == [0, 1, 1, 1, 2]
    assert hour == [0, 1, 1, 2]


def test_nothing_that_is_spoken_has_no_origin() -> None:
    assert origins([], [], ["left", "over"]) == [0, 0]
