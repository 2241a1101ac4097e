"""A device that floods, lies and asks for nonsense costs a bounded number of frames, and nobody else's update."""

from __future__ import annotations

import asyncio
import random
import resource
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from otagate.radios.switchboard import Switchboard
from otagate_rig.air import AirSettings
from otagate_rig.aps import COORDINATOR, ApsFrame, DeviceKind
from otagate_rig.device import Device
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import (
    IEEE,
    IMAGE_TYPE,
    MANUFACTURER,
    NEW,
    OLD,
    OTHER_IEEE,
    WITHIN,
    Journey,
    assert_updated,
    ended,
    fact,
    image_of,
    journey,
    last_number,
    ordered,
    reached,
    state_is,
    told,
)

IMAGE = image_of(40_000)
OTA = 0x0019
SILENT = Behaviours(ignores_notify=True)


def _send(run: Journey, device: Device, command: int, payload: bytes, *, tsn: int = 1, control: int = 0x01) -> None:
    data = bytes((control, tsn & 0xFF, command)) + payload
    frame = ApsFrame(src=device.nwk, src_ep=device.spec.endpoint, dst=COORDINATOR, dst_ep=1, profile=0x0104, cluster=OTA, data=data)
    run.rig.network.uplink(device, frame)


def _query(version: int = OLD, image_type: int = IMAGE_TYPE) -> bytes:
    return struct.pack("<BHHI", 0, MANUFACTURER, image_type, version)


def _block(offset: int, size: int, version: int = NEW) -> bytes:
    return struct.pack("<BHHIIB", 0, MANUFACTURER, IMAGE_TYPE, version, offset, size)


def _page(offset: int, page_size: int, spacing: int, size: int = 50) -> bytes:
    return struct.pack("<BHHIIBHH", 0, MANUFACTURER, IMAGE_TYPE, NEW, offset, size, page_size, spacing)


NONSENSE = {
    "block size 0": (0x03, _block(0, 0)),
    "an offset past the end": (0x03, _block(0xFFFF_FFFF, 50)),
    "an offset at the end": (0x03, _block(len(IMAGE), 50)),
    "another version": (0x03, _block(0, 50, version=0xFFFF_FFFF)),
    "a page of 65535": (0x04, _page(0, 0xFFFF, 0)),
    "a page of nothing": (0x04, _page(0, 0, 0)),
    "a page of empty blocks": (0x04, _page(0, 500, 0, size=0)),
    "a page past the end": (0x04, _page(0xFFFF_FF00, 500, 0)),
    "queries": (0x01, _query()),
    "queries for everything": (0x01, _query(image_type=0xFFFF)),
    "ends without a download": (0x06, struct.pack("<BHHI", 0, MANUFACTURER, IMAGE_TYPE, NEW)),
    "ends with an unknown status": (0x06, struct.pack("<BHHI", 0xEE, MANUFACTURER, IMAGE_TYPE, NEW)),
    "requests for files of its own": (0x08, struct.pack("<QHHIH", 1, MANUFACTURER, IMAGE_TYPE, NEW, 2)),
    "nothing at all": (0x03, b""),
}


FLOOD = 800
BURST = 200
STACKS = ["znp", "ezsp"]


class Intake:
    """What the hub takes in of the OTA frames of some devices: more than it has taken in is lost in a coordinator's queue, and tries nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._senders: set[int] = set()
        self._sent = self._taken = 0
        self._news = asyncio.Event()
        take = Switchboard.take

        def counted(board: Switchboard, nwk: int, *frame: Any) -> bool:
            ours = take(board, nwk, *frame)
            if nwk in self._senders:
                self._taken += 1
                self._news.set()
            return ours

        monkeypatch.setattr(Switchboard, "take", counted)

    def of(self, *devices: Device) -> None:
        """Count the frames of these from now on."""
        self._senders = {each.nwk for each in devices}

    async def send(self, run: Journey, frames: Iterable[tuple[Device, int, bytes, int]]) -> None:
        """A device, a command, its payload and its frame control each, in bursts that a coordinator's queue holds; every one reaches the hub."""
        for device, command, payload, control in frames:
            _send(run, device, command, payload, tsn=self._sent, control=control)
            self._sent += 1
            if self._sent % BURST == 0:
                await self.all_taken()
        await self.all_taken()

    async def all_taken(self) -> None:
        async with asyncio.timeout(WITHIN):
            while self._taken < self._sent:
                self._news.clear()
                await self._news.wait()


