"""What the API is asked and answers about rollouts, and how that is made from and of the hub's own words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from otagate.api import paging
from otagate.api.documents import Document, Refusal
from otagate.api.fields import FileVersion
from otagate.api.problems import problem_of
from otagate.api.requests import MAX_ORDER, MAX_PAGE, Activate, Body, Label, Limit, Moment, Name, Query
from otagate.config.kinds import format_duration, parse_duration
from otagate.engine.views import RolloutRequest, RolloutResult, RolloutView, WaveView
from otagate.model import rollouts
from otagate.model.ids import DeviceId
from otagate.model.rollouts import DEFAULT_WAVES, MOST_WAVES, Gate, RolloutState, WaveState

RolloutCursor = Annotated[str, StringConstraints(pattern=paging.ROLLOUTS.pattern)]
RolloutName = Annotated[Label, Field(min_length=1)]
Soak = Annotated[str, StringConstraints(pattern=r"^(?:0|[1-9][0-9]{0,3}[smh]|(?:[1-9]|[12][0-9]|30)d)$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class RolloutFilters(Query):
    """Which part of the rollouts."""

    limit: Limit = MAX_PAGE
    cursor: RolloutCursor | None = None


class SelectBody(Body):
    """Whom a rollout is for: every key that is given must fit. `model` may hold `*`; without any key it is for every device."""

    model: Name | None = None
    group: Name | None = None
    radio: Name | None = None
    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_ORDER, strict=False)] | None = None


class WaveBody(Body):
    """What a wave must show: `share` of all devices; `success`, the share of its devices that must have succeeded; `error`, the share that may fail.

    `soak` (as in 24h) is for how long after that nothing more may fail; behind a `manual` gate the next wave waits for an approval.
    """

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    success: Share = 0.95
    error: Share = 0.02
    soak: Soak = "24h"
    gate: Gate = "auto"

    def plan(self) -> rollouts.WavePlan:
        """The same in the hub's words."""
        soak = timedelta(0) if self.soak == "0" else parse_duration(self.soak)
        return rollouts.WavePlan(share=self.share, success=self.success, error=self.error, soak=soak, gate=self.gate)


class RolloutBody(Body):
    """A rollout. What the shares of its waves leave over is a last wave; without waves it is one device, 5 %, 25 %, the rest.

    `activate` is as in an order of updates: a wave whose devices hold the image has shown nothing until they use it.
    """

    name: RolloutName
    select: SelectBody
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)] | FileVersion | None = None
    waves: Annotated[tuple[WaveBody, ...], Field(min_length=1, max_length=MOST_WAVES - 1, strict=False)] | None = None
    when: Literal["now", "window"] | Moment = "now"
    activate: Activate = "now"
    dry_run: bool = False

    def request(self) -> RolloutRequest:
        """The same in the hub's words."""
        chosen = self.select
        devices = None if chosen.devices is None else tuple(DeviceId(each) for each in dict.fromkeys(chosen.devices))
        return RolloutRequest(
            name=self.name,
            select=rollouts.Selection(model=chosen.model, group=chosen.group, radio=chosen.radio, devices=devices),
            version=self.version,
            waves=DEFAULT_WAVES if self.waves is None else tuple(each.plan() for each in self.waves),
            when=self.when,
            activate=self.activate,
            dry_run=self.dry_run,
        )


class Selection(Document):
    """Whom a rollout is for."""

    model: str | None
    group: str | None
    radio: str | None
    devices: tuple[str, ...] | None


class Wave(Document):
    """A wave, what it must show and how its devices did. `excused` ones were cancelled, or could not be updated for reasons that are not theirs."""

    number: int
    share: float
    success: float
    error: float
    soak: str
    gate: Gate
    state: WaveState
    opened: datetime | None
    proved: datetime | None = Field(description="since when it has shown enough: the soak is counted from there")
    devices: tuple[str, ...]
    succeeded: int
    failed: int
    excused: int
    pending: int


class Rollout(Document):
    """One order for many devices, in waves. `sentence` says why it stands where it does."""

    id: str
    name: str
    select: Selection
    version: str | None
    state: RolloutState
    sentence: str
    actor: str
    created: datetime
    finished: datetime | None
    waves: tuple[Wave, ...]


class OrderedRollout(Rollout):
    """What the order of a rollout made (for a dry run: would make; it then has no id), and the devices that are left out and why."""

    refused: tuple[Refusal, ...]
    dry_run: bool


def rollout_document(view: RolloutView) -> Rollout:
    """The document of a rollout."""
    rollout = view.rollout
    select = rollout.select
    return Rollout(
        id=rollout.id,
        name=rollout.name,
        select=Selection(model=select.model, group=select.group, radio=select.radio, devices=select.devices),
        version=rollout.version,
        state=rollout.state,
        sentence=rollout.sentence,
        actor=rollout.actor,
        created=rollout.created,
        finished=rollout.finished,
        waves=tuple(_wave(number, each) for number, each in enumerate(view.waves, 1)),
    )


def ordered_rollout(result: RolloutResult, *, dry_run: bool) -> OrderedRollout:
    """The document of what the order of a rollout made."""
    refused = tuple(Refusal(device=each.device, problem=problem_of(each.error, reason=each.reason)) for each in result.refused)
    made = rollout_document(result.rollout)
    return OrderedRollout(**{name: getattr(made, name) for name in Rollout.model_fields}, refused=refused, dry_run=dry_run)


def _wave(number: int, view: WaveView) -> Wave:
    wave, plan, found = view.wave, view.wave.plan, view.tally
    return Wave(
        number=number,
        share=round(plan.share, 4),
        success=plan.success,
        error=plan.error,
        soak=format_duration(plan.soak) if plan.soak else "0",
        gate=plan.gate,
        state=view.state,
        opened=wave.opened,
        proved=wave.proved,
        devices=wave.devices,
        succeeded=found.succeeded,
        failed=found.failed,
        excused=found.excused,
        pending=found.pending,
    )
