"""Which way a frame goes, and what becomes of one that does not arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from zigpy.exceptions import DeliveryError

from otagate.engine.timers import SystemClock
from otagate.model.errors import DeviceUnreachable
from otagate.model.ids import DeviceId
from otagate.model.quirks import PLAIN, Quirk
from otagate.policy.airtime import AirBudget, block_seconds
from otagate.radios.meter import Meter
from otagate.radios.peers import Peer
from otagate.radios.sender import Sender
from otagate.radios.silence import OURS
from otagate.radios.stacks import Busy, FastPathUnavailable, Fate, Stack

STACK = Stack(module="", room=8)
BLOCK = b"\x19\x01\x05\x00"
OFFER = b"\x19\x02\x02\x00"
NOTIFY = b"\x19\x03\x00\x00"


@dataclass
class _Fast:
    """A fast path that does with each frame what its device's list says, at last delivering it."""

    does: dict[int, list[Any]] = field(default_factory=dict)
    sent: list[tuple[int, bytes, bool]] = field(default_factory=list)
    free: bool = True
    now: int = 0
    told: list[Callable[[], None]] = field(default_factory=list)

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Callable[[Fate], None]) -> None:
        outcome = self.does[nwk].pop(0) if self.does.get(nwk) else Fate.DELIVERED
        if isinstance(outcome, Exception):
            raise outcome
        self.sent.append((nwk, frame, ack))
        ended(outcome)

    def is_free(self) -> bool:
        return self.free and not self.told

    def is_waiting(self) -> bool:
        return bool(self.told)

    def send_now(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Callable[[Fate], None], told: Any) -> bool:
        self.now += 1
        outcome = self.does[nwk].pop(0) if self.does.get(nwk) else Fate.DELIVERED
        loop = asyncio.get_running_loop()
        refused = isinstance(outcome, Exception)
        self.told.append(partial(told, outcome if refused else None))
        loop.call_soon(self._tell)
        if not refused:
            self.sent.append((nwk, frame, ack))
            loop.call_soon(ended, outcome)
        return True

    def _tell(self) -> None:
        told, self.told = self.told, []
        for tell in told:
            tell()


@dataclass
class _App:
    """zigpy's public API."""

    fails: list[Exception] = field(default_factory=list)
    sent: list[tuple[int, bytes, bool]] = field(default_factory=list)
    endpoints: list[int] = field(default_factory=list)
    ours: list[bool] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def request(self, device: Any, profile: int, cluster: int, src_ep: int, dst_ep: int, sequence: int, data: bytes, **options: Any) -> None:
        assert (profile, cluster, src_ep, sequence, options["expect_reply"]) == (0x0104, 0x0019, 1, data[1], False)
        self.ours.append(OURS.get())
        self.endpoints.append(dst_ep)
        await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((device.nwk, data, options["ask_for_ack"]))


@dataclass
class _Session:
    sleepy: bool = False
    quirk: Quirk = PLAIN
    too_longs: int = 0

    def too_long(self) -> bool:
        self.too_longs += 1
        return True


def _peer(nwk: int, *, sleepy: bool = False, relays: list[int] | None = None) -> Peer:
    device: Any = SimpleNamespace(nwk=nwk, endpoints={1: None, 10: None}, relays=relays)
    return Peer(device=device, id=DeviceId(f"zigbee-{nwk:016x}"), session=_Session(sleepy))  # type: ignore[arg-type]


class _Account(AirBudget):
    """Keeps what it is charged."""

    def __init__(self) -> None:
        super().__init__(0.5)
        self.charged: list[float] = []

    def spend(self, seconds: float, now: float) -> None:
        self.charged.append(seconds)
        super().spend(seconds, now)


@dataclass
class _Bench:
    sender: Sender
    fast: _Fast
    app: _App
    left: list[Peer]
    broke: list[Exception]
    meter: Meter

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not reached():
                await asyncio.sleep(0)


