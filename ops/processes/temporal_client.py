"""The one way to connect to Temporal: every process encrypts and decrypts with the same key."""

from __future__ import annotations

import asyncio
import base64
import binascii

import structlog
from temporalio.client import Client

from domain.errors import InvalidInput, Unavailable
from ops.settings import Settings
from workflows.codec import KEY_BYTES, encrypted_data_converter

log = structlog.get_logger()

# How long a process waits for a Temporal that is still starting.
CONNECT_TIMEOUT_S = 60.0
CONNECT_PAUSE_S = 0.5


class PayloadKeyInvalid(InvalidInput):
    code = "payload_key_invalid"


class TemporalUnreachable(Unavailable):
    code = "temporal_unreachable"


def payload_key(encoded: str) -> bytes:
    """Raises PayloadKeyInvalid."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise PayloadKeyInvalid(
            f"VIVAVOCE_PAYLOAD_KEY must be {KEY_BYTES} random bytes in base64, the same for every process"
        )
    return key


async def connect(settings: Settings, *, within_s: float = CONNECT_TIMEOUT_S) -> Client:
    """Raises PayloadKeyInvalid, or TemporalUnreachable when no server answers `within_s`."""
    converter = encrypted_data_converter(payload_key(settings.payload_key.get_secret_value()))
    address = settings.temporal_address
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    return await Client.connect(
                        address, namespace=settings.temporal_namespace, data_converter=converter
                    )
                except RuntimeError:
                    # The bridge tells a refused connection so; the server may be starting.
                    log.info("temporal.waiting", address=address)
                    await asyncio.sleep(CONNECT_PAUSE_S)
    except TimeoutError:
        raise TemporalUnreachable(
            f"Temporal does not answer at {address}: start it, or set VIVAVOCE_TEMPORAL_ADDRESS"
        ) from None
