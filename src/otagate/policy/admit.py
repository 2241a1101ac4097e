"""Who may use the air now: which queued updates start, and for what the others wait.

Two lanes per radio: mains devices share the slots that the air can bear; slow ones (those that sleep, Z-Wave nodes that listen now and then or
speak Long Range) use a lane of their own and never keep the others waiting. Within a lane it is first come, first served, where a priority counts
as so much time of waiting; who cannot start does not hold up who can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from otagate.model.devices import Device
from otagate.model.facts import Scalar
from otagate.model.ids import DeviceId, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Priority, Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy import guards
from otagate.policy.air import ON_THE_AIR, Air, Lane, device_away, lane_of, radio_away
from otagate.policy.guards import Watch
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line, Rule

LISTENED = timedelta(days=1)
"""So long a hub must have listened before it says that a device is silent: most of those that sleep are heard at least daily."""

ASKED_LATER = "It is asked just before the update begins."

_SOURCE_REASONS = frozenset({"source_unreachable", "quota"})
"""The reasons of an update whose image could not be fetched."""

_LONGEST_BACKOFF = timedelta(hours=12)
LONGEST_OF_A_SOURCE = timedelta(days=40)
"""No pause after a failed attempt, and none that a source wants, is longer."""

_HEAD_START: Mapping[Priority, timedelta] = {"high": timedelta(hours=24), "normal": timedelta(0), "low": -timedelta(hours=24)}
"""What a priority is worth, in time of waiting: what waits for longer than that is passed by nobody who comes later, so nobody starves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that admission is asked about at one moment."""

    queue: Sequence[Update]
    running: Sequence[Update]
    air: Air
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may start now, in order, and for everybody else in the queue the verdict (`hold`) that says for what it waits.

    `asks_interlocks` and `asks_devices` (whether they are in use): whose answer is all that is missing.
    """

    admitted: tuple[UpdateId, ...]
    waiting: Mapping[UpdateId, Verdict]
    asks_interlocks: frozenset[str] = frozenset()
    asks_devices: frozenset[DeviceId] = frozenset()


@dataclass(slots=True, kw_only=True)
class _Slots:
    """The slots as they fill while the queue is read; `first_steps` is the lowest step of each job that has not ended.

    The settings of a device are asked for once, however many rules want them.
    """

    air: Air
    now: datetime
    taken: dict[Lane, int]
    busy: set[DeviceId]
    foreign: set[DeviceId]
    first_steps: Mapping[str, int]
    watch: Watch
    _settings: dict[DeviceId, PolicySettings] = field(default_factory=dict)

    def settings(self, update: Update) -> PolicySettings:
        """What holds for the device of an update; for one that is not known, what holds for all."""
        found = self._settings.get(update.device)
        if found is None:
            device = self.air.devices.get(update.device)
            found = self._settings[update.device] = PolicySettings() if device is None else self.air.policy_of(device)
        return found

    def take(self, update: Update) -> None:
        """It begins."""
        lane = lane_of(update, self.air)
        self.taken[lane] = self.taken.get(lane, 0) + 1
        self.busy.add(update.device)


def admit(queue: Sequence[Update], running: Sequence[Update], *, air: Air, now: datetime) -> Admission:
    """Choose who starts now. `queue` holds queued updates in any order, `running` those that a task works on.

    Never admits two updates of one device, and never more than a lane's slots. A running update that is paused gives its slot away; when it
    resumes it is not stopped again, so a lane may then be over its limit until somebody ends.
    """
    slots = _slots(queue, running, air, now)
    admitted: list[UpdateId] = []
    waiting: dict[UpdateId, Verdict] = {}
    for update in in_order(queue):
        verdict = next((found for rule in _RULES if (found := rule.judge((update, slots))) is not None), None)
        if verdict is None:
            slots.take(update)
            admitted.append(update.id)
        else:
            waiting[update.id] = verdict
    watch = slots.watch
    return Admission(
        admitted=tuple(admitted),
        waiting=waiting,
        asks_interlocks=frozenset(watch.asks_interlocks),
        asks_devices=frozenset(watch.asks_devices),
    )


