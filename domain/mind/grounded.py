"""How `grounded` answers: with sentences that stand in the documents, and with nothing else.

Pure: what is near in meaning is computed elsewhere and given. Every sentence of an answer is a sentence of a
passage, without its markup, or one of the persona's own fixed texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.conversation.transcript import Role
from domain.mind.prompt import Passage
from domain.mind.sentences import split_sentences

# The answer is looked for in this many passages, and in this many of their sentences.
PASSAGES_READ_MAX = 4
CANDIDATES_MAX = 24
# What a listener takes in at once.
ANSWER_SENTENCES_MAX = 3
ANSWER_WORDS_MAX = 60
LIST_WORDS_MAX = 60

# So many sentences are compared by meaning: about 40 ms of one core the first time that they are.
COMPARED_MAX = 8

# A sentence scores by likeness of meaning (at most 1), by the share of the question's words that it holds,
# by the passage that it stands in, and by whether it holds a number where one was asked for.
WORDS_WEIGHT = 0.35
PASSAGE_WEIGHT = 0.25
PASSAGE_SCORE_MAX = 1.5
NUMBER_BONUS = 0.06
# A word that stands in the heading above counts for less than one in the sentence.
ABOVE_SHARE = 0.6
# How near to the best sentence another one of the same passage must come to be said as well.
SECOND_SHARE = 0.8
# Below the first the documents are taken not to hold the answer; below the second it is said that they may
# not. Set on written questions about 35 articles and on callers' questions about the example's documents:
# every score that separates what is answered from what is only near is low, so that doubt is spoken.
ANSWER_SCORE_MIN = 0.7
CERTAIN_SCORE_MIN = 0.95
UNCERTAIN = "I'm not sure that our documents answer this, but here is the closest that I find."


class Certainty(StrEnum):
    FOUND = "found"
    CLOSEST = "closest"
    NOT_FOUND = "not_found"


_WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?", re.IGNORECASE)
# Words of callers that say nothing of what they ask about.
_FILLERS = frozenset(
    """
    a about actually after again ah all also am an and any anybody anyone anything are as ask asking
    at away be because been before being bit but by bye calling can cannot could did do does doing
    dont er erm ever explain find for from get gets getting give go goes going gonna good got guess
    had happen happened happens has have having he hello help her here hey hi him his how i idea if
    im in into is it its ive just kind know let like little look looking lot make many maybe me mean
    mind more most much my need needs no not now of oh ok okay on one or our out over perhaps please
    possible possibly put question quick quickly quite really right say see seem she should so some
    somebody someone something sorry sort still stuff suppose supposed sure take tell than thank
    thanks that the their them then there these they thing things think this those to too try trying
    uh um understand up us very wanna want wanted wants was way we well were what whats when where
    whether which who whom whose why will wish with wonder wondered wondering would yeah yes yet you
    your
    """.split()  # noqa: SIM905
)
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "edly", "ed", "es", "s", "ly", "al")
_STEM_MIN = 3

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"(\*\*|__|\*|`|~~)(?=\S)(.+?)(?<=\S)\1")
_UNDERSCORED = re.compile(r"(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+")
_QUOTE = re.compile(r"^\s*(?:>\s*)+")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_SPACE = re.compile(r"\s+")
# A sentence that begins so leans on the one before it.
_LEANS = re.compile(
    r"^(?:it|its|they|their|them|this|these|those|that|he|she|his|her|there|otherwise|then|after that|"
    r"before that|if (?:that|so|not)|in (?:that|this) case|for example|for this|examples? (?:is|are)|"
    r"such|however|but|and|also|the same|both|instead|outside these|in addition)\b",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:long|many|much|often|soon|old|far|late|quickly|fast|big|high)|when|what time|"
    r"deadline|limit|"
    r"what (?:is|'s|are) the (?:excess|fee|cost|price|number)|which year|what year|cost|percent)\b",
    re.IGNORECASE,
)
_HOLDS_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|once|twice|daily|weekly|"
    r"monthly|yearly|immediately|at once)\b",
    re.IGNORECASE,
)
_FOLLOWS_UP = re.compile(
    r"^\W*(?:and|but|so|or|what about|how about|what if|and if|why|why not|which one|who is that|since when|"
    r"until when|how so|really|is that|does that|can i do that)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(r"\b(?:it|that|this|they|them|those|these|there|then|one|he|she)\b", re.IGNORECASE)
# "What about complaints?" turns to something else: with the question before it, that one would win.
_TURNS_TO = re.compile(r"^\W*(?:and |but |so )?(?:what|how) about\b", re.IGNORECASE)
FOLLOW_UP_WORDS_MAX = 3


# --- words ---------------------------------------------------------------------------------------------
def words_of(text: str) -> tuple[str, ...]:
    return tuple(match.group().lower().replace("’", "'") for match in _WORD.finditer(text))


def content_words(text: str) -> tuple[str, ...]:
    """The words of a question that say what it is about, each once, in their order."""
    words = (word.split("'")[0] for word in words_of(text))
    return tuple(dict.fromkeys(word for word in words if word not in _FILLERS and len(word) > 1))


def stem(word: str) -> str:
    """A word without its ending, roughly: enough to tell that two words are kin."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _STEM_MIN:
            root = word[: -len(ending)]
            return root[:-1] if len(root) > _STEM_MIN and root[-1] == root[-2] else root.rstrip("e")
    return word.rstrip("e") if len(word) > _STEM_MIN else word


