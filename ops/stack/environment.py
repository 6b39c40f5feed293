"""Secrets of an installation, and the settings of the processes that it starts."""

from __future__ import annotations

import base64
import os
import secrets as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import ValidationError

from domain.events.payload import Frozen
from domain.ids import TenantId
from ops.cli.errors import Stop
from ops.stack.folder import DataFolder, write_private

PAYLOAD_KEY_BYTES = 32
# Cold caches on a small machine: several times what was measured there. So long each process waits for the
# others.
PREPARED_WITHIN_S = 180.0


class Secrets(Frozen):
    """Made once for a data folder. Whoever loses them loses what they encrypted."""

    payload_key: str
    control_secret: str
    api_key: str
    tenant_id: UUID

    @property
    def tenant(self) -> TenantId:
        return TenantId(self.tenant_id)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the processes of one run find each other."""

    database_url: str
    temporal: str
    api_host: str
    api_port: int
    media_port: int

    @property
    def api_url(self) -> str:
        # A wildcard is an address to listen on, not one to open in a browser.
        host = "127.0.0.1" if self.api_host in ("0.0.0.0", "::") else self.api_host  # noqa: S104
        return f"http://{host}:{self.api_port}"


def secrets_of(folder: DataFolder) -> Secrets:
    """Those of the folder, made at first use. Only the owner of the folder can read them. Raises Stop."""
    try:
        return Secrets.model_validate_json(folder.secrets.read_bytes())
    except FileNotFoundError:
        # The database library behind it takes long to load, and only the first start needs a key.
        from activities.store.access import new_api_key  # noqa: PLC0415

        made = Secrets(
            payload_key=base64.b64encode(randomness.token_bytes(PAYLOAD_KEY_BYTES)).decode(),
            control_secret=randomness.token_urlsafe(32),
            api_key=new_api_key(),
            tenant_id=uuid4(),
        )
        write_private(folder.secrets, made.model_dump_json(indent=1))
        return made
    except ValidationError:
        raise Stop(
            f"{folder.secrets} cannot be read: put the file back from a copy, or begin anew with another "
            "folder (--data)."
        ) from None


def settings_environment(
    folder: DataFolder, secrets: Secrets, addresses: Addresses, models_dir: Path
) -> dict[str, str]:
    """The environment of every process of the stack: the caller's own, and the settings of this run."""
    return {
        **os.environ,
        # The output goes to a file, which is read while the process runs.
        "PYTHONUNBUFFERED": "1",
        **_variables(
            {
                "database_url": addresses.database_url,
                "temporal_address": addresses.temporal,
                "payload_key": secrets.payload_key,
                "control_secret": secrets.control_secret,
                "models_dir": models_dir,
                "recordings_dir": folder.recordings,
                "api_host": addresses.api_host,
                "api_port": addresses.api_port,
                "public_url": addresses.api_url,
                "media_port": addresses.media_port,
                "start_wait_s": PREPARED_WITHIN_S,
                "tenant_id": secrets.tenant_id,
            }
        ),
    }


def user_cache() -> Path:
    """The user's cache folder, as the XDG base directory specification finds it."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    return Path(configured) if configured.startswith("/") else Path.home() / ".cache"


def _variables(values: Mapping[str, object]) -> dict[str, str]:
    return {f"VIVAVOCE_{name.upper()}": str(value) for name, value in values.items()}
