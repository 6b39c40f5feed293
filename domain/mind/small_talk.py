"""What is said in a conversation beside questions: greetings, thanks, and asking who speaks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from domain.conversation.transcript import Role
from domain.mind.grounded import words_of
from domain.mind.prompt import OwnTexts

# Small talk is short; what is longer holds a question.
SMALL_TALK_WORDS_MAX = 14
REPEATED_SENTENCES_MAX = 3


_ASKS_AI = re.compile(
    r"\b(?:are|r) you (?:really |actually |just |even )?(?:a |an )?(?:(?:real|actual|live|living) )?"
    r"(?:ai|a\.i\.|robot|bot|chatbot|machine|computer|program|human(?: being)?|person|real|man|woman|"
    r"recording|alive|artificial(?: intelligence)?)\b"
    r"|\b(?:am i|i am|i'm) (?:talking|speaking) (?:to|with) (?:a |an )?(?:real |actual |live )?"
    r"(?:ai|robot|bot|chatbot|machine|computer|human|person|recording|someone real)\b"
    r"|\bis (?:this|that) (?:a |an )?(?:real |actual )?"
    r"(?:ai|robot|bot|chatbot|machine|recording|human|person)\b",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\b(?:what(?:'s| is) your name|who are you|who am i (?:talking|speaking) (?:to|with)|"
    r"who(?:'s| is) this)\b",
    re.IGNORECASE,
)
_ASKS_REPEAT = re.compile(
    r"\b(?:(?:can|could|would) you (?:please )?(?:repeat|say) (?:that|it|this)(?: again| once more)?|"
    r"(?:please )?(?:repeat|say) (?:that|it)(?: again)?|(?:what|how) (?:was|is) that again|"
    r"(?:i )?(?:didn't|did not|couldn't) (?:hear|catch|get|understand) (?:that|you|it)|come again|"
    r"what did you (?:just )?say|pardon|say again|once more|one more time)\b",
    re.IGNORECASE,
)
_ASKS_ABILITY = re.compile(
    r"\b(?:what can you (?:do|help(?: me)? with)|how can you help(?: me)?|what do you (?:do|know))\b",
    re.IGNORECASE,
)
_GREETING = frozenset("hi hello hey morning afternoon evening greetings howdy".split())  # noqa: SIM905
_THANKS = frozenset("thanks thank cheers appreciated appreciate".split())  # noqa: SIM905
_FAREWELL = frozenset("bye goodbye farewell cya".split())  # noqa: SIM905
# What may stand beside one of the words above without asking anything.
_BESIDE = frozenset(
    """
    a again all and are at day everything for fine good great have help helpful i is it it's i'm
    kind later lovely me much my nice now of oh ok okay on perfect please right see so soon sure
    talk that that's the then there this to today very was we well wonderful yeah yes you your
    you're you've been excellent brilliant take care too how doing lot lots no more nothing else bit
    """.split()  # noqa: SIM905
)


def small_talk(question: str, said: Sequence[tuple[Role, str]], texts: OwnTexts) -> tuple[str, ...] | None:
    """What to say to small talk; None where something is asked that the documents may answer."""
    words = words_of(question)
    if not words or len(words) > SMALL_TALK_WORDS_MAX:
        return None
    if _ASKS_AI.search(question):
        return (texts.disclosure,)
    if _ASKS_NAME.search(question):
        return (f"My name is {texts.name}.", texts.disclosure)
    if _ASKS_REPEAT.search(question):
        return _repeated(said) or ("I haven't said anything yet.",)
    if _ASKS_ABILITY.search(question):
        return ("I answer questions from the documents that I was given.", "Just ask, and I'll look it up.")
    return _courtesy(frozenset(words) - {texts.name.lower()})


def _courtesy(words: frozenset[str]) -> tuple[str, ...] | None:
    if not words <= _BESIDE | _GREETING | _THANKS | _FAREWELL:
        return None
    if words & _FAREWELL or {"see", "you"} <= words or {"take", "care"} <= words:
        return ("Thank you, and goodbye.",)
    if words & _THANKS:
        return ("You're welcome.", "Is there anything else I can look up for you?")
    if words & _GREETING:
        return ("Hello.", "What would you like to know?")
    if "nothing" in words or ("no" in words and "more" in words):
        return ("All right.", "Goodbye for now.")
    if words & {"ok", "okay", "right", "great", "fine", "perfect", "good", "excellent", "brilliant"}:
        return ("Is there anything else I can look up for you?",)
    return None


def _repeated(said: Sequence[tuple[Role, str]]) -> tuple[str, ...] | None:
    """The persona's last words again, as far as they were played."""
    last: list[str] = []
    for role, text in reversed(said):
        if role is Role.PERSONA:
            last.insert(0, text)
        elif last:
            break
    return tuple(last[-REPEATED_SENTENCES_MAX:]) or None
