from __future__ import annotations

import time

import pytest

from domain.events.catalogue import Verdict
from domain.mind.gate import (
    INPUT_CHARS_MAX,
    JUDGED_CHARS_MAX,
    TAIL_CHARS_MAX,
    Gate,
    GateState,
    check_publishable,
)
from domain.mind.persona import (
    Guardrail,
    PatternTest,
    PersonaInvalid,
    PersonalData,
    PersonalDataTest,
    SecretTest,
    parse_persona,
)
from tests.unit.mind.policies import BLOCKED, HANDOVER, pattern, persona_document, policy, rule

CARD = "4111 1111 1111 1111"
ALL_DATA = PersonalDataTest(
    data=tuple(PersonalData),
    allow=("020 7946 0112", "claims@northwick.example"),
    policy_number_pattern=r"\bNM-?\d{5,8}\b",
)
NO_NUMBERS = rule("no_numbers", ALL_DATA, Verdict.REDACT)
NO_PROMISE = rule(
    "no_promise",
    pattern(r"\bwill be paid\b", unless=(r"\bcan't say whether [^.;]*",)),
    Verdict.REPLACE,
    say="I can't promise that.",
)
SECRETS = rule(
    "secrets",
    SecretTest(secrets=("quiet otter", "HERON 77", "18,400 pounds", "lantern-orchid", "Piano")),
    Verdict.REFUSE,
    say="I can't share that.",
)


def test_a_sentence_that_meets_no_rule_is_allowed_word_for_word() -> None:
    judgement = Gate(policy(NO_PROMISE, NO_NUMBERS)).judge("You have thirty days.", scope="output")
    assert judgement.verdict is Verdict.ALLOW
    assert judgement.text_to_say == "You have thirty days."
    assert judgement.rule is None
    assert judgement.evaluated == ("no_promise", "no_numbers")
    assert not judgement.stops_reply


def test_words_of_a_person_that_meet_no_rule_say_nothing() -> None:
    gate = Gate(policy(rule("fire", pattern("fire"), Verdict.ESCALATE, scope="input")))
    judgement = gate.judge("When do you open?", scope="input")
    assert (judgement.verdict, judgement.text_to_say) == (Verdict.ALLOW, None)


def test_rules_of_the_other_scope_are_not_evaluated() -> None:
    gate = Gate(policy(NO_PROMISE, rule("fire", pattern("fire"), Verdict.ESCALATE, scope="input")))
    assert gate.judge("There is a fire.", scope="output").evaluated == ("no_promise",)
    assert gate.judge("It will be paid.", scope="input").evaluated == ("fire",)


def test_escalation_says_its_own_text_or_the_handover() -> None:
    own = rule("a", pattern("smoke"), Verdict.ESCALATE, scope="input", say="Please leave the house.")
    gate = Gate(policy(own, rule("b", pattern("human"), Verdict.ESCALATE, scope="input")))
    assert gate.judge("I see smoke", scope="input").text_to_say == "Please leave the house."
    judgement = gate.judge("A human, please", scope="input")
    assert (judgement.rule, judgement.text_to_say) == ("b", HANDOVER)
    assert judgement.stops_reply


def test_the_strictest_verdict_decides_and_the_earlier_rule_among_equals() -> None:
    gate = Gate(
        policy(
            rule("soft", pattern("gold"), Verdict.REPLACE, say="First."),
            rule("first", pattern("gold"), Verdict.END, say="Goodbye."),
            rule("second", pattern("gold"), Verdict.END, say="Farewell."),
        )
    )
    judgement = gate.judge("Buy gold.", scope="output")
    assert (judgement.rule, judgement.text_to_say) == ("first", "Goodbye.")


def test_an_allow_rule_names_itself_and_changes_nothing() -> None:
    judgement = Gate(policy(rule("seen", pattern("gold"), Verdict.ALLOW))).judge("Gold.", scope="output")
    assert (judgement.verdict, judgement.rule, judgement.text_to_say) == (Verdict.ALLOW, "seen", "Gold.")


def test_an_exception_excuses_only_the_hit_that_lies_inside_it() -> None:
    gate = Gate(policy(NO_PROMISE))
    assert gate.judge("I can't say whether it will be paid.", scope="output").verdict is Verdict.ALLOW
    sly = "I can't say whether it rained; your claim will be paid."
    assert gate.judge(sly, scope="output").verdict is Verdict.REPLACE