def with_asked(admission: Admission, watch: Watch) -> Admission:
    """The same with those whose answer somebody else misses."""
    interlocks, devices = admission.asks_interlocks | watch.asks_interlocks, admission.asks_devices | watch.asks_devices
    return replace(admission, asks_interlocks=interlocks, asks_devices=devices)


def in_order(queue: Iterable[Update]) -> list[Update]:
    """A queue in the order in which it is asked who may start."""
    return sorted(queue, key=lambda each: (each.created - _HEAD_START[each.priority], each.id))


def explain(queue: Sequence[Update], running: Sequence[Update], drafts: Sequence[Update], *, air: Air, now: datetime) -> list[tuple[Line, ...]]:
    """What every rule says now of each update of the queue, in its order, and then of each draft, as if it alone were ordered beside them."""
    slots = _slots([*queue, *drafts], running, air, now)
    told: list[tuple[Line, ...]] = []
    for update in in_order(queue):
        told.append(_lines(update, slots))
        if all(line.outcome == "pass" for line in told[-1]):
            slots.take(update)
    return told + [_lines(draft, slots) for draft in drafts]


def _lines(update: Update, slots: _Slots) -> tuple[Line, ...]:
    lines: list[Line] = []
    for rule in _RULES:
        missing = len(slots.watch.asks_interlocks) + len(slots.watch.asks_devices)
        line = rule.line((update, slots))
        if len(slots.watch.asks_interlocks) + len(slots.watch.asks_devices) > missing:  # nobody is asked for an explanation
            line = Line(rule=line.rule, outcome="pass", sentence=ASKED_LATER)
        lines.append(line)
    return tuple(lines)


def given_up_at(update: Update, device: Device, settings: PolicySettings) -> datetime | None:
    """When an update is waited for no longer whose device sleeps; None where it is for ever.

    What nobody ordered is not given up, because policy would want it again.
    """
    if update.unasked or not settings.asleep_for:
        return None
    return max(each for each in (update.created, update.not_before, device.last_seen) if each is not None) + settings.asleep_for


def has_given_up(verdict: Verdict, air: Air, now: datetime) -> bool:
    """Whether nothing was heard of a device that sleeps for so long that its update is given up, by a hub that has listened, and knows the time."""
    until = verdict.facts.get("given_up")
    return until is not None and datetime.fromisoformat(str(until)) <= now and air.listened >= LISTENED and air.house.clock is None


# --- rules, the first that speaks decides -------------------------------------------------------------------------------------------------


def _halted(_: Update, slots: _Slots) -> Verdict | None:
    return hold("halted", "Everything is halted until an operator lifts it.") if slots.air.halted else None


def _paused(update: Update, slots: _Slots) -> Verdict | None:
    if update.id in slots.air.paused:
        return hold("paused", "The update is paused.")
    radio = slots.air.radios.get(update.radio)
    return None if radio is None or radio.paused is None else hold("paused", radio.paused)


def _held(update: Update, slots: _Slots) -> Verdict | None:
    return slots.air.held.get(update.id)


def _source(update: Update, slots: _Slots) -> Verdict | None:
    trouble = None if update.state.running else slots.air.trouble_of(update)
    return None if trouble is None else hold("source_unreachable", f"Its source {update.source} is left alone until that is mended: {trouble}.")


def _not_before(update: Update, slots: _Slots) -> Verdict | None:
    if update.not_before is not None and update.started is None and (unset := guards.by_the_clock(update, slots.watch)) is not None:
        return unset
    if update.not_before is None or update.not_before <= slots.now or _went_back(update, update.not_before - slots.now):
        return None
    when = update.not_before.isoformat(timespec="seconds")
    if update.started is None:
        return hold("scheduled", f"The update is scheduled for {when}.")
    if update.reason in _SOURCE_REASONS:
        return hold(update.reason, f"Its source could not be asked; that is tried again after {when}.")
    return hold("backoff", f"The last attempt failed; the next begins after {when}.")


