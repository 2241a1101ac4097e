"""Lives of an update, each with its right end. They are so many because together they go along every line of the transition table."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from otagate.engine.drafts import POLICY
from otagate.engine.views import OrderRequest
from otagate.model.errors import IntegrityMismatch, SourceUnavailable
from otagate.model.ids import Sha256
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.sources.index import KINDS, Index
from tests.engine.bench import Bench, Hub, image_bytes
from tests.engine.radio import IMAGE_TYPE, LAMP, MAKER, NEW, NEWER, OLD, Lamp

Begin = Callable[[Hub], Coroutine[Any, Any, None]]
Attend = Callable[[Hub, Update], Coroutine[Any, Any, None]]
Turn = Callable[[Bench], None]

OTHER_TYPE = IMAGE_TYPE - 1
_INDEX, _FILE = "https://example.org/index.json", "https://example.org/new.ota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What becomes of an update where nobody disturbs it.

    `begins` is done until there is an update; `attends` is what an operator does whenever something has changed, and does no harm when it is done
    again; `turns` change the world when a fact of that kind is on disk, once. `ends` and `runs`: the last update, and what the lamp runs then.
    """

    begins: Begin
    ends: State = State.SUCCEEDED
    runs: tuple[int, ...] = (NEW,)
    updates: int = 1
    downloads: int = 1
    lamp: Mapping[str, Any] = field(default_factory=dict)
    bench: Mapping[str, Any] = field(default_factory=dict)
    prepare: Turn = lambda _: None
    attends: Attend | None = None
    turns: Mapping[str, Turn] = field(default_factory=dict)

    def world(self) -> Bench:
        """Where it begins: one lamp, and no hub yet."""
        bench = Bench(lamps={LAMP: Lamp(**{"seconds": 100.0} | copy.deepcopy(dict(self.lamp)))}, **self.bench)
        self.prepare(bench)
        return bench


# --- how they begin ---------------------------------------------------------------------------------------------------------------------


async def _ordered(hub: Hub) -> None:
    await hub.add_image(NEW)
    await hub.ready()
    await hub.order()


def _drafted(**fields: Any) -> Begin:
    """As nobody can order it yet, or only by a way that takes longer."""

    async def begin(hub: Hub) -> None:
        await hub.add_image(NEW)
        await hub.ready()
        plan = await hub.desk.order(OrderRequest(devices=(LAMP,), dry_run=True), actor="test")
        await hub.ledger.create([replace(plan.updates[0].update, **fields)])

    return begin


async def _wanted(hub: Hub) -> None:
    """By policy alone."""
    await hub.add_image(NEW)
    await hub.until(lambda: bool(hub.states))


async def _offered(hub: Hub) -> None:
    """What a service offers."""
    await hub.ready()
    await hub.desk.refresh("index", actor="test")
    await hub.order()


async def _ordered_for_both(hub: Hub) -> None:
    """Of a device that has asked for the image of its second processor, too, where it does not want both first."""
    await hub.add_image(NEW)
    await hub.add_image(NEW, image_type=OTHER_TYPE)
    await hub.ready()
    if not hub.bench.lamp.wants_all:
        hub.radio.ask(LAMP, OLD, OTHER_TYPE)
        await hub.until(lambda: len(hub.registry.device(LAMP).components) == 2)
    await hub.order()


# --- what operators do ------------------------------------------------------------------------------------------------------------------


async def _approves(hub: Hub, update: Update) -> None:
    if update.state is State.PLANNED:
        await hub.desk.approve(update.id, actor="test")
    elif update.state is State.STAGED:
        await hub.desk.activate(update.id, actor="test")


async def _approves_and_sees_it_come_back(hub: Hub, update: Update) -> None:
    if update.state is State.PLANNED:
        await hub.desk.approve(update.id, actor="test")
    elif update.state is State.STAGED and hub.radio.up:
        hub.bench.lamp.busy = ""
        hub.radio.announce(LAMP)


async def _approves_what_is_there_already(hub: Hub, update: Update) -> None:
    if update.state is State.PLANNED:
        hub.bench.lamp.version = NEW
        await hub.desk.check(LAMP, actor="test")
        await hub.desk.approve(update.id, actor="test")


async def _takes_back_what_waits_for_it(hub: Hub, update: Update) -> None:
    if update.ended and update.state is not State.SUCCEEDED:
        for each in await hub.bench.rows():
            if each.state is State.STAGED:
                await hub.desk.cancel(each.id, actor="test")


