"""What Prometheus reads is what happened."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from otagate.model.ids import zigbee_device_id
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, Lamp
from tests.virtual_time import instantly


def metrics(hub: Hub) -> dict[str, float]:
    """Every sample by its name with labels."""
    lines = [line for line in generate_latest(hub.desk.metrics).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@instantly
async def test_gauges_and_counters_follow_the_life_of_updates() -> None:
    second, third = zigbee_device_id(2), zigbee_device_id(3)
    lamps = {LAMP: Lamp(), second: Lamp(id=second, goes="rejects"), third: Lamp(id=third)}
    bench = Bench(lamps=lamps, parallel=1)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        ids = [(await hub.order(each)).update.id for each in lamps]
        await hub.pass_time(seconds=5)
        now = metrics(hub)
        assert now['otagate_updates_running{state="transferring"}'] == 1
        assert now['otagate_updates_waiting{reason="radio_busy"}'] == 2
        assert now['otagate_radio_up{radio="zigbee0",type="scripted"}'] == 1
        assert now['otagate_radio_transfers{radio="zigbee0"}'] == 1
        for each in ids:
            await hub.until_ended(each)
        await hub.pass_time(seconds=10)
        now = metrics(hub)
        assert now['otagate_updates_finished_total{code="",state="succeeded"}'] == 2
        assert now['otagate_updates_finished_total{code="image-rejected-by-device",state="failed"}'] == 1
        assert not [name for name in now if name.startswith(("otagate_updates_running", "otagate_updates_waiting"))]
        assert now['otagate_devices{online="true",radio="zigbee0"}'] == 3
        assert now["otagate_store_refusals_total"] == 0
        hub.store.full = True
        await hub.desk.permit_join("zigbee0", 0, actor="test")
        hub.intake.dropped = 3
        now = metrics(hub)
        assert (now["otagate_store_refusals_total"], now["otagate_events_dropped_total"]) == (1, 3)


@instantly
async def test_names_follow_the_convention_and_no_label_grows_with_the_number_of_devices() -> None:
    lamps = {zigbee_device_id(number): Lamp(id=zigbee_device_id(number)) for number in range(1, 6)}
    async with Bench(lamps=lamps).hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        for each in lamps:
            await hub.until_ended((await hub.order(each)).update.id)
        families = list(text_string_to_metric_families(generate_latest(hub.desk.metrics).decode()))
        assert len(families) > 10
        for family in families:
            assert family.name.startswith("otagate_"), family.name
            assert family.documentation.endswith("."), family.name
            assert family.type in {"gauge", "counter"}, family.name
            assert {each.name for each in family.samples} <= {family.name + ("_total" if family.type == "counter" else "")}
            for sample in family.samples:
                assert not [value for value in sample.labels.values() if value in lamps], sample
