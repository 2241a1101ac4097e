"""What both halves of the demo's house have: a radio, sources of firmware, devices with a story, and a witness of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from otagate.cli.client import Client, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A device of the demo by the hub's id, what is special about it, and whether it should end with its new firmware."""

    device: str
    name: str
    story: str
    succeeds: bool = True


class Side(Protocol):
    """One protocol of the house."""

    @property
    def told(self) -> str:
        """What to say of it before the daemon starts."""

    @property
    def roles(self) -> Sequence[Role]:
        """Its devices."""

    @property
    def radio(self) -> Json:
        """Its entry under `radios` in the configuration."""

    @property
    def sources(self) -> Sequence[Json]:
        """Its entries under `sources`."""

    async def begin(self, client: Client) -> None:
        """The radio is up: let the devices come."""

    def knows(self, device: Json) -> bool:
        """Whether the hub knows of one of these devices everything that an order needs."""

    async def wrong(self, role: Role) -> list[str]:
        """What a device itself saw that should not have been: it runs the wrong firmware, or a rule of the protocol was broken."""
