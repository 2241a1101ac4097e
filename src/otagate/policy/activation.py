"""When a device uses the image that it holds: whether it can be made to wait with it at all, and when that wait is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.devices import Component, Device
from otagate.model.quirks import Quirk
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy import guards
from otagate.policy.air import Air, unreachable
from otagate.policy.guards import Watch
from otagate.policy.settings import PolicySettings

_OUT_OF_BAND = (
    "The device says that it uses a new image only in a way of its own, such as a button or its maker's app, so nobody here can tell it when."
    " Order it to be used now: it is brought the image, and uses it in its way."
)
_WANTS_MORE = "The device holds the image and wants another one before it uses them."
_TOGETHER = "the device was told to use all its images"
_UNASKED = "Should it hear nothing of the hub for long, it uses it by itself, as it says."

Wish = Literal["now", "window", "held"] | datetime
"""When an image is used that a device has: at once, in its window, at that time, or when somebody says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """How an update is made that is used as was wished: the fields of `Update` with these names. `not_before` and `in_window` bind its beginning."""

    hold_activation: bool = False
    activate_in_window: bool = False
    activate_from: datetime | None = None
    in_window: bool = False
    not_before: datetime | None = None


def stage(wish: Wish, device: Device, component: Component, quirk: Quirk, *, force: bool = False) -> Staging | Verdict:
    """What a wish comes to for this component, or why it is refused.

    A device that uses an image as soon as it has it cannot hold one: what was to be used in a window or at a time is then brought only then. One that
    uses it only in a way of its own is refused whatever was wished but now.
    """
    if wish == "now":
        return Staging()
    if component.activation == "out_of_band" and not force:
        return Verdict(decision="refuse", sentence=_OUT_OF_BAND)
    why = None if force else cannot_hold(device, component, quirk)
    if why is None:
        begins = wish if isinstance(wish, datetime) else None
        return Staging(hold_activation=True, activate_in_window=wish == "window", activate_from=begins)
    if wish == "held":
        sentence = f"{why}. Order it to be used in a window or at a time: it is then brought only then."
        return Verdict(decision="refuse", sentence=sentence)
    if wish == "window":
        return Staging(activate_in_window=True, in_window=True)
    return Staging(not_before=wish)


def cannot_hold(device: Device, component: Component, quirk: Quirk) -> str | None:
    """Why the component cannot be made to wait with an image, or None where nothing speaks against it."""
    if device.protocol == "cloud":
        return "Its own cloud updates the device, and has it use an image at once"
    if component.holds is False:
        return "The device uses a new image as soon as it has it, as it showed before, so it cannot hold one"
    if component.activation == "at_once" and device.protocol == "zigbee":
        return "zigbee2mqtt has the device use a new image as soon as it has it, so it cannot hold one"
    if component.activation == "at_once":
        return "The node uses a new image as soon as it has it: its Firmware Update command class knows no activation, so it cannot hold one"
    if component.activation == "server":
        return None
    if not quirk.holds and component.holds is None:
        return "Devices of this kind use a new image as soon as they have it, so they cannot hold one"
    return None


def judge_activation(update: Update, settings: PolicySettings, *, air: Air, watch: Watch, used: bool = False) -> Verdict:
    """Whether a staged update is used now (`allow`), or for what it waits. Nothing that stands still (paused, halted) is asked about.

    An operator's word counts more than windows and times; a device that nothing reaches is told when it is heard, or asks by itself. One that wants
    another image first uses all of them together: `used` says that it was told so.
    """
    if update.wants_more:
        return Verdict(decision="allow" if used else "hold", sentence=_TOGETHER if used else _WANTS_MORE)
    waits = None if update.released_by is not None or update.activation_owed else _unreleased(update, settings, air, watch)
    waits = waits or unreachable(update, air, watch.now) or spared(update, settings, air=air, watch=watch)  # nobody is asked for what cannot be done
    return waits or Verdict(decision="allow", sentence=_WHY[_kind(update)])


def spared(update: Update, settings: PolicySettings, *, air: Air, watch: Watch) -> Verdict | None:
    """Hold it (`interlock`, `in_use`) while its device may not be disturbed, whoever gave the word to use what it holds.

    Only an order or a word that overrules the guard by its name passes it. What it would cost to bring the image is no question any more.
    """
    device = air.devices.get(update.device)
    lit = None if device is None else guards.lit(update, device, settings, watch, "the image is used")
    return guards.interlocked(update, settings, watch) or lit


def _unreleased(update: Update, settings: PolicySettings, air: Air, watch: Watch) -> Verdict | None:
    """For what the word waits."""
    if not update.hold_activation:
        return Verdict(decision="hold", sentence=_WANTS_MORE)
    if update.activate_from is not None:
        if watch.house.clock is not None:
            return hold("clock_unsynced", watch.house.clock)
        if update.activate_from <= watch.now:
            return None
        when = update.activate_from.isoformat(timespec="seconds")
        return hold("scheduled", f"The device holds the image and is told to use it at {when}.")
    if update.activate_in_window:
        return guards.shut(settings.windows or watch.house.windows, watch, "The device holds the image and uses it in its window")
    sentence = "The device holds the image and waits for the word to use it."
    return Verdict(decision="hold", sentence=f"{sentence} {_UNASKED}" if _applies_unasked(update, air) else sentence)


def _applies_unasked(update: Update, air: Air) -> bool:
    device = air.devices.get(update.device)
    component = None if device is None else device.component(update.component)
    return component is not None and component.applies_unasked is True


_WHY = {
    "released": "an operator gave the word",
    "owed": "what held it back has ended",
    "scheduled": "the time has come to use it",
    "window": "its window is open",
}


def _kind(update: Update) -> str:
    if update.released_by is not None:
        return "released"
    if update.activation_owed:
        return "owed"
    return "window" if update.activate_in_window else "scheduled"


def wish_of(update: Update) -> Wish:
    """What was wished when the update was ordered."""
    if update.activate_from is not None:
        return update.activate_from
    return "window" if update.activate_in_window else "held" if update.hold_activation else "now"
