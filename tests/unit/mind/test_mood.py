from __future__ import annotations

from itertools import product

import pytest

from domain.events.catalogue import SentenceKind, Verdict
from domain.mind.emotion import Emotion
from domain.mind.mood import CONCERNED, PLEASED, SERIOUS, SORRY, WELCOMING, Mood, emotion_of

A, G, H, R, D = (
    SentenceKind.ANSWER,
    SentenceKind.GREETING,
    SentenceKind.HANDOVER,
    SentenceKind.REFUSAL,
    SentenceKind.DISCLOSURE,
)
STRENGTH_OF_CARE_MAX = 0.3


@pytest.mark.parametrize(
    ("kind", "text", "verdict", "owned_up", "expected"),
    [
        (D, "You are speaking with an AI.", Verdict.ALLOW, False, SERIOUS),
        (G, "Hello, how can I help?", Verdict.ALLOW, False, WELCOMING),
        (A, "You have 30 days to report damage to us.", Verdict.ALLOW, False, SERIOUS),
        (A, "Theft is covered when there are signs of forced entry.", Verdict.ALLOW, False, PLEASED),
        (A, "You do not have to wait for us with urgent repairs.", Verdict.ALLOW, False, PLEASED),
        (A, "It costs you nothing, and the decision binds us.", Verdict.ALLOW, False, PLEASED),
        (A, "You're welcome.", Verdict.ALLOW, False, PLEASED),
        (A, "Damage that happened gradually is not covered.", Verdict.ALLOW, False, SORRY),
        (A, "I'm sorry to hear that.", Verdict.ALLOW, False, SORRY),
        (A, "A pipe is covered, but the boiler is not covered.", Verdict.ALLOW, False, SERIOUS),
        (A, "Your number is a number that I don't read out.", Verdict.REDACT, False, SERIOUS),
        (A, "I don't find that in our documents.", Verdict.ALLOW, True, SORRY),
        (A, "Something went wrong on my side.", Verdict.ALLOW, True, SORRY),
        (A, "I can't promise it.", Verdict.REPLACE, False, SERIOUS),
        (A, "I'm sorry, I can't say that.", Verdict.REFUSE, False, SERIOUS),
        (A, "Goodbye.", Verdict.END, False, SERIOUS),
        (A, "Please call 999 now.", Verdict.ESCALATE, False, CONCERNED),
        (G, "What I would have said is not what is said.", Verdict.REFUSE, False, SERIOUS),
        (R, "I can't share that, but I'm glad to help.", Verdict.ALLOW, False, SERIOUS),
        (H, "If anybody is in danger, please get to safety.", Verdict.ALLOW, False, CONCERNED),
        (H, "I can't connect you to a person from here.", Verdict.ALLOW, False, SORRY),
    ],
)
def test_each_sentence_has_the_state_that_it_calls_for(
    kind: SentenceKind, text: str, verdict: Verdict, owned_up: bool, expected: Mood
) -> None:
    assert emotion_of(kind, text, verdict, owned_up=owned_up) == expected


def test_no_state_is_invented_and_care_shows_only_a_little() -> None:
    texts = ["Oh! Really?!", "GREAT NEWS!!!", "Good news, it is covered!", "Call 999!", "I hate that.", ""]
    moods = {
        emotion_of(kind, text, verdict, owned_up=owned_up)
        for kind, verdict, text, owned_up in product(SentenceKind, Verdict, texts, (False, True))
    }
    assert {mood.emotion for mood in moods} <= {
        Emotion.NEUTRAL,
        Emotion.CONTENT,
        Emotion.SAD,
        Emotion.SCARED,
    }
    cares = [mood for mood in moods if mood.emotion in (Emotion.SAD, Emotion.SCARED)]
    assert cares
    assert all(0 < mood.strength <= STRENGTH_OF_CARE_MAX for mood in cares)