@asynccontextmanager
async def _bench(*, fast: bool = True, budget: AirBudget | None = None) -> AsyncIterator[_Bench]:
    left: list[Peer] = []
    broke: list[Exception] = []
    meter = Meter()
    sender = Sender(SystemClock(), stack=STACK, meter=meter, left=left.append, fast_path_broke=broke.append, budget=budget)
    bench = _Bench(sender, _Fast(), _App(), left, broke, meter)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(sender.run(bench.app, bench.fast if fast else None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        yield bench
        running.cancel()


@pytest.mark.asyncio
async def test_a_block_goes_fast_and_without_acknowledgement_and_other_replies_with_one() -> None:
    async with _bench() as it:
        block, offer = _peer(1), _peer(2)
        it.sender.reply(block, 1, BLOCK)
        it.sender.reply(offer, 1, OFFER)
        await it.until(lambda: len(it.left) == 2)
    assert it.fast.sent == [(1, BLOCK, False), (2, OFFER, True)]
    assert it.app.sent == []


@pytest.mark.asyncio
async def test_a_reply_leaves_in_the_callback_that_asks_for_it_where_the_line_is_free_and_else_in_its_turn() -> None:
    async with _bench() as it:
        it.sender.reply(_peer(1), 1, BLOCK)
        assert it.fast.sent == [(1, BLOCK, False)], "a turn of the loop was waited for"
        it.fast.free = False
        it.sender.reply(_peer(2), 1, BLOCK)
        assert len(it.fast.sent) == 1
        await it.until(lambda: len(it.fast.sent) == 2)
    assert it.fast.now == 1


@pytest.mark.asyncio
async def test_a_reply_that_has_to_wait_for_its_share_of_the_channel_leaves_when_it_may_without_another_reason() -> None:
    budget = AirBudget(0.5)
    async with _bench(budget=budget) as it:
        budget.open_at = time.monotonic() + 0.05
        it.sender.reply(_peer(1), 1, BLOCK)
        assert it.fast.sent == []
        await it.until(lambda: len(it.fast.sent) == 1)
        assert time.monotonic() >= budget.open_at - 0.05
    assert it.fast.now == 1


@pytest.mark.asyncio
async def test_replies_that_come_while_one_is_handed_over_follow_it_without_a_task() -> None:
    async with _bench() as it:
        for nwk in (1, 2, 3):
            it.sender.reply(_peer(nwk), 1, BLOCK)
        assert [nwk for nwk, *_ in it.fast.sent] == [1]
        await it.until(lambda: len(it.fast.sent) == 3)
    assert it.fast.now == 3


@pytest.mark.asyncio
async def test_a_reply_that_goes_zigpys_way_holds_up_none_behind_it() -> None:
    budget = AirBudget(0.5)
    async with _bench(budget=budget) as it:
        it.app.gate.clear()
        lost, fine = _peer(1), _peer(2)
        lost.detour_until = time.monotonic() + 60.0
        budget.open_at = time.monotonic() + 0.05
        it.sender.reply(lost, 1, BLOCK)
        it.sender.reply(fine, 1, BLOCK)
        await it.until(lambda: len(it.fast.sent) == 1)
        assert it.app.sent == [], "the library is still at it"
        it.app.gate.set()
        await it.until(lambda: len(it.app.sent) == 1)


@pytest.mark.asyncio
async def test_a_life_of_the_radio_that_is_over_is_told_nothing_of_its_frames() -> None:
    async with _bench() as it:
        it.fast.does[1] = [DeviceUnreachable("closed")]
        it.sender.reply(_peer(1), 1, BLOCK)
        told, it.fast.told = it.fast.told, []
    for tell in told:
        tell()
    assert it.left == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("relays", "hops"), [(None, 1), ([], 1), ([7, 9], 3), ([*range(1, 12)], 12), ([*range(1, 256)], 12)])
async def test_a_block_is_charged_to_the_channel_by_its_length_and_its_hops(relays: list[int] | None, hops: int) -> None:
    budget = _Account()
    async with _bench(budget=budget) as it:
        it.sender.reply(_peer(1, relays=relays), 1, BLOCK)
        it.sender.reply(_peer(2), 1, OFFER)
        await it.until(lambda: len(it.left) == 2)
    assert budget.charged == [block_seconds(len(BLOCK), hops)]


@pytest.mark.asyncio
async def test_what_is_unasked_goes_zigpys_way_that_mends_routes_but_never_to_a_sleeping_device() -> None:
    async with _bench() as it:
        it.sender.announce(_peer(1), NOTIFY)
        it.sender.announce(_peer(2, sleepy=True), NOTIFY)
        await it.until(lambda: len(it.fast.sent) + len(it.app.sent) == 2)
    assert it.app.sent == [(1, NOTIFY, True)]
    assert it.fast.sent == [(2, NOTIFY, True)]


@pytest.mark.asyncio
@pytest.mark.parametrize(("wanted", "goes_to"), [(None, 1), (10, 10), (11, 1)])
async def test_what_is_unasked_goes_to_the_endpoint_that_a_quirk_names_if_the_device_has_it(wanted: int | None, goes_to: int) -> None:
    async with _bench() as it:
        peer: Any = _peer(1)
        peer.session.quirk = Quirk(ota_endpoint=wanted)
        it.sender.announce(peer, NOTIFY)
        await it.until(lambda: it.app.endpoints == [goes_to])


@pytest.mark.asyncio
@pytest.mark.parametrize(("image_type", "goes_to"), [(0x1409, 3), (0x1410, 1), (None, 1)])
async def test_what_is_unasked_goes_to_the_client_that_it_is_for(image_type: int | None, goes_to: int) -> None:
    async with _bench() as it:
        peer: Any = _peer(1)
        peer.learn(0x1409, 3)
        it.sender.announce(peer, NOTIFY, image_type)
        await it.until(lambda: it.app.endpoints == [goes_to])


@pytest.mark.asyncio
async def test_without_a_fast_path_everything_goes_zigpys_way_as_a_command_of_ours() -> None:
    async with _bench(fast=False) as it:
        it.sender.reply(_peer(1), 1, BLOCK)
        it.sender.reply(_peer(2), 1, OFFER)
        await it.until(lambda: len(it.app.sent) == 2)
    assert it.app.sent == [(1, BLOCK, False), (2, OFFER, True)]
    assert it.app.ours == [True, True]
    assert OURS.get() is False


@pytest.mark.asyncio
async def test_a_fast_path_that_breaks_loses_no_frame_and_is_not_tried_again() -> None:
    async with _bench() as it:
        it.fast.does[1] = [FastPathUnavailable("changed")]
        it.sender.reply(_peer(1), 1, BLOCK)
        await it.until(lambda: len(it.app.sent) == 1)
        it.sender.reply(_peer(2), 1, BLOCK)
        await it.until(lambda: len(it.app.sent) == 2)
    assert [str(error) for error in it.broke] == ["changed"]
    assert it.fast.sent == []


@pytest.mark.asyncio
async def test_a_coordinator_without_a_buffer_for_one_device_serves_the_other_meanwhile() -> None:
    async with _bench() as it:
        it.fast.does[1] = [Busy(), Busy()]
        it.sender.reply(_peer(1), 1, BLOCK)
        it.sender.reply(_peer(2), 1, BLOCK)
        await it.until(lambda: len(it.fast.sent) == 2)
    assert [nwk for nwk, _, _ in it.fast.sent] == [2, 1]


@pytest.mark.asyncio
async def test_a_reply_without_a_route_is_sent_again_zigpys_way_once() -> None:
    async with _bench() as it:
        peer = _peer(1)
        it.fast.does[1] = [Fate.NO_ROUTE]
        it.sender.reply(peer, 1, BLOCK)
        await it.until(lambda: len(it.app.sent) == 1)
        it.app.fails = [DeliveryError("no route at all")]
        it.sender.reply(peer, 1, OFFER)
        await it.until(lambda: len(it.app.ours) == 2)
        it.sender.reply(_peer(2), 1, BLOCK)
        await it.until(lambda: len(it.fast.sent) == 2)
    assert it.app.sent == [(1, BLOCK, False)]


@pytest.mark.asyncio
@pytest.mark.parametrize("fast", [True, False])
async def test_a_frame_that_is_too_long_makes_the_next_blocks_shorter(fast: bool) -> None:
    async with _bench(fast=fast) as it:
        peer: Any = _peer(1)
        it.fast.does[1] = [Fate.TOO_LONG]
        it.app.fails = [DeliveryError("too long", status=0xE5)]
        it.sender.reply(peer, 1, BLOCK)
        await it.until(lambda: peer.session.too_longs == 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [DeliveryError("no"), TimeoutError(), RuntimeError("closed"), KeyError("x"), DeviceUnreachable("gone")])
async def test_whatever_a_library_raises_the_sender_goes_on(error: Exception) -> None:
    async with _bench(fast=False) as it:
        it.app.fails = [error]
        it.sender.reply(_peer(1), 1, BLOCK)
        await it.until(lambda: len(it.app.ours) == 1)
        it.sender.reply(_peer(2), 1, BLOCK)
        await it.until(lambda: len(it.app.sent) == 1)
    assert it.app.sent == [(2, BLOCK, False)]


@pytest.mark.asyncio
async def test_what_was_queued_before_the_radio_was_up_is_sent_when_it_is_and_forgotten_when_it_goes() -> None:
    sender = Sender(SystemClock(), stack=STACK, meter=Meter(), left=lambda _: None, fast_path_broke=lambda _: None)
    kept, gone, fast = _peer(1), _peer(2), _Fast()
    sender.reply(gone, 1, BLOCK)
    sender.forget()
    sender.reply(kept, 1, BLOCK)
    assert sender.waits_for(kept)
    assert not sender.waits_for(gone)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(sender.run(_App(), fast))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            while not fast.sent:
                await asyncio.sleep(0)
        running.cancel()
    assert fast.sent == [(1, BLOCK, False)]


@pytest.mark.asyncio
async def test_what_the_coordinator_has_no_buffer_for_counts_against_it() -> None:
    async with _bench() as it:
        it.fast.does = {number: [Busy()] * 10 for number in range(1, 6)}
        for number in range(1, 6):
            it.sender.reply(_peer(number), 1, BLOCK)
        it.sender.reply(_peer(6), 1, BLOCK)
        await it.until(lambda: not any(it.fast.does.values()))
        assert it.meter.load(SystemClock().monotonic(), SystemClock().now()).refused == 98


@pytest.mark.asyncio
async def test_what_a_device_asks_while_the_sender_ends_costs_the_line_nothing() -> None:
    raised: list[Exception] = []
    async with _bench() as it:

        async def request(*_: object, **__: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                lost = _peer(2)
                lost.detour_until = time.monotonic() + 60.0
                try:  # as the line's own callback does, before the library is done
                    it.sender.reply(lost, 1, BLOCK)
                    it.sender.broadcast(NOTIFY)
                except RuntimeError as error:
                    raised.append(error)

        it.app.request = request  # type: ignore[method-assign]
        it.sender.announce(_peer(1), NOTIFY)
        await it.until(lambda: len(it.sender._outbox) == 0)
        await asyncio.sleep(0)
    assert raised == []
