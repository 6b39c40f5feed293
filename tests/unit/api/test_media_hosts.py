"""Offers go to hosts that were named as a media worker's, whatever address stands in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ops.media_hosts import ENTRIES_MAX, AddressRefusal, MediaHosts
from ops.settings import Settings

HOSTS = MediaHosts.parse("10.1.0.0/16, 192.168.7.5, fd00::/8, Media-1.example.org, *.media.svc")


@pytest.mark.parametrize(
    "address",
    [
        "http://10.1.255.255:7000",
        "http://192.168.7.5:1",
        "http://[fd00::17]:7000",
        "http://media-1.example.org:7000",
        "http://MEDIA-1.example.org:7000",
        "http://worker-3.media.svc:7000",
        "http://a.b.media.svc:7000",
    ],
)
def test_an_address_of_a_media_worker_may_be_sent_to(address: str) -> None:
    assert HOSTS.refusal(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "http://10.2.0.1:7000",
        "http://127.0.0.1:7000",
        "http://169.254.169.254:80",
        "http://192.168.7.50:7000",
        "http://[::1]:7000",
        # An IPv4 address in another dress is not in a network of IPv4.
        "http://[::ffff:10.1.0.1]:7000",
        "http://167837697:7000",
        "http://0x0a010001:7000",
        "http://012.1.0.1:7000",
        "http://10.1.1:7000",
        "http://media.svc:7000",
        "http://evilmedia.svc:7000",
        "http://media-1.example.org.evil.test:7000",
        "http://media-2.example.org:7000",
    ],
)
def test_another_host_may_not(address: str) -> None:
    assert HOSTS.refusal(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no address",
        "https://10.1.0.1:7000",
        "file:///etc/passwd",
        "http://10.1.0.1",
        "http://10.1.0.1:7000/",
        "http://10.1.0.1:7000/admin",
        "http://10.1.0.1:7000?a=b",
        "http://10.1.0.1:7000#",
        "http://10.1.0.1:7000@evil.test:80",
        "http://evil.test:80@10.1.0.1:7000",
        "http://10.1.0.1:7000\n",
        "http://[10.1.0.1]:7000",
        "http://10.1.0.1\t:7000",
        "http://10.1.0.1\\@evil.test:7000",
        "http://10.1.0.1:７000",
        "http://10.1.0.1%2eevil.test:7000",
    ],
)
def test_what_no_media_worker_says_of_itself_is_no_address(address: str) -> None:
    assert HOSTS.refusal(address) is AddressRefusal.MALFORMED


@pytest.mark.parametrize(
    "entries",
    [
        "",
        " , ",
        "*",
        "*.",
        "10.0.0.5/8",
        "10.0.0.0/33",
        "2130706433",
        "host:7000",
        "http://host",
        "a b",
        "-a",
    ],
)
def test_an_entry_that_is_none_is_refused(entries: str) -> None:
    with pytest.raises(ValueError, match=r"networks or hosts|neither a network"):
        MediaHosts.parse(entries)


def test_entries_are_bounded() -> None:
    MediaHosts.parse(",".join(["10.0.0.1"] * ENTRIES_MAX))
    with pytest.raises(ValueError, match=str(ENTRIES_MAX)):
        MediaHosts.parse(",".join(["10.0.0.1"] * (ENTRIES_MAX + 1)))


def _settings(**given: str) -> Settings:
    return Settings.model_validate(
        {
            "database_url": "postgresql://nobody@127.0.0.1/none",
            "temporal_address": "127.0.0.1:1",
            "payload_key": "key",
            "control_secret": "secret",
            "models_dir": Path("models"),
            "recordings_dir": Path("recordings"),
            **given,
        }
    )


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("http://127.0.0.1:7000", None),
        ("http://[::1]:7000", None),
        ("http://localhost:7000", None),
        ("http://10.0.0.1:7000", AddressRefusal.HOST_NOT_ALLOWED),
        ("http://169.254.169.254:80", AddressRefusal.HOST_NOT_ALLOWED),
    ],
)
def test_without_a_setting_media_workers_are_on_this_machine(
    address: str, refusal: AddressRefusal | None
) -> None:
    assert MediaHosts.parse(_settings().media_hosts).refusal(address) is refusal


def test_a_setting_that_names_no_hosts_is_found_at_the_start() -> None:
    with pytest.raises(ValidationError, match="neither a network"):
        _settings(media_hosts="10.0.0.0/8, everywhere!")
