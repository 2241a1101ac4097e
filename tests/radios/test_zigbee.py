"""A device that is let to ask what there is for it, so that it tells what it tells in no other way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otagate.model.errors import DeviceUnreachable, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName
from otagate.model.quirks import PLAIN, Quirk
from otagate.radios.zigbee import ZigbeeRadio, ZigbeeSettings
from tests.radios.test_switchboard import QUERY, Newcomer
from tests.sessions.playbook import IMAGE, serve
from tests.sessions.wire import ask
from tests.virtual_time import VirtualClock, instantly


class Interviewed(Newcomer):
    """Stands for a zigpy device after its interview: no line is open here, so nothing could be asked of a real one."""

    def __init__(self) -> None:
        super().__init__()
        self.is_initialized = True
        self.relays = None
        self.node_desc: Any = SimpleNamespace(manufacturer_code=0x117A, is_mains_powered=True, is_receiver_on_when_idle=True)


def a_radio(quirk: Quirk = PLAIN) -> tuple[ZigbeeRadio, DeviceId]:
    """A radio that is up as far as it knows, with one device."""
    settings = ZigbeeSettings(name=RadioName("zigbee0"), type="znp", path="/nowhere")
    radio: Any = ZigbeeRadio(settings, state_dir=Path("/nowhere"), emit=lambda _: None, clock=VirtualClock(), quirk_of=lambda _code, _model: quirk)
    radio._app = SimpleNamespace()
    return radio, radio._switchboard.adopt(Interviewed()).id


def asks(radio: Any, after: float) -> None:
    """The device asks for an image some seconds from now."""
    asyncio.get_running_loop().call_later(after, radio._switchboard.take, 0x1234, 1, 1, 200, QUERY)


@instantly
async def test_what_a_device_tells_when_it_asks_after_a_notify_is_returned() -> None:
    radio, device = a_radio()
    asks(radio, 5.0)
    component = await radio.notify(device)
    assert (component.manufacturer_code, component.image_type, component.version, component.hardware_version) == (0x1189, 0x0083, 0x01000000, 3)


@instantly
async def test_a_device_that_does_not_ask_is_waited_for_no_longer_than_it_may_take() -> None:
    for quirk, after, told in ((PLAIN, 21.0, False), (Quirk(query_patience=60.0), 59.0, True), (Quirk(query_patience=60.0), 61.0, False)):
        radio, device = a_radio(quirk)
        asks(radio, after)
        if told:
            assert (await radio.notify(device)).hardware_version == 3
        else:
            with pytest.raises(DeviceUnreachable, match="did not ask"):
                await radio.notify(device)


@instantly
async def test_what_a_device_tells_after_a_notify_is_returned_though_it_told_the_same_a_moment_ago() -> None:
    radio, device = a_radio()
    for after in (0.0, 3.0, 6.0):
        asks(radio, after)
    await asyncio.sleep(1.0)
    for _ in range(2):
        assert (await radio.notify(device)).version == 0x01000000


@instantly
@pytest.mark.parametrize("adopted", ["offering", "transferring"])
async def test_what_a_device_tells_after_a_notify_is_returned_though_it_is_served(adopted: Any) -> None:
    radio, device = a_radio()
    order = serve(device=device, manufacturer_code=0x1189, image_type=0x0083, file_version=0x02000000, adopted=adopted)
    radio.command(order)
    asks(radio, 1.0)
    assert (await radio.notify(device)).version == 0x01000000


@instantly
async def test_a_device_that_fetches_an_image_is_not_notified_in_the_middle_of_it() -> None:
    """Of one that tells its image type only when it asks, an operator may want to know more at any moment."""
    radio, device = a_radio()
    radio.command(serve(device=device, adopted="transferring"))
    assert radio._switchboard.take(0x1234, 1, 1, 200, ask(0, 50))
    with pytest.raises(DeviceUnreachable, match="fetches an image"):
        await radio.notify(device)
    for offset in range(50, len(IMAGE), 50):
        assert radio._switchboard.take(0x1234, 1, 1, 200, ask(offset, 50))
    asks(radio, 1.0)
    assert (await radio.notify(device)).version == 0x01000000, "it may check the image, and be asked"


@instantly
async def test_a_device_that_must_not_be_notified_is_not() -> None:
    radio, device = a_radio(Quirk(notify=False))
    with pytest.raises(DeviceUnreachable, match="must not be notified"):
        await radio.notify(device)


@instantly
async def test_nobody_is_notified_who_is_not_known_or_while_the_radio_is_away() -> None:
    radio, device = a_radio()
    with pytest.raises(UnknownDevice):
        await radio.notify(DeviceId("zigbee-00000000000000ff"))
    radio._app = None
    with pytest.raises(RadioUnavailable):
        await radio.notify(device)


class _Counter:
    def __init__(self, value: int = 0) -> None:
        self.value = value


def left_to_others(radio: Any) -> float:
    """For how many seconds the air is, after a block of ten milliseconds."""
    radio._budget.open_at = now = 1_000_000.0
    radio._budget.spend(0.010, now)
    return float(radio._budget.open_at - now)


@instantly
async def test_where_the_radio_repeats_every_frame_half_as_many_blocks_leave() -> None:
    """By the counters that bellows reads from the coordinator with each beat of its watchdog."""
    settings = ZigbeeSettings(name=RadioName("zigbee0"), type="ezsp", path="/nowhere", air_share=0.5)
    radio: Any = ZigbeeRadio(settings, state_dir=Path("/nowhere"), emit=lambda _: None, clock=VirtualClock(), quirk_of=lambda _code, _model: PLAIN)
    counters = {name: _Counter() for name in ("MAC_TX_UNICAST_SUCCESS", "MAC_TX_UNICAST_RETRY", "MAC_TX_UNICAST_FAILED", "PHY_CCA_FAIL_COUNT")}
    app = SimpleNamespace(state=SimpleNamespace(counters={"ezsp_counters": counters}))
    measuring = asyncio.get_running_loop().create_task(radio._measure(app))
    for repeated, seconds in ((0, 0.020), (1_000, 0.040), (0, 0.020)):
        for _ in range(8):
            counters["MAC_TX_UNICAST_SUCCESS"].value += 1_000
            counters["MAC_TX_UNICAST_RETRY"].value += repeated
            await asyncio.sleep(15.0)
        assert left_to_others(radio) == pytest.approx(seconds, rel=0.05)
    counters.clear()  # a firmware that counts nothing
    await asyncio.sleep(120.0)
    assert left_to_others(radio) == pytest.approx(0.020, rel=0.05)
    measuring.cancel()
