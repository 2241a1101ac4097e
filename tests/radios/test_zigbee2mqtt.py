"""The Radio beside zigbee2mqtt, in virtual time, over a line that answers as zigbee2mqtt would.

The line is a stand-in, so that days, lost answers and hostile words are ours; the real zigbee2mqtt is in `tests/zigbee2mqtt`.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from otagate.model.errors import BrokerUnavailable, DeviceUnreachable, NotOnThisRadio, RadioUnavailable
from otagate.model.ids import RadioName, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import Cause
from otagate.model.orders import Park, Serve, Watch, Withdraw
from otagate.ports import (
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    DeviceSilent,
    DeviceSlept,
    ForeignTransfer,
    Listener,
    Message,
    RadioChanged,
    RadioEvent,
    TransferAdvanced,
)
from otagate.radios.handouts import PATH, Counter
from otagate.radios.zigbee2mqtt import Zigbee2mqttRadio, Zigbee2mqttSettings
from tests.sessions.test_zigbee2mqtt_documents import LAMP
from tests.virtual_time import VirtualClock, instantly

IEEE, NAME = 0x000D6F000A9069E7, "hall/lamp"
DEVICE = zigbee_device_id(IEEE)
CODE, TYPE = 0x1189, 0x0083
OLD, NEW = 1, 2
IMAGE = bytes(range(200))
ORDER = Serve(
    update=UpdateId("u1"),
    device=DEVICE,
    component=zigbee_component_id(TYPE),
    manufacturer_code=CODE,
    image_type=TYPE,
    file_version=NEW,
    image=memoryview(IMAGE),
    from_version=OLD,
)
SENSOR = LAMP | {"type": "EndDevice", "power_source": "Battery"}


@dataclass
class FakeLine:
    """A line and the zigbee2mqtt behind it: it fetches what it is told to, and answers by what `rules` say of a request."""

    counter: Counter
    rules: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=lambda: [LAMP])
    version: str = "2.14.1"
    runs: int = OLD
    trouble: str | None = None
    widened: int = 0
    _listener: Listener | None = None
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def says(self, topic: str, document: Any, *, retained: bool = False) -> None:
        assert self._listener is not None
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._listener.heard(Message(topic=f"zigbee2mqtt/{topic}", payload=payload, retained=retained))

    async def run(self) -> None:
        assert self._listener is not None
        self._gone.clear()
        self._listener.up()
        if self.version:
            self.says("bridge/info", {"version": self.version}, retained=True)
        self.says("bridge/devices", self.devices, retained=True)
        self.says("bridge/state", {"state": "online"}, retained=True)
        await self._gone.wait()
        self._listener.down()
        raise BrokerUnavailable("the broker is gone")

    def lose(self) -> None:
        self._gone.set()

    async def widen(self) -> None:
        self.widened += 1

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert not retain
        what = topic.removeprefix("zigbee2mqtt/bridge/request/device/ota_update/")
        request = json.loads(payload)
        self.requests.append((what, request))
        answer = self.rules[what](request) if what in self.rules else self._check(request) if what == "check" else {"status": "ok", "data": {}}
        if answer is not None:
            told = what.split("/")[0]
            self.says(f"bridge/response/device/ota_update/{told}", answer | {"transaction": request["transaction"]})

    def fetch(self, request: dict[str, Any]) -> bytes:
        return bytes(self.counter.take(request["url"].rpartition(PATH)[2]).body)

    def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        index = json.loads(self.fetch(request))
        found = next((each for each in index if (each["manufacturerCode"], each["imageType"]) == (CODE, TYPE)), None)
        assert all(each["fileVersion"] <= self.runs for each in index), "it would look like an update"
        self.says(NAME, {"update": {"state": "idle", "installed_version": self.runs}})
        return {"status": "ok", "data": {"id": request["id"], "source": found and found["url"]}}

    def asked(self, what: str) -> list[dict[str, Any]]:
        return [request for each, request in self.requests if each == what]


@dataclass
class Bench:
    line: FakeLine
    radio: Zigbee2mqttRadio
    kinds: set[tuple[int, int]]
    told: list[RadioEvent]

    def of(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.told if isinstance(each, kind)]

    @property
    def state(self) -> tuple[str, str]:
        last = self.of(RadioChanged)[-1]
        return last.state, last.sentence

    @property
    def causes(self) -> list[Cause]:
        return list(dict.fromkeys(cause for each in self.of(TransferAdvanced) for cause in each.causes))

    def commit(self) -> None:
        for each in self.of(TransferAdvanced):
            self.radio.committed(each.token)


@asynccontextmanager
async def bench(*, pace: float = 1.0, **line: Any) -> AsyncIterator[Bench]:
    """A radio that runs; `pace` is that of its looks at the time."""
    clock = VirtualClock()
    counter = Counter(clock)
    counter.address = "http://127.0.0.1:1"
    fake, told, kinds = FakeLine(counter, **line), list[RadioEvent](), {(CODE, TYPE), (CODE, 7)}
    settings = Zigbee2mqttSettings(name=RadioName("house"), pace=pace)
    radio = Zigbee2mqttRadio(settings, line=fake, counter=counter, kinds=lambda: kinds, emit=told.append, clock=clock)
    async with asyncio.TaskGroup() as group:

        async def live() -> None:
            with suppress(BaseExceptionGroup):
                await radio.run()

        life = group.create_task(live())
        await asyncio.sleep(0.1)
        yield Bench(fake, radio, kinds, told)
        life.cancel()


@instantly
async def test_it_is_up_when_zigbee2mqtt_has_told_its_devices() -> None:
    async with bench() as it:
        assert [each.state for each in it.of(RadioChanged)] == ["starting", "up"]
        assert it.state[1].startswith("zigbee2mqtt 2.14.1 at topic zigbee2mqtt, 1 devices; updates through it cannot be paused")
        (found,) = it.of(DeviceFound)
        assert (found.device.id, found.device.name, found.device.power, found.device.sleepy) == (DEVICE, NAME, "mains", False)


@instantly
async def test_it_says_why_it_is_not_up() -> None:
    async with bench(version="2.7.2") as it:
        await asyncio.sleep(10)
        assert it.state == (
            "retrying",
            "zigbee2mqtt at topic zigbee2mqtt: it is version 2.7.2, and 2.12.0 or newer is needed: what is older updates from its own index",
        )
        with pytest.raises(RadioUnavailable):
            await it.radio.interrogate(DEVICE)
        assert it.line.requests == []
    async with bench(version="") as it:
        await asyncio.sleep(10)
        assert "it has not told which version it is" in it.state[1]
    async with bench() as it:
        it.line.says("bridge/state", {"state": "offline"})
        assert "it is not running" in it.state[1]


@instantly
async def test_a_device_is_recognised_by_the_entry_that_its_check_finds() -> None:
    async with bench() as it:
        told = await it.radio.interrogate(DEVICE)
        (component,) = told.components
        assert (component.id, component.version, component.manufacturer_code, component.endpoint) == ("0x0083", OLD, CODE, 11)
        assert component.activation == "at_once"


@instantly
async def test_an_address_of_somebody_elses_index_says_nothing() -> None:
    async with bench() as it:
        for source in ("https://example.org/x.ota", "otagate:0000000000000000/1189-0083", None, 7):
            it.line.rules["check"] = lambda _, source=source: (
                it.line.says(NAME, {"update": {"state": "idle", "installed_version": 9}}),
                {"status": "ok", "data": {"source": source}},
            )[1]
            assert (await it.radio.interrogate(DEVICE)).components == ()


@instantly
async def test_who_is_of_no_known_kind_is_asked_again_when_there_are_others_and_not_before() -> None:
    async with bench() as it:
        it.kinds.remove((CODE, TYPE))
        assert (await it.radio.interrogate(DEVICE)).components == ()
        await asyncio.sleep(3_600)
        assert len(it.line.asked("check")) == 1
        it.kinds.add((CODE, TYPE))
        await asyncio.sleep(10)
        (asked,) = it.of(DeviceAsked)
        assert (asked.device, asked.component.id, asked.component.version) == (DEVICE, "0x0083", OLD)
        await asyncio.sleep(3_600)
        assert len(it.line.asked("check")) == 2


@instantly
async def test_two_who_ask_at_once_do_not_take_each_other_for_an_update() -> None:
    async with bench() as it:
        under_way: list[str] = []

        def check(request: dict[str, Any]) -> None:
            assert under_way == []
            under_way.append(request["transaction"])
            asyncio.get_running_loop().call_later(5, answer)

        def answer() -> None:
            it.line.says(NAME, {"update": {"state": "idle", "installed_version": OLD}})
            it.line.says("bridge/response/device/ota_update/check", {"status": "ok", "data": {}, "transaction": under_way.pop()})

        it.line.rules["check"] = check
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(it.radio.interrogate(DEVICE))
        assert len(it.line.asked("check")) == 3


@instantly
async def test_a_check_that_fails_says_whose_fault_it_is() -> None:
    async with bench() as it:
        for error, kind in (
            ("Device didn't respond to OTA request", DeviceUnreachable),
            ("already in progress", DeviceUnreachable),
            ("fetch failed", RadioUnavailable),
        ):
            it.line.rules["check"] = lambda _, error=error: {"status": "error", "error": error}
            with pytest.raises(kind):
                await it.radio.interrogate(DEVICE)
        it.line.rules["check"] = lambda _: None
        with pytest.raises(RadioUnavailable, match="did not answer"):
            await it.radio.interrogate(DEVICE)


@instantly
async def test_an_order_names_the_image_once_and_its_bytes_are_those_that_were_verified() -> None:
    async with bench() as it:
        it.line.rules["update"] = lambda _: None
        it.radio.command(ORDER)
        it.radio.command(ORDER)
        await asyncio.sleep(3)
        (request,) = it.line.asked("update")
        assert request["id"] == f"0x{IEEE:016x}"
        assert not request["url"].endswith(".json")  # that would be an index
        assert it.line.fetch(request) == IMAGE
        it.line.says(NAME, {"update": {"state": "updating", "progress": 0}})
        assert it.causes == [Cause.ACCEPTED]
        it.commit()
        with pytest.raises(DeviceUnreachable, match="receiving"):
            await it.radio.interrogate(DEVICE)
        it.line.says("bridge/response/device/ota_update/update", {"status": "ok", "data": {}, "transaction": request["transaction"]})
        assert it.causes == [Cause.ACCEPTED, Cause.REBOOTED]


@instantly
async def test_a_restart_of_the_line_in_mid_update_asks_and_orders_nothing() -> None:
    async with bench() as it:
        it.line.rules["update"] = lambda _: None
        it.radio.command(ORDER)
        await asyncio.sleep(3)
        it.line.fetch(it.line.asked("update")[0])
        it.line.says(NAME, {"update": {"state": "updating", "progress": 10}})
        it.commit()
        it.line.runs = NEW
        it.line.says("bridge/state", {"state": "offline"})
        it.line.says("bridge/state", {"state": "online"})
        assert it.line.asked("check") == []  # it says that it is there before it listens
        await asyncio.sleep(10)
        assert (len(it.line.asked("update")), len(it.line.asked("check"))) == (1, 1)
        assert it.causes == [Cause.ACCEPTED, Cause.REBOOTED]


@instantly
async def test_an_update_that_waits_in_our_queue_is_not_spoken_of() -> None:
    async with bench() as it:
        it.radio.command(replace(ORDER, adopted="offering"))
        it.radio.command(Park(update=ORDER.update))
        await asyncio.sleep(600)
        assert it.line.requests == []
        it.line.says(NAME, {"update": {"state": "updating", "progress": 3}})
        assert [each.device for each in it.of(ForeignTransfer)] == [DEVICE]


@instantly
async def test_what_others_begin_is_told_until_it_is_watched() -> None:
    async with bench() as it:
        for _ in range(2):
            it.line.says(NAME, {"update": {"state": "updating", "progress": 3}})
        assert len(it.of(ForeignTransfer)) == 2
        it.radio.command(Watch(update=UpdateId("u9"), device=DEVICE, component=zigbee_component_id(TYPE)))
        it.line.says(NAME, {"update": {"state": "updating", "progress": 30}})
        assert len(it.of(ForeignTransfer)) == 2


@instantly
async def test_a_cancel_takes_the_image_away_and_breaks_the_update_off() -> None:
    async with bench() as it:
        it.line.rules["update"] = lambda _: None
        it.radio.command(ORDER)
        await asyncio.sleep(3)
        await it.radio.stop(ORDER.update)
        assert len(it.line.asked("update/abort")) == 1
        with pytest.raises(Exception, match="nothing lies here"):
            it.line.fetch(it.line.asked("update")[0])
        await it.radio.stop(UpdateId("u99"))


@instantly
async def test_a_device_that_sleeps_is_scheduled_and_said_to_sleep() -> None:
    async with bench(devices=[SENSOR], pace=0.1) as it:
        it.line.rules["update"] = lambda _: {"status": "error", "error": "Device didn't respond to OTA request"}
        it.radio.command(ORDER)
        await asyncio.sleep(30)
        (request,) = it.line.asked("schedule")
        assert [each.device for each in it.of(DeviceSlept)] == [DEVICE]
        await asyncio.sleep(40_000)
        assert it.causes == []
        assert it.line.fetch(request) == IMAGE
        assert it.causes == [Cause.ACCEPTED]


@instantly
async def test_a_device_that_slept_for_a_day_is_called_back() -> None:
    async with bench(devices=[SENSOR], pace=0.1) as it:
        it.line.rules["update"] = lambda _: {"status": "error", "error": "Device didn't respond to OTA request"}
        it.radio.command(ORDER)
        await asyncio.sleep(90_000)
        assert len(it.line.asked("unschedule")) == 1
        assert it.causes == [Cause.EXPIRED]
        with pytest.raises(Exception, match="nothing lies here"):
            it.line.fetch(it.line.asked("schedule")[0])


@instantly
async def test_devices_come_go_return_and_are_heard() -> None:
    async with bench() as it:
        await asyncio.sleep(20)
        it.line.says(NAME, {"linkquality": 180, "battery": 55})
        (seen,) = it.of(DeviceSeen)
        assert (seen.device, seen.link and seen.link.lqi) == (DEVICE, 180)
        it.line.says(NAME, {"linkquality": 100}, retained=True)  # that was before
        assert len(it.of(DeviceSeen)) == 1
        assert (await it.radio.interrogate(DEVICE)).battery_percent == 55
        it.line.says("bridge/event", {"type": "device_announce", "data": {"ieee_address": f"0x{IEEE:016x}"}})
        assert [each.device for each in it.of(DeviceReturned)] == [DEVICE]
        it.line.says(f"{NAME}/availability", {"state": "offline"})
        assert [each.device for each in it.of(DeviceSilent)] == [DEVICE]
        it.line.says("bridge/devices", [])
        assert [each.device for each in it.of(DeviceGone)] == [DEVICE]


def _remembered(*roots: object) -> set[object]:
    """Every word and number that can be reached from these through values, collections and objects of the radio's own room."""
    seen: set[int] = set()
    found: set[object] = set()
    todo: list[object] = list(roots)
    while todo:
        each = todo.pop()
        if isinstance(each, str | int | float):
            found.add(each)
        elif id(each) not in seen and (isinstance(each, Collection) or type(each).__module__.startswith(("otagate.radios", "otagate.sessions"))):
            seen.add(id(each))
            todo += [*gc.get_referents(each), *(each if isinstance(each, Mapping) else ())]  # which names no keys that are words
    return found