async def _adds_a_newer_image(hub: Hub, update: Update) -> None:
    if update.state is State.PLANNED or (update.state in (State.QUEUED, State.SUCCEEDED) and update.started is not None):
        hub.bench.mode = "automatic"
        await hub.add_image(NEWER)


# --- how the world turns ----------------------------------------------------------------------------------------------------------------


def _lamp(**fields: Any) -> Turn:
    def turn(bench: Bench) -> None:
        for name, value in fields.items():
            setattr(bench.lamp, name, value)

    return turn


def _damages_the_image(bench: Bench) -> None:
    sha256 = Sha256(hashlib.sha256(image_bytes(NEW)).hexdigest())
    bench.cache.broken[sha256] = IntegrityMismatch("the disk changed it")


def _lists_a_file_that_is_away(bench: Bench) -> None:
    data = image_bytes(NEW)
    entry = {"fileName": "new.ota", "fileVersion": NEW, "fileSize": len(data), "url": _FILE, "imageType": IMAGE_TYPE, "manufacturerCode": MAKER}
    bench.sources = [Index(kind=KINDS["z2m-index"], url=_INDEX, name="index")]
    bench.services.documents[_INDEX] = [entry | {"sha512": hashlib.sha512(data).hexdigest()}]
    bench.services.files[_FILE] = SourceUnavailable("the service is away")


def _brings_the_file(bench: Bench) -> None:
    bench.services.files[_FILE] = image_bytes(NEW)


_PLANNED = {"begins": _drafted(state=State.PLANNED, hold_activation=True)}
_FAILS = {"begins": _ordered, "ends": State.FAILED, "runs": (OLD,), "bench": {"retries": 1}}

LIVES: dict[str, Life] = {
    "goes well": Life(begins=_ordered),
    "wanted by policy": Life(begins=_wanted, bench={"mode": "automatic"}),
    "planned and held": Life(**_PLANNED, attends=_approves),
    "held and used without a word": Life(**_PLANNED, attends=_approves_and_sees_it_come_back, turns={"transferred": _lamp(version=NEW)}),
    "there already when it is admitted": Life(begins=_drafted(state=State.PLANNED), attends=_approves_what_is_there_already),
    "there already when it is offered": Life(begins=_ordered, turns={"admitted": _lamp(version=NEW)}),
    "used without a word": Life(begins=_ordered, lamp={"goes": "leaves"}),
    "not heeded at first": Life(begins=_ordered, lamp={"asks": False}, turns={"expired": _lamp(asks=True)}),
    "aborted by the device once": Life(begins=_ordered, lamp={"goes": "aborts"}, turns={"aborted_by_device": _lamp(goes="well")}),
    "fetched later": Life(begins=_offered, prepare=_lists_a_file_that_is_away, turns={"fetch_failed": _brings_the_file}),
    "of two processors": Life(begins=_ordered_for_both, lamp={"others": {OTHER_TYPE: OLD}}, updates=2, downloads=2),
    "of two processors at once": Life(
        begins=_ordered_for_both, attends=_takes_back_what_waits_for_it, lamp={"others": {OTHER_TYPE: OLD}, "wants_all": True}, updates=2, downloads=2
    ),
    "overtaken in the queue": Life(
        begins=_wanted, attends=_adds_a_newer_image, bench={"mode": "automatic"}, lamp={"goes": "stalls"}, turns={"stalled": _lamp(goes="well")},
        runs=(NEWER,), updates=2, downloads=2,
    ),
    "overtaken before it was approved": Life(
        begins=_drafted(state=State.PLANNED, actor=POLICY), attends=_adds_a_newer_image, runs=(NEWER,), updates=2, downloads=2,
    ),
    "of a damaged image": Life(**_FAILS, prepare=_damages_the_image),
    "declined": Life(**_FAILS, lamp={"goes": "declines"}),
    "stalled too often": Life(**_FAILS, lamp={"goes": "stalls"}),
    "rejected by the device": Life(**_FAILS, lamp={"goes": "rejects"}, downloads=2),  # one that was not heard downloads again to say it again
    "in vain": Life(**_FAILS, lamp={"boots": "old"}),
    "of a device that never comes back": Life(**_FAILS, lamp={"boots": "never"}),
    "of a device that tells nothing after it": Life(**_FAILS | {"runs": (OLD, NEW)}, turns={"activated": _lamp(there=False)}),
}  # fmt: skip
