"""What five hundred devices cost the broker; it and the desk are stand-ins, so that every message is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from otagate.engine.views import ComponentView, DeviceView, UpdateView
from otagate.homeassistant.discovery import Names
from otagate.homeassistant.mirror import AT_ONCE, PROGRESS, Mirror
from otagate.model.devices import Component, Device
from otagate.model.errors import UnknownDevice
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.ports import Message
from tests.mqtt.home_assistant import check_message, check_state
from tests.mqtt.test_interlocks import Broker, Clock

pytestmark = pytest.mark.asyncio
MANY = 500
PART = ComponentId("0x0083")


class Counting(Broker):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert retain
        self.said.append((topic, payload))


class House:
    """Devices of one name, one of which can be under way."""

    def __init__(self, count: int) -> None:
        self.devices = {each: _device(each) for each in map(zigbee_device_id, range(1, count + 1))}
        self.sent: int | None = None
        self.clock, self.broker = Clock(), Counting()
        desk: Any = self
        names = Names(base="otagate", discovery="homeassistant")
        self.mirror = Mirror(
            desk=desk, broker=self.broker, clock=self.clock, names=names, operate=True, known=self.devices.values, automatic=lambda _: False
        )

    async def device(self, device: DeviceId) -> DeviceView:
        if device not in self.devices:
            raise UnknownDevice(device)
        running = UpdateId("u1") if self.sent is not None and device == zigbee_device_id(1) else None
        found = self.devices[device]
        view = ComponentView(component=found.components[0], available=None, update=running)
        return DeviceView(device=found, update_status="none" if running is None else "updating", components=(view,))

    async def update(self, update: UpdateId) -> UpdateView:
        row = Update(
            id=update, device=zigbee_device_id(1), component=PART, radio=RadioName("z"), from_version=1, to_version=2, source="upload", image=None,
            state=State.TRANSFERRING, bytes_total=1000, created=self.clock.now(),
        )  # fmt: skip
        return UpdateView(update=row, bytes_sent=self.sent or 0, bytes_per_second=None, eta_seconds=None)

    async def rounds(self, count: int) -> list[tuple[str, bytes]]:
        """What is said in so many looks, a second apart."""
        self.broker.said.clear()
        for turn in range(count):
            await self.mirror._round(turn)
            self.clock.seconds += 1
        return list(self.broker.said)


def _device(device: DeviceId) -> Device:
    return Device(id=device, radio=RadioName("z"), name="Lamp", model="LCT001", components=(Component(id=PART, version=1),))


async def test_a_house_of_five_hundred_is_told_in_four_messages_each_and_then_nothing_is_said_while_nothing_happens() -> None:
    house = House(MANY)
    house.mirror.up()
    first = await house.rounds(1)
    assert len(first) <= 4 * (AT_ONCE + 5)
    said = first + await house.rounds(MANY // AT_ONCE)
    assert len(said) == 4 * MANY
    configs = {topic: json.loads(payload) for topic, payload in said if topic.endswith("/config")}
    assert len(configs) == MANY
    for topic, message in configs.items():
        check_message(topic, message)
    unique = {entity["unique_id"] for each in configs.values() for entity in each["components"].values()}
    assert len(unique) == sum(len(each["components"]) for each in configs.values())
    assert await house.rounds(MANY) == []


async def test_progress_is_told_once_in_five_seconds_and_a_change_of_state_at_once() -> None:
    house = House(3)
    house.mirror.up()
    await house.rounds(2)
    house.sent = 0
    house.mirror._due[zigbee_device_id(1)] = None
    assert {topic for topic, _ in await house.rounds(1)} == {"otagate/devices/" + zigbee_device_id(1), _update_topic()}
    said: list[Any] = []
    for step in range(20):
        house.sent = step * 50
        said += await house.rounds(1)
    assert 20 / PROGRESS - 1 <= len(said) <= 20 / PROGRESS
    for _, payload in said:
        check_state(json.loads(payload))
    house.sent = None
    house.mirror._due[zigbee_device_id(1)] = None
    assert json.loads(dict(await house.rounds(1))[_update_topic()])["in_progress"] is False


def _update_topic() -> str:
    return f"otagate/devices/{zigbee_device_id(1)}/components/{PART}"


async def test_a_device_that_is_gone_is_taken_away_and_so_is_one_that_went_while_we_were_away_and_nobody_elses() -> None:
    house = House(2)
    house.mirror.up()
    await house.rounds(2)
    del house.devices[zigbee_device_id(2)]
    gone = await house.rounds(1)
    assert len(gone) == 4
    assert {payload for _, payload in gone} == {b""}
    ours = {"origin": {"name": "otagate"}, "availability": [{"topic": "otagate/status"}]}
    for name, document in (("otagate_old", ours), ("zigbee2mqtt", {"origin": {"name": "z2m"}}), ("otagate_x", ours | {"availability": 5})):
        topic = f"homeassistant/device/{name}/config"
        house.mirror.heard(Message(topic=topic, payload=json.dumps(document).encode(), retained=True))
    house.mirror.heard(Message(topic="homeassistant/device/bad/config", payload=b"[" * 60_000, retained=True))
    assert await house.rounds(1) == [("homeassistant/device/otagate_old/config", b"")]


async def test_more_orders_than_can_be_kept_and_orders_that_the_broker_keeps_are_dropped() -> None:
    house = House(1)
    topic = f"otagate/orders/{zigbee_device_id(1)}/cancel"
    house.mirror.heard(Message(topic=topic, payload=b"PRESS", retained=True))
    assert house.mirror._orders.empty()
    for _ in range(1000):
        house.mirror.heard(Message(topic=topic, payload=b"PRESS"))
    assert house.mirror._orders.qsize() == 64


async def test_a_name_that_changes_is_told_by_the_same_ids() -> None:
    house = House(1)
    house.mirror.up()
    (topic, before), *_ = [each for each in await house.rounds(1) if each[0].endswith("/config")]
    device = zigbee_device_id(1)
    house.devices[device] = replace(house.devices[device], name="Hall")
    ((again, after),) = await house.rounds(1)
    assert again == topic
    assert json.loads(after)["device"]["name"] == "Hall firmware"
    assert json.loads(after)["components"] == json.loads(before)["components"]
