"""What would happen to devices, when, and why or why not; and which openings of windows will have to do with which of them.

The very code that decides is asked: the consultant for releases, admission for the queue. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.drafts import POLICY, draft
from otagate.engine.registry import Registry
from otagate.engine.views import Page
from otagate.model.devices import Component, Device
from otagate.model.ids import ComponentId, DeviceId, UpdateId
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.policy.admit import Scene, explain, in_order
from otagate.policy.cost import Cost, cost_of
from otagate.policy.forecast import When, foresee
from otagate.policy.guards import preview
from otagate.policy.pace import AROUND, Figure
from otagate.policy.trace import Line, decided, speaker
from otagate.policy.window import Opening
from otagate.ports import Store

Outcome = Literal["nothing", "stopped", "asks", "waits", "begins", "runs"]

_BREATH = 20
"""So many devices are looked at before others get a turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One update of the way to the newest release: of which component, from and to what."""

    component: Component
    release: Release


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentPlan:
    """What would happen to one component. `cost` is of all steps together, `minutes` with what comes around the blocks."""

    component: Component
    outcome: Outcome
    sentence: str
    reason: str | None
    release: Release | None = None
    update: Update | None = None
    steps: Sequence[Step] = ()
    when: When | None = None
    cost: Cost | None = None
    minutes: Figure | None = None
    rules: Sequence[Line] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """What would happen to a device."""

    device: Device
    components: Sequence[ComponentPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An update that is likely to begin in an opening; `update` is None for one that policy is about to make."""

    device: DeviceId
    component: ComponentId
    update: UpdateId | None
    begins: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningPlan:
    """An opening to come with what is likely to begin in it; `airtime` in seconds, all together."""

    opening: Opening
    turns: Sequence[Turn]
    airtime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlan:
    """One page of devices, and on the first one the openings to come, in order; None on the others."""

    page: Page[DevicePlan]
    openings: Sequence[OpeningPlan] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """An update that policy would make, or an operator could: `row` is the one that is planned already and waits for approval."""

    device: Device
    component: Component
    release: Release
    draft: Update
    lines: Sequence[Line]
    row: Update | None
    asks: bool


@dataclass(slots=True, kw_only=True)
class _View:
    """One moment: the scene, every row that has not ended, and what rules and forecast say of the queue."""

    scene: Scene
    rows: Mapping[tuple[DeviceId, ComponentId], Update]
    lines: dict[UpdateId, Sequence[Line]] = field(default_factory=dict)
    when: dict[UpdateId, When] = field(default_factory=dict)


