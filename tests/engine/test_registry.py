"""Devices and radios: known at once, on disk when the disk takes it, told only when it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from otagate.engine.journal import Journal
from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.registry import Adopted, RadioStatus, Registry
from otagate.model.devices import Component, Device
from otagate.model.errors import AdoptionError, StoreUnavailable, UnknownDevice, UnknownRadio
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, RadioName, zigbee_component_id
from otagate.ports import RadioChanged, RadioNoticed, RadioState
from otagate.stores.memory import MemoryStore
from tests.engine.bench import FickleStore
from tests.policy import cases
from tests.virtual_time import NOON, VirtualClock, instantly

LAMP = cases.DEVICE_ID
ZIGBEE0 = RadioName("zigbee0")


class _Clock(VirtualClock):
    """Noon, and later when told."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self):  # type: ignore[no-untyped-def]
        return self.at


class Book:
    """A registry over a store in memory."""

    def __init__(self, disk: MemoryStore | None = None) -> None:
        self.disk = disk or MemoryStore()
        self.store = FickleStore(self.disk, [])
        self.clock = _Clock()
        self.registry = Registry(self.store, Journal(self.store, self.clock), self.clock)
        self.registry.radios = {ZIGBEE0: RadioStatus(type="znp", parallel=2)}

    def later(self, **span: float) -> None:
        self.clock.at += timedelta(**span)

    async def facts(self) -> list[Fact]:
        return list(await self.disk.facts.after(0))

    async def kinds(self) -> list[str]:
        return [fact.kind for fact in await self.facts()]

    async def radio(self, state: RadioState, sentence: str = "", *, retried: bool = False) -> None:
        await self.registry.radio_changed(RadioChanged(radio=ZIGBEE0, state=state, sentence=sentence, retried=retried))


def found(**changes: object) -> Device:
    """As an interview tells of it: without components."""
    return replace(cases.DEVICE, components=(), last_seen=None, **changes)  # type: ignore[arg-type]


def told(version: int | None = 10, **changes: object) -> Device:
    """As an interrogation tells of it."""
    return replace(found(), components=(replace(cases.COMPONENT, version=version, **changes),))  # type: ignore[arg-type]


@instantly
async def test_a_new_device_is_told_once_and_told_again_where_the_interview_changes() -> None:
    book = Book()
    assert await book.registry.found(found()) is True
    assert await book.registry.found(found()) is False
    await book.registry.found(found(model="Lamp 2"))
    assert await book.kinds() == ["found", "changed"]
    assert (await book.disk.devices.get(LAMP)).model == "Lamp 2"


@instantly
async def test_an_interview_takes_nothing_away_that_was_asked_ordered_or_heard() -> None:
    book = Book()
    await book.registry.interrogated(told())
    await book.registry.found(found(manufacturer=None, model=None, manufacturer_code=None, name="Other"))
    device = book.registry.device(LAMP)
    assert device.components == (cases.COMPONENT,)
    assert (device.model, device.manufacturer_code, device.last_checked) == ("Lamp 1", 0x1111, NOON)


@instantly
async def test_to_be_in_the_radios_database_is_not_to_be_heard() -> None:
    book = Book()
    await book.registry.interrogated(told())
    await book.registry.gone(LAMP)
    book.later(hours=1)
    await book.registry.found(found())
    device = book.registry.device(LAMP)
    assert (device.online, device.last_seen) == (False, NOON)


@instantly
async def test_an_answer_that_says_nothing_new_is_no_fact() -> None:
    book = Book()
    await book.registry.interrogated(told())
    commits = book.store.commits
    for _ in range(5):
        book.later(minutes=1)
        await book.registry.interrogated(told())
        await book.registry.asked(LAMP, cases.COMPONENT)
        await book.registry.seen(LAMP)
    assert book.store.commits == commits
    assert book.registry.device(LAMP).last_checked == NOON + timedelta(minutes=5)
    await book.registry.interrogated(told(11))
    assert await book.kinds() == ["interrogated", "interrogated"]
    assert (await book.facts())[-1].data["versions"] == "0x1409=0x0000000b"


@instantly
async def test_a_hundred_devices_that_are_heard_all_day_cost_a_commit_an_hour() -> None:
    book = Book()
    devices = [found(id=cases.device_id(number)) for number in range(100)]
    for device in devices:
        await book.registry.found(device)
    commits = book.store.commits
    for _ in range(24 * 60):
        book.later(minutes=1)
        for device in devices:
            await book.registry.seen(device.id)
    assert book.store.commits - commits <= 24
    assert book.clock.at - ((await book.disk.devices.get(devices[0].id)).last_seen or NOON) <= timedelta(hours=1, minutes=1)


