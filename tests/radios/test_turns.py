"""Every fast path takes its turn on the serial line, and gives nothing more than its bound to a coordinator that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from otagate.model.errors import DeviceUnreachable
from otagate.radios import exchange, stacks
from otagate.radios.stacks import FastPathUnavailable, Fate
from otagate_rig.aps import DeviceKind
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import DeviceSpec

BLOCK = bytes((0x19, 7, 0x05, 0x95))
ROUTER = DeviceSpec(ieee=0x00158D0000000001, kind=DeviceKind.ROUTER)
BOUND = {"znp": 0.5, "ezsp": 1.5}
"""Below it, a frame that was lost on the line is repeated: ASH does so after 0.4 s."""


class Bench:
    """A rig with one device, and the fast path on its line."""

    def __init__(self, rig: Rig, app: Any, path: stacks.FastPath) -> None:
        self.rig, self.app, self.path = rig, app, path

    async def send(self) -> Fate:
        """One frame to the device, until the coordinator has told its fate."""
        ended: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(60):
            await self.path.send(nwk=self.rig.device(ROUTER.ieee).nwk, endpoint=1, frame=BLOCK, ack=False, ended=ended.set_result)
            return await ended

    @property
    def lock(self) -> Any:
        """The library's own, around its requests."""
        return self.app._znp._sync_request_lock if self.rig.stack == "znp" else self.app._ezsp._protocol._send_semaphore

    @property
    def sent(self) -> int:
        """Frames that the coordinator was told to send to the OTA cluster, unacknowledged."""
        counters = self.rig.ncp.counters
        return (counters.af_requests if self.rig.stack == "znp" else counters.sends)[0x0019, False]

    async def closed(self) -> None:
        """Wait until the library has noticed that its line is gone."""
        line = self.app._znp._uart if self.rig.stack == "znp" else self.app._ezsp._gw._obj
        async with asyncio.timeout(60):
            await line.wait_until_closed()


Open = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture(params=["znp", "ezsp"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return request.param


@pytest.fixture
def bench(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    @contextlib.asynccontextmanager
    async def opened(bound: float = BOUND[stack]) -> AsyncIterator[Bench]:
        monkeypatch.setattr(exchange, "ANSWER_BOUND", bound)
        async with Rig(stack=stack, devices=[ROUTER], announce_after=None) as rig:
            config = stacks.zigpy_config(stack, path=rig.path, database=tmp_path / "zigpy.db")
            app = await stacks.application_class(stack).new(config, start_radio=False)
            try:
                await app.startup(auto_form=False)
                path = stacks.tap(stack, app, take=lambda *_: True)
                assert path is not None
                try:
                    yield Bench(rig, app, path)
                finally:
                    path.detach()
            finally:
                await app.shutdown()

    return opened


@pytest.mark.asyncio
async def test_a_request_that_the_coordinator_leaves_unanswered_is_given_up_and_the_next_one_gets_through(bench: Open) -> None:
    async with bench() as it:
        it.rig.ncp.hang()
        with pytest.raises(DeviceUnreachable, match="did not answer"):
            await it.send()
        it.rig.ncp.resume_answers()
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_coordinator_that_leaves_three_requests_unanswered_does_not_get_a_fourth(bench: Open) -> None:
    async with bench() as it:
        it.rig.ncp.hang()
        for _ in range(2):
            with pytest.raises(DeviceUnreachable):
                await it.send()
        with pytest.raises(FastPathUnavailable, match="3 send requests unanswered"):
            await it.send()
        it.rig.ncp.resume_answers()


@pytest.mark.asyncio
async def test_an_answer_within_the_bound_of_its_own_request_counts_however_old_the_timer_is(bench: Open) -> None:
    async with bench(1.5) as it:
        begun = asyncio.get_running_loop().time()
        sent = 0
        while asyncio.get_running_loop().time() < begun + 2.5:
            assert await it.send() is Fate.DELIVERED
            sent += 1
        assert sent > 3


@pytest.mark.asyncio
async def test_a_frame_waits_for_the_library_to_finish_and_then_leaves(bench: Open) -> None:
    async with bench(10.0) as it, asyncio.TaskGroup() as group:
        lock = it.lock
        await lock.acquire()
        sending = group.create_task(it.send())
        async with asyncio.timeout(60):
            while not lock.num_waiting:
                await asyncio.sleep(0)
        assert it.sent == 0
        lock.release()
        assert await sending is Fate.DELIVERED
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_frame_does_not_wait_for_ever_for_a_library_that_never_finishes(bench: Open) -> None:
    async with bench(0.5) as it:
        lock = it.lock
        await lock.acquire()
        with pytest.raises(DeviceUnreachable):
            await it.send()
        lock.release()
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_line_that_is_closed_is_the_radios_fault_and_not_the_librarys_shape(bench: Open) -> None:
    async with bench() as it:
        it.rig.port.unplug()
        await it.closed()
        with pytest.raises(DeviceUnreachable):
            await it.send()
        await it.rig.port.plug()