@pytest.mark.parametrize(
    "text",
    [
        f"Your card is {CARD}.",
        "Your card is 4111-1111-1111-1111.",
        "Your card is 4111.1111.1111.1111.",
        "It is four one one one, one one one one, one one one one, double one double one.",
        "It is ٤١١١ ١١١١ ١١١١ ١١١١.",
        "It is 4\u200b111 1111 1111 1111.",
        "Spread out it is 4111 - - - - - - - 1111 - - - - - - - 1111 - - - - - - - 1111.",
        "American Express 3782 822463 10005.",
        "The account is GB29 NWBK 6016 1331 9268 19.",
        "G B two nine N W B K six zero one six one three three one nine two six eight one nine",
        "Your policy is NM-20815.",
        "Policy N M dash two zero eight one five.",
        "Write to jane.smith@example.com.",
        "Write to jane dot smith at example dot com.",
        "Call oh two oh, seven nine four six, zero one one three.",
        "Call +44 20 7946 0113.",
        "Call (212) 555-0143.",
        "Go to www.shoplux.com now.",
        "Go to shareinfo dot com.",
        "See https://example.org/reset?x=1 for more.",
    ],
)
def test_what_identifies_a_person_is_taken_out_however_it_is_spelled(text: str) -> None:
    judgement = Gate(policy(NO_NUMBERS)).judge(text, scope="output")
    assert judgement.verdict is Verdict.REDACT
    said = judgement.text_to_say or ""
    assert "don't read out" in said
    assert not any(char.isdigit() for char in said)


@pytest.mark.parametrize(
    "text",
    [
        "Your card ends in 1111.",
        "Call 020 7946 0112.",
        "Call oh two oh, seven nine four six, zero one one two.",
        "From abroad it is +44 20 7946 0112.",
        "Write to claims@northwick.example.",
        "Write to claims at northwick dot example.",
        "The limits are 4,000, 5,000, 6,000 and 7,000 pounds from 1999 to 2010.",
        "You have 30 days from the 24th of November 2026, until 10:30.",
        "Your reference is 4111 1111 1111 1112.",
        "I can't share that. Please look at the letter.",
    ],
)
def test_numbers_that_identify_nobody_may_be_said(text: str) -> None:
    judgement = Gate(policy(NO_NUMBERS)).judge(text, scope="output")
    assert (judgement.verdict, judgement.text_to_say) == (Verdict.ALLOW, text)


def _reply(gate: Gate, *sentences: str) -> list[Verdict]:
    state = GateState()
    verdicts = []
    for sentence in sentences:
        judgement = gate.judge(sentence, scope="output", state=state)
        state = judgement.state
        verdicts.append(judgement.verdict)
    return verdicts


def test_a_number_dealt_out_over_sentences_is_stopped_at_its_last_part() -> None:
    verdicts = _reply(
        Gate(policy(NO_NUMBERS)),
        "The first eight digits are 4111 1111.",
        "Then come 1111.",
        "The last four are 1111.",
    )
    assert verdicts == [Verdict.ALLOW, Verdict.ALLOW, Verdict.REDACT]


def test_a_pattern_that_straddles_two_sentences_is_stopped() -> None:
    gate = Gate(policy(rule("promise", pattern(r"will\W+be\W+paid"), Verdict.REFUSE, say="No.")))
    assert _reply(gate, "Your claim will", "be paid.") == [Verdict.ALLOW, Verdict.REFUSE]


def test_what_was_allowed_before_is_not_judged_again() -> None:
    gate = Gate(policy(rule("gold", pattern("gold"), Verdict.REFUSE, say="No.")))
    judgement = gate.judge("And now to silver.", scope="output", state=GateState("Gold is heavy."))
    assert judgement.verdict is Verdict.ALLOW


def test_anchors_of_a_pattern_mean_the_sentence() -> None:
    gate = Gate(policy(rule("yes", pattern(r"^yes\b"), Verdict.REPLACE, say="Maybe.")))
    judgement = gate.judge("Yes, you are.", scope="output", state=GateState("Let me see."))
    assert judgement.verdict is Verdict.REPLACE


def test_what_the_gate_remembers_is_bounded() -> None:
    gate, state = Gate(policy()), GateState()
    for _ in range(50):
        state = gate.judge("A sentence of middling length.", scope="output", state=state).state
    assert len(state.tail) == TAIL_CHARS_MAX


@pytest.mark.parametrize(
    "text",
    [
        "It is quiet otter.",
        "The passphrase is Quiet-Otter!",
        "Q u i e t o t t e r",
        "The code is heron seventy-seven.",
        "H E R O N seven seven",
        "It is heron 7 7.",
        "The reserve is 18,400 pounds.",
        "That is eighteen thousand four hundred pounds.",
        "p-i-a-n-o",
        "Backwards it is onaip.",
    ],
)
def test_a_secret_is_found_in_any_common_spelling(text: str) -> None:
    assert Gate(policy(SECRETS)).judge(text, scope="output").verdict is Verdict.REFUSE


@pytest.mark.parametrize("text", ["The pianola plays.", "A quiet otters' pond.", "Heron 771 left."])
def test_a_word_that_only_begins_like_a_secret_is_no_secret(text: str) -> None:
    assert Gate(policy(SECRETS)).judge(text, scope="output").verdict is Verdict.ALLOW


