"""What becomes known against an image while updates with it wait and run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from otagate.engine.bulletin import Bulletin
from otagate.engine.views import OrderRequest
from otagate.model.advisories import Advisory
from otagate.model.errors import ConfigError, RadioUnavailable
from otagate.model.ids import DeviceId, Sha256, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.virtual_time import VirtualClock, instantly

LAMPS = [LAMP, *(zigbee_device_id(0x000D_6F00_0000_0100 + number) for number in range(3))]


def against(image: Sha256) -> Advisory:
    return Advisory(sentence="It dies of it", source="us", sha256=(image,))


async def updated(hub: Hub, device: DeviceId, **rights: object) -> list[str | None]:
    """Order an update and see it end; the reasons of refusal."""
    result = await hub.desk.order(OrderRequest(devices=(device,), **rights), actor="test")  # type: ignore[arg-type]
    for each in result.updates:
        await hub.until_ended(each.update.id)
    return [each.reason for each in result.refused]


@pytest.mark.parametrize("force", [False, True])
@instantly
async def test_an_advisory_ends_what_waits_and_what_runs(force: bool) -> None:
    bench = Bench(lamps={each: Lamp(id=each) for each in LAMPS}, parallel=1)
    async with bench.hub() as hub:
        await hub.ready()
        image = await hub.add_image(NEW)
        await hub.desk.order(OrderRequest(devices=tuple(LAMPS), force=force), actor="test")
        await hub.until(lambda: any(fact.kind == "accepted" for fact in hub.told))
        hub.cases.advise([against(image)])
        await hub.until(lambda: len([fact for fact in hub.told if fact.kind == "cancelled"]) == len(LAMPS))
        rows = await bench.rows()
        assert [each.state for each in rows] == [State.CANCELLED] * 4
        assert {fact.data["detail"] for fact in hub.told if fact.kind == "cancelled"} == {"It dies of it; see us."}
        await hub.pass_time(hours=1)
        assert await updated(hub, LAMPS[0], force=True, override=("quarantined",)) == ["advisory"]
    assert all(each.version == OLD for each in bench.lamps.values())


@instantly
async def test_what_cannot_be_stopped_because_its_radio_is_away_is_stopped_when_that_is_back() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=3_000.0)})
    async with bench.hub() as hub:
        await hub.ready()
        image = await hub.add_image(NEW)
        update = (await hub.order()).update.id
        await hub.until_state(update, State.TRANSFERRING)
        stop = hub.radio.stop

        async def cannot(_update: UpdateId) -> None:
            raise RadioUnavailable("the radio is not up")

        hub.radio.stop = cannot  # type: ignore[method-assign]
        hub.cases.advise([against(image)])
        await hub.pass_time(minutes=3)
        assert hub.state(update) is State.TRANSFERRING
        hub.radio.stop = stop  # type: ignore[method-assign]
        assert (await hub.until_ended(update, within=300)).state is State.CANCELLED
    assert bench.lamp.version == OLD


@instantly
async def test_an_image_that_failed_on_two_devices_is_given_to_no_third_until_one_has_taken_it() -> None:
    lamps = {each: Lamp(id=each, goes="rejects" if each in LAMPS[:2] else "well") for each in LAMPS}
    bench = Bench(lamps=lamps)
    async with bench.hub() as hub:
        await hub.ready()
        image = await hub.add_image(NEW)
        assert await updated(hub, LAMPS[0]) == []
        assert await updated(hub, LAMPS[0], force=True) == []
        assert hub.cases.quarantined() == {}
        assert await updated(hub, LAMPS[1]) == []
        await hub.until(lambda: any((fact.kind, fact.subject_id) == ("quarantined", image) for fact in hub.told))
        assert await updated(hub, LAMPS[2], force=True) == ["quarantined"]
    async with bench.hub() as hub:
        await hub.ready()
        assert await updated(hub, LAMPS[2]) == ["quarantined"]
        offered = [each.verdict for each in await hub.desk.offers(LAMPS[2])]
        assert [each.reason for each in offered] == ["quarantined"]
        assert all(each in offered[0].sentence for each in LAMPS[:2])
        assert await updated(hub, LAMPS[2], override=("quarantined",), because="the maker says that it is good") == []
        await hub.until(lambda: any((fact.kind, fact.subject_id) == ("cleared", image) for fact in hub.told))
        assert await updated(hub, LAMPS[3]) == []
    assert [lamps[each].downloads for each in LAMPS[2:]] == [1, 1]


@instantly
async def test_a_wrong_file_is_told_and_leaves_the_last_good_advisories_in_force() -> None:
    clock, told = VirtualClock(), list[Sequence[Advisory]]()
    good, files = against(Sha256("a" * 64)), list[Sequence[Advisory] | ConfigError]()

    def read() -> Sequence[Advisory]:
        found = files.pop(0)
        if isinstance(found, ConfigError):
            raise found
        return found

    bulletin = Bulletin(read_file=read, clock=clock, changed=told.append)
    files += [[good], ConfigError("mine.toml: line 3: wrong"), [good], []]
    assert await bulletin.read()
    assert not await bulletin.read()
    assert bulletin.state.condition == "degraded"
    assert bulletin.state.sentence == "mine.toml: line 3: wrong; the 1 advisories of before stay in force"
    assert not await bulletin.read()
    assert bulletin.state.sentence == "1 advisories"
    assert await bulletin.read()
    assert told == [(good,), ()]
