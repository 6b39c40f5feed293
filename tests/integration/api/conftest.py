"""The API over a real Postgres, with workflows and media workers that a test steers."""

from tests.api_fixtures import (
    anyone,
    api_key,
    conversation,
    conversation_log,
    media,
    persona_id,
    program,
    runs,
    services,
)

__all__ = [
    "anyone",
    "api_key",
    "conversation",
    "conversation_log",
    "media",
    "persona_id",
    "program",
    "runs",
    "services",
]
