from __future__ import annotations

from pathlib import Path

import pytest

from activities.personas import (
    PERSONA_BYTES_MAX,
    PERSONA_FILE_BYTES_MAX,
    load_persona_file,
    parse_persona_text,
)
from domain.mind.persona import DOCUMENT_CHARS_MAX, PersonaInvalid

HEAD = """
name: Ada
system_prompt: You are Ada.
disclosure: You are speaking with an AI.
greeting: Hello.
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "persona.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _problem(path: Path) -> str:
    with pytest.raises(PersonaInvalid) as caught:
        load_persona_file(path)
    return caught.value.problems[0]


def test_documents_are_read_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("# Guide\n\nÜber alles.", encoding="utf-8")
    path = _write(tmp_path, HEAD + "documents:\n  - {title: Guide, path: docs/guide.md}\n")
    persona = load_persona_file(path)
    assert persona.documents[0].text == "# Guide\n\nÜber alles."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HEAD + "documents:\n  - {title: Guide, path: missing.md}\n",
            "documents.0.path: there is no file missing.md",
        ),
        (
            HEAD + "documents:\n  - {title: Guide, path: ../x.md}\n",
            "documents.0.path: the document must lie in",
        ),
        (
            HEAD + "documents:\n  - {title: Guide, path: latin.md}\n",
            "documents.0.path: latin.md is not UTF-8",
        ),
        (
            HEAD + "documents:\n  - {title: Guide, path: large.md}\n",
            "documents.0.path: large.md is longer than",
        ),
        (HEAD + "documents:\n  - {title: Guide, path: .}\n", "documents.0.path: "),
        (HEAD + "voice: {name: nobody}\n", "voice.name: there is no voice"),
        ("name: [", "persona.yaml: the YAML cannot be read in line 1"),
        ("a: &a [x]\nb: *a\n", "persona.yaml: YAML aliases"),
        ("[" * 5000, "persona.yaml: the YAML cannot be read"),
        ("!!python/object/apply:os.getcwd []", "persona.yaml: the YAML cannot be read"),
        ("", "persona: "),
        (f"name: {'x' * PERSONA_FILE_BYTES_MAX}", "longer than"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "latin.md").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "large.md").write_text("x" * (4 * DOCUMENT_CHARS_MAX + 1))
    problem = _problem(_write(tmp_path, text))
    assert expected in problem
    assert problem.endswith(".")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = tmp_path / "persona"
    folder.mkdir()
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    path = _write(folder, HEAD + "documents:\n  - {title: Guide, path: link.md}\n")
    assert "must lie in the folder" in _problem(path)


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    assert _problem(tmp_path / "none.yaml").endswith("there is no file none.yaml.")


def test_a_request_brings_json_or_yaml() -> None:
    yaml = parse_persona_text(HEAD.encode())
    assert parse_persona_text(yaml.model_dump_json().encode()) == yaml


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"null", b"[1]", b'{"name": "A"}'])
def test_a_request_that_is_no_persona_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(PersonaInvalid) as caught:
        parse_persona_text(content)
    assert all(problem.endswith(".") for problem in caught.value.problems)


def test_a_request_of_any_length_is_refused_before_it_is_read() -> None:
    with pytest.raises(PersonaInvalid, match=f"longer than {PERSONA_BYTES_MAX} bytes"):
        parse_persona_text(b" " * (PERSONA_BYTES_MAX + 1))
