"""What Prometheus reads is what happened."""

from __future__ import annotations

from prometheus_client import generate_latest

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