def _ota_frames_to(monkeypatch: pytest.MonkeyPatch, devices: Iterable[Device]) -> dict[int, int]:
    """How many frames of the cluster reach each of these devices from now on, whatever they are, by IEEE address."""
    heard: dict[int, int] = {}
    for device in devices:
        heard[device.ieee] = 0

        def note(frame: ApsFrame, *, ieee: int = device.ieee, receive: Any = device.receive, **how: Any) -> None:
            heard[ieee] += frame.cluster == OTA
            receive(frame, **how)

        monkeypatch.setattr(device, "receive", note)
    return heard


async def _assert_undisturbed(run: Journey, since: int) -> None:
    """The line was never lost, nor its fast path given up, which the radio would have told."""
    assert [each for each in await run.hub.store.facts.after(since, limit=10_000) if each.subject == "radio"] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_floods_of_nonsense_are_answered_sparingly_and_the_other_device_gets_its_firmware(
    tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of requests of each kind at once, all kinds together, each from a device that is offered the same image as the good one."""
    intake = Intake(monkeypatch)
    kinds = dict(zip(range(OTHER_IEEE, OTHER_IEEE + len(NONSENSE)), NONSENSE, strict=True))
    hostile = [DeviceSpec(ieee=ieee, behaviours=SILENT) for ieee in kinds]
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), *hostile, images=[IMAGE], stack=stack, radio={"parallel": 1 + len(kinds)}) as run:
        for ieee in kinds:
            await state_is(run.desk, await run.order(ieee), "offering")
        update = await run.order(IEEE)
        await reached(run.device(), 0.1)
        devices = [run.device(ieee) for ieee in kinds]
        now, heard = await last_number(run.hub), _ota_frames_to(monkeypatch, devices)
        intake.of(*devices)
        await intake.send(run, ((device, *NONSENSE[kinds[device.ieee]], 0x01) for _ in range(FLOOD) for device in devices))
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert {kinds[ieee]: count for ieee, count in heard.items() if count > FLOOD // 4} == {}, "a flood was answered frame by frame"
        await _assert_undisturbed(run, now)


BLOCK, REFUSAL = 0x05, 0x0B
PAGES = {
    "endless: of empty blocks": (_page(0, 500, 0, size=0), [REFUSAL]),
    "endless: past the end of the file": (_page(len(IMAGE) - 75, 4_096, 0), [BLOCK] * 2),
    "of 65,535 single bytes": (_page(0, 0xFFFF, 0, size=1), [REFUSAL]),
    "of 4,096 single bytes": (_page(0, 4_096, 0, size=1), [BLOCK] * 20),
}
"""What a device asks for with one frame, and the commands of all the frames that it gets for it."""


def _overhear(monkeypatch: pytest.MonkeyPatch, device: Device) -> list[int]:
    """The commands of the blocks and refusals that reach the device from now on."""
    heard: list[int] = []
    receive = device.receive

    def note(frame: ApsFrame, **how: Any) -> None:
        if frame.cluster == OTA and frame.data[2] in (BLOCK, REFUSAL):
            heard.append(frame.data[2])
        receive(frame, **how)

    monkeypatch.setattr(device, "receive", note)
    return heard


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_pages_without_an_end_and_one_of_65535_bytes_cost_a_bounded_number_of_frames(
    tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each from a device of its own; then another is updated, which takes hundreds of frames: time enough for a page to go on."""
    specs = [DeviceSpec(ieee=OTHER_IEEE + number, behaviours=SILENT) for number in range(len(PAGES))]
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), *specs, images=[IMAGE], stack=stack, radio={"parallel": 16}) as run:
        heard = {}
        for spec, (name, (page, answers)) in zip(specs, PAGES.items(), strict=True):
            device = run.device(spec.ieee)
            update = await run.order(spec.ieee)
            await device.wait_until(lambda it: it.counters.notifies > 0, WITHIN)
            _send(run, device, 0x01, _query())
            await state_is(run.desk, update, "transferring")
            got = heard[name] = _overhear(monkeypatch, device)
            _send(run, device, 0x03, _block(0, 50))  # the file is begun here, so its middle may be asked for
            await device.wait_until(lambda _, got=got: got == [BLOCK], WITHIN)
            got.clear()
            _send(run, device, 0x04, page)
            await device.wait_until(lambda _, got=got, answers=answers: len(got) >= len(answers), WITHIN)
        done = await ended(run.desk, await run.order(IEEE))
        assert done.state == "succeeded", done.error
        assert heard == {name: answers for name, (_, answers) in PAGES.items()}


