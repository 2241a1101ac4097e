"""What the API is asked: query strings and bodies. An unknown key is an error: a misspelt filter or switch must not pass in silence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from otagate.engine.views import OrderRequest, UpdateStatus
from otagate.model.devices import Protocol
from otagate.model.ids import ComponentId, DeviceId, Sha256
from otagate.model.lifecycle import State
from otagate.model.versions import parse_file_version

MAX_PAGE = 500
MAX_ORDER = 500
"""Devices in one order."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Query(BaseModel):
    """A query string: everything is text, so numbers are read from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(BaseModel):
    """A JSON body: types are taken as they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Paging(Query):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None


class DeviceFilters(Paging):
    """Which devices. `q` is looked for in id, name, manufacturer and model."""

    radio: Name | None = None
    protocol: Protocol | None = None
    update_status: UpdateStatus | None = None
    q: Name | None = None


class UpdateFilters(Paging):
    """Which updates. `state` is one state or several, separated by commas."""

    state: Annotated[str, StringConstraints(max_length=256)] | None = None
    device: Name | None = None

    @field_validator("state")
    @classmethod
    def _known_states(cls, text: str | None) -> str | None:
        for word in (text or "").split(",") if text is not None else ():
            if word not in set(State):
                raise ValueError(f"{word!r} is not a state of an update")
        return text

    @property
    def states(self) -> frozenset[State] | None:
        """The states asked for, or None for all."""
        return None if self.state is None else frozenset(State(word) for word in self.state.split(","))


class OrderBody(Body):
    """An order to update devices. `version` is an integer, `0x…` or the display text; null takes the newest that policy allows."""

    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_ORDER, strict=False)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)] | int | None = None
    component: Annotated[str, StringConstraints(min_length=1, max_length=32)] | None = None
    image: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    when: Literal["now", "window"] | AwareDatetime = "now"
    allow_downgrade: bool = False
    force: bool = False
    dry_run: bool = False

    @field_validator("version")
    @classmethod
    def _readable_version(cls, version: str | int | None) -> str | int | None:
        if version is not None:
            parse_file_version(version)
        return version

    def order(self) -> OrderRequest:
        """The same in the hub's words; a device named twice counts once."""
        return OrderRequest(
            devices=tuple(DeviceId(each) for each in dict.fromkeys(self.devices)),
            version=self.version,
            component=None if self.component is None else ComponentId(self.component.lower()),
            image=None if self.image is None else Sha256(self.image),
            when=self.when,
            allow_downgrade=self.allow_downgrade,
            force=self.force,
            dry_run=self.dry_run,
        )


class PermitJoinBody(Body):
    """How long the network stays open, in seconds; 0 closes it."""

    seconds: Annotated[int, Field(ge=0, le=254)] = 60
