"""The fast path of Z-Stack takes its turn on the serial line, and gives nothing more than its bound to a coordinator that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from otagate.model.errors import DeviceUnreachable
from otagate.radios import exchange
from otagate.radios.stacks import FastPathUnavailable, Fate
from otagate.radios.znp_path import ZnpPath
from otagate_rig.aps import DeviceKind
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.rig.znp.znp_fakes import running, until

BLOCK = bytes((0x19, 7, 0x05, 0x95))
ROUTER = DeviceSpec(ieee=0x00158D0000000001, kind=DeviceKind.ROUTER)
BOUND = 0.5


class Bench:
    """A rig with one device, and the fast path on its line."""

    def __init__(self, rig: Rig, app: object, path: ZnpPath) -> None:
        self.rig, self.app, self.path = rig, app, path

    async def send(self) -> Fate:
        """One frame to the device, until the coordinator has told its fate."""
        ended: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(20):
            await self.path.send(nwk=self.rig.device(ROUTER.ieee).nwk, endpoint=1, frame=BLOCK, ack=False, ended=ended.set_result)
            return await ended


@contextlib.asynccontextmanager
async def bench(monkeypatch: pytest.MonkeyPatch, bound: float = BOUND) -> AsyncIterator[Bench]:
    monkeypatch.setattr(exchange, "ANSWER_BOUND", bound)
    async with Rig(devices=[ROUTER], announce_after=None) as rig, running(rig.path) as app:
        path = ZnpPath(app, take=lambda *_: True)
        try:
            yield Bench(rig, app, path)
        finally:
            path.detach()


@pytest.mark.asyncio
async def test_a_request_that_the_coordinator_leaves_unanswered_is_given_up_and_the_next_one_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch) as it:
        it.rig.ncp.hang()
        with pytest.raises(DeviceUnreachable, match="did not answer"):
            await it.send()
        it.rig.ncp.resume_answers()
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_coordinator_that_leaves_three_requests_unanswered_does_not_get_a_fourth(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch) as it:
        it.rig.ncp.hang()
        for _ in range(2):
            with pytest.raises(DeviceUnreachable):
                await it.send()
        with pytest.raises(FastPathUnavailable, match="3 send requests unanswered"):
            await it.send()
        it.rig.ncp.resume_answers()


@pytest.mark.asyncio
async def test_an_answer_within_the_bound_of_its_own_request_counts_however_old_the_timer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch) as it:
        begun = asyncio.get_running_loop().time()
        sent = 0
        while asyncio.get_running_loop().time() < begun + 3 * BOUND:
            assert await it.send() is Fate.DELIVERED
            sent += 1
        assert sent > 3


@pytest.mark.asyncio
async def test_a_frame_waits_for_the_library_to_finish_and_then_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch, bound=10.0) as it, asyncio.TaskGroup() as group:
        lock = it.app._znp._sync_request_lock
        await lock.acquire()
        sending = group.create_task(it.send())
        await until(lambda: lock.num_waiting > 0)
        assert it.rig.ncp.counters.af_requests[0x0019, False] == 0
        lock.release()
        assert await sending is Fate.DELIVERED
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_frame_does_not_wait_for_ever_for_a_library_that_never_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch) as it:
        lock = it.app._znp._sync_request_lock
        await lock.acquire()
        with pytest.raises(DeviceUnreachable):
            await it.send()
        lock.release()
        assert await it.send() is Fate.DELIVERED


@pytest.mark.asyncio
async def test_a_line_that_is_closed_is_the_radios_fault_and_not_the_librarys_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(monkeypatch) as it:
        it.rig.port.unplug()
        line = it.app._znp._uart
        async with asyncio.timeout(10):
            await line.wait_until_closed()
        with pytest.raises(DeviceUnreachable):
            await it.send()
        await it.rig.port.plug()