def _went_back(update: Update, left: timedelta) -> bool:
    """Whether the rest of a pause is longer than any pause is: the clock has gone back since, and nobody waits decades for that."""
    return update.started is not None and left > (LONGEST_OF_A_SOURCE if update.reason in _SOURCE_REASONS else _LONGEST_BACKOFF)


def _cooldown(update: Update, slots: _Slots) -> Verdict | None:
    settings = slots.settings(update)
    return guards.cooling(update, settings, slots.now) or guards.undated(update, settings, slots.watch)


def _window(update: Update, slots: _Slots) -> Verdict | None:
    return guards.closed(update, slots.settings(update), slots.watch)


def _in_use(update: Update, slots: _Slots) -> Verdict | None:
    if update.device not in slots.foreign:
        return None
    return hold("in_use", "Another program updates this device through the same radio.")


def _twin(update: Update, slots: _Slots) -> Verdict | None:
    twin = next(iter(sorted(slots.air.twins.get(update.device, frozenset()) & slots.busy)), None)
    if twin is None:
        return None
    whose = "Its cloud updates the same device" if twin.startswith("tuya-") else "The same device is updated by a radio here"
    return hold("in_use", f"{whose}, as {twin}.")


def _predecessor(update: Update, slots: _Slots) -> Verdict | None:
    if update.job is not None and slots.first_steps[update.job] < update.step:
        return hold("predecessor", f"Step {update.step} of {update.steps} waits for the step before it.")
    if update.device in slots.busy:
        return hold("predecessor", "Another update of the same device goes first.")
    return None


def _radio(update: Update, slots: _Slots) -> Verdict | None:
    return radio_away(update, slots.air)


def _device(update: Update, slots: _Slots) -> Verdict | None:
    verdict = device_away(update, slots.air, slots.now)
    if verdict is None or verdict.reason != "asleep":
        return verdict
    until = given_up_at(update, slots.air.devices[update.device], slots.settings(update))
    if until is None:
        return verdict
    sentence = f"{verdict.sentence} It is given up when nothing is heard of the device until {until:%Y-%m-%d %H:%M} UTC."
    return replace(verdict, sentence=sentence, facts={"given_up": until.isoformat(timespec="seconds")})


def _slot(update: Update, slots: _Slots) -> Verdict | None:
    lane = lane_of(update, slots.air)
    radio = slots.air.radios.get(update.radio)
    if radio is None:
        return None
    limit, whom = (radio.slow, "slow devices") if lane[1] else (radio.parallel, "mains devices")
    if slots.taken.get(lane, 0) < limit:
        return None
    return hold("radio_busy", f"All {limit} transfers that {update.radio} may make to {whom} at once are running.")


def _battery(update: Update, slots: _Slots) -> Verdict | None:
    device = slots.air.devices.get(update.device)
    return None if device is None else guards.battery(update, device, slots.settings(update))


def _link(update: Update, slots: _Slots) -> Verdict | None:
    device = slots.air.devices.get(update.device)
    return None if device is None else guards.weak(update, device, slots.settings(update), slots.watch)


def _load(update: Update, slots: _Slots) -> Verdict | None:
    radio = slots.air.radios.get(update.radio)
    return None if radio is None or radio.load is None else guards.loaded(update, radio.load, slots.settings(update))


def _ends_in_time(update: Update, slots: _Slots) -> Verdict | None:
    device = slots.air.devices.get(update.device)
    return None if device is None else guards.too_late(update, device, slots.settings(update), slots.watch)


# What is told of a device that is there, has a slot, and could begin: nobody is asked for what cannot.


def _interlocks(update: Update, slots: _Slots) -> Verdict | None:
    return guards.interlocked(update, slots.settings(update), slots.watch)


