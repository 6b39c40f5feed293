"""What the log's formats and proofs refuse. A text that was refused is never quoted: it can hold anything."""

from __future__ import annotations

from domain.errors import InvalidInput, RuleBroken, VivavoceError


class AuditError(VivavoceError):
    """The root of what is refused in the transparency log."""

    code = "audit"


class Malformed(AuditError, InvalidInput):
    """Bytes that are not of the form that their standard prescribes, or exceed a bound."""

    code = "audit_malformed"


class NotProven(AuditError, RuleBroken):
    """A proof does not lead to the root that it was given for."""

    code = "not_proven"


class NotSigned(AuditError, RuleBroken):
    """A signature that was needed is missing, or one by a trusted key does not fit the text."""

    code = "not_signed"
