"""Every setting of every process, read once from the environment (VIVAVOCE_…)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.ice import ICE_SERVERS_MAX, IceServer
from ops.media_hosts import MediaHosts


class Settings(BaseSettings):
    """`vivavoce up` writes these for the processes that it starts; an installation of several machines sets
    them itself. A secret has no default."""

    model_config = SettingsConfigDict(env_prefix="VIVAVOCE_", frozen=True, extra="ignore")

    # The application role's own address, or for the sequencer that of its role: no superuser, no BYPASSRLS,
    # owner of nothing.
    database_url: SecretStr
    temporal_address: str
    temporal_namespace: str = "default"
    # 32 bytes, base64: what workflow payloads are encrypted with.
    payload_key: SecretStr
    # What the API proves itself with to media workers.
    control_secret: SecretStr
    models_dir: Path
    recordings_dir: Path
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8460, ge=0, le=65535)
    # Where browsers reach the API; links are made of it.
    public_url: str = "http://127.0.0.1:8460"
    media_host: str = "127.0.0.1"
    media_port: int = Field(default=0, ge=0, le=65535)
    # The hosts and networks that media workers are on; the API sends offers nowhere else.
    media_hosts: str = "127.0.0.0/8,::1,localhost"
    # A JSON list of STUN and TURN servers, for media workers and for browsers: {"urls": [...],
    # "username": ..., "credential": ...}. Without one, calls find their way by host addresses alone.
    ice_servers: Annotated[tuple[IceServer, ...], NoDecode] = Field(default=(), max_length=ICE_SERVERS_MAX)
    sessions_max: int = Field(default=2, ge=1, le=64)
    device: str = "auto"
    log_level: str = "info"
    log_json: bool = True
    # How long a process waits at its start for the database to be prepared, and then for Temporal.
    start_wait_s: float = Field(default=60.0, ge=0)
    # Tests make these smaller to see the workflow continue as new and the sweep mend.
    continue_as_new_messages: int = Field(default=1000, ge=5)
    sweep_interval_s: float = Field(default=60.0, ge=0.5)
    tenant_id: UUID | None = None

    @field_validator("media_hosts")
    @classmethod
    def _are_hosts(cls, text: str) -> str:
        MediaHosts.parse(text)
        return text

    @field_validator("ice_servers", mode="before")
    @classmethod
    def _are_json(cls, given: object) -> object:
        # Decoded here, so that a value that is no JSON is named like every other wrong setting.
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given) if given.strip() else ()
        except ValueError:
            raise ValueError('not JSON: give a list such as [{"urls": ["stun:stun.example.org"]}]') from None
