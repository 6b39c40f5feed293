"""The base of every event payload."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from domain.events.canonical import Json


class Frozen(BaseModel):
    """Data that crosses a border: immutable, and nothing unknown gets through unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Payload(Frozen):
    """What an event says. `type` and `schema_version` name its shape for ever; the class may move."""

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    # Whether the words of a person, or of a persona to a person, can stand in this payload.
    personal: ClassVar[bool] = False

    def to_json(self) -> Json:
        content: dict[str, Json] = self.model_dump(mode="json")
        return content
