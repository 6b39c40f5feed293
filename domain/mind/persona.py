"""Who the persona is: the document that a team writes, publishes and pins.

A published persona never changes; a conversation pins one revision of it. Three digests say what a
conversation was held under: of the whole content, of the policy, and of the documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from domain.errors import InvalidInput
from domain.events.canonical import Json, digest
from domain.events.catalogue import Verdict
from domain.events.payload import Frozen
from domain.ids import PersonaId
from domain.mind import patterns
from domain.speech import DEFAULT_VOICE, PITCH_MAX, PITCH_MIN, RATE_MAX, RATE_MIN, VOICES

SPOKEN_CHARS_MAX = 400
SYSTEM_PROMPT_CHARS_MAX = 20_000
DOCUMENTS_MAX = 50
DOCUMENT_CHARS_MAX = 500_000
DOCUMENTS_CHARS_MAX = 2_000_000
GUARDRAILS_MAX = 50
PATTERNS_MAX = 60
PATTERN_CHARS_MAX = 400
ALLOWED_TEXTS_MAX = 40
SECRETS_MAX = 40
PROBLEMS_SHOWN_MAX = 20

# The face that this code draws. A name that nothing draws is refused: it would show this one in silence.
DEFAULT_FACE = "puppet"
FACES = frozenset({DEFAULT_FACE})

_SAYS_AI = re.compile(r"\b(?:AI|A\.I\.|artificial intelligence)(?!\w)", re.IGNORECASE)
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Spoken = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=SPOKEN_CHARS_MAX)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=PATTERN_CHARS_MAX), AfterValidator(patterns.check)
]
Literals = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=120)]


class PersonaInvalid(InvalidInput):
    """The persona document cannot be used. Each problem is a sentence with the path of its field."""

    code = "persona_invalid"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


# --- documents -----------------------------------------------------------------------------------------
MediaType = Literal["text/markdown", "text/plain"]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Document(Frozen):
    """What the persona answers from."""

    title: Name
    text: str = Field(min_length=1, max_length=DOCUMENT_CHARS_MAX)
    media_type: MediaType = "text/markdown"
    # Made of the title where it is not given; the schema names no default, since the empty one is no id.
    document_id: Slug = Field(default="", json_schema_extra=_without_default)

    @model_validator(mode="before")
    @classmethod
    def _name_after_title(cls, value: Any) -> Any:
        if (
            isinstance(value, Mapping)
            and not value.get("document_id")
            and isinstance(value.get("title"), str)
        ):
            return {**value, "document_id": slug(value["title"])}
        return value


class DocumentFile(Frozen):
    """A document beside the persona file."""

    # Relative to the persona file, and inside its folder.
    path: str = Field(min_length=1, max_length=400)
    title: Name
    media_type: MediaType | None = None
    document_id: Slug | None = None


def slug(title: str) -> str:
    """A document's id as made of its title."""
    return _NOT_SLUG.sub("-", title.lower()).strip("-")[:64]


# --- guardrails ----------------------------------------------------------------------------------------
class PersonalData(StrEnum):
    """What the detectors know. Numbers and addresses are found in writing and as they are read out."""

    CARD_NUMBER = "card_number"
    IBAN = "iban"
    POLICY_NUMBER = "policy_number"
    EMAIL = "email"
    PHONE = "phone"
    WEB_ADDRESS = "web_address"


class PatternTest(Frozen):
    """Regular expressions in RE2's syntax, case ignored. RE2 matches in time linear in the text, so that no
    pattern can stall a call; it has no look-around and no back-references for the same reason."""

    kind: Literal["pattern"] = "pattern"
    any_of: tuple[Pattern, ...] = Field(min_length=1, max_length=PATTERNS_MAX)
    # A hit that lies wholly inside a match of one of these does not count.
    unless: tuple[Pattern, ...] = Field(default=(), max_length=PATTERNS_MAX)


class PersonalDataTest(Frozen):
    kind: Literal["personal_data"] = "personal_data"
    data: tuple[PersonalData, ...] = Field(min_length=1)
    # The organisation's own numbers and addresses, which may be said.
    allow: tuple[Literals, ...] = Field(default=(), max_length=ALLOWED_TEXTS_MAX)
    # What a policy number looks like, in RE2's syntax; needed for `policy_number`.
    policy_number_pattern: Pattern | None = None

    @model_validator(mode="after")
    def _policy_numbers_need_a_pattern(self) -> PersonalDataTest:
        if PersonalData.POLICY_NUMBER in self.data and self.policy_number_pattern is None:
            raise ValueError("policy_number needs policy_number_pattern, which says what one looks like")
        return self


