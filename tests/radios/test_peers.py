"""What Zigbee devices tell of themselves, however oddly they do.

`_Odd` stands for a zigpy device: no real one answers with what no answer should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from zigpy.exceptions import DeliveryError, ZigbeeException
from zigpy.types import EUI64

from otagate.model.errors import DeviceRefused, DeviceUnreachable
from otagate.radios.peers import describe, read_components

VERSION, MAKER, IMAGE_TYPE = 0x0002, 0x0007, 0x0008
GOOD = {VERSION: 0x0102, MAKER: 0x117C, IMAGE_TYPE: 0x1409}


class _Odd:
    """A device with one OTA client and a battery."""

    def __init__(self, answer: Mapping[int, Any] | Exception = GOOD, *, battery: Any = None) -> None:
        self.ieee = EUI64.convert("00:0d:6f:00:00:00:00:01")
        self.node_desc = SimpleNamespace(manufacturer_code=0x1001, is_mains_powered=False, is_receiver_on_when_idle=False)
        self.model = self.manufacturer = None
        self._answer = answer
        client, power = SimpleNamespace(read_attributes=self._read), SimpleNamespace(get=lambda _: battery)
        self.endpoints = {0: None, 1: SimpleNamespace(in_clusters={0x0001: power}, out_clusters={0x0019: client})}

    async def _read(self, *_: object, **__: object) -> tuple[Mapping[int, Any], Mapping[int, Any]]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer, {}


async def told(answer: Mapping[int, Any] | Exception) -> tuple[Any, ...]:
    (component,) = await read_components(_Odd(answer))  # type: ignore[arg-type]
    return component.id, component.version, component.manufacturer_code, component.image_type


@pytest.mark.asyncio
async def test_a_device_tells_what_it_runs() -> None:
    assert await told(GOOD) == ("0x1409", 0x0102, 0x117C, 0x1409)


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [0xFFFF_FFFF, 1 << 32, 1 << 63, -1, "1.2", b"\x01", 1.5])
async def test_what_is_no_file_version_is_none(version: Any) -> None:
    assert await told(GOOD | {VERSION: version}) == ("0x1409", None, 0x117C, 0x1409)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [0xFFFF, 0x1_0000, -1, "lamp"])
async def test_what_is_no_image_type_is_asked_for_in_another_way(kind: Any) -> None:
    assert await told(GOOD | {IMAGE_TYPE: kind}) == ("0xffff", 0x0102, 0x117C, None)


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [0xFFFF, 0x1_0000, -1, "maker", None])
async def test_what_is_no_manufacturer_code_is_that_of_the_node(code: Any) -> None:
    assert await told(GOOD | {MAKER: code}) == ("0x1409", 0x0102, 0x1001, 0x1409)


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [KeyError(0x4000), ValueError("no such type"), TypeError("no list"), ZigbeeException("odd")])
async def test_an_answer_that_the_library_cannot_read_is_the_devices_fault(error: Exception) -> None:
    """Of an attribute that nobody asked for, say; the radio is as well as before, and the device is left in peace for a while."""
    with pytest.raises(DeviceRefused, match="zigbee-000d6f0000000001 answered badly on endpoint 1"):
        await told(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [TimeoutError(), DeliveryError("no acknowledgement")])
async def test_no_answer_is_no_bad_one(error: Exception) -> None:
    with pytest.raises(DeviceUnreachable, match="does not answer on endpoint 1"):
        await told(error)


@pytest.mark.parametrize(
    ("half_percents", "percent"), [(200, 100), (1, 0), (0, 0), (201, None), (255, None), (-3, None), ("full", None), (None, None)]
)
def test_a_battery_is_told_in_half_percents(half_percents: Any, percent: int | None) -> None:
    assert describe(_Odd(battery=half_percents), "zigbee0").battery_percent == percent  # type: ignore[arg-type]
