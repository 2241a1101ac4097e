"""Whatever devices, radios, disks and operators do, in whatever order: the laws of the table hold, and what can still end well ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otagate.engine.views import OrderRequest
from otagate.model.advisories import Advisory
from otagate.model.errors import NotInState, OtagateError
from otagate.model.facts import Fact
from otagate.model.ids import Sha256, UpdateId, zigbee_device_id
from otagate.model.lifecycle import AFTER_RESTART, TABLE, Cause, State
from otagate.ports import TransferAdvanced
from tests.engine.bench import Bench, Hub
from tests.engine.radio import NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly

LAMPS = [zigbee_device_id(number) for number in (1, 2, 3)]
SAYINGS = [
    (Cause.ACCEPTED,), (Cause.DECLINED,), (Cause.ALREADY_CURRENT,), (Cause.EXPIRED,), (Cause.STALLED,), (Cause.ABORTED_BY_DEVICE,),
    (Cause.TRANSFERRED,), (Cause.TRANSFERRED, Cause.ACTIVATED), (Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED), (Cause.REBOOTED,),
    (Cause.IMAGE_REJECTED,), (Cause.RETURNED,), (Cause.VERSION_MATCHES,), (),
]  # fmt: skip
KEPT = frozenset({"created", "waits", "paused", "resumed", "job_grew"})
"""Facts about an update that do not move it."""


@dataclass
class Story:
    """A bench, and the hub that lives on it now."""

    bench: Bench
    hub: Hub
    again: bool = False
    tokens: int = 1_000_000
    warned: list[tuple[int, frozenset[str]]] = field(default_factory=lambda: [(0, frozenset())])  # from which fact on, against which images
    steps: list[str] = field(default_factory=list)


Step = Callable[[Story, int], Awaitable[None]]


async def _order(story: Story, number: int) -> None:
    await story.hub.desk.order(OrderRequest(devices=(LAMPS[number % 3],), allow_downgrade=number % 2 == 0, force=number % 5 == 0), actor="test")


def _asked(what: str) -> Step:
    async def ask(story: Story, number: int) -> None:
        rows = await story.bench.rows()
        if rows:
            await getattr(story.hub.desk, what)(rows[-1 - number % min(len(rows), 4)].id, actor="test")

    return ask


async def _say(story: Story, number: int) -> None:
    """A session says something, whether it makes sense or not."""
    rows = await story.bench.rows()
    if rows:
        story.tokens += 1
        row = rows[-1 - number % min(len(rows), 4)]
        story.hub.intake.emit(
            TransferAdvanced(update=row.id, causes=SAYINGS[number % len(SAYINGS)], detail="said", token=story.tokens, offset=number)
        )


async def _misbehave(story: Story, number: int) -> None:
    lamp = story.bench.lamps[LAMPS[number % 3]]
    lamp.goes = ("well", "stalls", "aborts", "rejects", "declines")[number % 5]
    lamp.boots = ("new", "old", "never")[number % 3]
    lamp.asks, lamp.there = number % 7 != 0, number % 11 != 0


async def _announce(story: Story, number: int) -> None:
    story.hub.radio.announce(LAMPS[number % 3])


async def _wake(story: Story, number: int) -> None:
    story.hub.radio.wake(LAMPS[number % 3])


async def _disk(story: Story, number: int) -> None:
    story.hub.store.full = number % 2 == 0


async def _plug(story: Story, number: int) -> None:
    if number % 2:
        story.hub.radio.plug_in()
    else:
        story.hub.radio.unplug()


async def _time(story: Story, number: int) -> None:
    await story.hub.pass_time(seconds=number**2 / 5)


async def _advise(story: Story, number: int) -> None:
    """Something becomes known against some of the images, or it turns out that nothing is."""
    images = sorted(each.sha256 for each in story.hub.library.images())
    await _warn(story, frozenset(each for at, each in enumerate(images) if number >> at & 1))


async def _warn(story: Story, images: frozenset[Sha256]) -> None:
    story.hub.cases.advise([Advisory(sentence="It dies", source="us", sha256=(each,)) for each in sorted(images)])
    story.warned.append((await story.hub.store.facts.last_number(), frozenset(images)))


async def _restart(story: Story, number: int) -> None:
    if number % 2:
        story.hub.kill()
    story.again = True


STEPS: dict[str, Step] = {
    "order": _order, "cancel": _asked("cancel"), "pause": _asked("pause"), "resume": _asked("resume"), "retry": _asked("retry"),
    "say": _say, "misbehave": _misbehave, "announce": _announce, "wake": _wake, "disk": _disk, "plug": _plug, "time": _time, "restart": _restart,
    "advise": _advise,
}  # fmt: skip


async def live(story: Story, steps: list[tuple[str, int]], known: Mapping[str, Step] = STEPS) -> None:
    """Take the steps, all of them `known`, through as many lives as it takes; then mend everything and let the end come."""
    rest = list(steps)
    while True:
        async with story.bench.hub() as hub:
            story.hub, story.again = hub, False
            hub.cases.advise([Advisory(sentence="It dies", source="us", sha256=(Sha256(each),)) for each in story.warned[-1][1]])
            await hub.pass_time(seconds=2)
            while rest and not story.again:
                name, number = rest.pop(0)
                with suppress(OtagateError):
                    await known[name](story, number)
            if story.again:
                continue
            await _mend(story)
            for look in range(2 * 24 * 6):
                if look == 24 * 6:
                    await _cancel_what_waits(story)
                if all(row.ended for row in await story.bench.rows()):
                    return
                hub.radio.wake(LAMPS[2])
                await hub.pass_time(minutes=10)
            raise AssertionError(f"not ended within two days: {[row for row in await story.bench.rows() if not row.ended]}")


async def _mend(story: Story) -> None:
    story.hub.store.full = False
    story.hub.radio.plug_in()
    await _warn(story, frozenset())
    for lamp in story.bench.lamps.values():
        lamp.goes, lamp.boots, lamp.there, lamp.asks, lamp.busy = "well", "new", True, True, ""  # and switched off and on
        lamp.rejects = ()
        story.hub.radio.announce(lamp.id)
    await story.hub.pass_time(seconds=60)
    for row in await story.bench.rows():
        with suppress(OtagateError):
            await story.hub.desk.resume(row.id, actor="test")
    await _cancel_what_waits(story)


async def _cancel_what_waits(story: Story) -> None:
    """What waits on its device for another image, which nobody will send."""
    for row in [each for each in await story.bench.rows() if each.state is State.STAGED]:
        with suppress(NotInState):  # it went with another one
            await story.hub.desk.cancel(row.id, actor="test")


def check_journal(facts: list[Fact], final: dict[UpdateId, State]) -> None:
    """Replayed, the journal follows the table and ends where the rows are."""
    assert [fact.number for fact in facts] == list(range(1, len(facts) + 1))
    states: dict[str, State] = {}
    for fact in facts:
        if fact.subject != "update":
            continue
        told = State(str(fact.data["state"]))
        before = states.get(fact.subject_id)
        if before is None:
            assert (fact.kind, told) == ("created", State.QUEUED)
        elif fact.kind in KEPT:
            assert told is before
        elif fact.kind == "restarted":
            assert told is AFTER_RESTART[before]
        else:
            assert told is TABLE[before][Cause(fact.kind)], f"{before} --{fact.kind}--> {told}"
        states[fact.subject_id] = told
    assert states == final


def check_answers(history: list[tuple[str, object]]) -> None:
    """No answer left that was not durable before."""
    durable: Counter[str] = Counter()
    for step, what in history:
        if step == "committed" and isinstance(what, tuple) and what[0] == "update":
            durable[what[1]] += 1
        elif step == "answered" and isinstance(what, tuple) and what == (Cause.TRANSFERRED, Cause.ACTIVATED):
            assert durable[Cause.ACTIVATED] or durable[Cause.REBOOTED]
        elif step == "answered" and isinstance(what, tuple) and what == (Cause.ACCEPTED,):
            assert durable[Cause.ACCEPTED]


async def check(bench: Bench) -> None:
    rows = await bench.rows()
    check_journal(await bench.facts(), {row.id: row.state for row in rows})
    check_answers(bench.history)
    for row in rows:
        assert row.ended
        assert (row.error is not None) is (row.state is State.FAILED)
        assert row.finished is not None
        assert not row.paused
        if row.state is State.SUCCEEDED:
            assert row.reason is None


def check_no_refused_image_begins(facts: list[Fact], warned: list[tuple[int, frozenset[str]]]) -> None:
    """Whatever is known against an image when an update with it would be offered: it is not."""
    for fact in facts:
        if fact.kind == "verified":
            against = [images for number, images in warned if number < fact.number][-1]
            assert fact.data["image"] not in against


def check_one_at_a_time(facts: list[Fact]) -> None:
    """A component never had two updates that had not ended."""
    unfinished: dict[tuple[str, str], str] = {}
    for fact in (each for each in facts if each.subject == "update"):
        component = str(fact.data["device"]), str(fact.data["component"])
        if State(str(fact.data["state"])).final:
            if unfinished.get(component) == fact.subject_id:
                del unfinished[component]
        else:
            assert unfinished.setdefault(component, fact.subject_id) == fact.subject_id


def the_laws(steps: list[tuple[str, int]]) -> None:
    async def story() -> None:
        bench = Bench(lamps={each: Lamp(id=each, sleepy=each == LAMPS[2], seconds=30.0) for each in LAMPS}, mode="automatic", retries=1)
        async with bench.hub() as hub:
            for version in (OLD, NEW, NEWER):
                await hub.add_image(version)
            told = Story(bench, hub)
        await live(told, steps)
        await check(bench)
        check_one_at_a_time(await bench.facts())
        check_no_refused_image_begins(await bench.facts(), told.warned)

    instantly(story)()


_STEPS = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 120)), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=_STEPS)
def test_the_laws_hold_whatever_happens(steps: list[tuple[str, int]]) -> None:
    the_laws(steps)


@pytest.mark.night
@pytest.mark.parametrize("part", range(10))  # workers share them, and what a search remembers grows to gigabytes
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS)
def test_the_laws_hold_through_a_whole_night(part: int, steps: list[tuple[str, int]]) -> None:
    the_laws(steps)
