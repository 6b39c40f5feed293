"""The gate: every sentence of the persona passes the policy's rules before it is spoken, and everything the
person says passes the input rules before it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from domain.events.catalogue import Verdict
from domain.mind import detectors, patterns
from domain.mind.detectors import Hit
from domain.mind.persona import (
    SPOKEN_CHARS_MAX,
    Guardrail,
    PatternTest,
    Persona,
    PersonaInvalid,
    PersonalData,
    PersonalDataTest,
    Policy,
    SecretTest,
)
from domain.mind.spelling import Span, clean

Scope = Literal["input", "output"]

# What is judged at once. A sentence of the persona is far shorter; a longer one cannot be judged in time, so
# its rules count as failed.
JUDGED_CHARS_MAX = 2_000
# A person may tell a long story in one turn: it is judged in windows of JUDGED_CHARS_MAX. What is longer than
# this cannot be judged in time either.
INPUT_CHARS_MAX = 40_000
# How much of what was already allowed is judged together with the next sentence of the same reply: a number
# that is dealt out over several sentences is found when its last part comes. The windows of a long story
# share as much with their neighbours.
TAIL_CHARS_MAX = 600

_NUMBER, _ADDRESS = "a number that I don't read out", "an address that I don't read out"
_PLACEHOLDERS = {
    PersonalData.CARD_NUMBER: _NUMBER,
    PersonalData.IBAN: _NUMBER,
    PersonalData.POLICY_NUMBER: _NUMBER,
    PersonalData.PHONE: _NUMBER,
    PersonalData.EMAIL: _ADDRESS,
    PersonalData.WEB_ADDRESS: _ADDRESS,
    None: "something that I can't share",
}
# The stricter one wins where several rules are met.
_SEVERITY = (
    Verdict.ALLOW,
    Verdict.REDACT,
    Verdict.REPLACE,
    Verdict.REFUSE,
    Verdict.ESCALATE,
    Verdict.END,
)


@dataclass(frozen=True, slots=True)
class GateState:
    """What the gate remembers within one reply; a new reply begins with a new one."""

    tail: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of one text.

    `text_to_say` is what may be spoken: the text itself (`allow`), the text without what it must not hold
    (`redact`), or what is said in its place. It is None only for a person's words that may be answered.
    `refuse`, `escalate` and `end` stop the rest of the reply.
    """

    verdict: Verdict
    text_to_say: str | None
    # The rule that decided; None where every rule let it pass.
    rule: str | None
    evaluated: tuple[str, ...]
    # Rules that could not be evaluated.
    failed: tuple[str, ...]
    # For the next sentence of the same reply.
    state: GateState

    @property
    def stops_reply(self) -> bool:
        return self.verdict in (Verdict.REFUSE, Verdict.ESCALATE, Verdict.END)


@dataclass(frozen=True, slots=True)
class _Finding:
    rule: Guardrail
    verdict: Verdict
    say: str | None
    redactions: tuple[tuple[Span, str], ...] = ()


class CannotEvaluate(Exception):
    """A rule could not be evaluated on this text."""


