"""What stands for a radio to devices of clouds: orders to sessions, their questions to sources, and what sources tell to the hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from otagate.engine.timers import SystemClock
from otagate.model.clouds import THE_CLOUD, CloudChannel, CloudDevice, Started
from otagate.model.errors import (
    DeviceUnreachable,
    NotCancellable,
    NotOnThisRadio,
    OtagateError,
    RadioUnavailable,
    SourceBusy,
    SourceMisconfigured,
    SourceRefused,
    SourceUnavailable,
    SourceUnintelligible,
    StoreUnavailable,
    UnknownDevice,
)
from otagate.model.ids import ComponentId, DeviceId, UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Delegate, Park, Watch, Withdraw
from otagate.ports import DeviceAsked, DeviceFound, DeviceSeen, DeviceSilent, ForeignTransfer, RadioEvent, TransferAdvanced, TransferProgressed
from otagate.radios.cloud import CloudRadio
from otagate.radios.cloud_devices import describe
from otagate.sessions.delegated import Patience
from otagate.sources.delegated import Looked
from otagate.sources.effects import Conversation, Service
from otagate.sources.tuya_openapi import TuyaRefused

pytestmark = pytest.mark.asyncio
LAMP = DeviceId("tuya-vdev1")
COMPONENT = ComponentId("0")
ORDER = Delegate(update=UpdateId("u1"), device=LAMP, component=COMPONENT, source="one", to_version="1.0.1")
READY = CloudDevice(
    device_id="vdev1",
    name="Lamp",
    online=True,
    channels=(CloudChannel(channel="0", status="available", raw_status=1, current_version="1.0.0", offered_version="1.0.1"),),
)
WITHIN = 20.0


def as_is(device: CloudDevice, **channel: object) -> CloudDevice:
    return replace(device, channels=(replace(device.channels[0], **channel),))  # type: ignore[arg-type]


RUNNING = as_is(READY, status="updating", raw_status=2, progress=30)
DONE = as_is(READY, status="updated", raw_status=3, current_version="1.0.1", offered_version=None)


@dataclass(slots=True)
class Source:
    """A source whose cloud is this value. `held`: its answers wait until this is set."""

    name: str = "one"
    most_at_once: int = 1
    device: CloudDevice | OtagateError = READY
    starts: int = 0
    asked: int = 0
    held: asyncio.Event | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def service(self) -> Service:
        return Service(name=self.name)

    def look(self) -> Conversation[Looked]:
        return Looked(devices=(self._answer(),))
        yield

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        assert device_id == "vdev1"
        self.asked += 1
        self.changed.set()
        return self._answer()
        yield

    def start(self, device_ids: Sequence[str], channel: str) -> Conversation[Mapping[str, Started]]:
        assert channel == "0"
        self.starts += 1
        self.changed.set()
        self.device = RUNNING
        return dict.fromkeys(device_ids, "started")
        yield

    def _answer(self) -> CloudDevice:
        if isinstance(self.device, OtagateError):
            raise self.device
        return self.device

    async def until(self, fits: Callable[[Source], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not fits(self):
                self.changed.clear()
                await self.changed.wait()


@dataclass(slots=True)
class Talks:
    """Holds conversations that need no network, one after the other's `held`."""

    sources: Mapping[str, Source]

    async def hold(self, service: Service, conversation: Conversation[object]) -> object:
        try:
            next(conversation)
        except StopIteration as end:
            held = self.sources[service.name].held
            if held is not None:
                await held.wait()
            return end.value
        raise AssertionError("this source asks for nothing")


@dataclass
class Standing:
    """How sources stand: `troubles` by name, and who was doubted."""

    troubles: dict[str, str] = field(default_factory=dict)
    doubted: list[str] = field(default_factory=list)

    def trouble(self, source: str) -> str | None:
        return self.troubles.get(source)

    def doubt(self, source: str) -> None:
        self.doubted.append(source)


@dataclass(slots=True)
class Bench:
    radio: CloudRadio
    source: Source
    events: list[RadioEvent]
    changed: asyncio.Event
    standing: Standing

    async def tells(self, fits: Callable[[RadioEvent], bool]) -> RadioEvent:
        async with asyncio.timeout(WITHIN):
            while not (found := [each for each in self.events if fits(each)]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]

    async def advances(self, cause: Cause) -> TransferAdvanced:
        told = await self.tells(lambda each: isinstance(each, TransferAdvanced) and cause in each.causes)
        assert isinstance(told, TransferAdvanced)
        self.radio.committed(told.token)
        return told


def bench(*sources: Source) -> Bench:
    events: list[RadioEvent] = []
    changed = asyncio.Event()

    def emit(event: RadioEvent) -> None:
        events.append(event)
        changed.set()

    known = {each.name: each for each in sources or (Source(),)}
    standing = Standing()
    radio = CloudRadio(
        delegates=list(known.values()),
        talks=Talks(known),  # type: ignore[arg-type]
        standing=standing,
        emit=emit,
        clock=SystemClock(),
        patience=Patience().scaled(500.0),
    )
    return Bench(radio=radio, source=next(iter(known.values())), events=events, changed=changed, standing=standing)


