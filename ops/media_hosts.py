"""Where media workers may be: the API forwards offers to no other host, and shows its secret to none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

ENTRIES_MAX = 64

# Exactly what a media worker says of itself. What is not of this form is not taken apart any further, so that
# no two readers of an address can find two hosts in it.
_ADDRESS = re.compile(
    r"http://(\[(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\]|(?P<host>[0-9A-Za-z.-]{1,253})):[0-9]{1,5}"
)
_LABEL = "[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?"
# A name does not end in a number: such a one is another way to write an IP address.
_NAME = re.compile(rf"(\*\.)?({_LABEL}\.)*(?=[0-9-]*[a-z]){_LABEL}")


class AddressRefusal(StrEnum):
    MALFORMED = "malformed"
    HOST_NOT_ALLOWED = "host_not_allowed"


class MediaHosts:
    """Networks, names, and `*.` followed by a name for every host below it."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network], names: Iterable[str]) -> None:
        self._networks = tuple(networks)
        self._names = frozenset(names)

    @classmethod
    def parse(cls, text: str) -> MediaHosts:
        """Of up to ENTRIES_MAX entries with commas between them. Raises ValueError, which names the entry."""
        entries = [entry.strip().lower() for entry in text.split(",") if entry.strip()]
        if not 1 <= len(entries) <= ENTRIES_MAX:
            raise ValueError(
                f"name 1 to {ENTRIES_MAX} networks or hosts of media workers, with commas between them"
            )
        networks: list[IPv4Network | IPv6Network] = []
        names: list[str] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                if not _NAME.fullmatch(entry):
                    raise ValueError(
                        f"{entry!r} is neither a network (10.0.0.0/8), an IP address, a host's name nor"
                        " *. with a name"
                    ) from None
                names.append(entry)
        return cls(networks, names)

    def refusal(self, address: str) -> AddressRefusal | None:
        """Why nothing may be sent to `address`; None where it may."""
        found = _ADDRESS.fullmatch(address)
        if found is None:
            return AddressRefusal.MALFORMED
        host = (found["v6"] or found["host"]).lower()
        try:
            ip = ip_address(host)
        except ValueError:
            allowed = found["host"] is not None and self._allows_name(host)
        else:
            allowed = any(ip in network for network in self._networks)
        return None if allowed else AddressRefusal.HOST_NOT_ALLOWED

    def _allows_name(self, name: str) -> bool:
        labels = name.split(".")
        above = (f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels)))
        return name in self._names or any(each in self._names for each in above)
