"""When a rollout goes on: which devices are in which wave, how a wave did, and what follows from that.

The waves are drawn by a hash of device and image, so that the same rollout always has the same waves and no image always meets the same devices
first. What fails because a radio, a source or the hub failed says nothing about the image: it counts neither for nor against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import floor
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId
from otagate.model.lifecycle import State
from otagate.model.rollouts import Rollout, RolloutState, Tally, Wave, WavePlan, WaveState
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold

INFRASTRUCTURE = frozenset(
    {
        "driver-error",
        "internal",
        "predecessor-failed",
        "quota",
        "radio-error",
        "radio-in-use",
        "radio-unavailable",
        "source-error",
        "source-misconfigured",
        "source-refused",
        "source-unintelligible",
        "source-unreachable",
        "store-error",
        "store-unavailable",
        "version-unprovable",
        "wrong-network",
    }
)
"""Codes of failures that say nothing about the image; a step that was not begun is told by the one before it."""

_SLACK = 1e-9  # 0.29 * 100 is 28.999…


Action = Literal["wait", "prove", "open", "ask", "pause", "finish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done with a rollout now: `prove` or `open` the wave of this index, `ask` an operator, `pause`, `finish`, or `wait`.

    `until`: when waiting alone changes something.
    """

    action: Action
    sentence: str
    wave: int = 0
    until: datetime | None = None


# --- who is in which wave -----------------------------------------------------------------------------------------------------------------


def draw_waves(devices: Mapping[DeviceId, str], plans: Sequence[WavePlan]) -> tuple[Wave, ...]:
    """Give every device a wave. `devices` with what names its image: a digest, or the version where nobody promised one.

    A wave has at least one device while there are any; what the shares leave over is a last wave that must show what the one before it had to.
    """
    order = sorted(devices, key=lambda device: hashlib.sha256(f"{device} {devices[device]}".encode()).digest())
    waves: list[Wave] = []
    at = 0
    for plan in plans:
        end = min(len(order), at + max(1, floor(plan.share * len(order) + _SLACK)))
        if end > at:
            waves.append(Wave(plan=plan, devices=tuple(order[at:end])))
        at = end
    if at < len(order):
        last = replace(plans[-1], share=(len(order) - at) / len(order))
        waves.append(Wave(plan=last, devices=tuple(order[at:])))
    return tuple(waves)


# --- how a wave did -----------------------------------------------------------------------------------------------------------------------


def tally(wave: Wave, updates: Iterable[Update]) -> Tally:
    """How the devices of a wave did, by the updates of the rollout; of one component only the newest counts, so a retry takes the place of a failure.

    A device counts as failed when one of its components did, or lost settings that could not be given back, and as succeeded when none is left that
    did not. A device without any update (its order was taken back) is excused.
    """
    newest: dict[tuple[DeviceId, ComponentId], Update] = {}
    for update in sorted(updates, key=lambda each: each.id):
        before = newest.get((update.device, update.component))
        if before is None or before.job is None or before.job != update.job or not update.not_begun:
            newest[update.device, update.component] = update
    of: dict[DeviceId, list[str]] = {device: [] for device in wave.devices}
    for update in newest.values():
        if update.device in of:
            of[update.device].append(_outcome(update))
    counts = dict.fromkeys(("succeeded", "failed", "excused", "pending"), 0)
    for outcomes in of.values():
        counts[next((word for word in ("failed", "pending", "excused") if word in outcomes), "succeeded" if outcomes else "excused")] += 1
    return Tally(**counts)


def _outcome(update: Update) -> str:
    if not update.ended:
        return "pending"
    if update.state is State.SUCCEEDED:
        return "failed" if update.behaviour is not None and update.behaviour.lost else "succeeded"
    if update.state is State.FAILED and (update.error is None or update.error.code not in INFRASTRUCTURE):
        return "failed"
    return "excused"


def wave_state(wave: Wave, found: Tally) -> WaveState:
    """Where a wave stands, in hawkBit's words."""
    if wave.opened is None:
        return "scheduled"
    if _failed_too_often(wave, found):
        return "error"
    return "finished" if wave.proved is not None and found.pending == 0 else "running"


# --- what follows -------------------------------------------------------------------------------------------------------------------------


