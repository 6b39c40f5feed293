"""Policies and personas for tests: as small as each test needs."""

from __future__ import annotations

from typing import Literal

from domain.events.canonical import Json
from domain.events.catalogue import Verdict
from domain.mind.persona import Guardrail, GuardrailTest, PatternTest, Policy

HANDOVER = "A colleague will take over."
BLOCKED = "I can't say that."


def policy(*rules: Guardrail) -> Policy:
    return Policy(rules=rules, handover=HANDOVER, blocked=BLOCKED)


def rule(
    name: str,
    test: GuardrailTest,
    verdict: Verdict,
    *,
    scope: Literal["input", "output"] = "output",
    say: str | None = None,
    on_error: Literal["closed", "open"] = "closed",
) -> Guardrail:
    return Guardrail(guardrail_name=name, scope=scope, test=test, verdict=verdict, say=say, on_error=on_error)


def pattern(*any_of: str, unless: tuple[str, ...] = ()) -> PatternTest:
    return PatternTest(any_of=any_of, unless=unless)


def persona_document(**changes: Json) -> dict[str, Json]:
    """The smallest persona that is valid, with changes."""
    return {
        "name": "Ada",
        "system_prompt": "You are Ada.",
        "disclosure": "You are speaking with an AI.",
        "greeting": "Hello.",
        **changes,
    }
