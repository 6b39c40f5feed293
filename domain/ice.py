"""Servers that help two ends of a call to find a way to each other through NAT (RFC 7064, RFC 7065)."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator, model_validator

from domain.events.payload import Frozen

ICE_SERVERS_MAX = 8
ICE_URLS_MAX = 8
ICE_URL_CHARS_MAX = 320
ICE_CREDENTIAL_CHARS_MAX = 512

# What browsers and the media worker both understand; the worker's library takes no IPv6 address here.
_URL = re.compile(
    r"(?:stuns?|turns?):[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<query>\?transport=(?:udp|tcp))?"
)


class IceServer(Frozen):
    """One server, or several addresses of it. TURN relays for those who have its credential."""

    urls: tuple[str, ...] = Field(min_length=1, max_length=ICE_URLS_MAX)
    username: str | None = Field(default=None, min_length=1, max_length=ICE_CREDENTIAL_CHARS_MAX)
    credential: SecretStr | None = Field(default=None, min_length=1, max_length=ICE_CREDENTIAL_CHARS_MAX)

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            found = _URL.fullmatch(url) if len(url) <= ICE_URL_CHARS_MAX else None
            if (
                found is None
                or not 1 <= int(found["port"] or 1) <= 65_535
                or (found["query"] and url.startswith("stun"))
            ):
                raise ValueError(
                    "each of urls has the form stun:host:port or turn:host:port?transport=udp (or stuns,"
                    " turns, tcp), with a name or an IPv4 address as host"
                )
        return urls

    @model_validator(mode="after")
    def _turn_has_a_credential(self) -> IceServer:
        relays = any(url.startswith("turn") for url in self.urls)
        if relays and (self.username is None or self.credential is None):
            raise ValueError("a TURN server needs username and credential: browsers refuse it without")
        return self

    @property
    def shown_credential(self) -> str | None:
        """In clear, for those who are to use it."""
        return None if self.credential is None else self.credential.get_secret_value()