def search_question(question: str, said: Sequence[tuple[Role, str]]) -> str:
    """What to look for: a question that leans on the one before it takes that one along."""
    words = content_words(question)
    if words and _TURNS_TO.search(question):
        return question
    leans = _FOLLOWS_UP.search(question) is not None or _POINTS_BACK.search(question) is not None
    if len(words) > FOLLOW_UP_WORDS_MAX or (words and not leans):
        return question
    previous = [text for role, text in said if role is Role.USER and text.strip() != question.strip()]
    earlier = next((text for text in reversed(previous) if content_words(text)), None)
    return f"{earlier} {question}" if earlier else question


# --- sentences of passages -----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a passage as it can be spoken. `before` is the one that it leans on, if any."""

    text: str
    passage: int
    place: int
    before: str | None


def candidates_of(passages: Sequence[Passage]) -> tuple[Candidate, ...]:
    """The sentences that an answer may be made of: of the best passages, at most CANDIDATES_MAX."""
    out: list[Candidate] = []
    for number, passage in enumerate(passages[:PASSAGES_READ_MAX]):
        sentences = spoken_sentences(passage.text)
        for place, sentence in enumerate(sentences):
            before = sentences[place - 1] if place and _LEANS.match(sentence) else None
            out.append(Candidate(sentence, number, place, before))
    return tuple(out[:CANDIDATES_MAX])


def spoken_sentences(text: str) -> tuple[str, ...]:
    """Markdown or plain text as sentences to be spoken: no markup, and a short list in one sentence."""
    sentences: list[str] = []
    for paragraph in _spoken_paragraphs(text):
        joined: list[str] = []
        for sentence in split_sentences(paragraph):
            # The splitter cuts very long sentences at a clause; here they stay whole until they are spoken.
            if joined and not joined[-1].endswith((".", "!", "?", '"', "'", ")", "”", "’", "…")):
                joined[-1] = f"{joined[-1]} {sentence}"
            else:
                joined.append(sentence)
        sentences += joined
    return tuple(
        sentence if sentence[-1] in ".!?…" else f"{sentence.rstrip(',;:')}." for sentence in sentences
    )


def _spoken_paragraphs(text: str) -> list[str]:
    """Lines joined to paragraphs; the items of a list follow the line that introduces them."""
    paragraphs: list[str] = []
    open_list = ends = False
    for line in text.splitlines():
        if not line.strip() or _TABLE_RULE.match(line):
            ends = True
            continue
        item = _ITEM.match(line) is not None
        plain = _plain(line)
        introduced = bool(paragraphs) and (paragraphs[-1].endswith(":") or open_list)
        if item and introduced:
            paragraphs[-1] = _with_item(paragraphs[-1], plain)
            open_list = len(paragraphs[-1].split()) < LIST_WORDS_MAX
        elif item or "|" in line or ends or not paragraphs:
            paragraphs.append(plain)
            open_list = False
        else:
            paragraphs[-1] = f"{paragraphs[-1]} {plain}"
        ends = False
    return [paragraph for paragraph in paragraphs if paragraph]