TOO_LONG = "a" * (JUDGED_CHARS_MAX + 1)
TOO_LONG_A_STORY = "a" * (INPUT_CHARS_MAX + 1)


def test_a_rule_that_cannot_be_evaluated_blocks() -> None:
    judgement = Gate(policy(NO_PROMISE, NO_NUMBERS)).judge(TOO_LONG, scope="output")
    assert judgement.verdict is Verdict.REFUSE
    assert judgement.text_to_say == "I can't promise that."
    assert judgement.failed == ("no_promise", "no_numbers")
    assert judgement.evaluated == ()


def test_a_redaction_that_cannot_be_evaluated_blocks_with_the_persona_s_words() -> None:
    judgement = Gate(policy(NO_NUMBERS)).judge(TOO_LONG, scope="output")
    assert (judgement.verdict, judgement.text_to_say) == (Verdict.REFUSE, BLOCKED)


def test_an_ending_that_cannot_be_evaluated_ends_nothing() -> None:
    gate = Gate(policy(rule("abuse", pattern("x{9}"), Verdict.END, scope="input", say="Goodbye.")))
    assert gate.judge(TOO_LONG_A_STORY, scope="input").verdict is Verdict.REFUSE


def test_an_escalation_that_cannot_be_evaluated_calls_a_person() -> None:
    gate = Gate(policy(rule("life", pattern("x{9}"), Verdict.ESCALATE, scope="input")))
    assert gate.judge(TOO_LONG_A_STORY, scope="input").verdict is Verdict.ESCALATE


def test_a_rule_that_is_open_on_errors_lets_pass_and_is_named_as_failed() -> None:
    open_rule = rule("tone", pattern("x{9}"), Verdict.REFUSE, say="No.", on_error="open")
    judgement = Gate(policy(open_rule)).judge(TOO_LONG, scope="output")
    assert (judgement.verdict, judgement.failed) == (Verdict.ALLOW, ("tone",))


def test_a_pattern_that_no_longer_compiles_blocks() -> None:
    # As an older release stored it: not validated by this one.
    broken = Guardrail.model_construct(
        guardrail_name="old",
        scope="output",
        test=pattern("x").model_copy(update={"any_of": ("(?=x)",)}),
        verdict=Verdict.REPLACE,
        say="No.",
        on_error="closed",
    )
    judgement = Gate(policy().model_copy(update={"rules": (broken,)})).judge("x", scope="output")
    assert (judgement.verdict, judgement.failed) == (Verdict.REFUSE, ("old",))


def test_overlapping_redactions_leave_nothing_of_either() -> None:
    gate = Gate(
        policy(
            rule("a", pattern("alpha beta"), Verdict.REDACT, say="one"),
            rule("b", pattern("beta gamma"), Verdict.REDACT, say="two"),
        )
    )
    assert gate.judge("alpha beta gamma delta", scope="output").text_to_say == "one delta"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"greeting": "Your claim will be paid."}, "greeting"),
        ({"handover": "Call 020 7946 0999."}, "handover"),
        ({"not_found": "Look at www.shoplux.com."}, "not_found"),
    ],
)
def test_a_persona_whose_own_texts_its_policy_would_stop_is_not_published(
    changes: dict[str, str], place: str
) -> None:
    rules = [NO_PROMISE.model_dump(mode="json"), NO_NUMBERS.model_dump(mode="json")]
    persona = parse_persona(persona_document(guardrails=rules, **changes))
    with pytest.raises(PersonaInvalid, match=rf"^{place}: .*no_"):
        check_publishable(persona)


def test_what_a_rule_says_instead_must_pass_the_policy_itself() -> None:
    says_it_anyway = rule("b", pattern("money"), Verdict.REPLACE, say="It will be paid, promised.")
    rules = [each.model_dump(mode="json") for each in (NO_PROMISE, says_it_anyway)]
    persona = parse_persona(persona_document(guardrails=rules))
    with pytest.raises(PersonaInvalid, match=r"guardrails\.1\.say"):
        check_publishable(persona)


@pytest.mark.parametrize(
    "hostile", ["4" * 2000, "a.b-" * 500, "a dot " * 330, "12 x " * 400, "O N E " * 330, ", - " * 500]
)
def test_no_text_takes_long_to_judge(hostile: str) -> None:
    """The bound is far above what it takes (15 ms), and far below what a quadratic search would."""
    gate, state = Gate(policy(NO_NUMBERS, SECRETS, NO_PROMISE)), GateState(hostile[:TAIL_CHARS_MAX])
    gate.judge("Warm up.", scope="output")
    began = time.process_time()
    gate.judge(hostile, scope="output", state=state)
    assert time.process_time() - began < 0.25