def judge_rollout(rollout: Rollout, tallies: Sequence[Tally], now: datetime) -> Step:
    """What is to be done with a rollout that runs; `tallies` of its waves, in order.

    The waves that are open already are looked at first: a device that fails late stops what would come next.
    """
    opened = rollout.opened
    for index in range(opened):
        if _failed_too_often(rollout.waves[index], tallies[index]):
            return Step(action="pause", sentence=_too_many(rollout.waves[index], index, tallies[index]), wave=index)
    if opened == 0:
        return _open(rollout, 0)
    current, wave, found = opened - 1, rollout.waves[opened - 1], tallies[opened - 1]
    if wave.proved is None:
        return _judge_success(current, wave, found, last=opened == len(rollout.waves))
    if wave.proved > now:
        return Step(action="prove", sentence=f"Wave {opened} has shown enough; the clock has gone back since, so it counts from now.", wave=current)
    if opened == len(rollout.waves):
        pending = sum(each.pending for each in tallies)
        if pending:
            return Step(action="wait", sentence=f"All waves are open; {_devices(pending)} still to come.")
        return Step(action="finish", sentence=_ended(tallies))
    ready = wave.proved + wave.plan.soak
    if now < ready:
        return Step(action="wait", sentence=f"Wave {opened} has shown enough; wave {opened + 1} opens after {_time(ready)}.", until=ready)
    if wave.plan.gate == "manual":
        return Step(action="ask", sentence=f"Wave {opened} has shown enough; wave {opened + 1} waits for an operator's approval.", wave=opened)
    return _open(rollout, opened)


def _judge_success(index: int, wave: Wave, found: Tally, *, last: bool) -> Step:
    counted = found.total - found.excused
    needed = wave.plan.success
    if counted > 0 and found.succeeded + _SLACK >= needed * counted:
        return Step(action="prove", sentence=f"{found.succeeded} of {counted} devices of wave {index + 1} succeeded.", wave=index)
    if found.pending:
        return Step(
            action="wait", sentence=f"Wave {index + 1} is under way: {found.succeeded} of {_devices(counted)} succeeded, {found.pending} to come."
        )
    if last:
        return Step(action="prove", sentence=f"The last wave has ended: {found.succeeded} of {_devices(counted)} succeeded.", wave=index)
    if counted == 0:
        why = f"No device of wave {index + 1} could show anything: its updates were cancelled or could not be carried out."
    else:
        why = f"Only {found.succeeded} of {_devices(counted)} of wave {index + 1} succeeded, and {needed:.0%} must."
    return Step(action="pause", sentence=f"{why} Resume it to go on all the same, or stop it.", wave=index)


def _failed_too_often(wave: Wave, found: Tally) -> bool:
    counted = found.total - found.excused
    return counted > 0 and found.failed - wave.forgiven > wave.plan.error * counted + _SLACK


def _too_many(wave: Wave, index: int, found: Tally) -> str:
    counted = found.total - found.excused
    return (
        f"{found.failed} of {_devices(counted)} of wave {index + 1} failed, and at most {wave.plan.error:.0%} may: "
        "no other device begins. See what went wrong, then resume it to go on all the same, or stop it."
    )


def _open(rollout: Rollout, index: int) -> Step:
    wave = rollout.waves[index]
    return Step(action="open", sentence=f"Wave {index + 1} of {len(rollout.waves)} is open: {_devices(len(wave.devices))}.", wave=index)


def _ended(tallies: Sequence[Tally]) -> str:
    succeeded, failed = sum(each.succeeded for each in tallies), sum(each.failed for each in tallies)
    excused = sum(each.excused for each in tallies)
    rest = f", {excused} could not be carried out or were cancelled" if excused else ""
    return f"All waves have ended: {succeeded} succeeded, {failed} failed{rest}."


def hold_of(update: Update, rollout: Rollout) -> Verdict | None:
    """For what an update that has not begun waits because of its rollout; None where it may begin."""
    if rollout.state is RolloutState.HALTED:
        return hold("halted", f"Rollout {rollout.name!r} is halted until an operator resumes it.")
    if update.wave >= rollout.opened and not rollout.state.ended:
        return hold("wave", f"Wave {update.wave + 1} of rollout {rollout.name!r} is not open yet. {rollout.sentence}")
    if rollout.state is RolloutState.PAUSED:
        return hold("paused", f"Rollout {rollout.name!r} is paused: {rollout.sentence}")
    return None


# --- what an operator makes of it ---------------------------------------------------------------------------------------------------------


def forgive(rollout: Rollout, tallies: Sequence[Tally], now: datetime) -> Rollout:
    """The rollout as an operator wants it to go on who has seen its failures: those so far count no more, and a wave that ended has shown enough."""
    waves = [
        wave
        if wave.opened is None
        else replace(wave, forgiven=found.failed, proved=now if wave.proved is None and found.pending == 0 else wave.proved)
        for wave, found in zip(rollout.waves, tallies, strict=True)
    ]
    return replace(rollout, waves=tuple(waves), state=RolloutState.RUNNING)


def with_wave_opened(rollout: Rollout, index: int, now: datetime) -> Rollout:
    """The rollout with one more wave open; all before it have shown enough."""
    waves = [
        replace(wave, opened=wave.opened or now, proved=wave.proved or (now if at < index else None)) if at <= index else wave
        for at, wave in enumerate(rollout.waves)
    ]
    return replace(rollout, waves=tuple(waves), state=RolloutState.RUNNING)


def _devices(count: int) -> str:
    return f"{count} device" if count == 1 else f"{count} devices"


def _time(when: datetime) -> str:
    return when.isoformat(timespec="minutes")
