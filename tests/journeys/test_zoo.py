"""The zoo: every way in which real devices are known to be difficult, and how the update of each ends.

A row is a device: what it does, how its update ends, and, where the end alone does not show it, the proof that it did so. The devices of one cage
live in one house, under one hub, and all of them are told to update at once, so each row is also a neighbour to the others. No device may see a rule
of the specification broken, and what it received is its image byte for byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.updates import Update
from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.device import Device
from otagate_rig.image import build_image, make_payload
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import (
    IMAGE_TYPE,
    MANUFACTURER,
    NEW,
    OLD,
    WITHIN,
    Journey,
    device_id,
    ended,
    fact,
    image_of,
    journey,
    state_is,
    told,
)

Proof = Callable[[Device], bool]
DETOURS = frozenset({"expired", "stalled", "aborted_by_device"})
FIRST = 0x000D_6F00_0A90_7000
SIZE = 6_000


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an update ends, what the operator reads of it, what the device runs then, and which attempts failed on the way."""

    state: str
    code: str | None = None
    says: str = ""
    runs: int = OLD
    detours: frozenset[str] = frozenset()


def succeeds(*detours: str) -> Ending:
    return Ending(state="succeeded", runs=NEW, detours=frozenset(detours))


def fails(code: str, *detours: str, says: str = "", runs: int = OLD) -> Ending:
    return Ending(state="failed", code=code, says=says, runs=runs, detours=frozenset(detours))


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One device of the zoo. `size` is that of its image in bytes."""

    ends: Ending
    proof: Proof | None
    size: int
    traits: Mapping[str, Any]

    def spec(self, number: int) -> DeviceSpec:
        """Patient where the row does not say otherwise, because the machine may be busy."""
        behaviours = {each.name for each in fields(Behaviours)}
        patient = {"request_timeout": 10.0, "request_retries": 20, "image_type": self.image_type}
        given = patient | {name: value for name, value in self.traits.items() if name not in behaviours}
        odd = {name: value for name, value in self.traits.items() if name in behaviours}
        return DeviceSpec(ieee=FIRST + number, behaviours=Behaviours(**odd), **given)

    @property
    def image_type(self) -> int:
        """Images of another size are for another type, because no two may claim one version."""
        return int(self.traits.get("image_type", IMAGE_TYPE if self.size == SIZE else self.size))

    @property
    def image(self) -> bytes:
        """What it is to run."""
        return image_of(self.size, manufacturer=self.traits.get("manufacturer_code", MANUFACTURER), image_type=self.image_type)


def does(ends: Ending, proof: Proof | None = None, *, size: int = SIZE, **traits: Any) -> Animal:
    return Animal(ends=ends, proof=proof, size=size, traits=traits)


def blocks(it: Device) -> int:
    """How many blocks its image has, of the size that it asks for."""
    return -(-len(it.ota.received) // it.spec.max_data_size)


def seconds(it: Device) -> float:
    """How long its download took, on its own clock."""
    return (it.counters.last_block_at or 0.0) - (it.counters.first_block_at or 0.0)


POWER = {
    "loses power twice and keeps its offset": does(
        succeeds(), lambda it: it.counters.bytes_again == 0 and it.counters.bytes == len(it.ota.received), power_cut_at=(0.3, 0.7)
    ),
    "loses power and its offset": does(
        succeeds(), lambda it: it.counters.bytes > 1.4 * len(it.ota.received), power_cut_at=(0.5,), keeps_offset=False
    ),
    "loses power and does not ask again": does(succeeds(), lambda it: it.counters.notifies > 1, power_cut_at=(0.5,), asks_again=False),
    "loses power and its offset, and does not ask again": does(
        succeeds(), lambda it: it.counters.notifies > 1, power_cut_at=(0.5,), keeps_offset=False, asks_again=False
    ),
    "loses power and asks what there is for it": does(
        succeeds(),
        lambda it: it.counters.queries > 1,
        power_cut_at=(0.5,),
        power_cut_seconds=8.0,
        queries_after_power_cut=True,
    ),
    "falls silent for 20 seconds": does(succeeds(), lambda it: seconds(it) >= 20, stalls_at=(0.5,), stall_seconds=20.0),
    "begins again at every lost answer": does(
        succeeds(), lambda it: it.counters.bytes > 1.3 * len(it.ota.received), misses=(40,), forgets_after_timeout=True
    ),
    "gives up every now and then": does(succeeds("aborted_by_device"), lambda it: it.counters.end_requests == 4, gives_up_at=(0.2, 0.5, 0.8)),
}

LOST = {"misses": tuple(range(5, 100, 9)), "request_timeout": 2.0}
LOSSES = len(LOST["misses"])

BLOCKS = {
    "repeats itself under a new number": does(succeeds(), lambda it: it.counters.timeouts >= LOSSES, **LOST),
    "repeats itself under the same number": does(succeeds(), lambda it: it.counters.frames_again >= LOSSES, same_tsn=True, **LOST),
    "asks for everything twice": does(succeeds(), lambda it: it.counters.frames_again >= blocks(it), duplicates=True),
    "asks for everything twice and repeats itself": does(
        succeeds(),
        lambda it: it.counters.frames_again >= blocks(it) + 4 <= blocks(it) + it.counters.timeouts,
        duplicates=True,
        same_tsn=True,
        request_timeout=2.0,
        misses=(5, 6, 7, 35, 36, 37, 65, 66, 67, 95, 96, 97),  # both answers to a request, four times
    ),
    "asks out of order": does(succeeds(), lambda it: it.counters.blocks_ahead >= blocks(it) // 2, out_of_order=True),
    "reads the end of the file first": does(succeeds(), lambda it: it.counters.blocks_ahead > 0, tail_first=True),
    "asks past the end": does(succeeds(), lambda it: it.counters.block_requests == it.counters.blocks + 1, overrun=True),
    "changes its block size amid the transfer": does(succeeds(), lambda it: it.counters.blocks >= 2 * blocks(it) - 1, block_sizes=(16, 63, 7, 40)),
    "asks for more than fits a frame": does(succeeds(), lambda it: it.counters.blocks > 3 * blocks(it), max_data_size=255),
    "asks for more than fits, far away": does(succeeds(), None, max_data_size=128, hops=4, records_route=True),
    "asks for next to nothing": does(succeeds(), lambda it: it.counters.blocks >= 187, max_data_size=8, size=1_500),
    "keeps a pace in milliseconds": does(succeeds(), lambda it: seconds(it) >= 0.02 * (blocks(it) - 1), min_block_period=20),
    "keeps its pace in seconds": does(succeeds(), lambda it: seconds(it) >= blocks(it) - 1, min_block_period=1, block_period_unit=1.0, size=1_000),
    "looks for its server and names itself": does(succeeds(), None, discovers_server=True, request_node_address=True),
    "wants its requests acknowledged": does(succeeds(), None, aps_ack=True),
}

PAGES = {
    "asks by pages": does(succeeds(), lambda it: it.counters.page_requests > 0 == it.counters.block_requests, page_size=512),
    "asks by pages without a pause": does(succeeds(), None, page_size=512, page_spacing=0),
    "asks for the next page amid this one": does(succeeds(), None, page_size=1_000, page_spacing=5, page_cancels=True),
    "loses blocks of its pages": does(succeeds(), lambda it: it.counters.block_requests > 0, page_size=512, **LOST),
    "asks for a page that is too large": does(succeeds(), lambda it: it.counters.block_requests > 0, page_size=8_192),
    "asks for pages and loses power": does(succeeds(), None, page_size=512, power_cut_at=(0.5,)),
}

ENDINGS = {
    "finds its image invalid": does(fails("image-rejected-by-device", says="INVALID_IMAGE"), end_status=0x96),
    "wants another image that nobody has": does(Ending(state="staged"), end_status=0x99),
    "loses two Upgrade End Responses": does(succeeds(), lambda it: it.counters.end_requests == 3, lost_end_responses=2),
    "loses every Upgrade End Response": does(
        succeeds(), lambda it: it.counters.end_requests == 4, lost_end_responses=99, request_timeout=3.0, request_retries=3
    ),
    "applies its image by itself": does(succeeds(), lambda it: it.counters.end_requests == 0, applies_by_itself=True),
    "comes back with the old version": does(
        fails("version-unchanged", says="tells version 0x01000000, not 0x01000001"), returns_with_old_version=True
    ),
    "tells a version that it does not run": does(fails("version-unchanged", says="tells version 0x01000000", runs=NEW), tells_version=OLD),
    "tells a version that it does not run, as all of its kind": does(
        fails("version-unprovable", "expired", says="nobody can say what it runs", runs=NEW),
        tells_version=OLD,
        manufacturer_code=0x115F,
        model="lumi.curtain.agl001",
    ),
    "tells the true version in a place of its own": does(
        succeeds(),
        tells_version=OLD,
        true_version_at=(0xFCC0, 0x00EE),
        manufacturer_code=0x115F,
        model="lumi.airrtc.agl001",
    ),
    "forgets its groups": does(succeeds(), lambda it: it.application.groups == {5}, groups=(5,), forgets=("groups",)),
    "forgets its groups for good": does(succeeds(), lambda it: not it.application.groups, groups=(5,), forgets=("groups",), for_good=True),
    "stays away longer than it was told": does(succeeds(), reboot_seconds=60.0),
    "verifies its image for half a minute": does(succeeds(), None, verify_seconds=30.0),
    "ends an upgrade that never was": does(succeeds(), lambda it: it.counters.end_requests == 2, end_without_download=True),
}

ASKERS = {
    "asks without an end once it was told no": does(
        succeeds(), lambda it: it.counters.queries > 2, query_loop=True, query_loop_seconds=2.0, asks_every=3.0
    ),
    "tells what it is only when it asks": does(succeeds(), None, without_attributes=True),
    "bears another brand in its node descriptor": does(succeeds(), None, node_manufacturer_code=0x1166),
    "asks as another image type than it told": does(
        fails("declined-by-device", says="image type 0x0999"), lambda it: it.counters.blocks == 0, asks_as=(MANUFACTURER, 0x0999)
    ),
    "asks as another maker than it told": does(
        fails("declined-by-device", says="manufacturer 0x1234"), lambda it: it.counters.blocks == 0, asks_as=(0x1234, IMAGE_TYPE)
    ),
    "does not say how it uses an image that it holds": does(succeeds(), activation_policy=None, timeout_policy=None),
    "sleeps and polls": does(succeeds(), lambda it: it.polls > 0, kind=DeviceKind.SLEEPY, poll_interval=7.5, size=1_500),
    "sleeps behind a router and checks in": does(succeeds(), None, kind=DeviceKind.SLEEPY, hops=2, poll_interval=4.0, checks_in=20.0, size=1_500),
}

MAKERS = {
    "Telink": does(succeeds(), None, manufacturer_code=0x1141, max_data_size=48, refuses_short_blocks=True, hops=4, records_route=True),
    "Legrand": does(succeeds(), None, manufacturer_code=0x1021, max_data_size=62, refuses_short_blocks=True),
    "Insta": does(succeeds(), None, manufacturer_code=0x117A, max_data_size=64, chokes_above=40),
    "dresden elektronik": does(succeeds(), None, manufacturer_code=0x1135, max_data_size=64, chokes_above=40, endpoint=0x0A),
    "Busch-Jaeger": does(succeeds(), None, manufacturer_code=0x112E, max_data_size=64, chokes_above=40),
    "IKEA": does(succeeds(), lambda it: it.counters.blocks == blocks(it), manufacturer_code=0x117C, max_data_size=63),
    "Hue": does(
        succeeds(),
        lambda it: it.counters.blocks == blocks(it) and seconds(it) >= 20,
        manufacturer_code=0x100B,
        max_data_size=64,
        min_block_period=20,
        stalls_at=(0.5,),
    ),
    "OSRAM": does(succeeds(), lambda it: it.counters.timeouts > 0, manufacturer_code=0xBBAA, asks_every=2.0, end_without_download=True),
    "Eurotronic": does(
        succeeds(), lambda it: it.counters.notifies == 0, manufacturer_code=0x1037, model="SPZB0001", query_loop=True, asks_every=20.0
    ),
}

DAY = 300.0  # scaled: far longer than an offer stands

WAITING = {
    "gives up at the very end, again and again": does(fails("retries-spent", "aborted_by_device", says="ABORT"), end_status=0x95),
    "refuses what it was offered": does(fails("retries-spent", "stalled"), lambda it: it.counters.blocks == 0, refuses_offer=True),
    "never comes back": does(Ending(state="failed", code="device-lost"), reboot_seconds=1e6),
    "applies its image by itself and says nothing": does(succeeds("stalled"), None, applies_by_itself=True, returns_silently=True),
    "heeds no notification and asks by itself long after": does(
        succeeds("expired"), lambda it: it.counters.notifies > 1, ignores_notify=True, asks_every=60.0
    ),
    "asks by itself once a day": does(
        succeeds("expired"), lambda it: it.counters.notifies == 0, manufacturer_code=0x1037, model="SPZB0001", asks_every=DAY
    ),
    "Bosch: is silent for long": does(succeeds(), lambda it: seconds(it) >= 45, manufacturer_code=0x1209, stalls_at=(0.5,), stall_seconds=45.0),
    "Legrand: is silent for long": does(succeeds(), lambda it: seconds(it) >= 45, manufacturer_code=0x1021, stalls_at=(0.5,), stall_seconds=45.0),
    "Sonoff: verifies for long": does(succeeds(), None, manufacturer_code=0x1286, image_type=8199, verify_seconds=45.0),
}


@dataclass(frozen=True, kw_only=True)
class Cage:
    """Devices of one house. The hub lives `pace` times faster than a real one, the devices ten times."""

    animals: Mapping[str, Animal]
    pace: float = 20.0
    slow: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)


ZOO = {
    "power": Cage(animals=POWER),
    "blocks": Cage(animals=BLOCKS),
    "pages": Cage(animals=PAGES),
    "endings": Cage(animals=ENDINGS, slow=True),
    "askers": Cage(animals=ASKERS, slow=True),
    "makers": Cage(animals=MAKERS),
    "waiting": Cage(animals=WAITING, slow=True, pace=100.0, policy={"retries": 1}),
}


def _journeys() -> list[Any]:
    """Each cage over both stacks; of the slow ones one at night."""
    return [
        pytest.param(name, stack, marks=[pytest.mark.night] if cage.slow and stack == "ezsp" else [], id=f"{name}-{stack}")
        for name, cage in ZOO.items()
        for stack in ("znp", "ezsp")
    ]


async def _ended(run: Journey, ieee: int, ends: Ending) -> Update:
    """What became of the update of a device; one that is to stay somewhere counts as ended there."""
    device = device_id(ieee)
    (view,) = (await run.desk.updates(device=device)).items
    await state_is(run.desk, view.update.id, "succeeded", "failed", "cancelled", "superseded", ends.state, within=200)
    return (await run.desk.update(view.update.id)).update


async def _live(run: Journey, specs: Mapping[str, DeviceSpec]) -> None:
    """Everybody has told what it runs and is told to update."""
    for spec in specs.values():
        await told(run.desk, spec.ieee)
    order = OrderRequest(devices=tuple(device_id(spec.ieee) for spec in specs.values()))
    refused = (await run.desk.order(order, actor="test")).refused
    assert refused == ()


async def _how_it_ended(run: Journey, ieee: int, ends: Ending) -> Ending:
    update = await _ended(run, ieee, ends)
    detours = DETOURS & {fact.kind for fact in (await run.desk.log(update.id)).items}
    code, detail = (None, "") if update.error is None else (update.error.code, update.error.detail)
    says = ends.says if ends.says in detail else detail
    return Ending(state=str(update.state), code=code, says=says, runs=run.device(ieee).file_version, detours=detours)


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "stack"), _journeys())
async def test_every_animal_ends_as_its_row_says(tmp_path: Path, name: str, stack: str) -> None:
    cage = ZOO[name]
    specs = {animal: each.spec(number) for number, (animal, each) in enumerate(cage.animals.items())}
    images = {each.image for each in cage.animals.values()}
    async with journey(
        tmp_path, *specs.values(), images=images, stack=stack, air=AirSettings(speedup=None), pace=cage.pace, policy=dict(cage.policy),
        radio={"parallel": 16},
    ) as run:  # fmt: skip
        await _live(run, specs)
        async with asyncio.TaskGroup() as watching:
            endings = {animal: watching.create_task(_how_it_ended(run, specs[animal].ieee, each.ends)) for animal, each in cage.animals.items()}
        devices = {animal: run.device(spec.ieee) for animal, spec in specs.items()}
    assert {animal: task.result() for animal, task in endings.items()} == {animal: each.ends for animal, each in cage.animals.items()}
    assert {animal: it.violations for animal, it in devices.items() if it.violations} == {}
    assert [animal for animal, each in cage.animals.items() if each.ends.runs == NEW and devices[animal].ota.received != each.image] == []
    unproven = {
        animal: devices[animal].counters for animal, each in cage.animals.items() if each.proof is not None and not each.proof(devices[animal])
    }
    assert unproven == {}


def test_every_way_that_the_rig_knows_is_in_the_zoo() -> None:
    shown = {trait for cage in ZOO.values() for animal in cage.animals.values() for trait in animal.traits}
    assert {each.name for each in fields(Behaviours)} <= shown


def test_every_animal_can_be_written_down_for_a_rig_in_a_process_of_its_own() -> None:
    specs = [animal.spec(0) for cage in ZOO.values() for animal in cage.animals.values()]
    assert [DeviceSpec.from_json(json.loads(json.dumps(spec.to_json()))) for spec in specs] == specs


# --- stories of more than one step -------------------------------------------------------------------------------------------------------

OTHER_TYPE = 0x0999


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_device_with_two_processors_takes_both_images_before_it_uses_them(tmp_path: Path, stack: str) -> None:
    """It tells of the second only when it has the first, and that joins the one order; what the attributes do not tell is confirmed by a query."""
    first, second = image_of(SIZE), image_of(3_000, image_type=OTHER_TYPE)
    spec = DeviceSpec(ieee=FIRST, more_images=((OTHER_TYPE, OLD),))
    async with journey(tmp_path, spec, images=[first, second], stack=stack) as run:
        one = await run.order(FIRST)
        await fact(run.desk, lambda each: each.kind == "job_grew" and each.subject_id == one)
        job = sorted((each.update for each in (await run.desk.updates(device=device_id(FIRST))).items), key=lambda each: each.step)
        endings = [(await ended(run.desk, each.id)).state for each in job]
        device = run.device(FIRST)
    assert [(each.component, each.job, each.steps) for each in job] == [("0x0083", one, 2), ("0x0999", one, 2)]
    assert endings == ["succeeded", "succeeded"]
    assert device.ota.versions == {IMAGE_TYPE: NEW, OTHER_TYPE: NEW}
    assert device.ota.images == {IMAGE_TYPE: first, OTHER_TYPE: second}
    assert device.violations == []
    assert device.counters.aborts == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "alive_for"), [("znp", "1s"), ("ezsp", "0d")])
async def test_both_processors_of_a_device_are_brought_up_to_date_by_policy_alone(tmp_path: Path, stack: str, alive_for: str) -> None:
    images = [image_of(SIZE), image_of(3_000, image_type=OTHER_TYPE)]
    spec = DeviceSpec(ieee=FIRST, more_images=((OTHER_TYPE, OLD),))
    async with journey(tmp_path, spec, images=images, stack=stack, policy={"default": "automatic", "alive_for": alive_for}) as run:
        await run.device(FIRST).wait_until(lambda it: it.ota.versions == {IMAGE_TYPE: NEW, OTHER_TYPE: NEW}, WITHIN)
        for component in ("0x0083", "0x0999"):
            await fact(run.desk, lambda each, own=component: each.data.get("component") == own and each.data.get("state") == "succeeded")
        assert run.device(FIRST).violations == []


HARDWARE_2_TO_4 = build_image(MANUFACTURER, IMAGE_TYPE, NEW, payload=make_payload(2_000, 1), hardware_range=(2, 4))


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_an_image_for_other_hardware_is_refused_when_it_is_ordered(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, DeviceSpec(ieee=FIRST, hardware_version=9), images=[HARDWARE_2_TO_4], stack=stack) as run:
        await fact(run.desk, lambda each: each.kind == "asked")
        order = OrderRequest(devices=(device_id(FIRST),), force=True)
        (refused,) = (await run.desk.order(order, actor="test")).refused
        assert refused.error.code == "incompatible-image"
        assert "hardware versions 2 to 4, the component has 9" in str(refused.error)
        assert run.device(FIRST).counters.blocks == 0
        assert run.device(FIRST).violations == []


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_device_that_must_not_be_notified_is_refused_what_does_not_fit_when_it_asks(tmp_path: Path, stack: str) -> None:
    eurotronic = {"manufacturer_code": 0x1037, "model": "SPZB0001", "behaviours": Behaviours(query_loop=True, asks_every=30.0)}
    image = build_image(0x1037, IMAGE_TYPE, NEW, payload=make_payload(2_000, 1), hardware_range=(2, 4))
    async with journey(tmp_path, DeviceSpec(ieee=FIRST, hardware_version=9, **eurotronic), images=[image], stack=stack) as run:
        update = await ended(run.desk, await run.order(FIRST))
        assert update.error is not None
        assert (update.state, update.error.code) == ("failed", "declined-by-device")
        assert "hardware version 9 is outside 2 to 4" in update.error.detail
        assert run.device(FIRST).counters.notifies == 0
        assert run.device(FIRST).violations == []
