"""A hub that asks nobody outside: what is here is offered, and nothing else is asked, tried or logged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from otagate.config import load
from otagate.daemon import running
from otagate.model.errors import SourceUnavailable
from otagate.model.lifecycle import State
from otagate.net.offline import Offline
from otagate.sources.effects import Conversation, Request, Service, send
from tests.engine.bench import Bench, image_bytes
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.engine.test_offers import FILE, INDEX, entry, index, told
from tests.virtual_time import instantly

WHY = "No source outside is asked."


def offering(**more: Any) -> Bench:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, sources=[index()], **more)
    bench.services.documents[INDEX] = [entry(image_bytes(NEWER), NEWER)]
    bench.services.files[FILE] = image_bytes(NEWER)
    return bench


@instantly
async def test_nothing_outside_is_asked_and_what_is_stored_here_is_brought() -> None:
    bench = offering(offline={"index": WHY})
    async with bench.hub() as hub:
        await hub.ready()
        (view,) = await hub.desk.sources()
        assert (view.state, view.sentence, view.next_refresh, view.error) == ("offline", WHY, None, None)
        assert (await hub.desk.refresh("index", actor="anna")).state == "offline"
        await hub.add_image(NEW)
        update = await hub.until_ended((await hub.order()).update.id)
        assert (update.state, bench.lamp.version) == (State.SUCCEEDED, NEW)
        facts = len(hub.told)
        await hub.pass_time(hours=13)
        assert [fact.kind for fact in hub.told[facts:] if fact.subject == "source"] == []
    assert bench.services.asked == []
    assert [fact.data["state"] for fact in await bench.facts("state") if fact.subject == "source"] == ["offline"]


@instantly
async def test_what_was_ordered_before_waits_with_the_sentence_and_goes_on_when_the_hub_asks_again() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        await hub.desk.halt(actor="anna")
        update = (await hub.order()).update.id
    bench.services.asked.clear()
    bench.offline = {"index": WHY}
    async with bench.hub() as hub:
        await hub.ready()
        await hub.desk.lift_halt(actor="anna")
        await hub.until(lambda: hub.waits_for(update) == "source_unreachable")
        assert WHY.rstrip(".") in (await hub.desk.update(update)).sentence  # type: ignore[operator]
        await hub.pass_time(minutes=30)
        row = await hub.store.updates.get(update)
        assert (row.state, row.attempts) == (State.QUEUED, 0)
    assert bench.services.asked == []
    bench.offline = {}
    async with bench.hub() as hub:
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@pytest.mark.asyncio
async def test_whatever_a_conversation_wants_outside_is_refused_by_name() -> None:
    def talk() -> Conversation[None]:
        yield from send(Request(url="https://example.org", label="the index"))

    effect = next(talk())
    with pytest.raises(SourceUnavailable, match=r"sonoff: the index: no source outside is asked \(policy\.offline\)"):
        await Offline().send(Service(name="sonoff"), effect.request)  # type: ignore[union-attr]
    assert list(Offline().left(Service(name="sonoff"))) == []


@pytest.mark.asyncio
async def test_a_hub_that_is_offline_makes_no_connection_for_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    async def connect(*_: Any, **__: Any) -> None:
        made.append("a connection")
        raise OSError("nothing is reached here")

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect)
    (tmp_path / "index.json").write_text("[]")
    (tmp_path / "images").mkdir()
    config = tmp_path / "otagate.yaml"
    config.write_text(
        f"""
state_dir: {tmp_path / "state"}
api: {{listen: "unix:{tmp_path / "api.sock"}"}}
policy: {{offline: true}}
sources:
  - {{type: sonoff}}
  - {{type: ledvance}}
  - {{type: z2m-index, path: {tmp_path / "index.json"}}}
  - {{type: directory, path: {tmp_path / "images"}}}
"""
    )
    async with running(load(config, {})) as hub:
        async with asyncio.timeout(60):
            while {each.name: each.state for each in await hub.desk.sources()} != {
                "sonoff": "offline",
                "ledvance": "offline",
                "z2m-index": "ok",
                "directory": "ok",
            } or any(each.sentence == "not read yet" for each in await hub.desk.sources()):
                await asyncio.sleep(0.05)
        for each in ("sonoff", "z2m-index"):
            await hub.desk.refresh(each, actor="anna")
        sentences = {each.name: each.sentence for each in await hub.desk.sources()}
    assert sentences["sonoff"] == "No source outside is asked (policy.offline): what is stored here is offered."
    assert made == []
