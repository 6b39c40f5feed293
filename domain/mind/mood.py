"""How the persona looks and sounds with a sentence: one state for each, and how strongly it shows.

The state follows from what the sentence is and from what it says. What nothing calls for is not acted: the
persona is never angry, surprised or elated on its own account, and is serious where a rule spoke.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, assert_never

from domain.events.catalogue import SentenceKind, Verdict
from domain.mind.emotion import Emotion


class Mood(NamedTuple):
    """`strength` is from 0, nothing of it, to 1, all of it."""

    emotion: Emotion
    strength: float


SERIOUS: Final = Mood(Emotion.NEUTRAL, 0.0)
WELCOMING: Final = Mood(Emotion.CONTENT, 0.5)
PLEASED: Final = Mood(Emotion.CONTENT, 0.35)
SORRY: Final = Mood(Emotion.SAD, 0.25)
# Enough to be seen as care: whoever is in danger needs somebody who is calm.
CONCERNED: Final = Mood(Emotion.SCARED, 0.2)

_DANGER = re.compile(
    r"\b(?:999|112|911|in danger|emergency services|ambulance|fire brigade|get (?:out|to safety))\b",
    re.IGNORECASE,
)
_BAD_NEWS = re.compile(
    r"\b(?:sorry|i'm afraid|unfortunately|died|death|bereavement|declined?|turn(?:ed)? down|excluded|"
    r"no refund|(?:is|are|was|were) (?:\w+ )?(?:not|never) (?:covered|included|insured|paid)|"
    r"(?:isn't|aren't|never covers|not cover))\b",
    re.IGNORECASE,
)
_GOOD_NEWS = re.compile(
    r"\b(?:good news|you're welcome|gladly|(?:glad|happy|pleased) to|"
    r"(?:is|are) (?:also )?(?:covered|included)|"
    r"(?:do not|don't|need not) (?:have|need) to|costs you nothing|free of charge|no fee)\b",
    re.IGNORECASE,
)


def emotion_of(kind: SentenceKind, text: str, verdict: Verdict, *, owned_up: bool = False) -> Mood:
    """Of the sentence that is spoken. `kind` is what it was drafted as, `text` what is said in the end, and
    `owned_up` whether it says that the persona does not know or could not answer."""
    match verdict:
        case Verdict.ESCALATE:
            return _concern(text)
        case Verdict.REPLACE | Verdict.REFUSE | Verdict.END:
            return SERIOUS
        case Verdict.ALLOW | Verdict.REDACT:
            pass
        case _:
            assert_never(verdict)
    match kind:
        case SentenceKind.DISCLOSURE | SentenceKind.REFUSAL:
            return SERIOUS
        case SentenceKind.GREETING:
            return WELCOMING
        case SentenceKind.HANDOVER:
            return _concern(text)
        case SentenceKind.ANSWER:
            return SORRY if owned_up else _news(text)
        case _:
            assert_never(kind)


def _concern(text: str) -> Mood:
    return CONCERNED if _DANGER.search(text) else SORRY


def _news(text: str) -> Mood:
    """A sentence with both kinds of news is told seriously."""
    bad, good = _BAD_NEWS.search(text), _GOOD_NEWS.search(text)
    if bad and not good:
        return SORRY
    return PLEASED if good and not bad else SERIOUS