@asynccontextmanager
async def alive(radio: CloudRadio) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        life = group.create_task(radio.run())
        try:
            yield
        finally:
            life.cancel()


async def test_an_order_is_carried_out_once_and_told_step_by_step() -> None:
    made = bench()
    async with alive(made.radio):
        made.radio.command(ORDER)
        made.radio.command(ORDER)
        assert (await made.advances(Cause.ACCEPTED)).update == "u1"
        told = await made.tells(lambda each: isinstance(each, TransferProgressed))
        assert isinstance(told, TransferProgressed)
        assert told.fragments == (30, 100)
        with pytest.raises(NotCancellable):
            await made.radio.stop(UpdateId("u1"))
        made.source.device = DONE
        await made.advances(Cause.REBOOTED)
    assert made.source.starts == 1


async def test_a_life_that_ends_in_the_middle_of_an_order_does_not_order_again_in_the_next() -> None:
    made = bench()
    async with alive(made.radio):
        made.radio.command(ORDER)
        await made.source.until(lambda source: source.asked > 0)
        made.source.held = asyncio.Event()
        await made.source.until(lambda source: source.starts > 0)
    made.source.held = None
    async with alive(made.radio):
        await made.advances(Cause.ACCEPTED)
        made.source.device = DONE
        await made.advances(Cause.REBOOTED)
    assert made.source.starts == 1


async def test_an_adopted_order_only_asks() -> None:
    made = bench(Source(device=RUNNING))
    made.radio.command(replace(ORDER, adopted="offering"))
    async with alive(made.radio):
        await made.advances(Cause.ACCEPTED)
    assert made.source.starts == 0


async def test_an_order_of_a_source_that_is_not_there_any_more_says_so() -> None:
    made = bench()
    async with alive(made.radio):
        made.radio.command(replace(ORDER, source="gone"))
        told = await made.advances(Cause.EXPIRED)
        assert told.code == "source-unreachable"


async def test_a_source_that_an_operator_must_mend_is_asked_neither_for_an_order_nor_about_a_device() -> None:
    made = bench()
    made.radio.told("one", [READY])
    made.standing.troubles["one"] = "the secret is wrong"
    async with alive(made.radio):
        made.radio.command(ORDER)
        told = await made.advances(Cause.EXPIRED)
        assert (told.code, told.detail) == ("source-misconfigured", "the secret is wrong")
        with pytest.raises(RadioUnavailable, match="the secret is wrong"):
            await made.radio.interrogate(LAMP)
        assert (made.source.asked, made.source.starts) == (0, 0)


async def test_a_source_that_is_left_alone_when_the_order_has_its_turn_is_told_nothing_and_the_update_goes_back_to_the_queue() -> None:
    made = bench()
    answers = iter([None, "the secret is wrong"])
    made.standing.trouble = lambda _: next(answers)  # type: ignore[method-assign]
    async with alive(made.radio):
        made.radio.command(ORDER)
        told = await made.advances(Cause.EXPIRED)
    assert (told.code, told.detail) == ("source-misconfigured", "the secret is wrong")
    assert (made.source.asked, made.source.starts) == (1, 0)


@pytest.mark.parametrize("error", [SourceUnintelligible("a web page"), SourceRefused("403"), StoreUnavailable("the disk is full")])
async def test_whatever_comes_in_the_place_of_a_clouds_answer_is_a_cloud_that_is_away(error: OtagateError) -> None:
    made = bench(Source(device=error))
    async with alive(made.radio):
        made.radio.command(ORDER)
        assert (await made.advances(Cause.EXPIRED)).code == "source-unreachable"


async def test_a_cloud_that_says_when_it_may_be_asked_again_is_believed() -> None:
    until = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    made = bench(Source(device=SourceBusy("used up", until=until)))
    async with alive(made.radio):
        made.radio.command(ORDER)
        told = await made.advances(Cause.EXPIRED)
    assert (told.code, told.until) == ("quota", until)


async def test_a_source_that_turns_out_to_know_us_no_more_is_to_be_read_anew() -> None:
    made = bench(Source(device=SourceMisconfigured("the secret is wrong")))
    async with alive(made.radio):
        made.radio.command(ORDER)
        assert (await made.advances(Cause.EXPIRED)).code == "source-misconfigured"
    assert made.standing.doubted == ["one"]


async def test_a_withdrawn_order_is_asked_about_no_more_and_a_parked_one_that_runs_is() -> None:
    made = bench(Source(device=RUNNING))
    async with alive(made.radio):
        made.radio.command(replace(ORDER, adopted="transferring"))
        await made.advances(Cause.ACCEPTED)
        made.radio.command(Park(update=UpdateId("u1")))
        asked = made.source.asked
        await made.source.until(lambda source: source.asked > asked + 1)
        made.radio.command(Withdraw(update=UpdateId("u1")))
        await made.radio.stop(UpdateId("u1"))  # nobody is at it any more, so nothing is to be stopped


