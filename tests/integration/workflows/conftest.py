"""The fixtures of a real Temporal server, for this package."""

from __future__ import annotations

from tests.temporal_fixtures import host, running, temporal_client, temporal_server, world

__all__ = ["host", "running", "temporal_client", "temporal_server", "world"]
