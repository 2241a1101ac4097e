"""What stands guard before an update begins: its window, the age of its release, its battery, who else has a word.

Each guard says for what the update waits, or nothing. An order that overrules a guard by its word passes it, one with `force` passes all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from otagate.model.devices import Device
from otagate.model.facts import Scalar
from otagate.model.ids import DeviceId
from otagate.model.links import Link, Load
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy.pace import STRANGERS, Kin, expected
from otagate.policy.settings import PolicySettings
from otagate.policy.window import AnyWindow, Hours, Opening, hours

LINK_TELLS = timedelta(hours=24)
"""So long it counts how a device was heard: then an attempt tells more than waiting does."""

LONG_RANGE_GAIN = 12
"""Decibels: so much weaker a Z-Wave Long Range receiver still hears (sensitivity of about -110 dBm, where a mesh of 100 kbit/s has -98)."""

PolicyOf = Callable[[Device], PolicySettings]
"""The settings that the configuration's rules give to a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What guards know of the world beside update and device.

    `windows` are all that there are, for orders that wait for one; `clock` says why this clock opens none. `interlocks` (by name) and `in_use` hold
    the answers that are fresh: who says no with a sentence, who says yes with None, and which device is on. `kin`: what devices of a model reached.
    `links`: how well devices were heard last.
    """

    windows: tuple[AnyWindow, ...] = ()
    clock: str | None = None
    interlocks: Mapping[str, str | None] = field(default_factory=dict)
    in_use: Mapping[DeviceId, bool] = field(default_factory=dict)
    kin: Kin = STRANGERS
    links: Mapping[DeviceId, Link] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Watch:
    """The guards at one moment: windows are looked up once, and what must still be asked is noted."""

    now: datetime
    house: House = field(default_factory=House)
    asks_interlocks: set[str] = field(default_factory=set)
    asks_devices: set[DeviceId] = field(default_factory=set)
    _hours: dict[tuple[AnyWindow, ...], Hours] = field(default_factory=dict)

    def hours_of(self, windows: tuple[AnyWindow, ...]) -> Hours:
        """How these windows stand now."""
        if windows not in self._hours:
            self._hours[windows] = hours(windows, self.now)
        return self._hours[windows]


def windows_of(update: Update, settings: PolicySettings, house: House) -> tuple[AnyWindow, ...] | None:
    """The windows that bind what an update sends; None where it may run at any time: what is only used in a window is brought at any time."""
    if update.overrules("window_closed") or (update.activate_in_window and not update.in_window):
        return None
    return settings.windows or (house.windows if update.in_window else None)


def closed(update: Update, settings: PolicySettings, watch: Watch) -> Verdict | None:
    """Hold it (`window_closed`, `clock_unsynced`) where it is bound to windows and none is open."""
    windows = windows_of(update, settings, watch.house)
    if windows is None:
        return None
    moved = " (its device uses an image as soon as it has it, so all of it waits for that)" if update.moved_to_window else ""
    return shut(windows, watch, f"No window is open for it{moved}")


def shut(windows: tuple[AnyWindow, ...], watch: Watch, what: str) -> Verdict | None:
    """Hold it (`window_closed`, `clock_unsynced`) where none of these is open; `what` begins the sentence that tells when the next one is."""
    if watch.house.clock is not None:
        return hold("clock_unsynced", watch.house.clock)
    stand = watch.hours_of(windows)
    if stand.open is not None:
        return None
    return hold("window_closed", f"{what}; {_opens(stand.next)}.", **_facts(stand.next))


def too_late(update: Update, device: Device, settings: PolicySettings, watch: Watch) -> Verdict | None:
    """Hold it (`window_closed`) where it is not likely to end before its window closes, and would in another one."""
    windows = windows_of(update, settings, watch.house)
    stand = None if windows is None else watch.hours_of(windows)
    needed = expected(update, device, watch.house.kin)
    if stand is None or stand.open is None or needed is None or fits(needed, stand, watch.now):
        return None
    left = stand.open.ends - watch.now
    sentence = f"It is likely to take {_plain(needed)}, and its window closes in {_plain(left)}; {_opens(stand.next)}."
    return hold("window_closed", sentence, needed_seconds=int(needed.total_seconds()), **_facts(stand.next))


def fits(needed: timedelta, stand: Hours, now: datetime) -> bool:
    """Whether what takes so long may begin now, in a window that is open.

    What no window is long enough for begins in the first half of one, or at any time in one that pauses what it cannot finish.
    """
    if stand.open is None:
        return False
    if now + needed <= stand.open.ends:
        return True
    longest = max(stand.open.length, stand.next.length if stand.next is not None else timedelta(0))
    return needed > longest and (stand.open.at_end == "pause" or (stand.open.ends - now) * 2 >= stand.open.length)


def cooling(update: Update, settings: PolicySettings, now: datetime) -> Verdict | None:
    """Hold what nobody ordered (`cooldown`) until its release is old enough: since its date, or since it was planned where that is not known."""
    if not update.unasked or update.release is None or update.overrules("cooldown"):
        return None
    released = update.release.released
    since = update.created if released is None else min(released, update.created)
    until = since + settings.cooldown
    if now >= until:
        return None
    sentence = f"The release is new: it is taken by itself {settings.cooldown.days} days after it came out, on {until:%Y-%m-%d}."
    return hold("cooldown", sentence, until=until.isoformat(timespec="seconds"))


def undated(update: Update, settings: PolicySettings, watch: Watch) -> Verdict | None:
    """Hold what nobody ordered (`clock_unsynced`) where its release must have an age, and nobody trusts the clock that says which."""
    if not update.unasked or update.release is None or not settings.cooldown or update.overrules("cooldown"):
        return None
    return by_the_clock(update, watch)


def by_the_clock(update: Update, watch: Watch) -> Verdict | None:
    """Hold what is bound to a time (`clock_unsynced`) while nobody trusts the clock."""
    return None if watch.house.clock is None or update.overrules("window_closed") else hold("clock_unsynced", watch.house.clock)


def battery(update: Update, device: Device, settings: PolicySettings) -> Verdict | None:
    """Hold it where the battery is too low, or where nobody ordered it and nobody knows how low (`battery_low`, `battery_unknown`)."""
    if device.power != "battery" or settings.battery_floor == 0:
        return None
    percent = device.battery_percent
    if percent is None:
        if not update.unasked or update.overrules("battery_unknown"):
            return None
        return hold("battery_unknown", "Nobody knows the charge of its battery: it waits until an operator orders or approves it.")
    if percent >= settings.battery_floor or update.overrules("battery_low"):
        return None
    sentence = f"Its battery is at {percent} %, and no update begins below {settings.battery_floor} %."
    return hold("battery_low", sentence, percent=percent, floor=settings.battery_floor)


def weak(update: Update, device: Device, settings: PolicySettings, watch: Watch) -> Verdict | None:
    """Hold it (`link_weak`) while its device is heard badly; what was heard long ago, or never, tells nothing."""
    link = watch.house.links.get(device.id)
    if link is None or update.overrules("link_weak") or abs(watch.now - link.heard) > LINK_TELLS:
        return None
    long_range = device.node is not None and device.node.long_range
    floor = settings.rssi_floor - (LONG_RANGE_GAIN if long_range else 0)
    if link.lqi is not None:
        found, least, what = link.lqi, settings.lqi_floor, "link quality of {} of 255"
    elif link.rssi is not None:
        found, least, what = link.rssi, floor, "signal of {} dBm"
    else:
        return None
    if found >= least:
        return None
    sentence = f"It was heard {_ago(watch.now - link.heard)} with a {what.format(found)}, and no update begins below {least}."
    return hold("link_weak", sentence, **link_facts(link), floor=least)


def link_facts(link: Link) -> dict[str, Scalar]:
    """How a device was heard, for an explanation."""
    return {"lqi": link.lqi, "rssi": link.rssi, "repeaters": link.repeaters, "heard": link.heard.isoformat(timespec="seconds")}


def loaded(update: Update, load: Load, settings: PolicySettings) -> Verdict | None:
    """Hold it (`load`) while its radio has enough to do with other things, or is in trouble."""
    if update.overrules("load") or max(load.used, load.refused) <= settings.load_limit:
        return None
    if load.refused >= load.used:
        what = f"its radio refused {load.refused} % of what it was given to send"
    else:
        what = f"other traffic used {load.used} % of the time on the air of its radio"
    sentence = f"In the last {_plain(timedelta(seconds=load.seconds))} {what}, and no update begins above {settings.load_limit} %."
    return hold("load", sentence, **load_facts(load), limit=settings.load_limit)


def load_facts(load: Load) -> dict[str, Scalar]:
    """What a radio had to do, for an explanation."""
    return {"used": load.used, "refused": load.refused, "seconds": load.seconds, "measured": load.measured.isoformat(timespec="seconds")}


def interlocked(update: Update, settings: PolicySettings, watch: Watch) -> Verdict | None:
    """Hold it (`interlock`) until everybody who is asked says yes."""
    if update.overrules("interlock"):
        return None
    unasked = [name for name in settings.interlocks if name not in watch.house.interlocks]
    watch.asks_interlocks.update(unasked)
    for name in settings.interlocks:
        no = watch.house.interlocks.get(name, "it is being asked")
        if no is not None:
            return hold("interlock", f"The interlock {name} holds it back: {no}.", interlock=name)
    return None


def lit(update: Update, device: Device, settings: PolicySettings, watch: Watch, what: str = "the update begins") -> Verdict | None:
    """Hold it (`in_use`) while its lamp is on, where that matters; `what` is done when it is off."""
    if not settings.spare_in_use or update.overrules("in_use"):
        return None
    if device.id not in watch.house.in_use:
        watch.asks_devices.add(device.id)
        return hold("in_use", "It is being asked whether it is on.")
    return hold("in_use", f"It is on; {what} when it is off.") if watch.house.in_use[device.id] else None


def asks_around(update: Update, settings: PolicySettings) -> bool:
    """Whether somebody is asked before its device is disturbed, so that nobody can say now that it may be disturbed later."""
    interlocked = bool(settings.interlocks) and not update.overrules("interlock")
    return interlocked or (settings.spare_in_use and not update.overrules("in_use"))


def stands_still(update: Update, settings: PolicySettings, watch: Watch, *, moving: bool) -> Verdict | None:
    """Hold a running update whose window has closed: what has not begun to move, and what moves if the window that closed says `pause`."""
    windows = windows_of(update, settings, watch.house)
    if windows is None or watch.house.clock is not None:
        return None  # what has begun is not stopped for a clock that nobody trusts
    stand = watch.hours_of(windows)
    if stand.open is not None or (moving and (stand.last is None or stand.last.at_end == "finish")):
        return None
    return hold("window_closed", f"Its window has closed; {_opens(stand.next)}.", **_facts(stand.next))


def _opens(opening: Opening | None) -> str:
    return "none opens any more" if opening is None else f"{opening.window} opens on {opening.shown(opening.begins)}"


def _facts(opening: Opening | None) -> dict[str, Scalar]:
    return {} if opening is None else {"opens": opening.begins.isoformat(timespec="seconds"), "window": opening.window}


def _ago(length: timedelta) -> str:
    return "just now" if abs(length) < timedelta(minutes=1) else f"{_plain(length)} ago"


def _plain(length: timedelta) -> str:
    minutes = max(1, round(length / timedelta(minutes=1)))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def preview(windows: Sequence[AnyWindow], now: datetime, *, most: int) -> list[Opening]:
    """The openings to come, the one that is open first: at most so many."""
    found: list[Opening] = []
    at = now
    while len(found) < most:
        stand = hours(windows, at)
        opening = stand.open or stand.next
        if opening is None:
            break
        found.append(opening)
        at = opening.ends
    return found
