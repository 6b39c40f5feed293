"""What the answerer is given, exactly, in a form that is recorded before it is used."""

from __future__ import annotations

from dataclasses import dataclass

from domain.conversation.transcript import Line, Role
from domain.events.canonical import Json, canonical_bytes, digest
from domain.ids import TurnId

LINES_MAX = 60
# With the longest persona and context, in the widest characters, the recorded prompt still fits an event.
SAID_CHARS_MAX = 10_000
QUESTION_CHARS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, `text` = its characters `start` to `end`. Higher scores are better."""

    document_id: str
    document_title: str
    chunk_id: str
    heading: str
    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class OwnTexts:
    """What the persona says in fixed words, as published; empty where an answerer must do without."""

    name: str = ""
    disclosure: str = ""
    not_found: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    turn_id: TurnId
    system: str
    context: str
    # What was said, oldest first: of the persona's words only those that were played.
    said: tuple[tuple[Role, str], ...]
    # The newest words of the person, which the answer is for.
    question: str
    passages: tuple[Passage, ...]
    texts: OwnTexts = OwnTexts()

    def to_json(self) -> Json:
        return {
            "system": self.system,
            "context": self.context,
            "said": [{"role": role.value, "text": text} for role, text in self.said],
            "question": self.question,
            "texts": {
                "name": self.texts.name,
                "disclosure": self.texts.disclosure,
                "not_found": self.texts.not_found,
            },
            "passages": [
                {
                    "document_id": passage.document_id,
                    "chunk_id": passage.chunk_id,
                    "heading": passage.heading,
                    "text": passage.text,
                }
                for passage in self.passages
            ],
        }

    def content(self) -> str:
        return canonical_bytes(self.to_json()).decode()

    def digest(self) -> str:
        return digest(self.to_json())


def assemble(
    *,
    turn_id: TurnId,
    system: str,
    context: str,
    said: tuple[Line, ...],
    question: str,
    passages: tuple[Passage, ...],
    texts: OwnTexts,
) -> Prompt:
    """The newest lines are kept, LINES_MAX of them and SAID_CHARS_MAX characters; older ones are what memory
    is for. Of a longer question than QUESTION_CHARS_MAX, the end is kept."""
    kept: list[tuple[Role, str]] = []
    left = SAID_CHARS_MAX
    for line in reversed(said[-LINES_MAX:]):
        if len(line.text) > left:
            break
        left -= len(line.text)
        kept.append((line.role, line.text))
    asked = question[-QUESTION_CHARS_MAX:]
    return Prompt(turn_id, system, context, tuple(reversed(kept)), asked, passages, texts)