@instantly
async def test_nothing_is_remembered_of_devices_that_have_left() -> None:
    peers = [LAMP | {"ieee_address": f"0x{0xA0 + number:016x}", "friendly_name": f"lamp{number}"} for number in range(9)]
    async with bench(devices=peers) as it:
        it.kinds.remove((CODE, TYPE))
        it.line.rules["check"] = lambda request: (
            it.line.says(f"lamp{int(request['id'], 16) - 0xA0}", {"update": {"state": "idle", "installed_version": OLD}}),
            {"status": "ok", "data": {}},
        )[1]
        await asyncio.sleep(20)
        for number in range(9):
            device = zigbee_device_id(0xA0 + number)
            it.line.says(f"lamp{number}", {"linkquality": 180, "battery": 55})
            await it.radio.interrogate(device)
            it.radio.command(replace(ORDER, update=UpdateId(f"u{number}"), device=device))
            it.radio.command(Withdraw(update=UpdateId(f"u{number}")))
        names = {f"lamp{number}" for number in range(9)}
        everybody = {*names, *(zigbee_device_id(0xA0 + number) for number in range(9)), *range(0xA0, 0xA9)}
        assert everybody <= _remembered(it.radio), "the look into the radio is blind"
        it.line.says("bridge/devices", [])
        await asyncio.sleep(61)
        it.radio.command(ORDER)
        it.radio.command(Withdraw(update=ORDER.update))
        assert _remembered(it.radio) & everybody == set()