class Foresight:
    """Reads, and changes nothing."""

    def __init__(self, *, store: Store, registry: Registry, consultant: Consultant, conductor: Conductor) -> None:
        self._store = store
        self._registry = registry
        self._consultant = consultant
        self._conductor = conductor

    async def device(self, device_id: DeviceId) -> DevicePlan:
        """The plan of one device; raises UnknownDevice, StoreUnavailable."""
        device = self._registry.device(device_id)
        return (await self._devices([device], await self._view()))[0]

    async def hub(self, *, limit: int, after: str = "", openings: int = 7) -> HubPlan:
        """One page of plans by device id; the first tells the openings to come. Raises StoreUnavailable."""
        view = await self._view()
        known = [each for each in self._registry.devices() if each.id > after]
        wanted = known[:limit] if after else known
        plans = await self._devices(wanted, view)
        last = known[limit - 1].id if len(known) > limit else None
        shown = None if after else self._openings(plans, view, openings)
        return HubPlan(page=Page(items=plans[:limit], last=last), openings=shown)

    def forecast(self, drafts: Sequence[Update]) -> list[ComponentPlan]:
        """What would become of drafts if they were ordered now, each beside what waits already."""
        scene = self._conductor.queue.scene()
        lines = explain(scene.queue, scene.running, drafts, air=scene.air, now=scene.now)
        when = foresee(scene.queue, scene.running, drafts, lines, air=scene.air, now=scene.now)
        waiting = len(scene.queue)
        found = []
        for each, said, time in zip(drafts, lines[waiting:], when[waiting:], strict=True):
            device = self._registry.device(each.device)
            component = device.component(each.component) or Component(id=each.component)
            found.append(_planned(device, component, each, decided(said), time, scene))
        return found

    async def _view(self) -> _View:
        rows = {(each.device, each.component): each for each in in_order(await self._store.updates.unfinished())[::-1]}
        scene = self._conductor.queue.scene()
        view = _View(scene=scene, rows=rows)
        lines = explain(scene.queue, scene.running, [], air=scene.air, now=scene.now)
        times = foresee(scene.queue, scene.running, [], lines, air=scene.air, now=scene.now)
        for update, said, when in zip(in_order(scene.queue), lines, times, strict=True):
            view.lines[update.id], view.when[update.id] = said, when
        return view

    async def _devices(self, devices: Sequence[Device], view: _View) -> list[DevicePlan]:
        found: dict[tuple[DeviceId, ComponentId], ComponentPlan | _Wish] = {}
        for number, device in enumerate(devices):
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            for component in device.components:
                found[device.id, component.id] = await self._component(device, component, view)
        plans = self._granted({key: each for key, each in found.items() if isinstance(each, _Wish)}, view)
        whole = {key: each for key, each in found.items() if isinstance(each, ComponentPlan)} | plans
        return [DevicePlan(device=each, components=[whole[each.id, part.id] for part in each.components]) for each in devices]

    async def _component(self, device: Device, component: Component, view: _View) -> ComponentPlan | _Wish:
        row = view.rows.get((device.id, component.id))
        if row is not None and row.state is not State.PLANNED:
            return self._under_way(device, component, row, view)
        choice = self._consultant.consult(device, component)
        lines = self._consultant.explain(device, component, choice)
        release, verdict = choice.chosen, choice.verdict
        if release is None:
            word: Outcome = "nothing" if verdict.code in ("already-current", "no-release") else "stopped"
            about = None if choice.about is None else choice.about.release
            return ComponentPlan(
                component=component, outcome=word, sentence=verdict.sentence, reason=verdict.reason, release=about, rules=decided(lines)
            )
        past = await self._consultant.past(device.id)
        if past.speaks_against(component.id, release):
            lines.append(Line(rule="past", outcome="ask", sentence="It did not end well on this device before: only an order takes it again."))
        else:
            lines.append(Line(rule="past", outcome="pass", sentence="Nothing that became of it on this device speaks against it."))
        asks = any(line.outcome == "ask" for line in lines)
        made = draft(device, component, release, now=view.scene.now, actor=POLICY, past=past)
        made = replace(made, approved_by="operator") if asks else made
        return _Wish(device=device, component=component, release=release, draft=made, lines=lines, row=row, asks=asks)

    def _granted(self, wishes: Mapping[tuple[DeviceId, ComponentId], _Wish], view: _View) -> dict[tuple[DeviceId, ComponentId], ComponentPlan]:
        """What would become of updates that are not made yet, each beside the queue as it is."""
        scene, drafts, waiting = view.scene, [each.draft for each in wishes.values()], len(view.scene.queue)
        said = explain(scene.queue, scene.running, drafts, air=scene.air, now=scene.now)
        when = foresee(scene.queue, scene.running, drafts, said, air=scene.air, now=scene.now)
        return {
            key: self._grant(wish, lines, time, scene)
            for (key, wish), lines, time in zip(wishes.items(), said[waiting:], when[waiting:], strict=True)
        }

    def _grant(self, wish: _Wish, said: Sequence[Line], when: When, scene: Scene) -> ComponentPlan:
        plan = _planned(wish.device, wish.component, wish.draft, decided([*wish.lines, *said]), when, scene)
        steps = [Step(component=one, release=each) for one, each in self._consultant.steps(wish.device, wish.component, wish.release)]
        plan = _whole(replace(plan, release=wish.release, steps=steps, update=wish.row), wish.device, scene)
        if not wish.asks:
            return plan
        why = next(line.sentence for line in wish.lines if line.outcome == "ask")
        return replace(plan, outcome="asks", sentence=why, reason="awaiting_approval")

    def _under_way(self, device: Device, component: Component, row: Update, view: _View) -> ComponentPlan:
        lines = view.lines.get(row.id)
        if lines is not None:
            return replace(_planned(device, component, row, decided(lines), view.when[row.id], view.scene), update=row, release=row.release)
        sentence = f"Its update is {row.state}."
        left = max(0, row.bytes_total - row.bytes_sent)
        now = When(kind="now", sentence="It runs now.", begins=row.started)
        cost = cost_of(left, component.id, device, view.scene.air.house.kin)
        return ComponentPlan(
            component=component,
            outcome="runs",
            sentence=sentence,
            reason=row.reason,
            release=row.release,
            update=row,
            when=now,
            cost=cost,
            minutes=_minutes(cost, 1),
        )

    def _openings(self, plans: Sequence[DevicePlan], view: _View, most: int) -> list[OpeningPlan]:
        """The next openings of all windows, with who is likely to begin in each."""
        to_come = [each for window in self._conductor.windows for each in preview([window], view.scene.now, most=most)]
        chosen = sorted(to_come, key=lambda each: (each.begins, each.ends, each.window))[:most]
        return [_opening_plan(each, plans) for each in chosen]


