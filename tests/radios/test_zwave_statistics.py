"""What the driver counts, told as how well nodes are heard and what the controller has to do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from otagate.model.ids import RadioName, zwave_device_id
from otagate.model.links import Link
from otagate.ports import DeviceGone, DeviceSeen, RadioEvent, RadioLoaded
from otagate.radios.zwave import ZwaveRadio, ZwaveSettings
from tests.radios.zwave_driver import COUNTERS, HOME_ID, network, node_state
from tests.virtual_time import VirtualClock, instantly

NODE = zwave_device_id(HOME_ID, 2)


def a_radio(told: list[RadioEvent]) -> ZwaveRadio:
    """A radio that is up as far as it knows: no server is here, whose statistics no test could choose."""
    radio: Any = ZwaveRadio(ZwaveSettings(name=RadioName("zwave0"), url="ws://nowhere"), emit=told.append, clock=VirtualClock())
    radio._line = SimpleNamespace(controller=network(node_state()))
    return radio  # type: ignore[no-any-return]


@instantly
async def test_a_node_that_was_heard_is_told_with_the_strength_of_its_weakest_hop() -> None:
    told: list[RadioEvent] = []
    radio, now = a_radio(told), VirtualClock().now()
    statistics = {"rssi": -70, "lwr": {"rssi": -80, "repeaters": []}, "lastSeen": now.isoformat()}
    for _ in range(3):  # the same again is no sign of life
        radio._heard({"source": "node", "event": "statistics updated", "nodeId": 2, "statistics": statistics})
        await asyncio.sleep(61)
    assert told == [DeviceSeen(device=NODE, link=Link(heard=now, rssi=-80, repeaters=0))]


@instantly
async def test_nothing_is_remembered_of_a_node_that_was_removed() -> None:
    """Another one may get its number."""
    told: list[RadioEvent] = []
    radio = a_radio(told)
    statistics = {"rssi": -70, "lwr": {"rssi": -80, "repeaters": []}, "lastSeen": VirtualClock().now().isoformat()}
    radio._heard({"source": "node", "event": "statistics updated", "nodeId": 2, "statistics": statistics})
    radio._heard({"source": "controller", "event": "node removed", "node": {"nodeId": 2}})
    radio._heard({"source": "node", "event": "value updated", "nodeId": 2})
    seen, gone, other = told
    assert isinstance(seen, DeviceSeen)
    assert seen.link is not None
    assert (gone, other) == (DeviceGone(device=NODE), DeviceSeen(device=NODE))


@instantly
async def test_a_controller_that_does_not_take_what_it_is_given_is_told_as_loaded_once() -> None:
    told: list[RadioEvent] = []
    radio = a_radio(told)
    for sent, lost in ((0, 0), (50, 50)):
        statistics = dict.fromkeys(COUNTERS, 0) | {"messagesTX": sent, "timeoutACK": lost}
        radio._heard({"source": "controller", "event": "statistics updated", "statistics": statistics})
        radio._tell_load()
        radio._tell_load()
    assert [(each.load.used, each.load.refused) for each in told if isinstance(each, RadioLoaded)] == [(0, 0), (0, 50)]
