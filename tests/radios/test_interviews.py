"""Devices whose interview failed are asked again, less and less often, and not for ever."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest
from zigpy.types import EUI64

from otagate.radios.interviews import Interviews
from tests.virtual_time import instantly


class Stubborn:
    """Stands for zigpy's device: its interview fails at once, `fails` times."""

    def __init__(self, fails: int, told: Callable[[Stubborn], None], *, ieee: int = 1) -> None:
        self.ieee = EUI64.convert(f"00:00:00:00:00:00:00:{ieee:02x}")
        self.is_initialized = False
        self.initializing = False
        self.asked: list[float] = []
        self._fails = fails
        self._told = told

    def schedule_initialize(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        self.is_initialized = len(self.asked) > self._fails
        self._told(self)


def an_interviewer(fails: int, *, devices: int = 1) -> tuple[Interviews, list[Stubborn]]:
    interviews = Interviews(pause=10.0)

    def told(device: Stubborn) -> None:
        interviews.settled(device) if device.is_initialized else interviews.failed(device)

    return interviews, [Stubborn(fails, told, ieee=number) for number in range(1, 1 + devices)]


def pauses(device: Stubborn, begin: float) -> list[float]:
    times = [begin, *device.asked]
    return [later - before for before, later in itertools.pairwise(times)]


@instantly
async def test_pauses_grow_and_end_when_the_device_is_understood() -> None:
    interviews, (device,) = an_interviewer(3)
    begin = asyncio.get_running_loop().time()
    interviews.failed(device)
    await asyncio.sleep(100_000)
    assert pauses(device, begin) == pytest.approx([10, 30, 90, 270])


@instantly
async def test_a_device_that_is_never_understood_is_left_alone_after_about_a_day_until_it_speaks() -> None:
    interviews, (device,) = an_interviewer(10_000)
    begin = asyncio.get_running_loop().time()
    interviews.failed(device)
    await asyncio.sleep(30 * 86_400)
    assert len(device.asked) == 30
    assert pauses(device, begin)[-1] == pytest.approx(3_600)
    assert 20 * 3_600 < device.asked[-1] - begin < 30 * 3_600


@instantly
async def test_who_was_not_understood_before_a_restart_is_asked_one_after_the_other() -> None:
    interviews, devices = an_interviewer(0, devices=20)
    devices[3].is_initialized = True
    interviews.begin(devices)
    await asyncio.sleep(1_000)
    times = [device.asked[0] for device in devices if device.asked]
    assert len(times) == 19
    assert min(later - before for before, later in itertools.pairwise(times)) >= 1.9


@instantly
async def test_an_interview_that_zigpy_holds_already_is_not_begun_anew() -> None:
    interviews, (device,) = an_interviewer(0)
    interviews.failed(device)
    device.initializing = True
    await asyncio.sleep(1_000)
    assert device.asked == []


@instantly
async def test_nobody_is_asked_who_has_left_or_whose_radio_is_gone() -> None:
    interviews, devices = an_interviewer(0, devices=2)
    for device in devices:
        interviews.failed(device)
    interviews.settled(devices[0])
    interviews.part()
    await asyncio.sleep(1_000)
    assert [device.asked for device in devices] == [[], []]