@instantly
async def test_a_device_that_leaves_while_it_is_asked_is_not_remembered_for_its_answer() -> None:
    async with bench() as it:
        it.kinds.remove((CODE, TYPE))

        def leave(_: dict[str, Any]) -> dict[str, Any]:
            it.line.says(NAME, {"update": {"state": "idle", "installed_version": OLD}})
            it.line.says("bridge/devices", [])
            return {"status": "ok", "data": {}}

        it.line.rules["check"] = leave
        assert (await it.radio.interrogate(DEVICE)).components == ()
        assert DEVICE not in _remembered(it.radio)


@instantly
async def test_who_leaves_before_its_turn_to_be_asked_anew_is_not_asked() -> None:
    peers = [LAMP, LAMP | {"ieee_address": f"0x{IEEE + 1:016x}", "friendly_name": "plug"}]
    async with bench(devices=peers) as it:
        it.kinds.remove((CODE, TYPE))

        def check(request: dict[str, Any]) -> dict[str, Any]:
            it.line.says(NAME if request["id"] == LAMP["ieee_address"] else "plug", {"update": {"state": "idle", "installed_version": OLD}})
            if it.kinds:
                it.line.says("bridge/devices", [LAMP])
            return {"status": "ok", "data": {}}

        kinds = set(it.kinds)
        it.kinds.clear()
        it.line.rules["check"] = check
        for number in range(2):
            await it.radio.interrogate(zigbee_device_id(IEEE + number))
        it.kinds |= kinds
        await asyncio.sleep(10)
        assert [request["id"] for request in it.line.asked("check")] == [*(each["ieee_address"] for each in peers), LAMP["ieee_address"]]
        assert zigbee_device_id(IEEE + 1) not in _remembered(it.radio)


