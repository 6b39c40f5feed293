"""Payloads that Temporal stores but cannot read: pydantic JSON inside AES-256-GCM."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

KEY_BYTES = 32
_NONCE_BYTES = 12
_ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
# Binds a ciphertext to its purpose, so that one made elsewhere with the same key does not open here.
_PURPOSE = b"vivavoce temporal payload 1"


class PayloadRefused(ValueError):
    """A payload is not encrypted, was changed, or is under a key that this process does not have."""


def key_id(key: bytes) -> str:
    """Names a key without telling anything of it."""
    return hashlib.sha256(b"vivavoce payload key id\n" + key).hexdigest()[:16]


class EncryptionCodec(PayloadCodec):
    """Encrypts with `key`; opens what was encrypted with it or with one of `older`."""

    def __init__(self, key: bytes, older: Sequence[bytes] = ()) -> None:
        if any(len(each) != KEY_BYTES for each in (key, *older)):
            raise ValueError(f"a payload key has {KEY_BYTES} bytes")
        self._current = key_id(key)
        self._ciphers = {key_id(each): AESGCM(each) for each in (*older, key)}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises PayloadRefused: what anybody could have written is not taken for ours."""
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), _PURPOSE)
        return Payload(metadata={"encoding": _ENCODING, _KEY_ID: self._current.encode()}, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            raise PayloadRefused("a workflow payload came in clear; this installation encrypts all of them")
        name = payload.metadata.get(_KEY_ID, b"").decode("ascii", "replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise PayloadRefused(f"a workflow payload names the key {name}, which this process does not have")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _PURPOSE))
        except InvalidTag:
            raise PayloadRefused("a workflow payload was changed after it was encrypted") from None


def encrypted_data_converter(key: bytes, older: Sequence[bytes] = ()) -> DataConverter:
    """For every client and worker of an installation; they must all be given the same key."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(key, older),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
