"""The exam of every radio: what the engine relies on, whatever is behind the port.

It is sat by real zigpy over an emulated coordinator, by the real Z-Wave driver over simulated nodes, and by the radio in memory that the tests of the
engine stand on, so that these tests mean something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from otagate.assembly import Pace
from otagate.engine.timers import SystemClock
from otagate.model.devices import Device
from otagate.model.errors import DeviceRefused, DeviceUnreachable, NotOnThisRadio, RadioUnavailable, UnknownDevice
from otagate.model.ids import ComponentId, DeviceId, UpdateId, zigbee_component_id, zigbee_device_id, zwave_component_id, zwave_device_id
from otagate.model.lifecycle import TABLE, Cause, State
from otagate.model.orders import Order, Send, Serve
from otagate.model.quirks import PLAIN
from otagate.model.versions import Version
from otagate.mqtt.line import Address, Line
from otagate.ports import DeviceFound, Emit, Radio, RadioChanged, RadioEvent, TransferAdvanced, TransferProgressed
from otagate.radios.handouts import Counter
from otagate.radios.zigbee import ZigbeeRadio, ZigbeeSettings
from otagate.radios.zigbee2mqtt import Zigbee2mqttRadio, Zigbee2mqttSettings
from otagate.radios.zwave import ZwaveRadio, ZwaveSettings
from otagate_rig.air import AirSettings
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from otagate_rig.zwave import HOME_ID, ZwaveRig, make_firmware
from tests.engine.radio import IMAGE_TYPE, MAKER, ZIGBEE0, Lamp, ScriptedRadio
from tests.journeys.zwave import require_node
from tests.mqtt.mosquitto import require_mosquitto
from tests.zigbee2mqtt.house import PACE as HOUSE_PACE
from tests.zigbee2mqtt.house import handing_out, house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PACE = 20.0
WITHIN = 60.0
UPDATE = UpdateId("u00000001")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A network with two devices that run `old`, a way to make a radio at it, and a way to take its line away."""

    make: Callable[[Emit, Path], Radio]
    devices: tuple[DeviceId, DeviceId]
    stranger: DeviceId
    component: ComponentId
    old: Version
    new: Version
    image: bytes
    order: Callable[[DeviceId], Order]
    forms_network: bool
    pauses: bool
    lose: Callable[[Radio], Awaitable[None]]


@asynccontextmanager
async def zigbee() -> AsyncIterator[Place]:
    """Real zigpy; devices are in the network already, and announce themselves when the first radio can hear them."""
    old, new, kind, maker = 0x01000000, 0x01000001, 0x0083, 0x1189
    ieees = (0x000D6F0000AB0001, 0x000D6F0000AB0002)
    image = build_image(maker, kind, new, payload=make_payload(6_000, 1))
    specs = [DeviceSpec(ieee=each, manufacturer_code=maker, image_type=kind, file_version=old) for each in ieees]
    async with Rig(devices=specs, images=[image], air=AirSettings(speedup=None), announce_after=None) as rig:
        announced = asyncio.Event()

        def make(emit: Emit, folder: Path) -> Radio:
            def tell(event: RadioEvent) -> None:
                emit(event)
                if isinstance(event, RadioChanged) and event.state == "up" and not announced.is_set():
                    announced.set()
                    rig.announce()

            settings = ZigbeeSettings(name=ZIGBEE0, type="znp", path=rig.path, network="existing")
            patience = Pace.scaled(PACE).patience
            return ZigbeeRadio(settings, state_dir=folder, emit=tell, clock=SystemClock(), quirk_of=lambda _code, _model: PLAIN, patience=patience)

        def order(device: DeviceId) -> Order:
            return Serve(
                update=UPDATE, device=device, component=zigbee_component_id(kind), manufacturer_code=maker, image_type=kind,
                file_version=new, image=memoryview(image), from_version=old,
            )  # fmt: skip

        async def lose(_: Radio) -> None:
            rig.port.unplug()

        yield Place(
            make=make, devices=(zigbee_device_id(ieees[0]), zigbee_device_id(ieees[1])), stranger=zigbee_device_id(1),
            component=zigbee_component_id(kind), old=old, new=new, image=image, order=order, forms_network=True, pauses=True, lose=lose,
        )  # fmt: skip


@asynccontextmanager
async def zwave() -> AsyncIterator[Place]:
    """The real driver and server."""
    require_node()
    image = make_firmware("1.7", 2_000)
    async with ZwaveRig([{"id": 2}, {"id": 3}]) as rig:
        await rig.interviewed(2, 3)

        def make(emit: Emit, _: Path) -> Radio:
            patience = Pace.scaled(PACE).zwave
            return ZwaveRadio(ZwaveSettings(name=ZIGBEE0, url=rig.url, pace=PACE), emit=emit, clock=SystemClock(), patience=patience)

        def order(device: DeviceId) -> Order:
            return Send(update=UPDATE, device=device, component=zwave_component_id(0), image=memoryview(image), from_version="1.6", to_version="1.7")

        async def lose(_: Radio) -> None:
            await rig.kill_driver()

        yield Place(
            make=make, devices=(zwave_device_id(HOME_ID, 2), zwave_device_id(HOME_ID, 3)), stranger=zwave_device_id(HOME_ID, 99),
            component=zwave_component_id(0), old="1.6", new="1.7", image=image, order=order, forms_network=False, pauses=False, lose=lose,
        )  # fmt: skip


