from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from domain.events.canonical import Json
from domain.mind.persona import (
    DOCUMENT_CHARS_MAX,
    DOCUMENTS_CHARS_MAX,
    PATTERN_CHARS_MAX,
    PROBLEMS_SHOWN_MAX,
    Persona,
    PersonaInvalid,
    parse_persona,
    parse_persona_file,
    persona_schema,
)
from tests.unit.mind.policies import persona_document


def _problems(value: object) -> str:
    with pytest.raises(PersonaInvalid) as caught:
        parse_persona(value)
    return "\n".join(caught.value.problems)


def _rule(**changes: Json) -> dict[str, Json]:
    return {
        "guardrail_name": "no_gold",
        "scope": "output",
        "test": {"kind": "pattern", "any_of": ["gold"]},
        "verdict": "replace",
        "say": "Silver.",
        **changes,
    }


def test_the_smallest_persona_is_valid_and_names_what_it_leaves_out() -> None:
    persona = parse_persona(persona_document())
    assert (persona.language, persona.voice.name, persona.face.name) == ("en", "heart", "puppet")
    assert persona.not_found
    assert persona.handover


@pytest.mark.parametrize("text", ["Hello, this is Ada.", "You are speaking with Aida.", "We aim high."])
def test_a_disclosure_that_does_not_say_ai_is_refused(text: str) -> None:
    assert _problems(persona_document(disclosure=text)).startswith("disclosure: ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"voice": {"name": "nobody"}}, "voice.name: there is no voice"),
        ({"voice": {"pitch": 3}}, "voice.pitch: "),
        ({"face": {"name": "nobody"}}, "face.name: there is no face 'nobody'; the faces are puppet."),
        ({"face": {"name": ""}}, "face.name: there is no face"),
        ({"face": {"name": "Puppet"}}, "face.name: there is no face"),
        ({"language": "de"}, "language: "),
        ({"colour": "red"}, "colour: "),
        ({"guardrails": [_rule(say=None)]}, "guardrails.0: a rule with the verdict replace needs `say`"),
        ({"guardrails": [_rule(scope="input")]}, "guardrails.0: an input rule cannot replace"),
        ({"guardrails": [_rule(), _rule()]}, "stands twice"),
        (
            {"guardrails": [_rule(test={"kind": "pattern", "any_of": ["a", "(?=b)"]})]},
            "guardrails.0.test.any_of.1: the pattern cannot be used",
        ),
        ({"guardrails": [_rule(test={"kind": "pattern", "any_of": ["a*"]})]}, "matches an empty text"),
        (
            {"guardrails": [_rule(test={"kind": "pattern", "any_of": ["a" * (PATTERN_CHARS_MAX + 1)]})]},
            "guardrails.0.test.any_of.0: ",
        ),
        (
            {"guardrails": [_rule(test={"kind": "personal_data", "data": ["policy_number"]})]},
            "guardrails.0.test: policy_number needs policy_number_pattern",
        ),
        (
            {"documents": [{"title": "A", "text": "x"}, {"title": "a", "text": "y"}]},
            "document_id 'a' stands twice",
        ),
        ({"documents": [{"title": "A", "text": "x\x00"}]}, "NUL"),
        ({"documents": [{"title": "A", "text": "x" * (DOCUMENT_CHARS_MAX + 1)}]}, "documents.0.text: "),
        (
            {
                "documents": [
                    {"title": f"A{n}", "text": "x" * DOCUMENT_CHARS_MAX}
                    for n in range(DOCUMENTS_CHARS_MAX // DOCUMENT_CHARS_MAX + 1)
                ]
            },
            "the documents hold more than",
        ),
    ],
)
def test_each_problem_is_a_sentence_that_names_its_field(changes: dict[str, Json], expected: str) -> None:
    problems = _problems(persona_document(**changes))
    assert expected in problems
    assert all(line.endswith(".") for line in problems.splitlines())


@pytest.mark.parametrize("value", [None, [], "persona", 7])
def test_what_is_no_mapping_is_refused_in_a_sentence(value: object) -> None:
    assert _problems(value).startswith("persona: ")


def test_a_problem_never_repeats_the_value() -> None:
    assert "hunter2" not in _problems(persona_document(voice={"pitch": "hunter2"}))


def test_a_hopeless_document_is_refused_with_the_first_problems_only() -> None:
    wrong = {f"field_{n}": n for n in range(3 * PROBLEMS_SHOWN_MAX)}
    assert len(_problems(persona_document(**wrong)).splitlines()) == PROBLEMS_SHOWN_MAX


def test_the_digests_follow_what_they_are_of() -> None:
    document: Json = [{"title": "A", "text": "x"}]
    first = parse_persona(persona_document(documents=document))
    greeting = parse_persona(persona_document(documents=document, greeting="Hi."))
    rules = parse_persona(persona_document(documents=document, guardrails=[_rule()]))
    text = parse_persona(persona_document(documents=[{"title": "A", "text": "y"}]))
    assert len({each.content_sha256 for each in (first, greeting, rules, text)}) == 4
    assert first.policy_revision == greeting.policy_revision == text.policy_revision != rules.policy_revision
    assert first.knowledge_revision == greeting.knowledge_revision == rules.knowledge_revision
    assert first.knowledge_revision != text.knowledge_revision


def test_a_persona_survives_its_own_json() -> None:
    persona = parse_persona(persona_document(documents=[{"title": "A b", "text": "x"}], guardrails=[_rule()]))
    assert parse_persona(persona.to_json()) == persona
    assert Persona.model_validate_json(persona.model_dump_json()) == persona
    assert persona.documents[0].document_id == "a-b"


def test_a_file_s_documents_are_resolved_by_their_paths() -> None:
    file = parse_persona_file(
        persona_document(
            documents=[
                {"path": "a.md", "title": "First"},
                {"path": "b.txt", "title": "Second", "document_id": "two"},
                {"title": "Third", "text": "inline"},
            ]
        )
    )
    persona = file.resolve({"a.md": "# A", "b.txt": "B"})
    assert [(d.document_id, d.media_type, d.text) for d in persona.documents] == [
        ("first", "text/markdown", "# A"),
        ("two", "text/plain", "B"),
        ("third", "text/markdown", "inline"),
    ]
    assert file.paths() == ("a.md", "b.txt")


def test_the_published_schema_accepts_a_file_and_refuses_a_wrong_one() -> None:
    schema = persona_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    good = persona_document(documents=[{"path": "a.md", "title": "First"}], guardrails=[_rule()])
    validator.validate(good)
    assert not validator.is_valid({**good, "colour": "red"})
    assert not validator.is_valid({key: value for key, value in good.items() if key != "disclosure"})


@pytest.mark.parametrize("part", ["voice", "face"])
def test_the_published_schema_names_the_voices_and_faces_that_there_are(part: str) -> None:
    schema: dict[str, Any] = persona_schema()
    validator = jsonschema.Draft202012Validator(schema)
    known = schema["$defs"][f"Persona{part.title()}"]["properties"]["name"]["enum"]
    assert known
    for name in known:
        document = persona_document(**{part: {"name": name}})
        validator.validate(document)
        assert getattr(parse_persona(document), part).name == name
    assert not validator.is_valid(persona_document(**{part: {"name": "nobody"}}))
