"""STUN and TURN servers of an installation: said once, checked at the start, told to browsers and workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from domain.ice import (
    ICE_CREDENTIAL_CHARS_MAX,
    ICE_SERVERS_MAX,
    ICE_URL_CHARS_MAX,
    ICE_URLS_MAX,
    IceServer,
)
from ops.cli.errors import STOP_EXIT_CODE
from ops.cli.main import run
from ops.settings import Settings

SECRET = "never to be shown"
REQUIRED = {
    "VIVAVOCE_DATABASE_URL": "postgresql://vivavoce_app@db/vivavoce",
    "VIVAVOCE_TEMPORAL_ADDRESS": "temporal:7233",
    "VIVAVOCE_PAYLOAD_KEY": "k",
    "VIVAVOCE_CONTROL_SECRET": "s",
    "VIVAVOCE_MODELS_DIR": str(Path("models")),
    "VIVAVOCE_RECORDINGS_DIR": str(Path("recordings")),
}
TURN = {"urls": ["turn:turn.example.org:3478?transport=udp"], "username": "u", "credential": SECRET}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VIVAVOCE_ICE_SERVERS", raising=False)
    return monkeypatch


def settings_with(environment: pytest.MonkeyPatch, servers: object) -> Settings:
    environment.setenv("VIVAVOCE_ICE_SERVERS", json.dumps(servers))
    return Settings()


def test_without_servers_there_are_none(environment: pytest.MonkeyPatch) -> None:
    assert Settings().ice_servers == ()
    environment.setenv("VIVAVOCE_ICE_SERVERS", "")
    assert Settings().ice_servers == ()


def test_servers_are_read_from_json_and_their_credential_is_a_secret(environment: pytest.MonkeyPatch) -> None:
    settings = settings_with(environment, [{"urls": ["stun:192.0.2.1", "stuns:stun.example.org:443"]}, TURN])

    assert settings.ice_servers == (
        IceServer(urls=("stun:192.0.2.1", "stuns:stun.example.org:443")),
        IceServer(urls=(TURN["urls"][0],), username="u", credential=SecretStr(SECRET)),
    )
    assert settings.ice_servers[1].shown_credential == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "servers",
    [
        {"urls": ["stun:stun.example.org"]},
        [{"urls": []}],
        [{"urls": ["https://turn.example.org"]}],
        [{"urls": ["stun:"]}],
        [{"urls": ["stun:[2001:db8::1]"]}],
        [{"urls": ["stun:stun.example.org:0"]}],
        [{"urls": ["stun:stun.example.org:65536"]}],
        [{"urls": ["stun:stun.example.org?transport=udp"]}],
        [{"urls": ["stun:a b"]}],
        [{**TURN, "urls": ["turn:turn.example.org?transport=sctp"]}],
        [{**TURN, "credential": None}],
        [{**TURN, "username": None}],
        [{**TURN, "username": ""}],
        [{**TURN, "password": SECRET}],
    ],
)
def test_what_no_browser_would_take_is_refused_without_showing_the_credential(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], servers: object
) -> None:
    with pytest.raises(ValidationError):
        settings_with(environment, servers)

    # When a process is started with it, then one sentence names the setting
    assert run(["process", "api"]) == STOP_EXIT_CODE
    told = capsys.readouterr()
    assert "VIVAVOCE_ICE_SERVERS" in told.err
    assert SECRET not in told.err + told.out


def test_what_is_no_json_is_named_like_every_wrong_setting(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("VIVAVOCE_ICE_SERVERS", f"stun:{SECRET}")

    assert run(["process", "media"]) == STOP_EXIT_CODE

    told = capsys.readouterr()
    assert "VIVAVOCE_ICE_SERVERS" in told.err
    assert "not JSON" in told.err
    assert SECRET not in told.err


def refused(environment: pytest.MonkeyPatch, servers: object) -> bool:
    try:
        settings_with(environment, servers)
    except ValidationError:
        return True
    return False


def test_a_list_of_servers_and_its_texts_are_bounded(environment: pytest.MonkeyPatch) -> None:
    stun = {"urls": ["stun:stun.example.org"]}
    longest = "stun:" + ("a" * 63 + ".") * 3 + "a" * 61

    assert not refused(environment, [stun] * ICE_SERVERS_MAX)
    assert refused(environment, [stun] * (ICE_SERVERS_MAX + 1))
    assert not refused(environment, [{"urls": stun["urls"] * ICE_URLS_MAX}])
    assert refused(environment, [{"urls": stun["urls"] * (ICE_URLS_MAX + 1)}])
    assert not refused(environment, [{"urls": [longest]}])
    assert len(longest) < ICE_URL_CHARS_MAX
    assert refused(environment, [{"urls": ["stun:" + "a" * (ICE_URL_CHARS_MAX - 4)]}])
    assert not refused(environment, [{**TURN, "credential": "c" * ICE_CREDENTIAL_CHARS_MAX}])
    assert refused(environment, [{**TURN, "credential": "c" * (ICE_CREDENTIAL_CHARS_MAX + 1)}])
    assert refused(environment, [{**TURN, "username": "c" * (ICE_CREDENTIAL_CHARS_MAX + 1)}])
