"""A real Temporal for the tests of what waits for it."""

from tests.temporal_fixtures import temporal_server

__all__ = ["temporal_server"]
