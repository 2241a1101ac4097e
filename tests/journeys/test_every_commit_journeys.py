"""Whatever happens at any commit of an update, over both stacks: daemons that are killed there, sticks that are pulled, disks that are full.

The commits are those of an undisturbed run, before and after; what an accident adds to them has accidents of its own in a life full of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from otagate.model.facts import Fact
from otagate.model.lifecycle import State
from otagate.stores import open_store
from otagate_rig.air import AirSettings
from otagate_rig.ota_oracle import Violation
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, NEW, RADIO, device_id, image_of
from tests.journeys.mortal import Answer, Mortal, Point, Refused
from tests.journeys.process import assert_gapless, assert_legal

IMAGE = image_of(3_000)
AIR = AirSettings(speedup=None, timers=10)
PATIENT = DeviceSpec(ieee=IEEE, request_retries=200, reboot_seconds=1.0, hold_interval=5.0)
PACE = 20.0
AT_ONCE = 3
WITHIN = 60.0
AGAIN = 0.05
LOST_WITHIN = 5.0
UPGRADE_END_RESPONSE = 0x07

STACKS: tuple[Stack, ...] = ("znp", "ezsp")
Accident = Callable[["Trial", Point], Answer | None]


@dataclass
class Trial:
    """One update of one device on its own rig, and what happens to its hub at which commit.

    The operator wants the device updated, held until he gives the word, in whichever life: he stores the image, orders, orders anew where it was
    cancelled, gives the word. He repeats what was not acknowledged, an order under its key.
    """

    folder: Path
    stack: Stack
    happens: Callable[[Point], Accident | None] = lambda _: None
    orders: list[str] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    happened: list[str] = field(default_factory=list)
    stored: bool = False
    key: int = 0
    partings: list[int] = field(default_factory=list)

    async def run(self) -> Trial:
        """Through as many lives as it takes; then judge."""
        self.folder.mkdir()
        made = Rig(stack=self.stack, devices=[PATIENT], images=[IMAGE], air=AIR, announce_after=None, link=self.folder / "stick")
        async with made as self.rig:
            self.hub = Mortal(self.folder, self.rig.path, self.stack, PACE)
            try:
                async with asyncio.TaskGroup() as self.later:
                    while not await self._live():
                        self.part()
                await self._judge()
            except BaseException as error:
                told = [f"{each['number']} {each['subject']} {each['kind']} {each['data']}" for each in self.hub.facts.values()]
                error.add_note(
                    "\n".join(
                        [
                            str(self),
                            *self.happened,
                            *told,
                            self.hub.log.decode(errors="replace"),
                            str(self.device.violations),
                            str(self.device.counters),
                        ]
                    )
                )
                raise
        return self

    def __str__(self) -> str:
        return f"{self.folder.name} over {self.stack}"

    def part(self) -> None:
        """The hub loses what it knew of the device's last request: it died, or its line did."""
        self.partings.append(len(self.device.violations))

    @property
    def device(self) -> Any:
        return self.rig.device(IEEE)

    async def _live(self) -> bool:
        """One life of the hub; whether everything is done."""
        hub = self.hub
        async with hub.living(self._at), asyncio.TaskGroup() as group:
            operating = group.create_task(self._operate())
            async with asyncio.timeout(WITHIN):
                while not hub.over.is_set() and not self._done:
                    await hub.news.wait()
            done = not hub.over.is_set()
            if done:
                hub.stop()
            assert await hub.ended() in (0, -9)
            operating.cancel()
        return done

    @property
    def _done(self) -> bool:
        return bool(self.orders) and self.hub.states.get(self.orders[-1]) is State.SUCCEEDED

    def _at(self, point: Point) -> Answer | None:
        accident = self.happens(point)
        if accident is None:
            return "go"
        self.happened.append(f"{accident.__name__.strip('_')} {point}")
        return accident(self, point)

    # --- the operator -----------------------------------------------------------------------------------------------------------------

    async def _operate(self) -> None:
        await self.hub.ready.wait()
        while not self.hub.over.is_set():
            news = self.hub.news  # what comes while he acts counts
            try:
                await self._act()
            except (aiohttp.ClientError, Refused):
                await asyncio.sleep(AGAIN)
            else:
                await news.wait()

    async def _act(self) -> None:
        hub = self.hub
        if self._told("radio", "up") and not self._told("device", "interrogated"):
            self.rig.announce()
        if self._radio() == "in_use":
            await hub.post(f"/radios/{RADIO}/reattach")
        if not self.stored:
            form = aiohttp.FormData()
            form.add_field("file", IMAGE, filename="firmware.ota")
            await hub.post("/images", data=form)
            self.stored = True
        if not self._told("device", "interrogated"):
            return
        if not self.orders or hub.states.get(self.orders[-1]) is State.CANCELLED:
            await self._order()
        elif hub.states.get(self.orders[-1]) is State.STAGED:
            await hub.post(f"/updates/{self.orders[-1]}/activate")

    async def _order(self) -> None:
        """Under the same key until it is acknowledged; what is refused is another order the next time."""
        answer = await self.hub.post("/updates", key=f"order-{self.key}", devices=[device_id(IEEE)], hold_activation=True)
        self.key += 1
        if answer["refused"]:
            raise Refused(str(answer["refused"]))
        self.orders.append(answer["updates"][0]["id"])

    def _told(self, subject: str, word: str) -> bool:
        return any(each["subject"] == subject and word in (each["kind"], each["data"].get("state")) for each in self.hub.facts.values())

    def _radio(self) -> str | None:
        states = [each["data"].get("state") for each in self.hub.facts.values() if each["subject"] == "radio"]
        return states[-1] if states else None

    # --- judging ----------------------------------------------------------------------------------------------------------------------

    async def _judge(self) -> None:
        hub, device = self.hub, self.device
        facts = await journal(hub.state_dir)
        assert_gapless(facts)
        on_disk = {each.number: (each.subject, each.subject_id, each.kind, dict(each.data)) for each in facts}
        told = {number: (each["subject"], each["subject_id"], each["kind"], each["data"]) for number, each in hub.facts.items()}
        assert {number: on_disk[number] for number in told} == told, "something that was told is lost"
        assert [each.subject_id for each in facts if each.kind == "created"] == self.orders, "an order was made twice, or lost"
        for update in self.orders:
            assert_legal(facts, update)
        *before, last = [hub.states[each] for each in self.orders]
        assert last is State.SUCCEEDED
        assert set(before) <= {State.CANCELLED}
        assert self.cancelled <= set(self.orders[:-1]), "an operator was told that it is cancelled"
        assert [each for each in device.violations if not _is_the_word_again(each)] == []
        heard = [*self.partings, len(device.violations)]
        assert all(again <= losses for losses, again in enumerate(heard)), f"the word was given again and again: {heard}"
        assert device.file_version == NEW
        assert bytes(device.ota.received) == IMAGE
        assert device.counters.mixed == 0
        if not before:
            assert device.counters.aborts == 0
            assert device.counters.downloads_completed == 1