@instantly
async def test_a_way_of_asking_that_does_not_tell_everything_takes_nothing_away() -> None:
    book = Book()
    await book.registry.interrogated(told(10, hardware_version=3))
    await book.registry.interrogated(told(None, hardware_version=None))
    (component,) = book.registry.device(LAMP).components
    assert (component.version, component.hardware_version) == (10, 3)


@instantly
async def test_a_device_that_invents_components_gets_no_memory_of_ours() -> None:
    book = Book()
    await book.registry.interrogated(told())
    answers = [
        await book.registry.asked(LAMP, Component(id=zigbee_component_id(number), version=1, image_type=number)) for number in range(0x2000, 0x2040)
    ]
    assert len(book.registry.device(LAMP).components) == 8
    assert answers[-1] is None
    assert await book.registry.asked(LAMP, replace(cases.COMPONENT, version=99)) is not None


@instantly
async def test_a_device_that_tells_another_component_at_every_look_keeps_the_newest_and_those_that_were_updated_here() -> None:
    book = Book()
    await book.registry.interrogated(told())
    await book.registry.proved(LAMP, cases.COMPONENT.id, version=20, rate=None)
    for number in range(0x1000, 0x1040):
        other = Component(id=zigbee_component_id(number), version=1, image_type=number)
        await book.registry.interrogated(replace(told(), components=(other,)))
    components = book.registry.device(LAMP).components
    assert len(components) == 8
    assert components[0].id == "0x103f"
    assert cases.COMPONENT.id in {each.id for each in components}


@instantly
async def test_a_component_without_a_known_type_gives_way_to_one_with() -> None:
    book = Book()
    await book.registry.interrogated(replace(told(), components=(Component(id=zigbee_component_id(0xFFFF)),)))
    await book.registry.asked(LAMP, cases.COMPONENT)
    assert [each.id for each in book.registry.device(LAMP).components] == [cases.COMPONENT.id]


@instantly
async def test_nothing_is_known_of_a_device_that_was_never_found() -> None:
    book = Book()
    assert await book.registry.asked(LAMP, cases.COMPONENT) is None
    await book.registry.seen(LAMP)
    await book.registry.silent(LAMP)
    await book.registry.gone(LAMP)
    assert await book.facts() == []
    with pytest.raises(UnknownDevice):
        book.registry.device(LAMP)
    with pytest.raises(UnknownRadio):
        book.registry.radio("zigbee9")


@instantly
async def test_a_mains_device_that_does_not_answer_is_offline_until_it_is_heard() -> None:
    book = Book()
    await book.registry.interrogated(told())
    book.later(minutes=5)
    await book.registry.silent(LAMP)
    assert not book.registry.device(LAMP).online
    await book.registry.silent(LAMP)
    await book.registry.seen(LAMP)
    assert book.registry.device(LAMP).online
    assert await book.kinds() == ["interrogated", "offline", "online"]


@instantly
async def test_a_device_that_was_heard_just_now_or_that_sleeps_is_not_offline_for_one_silence() -> None:
    book = Book()
    await book.registry.interrogated(told())
    book.later(seconds=30)
    await book.registry.silent(LAMP)
    assert book.registry.device(LAMP).online
    await book.registry.found(found(sleepy=True))
    book.later(days=1)
    await book.registry.silent(LAMP)
    assert book.registry.device(LAMP).online


@instantly
async def test_a_device_that_left_is_offline_even_if_it_sleeps() -> None:
    book = Book()
    await book.registry.found(found(sleepy=True))
    await book.registry.gone(LAMP)
    assert not book.registry.device(LAMP).online


# --- radios -----------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_radio_that_is_tried_again_for_days_tells_so_once() -> None:
    book = Book()
    await book.radio("starting", "opening /dev/ttyUSB0")
    for _ in range(5_000):
        await book.radio("retrying", "there is no stick")
        await book.radio("starting", "opening /dev/ttyUSB0")
    assert book.registry.radio("zigbee0").state == "starting"
    await book.radio("up", "channel 15")
    assert [fact.data["state"] for fact in await book.facts()] == ["starting", "retrying", "up"]
    assert book.registry.is_up("zigbee0")


@instantly
async def test_a_port_that_somebody_holds_for_days_is_told_once_and_every_try_of_an_operator() -> None:
    book = Book()
    for _ in range(5_000):
        await book.radio("in_use", "held by somebody", retried=True)
        await book.radio("starting", "opening")
        await book.radio("starting", "listening")
    assert [fact.data["state"] for fact in await book.facts()] == ["in_use"]
    for _ in range(2):
        await book.radio("in_use", "another program drives it")
        await book.radio("starting", "opening")
    assert [fact.data["state"] for fact in await book.facts()] == ["in_use", "in_use", "starting", "in_use", "starting"]