def _resident() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _random_frame(dice: random.Random) -> tuple[int, bytes, int]:
    """A command, its payload and its frame control: what a client sends with a field or a length that is wrong, or anything."""
    version, image_type = dice.choice((OLD, NEW, dice.randrange(1 << 32))), dice.choice((IMAGE_TYPE, dice.randrange(1 << 16)))
    payloads = (
        (0x01, _query(version, image_type)),
        (0x03, _block(dice.randrange(1 << 32), dice.randrange(256), version)),
        (0x03, _block(dice.randrange(len(IMAGE)), dice.randrange(256))),
        (0x04, _page(dice.randrange(len(IMAGE)), dice.randrange(1 << 16), dice.randrange(1 << 16), dice.randrange(256))),
        (0x06, struct.pack("<BHHI", dice.randrange(256), MANUFACTURER, image_type, version)),
        (dice.randrange(256), dice.randbytes(dice.randrange(70))),
    )
    command, payload = dice.choice(payloads)
    if dice.random() < 0.2:
        payload = payload[: dice.randrange(len(payload) + 1)]
    return command, payload, dice.choice((0x01, 0x01, 0x01, dice.randrange(256)))


HOSTILE = {
    "offered": DeviceSpec(ieee=OTHER_IEEE, behaviours=SILENT),
    "in mid-transfer": DeviceSpec(ieee=OTHER_IEEE + 1, behaviours=SILENT),
    "without an update": DeviceSpec(ieee=OTHER_IEEE + 2, behaviours=SILENT),
    "asleep": DeviceSpec(ieee=OTHER_IEEE + 3, kind=DeviceKind.SLEEPY, poll_interval=1.0, behaviours=SILENT),
}
NIGHT_SHARDS = 4
NIGHTLY = 1_000_000 // NIGHT_SHARDS