class Gate:
    """One policy, ready to judge. Holds no state of its own: the same arguments give the same judgement."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def policy(self) -> Policy:
        return self._policy

    def judge(self, text: str, *, scope: Scope, state: GateState | None = None) -> Judgement:
        """Judges one sentence of the persona (`output`), or what the person said (`input`).

        A rule counts as failed on a sentence of more than JUDGED_CHARS_MAX characters, and on a person's
        words of more than INPUT_CHARS_MAX.
        """
        state = state or GateState()
        said = clean(text)
        evaluated: list[str] = []
        failed: list[str] = []
        findings: list[_Finding] = []
        for rule in self._policy.rules:
            if rule.scope != scope:
                continue
            try:
                hits = _hits(rule, said, state.tail) if scope == "output" else _input_hits(rule, said)
            except (CannotEvaluate, patterns.PatternInvalid):
                failed.append(rule.guardrail_name)
                if rule.on_error == "closed" and rule.verdict is not Verdict.ALLOW:
                    findings.append(self._blocked(rule))
                continue
            evaluated.append(rule.guardrail_name)
            if hits:
                findings.append(self._found(rule, hits))
        return self._decide(
            said,
            scope=scope,
            state=state,
            findings=findings,
            evaluated=tuple(evaluated),
            failed=tuple(failed),
        )

    def _found(self, rule: Guardrail, hits: list[tuple[Span, PersonalData | None]]) -> _Finding:
        if rule.verdict is Verdict.REDACT:
            redactions = tuple((span, rule.say or _PLACEHOLDERS[data]) for span, data in hits)
            return _Finding(rule, Verdict.REDACT, None, redactions)
        if rule.verdict is Verdict.ESCALATE:
            return _Finding(rule, rule.verdict, rule.say or self._policy.handover)
        return _Finding(rule, rule.verdict, rule.say)

    def _blocked(self, rule: Guardrail) -> _Finding:
        """A rule that might have called a person still does; every other one refuses, and ends nothing."""
        if rule.verdict is Verdict.ESCALATE:
            return _Finding(rule, Verdict.ESCALATE, rule.say or self._policy.handover)
        say = None if rule.verdict is Verdict.REDACT else rule.say
        return _Finding(rule, Verdict.REFUSE, say or self._policy.blocked)

    def _decide(
        self,
        said: str,
        *,
        scope: Scope,
        state: GateState,
        findings: list[_Finding],
        evaluated: tuple[str, ...],
        failed: tuple[str, ...],
    ) -> Judgement:
        unchanged = said if scope == "output" else None
        if not findings:
            return Judgement(Verdict.ALLOW, unchanged, None, evaluated, failed, _after(state, said))
        # The first of the strictest: the order of the policy decides between equals.
        deciding = max(findings, key=lambda finding: _SEVERITY.index(finding.verdict))
        match deciding.verdict:
            case Verdict.ALLOW:
                say = unchanged
            case Verdict.REDACT:
                say = _redact(said, [part for finding in findings for part in finding.redactions])
                if len(say) > SPOKEN_CHARS_MAX:
                    # So much stands in for what was taken out that it cannot be spoken as one sentence.
                    deciding = _Finding(deciding.rule, Verdict.REFUSE, self._policy.blocked)
                    say = deciding.say
            case Verdict.REPLACE | Verdict.REFUSE | Verdict.ESCALATE | Verdict.END:
                say = deciding.say
            case _:
                assert_never(deciding.verdict)
        name = deciding.rule.guardrail_name
        return Judgement(deciding.verdict, say, name, evaluated, failed, _after(state, say or ""))


def check_publishable(persona: Persona) -> None:
    """Raises PersonaInvalid where the policy would stop what the persona itself always says: what the policy
    says in place of a sentence is judged here, once, and never again."""
    gate = Gate(persona.policy)
    fixed = [
        ("disclosure", persona.disclosure),
        ("greeting", persona.greeting),
        ("not_found", persona.not_found),
        ("failed", persona.failed),
        ("handover", persona.handover),
        ("blocked", persona.blocked),
    ]
    fixed += [
        (f"guardrails.{i}.say", rule.say) for i, rule in enumerate(persona.guardrails) if rule.say is not None
    ]
    problems = []
    for place, text in fixed:
        judgement = gate.judge(text, scope="output")
        if judgement.verdict is not Verdict.ALLOW:
            problems.append(
                f"{place}: the persona's own rule {judgement.rule!r} would stop it; change one of the two."
            )
    if problems:
        raise PersonaInvalid(tuple(problems))


def _hits(rule: Guardrail, said: str, tail: str) -> list[tuple[Span, PersonalData | None]]:
    """What the rule finds in `said`, also where it began in what was said just before. Spans are `said`'s."""
    if len(said) > JUDGED_CHARS_MAX:
        raise CannotEvaluate(f"a text of more than {JUDGED_CHARS_MAX} characters is not judged")
    return [(span, hit.data) for hit in _found_by(rule, said, tail) for span in hit.spans]


