"""What the API answers about the future: plans of devices, and the openings of windows with what will begin in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import Field

from otagate.api.documents import Document, Ordered, Release
from otagate.api.rendering import release_document
from otagate.engine import foresight
from otagate.model.versions import Version, display_version
from otagate.policy import cost, forecast, pace, trace
from otagate.policy.window import AtEnd


class Figure(Document):
    """A number, and how it is known."""

    value: float
    known: pace.Known


class Rule(Document):
    """What one rule says of the case. `decides`: it is the first that does not let it pass."""

    rule: str
    outcome: trace.Outcome
    reason: str | None
    sentence: str
    facts: Mapping[str, str | int | float | bool | None]
    decides: bool


class When(Document):
    """When an update is likely to run: now, at a time, when a window opens, when its turn comes, at its device's wake, or nobody can tell.

    `begins` is the earliest of a device that sleeps; `window` is the one in which it begins.
    """

    kind: forecast.Kind
    sentence: str
    begins: datetime | None
    ends: datetime | None
    window: str | None


class Step(Document):
    """One update of the way to the newest release."""

    component: str
    from_display_version: str | None
    to_version: Version | None
    to_display_version: str
    source: str
    size: int


class ComponentPlan(Document):
    """What would happen to one component. The figures are of all steps together."""

    component: str
    outcome: foresight.Outcome = Field(
        description="nothing to do, stopped by a rule, asks for an order or approval, waits, begins by itself, or runs already"
    )
    reason: str | None
    sentence: str
    update: str | None
    from_version: Version | None
    from_display_version: str | None
    release: Release | None
    steps: tuple[Step, ...]
    when: When | None
    minutes: Figure | None
    bytes_per_second: Figure | None
    airtime_seconds: Figure | None
    air_share: Figure | None = Field(description="of the channel, while the transfer runs; 1 is all of it")
    battery_percent: Figure | None = Field(description="what it is likely to cost the battery")
    rules: tuple[Rule, ...] = Field(description="every rule of policy, in the order in which they are judged")


class DevicePlan(Document):
    """What would happen to a device, when, and why or why not."""

    device: str
    name: str
    model: str | None
    radio: str | None
    components: tuple[ComponentPlan, ...]


class PlannedOrder(Ordered):
    """What an order would make, and what would become of each of its updates."""

    plans: tuple[ComponentPlan, ...] = Field(description="of the updates, in their order")


class Turn(Document):
    """An update that is likely to begin in an opening; `update` is null for one that is about to be made."""

    device: str
    component: str
    update: str | None
    begins: datetime


class PlannedOpening(Document):
    """An opening of a window with what is likely to begin in it. Times carry the offset that the window's zone has then."""

    window: str
    begins: datetime
    ends: datetime
    zone: str
    at_end: AtEnd
    turns: tuple[Turn, ...]
    airtime_seconds: float


class HubPlan(Document):
    """A page of plans; the first page tells the openings to come, which is null on the others."""

    items: tuple[DevicePlan, ...]
    next_cursor: str | None
    openings: tuple[PlannedOpening, ...] | None


def device_plan(plan: foresight.DevicePlan) -> DevicePlan:
    """The document of the plan of a device."""
    device = plan.device
    return DevicePlan(
        device=device.id,
        name=device.name,
        model=device.model,
        radio=None if device.protocol == "cloud" else device.radio,
        components=tuple(component_plan(each) for each in plan.components),
    )


def component_plan(plan: foresight.ComponentPlan) -> ComponentPlan:
    """The document of the plan of a component."""
    version = plan.component.version
    spent: cost.Cost | None = plan.cost
    return ComponentPlan(
        component=plan.component.id,
        outcome=plan.outcome,
        reason=plan.reason,
        sentence=plan.sentence,
        update=None if plan.update is None or not plan.update.id else plan.update.id,
        from_version=version,
        from_display_version=None if version is None else display_version(version),
        release=None if plan.release is None else release_document(plan.release, installed=version),
        steps=tuple(_step(each) for each in plan.steps),
        when=None if plan.when is None else _when(plan.when),
        minutes=_figure(plan.minutes, 1),
        bytes_per_second=None if spent is None else _figure(spent.rate, 1),
        airtime_seconds=None if spent is None else _figure(spent.airtime, 1),
        air_share=None if spent is None else _figure(spent.share, 3),
        battery_percent=None if spent is None else _figure(spent.battery, 1),
        rules=tuple(_rule(each) for each in plan.rules),
    )


def opening_plan(plan: foresight.OpeningPlan) -> PlannedOpening:
    """The document of an opening to come."""
    opening = plan.opening
    return PlannedOpening(
        window=opening.window,
        begins=opening.begins.astimezone(opening.zone),
        ends=opening.ends.astimezone(opening.zone),
        zone=str(opening.zone),
        at_end=opening.at_end,
        turns=tuple(Turn(device=each.device, component=each.component, update=each.update, begins=each.begins) for each in plan.turns),
        airtime_seconds=round(plan.airtime, 1),
    )


def _step(step: foresight.Step) -> Step:
    release, version = step.release, step.component.version
    return Step(
        component=step.component.id,
        from_display_version=None if version is None else display_version(version),
        to_version=release.file_version,
        to_display_version=release.display_version,
        source=release.source,
        size=release.size,
    )


def _when(when: forecast.When) -> When:
    begins, ends = (None if each is None else each.astimezone(UTC) for each in (when.begins, when.ends))
    return When(kind=when.kind, sentence=when.sentence, begins=begins, ends=ends, window=when.window)


def _figure(figure: pace.Figure | None, digits: int) -> Figure | None:
    return None if figure is None else Figure(value=round(figure.value, digits), known=figure.known)


def _rule(line: trace.Line) -> Rule:
    return Rule(rule=line.rule, outcome=line.outcome, reason=line.reason, sentence=line.sentence, facts=line.facts, decides=line.decides)
