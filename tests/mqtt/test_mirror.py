"""What five hundred devices cost the broker; it and the desk are stand-ins, so that every message is counted."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from otagate.engine.views import ComponentView, DeviceView, Offer, OrderRequest, OrderResult, RadioView, UpdateView
from otagate.homeassistant import targets
from otagate.homeassistant.discovery import Names
from otagate.homeassistant.farewell import Farewell
from otagate.homeassistant.mirror import AT_ONCE, PROGRESS, Mirror
from otagate.homeassistant.orders import Orders
from otagate.homeassistant.targets import Targets
from otagate.model.devices import Component, Device
from otagate.model.errors import NotInState, OtagateError, StoreError, UnknownDevice
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.verdicts import Decision, Verdict
from otagate.ports import Message
from otagate.stores.memory import MemoryStore
from tests.api.counter import release
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

    def __init__(self, count: int, *scopes: str) -> None:
        scopes = scopes or ("operate",)
        self.offered: list[Offer] = []
        self.ordered: list[OrderRequest] = []
        self.devices = {each: _device(each) for each in map(zigbee_device_id, range(1, count + 1))}
        self.sent: int | None = None
        self.clock, self.broker = Clock(), Counting()
        desk: Any = self
        names = Names(base="otagate", discovery="homeassistant", page="http://hub.example.org")
        self.orders = Orders(desk=desk, base="otagate", scopes=scopes, automatic=lambda _: False, targets=Targets(store=MemoryStore()))
        self.mirror = Mirror(
            desk=desk,
            broker=self.broker,
            clock=self.clock,
            names=names,
            orders=self.orders,
            known=self.devices.values,
            automatic=lambda _: False,
        )

    async def device(self, device: DeviceId) -> DeviceView:
        if device not in self.devices:
            raise UnknownDevice(device)
        running = UpdateId("u1") if self.sent is not None and device == zigbee_device_id(1) else None
        found = self.devices[device]
        view = ComponentView(component=found.components[0], available=None, update=running)
        return DeviceView(device=found, update_status="none" if running is None else "updating", components=(view,))

    async def offers(self, device: DeviceId) -> list[Offer]:
        return self.offered

    def radios(self) -> list[RadioView]:
        return [RadioView(name="my-stick", type="znp", state="up", sentence="fine", devices=1, transfers=0, parallel=2)]

    def halted(self) -> None:
        return None

    async def order(self, request: OrderRequest, *, actor: str) -> OrderResult:
        assert actor == "mqtt"
        self.ordered.append(request)
        return OrderResult(updates=(), refused=())

    async def does(self, what: str, payload: str, component: str = "") -> None:
        """What becomes of an order for the first device."""
        await self.orders._carry_out(zigbee_device_id(1), what, ComponentId(component), payload.encode())

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
    assert len(first) <= 4 * (AT_ONCE + 5) + 2
    said = first + await house.rounds(MANY // AT_ONCE)
    assert len(said) == 4 * MANY + 2, "and two of the hub itself"
    configs = {topic: json.loads(payload) for topic, payload in said if topic.endswith("/config")}
    assert len(configs) == MANY + 1
    (hub,) = (each for each in configs.values() if each["device"]["name"] == "otagate")
    assert {each["device"].get("via_device") for each in configs.values()} == {None, *hub["device"]["identifiers"]}
    for topic, message in configs.items():
        check_message(topic, message)
    unique = {entity["unique_id"] for each in configs.values() for entity in each["components"].values()}
    assert len(unique) == sum(len(each["components"]) for each in configs.values())
    assert await house.rounds(MANY // 5) == [], "a look at everything"


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
    await house.rounds(1)
    ours = {"origin": {"name": "otagate"}, "availability": [{"topic": "otagate/status"}]}
    for name, document in (("otagate_old", ours), ("zigbee2mqtt", {"origin": {"name": "z2m"}}), ("otagate_x", ours | {"availability": 5})):
        topic = f"homeassistant/device/{name}/config"
        house.mirror.heard(Message(topic=topic, payload=json.dumps(document).encode(), retained=True))
    house.mirror.heard(Message(topic="homeassistant/device/bad/config", payload=b"[" * 60_000, retained=True))
    assert await house.rounds(1) == [
        (topic, b"") for topic in ("homeassistant/device/otagate_old/config", "otagate/devices/old/availability", "otagate/devices/old")
    ]


async def test_of_a_device_that_went_while_we_were_away_nothing_stays_at_the_broker() -> None:
    house, kept = House(2), dict[str, bytes]()
    house.mirror.up()
    for topic, payload in await house.rounds(2):
        kept[topic] = payload
    gone = zigbee_device_id(2)
    house = House(1)
    house.mirror.up()
    for topic in [each for each in kept if each.endswith("/config")]:
        house.mirror.heard(Message(topic=topic, payload=kept[topic], retained=True))
    for topic, payload in await house.rounds(2):
        kept[topic] = payload
    assert not [topic for topic, payload in kept.items() if gone in topic and payload]
    assert [topic for topic, payload in kept.items() if zigbee_device_id(1) in topic and payload]


async def test_where_home_assistant_is_to_be_shown_nothing_all_of_this_hub_is_taken_back_once_and_nothing_of_anybody_else() -> None:
    house, kept = House(2), dict[str, bytes]()
    house.mirror.up()
    for topic, payload in await house.rounds(2):
        kept[topic] = payload
    foreign = {
        "homeassistant/device/zigbee2mqtt/config": b'{"origin": {"name": "z2m"}}',
        "homeassistant/device/other_hub/config": json.dumps({"origin": {"name": "otagate"}, "availability": [{"topic": "other/status"}]}).encode(),
        "homeassistant/device/bad/config": b"[" * 60_000,
    }
    broker = Counting()
    farewell = Farewell(broker=broker, names=Names(base="otagate", discovery="homeassistant"))
    for topic, payload in (kept | foreign).items():
        if topic.endswith("/config"):
            farewell.heard(Message(topic=topic, payload=payload, retained=True))
    farewell.heard(Message(topic="homeassistant/device/otagate_now/config", payload=next(iter(kept.values()))))
    await farewell._take_back()
    assert dict(broker.said) == dict.fromkeys(kept, b"")
    await farewell._take_back()
    assert len(broker.said) == len(kept), "each once"


async def test_what_the_broker_tells_while_something_is_taken_away_is_taken_away_too() -> None:
    house = House(1)
    ours = json.dumps({"origin": {"name": "otagate"}, "availability": [{"topic": "otagate/status"}]}).encode()
    first, second = (Message(topic=f"homeassistant/device/otagate_{name}/config", payload=ours, retained=True) for name in ("old", "older"))
    publish = house.broker.publish

    async def slowly(topic: str, payload: bytes, *, retain: bool = False) -> None:
        if topic == first.topic:
            house.mirror.heard(second)
        await publish(topic, payload, retain=retain)

    house.broker.publish = slowly  # type: ignore[method-assign]
    house.mirror.up()
    house.mirror.heard(first)
    assert {(first.topic, b""), (second.topic, b"")} <= set(await house.rounds(2))


async def test_more_orders_than_can_be_kept_and_orders_that_the_broker_keeps_are_dropped() -> None:
    house = House(1)
    topic = f"otagate/orders/{zigbee_device_id(1)}/cancel"
    house.mirror.heard(Message(topic=topic, payload=b"PRESS", retained=True))
    assert house.orders.waiting == 0
    for _ in range(1000):
        house.mirror.heard(Message(topic=topic, payload=b"PRESS"))
    assert house.orders.waiting == 64


async def test_a_name_that_changes_is_told_by_the_same_ids() -> None:
    house = House(1)
    house.mirror.up()
    ((topic, before),) = [each for each in await house.rounds(1) if each[0].endswith(f"{zigbee_device_id(1)}/config")]
    device = zigbee_device_id(1)
    house.devices[device] = replace(house.devices[device], name="Hall")
    ((again, after),) = [each for each in await house.rounds(1) if "/hub" not in each[0]]
    assert again == topic
    assert json.loads(after)["device"]["name"] == "Hall firmware"
    assert json.loads(after)["components"] == json.loads(before)["components"]


def offer(version: int, decision: Decision = "allow", code: str = "policy-refused") -> Offer:
    return Offer(component=PART, release=release(version), verdict=Verdict(decision=decision, sentence="", code=code))


async def test_install_brings_the_version_that_was_chosen_and_the_newest_after_that() -> None:
    house = House(1)
    house.offered = [offer(9, "refuse"), offer(3), offer(2, "ask"), offer(0, "refuse", "downgrade-refused")]
    house.mirror.up()
    config, state = f"homeassistant/device/otagate_{zigbee_device_id(1)}/config", f"otagate/devices/{zigbee_device_id(1)}"
    first = dict(await house.rounds(1))
    select = json.loads(first[config])["components"]["target_0x0083"]
    assert (select["platform"], select["options"]) == ("select", ["newest", "0x00000003", "0x00000002"])
    assert json.loads(first[state])["target_0x0083"] == "newest"
    await house.does("target", "0x00000002", PART)
    assert house.ordered == [], "to choose is not to order"
    chosen = dict(await house.rounds(1))
    assert json.loads(chosen[state])["target_0x0083"] == "0x00000002"
    assert json.loads(chosen[_update_topic()])["latest_version"] == "0x00000002"
    await house.does("install", "INSTALL", PART)
    await house.does("install", "INSTALL", PART)
    assert [(each.version, each.allow_downgrade) for each in house.ordered] == [(2, False), (None, False)]
    assert json.loads(dict(await house.rounds(1))[state])["target_0x0083"] == "newest"
    with pytest.raises(OtagateError, match="no such version to choose: there are 0x00000003"):
        await house.does("target", "0x00000000", PART)


async def test_an_older_version_can_be_chosen_where_mqtt_may_go_back_and_one_that_is_offered_no_more_is_not_replaced_by_another() -> None:
    house = House(1, "operate", "downgrade")
    house.offered = [offer(3), offer(0, "refuse", "downgrade-refused")]
    await house.does("target", "0x00000000", PART)
    await house.does("install", "INSTALL", PART)
    assert [(each.version, each.allow_downgrade) for each in house.ordered] == [(0, True)]
    await house.does("target", "0x00000000", PART)
    house.offered.pop()
    with pytest.raises(OtagateError, match="0x00000000, which was chosen, cannot be installed now: there are 0x00000003"):
        await house.does("install", "INSTALL", PART)
    assert len(house.ordered) == 1
    house.mirror.up()
    said = dict(await house.rounds(1))
    config = f"homeassistant/device/otagate_{zigbee_device_id(1)}/config"
    assert json.loads(said[config])["components"]["target_0x0083"]["options"] == ["newest", "0x00000003", "0x00000000"]
    assert json.loads(said[f"otagate/devices/{zigbee_device_id(1)}"])["target_0x0083"] == "0x00000000"


async def test_a_chosen_version_that_the_device_came_to_run_in_another_way_is_no_choice_any_more() -> None:
    house = House(1)
    house.offered = [offer(3), offer(2)]
    await house.does("target", "0x00000002", PART)
    device = zigbee_device_id(1)
    house.devices[device] = replace(house.devices[device], components=(Component(id=PART, version=2),))
    house.mirror.up()
    assert json.loads(dict(await house.rounds(1))[f"otagate/devices/{device}"])["target_0x0083"] == "newest"
    await house.does("install", "INSTALL", PART)
    assert house.ordered[-1].version is None


async def test_a_choice_that_the_disk_refuses_is_none_and_people_are_told() -> None:
    house = House(1)
    house.offered = [offer(3), offer(2)]
    store = house.orders.targets.store
    await store.close()
    with pytest.raises(StoreError):
        await house.does("target", "0x00000002", PART)
    assert "target was refused" in house.orders.said[zigbee_device_id(1)]


async def test_choices_are_bounded_and_what_cannot_be_read_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST", 2)
    store = MemoryStore()
    kept = Targets(store=store)
    for number in (1, 2, 3):
        await kept.put(zigbee_device_id(number), PART, "0x00000002")
    again = Targets(store=store)
    assert [dict(await again.of(zigbee_device_id(number))) for number in (1, 2, 3)] == [{}, {PART: "0x00000002"}, {PART: "0x00000002"}]
    async with store.transaction():
        await store.settings.put("homeassistant:targets", '[["a"]]')
    assert dict(await Targets(store=store).of(zigbee_device_id(3))) == {}


@pytest.mark.parametrize(("scopes", "refused"), [(("approve",), {"install", "target", "cancel", "check", "automatic"}), (("operate",), {"approve"})])
async def test_what_the_scopes_of_mqtt_do_not_allow_is_neither_shown_nor_done_and_people_are_told_why(
    scopes: tuple[str, ...], refused: set[str]
) -> None:
    house = House(1, *scopes)
    house.mirror.up()
    said = dict(await house.rounds(1))
    entities = json.loads(said[f"homeassistant/device/otagate_{zigbee_device_id(1)}/config"])["components"]
    assert ("command_topic" in entities["update_0x0083"]) == ("operate" in scopes)
    assert {"approve", "cancel", "check", "automatic"} & refused & entities.keys() == set()
    for what in refused:
        with pytest.raises(OtagateError, match=r"mqtt\.scopes does not have"):
            await house.does(what, "INSTALL" if what == "install" else "PRESS", PART)
    state = json.loads(dict(await house.rounds(1))[f"otagate/devices/{zigbee_device_id(1)}"])
    assert "was refused: nobody may do this over MQTT" in state["last_order"]


@pytest.mark.parametrize(
    ("what", "gone_too_far", "told"),
    [
        ("cancel", {"u1"}, "cancel was refused: u1 went too far"),
        ("approve", {"u1"}, "approve was taken"),
        ("approve", {"u1", "u2"}, "approve was refused: u1 went too far"),
    ],
)
async def test_what_is_pressed_is_for_every_component_though_one_has_gone_too_far(what: str, gone_too_far: set[str], told: str) -> None:
    house, device = House(1, "operate", "approve"), zigbee_device_id(1)
    view = await house.device(device)
    parts = tuple(replace(view.components[0], update=UpdateId(each)) for each in ("u1", "u2"))
    asked: list[str] = []

    async def both(_: DeviceId) -> DeviceView:
        return replace(view, components=parts)

    async def act(update: UpdateId, *, actor: str) -> None:
        asked.append(update)
        if update in gone_too_far:
            raise NotInState(f"{update} went too far")

    house.device = both  # type: ignore[method-assign]
    house.cancel = house.approve = act  # type: ignore[attr-defined]
    with suppress(NotInState):
        await house.does(what, "PRESS")
    assert (asked, house.orders.said[device]) == (["u1", "u2"], told)


async def test_an_entity_of_an_earlier_life_that_is_none_any_more_is_taken_away() -> None:
    house = House(1, "approve")
    config = f"homeassistant/device/otagate_{zigbee_device_id(1)}/config"
    before = {"cancel": {"platform": "button", "name": "x"}, "bad key!": {"platform": "x"}, "state": {"platform": "sensor"}, "odd": {"platform": 5}}
    told = {"origin": {"name": "otagate"}, "availability": [{"topic": "otagate/status"}]}
    house.mirror.up()
    house.mirror.heard(Message(topic=config, payload=json.dumps(told | {"components": before | {"odd": 5}}).encode(), retained=True))
    house.mirror.heard(Message(topic=config, payload=json.dumps(told | {"components": {"cancel": {"platform": "button"}}}).encode(), retained=True))
    for number in range(100):
        strange = f"homeassistant/device/otagate_{number}/config"
        house.mirror.heard(Message(topic=strange, payload=json.dumps(told | {"components": before}).encode(), retained=True))
    message = json.loads(dict(await house.rounds(1))[config])
    assert len(house.mirror._entities) == 1, "whatever the broker has"
    hub = "homeassistant/device/otagate_hub/config"
    radio = {"radio_gone": {"platform": "binary_sensor"}}
    house.mirror.heard(Message(topic=hub, payload=json.dumps(told | {"components": radio}).encode(), retained=True))
    said = json.loads(dict(await house.rounds(1))[hub])
    assert (said["components"]["radio_gone"], "radio_my-stick" in said["components"]) == ({"platform": "binary_sensor"}, True)
    assert message["components"]["cancel"] == {"platform": "button"}
    assert message["components"]["state"]["unique_id"]
    assert "bad key!" not in message["components"]
    check_message(config, message)


async def test_links_lead_to_the_page_where_its_address_is_known() -> None:
    house = House(1)
    house.mirror.up()
    said = dict(await house.rounds(1))
    link = f"http://hub.example.org/#/device/{zigbee_device_id(1)}"
    assert json.loads(said[_update_topic()])["release_url"] == link
    assert json.loads(said[f"homeassistant/device/otagate_{zigbee_device_id(1)}/config"])["device"]["configuration_url"] == link
    hub = json.loads(said["homeassistant/device/otagate_hub/config"])
    assert hub["device"]["configuration_url"] == "http://hub.example.org"
    check_message("homeassistant/device/otagate_hub/config", hub)
    assert json.loads(said["otagate/hub"]) == {
        "halted": "OFF",
        "radio_my-stick": "ON",
        "told_my-stick": {"state": "up", "sentence": "fine", "borrowed_from": None},
    }
