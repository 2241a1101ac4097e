"""Notifications on a topic; that a real broker has them is the journey's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otagate.model.errors import BrokerUnavailable, SourceUnavailable
from otagate.mqtt.notices import TopicCourier
from otagate.policy.notices import Notice
from otagate.ports import Listener, Outgoing

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SENT = Outgoing(id="1", notifier="house", since=NOON, notices=(Notice(kind="test", at=NOON, about="hub", text="größer"),))


class Broker:
    """Takes what is published, or is away."""

    def __init__(self, trouble: str | None = None) -> None:
        self.trouble = trouble
        self.said: list[tuple[str, bytes, bool]] = []

    def listen(self, listener: Listener) -> None:
        raise NotImplementedError

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self.trouble is not None:
            raise BrokerUnavailable(f"the MQTT broker: {self.trouble}")
        self.said.append((topic, payload, retain))


@pytest.mark.asyncio
async def test_what_is_told_on_a_topic_is_not_kept_by_the_broker() -> None:
    broker = Broker()
    await TopicCourier(name="house", topic="otagate/notices/house", broker=broker).deliver(SENT)
    assert broker.said == [("otagate/notices/house", SENT.document(), False)]


@pytest.mark.asyncio
async def test_a_broker_that_is_away_is_no_receiver() -> None:
    with pytest.raises(SourceUnavailable, match="notify house: the MQTT broker: gone"):
        await TopicCourier(name="house", topic="t", broker=Broker("gone")).deliver(SENT)