@asynccontextmanager
async def in_memory() -> AsyncIterator[Place]:
    """What stands for a radio in the tests of the engine."""
    ids = (zigbee_device_id(0xA1), zigbee_device_id(0xA2))
    image = bytes(1_000)
    lamps = {each: Lamp(id=each, seconds=0.5, reboot=0.1) for each in ids}

    def make(emit: Emit, _: Path) -> Radio:
        return ScriptedRadio(lamps, emit, [])

    def order(device: DeviceId) -> Order:
        return Serve(
            update=UPDATE, device=device, component=zigbee_component_id(IMAGE_TYPE), manufacturer_code=MAKER, image_type=IMAGE_TYPE,
            file_version=2, image=memoryview(image), from_version=1,
        )  # fmt: skip

    async def lose(radio: Radio) -> None:
        assert isinstance(radio, ScriptedRadio)
        radio.unplug()

    yield Place(
        make=make, devices=ids, stranger=zigbee_device_id(1), component=zigbee_component_id(IMAGE_TYPE), old=1, new=2, image=image, order=order,
        forms_network=True, pauses=True, lose=lose,
    )  # fmt: skip


@asynccontextmanager
async def zigbee2mqtt(folder: Path) -> AsyncIterator[Place]:
    """The real zigbee2mqtt at a real broker, and what the API hands out."""
    require_mosquitto()
    old, new, kind, maker = 0x01000000, 0x01000001, 0x0083, 0x1189
    ieees = (0x000D6F0000AB0001, 0x000D6F0000AB0002)
    image = build_image(maker, kind, new, payload=make_payload(3_000, 1))
    specs = [DeviceSpec(ieee=each, manufacturer_code=maker, image_type=kind, file_version=old) for each in ieees]
    counter = Counter(SystemClock())
    async with house(folder, specs, [image]) as home, handing_out(counter):

        def make(emit: Emit, _: Path) -> Radio:
            line = Line(Address(host="127.0.0.1", port=home.broker.port), status=None, largest=1 << 20)
            settings = Zigbee2mqttSettings(name=ZIGBEE0, pace=PACE)
            return Zigbee2mqttRadio(
                settings, line=line, counter=counter, kinds=lambda: {(maker, kind)}, emit=emit, clock=SystemClock(), patience=HOUSE_PACE.zigbee2mqtt
            )

        def order(device: DeviceId) -> Order:
            return Serve(
                update=UPDATE, device=device, component=zigbee_component_id(kind), manufacturer_code=maker, image_type=kind,
                file_version=new, image=memoryview(image), from_version=old,
            )  # fmt: skip

        async def lose(_: Radio) -> None:
            await home.broker.kill()

        yield Place(
            make=make, devices=(zigbee_device_id(ieees[0]), zigbee_device_id(ieees[1])), stranger=zigbee_device_id(1),
            component=zigbee_component_id(kind), old=old, new=new, image=image, order=order, forms_network=False, pauses=False, lose=lose,
        )  # fmt: skip


PLACES: dict[str, Any] = {"zigbee": zigbee, "zwave": zwave, "in memory": in_memory}
BESIDE = pytest.param("zigbee2mqtt", marks=pytest.mark.night)  # half a minute, of which `tests/zigbee2mqtt` takes the gist by day


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[*PLACES, BESIDE])
async def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    made = zigbee2mqtt(tmp_path_factory.mktemp("house")) if request.param == "zigbee2mqtt" else PLACES[request.param]()
    async with made as found:
        yield found


