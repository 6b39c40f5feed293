"""Canonical bytes: RFC 8785 JSON, so that two programs that agree on a value agree on its digest.

Numbers are restricted to integers within ±2^53 and to finite floats, which Python already writes in the
shortest form that ECMAScript would read back; exponents are rewritten to ECMAScript's spelling.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

INTEGER_MAX = 2**53


class NotCanonical(ValueError):
    """The value has no RFC 8785 form."""


def canonical_bytes(value: Json) -> bytes:
    """The one UTF-8 spelling of a JSON value. Raises NotCanonical for what JSON cannot say exactly."""
    return _encode(value).encode("utf-8")


def digest(value: Json) -> str:
    """SHA-256 of the canonical bytes, in lower-case hexadecimal."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _encode(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            if abs(value) > INTEGER_MAX:
                raise NotCanonical("an integer beyond 2^53 has no exact JSON number; store it as a string")
            return str(value)
        case float():
            return _number(value)
        case str():
            return _string(value)
        case Mapping():
            # RFC 8785 sorts by UTF-16 code units, which is not the order of code points.
            keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
            return "{" + ",".join(f"{_string(key)}:{_encode(value[key])}" for key in keys) + "}"
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return "[" + ",".join(_encode(item) for item in value) + "]"
    raise NotCanonical(f"{type(value).__name__} is not a JSON value")


def _string(text: str) -> str:
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise NotCanonical("a lone surrogate has no UTF-8 form")
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """ECMAScript's Number::toString, which RFC 8785 prescribes."""
    if not math.isfinite(value):
        raise NotCanonical("JSON has no infinity and no not-a-number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # `point` is where the decimal point stands, counted from the first significant digit.
    leading = len(whole + fraction) - len((whole + fraction).lstrip("0"))
    point = len(whole) - leading + int(exponent or 0)
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    n = len(digits)
    if n <= point <= 21:
        return digits + "0" * (point - n)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return (digits if n == 1 else f"{digits[0]}.{digits[1:]}") + exponent
