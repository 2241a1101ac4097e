"""Images that a source takes back, and advisories that change, while the hub runs."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from otagate.config import load
from otagate.daemon import running
from otagate.engine.timers import SystemClock
from otagate.engine.views import OrderRequest
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, image_bytes
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.engine.test_offers import FILE, INDEX, OTHER, entry, index, told
from tests.virtual_time import instantly


def offering(*versions: int, **more: Any) -> Bench:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, sources=[index()], **more)
    offer(bench, *versions)
    bench.services.files = {f"{FILE}{version}": image_bytes(version) for version in (NEW, NEWER)}
    return bench


def offer(bench: Bench, *versions: int) -> None:
    bench.services.documents[INDEX] = [entry(image_bytes(version), version, f"{FILE}{version}") for version in versions]


@instantly
async def test_an_update_that_waits_ends_when_its_source_takes_the_release_back() -> None:
    bench = offering(NEW)
    async with bench.hub() as hub:
        await told(hub)
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=2))).update.id
        offer(bench)
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(update)).state is State.CANCELLED
        assert [fact.data["detail"] for fact in hub.told if fact.subject_id == update][-1] == "index does not offer it any more"
        await hub.pass_time(hours=3)
    assert (bench.lamp.version, bench.lamp.downloads) == (OLD, 0)


@instantly
async def test_an_update_that_waits_stays_when_a_newer_release_stands_beside_or_instead_of_its_own() -> None:
    bench = offering(NEW)
    async with bench.hub() as hub:
        await told(hub)
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=2))).update.id
        offer(bench, NEWER)
        await hub.desk.refresh("index", actor="anna")
        bench.services.hangs = frozenset()
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
    assert bench.lamp.version == NEW


@instantly
async def test_a_file_that_its_source_replaces_under_the_same_version_is_given_to_nobody_any_more() -> None:
    mended = image_bytes(NEW, seed=2)
    bench = Bench(lamps={LAMP: Lamp(version=OLD), OTHER: Lamp(id=OTHER, version=OLD)}, sources=[index()])
    bench.services.documents[INDEX], bench.services.files = [entry(image_bytes(NEW, seed=1))], {FILE: image_bytes(NEW, seed=1)}
    async with bench.hub() as hub:
        await told(hub)
        await hub.until_ended((await hub.order()).update.id)
        bench.services.documents[INDEX], bench.services.files = [entry(mended)], {FILE: mended}
        await hub.desk.refresh("index", actor="anna")
        (made,) = (await hub.desk.order(OrderRequest(devices=(OTHER,)), actor="anna")).updates
        done = await hub.until_ended(made.update.id)
    assert (done.state, done.image) == (State.SUCCEEDED, hashlib.sha256(mended).hexdigest())


@instantly
async def test_an_update_that_waits_ends_when_its_source_promises_other_bytes_under_the_same_version() -> None:
    bench = offering(NEW)
    async with bench.hub() as hub:
        await told(hub)
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=2))).update.id
        bench.services.documents[INDEX] = [entry(image_bytes(NEW, seed=2), NEW, f"{FILE}{NEW}")]
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(update)).state is State.CANCELLED
        details = [fact.data["detail"] for fact in hub.told if fact.subject_id == update]
        assert details[-1] == "index serves another file under this version now"


@instantly
async def test_a_source_that_is_away_takes_no_release_back() -> None:
    bench = offering(NEW)
    async with bench.hub() as hub:
        await told(hub)
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=2))).update.id
        del bench.services.documents[INDEX]
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_an_image_that_is_here_is_offered_to_nobody_when_the_source_that_brought_it_takes_it_back() -> None:
    other = Lamp(version=OLD).id
    bench = offering(NEW)
    async with bench.hub() as hub:
        await told(hub)
        await hub.until_ended((await hub.order()).update.id)
        bench.lamps[other].version = OLD  # as after a reset at its maker's
        await hub.desk.check(LAMP, actor="anna")
        offer(bench)
        await hub.desk.refresh("index", actor="anna")
        (refused,) = (await hub.desk.order(OrderRequest(devices=(LAMP,), force=True), actor="anna")).refused
        assert refused.reason == "quarantined"
        assert str(refused.error) == "index has taken it back: it offers neither this version nor a newer one any more."
        image = hub.library.images()[0].sha256
        named = await hub.desk.order(OrderRequest(devices=(LAMP,), image=image), actor="anna")
        assert not named.refused
        offer(bench, NEW)
        await hub.desk.refresh("index", actor="anna")
        assert [each.verdict.decision for each in await hub.desk.offers(LAMP)] == ["ask"]


ADVISORY = """
[[advisory]]
codes = [0x117C]
sentence = "It dies of it"
source = "us"
"""


@pytest.mark.asyncio
async def test_an_operators_advisories_are_read_again_while_the_hub_runs(tmp_path: Path) -> None:
    mine, config = tmp_path / "mine.toml", tmp_path / "otagate.yaml"
    mine.write_text(ADVISORY)
    config.write_text(f'state_dir: {tmp_path / "state"}\napi: {{listen: "unix:{tmp_path / "api.sock"}"}}\npolicy: {{advisories: {mine}}}\n')

    async with running(load(config, {})) as hub:

        async def told() -> tuple[str, str]:
            view = await hub.desk.refresh("policy.advisories", actor="anna")
            assert view.next_refresh is not None
            assert view.next_refresh - SystemClock().now() <= timedelta(seconds=30)
            return view.state, view.sentence

        assert await told() == ("ok", "1 advisories")
        mine.write_text(ADVISORY * 2)
        assert await told() == ("ok", "2 advisories")
        mine.write_text("[[advisory]]")
        state, sentence = await told()
        assert state == "degraded"
        assert sentence.endswith("the 2 advisories of before stay in force")
        mine.write_text("")
        assert await told() == ("ok", "0 advisories")
