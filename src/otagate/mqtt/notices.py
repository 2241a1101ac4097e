"""Notifications on a topic of the broker."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.errors import BrokerUnavailable, SourceUnavailable
from otagate.ports import Broker, Outgoing

AGAIN = (5.0,)
"""Seconds between two tries: while the line is down, one costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCourier:
    """Implements `ports.Courier`: the JSON of `Outgoing.document`, not retained, with QoS 1."""

    name: str
    topic: str
    broker: Broker

    async def deliver(self, outgoing: Outgoing) -> None:
        """See `ports.Courier.deliver`. That the broker has it is a yes."""
        try:
            await self.broker.publish(self.topic, outgoing.document())
        except BrokerUnavailable as error:
            raise SourceUnavailable(f"notify {self.name}: {error}") from error
