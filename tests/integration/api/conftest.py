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
from tests.temporal_fixtures import host, running, temporal_client, temporal_server, world

__all__ = [
    "anyone",
    "api_key",
    "conversation",
    "conversation_log",
    "host",
    "media",
    "persona_id",
    "program",
    "running",
    "runs",
    "services",
    "temporal_client",
    "temporal_server",
    "world",
]
