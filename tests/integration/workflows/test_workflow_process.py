"""The workflow process as an operator meets it: what it refuses, and in which words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from activities.store.roles import RoleTooMighty
from ops.bootstrap import Addresses
from ops.devstack.temporal import TemporalServer, free_port
from ops.processes.temporal_client import PayloadKeyInvalid, TemporalUnreachable, connect
from ops.processes.workflow_worker import run
from ops.settings import Settings
from tests.temporal_fixtures import REPOSITORY, process_environment
from workflows.contracts import RELEASE


def _settings(monkeypatch: pytest.MonkeyPatch, **changes: object) -> Settings:
    values = {"database_url": "postgresql://nowhere", "temporal_address": "127.0.0.1:1", **changes}
    environment = process_environment(
        database_url=str(values.pop("database_url")),
        temporal_address=str(values.pop("temporal_address")),
        folder=Path("/nonexistent"),
        **values,
    )
    for name, value in environment.items():
        if name.startswith("VIVAVOCE_"):
            monkeypatch.setenv(name, value)
    return Settings()


async def test_it_does_not_start_as_a_role_that_sees_every_tenant(
    monkeypatch: pytest.MonkeyPatch, addresses: Addresses, temporal_server: TemporalServer
) -> None:
    settings = _settings(
        monkeypatch, database_url=addresses.admin_url, temporal_address=temporal_server.address
    )

    with pytest.raises(RoleTooMighty, match="is a superuser"):
        await run(settings)


async def test_a_temporal_that_does_not_answer_is_named_after_a_bounded_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    settings = _settings(monkeypatch, temporal_address=f"127.0.0.1:{port}")

    with pytest.raises(TemporalUnreachable, match=f"127.0.0.1:{port}: start it"):
        await connect(settings, within_s=1)


@pytest.mark.parametrize("key", ["c2hvcnQ=", "not base64!"])
async def test_a_key_of_the_wrong_form_is_told_with_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    with pytest.raises(PayloadKeyInvalid, match="VIVAVOCE_PAYLOAD_KEY"):
        await connect(_settings(monkeypatch, payload_key=key))


def test_histories_name_the_release_that_is_installed() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert project["version"] == RELEASE
