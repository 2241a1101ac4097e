"""What radios tell reaches whom it concerns; no event takes the hub down, and no flood its memory."""

from __future__ import annotations

from otagate.engine.intake import Intake
from otagate.model.ids import RadioName, UpdateId
from otagate.ports import DeviceFound, DeviceGone, DeviceSeen, Knocked, RadioChanged, TransferAdvanced, TransferProgressed
from tests.engine.bench import Bench
from tests.engine.radio import LAMP, NEW, OLD, ZIGBEE0, Lamp
from tests.policy import cases
from tests.virtual_time import instantly

NOBODY = UpdateId("u99999999")


def test_a_flood_is_bounded_and_what_is_dropped_is_counted() -> None:
    intake = Intake()
    for _ in range(20_000):
        intake.emit(DeviceSeen(device=LAMP))
    assert intake.dropped == 10_000


@instantly
async def test_that_a_radio_is_lost_is_not_lost_in_a_flood() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        for _ in range(20_000):
            hub.intake.emit(DeviceSeen(device=LAMP))
        hub.intake.emit(RadioChanged(radio=ZIGBEE0, state="retrying", sentence="the stick is gone"))
        await hub.until(lambda: not hub.registry.is_up(ZIGBEE0), within=10)


@instantly
async def test_events_about_what_nobody_knows_change_nothing() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        facts = len(await bench.facts())
        stranger = cases.device_id(77)
        for event in (
            DeviceSeen(device=stranger),
            DeviceGone(device=stranger),
            Knocked(update=NOBODY),
            TransferProgressed(update=NOBODY, offset=5),
            TransferAdvanced(update=NOBODY, causes=(), detail="", token=5),
            RadioChanged(radio=RadioName("zigbee9"), state="up", sentence=""),
        ):
            hub.intake.emit(event)
        await hub.pass_time(seconds=5)
        assert len(await bench.facts()) == facts


@instantly
async def test_an_event_that_fails_in_a_way_nobody_foresaw_is_one_event() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        hub.intake.emit(DeviceFound(device=None))  # type: ignore[arg-type]
        hub.radio.ask(LAMP, 5)
        await hub.until(lambda: hub.registry.device(LAMP).components[0].version == 5, within=10)


@instantly
async def test_a_device_that_leaves_is_offline_until_it_comes_back() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        hub.intake.emit(DeviceGone(device=LAMP))
        await hub.until(lambda: not hub.registry.device(LAMP).online, within=10)
        hub.radio.announce(LAMP)
        await hub.until(lambda: hub.registry.device(LAMP).online, within=10)


@instantly
async def test_a_device_that_asks_by_itself_tells_its_version_and_gets_what_policy_wants() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True)}, mode="automatic")
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.ask(LAMP, OLD)
        await hub.until(lambda: bench.lamp.version == NEW)