def _with_item(sentence: str, item: str) -> str:
    mark = "" if sentence.endswith(":") else ";"
    return f"{sentence}{mark} {item.rstrip('.;,')}"


def _plain(line: str) -> str:
    line = _ITEM.sub("", _QUOTE.sub("", line))
    if line.strip().startswith("|"):
        line = ", ".join(cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip())
    line = _LINK.sub(r"\1", line).lstrip("#")
    for _ in range(2):
        line = _UNDERSCORED.sub(r"\1", _MARKS.sub(r"\2", line))
    return _SPACE.sub(" ", line).strip()


# --- choosing ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Scored:
    candidate: Candidate
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The sentences to say, in their order."""

    sentences: tuple[str, ...]
    certainty: Certainty


def nearest_by_words(
    question: str, passages: Sequence[Passage], candidates: Sequence[Candidate]
) -> tuple[Candidate, ...]:
    """The COMPARED_MAX candidates that are worth comparing by meaning, which takes far longer."""
    blind = scored(question, passages, candidates, [0.0] * len(candidates))
    return tuple(each.candidate for each in blind[:COMPARED_MAX])


def scored(
    question: str, passages: Sequence[Passage], candidates: Sequence[Candidate], likeness: Sequence[float]
) -> tuple[Scored, ...]:
    """Best first. `likeness[i]` is the cosine between the question and candidate `i`."""
    asked = {stem(word) for word in content_words(question)}
    wants_number = _ASKS_NUMBER.search(question) is not None
    out = []
    for candidate, cosine in zip(candidates, likeness, strict=True):
        passage = passages[candidate.passage]
        own = {stem(word) for word in words_of(candidate.text)}
        above = {stem(word) for word in words_of(f"{passage.document_title} {passage.heading}")}
        found = sum(1.0 if word in own else ABOVE_SHARE if word in above else 0.0 for word in asked)
        share = found / len(asked) if asked else 0.0
        number = NUMBER_BONUS if wants_number and _HOLDS_NUMBER.search(candidate.text) else 0.0
        passage_score = max(0.0, min(passage.score, PASSAGE_SCORE_MAX))
        score = cosine + WORDS_WEIGHT * share + PASSAGE_WEIGHT * passage_score + number
        out.append(Scored(candidate, score))
    return tuple(sorted(out, key=lambda each: (-each.score, each.candidate.passage, each.candidate.place)))


def answer(ranked: Sequence[Scored], *, not_found: str) -> Answer:
    """One to ANSWER_SENTENCES_MAX sentences of one passage; what is uncertain is said to be so, and what
    the documents do not hold is not answered."""
    if not ranked or ranked[0].score < ANSWER_SCORE_MIN:
        return Answer((not_found,) if not_found else (), Certainty.NOT_FOUND)
    best = ranked[0]
    if best.score < CERTAIN_SCORE_MIN:
        return Answer((UNCERTAIN, *_told(best.candidate, [best.candidate])), Certainty.CLOSEST)
    picked = [best.candidate]
    for other in ranked[1:]:
        if len(picked) == ANSWER_SENTENCES_MAX - 1 or other.score < SECOND_SHARE * best.score:
            break
        if other.candidate.passage == best.candidate.passage:
            picked.append(other.candidate)
    return Answer(_told(best.candidate, picked), Certainty.FOUND)


def _told(best: Candidate, picked: Sequence[Candidate]) -> tuple[str, ...]:
    """Each with the sentence that it leans on, in the order of the passage. What would make the answer too
    long is left out, but never the best sentence."""
    places: dict[int, str] = {}
    for candidate in [best, *(each for each in picked if each is not best)]:
        wanted = {candidate.place: candidate.text}
        if candidate.before is not None:
            wanted[candidate.place - 1] = candidate.before
        together = places | wanted
        words = sum(len(text.split()) for text in together.values())
        if not places or (words <= ANSWER_WORDS_MAX and len(together) <= ANSWER_SENTENCES_MAX):
            places = together
    return tuple(places[place] for place in sorted(places))
