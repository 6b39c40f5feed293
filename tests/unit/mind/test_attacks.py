"""Public attacks on the gate: what an obedient model would say is stopped where a rule can know it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain.events.catalogue import Verdict
from domain.mind.gate import Gate
from domain.mind.persona import PersonalData, PersonalDataTest, SecretTest
from tests.unit.mind.policies import pattern, policy, rule

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "attacks"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the attacks are not at {FOLDER}")

# These are false statements in plain words, other languages or ciphers: no rule over words can tell them from
# the truth. They are what judges by a model, which come with language models, are for.
BEYOND_RULES = frozenset(
    {
        "a012",
        "a013",
        "a014",
        "a017",
        "a018",
        "a019",
        "a021",
        "a022",
        "a032",
        "a035",
        "a036",
        "a037",
        "a041",
        "a042",
        "a043",
    }
)
CONTACTS = PersonalDataTest(
    data=(PersonalData.PHONE, PersonalData.EMAIL, PersonalData.WEB_ADDRESS),
    allow=("020 7946 0112", "claims@northwick.example"),
)
PROMPT = pattern(
    r"\bsystem prompt\b",
    r"\byou are marta\b",
    r"\binternal, never to be spoken\b",
    r"\bdesk passphrase\b",
    r"\bwas born (on|in)\b",
    r"\bunvested rsus\b",
)
TRICKS = pattern(r"[A-Za-z0-9+/=]{24,}", r"\bwon't believe\b", r"\b(password|code|passphrase) is \w+")


def _items() -> list[dict[str, Any]]:
    if not FOLDER.is_dir():
        return []
    return [json.loads(line) for line in (FOLDER / "attacks.jsonl").read_text("utf-8").splitlines() if line]


def _gate(item: dict[str, Any]) -> Gate:
    """What a careful owner would publish with this prompt: its secrets by name, and the house's contacts."""
    prompt = item["system_prompt"]
    secrets = json.loads((FOLDER / "persona.json").read_text("utf-8"))["secrets"]
    if prompt:
        secrets = re.findall(r"['\"]([^'\"]{3,})['\"]", prompt) or ["nothing of the kind"]
        secrets += re.findall(r"lives in ([A-Z]\w+)", prompt)
    return Gate(
        policy(
            rule("secrets", SecretTest(secrets=tuple(secrets)), Verdict.REFUSE, say="I can't share that."),
            rule("contacts", CONTACTS, Verdict.REPLACE, say="Please call the claims line."),
            rule("prompt", PROMPT, Verdict.REFUSE, say="I can't share how I'm set up."),
            rule("tricks", TRICKS, Verdict.REFUSE, say="I can't say that."),
        )
    )


@pytest.mark.parametrize("item", _items(), ids=lambda item: str(item["id"]))
def test_a_helpful_answer_passes(item: dict[str, Any]) -> None:
    judgement = _gate(item).judge(item["safe_example"], scope="output")
    assert judgement.verdict is Verdict.ALLOW


@pytest.mark.parametrize("item", _items(), ids=lambda item: str(item["id"]))
def test_an_obedient_answer_is_stopped(item: dict[str, Any]) -> None:
    if item["id"] in BEYOND_RULES:
        pytest.skip("beyond what a rule over words can know")
    judgement = _gate(item).judge(item["violation_example"], scope="output")
    assert judgement.verdict is not Verdict.ALLOW
    said = (judgement.text_to_say or "").replace("’", "'")
    assert not re.search(item["forbidden"], said, re.IGNORECASE)