def _opening_plan(opening: Opening, plans: Sequence[DevicePlan]) -> OpeningPlan:
    turns: list[Turn] = []
    airtime = 0.0
    for plan in plans:
        for each in plan.components:
            if each.outcome not in ("begins", "waits") or each.when is None or each.when.begins is None or not _falls(each.when, opening):
                continue
            update = None if each.update is None else each.update.id
            turns.append(Turn(device=plan.device.id, component=each.component.id, update=update, begins=each.when.begins))
            airtime += each.cost.airtime.value if each.cost is not None and each.cost.airtime is not None else 0.0
    return OpeningPlan(opening=opening, turns=sorted(turns, key=lambda each: (each.begins, each.device)), airtime=airtime)


def _falls(when: When, opening: Opening) -> bool:
    """Whether it begins in this opening, of a window that binds it."""
    if when.begins is None or when.window is None:
        return False
    return opening.begins <= when.begins < opening.ends and opening.window in when.window.split(", ")


def _planned(device: Device, component: Component, update: Update, lines: Sequence[Line], when: When, scene: Scene) -> ComponentPlan:
    line = speaker(lines)
    cost = cost_of(update.bytes_total, component.id, device, scene.air.house.kin) if update.bytes_total > 0 else None
    return ComponentPlan(
        component=component,
        outcome="begins" if line is None else "waits",
        sentence=when.sentence if line is None else line.sentence,
        reason=None if line is None else line.reason,
        release=update.release,
        update=update if update.id else None,
        when=when,
        cost=cost,
        minutes=None if cost is None else _minutes(cost, 1),
        rules=lines,
    )


def _whole(plan: ComponentPlan, device: Device, scene: Scene) -> ComponentPlan:
    """The plan with what all of its steps cost together; where nobody knows the size of one, what the first costs."""
    sizes = [each.release.size for each in plan.steps]
    if len(sizes) < 2 or min(sizes) <= 0:
        return plan
    cost = cost_of(sum(sizes), plan.component.id, device, scene.air.house.kin)
    return replace(plan, cost=cost, minutes=_minutes(cost, len(sizes)))


def _minutes(cost: Cost, steps: int) -> Figure:
    return Figure(value=cost.transfer.value / 60 + AROUND.total_seconds() * steps / 60, known=cost.transfer.known)