@pytest.fixture(scope="module")
def state(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the radios of one place know of their network, from life to life."""
    return tmp_path_factory.mktemp("state")


@dataclass
class Engine:
    """Hears what a radio tells, as the engine does; `commits`: what is told is on disk at once."""

    commits: bool = True
    told: list[RadioEvent] = field(default_factory=list)
    tokens: set[int] = field(default_factory=set)
    radio: Radio | None = None
    life: asyncio.Task[None] | None = None
    lost: BaseExceptionGroup[RadioUnavailable] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: RadioEvent) -> None:
        self.told.append(event)
        if isinstance(event, TransferAdvanced) and self.commits:
            asyncio.get_running_loop().call_soon(self.commit, event)
        self._news.set()

    def commit(self, event: TransferAdvanced) -> None:
        self.tokens.add(event.token)
        if self.radio is not None:
            self.radio.committed(event.token)

    async def hears(self, fits: Callable[[RadioEvent], bool]) -> RadioEvent:
        async with asyncio.timeout(WITHIN):
            while (found := next((each for each in self.told if fits(each)), None)) is None:
                self._news.clear()
                await self._news.wait()
        return found

    def causes(self) -> list[Cause]:
        """Every cause once, in order: what is not on disk yet is told again, with what came to it."""
        return list(dict.fromkeys(cause for each in self.told if isinstance(each, TransferAdvanced) for cause in each.causes))


@asynccontextmanager
async def living(place: Place, folder: Path, engine: Engine) -> AsyncIterator[Radio]:
    """A radio that is up, with its devices told and able to answer."""
    engine.radio = radio = place.make(engine.emit, folder)
    async with asyncio.TaskGroup() as group:
        engine.life = group.create_task(_ended(radio, engine), name="radio")
        await engine.hears(lambda each: isinstance(each, RadioChanged) and each.state == "up")
        for device in place.devices:
            await engine.hears(lambda each, device=device: isinstance(each, DeviceFound) and each.device.id == device)
        yield radio
        engine.life.cancel()


async def _ended(radio: Radio, engine: Engine) -> None:
    """One life of a radio; that it ends with a lost line, alone or in the group of its tasks, is for the test to see."""
    try:
        await radio.run()
    except* RadioUnavailable as lost:
        engine.lost = lost


async def interrogated(radio: Radio, device: DeviceId) -> Device:
    """Ask until there is an answer: a device may not be ready when its radio is."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                return await radio.interrogate(device)
            except (DeviceUnreachable, DeviceRefused):
                await asyncio.sleep(0.2)


async def test_before_it_is_up_nothing_can_be_asked_of_it(place: Place, state: Path) -> None:
    radio = place.make(Engine().emit, state)
    assert (radio.name, radio.pauses) == (ZIGBEE0, place.pauses)
    with pytest.raises(RadioUnavailable):
        await radio.interrogate(place.devices[0])


async def test_it_tells_that_it_starts_that_it_is_up_and_who_is_there(place: Place, state: Path) -> None:
    engine = Engine()
    async with living(place, state, engine):
        states = [each for each in engine.told if isinstance(each, RadioChanged)]
        assert [each.state for each in states] == ["starting", "up"]
        assert all(each.sentence and each.radio == ZIGBEE0 for each in states)
        for each in engine.told:
            if isinstance(each, DeviceFound):
                assert each.device.radio == ZIGBEE0


async def test_a_device_tells_what_it_runs_and_a_stranger_is_named(place: Place, state: Path) -> None:
    async with living(place, state, Engine()) as radio:
        device = await interrogated(radio, place.devices[0])
        (component,) = [each for each in device.components if each.id == place.component]
        assert (device.id, component.version) == (place.devices[0], place.old)
        with pytest.raises(UnknownDevice):
            await radio.interrogate(place.stranger)


async def test_what_it_does_not_do_it_says(place: Place, state: Path) -> None:
    async with living(place, state, Engine()) as radio:
        if place.forms_network:
            await radio.permit_joining(0)
        else:
            with pytest.raises(NotOnThisRadio):
                await radio.permit_joining(0)


async def test_a_transfer_is_told_step_by_step_and_none_before_the_one_before_is_on_disk(place: Place, state: Path) -> None:
    engine = Engine(commits=False)
    async with living(place, state, engine) as radio:
        device = place.devices[1]
        await interrogated(radio, device)
        radio.command(place.order(device))
        radio.command(place.order(device))  # the same order is the same transfer
        first = await engine.hears(lambda each: isinstance(each, TransferAdvanced))
        assert isinstance(first, TransferAdvanced)
        assert (first.update, first.causes[0]) == (UPDATE, Cause.ACCEPTED)
        assert first.detail
        engine.commits = True
        engine.commit(first)
        await engine.hears(lambda each: isinstance(each, TransferAdvanced) and bool({Cause.ACTIVATED, Cause.REBOOTED} & set(each.causes)))
        async with asyncio.timeout(WITHIN):
            while next(each for each in (await interrogated(radio, device)).components if each.id == place.component).version != place.new:
                await asyncio.sleep(0.2)
    stage = State.OFFERING
    for cause in engine.causes():
        stage = TABLE[stage][cause]  # each is a line of the transition table
    assert stage in (State.ACTIVATING, State.CONFIRMING)
    offsets = [each.offset for each in engine.told if isinstance(each, TransferProgressed)]
    assert offsets == sorted(offsets)
    assert all(0 <= each <= len(place.image) for each in offsets)


async def test_a_line_that_is_lost_ends_its_life_with_a_reason(place: Place, state: Path) -> None:
    """The last of the place: what it is at does not come back."""
    engine = Engine()
    async with living(place, state, engine) as radio:
        await place.lose(radio)
        async with asyncio.timeout(WITHIN):
            while engine.life is None or not engine.life.done():
                await asyncio.sleep(0.05)
        assert engine.lost is not None
        with pytest.raises(RadioUnavailable):
            await radio.interrogate(place.devices[0])