class SecretTest(Frozen):
    """Words that must not be said in any common spelling: spaced, hyphenated, read out, or backwards."""

    kind: Literal["secret"] = "secret"
    secrets: tuple[Literals, ...] = Field(min_length=1, max_length=SECRETS_MAX)


GuardrailTest = Annotated[PatternTest | PersonalDataTest | SecretTest, Field(discriminator="kind")]

_INPUT_VERDICTS = frozenset({Verdict.ALLOW, Verdict.REFUSE, Verdict.ESCALATE, Verdict.END})
_MUST_SAY = frozenset({Verdict.REPLACE, Verdict.REFUSE, Verdict.END})


class Guardrail(Frozen):
    """One rule. `input` is what the person says, `output` is each sentence before it is spoken."""

    guardrail_name: Slug
    scope: Literal["input", "output"]
    test: GuardrailTest
    # `allow` lets pass what it finds: the event says that the rule was met.
    verdict: Verdict
    # Said in place of what was stopped. `escalate` says the persona's handover sentence where this is empty;
    # `redact` puts it in place of each hit.
    say: Spoken | None = None
    # Whether a rule that cannot be evaluated blocks.
    on_error: Literal["closed", "open"] = "closed"

    @model_validator(mode="after")
    def _verdict_fits(self) -> Guardrail:
        if self.scope == "input" and self.verdict not in _INPUT_VERDICTS:
            raise ValueError(
                f"an input rule cannot {self.verdict}: what a person said is not rewritten; "
                "use allow, refuse, escalate or end"
            )
        if self.verdict in _MUST_SAY and self.say is None:
            raise ValueError(
                f"a rule with the verdict {self.verdict} needs `say`, the sentence to speak instead"
            )
        return self


class Policy(Frozen):
    """The rules that one conversation is held under."""

    rules: tuple[Guardrail, ...] = Field(default=(), max_length=GUARDRAILS_MAX)
    # Said by `escalate`, and where a rule could not be evaluated and has nothing of its own to say.
    handover: str
    blocked: str

    @property
    def revision(self) -> str:
        return digest(self.model_dump(mode="json"))


# --- the persona ---------------------------------------------------------------------------------------
class PersonaVoice(Frozen):
    name: str = Field(default=str(DEFAULT_VOICE), json_schema_extra={"enum": [*sorted(VOICES)]})
    # Factors on the named voice; 1 is that voice as it is.
    pitch: float = Field(default=1.0, ge=PITCH_MIN, le=PITCH_MAX)
    rate: float = Field(default=1.0, ge=RATE_MIN, le=RATE_MAX)

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in VOICES:
            raise ValueError(f"there is no voice {name!r}; the voices are {', '.join(sorted(VOICES))}")
        return name


class PersonaFace(Frozen):
    name: str = Field(default=DEFAULT_FACE, json_schema_extra={"enum": [*sorted(FACES)]})

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in FACES:
            raise ValueError(f"there is no face {name!r}; the faces are {', '.join(sorted(FACES))}")
        return name


class _PersonaText(Frozen):
    name: Name
    language: str = Field(default="en", pattern=r"^en(-[A-Z]{2})?$")
    system_prompt: str = Field(min_length=1, max_length=SYSTEM_PROMPT_CHARS_MAX)
    # Spoken before everything else, and never left out.
    disclosure: Spoken
    greeting: Spoken
    # Said where the documents do not hold the answer.
    not_found: Spoken = "I don't have that in my documents, so I can't say."
    # Said where the answerer failed or took too long.
    failed: Spoken = "I'm sorry, something went wrong on my side. Please ask me again."
    # Said when a person is needed. Nobody takes over by this alone: the record says that one is needed.
    handover: Spoken = (
        "I can't connect you to a person from here. I've noted on the record that you need one."
    )
    # Said where a rule stopped a sentence or could not be evaluated, and has no sentence of its own.
    blocked: Spoken = "I'm sorry, I can't say that."
    guardrails: tuple[Guardrail, ...] = Field(default=(), max_length=GUARDRAILS_MAX)
    voice: PersonaVoice = PersonaVoice()
    face: PersonaFace = PersonaFace()

    @field_validator("disclosure")
    @classmethod
    def _says_that_it_is_an_ai(cls, text: str) -> str:
        if not _SAYS_AI.search(text):
            raise ValueError("the disclosure must say that the caller speaks with an AI")
        return text

    @model_validator(mode="after")
    def _rules_have_their_own_names(self) -> _PersonaText:
        _refuse_repeats("guardrail_name", [rule.guardrail_name for rule in self.guardrails])
        return self