async def _begin(run: Journey) -> None:
    """What the hub has under way with each of the hostile devices."""
    for name in ("offered", "in mid-transfer", "asleep"):
        update = await run.order(HOSTILE[name].ieee)
        await state_is(run.desk, update, "offering")
    _send(run, run.device(HOSTILE["in mid-transfer"].ieee), 0x01, _query())
    await fact(run.desk, lambda each: each.data.get("state") == "transferring")
    await told(run.desk, HOSTILE["without an update"].ieee)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("frames", "seed"),
    [pytest.param(10_000, 0, id="10000"), *(pytest.param(NIGHTLY, 1 + each, marks=pytest.mark.night) for each in range(NIGHT_SHARDS))],
)
async def test_random_frames_get_a_bounded_answer_and_cost_no_memory(
    tmp_path: Path, stack: str, frames: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From devices with which the hub has this and that under way, while another is updated; at night a million over each stack, in shards."""
    dice, intake = random.Random(20_261_121 + seed), Intake(monkeypatch)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), *HOSTILE.values(), images=[IMAGE], stack=stack, radio={"parallel": 8}) as run:
        await _begin(run)
        devices = [run.device(spec.ieee) for spec in HOSTILE.values()]
        now, heard = await last_number(run.hub), _ota_frames_to(monkeypatch, devices)
        intake.of(*devices)
        update = await run.order(IEEE)
        await intake.send(run, ((dice.choice(devices), *_random_frame(dice)) for _ in range(frames // 5)))
        at_first = _resident()
        await intake.send(run, ((dice.choice(devices), *_random_frame(dice)) for _ in range(frames - frames // 5)))
        grown = _resident() - at_first
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert sum(heard.values()) <= frames // 10, heard
        assert grown < 8 << 20
        await _assert_undisturbed(run, now)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_questions_that_the_radio_library_answers_do_not_pile_up(tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes a task for each: Read Attributes of 2,000 attributes, one by one."""
    hostile = DeviceSpec(ieee=OTHER_IEEE, behaviours=SILENT)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), hostile, images=[IMAGE], stack=stack) as run:
        for ieee in (IEEE, OTHER_IEEE):
            await told(run.desk, ieee)
        device = run.device(OTHER_IEEE)
        before, got = len(asyncio.all_tasks()), _overhear(monkeypatch, device)
        for round_ in range(40):
            for number in range(50):
                _send(run, device, 0x00, struct.pack("<H", 50 * round_ + number), tsn=number, control=0x00)
            _send(run, device, 0x03, _block(0, 50), tsn=round_)
            await device.wait_until(lambda _, heard=round_: got.count(BLOCK) > heard, WITHIN)  # so the hub has heard them all
        assert len(asyncio.all_tasks()) - before < 200
        done = await ended(run.desk, await ordered(run.desk, IEEE))
        assert done.state == "succeeded", done.error


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_frames_that_no_client_sends_do_not_disturb_the_line(tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the cluster with every length that is wrong, responses, foreign directions, manufacturer-specific frames."""
    intake, hostile = Intake(monkeypatch), DeviceSpec(ieee=OTHER_IEEE, behaviours=SILENT)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), hostile, images=[IMAGE], stack=stack) as run:
        await told(run.desk, OTHER_IEEE)
        update = await run.order(IEEE)
        await reached(run.device(), 0.1)
        device, now = run.device(OTHER_IEEE), await last_number(run.hub)
        intake.of(device)
        controls, lengths = (0x00, 0x01, 0x05, 0x08, 0x09, 0x18, 0x19, 0xFF), (0, 1, 7, 14, 30, 70)
        odd = ((device, command, b"\xa5" * length, control) for control in controls for command in range(16) for length in lengths)
        await intake.send(run, odd)
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert len([each for each in (await run.desk.log(update)).items if each.data.get("state") == "transferring" and each.kind == "accepted"]) == 1
        await _assert_undisturbed(run, now)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_many_sleeping_and_dead_devices_do_not_hold_up_one_that_answers(tmp_path: Path, stack: str) -> None:
    """Twelve devices ask and fall silent, so that their answers linger in the coordinator; the thirteenth is served as if they were not there."""
    absent = [
        DeviceSpec(
            ieee=OTHER_IEEE + 1 + number, kind=DeviceKind.SLEEPY if number % 2 else DeviceKind.ROUTER, poll_interval=3_600.0, behaviours=SILENT
        )
        for number in range(12)
    ]
    specs = [DeviceSpec(ieee=IEEE, reboot_seconds=0.5), *absent]
    async with journey(tmp_path, *specs, images=[IMAGE], stack=stack, air=AirSettings(speedup=None, timers=1), radio={"parallel": 16}) as run:
        await told(run.desk, IEEE)
        devices = [run.device(spec.ieee) for spec in absent]
        update = await ordered(run.desk, IEEE)
        await reached(run.device(), 0.1)
        for device in devices:
            _send(run, device, 0x01, _query())
            if not device.sleepy:
                device.power_off()
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert run.device().counters.timeouts == 0, "an answer came too late"