def _lit(update: Update, slots: _Slots) -> Verdict | None:
    device = slots.air.devices.get(update.device)
    return None if device is None else guards.lit(update, device, slots.settings(update), slots.watch)


def _heard(case: tuple[Update, _Slots]) -> dict[str, Scalar]:
    update, slots = case
    link = slots.watch.house.links.get(update.device)
    return {} if link is None else guards.link_facts(link)


def _busy(case: tuple[Update, _Slots]) -> dict[str, Scalar]:
    update, slots = case
    radio = slots.air.radios.get(update.radio)
    return {} if radio is None or radio.load is None else guards.load_facts(radio.load)


def _on(rule: Callable[[Update, _Slots], Verdict | None]) -> Callable[[tuple[Update, _Slots]], Verdict | None]:
    return lambda case: rule(*case)


_RULES: tuple[Rule[tuple[Update, _Slots]], ...] = (
    Rule(name="halted", judge=_on(_halted), passes="Nothing is halted."),
    Rule(name="paused", judge=_on(_paused), passes="It is not paused."),
    Rule(name="rollout", judge=_on(_held), passes="No rollout and no step before it holds it back."),
    Rule(name="source", judge=_on(_source), passes="It needs no source, or its source may be asked."),
    Rule(name="time", judge=_on(_not_before), passes="Its time has come."),
    Rule(name="age", judge=_on(_cooldown), passes="Its release is old enough, or somebody wants it now."),
    Rule(name="window", judge=_on(_window), passes="It may use the air now."),
    Rule(name="foreign", judge=_on(_in_use), passes="No other program updates the device."),
    Rule(name="twin", judge=_on(_twin), passes="The device is not updated under another id."),
    Rule(name="predecessor", judge=_on(_predecessor), passes="Nothing of the same device goes first."),
    Rule(name="radio", judge=_on(_radio), passes="Its radio is up."),
    Rule(name="device", judge=_on(_device), passes="The device can be reached."),
    Rule(name="battery", judge=_on(_battery), passes="Its battery bears it, or it has none, or the order overrules that."),
    Rule(name="link", judge=_on(_link), passes="It is heard well enough, or nobody knows how well, or the order overrules that.", uses=_heard),
    Rule(name="load", judge=_on(_load), passes="Its radio has time for it, or the order overrules that.", uses=_busy),
    Rule(name="ends_in_time", judge=_on(_ends_in_time), passes="It is likely to end before its window closes, or need not."),
    Rule(name="slot", judge=_on(_slot), passes="Its radio has a slot for it."),
    Rule(name="interlocks", judge=_on(_interlocks), passes="Nobody who is asked says no."),
    Rule(name="in_use", judge=_on(_lit), passes="It need not be spared."),
)


# --- small pieces ------------------------------------------------------------------------------------------------------------------------


def _slots(queue: Sequence[Update], running: Sequence[Update], air: Air, now: datetime) -> _Slots:
    return _Slots(
        air=air,
        now=now,
        taken=_count(running, air),
        busy={each.device for each in running},
        foreign={each.device for each in running if each.foreign},
        first_steps=_first_steps(queue, running),
        watch=Watch(now=now, house=air.house),
    )


def _count(running: Sequence[Update], air: Air) -> dict[Lane, int]:
    taken: dict[Lane, int] = {}
    for update in running:
        dormant = update.state is State.OFFERING and update.device in air.asleep  # it begins when it wakes, and uses no air until then
        if update.state in ON_THE_AIR and update.id not in air.paused and not dormant:
            lane = lane_of(update, air)
            taken[lane] = taken.get(lane, 0) + 1
    return taken


def _first_steps(queue: Sequence[Update], running: Sequence[Update]) -> dict[str, int]:
    steps: dict[str, int] = {}
    for update in (*queue, *running):
        if update.job is not None:
            steps[update.job] = min(update.step, steps.get(update.job, update.step))
    return steps