def _input_hits(rule: Guardrail, said: str) -> list[tuple[Span, PersonalData | None]]:
    """What the rule finds in a person's words, in windows where they are long. Spans are `said`'s."""
    if len(said) > INPUT_CHARS_MAX:
        raise CannotEvaluate(f"words of more than {INPUT_CHARS_MAX} characters are not judged")
    hits = []
    for first in range(0, max(1, len(said) - TAIL_CHARS_MAX), JUDGED_CHARS_MAX - TAIL_CHARS_MAX):
        window = said[first : first + JUDGED_CHARS_MAX]
        for hit in _found_by(rule, window, ""):
            if _answers_for(hit, first, len(window), len(said)):
                hits += [((first + start, first + end), hit.data) for start, end in hit.spans]
    return hits


def _answers_for(hit: Hit, first: int, length: int, whole: int) -> bool:
    """Whether this window decides about the hit. What lies wholly in the outer half of what it shares with a
    neighbour is the neighbour's, which sees the words around it: at a cut, half a word looks like a word, any
    place like the beginning or the end, and what excuses the words may be missing."""
    margin = TAIL_CHARS_MAX // 2
    start, end = min(span[0] for span in hit.spans), max(span[1] for span in hit.spans)
    before = first > 0 and end <= margin
    after = first + length < whole and start >= length - margin
    return not before and not after


def _found_by(rule: Guardrail, said: str, tail: str) -> list[Hit]:
    """The hits in `said` that do not lie wholly in `tail`, with the spans that reach beyond it."""
    window = f"{tail} {said}" if tail else said
    offset = len(window) - len(said)
    match rule.test:
        case PatternTest():
            found = _pattern_hits(rule.test, said, offset=0)
            if tail:
                # On its own first, so that ^ and $ mean the sentence; then what straddles the border.
                found += _pattern_hits(rule.test, window, offset=offset)
            return [Hit((span,)) for span in found]
        case PersonalDataTest():
            hits = detectors.personal_data(rule.test, window)
        case SecretTest():
            hits = detectors.secrets(rule.test, window)
        case _:
            assert_never(rule.test)
    return _within(hits, offset)


def _pattern_hits(test: PatternTest, text: str, *, offset: int) -> list[Span]:
    """Hits that reach beyond `offset`; with an offset, only those that begin before it."""
    excused = [span for pattern in test.unless for span in patterns.find(pattern, text)]
    hits = []
    for pattern in test.any_of:
        for start, end in patterns.find(pattern, text):
            if any(first <= start and end <= last for first, last in excused):
                continue
            if end > offset and (offset == 0 or start < offset):
                hits.append((max(start - offset, 0), end - offset))
    return hits


def _within(hits: list[Hit], offset: int) -> list[Hit]:
    kept = [
        Hit(
            tuple((max(start - offset, 0), end - offset) for start, end in hit.spans if end > offset),
            hit.data,
        )
        for hit in hits
    ]
    return [hit for hit in kept if hit.spans]


def _redact(text: str, parts: list[tuple[Span, str]]) -> str:
    """Each hit replaced by its placeholder; hits that overlap are one, and take the first one's."""
    merged: list[tuple[int, int, str]] = []
    for (start, end), placeholder in sorted(parts):
        if merged and start < merged[-1][1]:
            first, last, kept = merged[-1]
            merged[-1] = (first, max(last, end), kept)
        else:
            merged.append((start, end, placeholder))
    for start, end, placeholder in reversed(merged):
        text = text[:start] + placeholder + text[end:]
    return text


def _after(state: GateState, said: str) -> GateState:
    return GateState(f"{state.tail} {said}".strip()[-TAIL_CHARS_MAX:])
