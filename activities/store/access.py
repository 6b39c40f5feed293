"""Secrets that let a caller in. The database holds their digests and nothing that opens a door."""

from __future__ import annotations

import hashlib
import secrets

_API_KEY_PREFIX = "vv_"
SECRET_BYTES = 32


def new_api_key() -> str:
    """32 random bytes: too many to guess, so that a plain digest of them is safe to store."""
    return _API_KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """What is stored and looked up, 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()
