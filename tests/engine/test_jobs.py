"""The files of one release for several targets: taken together, installed in order, and none without those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from otagate.engine.jobs import Jobs, parts_of
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger, Obstacle
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.errors import AlreadyUpdating
from otagate.model.ids import RadioName, UpdateId, zwave_component_id, zwave_device_id
from otagate.model.lifecycle import Cause, State
from otagate.model.releases import Fingerprint, Release
from otagate.model.updates import Update
from otagate.policy.job import as_job
from otagate.policy.plan import choose
from otagate.policy.settings import PolicySettings
from otagate.stores.memory import MemoryStore
from tests.engine.bench import Bench
from tests.virtual_time import VirtualClock, instantly

NODE = zwave_device_id(0xE1B2C3D4, 12)
MAIN, CHIP = Component(id=zwave_component_id(0), version="1.6"), Component(id=zwave_component_id(1), version="7.18")
PLUG = Device(
    id=NODE, radio=RadioName("zwave0"), protocol="zwave", manufacturer_code=1, node=ZwaveNode(product_type=2, product_id=3), components=(MAIN, CHIP)
)
PRINT = Fingerprint(manufacturer_id=1, product_type=2, product_id=3, min_version="1.6", max_version="1.6")
FIRST = Release(
    source="service", protocol="zwave", file_version="1.7", size=1, fingerprints=(PRINT,), target=0, bundle="b", location="x", sha256=None
)
SECOND = replace(FIRST, file_version=None, target=1, step=2, location="y")
RELEASES = {MAIN.id: [FIRST], CHIP.id: [SECOND]}


def releases_for(_: Device, component: Component) -> list[Release]:
    return RELEASES[component.id]


def test_the_files_of_a_release_are_its_parts_in_the_order_of_installation() -> None:
    swapped = replace(FIRST, step=2), replace(SECOND, step=1)
    parts = parts_of(PLUG, swapped[0], lambda _, component: [swapped[int(component.id)]])
    assert [(component.id, release.location) for component, release in parts] == [("1", "y"), ("0", "x")]
    assert parts_of(PLUG, replace(FIRST, bundle=None), releases_for) == []
    assert parts_of(replace(PLUG, components=(MAIN,)), FIRST, releases_for) == []


def test_only_the_first_file_is_bound_to_the_version_that_runs_now() -> None:
    (_, first), (_, second) = parts_of(PLUG, FIRST, releases_for)
    assert (first.fingerprints[0].min_version, second.fingerprints[0].min_version, second.fingerprints[0].max_version) == ("1.6", None, None)


def test_a_further_file_is_never_chosen_by_itself() -> None:
    choice = choose(PLUG, CHIP, [SECOND], settings=PolicySettings(mode="automatic"), operator=True)
    assert (choice.chosen, choice.verdict.code) == (None, "no-release")
    older = replace(SECOND, bundle="older", sha256=None, size=9)
    assert {each.verdict.reason for each in choose(PLUG, CHIP, [SECOND, older], settings=PolicySettings(mode="automatic")).trace} != {"ambiguous"}


def update(component: Component, **changes: object) -> Update:
    made = Update(
        id=UpdateId(""), device=NODE, component=component.id, radio=RadioName("zwave0"), from_version=component.version, to_version="1.7",
        source="service", image=None, state=State.QUEUED, bytes_total=1, created=datetime(2026, 5, 1, tzinfo=UTC),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@instantly
async def test_the_steps_of_a_job_carry_the_id_of_the_first_and_none_is_made_where_one_cannot_be() -> None:
    store, clock = MemoryStore(), VirtualClock()
    ledger = Ledger(store, Journal(store, clock), clock)
    first, second = await ledger.create(as_job([update(MAIN), update(CHIP)], "b"))
    assert isinstance(first, Update)
    assert isinstance(second, Update)
    assert (first.job, first.step, first.steps, second.job, second.step) == (first.id, 1, 2, first.id, 2)
    await ledger.advance(first.id, [Cause.CANCELLED])
    refused = await ledger.create(as_job([update(MAIN), update(CHIP)], "b"))
    assert [type(each) for each in refused] == [AlreadyUpdating, AlreadyUpdating]


@instantly
@pytest.mark.parametrize(
    ("cause", "state", "code"),
    [(Cause.CANCELLED, State.CANCELLED, None), (Cause.RETRIES_SPENT, State.FAILED, "predecessor-failed")],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_step_whose_predecessor_ended_without_success_is_not_begun(cause: Cause, state: State, code: str | None, restarted: bool) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        first, second = [each for each in await hub.ledger.create(as_job([update(MAIN), update(CHIP)], "b")) if isinstance(each, Update)]
        await hub.ledger.advance(first.id, [cause], detail="no luck")
        if not restarted:
            ended = await hub.until_ended(second.id)
    if restarted:
        await bench.disk.updates.get(second.id)
        async with bench.hub() as hub:
            ended = await hub.until_ended(second.id)
    assert (ended.state, ended.error.code if ended.error else None) == (state, code)


@instantly
async def test_a_job_whose_step_fails_while_another_one_is_settled_is_settled_next() -> None:
    store, clock = MemoryStore(), VirtualClock()
    ledger = Ledger(store, Journal(store, clock), clock)
    jobs = Jobs(tools=SimpleNamespace(store=store, ledger=ledger, registry=SimpleNamespace(known=lambda _: None)))  # type: ignore[arg-type]
    ledger.watch(jobs.changed)
    other = zwave_device_id(0xE1B2C3D4, 13)
    one, after_one = await ledger.create(as_job([update(MAIN), update(CHIP)], "one"))
    two, after_two = await ledger.create(as_job([update(MAIN, device=other), update(CHIP, device=other)], "two"))
    await ledger.advance(_update(one).id, [Cause.CANCELLED])
    page = store.updates.page

    async def failing_meanwhile(**wanted: Any) -> Sequence[Update]:
        found = await page(**wanted)
        if not (await store.updates.get(_update(two).id)).ended:
            await ledger.advance(_update(two).id, [Cause.CANCELLED])
        return found

    store.updates.page = failing_meanwhile  # type: ignore[method-assign,assignment]
    await jobs.settle([_update(after_two), _update(after_one)])
    left = await store.updates.unfinished()
    assert [each.id for each in left] == [_update(after_two).id]
    assert list(jobs.holds(left)) == [_update(after_two).id], "it may be begun though the step before it has failed"
    assert jobs.holds([replace(each, state=State.TRANSFERRING) for each in left]) == {}, "what has begun is taken up after a restart like any other"
    await jobs.settle(left)
    assert [(await store.updates.get(_update(each).id)).state for each in (after_one, after_two)] == [State.CANCELLED] * 2


def _update(made: Update | Obstacle) -> Update:
    assert isinstance(made, Update)
    return made