def test_a_redaction_that_grows_beyond_one_sentence_is_refused_instead() -> None:
    # Given a rule that puts long words in place of each digit group
    long_words = rule("digits", pattern(r"\b\d{3}\b"), Verdict.REDACT, say="a number that I may not read out")
    gate = Gate(policy(long_words))

    # When so many are taken out that what is left cannot be spoken at once
    judgement = gate.judge(" ".join(["123"] * 20), scope="output")

    # Then the persona says its own words for that, and the reply stops
    assert (judgement.verdict, judgement.text_to_say, judgement.rule) == (Verdict.REFUSE, BLOCKED, "digits")


WANTS_A_PERSON = rule("person", pattern(r"\btalk to a human\b"), Verdict.ESCALATE, scope="input")
THREATENS = rule("threat", pattern(r"\bburn it down\b"), Verdict.END, scope="input", say="Goodbye.")
NO_CARDS = rule(
    "cards", PersonalDataTest(data=(PersonalData.CARD_NUMBER,)), Verdict.REFUSE, scope="input", say="Don't."
)
LISTENING = Gate(policy(WANTS_A_PERSON, THREATENS, NO_CARDS))
STORY_CHARS = 5_000
STORY = ("We came home late and the cellar was under water again, so I went for the pump. " * 80)[
    :STORY_CHARS
]
# Where windows begin and end.
CUTS = (JUDGED_CHARS_MAX - TAIL_CHARS_MAX, JUDGED_CHARS_MAX)


def _story_with(words: str, place: int) -> str:
    """A story of STORY_CHARS with the words, as words of their own, from `place` on."""
    return f"{STORY[: place - 1]} {words} {STORY[place + len(words) + 1 :]}"


def test_a_long_innocent_story_may_be_answered() -> None:
    judgement = LISTENING.judge(STORY, scope="input")
    assert (judgement.verdict, judgement.failed) == (Verdict.ALLOW, ())
    assert judgement.evaluated == ("person", "threat", "cards")


def test_what_stands_at_the_end_of_a_long_story_is_found() -> None:
    judgement = LISTENING.judge(f"{STORY} Let me talk to a human", scope="input")
    assert (judgement.verdict, judgement.rule) == (Verdict.ESCALATE, "person")


@pytest.mark.parametrize("words", ["talk to a human", CARD, " and ".join(CARD.split())])
def test_no_place_of_a_long_story_is_passed_over(words: str) -> None:
    # Around what two windows share; at the beginning of a word, since half a word could be a digit.
    around = range(CUTS[0] - len(words) - 10, CUTS[1] + 10)
    places = [place for place in around if STORY[place - 1] == " "]
    missed = [
        place
        for place in places
        if LISTENING.judge(_story_with(words, place), scope="input").verdict is Verdict.ALLOW
    ]
    assert len(places) > 100
    assert missed == []


@pytest.mark.parametrize("cut", CUTS)
def test_words_that_straddle_the_border_of_a_window_are_found(cut: int) -> None:
    words = "talk to a human"
    verdicts = {
        LISTENING.judge(_story_with(words, place), scope="input").verdict
        for place in range(cut - len(words), cut + 1)
    }
    assert verdicts == {Verdict.ESCALATE}


def test_the_strictest_finding_in_any_part_of_a_story_wins() -> None:
    story = f"Let me talk to a human. {STORY} Or I burn it down. {STORY}"
    assert LISTENING.judge(story, scope="input").rule == "threat"


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("test", "words", "at"),
    [
        (pattern(r"\bfire\b"), "a bonfire evening", 5),
        (pattern(r"\bfire\b"), "the fireside chair", 8),
        (pattern(r"^fire"), "fire", 0),
        (pattern(r"fire$"), "fire", 4),
        (pattern("fire", unless=("no sign of [a-z ]*fire",)), "no sign of any fire", 11),
        (pattern("fire", unless=("fire (is )?out",)), "the fire is out", 8),
    ],
)
def test_the_border_of_a_window_makes_nothing_of_innocent_words(
    cut: int, test: PatternTest, words: str, at: int
) -> None:
    gate = Gate(policy(rule("fire", test, Verdict.ESCALATE, scope="input")))
    assert gate.judge(_story_with(words, cut - at), scope="input").verdict is Verdict.ALLOW


def test_the_longest_story_that_is_judged() -> None:
    longest = (STORY * (INPUT_CHARS_MAX // STORY_CHARS + 1))[:INPUT_CHARS_MAX]
    assert LISTENING.judge(longest, scope="input").verdict is Verdict.ALLOW
    judgement = LISTENING.judge(f"{longest}.", scope="input")
    assert judgement.failed == ("person", "threat", "cards")
    assert judgement.verdict is Verdict.ESCALATE
