"""A chain of versions is one job: planned to its end, each step judged again when it begins, told and gone on from where it broke."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otagate.model.errors import StoreUnavailable
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.sources.index import Index
from tests.engine.bench import Bench, image_bytes
from tests.engine.radio import LAMP, NEW, OLD
from tests.engine.test_offers import INDEX, entry, index, told
from tests.virtual_time import instantly

MIDDLE, LAST = NEW + 1, NEW + 2
BOUNDS: dict[int, dict[str, int]] = {
    NEW: {"maxFileVersion": NEW - 1},
    MIDDLE: {"minFileVersion": NEW, "maxFileVersion": NEW},
    LAST: {"minFileVersion": MIDDLE},
}


def listed(version: int, **bounds: int) -> dict[str, Any]:
    return entry(image_bytes(version), version, f"https://e.org/{version}.ota", **bounds)


def chained(mode: Any = "ask", **more: Any) -> Bench:
    """A lamp that can go from OLD to NEW, from there to MIDDLE, and from there to LAST."""
    bench = Bench(sources=[index()], mode=mode, **more)
    bench.services.documents[INDEX] = [listed(version, **bounds) for version, bounds in BOUNDS.items()]
    bench.services.files = {f"https://e.org/{version}.ota": image_bytes(version) for version in BOUNDS}
    return bench


def shown(rows: list[Update]) -> list[tuple[Any, ...]]:
    return [(row.from_version, row.to_version, row.step, row.steps, row.state) for row in rows]


WHOLE = [(OLD, NEW, 1, 3, State.SUCCEEDED), (NEW, MIDDLE, 2, 3, State.SUCCEEDED), (MIDDLE, LAST, 3, 3, State.SUCCEEDED)]


@pytest.mark.parametrize("wishes", [{}, {"version": LAST}])
@instantly
async def test_an_order_for_the_end_of_a_chain_is_one_job_of_three_steps(wishes: dict[str, Any]) -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        planned = await hub.orders(dry_run=True, **wishes)
        assert [(each.to_version, each.step, each.steps) for each in planned] == [(NEW, 1, 3), (MIDDLE, 2, 3), (LAST, 3, 3)]
        one, two, three = await hub.orders(**wishes)
        assert {each.job for each in (one, two, three)} == {one.id}
        await hub.until_state(one.id, State.TRANSFERRING)
        for each, step in ((two, 2), (three, 3)):
            assert hub.waits_for(each.id) == "predecessor"
            sentence = (await hub.desk.update(each.id)).sentence
            assert sentence == f"Step {step} of 3 waits for the step before it."
        view = await hub.desk.device(LAMP)
        assert (view.update_status, view.components[0].update) == ("updating", one.id)
        await hub.until_ended(three.id)
        assert (await hub.desk.device(LAMP)).update_status == "updated"
    assert shown(await bench.rows()) == WHOLE
    assert (bench.lamp.version, bench.lamp.downloads) == (LAST, 3)


@instantly
async def test_a_version_in_the_middle_of_a_chain_is_gone_to_and_no_further() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        made = await hub.orders(version=MIDDLE)
        assert [each.to_version for each in made] == [NEW, MIDDLE]
        await hub.until_ended(made[-1].id)
        await hub.pass_time(minutes=20)
    assert bench.lamp.version == MIDDLE


@instantly
async def test_policy_alone_climbs_a_chain_as_one_job() -> None:
    bench = chained("automatic")
    async with bench.hub() as hub:
        await hub.until(lambda: bench.lamp.version == LAST)
        await hub.pass_time(minutes=20)
    rows = await bench.rows()
    assert shown(rows) == WHOLE
    assert {row.job for row in rows} == {rows[0].id}


@instantly
async def test_one_approval_lets_a_whole_chain_go() -> None:
    bench = chained()
    bench.settings = replace(bench.settings, approval_expires=timedelta(days=3))
    async with bench.hub() as hub:
        await told(hub)
        await hub.until(lambda: len(hub.states) == 3)
        assert set(hub.states.values()) == {State.PLANNED}
        await hub.desk.approve((await bench.rows())[0].id, actor="anna")
        await hub.until(lambda: bench.lamp.version == LAST)
    assert {row.approved_by for row in await bench.rows()} == {"anna"}


@pytest.mark.parametrize("refused", [1, 2, 3])
@instantly
async def test_a_chain_is_approved_whole_or_not_at_all_where_the_disk_refuses(refused: int) -> None:
    bench = chained()
    bench.settings = replace(bench.settings, approval_expires=timedelta(days=3))
    async with bench.hub() as hub:
        await told(hub)
        await hub.until(lambda: len(hub.states) == 3)
        hub.store.refuse_at = hub.store.tried + refused
        with suppress(StoreUnavailable):
            await hub.desk.approve((await bench.rows())[0].id, actor="anna")
        assert len({each is State.PLANNED for each in hub.states.values()}) == 1


@instantly
async def test_a_step_that_fails_ends_the_job_there_and_a_retry_goes_on_to_its_end() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        _, two, three = await hub.orders()
        await hub.until_state(two.id, State.TRANSFERRING)
        bench.lamp.goes = "rejects"
        failed, last = await hub.until_ended(two.id), await hub.until_ended(three.id)
        assert failed.error is not None
        assert last.error is not None
        assert (failed.error.code, last.error.code) == ("image-rejected-by-device", "predecessor-failed")
        assert f"step 2 of 3, update {two.id}, is failed" in last.error.detail
        assert (bench.lamp.version, (await hub.desk.device(LAMP)).update_status) == (NEW, "failed")
        bench.lamp.goes = "well"
        again = await hub.desk.retry(two.id, actor="anna")
        assert (again.update.step, again.update.steps, again.update.to_version) == (1, 2, MIDDLE)
        await hub.until(lambda: bench.lamp.version == LAST)
        await hub.pass_time(minutes=5)
    assert shown(await bench.rows())[3:] == [(NEW, MIDDLE, 1, 2, State.SUCCEEDED), (MIDDLE, LAST, 2, 2, State.SUCCEEDED)]


@pytest.mark.parametrize("kind", ["progress", "activated", "version_matches"])
@instantly
async def test_a_chain_goes_on_after_a_kill_in_the_middle_of_a_step(kind: str) -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        _, two, _ = await hub.orders()
        await hub.until_state(two.id, State.TRANSFERRING)
        hub.kill_when(kind)
        await hub.until_killed()
    async with bench.hub() as hub:
        await hub.until(lambda: bench.lamp.version == LAST)
        await hub.pass_time(minutes=5)
    assert shown(await bench.rows()) == WHOLE


@instantly
async def test_a_step_that_its_source_takes_back_is_not_begun() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        one, two, three = await hub.orders()
        await hub.until_state(one.id, State.TRANSFERRING)
        bench.services.documents[INDEX] = bench.services.documents[INDEX][:1]
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(two.id)).state is State.CANCELLED
        assert (await hub.until_ended(three.id)).state is State.CANCELLED
        assert [fact.data["detail"] for fact in hub.told if fact.subject_id == two.id][-1] == "step 2 of 3: index does not offer it any more"
        await hub.pass_time(minutes=20)
    assert bench.lamp.version == NEW


@instantly
async def test_a_step_whose_file_its_source_has_replaced_is_not_begun_as_it_was_planned() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        one, two, _ = await hub.orders()
        await hub.until_state(one.id, State.TRANSFERRING)
        listed = bench.services.documents[INDEX]
        bench.services.documents[INDEX] = [listed[0], listed[1] | {"sha512": "ab" * 64}, *listed[2:]]
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(two.id)).state is State.CANCELLED
        assert (await hub.until_ended(one.id)).state is State.SUCCEEDED


@instantly
async def test_a_source_that_is_away_takes_nothing_back() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        _, _, three = await hub.orders()
        for each in BOUNDS:
            await hub.desk.add_image(image_bytes(each), file_name="x.ota", actor="anna")
        bench.services.documents.clear()
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(three.id)).state is State.SUCCEEDED


@instantly
async def test_a_step_waits_while_the_one_before_it_is_held_on_the_device() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        one, two, three = await hub.orders(activate="held")
        await hub.until_state(one.id, State.STAGED)
        await hub.pass_time(minutes=20)
        assert [hub.waits_for(each.id) for each in (two, three)] == ["predecessor", "predecessor"]
        for each in (one, two, three):
            await hub.until_state(each.id, State.STAGED)
            await hub.desk.activate(each.id, actor="anna")
            await hub.until_ended(each.id)
    assert bench.lamp.version == LAST


@instantly
async def test_what_cancels_a_step_cancels_those_behind_it_and_none_before() -> None:
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        one, two, three = await hub.orders()
        await hub.desk.cancel(two.id, actor="anna")
        assert (await hub.until_ended(three.id)).state is State.CANCELLED
        assert (await hub.until_ended(one.id)).state is State.SUCCEEDED
        await hub.pass_time(minutes=20)
    assert bench.lamp.version == NEW


@instantly
async def test_a_newer_end_takes_the_place_of_a_chain_that_policy_has_not_begun() -> None:
    bench = chained("automatic")
    async with bench.hub() as hub:
        await hub.desk.halt(actor="anna")
        await hub.until(lambda: len(hub.states) == 3)
        newest = LAST + 1
        bench.services.documents[INDEX] += [listed(newest, minFileVersion=LAST)]
        bench.services.files[f"https://e.org/{newest}.ota"] = image_bytes(newest)
        await hub.desk.refresh("index", actor="anna")
        await hub.until(lambda: len(hub.states) == 7)
        states = [row.state for row in await bench.rows()]
        assert states[:3] == [State.SUPERSEDED] * 3
        assert [row.steps for row in await bench.rows()][3:] == [4] * 4


@instantly
async def test_an_order_takes_the_place_of_a_whole_chain_that_policy_has_not_begun() -> None:
    bench = chained("automatic")
    async with bench.hub() as hub:
        await hub.desk.halt(actor="anna")
        await hub.until(lambda: len(hub.states) == 3)
        made = await hub.orders(version=NEW)
        assert [each.state for each in await bench.rows()] == [State.SUPERSEDED] * 3 + [State.QUEUED]
        assert [each.to_version for each in made] == [NEW]


@instantly
async def test_sources_whose_answer_may_be_another_now_are_asked_before_the_next_step_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "whole", False)  # as a service that is asked about one version
    bench = chained()
    async with bench.hub() as hub:
        await told(hub)
        made = await hub.orders()
        bench.services.asked.clear()
        await hub.until_ended(made[-1].id)
        await hub.pass_time(minutes=1)
    files = [f"https://e.org/{version}.ota" for version in BOUNDS]
    assert [each.url for each in bench.services.asked] == [files[0], INDEX, files[1], INDEX, files[2], INDEX]