@instantly
async def test_a_radio_that_fails_for_another_reason_tells_it() -> None:
    book = Book()
    await book.radio("retrying", "there is no stick")
    await book.radio("starting")
    await book.radio("retrying", "permission denied")
    assert [fact.data["sentence"] for fact in await book.facts()] == ["there is no stick", "permission denied"]


# --- a full disk --------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_with_a_full_disk_devices_and_radios_are_known_and_owed_to_the_disk() -> None:
    book = Book()
    await book.registry.interrogated(told(10))
    book.store.full = True
    await book.registry.interrogated(told(11))
    await book.registry.interrogated(told(12))
    await book.radio("up", "channel 15")
    assert book.registry.device(LAMP).components[0].version == 12
    assert book.registry.is_up("zigbee0")
    assert book.registry.owes
    assert await book.kinds() == ["interrogated"]
    book.store.full = False
    await book.registry.save()
    assert not book.registry.owes
    assert (await book.disk.devices.get(LAMP)).components[0].version == 12
    assert await book.kinds() == ["interrogated", "interrogated", "state"]


@instantly
async def test_what_was_only_in_memory_is_written_when_everything_is_saved() -> None:
    book = Book()
    await book.registry.found(found())
    book.later(minutes=5)
    await book.registry.seen(LAMP)
    await book.registry.save(everything=True)
    fresh = Book(book.disk)
    await fresh.registry.load()
    assert fresh.registry.device(LAMP) == book.registry.device(LAMP)


# --- what operators say -----------------------------------------------------------------------------------------------------------------------


@instantly
async def test_what_an_operator_says_is_on_disk_and_told_with_who_said_it() -> None:
    book = Book()
    await book.registry.found(found(name="Plug", model="Plug"))
    await book.registry.amend(LAMP, DevicePatch(name="Desk", groups=("hall",), pin=5), actor="uid:1000")
    again = Book(book.disk)
    await again.registry.load()
    device = again.registry.device(LAMP)
    assert (device.name, device.groups, device.pin) == ("Desk", ("hall",), 5)
    fact = (await book.facts())[-1]
    assert (fact.kind, fact.actor) == ("amended", "uid:1000")
    assert dict(fact.data) == {"name": "Desk", "groups": "hall", "pin": "0x00000005"}


@instantly
async def test_the_journal_tells_the_policy_of_a_device_in_the_words_of_the_configuration_and_it_outlives_a_restart() -> None:
    book = Book()
    await book.registry.found(found())
    patch = PolicyPatch(default="never", channel="beta", cooldown=timedelta(hours=36), battery_floor=30)
    said = await book.registry.amend(LAMP, DevicePatch(policy=patch), actor="anna")
    assert dict((await book.facts())[-1].data) == {"policy": "default never, channel beta, cooldown 36h, battery_floor 30"}
    again = Book(book.disk)
    await again.registry.load()
    assert again.registry.device(LAMP) == said


@instantly
async def test_what_an_operator_said_outlives_every_interview() -> None:
    book = Book()
    await book.registry.found(found(name="Plug", model="Plug"))
    patch = DevicePatch(name="Desk", room="Office", groups=("hall",), pin=5, skipped=(6,), policy=PolicyPatch(default="never"))
    said = await book.registry.amend(LAMP, patch, actor="anna")
    await book.registry.found(found(name="Plug", model="Plug v2"))
    assert book.registry.device(LAMP) == replace(said, model="Plug v2")
    assert (await book.registry.amend(LAMP, DevicePatch(name=None), actor="anna")).name == "Plug v2"


@instantly
async def test_an_operator_who_says_nothing_new_tells_the_journal_nothing() -> None:
    book = Book()
    await book.registry.found(found())
    await book.registry.amend(LAMP, DevicePatch(room="Office"), actor="anna")
    await book.registry.amend(LAMP, DevicePatch(room="Office", pin=None), actor="anna")
    assert await book.kinds() == ["found", "amended"]


@instantly
async def test_what_is_noticed_of_a_network_while_the_disk_is_full_is_told_when_it_is_not() -> None:
    book = Book()
    book.store.full = True
    await book.registry.radio_noticed(RadioNoticed(radio=ZIGBEE0, kind="network_changed", sentence="its channel is 20 and was 15"))
    await book.registry.radio_noticed(RadioNoticed(radio=ZIGBEE0, kind="adoption_failed", sentence="nobody can read it"))
    assert await book.kinds() == []
    assert book.registry.owes
    book.store.full = False
    await book.registry.save()
    assert await book.kinds() == ["network_changed", "adoption_failed"]


