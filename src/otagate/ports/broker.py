"""The MQTT broker, as a port: one line that comes and goes, what is said on it, and who listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What somebody said on a topic. `retained`: the broker kept it from before we listened (see `Wanted`)."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Topics that somebody listens to; `filter` may hold `+` and `#`.

    `kept`: what the broker has kept there is told, once, when the line comes up, as retained. Without it nothing from before is told, and what is
    said now is retained where who said it asked the broker to keep it: an order that is kept would be carried out again at every start.

    `optional`: a broker that does not let us listen there is one all the same.
    """

    filter: str
    kept: bool = False
    optional: bool = False


class Listener(Protocol):
    """Who hears of the line and of messages on it; no call may wait for anything."""

    @property
    def wanted(self) -> Sequence[Wanted]:
        """What it listens to; read whenever the line comes up."""

    def up(self) -> None:
        """The line is up, and everything that is wanted is subscribed to."""

    def heard(self, message: Message) -> None:
        """Something was said on a topic that it wants. Its bytes are whatever somebody sent."""

    def down(self) -> None:
        """The line is lost: what was heard may be old from now on."""


class Broker(Protocol):
    """The line to the MQTT broker."""

    @property
    def trouble(self) -> str | None:
        """Why the line is not up, as a sentence's end; None while it is."""

    def listen(self, listener: Listener) -> None:
        """Tell this one; before the line is first up."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something, and wait until the broker has it (QoS 1). Raises BrokerUnavailable."""