def _is_the_word_again(violation: Violation) -> bool:
    """An Upgrade End Response that was not asked for: a hub that died, or lost its line, cannot know what the device asked last."""
    return violation.name in ("unsolicited", "wrong_tsn") and bytes.fromhex(violation.frame)[2] == UPGRADE_END_RESPONSE


async def journal(state_dir: Path) -> list[Fact]:
    """Every fact on disk."""
    facts: list[Fact] = []
    async with open_store("sqlite:///otagate.db", state_dir) as store:
        while page := await store.facts.after(len(facts)):
            facts += page
    return facts


# --- accidents ------------------------------------------------------------------------------------------------------------------------------


def _killed(trial: Trial, point: Point) -> Answer | None:
    trial.hub.kill()
    return None


def _stopped(trial: Trial, point: Point) -> Answer:
    trial.hub.stop()
    return "go"


def _cancelled(trial: Trial, point: Point) -> Answer:
    line = None if point.update is None else trial.hub.ask_at_once(f"/updates/{point.update}/cancel")
    if point.update is not None and line is not None:
        trial.later.create_task(_note_cancel(trial, point.update, trial.hub.answer(line)))
    return "go"


async def _note_cancel(trial: Trial, update: str, answer: Any) -> None:
    if await answer == 200:
        trial.cancelled.add(update)