@pytest.mark.parametrize("turns", range(4))
async def test_an_order_that_is_withdrawn_at_the_moment_its_cloud_is_asked_ends_no_other(turns: int) -> None:
    made = bench()
    async with alive(made.radio):
        made.radio.command(ORDER)
        for _ in range(turns):
            await asyncio.sleep(0)
        made.radio.command(Withdraw(update=UpdateId("u1")))
        made.radio.command(replace(ORDER, update=UpdateId("u2")))
        await made.tells(lambda each: isinstance(each, TransferAdvanced) and each.update == "u2")


# --- devices ----------------------------------------------------------------------------------------------------------------------------


async def test_what_a_source_tells_of_a_device_reaches_the_hub() -> None:
    made = bench()
    made.radio.told("one", [READY])
    found, seen, asked = made.events
    assert isinstance(found, DeviceFound)
    assert (found.device.id, found.device.radio, found.device.protocol, found.device.name) == (LAMP, THE_CLOUD, "cloud", "Lamp")
    assert seen == DeviceSeen(device=LAMP)
    assert isinstance(asked, DeviceAsked)
    assert (asked.component.id, asked.component.version) == ("0", "1.0.0")


async def test_a_device_that_is_offline_is_told_to_be_silent_and_nothing_is_said_of_its_version() -> None:
    made = bench()
    made.radio.told("one", [replace(READY, online=False)])
    assert [type(each) for each in made.events] == [DeviceFound, DeviceSilent]


async def test_a_device_that_sleeps_is_never_offline() -> None:
    assert describe(LAMP, [replace(READY, online=False, sleepy=True)]).online
    assert not describe(LAMP, [replace(READY, online=False)]).online


async def test_what_two_sources_tell_is_one_device_and_neither_takes_anything_from_the_other() -> None:
    thing = CloudDevice(
        device_id="vdev1",
        channels=(
            CloudChannel(channel="0", status="none", raw_status=0, current_version="1.0.1"),
            CloudChannel(channel="9", status="none", raw_status=0, current_version="7.0"),
        ),
    )
    device = describe(LAMP, [replace(READY, room="Hall", product="p1"), thing])
    assert (device.name, device.room, device.model, device.online) == ("Lamp", "Hall", "p1", True)
    assert [(each.id, each.version) for each in device.components] == [("0", "1.0.1"), ("9", "7.0")]
    back = describe(LAMP, [thing, as_is(READY, current_version=None)])
    assert back.components[0].version == "1.0.1"


async def test_a_job_that_nobody_here_ordered_is_foreign_and_one_of_ours_is_not() -> None:
    made = bench(Source(device=RUNNING))
    made.radio.told("one", [RUNNING])
    assert made.events[-1] == ForeignTransfer(device=LAMP, component=COMPONENT, to_version="1.0.1")
    made.events.clear()
    made.radio.command(Watch(update=UpdateId("u2"), device=LAMP, component=COMPONENT))
    made.radio.told("one", [RUNNING])
    assert not any(isinstance(each, ForeignTransfer) for each in made.events)


async def test_a_job_of_ours_that_has_just_ended_is_not_taken_for_somebody_elses() -> None:
    made = bench(Source(device=RUNNING))
    made.radio.command(replace(ORDER, adopted="transferring"))
    made.radio.command(Withdraw(update=UpdateId("u1")))
    made.radio.told("one", [RUNNING])
    assert not any(isinstance(each, ForeignTransfer) for each in made.events)


async def test_a_question_about_a_device_is_answered_by_whichever_source_can() -> None:
    away = Source(name="two", device=SourceUnavailable("away"))
    made = bench(Source(), away)
    with pytest.raises(RadioUnavailable, match="no source has told"):
        await made.radio.interrogate(LAMP)
    made.radio.told("two", [READY])
    with pytest.raises(RadioUnavailable, match="away"):
        await made.radio.interrogate(LAMP)
    made.radio.told("one", [READY])
    assert (await made.radio.interrogate(LAMP)).components[0].version == "1.0.0"
    assert (await made.radio.notify(LAMP)).id == "0"
    with pytest.raises(UnknownDevice):
        await made.radio.interrogate(DeviceId("zigbee-000d6f000a9069e7"))


async def test_a_device_that_its_cloud_has_lost_is_unreachable() -> None:
    made = bench(Source(device=TuyaRefused("not found", number=2009)))
    made.radio.told("one", [READY])
    with pytest.raises(DeviceUnreachable):
        await made.radio.interrogate(LAMP)


async def test_a_cloud_has_no_network_to_open_or_to_copy() -> None:
    made = bench()
    assert made.radio.name == THE_CLOUD
    assert not made.radio.pauses
    with pytest.raises(NotOnThisRadio):
        await made.radio.permit_joining(60)
    with pytest.raises(NotOnThisRadio):
        await made.radio.back_up()
