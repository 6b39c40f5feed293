"""Whether a piece of English reads as if its speaker had finished.

A recogniser closes every piece with a full stop or a question mark, also in mid-sentence, so the words decide
and punctuation only helps.
"""

from enum import StrEnum


class Phrase(StrEnum):
    """How a piece of speech reads, from surely unfinished to surely finished."""

    HESITATION = "hesitation"
    """Ends with "um" and the like: the speaker is looking for words."""
    DANGLING = "dangling"
    """Ends with a word that must be followed by another: "because", "the", "to"."""
    OPEN = "open"
    """Could be whole, but leads up to something: "And so my fellow Americans", "four five six"."""
    STATEMENT = "statement"
    QUESTION = "question"
    ANSWER = "answer"
    """A word or two that answer or greet: "Yes, please."."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


WORD_EDGES = " \t\n.,;:!?\"'…-—()"
ANSWER_WORDS_MAX = 3
STRANDED_WORDS_MAX = 7
"""A question that ends with a preposition is taken as whole up to this length: "What is it for?"."""
LEADING_WORDS_MAX = 8
"""Up to this length, words that begin with "and" or "so" are a beginning: "And so my fellow Americans"."""
QUESTION_START_WITHIN = 4
"""A question may begin after a few words: "Okay, so what …"."""

_HESITATIONS = _set("um uh er erm hmm hm uhm eh ah mm")
_LEAD_ON = _set(
    """a an the my your its our their some every each no and or but because if while although though unless
    until since whether than very quite just even as per via versus mr mrs ms dr i he she we they
    i'm i've i'd i'll it's that's there's we're they're you're he's she's"""
)
_PREPOSITIONS = _set(
    """to of for with from by at in into onto about between during without within through against under over
    on like"""
)
_AUXILIARIES = _set(
    """is are was were am be been being has have had having do does did will would shall should can could may
    might must"""
)
_PRONOUNS = _set("i you he she it we they that this there who what")
_POINTING = _set("that this these those")
_WH = _set("what who whose whom where when why how which")
_STRANDING = _set("what what's who who's where where's which")
_LEADING = _set("and so but because if when while although since well")
_QUESTION_STARTS = (
    _WH
    | _set(
        """what's who's where's when's how's tell isn't aren't don't doesn't didn't can't couldn't won't
        wouldn't"""
    )
    | _AUXILIARIES - _set("be been being having")
)
_ANSWERS = _set(
    """yes yeah yep no nope nah okay ok right sure exactly correct thanks thank great hello hi hey bye goodbye
    stop maybe never always absolutely definitely certainly nothing please fine good"""
)
_NUMBERS = _set(
    """zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"""
)


def phrase_of(text: str) -> Phrase | None:
    """How the text reads; None when there is not a word in it."""
    words = [word for word in (raw.strip(WORD_EDGES).lower() for raw in text.split()) if word]
    if not words:
        return None
    closing = text.rstrip()[-1]
    asks = closing == "?" and not _QUESTION_STARTS.isdisjoint(words[:QUESTION_START_WITHIN])
    if words[-1] in _HESITATIONS:
        return Phrase.HESITATION
    if len(words) <= ANSWER_WORDS_MAX and words[0] in _ANSWERS and words[-1] not in _LEAD_ON - {"no"}:
        return Phrase.ANSWER
    if _dangles(words, asks=asks):
        return Phrase.DANGLING
    # The recogniser may leave the mark out; then only a question's very first word tells.
    if asks or (closing.isalnum() and words[0] in _QUESTION_STARTS - _LEADING):
        return Phrase.QUESTION
    leads_up = words[0] in _LEADING and len(words) <= LEADING_WORDS_MAX
    if leads_up or closing in ",-—…" or words[-1] in _POINTING or _dictates(words):
        return Phrase.OPEN
    return Phrase.STATEMENT


def _dangles(words: list[str], *, asks: bool) -> bool:
    """Whether the last word must be followed by another."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _LEAD_ON or (last == "then" and before in {"and", "but", "so"}):
        return True
    if last in _PREPOSITIONS:
        # "What is it for?" is whole, "When will it be paid to" is not.
        return not (asks and words[0] in _STRANDING and len(words) <= STRANDED_WORDS_MAX)
    if last in _AUXILIARIES:
        # "Yes, I do." and "Can you tell me what the limit is?" are whole, "My policy number is" is not.
        return before not in _PRONOUNS and not (asks and not _WH.isdisjoint(words[1:-1]))
    if last == "not":
        return before not in _AUXILIARIES | _PRONOUNS and before not in {"why", "i'm", "we're", "it's", "or"}
    if last in _WH:
        return len(words) > 1 and not asks
    return False


def _dictates(words: list[str]) -> bool:
    """Whether a number is being read out, digit by digit."""
    return len(words) > 1 and all(word in _NUMBERS or word.isdigit() for word in words[-2:])