@instantly
async def test_a_device_that_left_and_is_back_is_seen_at_once_and_its_battery_is_not_that_of_before() -> None:
    async with bench() as it:
        await asyncio.sleep(20)
        it.line.says(NAME, {"linkquality": 180, "battery": 55})
        it.line.says("bridge/devices", [])
        it.line.says("bridge/devices", [LAMP])
        assert it.of(DeviceFound)[-1].device.battery_percent is None
        it.line.says(NAME, {"linkquality": 90})
        assert [each.link and each.link.lqi for each in it.of(DeviceSeen)] == [180, 90]


@instantly
async def test_a_name_with_a_slash_has_a_topic_of_its_own_from_the_moment_that_it_is_known() -> None:
    async with bench(devices=[]) as it:
        wanted = {each.filter for each in it.radio.wanted}
        assert f"zigbee2mqtt/{NAME}" not in wanted
        before = it.line.widened
        it.line.says("bridge/devices", [LAMP])
        await asyncio.sleep(0.1)
        assert it.line.widened == before + 1
        assert {f"zigbee2mqtt/{NAME}", f"zigbee2mqtt/{NAME}/availability"} <= {each.filter for each in it.radio.wanted} - wanted


@instantly
async def test_hostile_words_change_nothing() -> None:
    async with bench() as it:
        before = len(it.told)
        for topic in (
            "bridge/state",
            "bridge/info",
            "bridge/devices",
            "bridge/event",
            "bridge/response/device/ota_update/update",
            NAME,
            "x",
            "bridge/x",
        ):
            for payload in (b"", b"\xff\x00", b"[", b"[[[]]]", b"null", b'{"a": 1}', b"[" * 70_000):
                if not (topic == "bridge/devices" and payload == b"[[[]]]"):
                    it.line.says(topic, payload)
        assert [each for each in it.told[before:] if not isinstance(each, DeviceSeen)] == []
        assert (await it.radio.interrogate(DEVICE)).components


@instantly
async def test_pairing_and_backups_are_zigbee2mqtts_own() -> None:
    async with bench() as it:
        with pytest.raises(NotOnThisRadio, match="with zigbee2mqtt itself"):
            await it.radio.permit_joining(60)
        with pytest.raises(NotOnThisRadio, match="with zigbee2mqtt itself"):
            await it.radio.back_up()
        assert it.radio.pauses is False


@instantly
async def test_whoever_waits_for_an_answer_when_the_line_is_lost_is_told_at_once() -> None:
    async with bench() as it:
        it.line.rules["check"] = lambda _: None
        asyncio.get_running_loop().call_later(1, it.line.lose)
        async with asyncio.timeout(5):
            with pytest.raises(RadioUnavailable, match="line"):
                await it.radio.interrogate(DEVICE)
