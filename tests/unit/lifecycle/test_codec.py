"""Payloads that Temporal stores but cannot read."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Payload

from workflows.codec import EncryptionCodec, PayloadRefused, key_id

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'{"code":"idle"}')


async def test_what_was_encrypted_opens_again_and_shows_nothing() -> None:
    (sealed,) = await EncryptionCodec(KEY).encode([CLEAR])

    assert b"idle" not in sealed.SerializeToString()
    assert b"json" not in sealed.SerializeToString()
    assert sealed.metadata["encryption-key-id"].decode() == key_id(KEY)
    assert await EncryptionCodec(KEY).decode([sealed]) == [CLEAR]


async def test_the_same_payload_twice_does_not_look_the_same() -> None:
    first, second = await EncryptionCodec(KEY).encode([CLEAR, CLEAR])

    assert first.data != second.data


async def test_after_a_change_of_keys_older_payloads_still_open() -> None:
    (sealed,) = await EncryptionCodec(KEY).encode([CLEAR])

    assert await EncryptionCodec(OTHER, older=[KEY]).decode([sealed]) == [CLEAR]
    with pytest.raises(PayloadRefused, match=key_id(KEY)):
        await EncryptionCodec(OTHER).decode([sealed])


async def test_a_changed_payload_and_one_in_clear_are_refused() -> None:
    (sealed,) = await EncryptionCodec(KEY).encode([CLEAR])
    sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])

    with pytest.raises(PayloadRefused, match="changed"):
        await EncryptionCodec(KEY).decode([sealed])
    with pytest.raises(PayloadRefused, match="in clear"):
        await EncryptionCodec(KEY).decode([CLEAR])


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        EncryptionCodec(b"short")