@instantly
async def test_what_the_disk_refuses_was_not_said() -> None:
    book = Book()
    await book.registry.found(found())
    book.store.full = True
    with pytest.raises(StoreUnavailable):
        await book.registry.amend(LAMP, DevicePatch(pin=5), actor="anna")
    assert book.registry.device(LAMP).pin is None


@instantly
async def test_what_was_heard_while_the_disk_wrote_is_not_forgotten() -> None:
    book = Book()
    await book.registry.found(found(online=False))
    writing, go_on = asyncio.Event(), asyncio.Event()
    put = book.store.devices.put

    async def slowly(device: Device) -> None:
        writing.set()
        await go_on.wait()
        await put(device)

    book.store.devices.put = slowly
    async with asyncio.TaskGroup() as group:
        group.create_task(book.registry.amend(LAMP, DevicePatch(pin=5), actor="anna"))
        await writing.wait()
        group.create_task(book.registry.seen(LAMP))
        await asyncio.sleep(0)
        assert book.registry.device(LAMP).online
        go_on.set()
    device = book.registry.device(LAMP)
    assert (device.pin, device.online) == (5, True)


@instantly
async def test_nothing_is_said_of_a_device_that_is_not_known() -> None:
    with pytest.raises(UnknownDevice):
        await Book().registry.amend(LAMP, DevicePatch(pin=5), actor="anna")


# --- what another program knows -------------------------------------------------------------------------------------------------------


async def _nothing() -> None:
    pass


async def adopt(book: Book, *devices: Device, settle: Callable[[], Awaitable[None]] = _nothing) -> Mapping[DeviceId, Adopted]:
    return await book.registry.adopt(devices, actor="zha", reword=lambda device: replace(device, room=device.room or "Hall"), settle=settle)


@instantly
async def test_what_another_program_knows_is_on_disk_and_told_once() -> None:
    book = Book()
    assert await adopt(book, found()) == {LAMP: "new"}
    assert await adopt(book, found()) == {LAMP: "unchanged"}
    assert await adopt(book, found(model="Lamp 2")) == {LAMP: "changed"}
    assert (await book.disk.devices.get(LAMP)).room == "Hall"
    assert book.registry.device(LAMP) == await book.disk.devices.get(LAMP)
    assert [(fact.kind, fact.actor) for fact in await book.facts()] == [("adopted", "zha")] * 2


@instantly
async def test_what_was_asked_and_said_here_outlives_an_adoption() -> None:
    book = Book()
    await book.registry.found(found(name="Plug", model="Plug"))
    await book.registry.amend(LAMP, DevicePatch(name="Desk", room="Office", pin=5), actor="anna")
    before = await book.registry.interrogated(replace(told(11), model="Plug"))
    await adopt(book, replace(found(name="Lamp", model="Plug"), last_seen=NOON - timedelta(days=1)))
    assert book.registry.device(LAMP) == replace(before, radio=found().radio)


@instantly
async def test_a_device_was_heard_when_either_program_heard_it_last() -> None:
    book = Book()
    later = NOON + timedelta(hours=1)
    assert await adopt(book, replace(found(), last_seen=later)) == {LAMP: "new"}
    assert await adopt(book, replace(found(), last_seen=NOON)) == {LAMP: "unchanged"}
    assert book.registry.device(LAMP).last_seen == later
    assert await adopt(book, replace(found(), last_seen=later + timedelta(hours=1))) == {LAMP: "unchanged"}
    assert (await book.disk.devices.get(LAMP)).last_seen == later + timedelta(hours=1)


@instantly
async def test_an_adoption_that_cannot_be_settled_or_stored_did_not_happen() -> None:
    async def fails() -> None:
        raise AdoptionError("the disk is full")

    book = Book()
    with pytest.raises(AdoptionError):
        await adopt(book, found(), settle=fails)
    book.store.full = True
    with pytest.raises(StoreUnavailable):
        await adopt(book, found())
    assert (book.registry.devices(), await book.facts()) == ([], [])


@instantly
async def test_what_was_heard_while_an_adoption_was_written_is_not_forgotten() -> None:
    book = Book()
    await book.registry.found(found(online=False))

    async with asyncio.TaskGroup() as group:

        async def heard_meanwhile() -> None:
            group.create_task(book.registry.seen(LAMP))
            await asyncio.sleep(0)

        await adopt(book, found(model="Lamp 2"), settle=heard_meanwhile)
    device = book.registry.device(LAMP)
    assert (device.model, device.online, device.room) == ("Lamp 2", True, "Hall")