class Persona(_PersonaText):
    """A persona with the text of its documents: what HTTP takes and what is published."""

    documents: tuple[Document, ...] = Field(default=(), max_length=DOCUMENTS_MAX)

    @model_validator(mode="after")
    def _documents_fit(self) -> Persona:
        _refuse_repeats("document_id", [document.document_id for document in self.documents])
        if sum(len(document.text) for document in self.documents) > DOCUMENTS_CHARS_MAX:
            raise ValueError(f"the documents hold more than {DOCUMENTS_CHARS_MAX} characters together")
        if _holds_nul(self.model_dump()):
            raise ValueError("a text holds a NUL character, which cannot be stored; remove it")
        return self

    @property
    def policy(self) -> Policy:
        return Policy(rules=self.guardrails, handover=self.handover, blocked=self.blocked)

    @property
    def content_sha256(self) -> str:
        return digest(self.to_json())

    @property
    def policy_revision(self) -> str:
        return self.policy.revision

    @property
    def knowledge_revision(self) -> str:
        """Of the documents alone, so that personas with the same documents share what was made of them."""
        return digest([document.model_dump(mode="json") for document in self.documents])

    def to_json(self) -> Json:
        content: dict[str, Json] = self.model_dump(mode="json")
        return content


class PersonaFile(_PersonaText):
    """A persona as a team keeps it in a file: a document may be a path beside it."""

    documents: tuple[DocumentFile | Document, ...] = Field(default=(), max_length=DOCUMENTS_MAX)

    def paths(self) -> tuple[str, ...]:
        return tuple(document.path for document in self.documents if isinstance(document, DocumentFile))

    def resolve(self, texts: Mapping[str, str]) -> Persona:
        """The persona, given the text of each path. Raises PersonaInvalid."""
        documents = []
        for document in self.documents:
            if isinstance(document, Document):
                documents.append(document.model_dump(mode="json"))
                continue
            plain = document.path.lower().endswith(".txt")
            documents.append(
                {
                    "title": document.title,
                    "text": texts[document.path],
                    "media_type": document.media_type or ("text/plain" if plain else "text/markdown"),
                    "document_id": document.document_id or slug(document.title),
                }
            )
        return parse_persona({**self.model_dump(mode="json"), "documents": documents})


class PublishedPersona(Frozen):
    """One revision, immutable. Revisions count from 1."""

    persona_id: PersonaId
    revision: int = Field(ge=1)
    persona: Persona
    policy_revision: str
    knowledge_revision: str


def parse_persona(value: object) -> Persona:
    """Raises PersonaInvalid, whose problems are sentences."""
    try:
        return Persona.model_validate(value)
    except ValidationError as error:
        raise PersonaInvalid(problems_of(error)) from None


def parse_persona_file(value: object) -> PersonaFile:
    """Raises PersonaInvalid, whose problems are sentences."""
    try:
        return PersonaFile.model_validate(value)
    except ValidationError as error:
        raise PersonaInvalid(problems_of(error)) from None


def persona_schema() -> dict[str, Json]:
    """JSON Schema (2020-12) of the persona file, for editors and for `GET /v1/schemas/persona`."""
    schema: dict[str, Json] = PersonaFile.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Vivavoce persona",
    }


def problems_of(error: ValidationError) -> tuple[str, ...]:
    """One sentence for each problem: where it is, then what is wrong. No value is repeated: it may be long,
    and it may be a secret."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False)[:PROBLEMS_SHOWN_MAX]:
        place = ".".join(_fields(problem["loc"])) or "persona"
        message = problem["msg"].removeprefix("Value error, ").rstrip(".")
        problems.append(f"{place}: {message}.")
    return tuple(dict.fromkeys(problems))


def _fields(place: tuple[int | str, ...]) -> list[str]:
    """The path of a field as it is written in the file: without the names that unions are told apart by."""
    fields: list[str] = []
    for part in place:
        is_tag = part in _DOCUMENT_TAGS or (fields[-1:] == ["test"] and part in _TEST_TAGS)
        if not is_tag:
            fields.append(str(part))
    return fields


_DOCUMENT_TAGS = frozenset({"Document", "DocumentFile"})
_TEST_TAGS = frozenset({"pattern", "personal_data", "secret"})


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\x00" in value
        case Mapping():
            return any(_holds_nul(item) for item in value.values())
        case tuple() | list():
            return any(_holds_nul(item) for item in value)
    return False


def _refuse_repeats(field: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{field} {value!r} stands twice; each must be its own")