def _unplugged(trial: Trial, point: Point) -> Answer:
    async def plug(told: int) -> None:
        with_us = trial.hub
        try:
            async with asyncio.timeout(LOST_WITHIN):
                while not with_us.over.is_set() and not any(
                    each["data"].get("state") == "retrying" for number, each in with_us.facts.items() if number > told and each["subject"] == "radio"
                ):
                    await asyncio.sleep(AGAIN)
        except TimeoutError:
            pass  # the hub had not opened it
        await trial.rig.port.plug()

    trial.part()
    trial.rig.port.unplug()
    trial.later.create_task(plug(max(trial.hub.facts, default=0)))
    return "go"


def _reset(trial: Trial, point: Point) -> Answer:
    trial.part()
    trial.rig.ncp.reset_unexpectedly()
    return "go"


def _disk_full(trial: Trial, point: Point) -> Answer:
    return "full"


ACCIDENTS: dict[str, Accident] = {
    "killed": _killed,
    "stopped": _stopped,
    "cancelled": _cancelled,
    "unplugged": _unplugged,
    "reset": _reset,
    "disk full": _disk_full,
}


def once(at: Point, accident: Accident) -> Callable[[Point], Accident | None]:
    """The accident, when that point is come to for the first time."""
    left = [at]

    def happens(point: Point) -> Accident | None:
        if point not in left:
            return None
        left.remove(point)
        return accident

    return happens


def everywhere(*accidents: Accident) -> Callable[[Point], Accident | None]:
    """At every point that is come to for the first time, one accident after the other."""
    met: list[Point] = []

    def happens(point: Point) -> Accident | None:
        if point in met:
            return None
        met.append(point)
        return accidents[(len(met) - 1) % len(accidents)]

    return happens


def rotated(by: int) -> list[Accident]:
    """Every accident, beginning with another one."""
    accidents = list(ACCIDENTS.values())
    return accidents[by:] + accidents[:by]


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_the_undisturbed_update_goes_through_every_state(tmp_path: Path, stack: Stack) -> None:
    trial = await Trial(tmp_path / "undisturbed", stack).run()
    seen = {State(each["data"]["state"]) for each in trial.hub.facts.values() if each["subject"] == "update"}
    assert seen == {each for each in State if not each.final} - {State.PLANNED} | {State.SUCCEEDED}


@pytest.mark.asyncio
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("first", [0, *(pytest.param(each, marks=pytest.mark.night) for each in range(1, len(ACCIDENTS)))])
async def test_a_life_with_an_accident_at_every_commit_ends_as_it_should(tmp_path: Path, stack: Stack, first: int) -> None:
    """Which accident meets which commit depends on the first; in all of them together each meets each."""
    trial = await Trial(tmp_path / "life", stack, everywhere(*rotated(first))).run()
    assert {each.partition(" ")[0] for each in trial.happened} == {each.__name__.strip("_") for each in ACCIDENTS.values()}


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("accident", ACCIDENTS)
async def test_an_update_ends_as_it_should_whatever_happens_at_any_of_its_commits(tmp_path: Path, stack: Stack, accident: str) -> None:
    """One accident a life, at each commit of an undisturbed one."""
    undisturbed = await Trial(tmp_path / "undisturbed", stack).run()
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(trial: Trial) -> None:
        async with turns:
            await trial.run()

    async with asyncio.TaskGroup() as group:
        for number, point in enumerate(undisturbed.hub.points):
            group.create_task(in_turn(Trial(tmp_path / str(number), stack, once(point, ACCIDENTS[accident]))))
