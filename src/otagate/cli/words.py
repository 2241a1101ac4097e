"""Words for people: sizes, durations, states, and text from devices made harmless to a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

REASONS = {
    "advisory": "known to be bad: an advisory names this release",
    "ambiguous": "several releases fit; name one with --version",
    "asleep": "asleep: starts when the device wakes",
    "awaiting_approval": "waits for approval: otagate approve",
    "backoff": "failed a moment ago; tries again by itself",
    "battery_low": "the battery is too low",
    "battery_unknown": "the battery's charge is not known",
    "below_floor": "older than what the device ran before",
    "clock_unsynced": "the hub's clock is not set yet",
    "cooldown": "the release is new; policy waits",
    "halted": "everything is halted",
    "image_mismatch": "the image is for another device",
    "in_use": "the device is in use",
    "interlock": "held by an interlock",
    "link_weak": "the radio link is too weak",
    "load": "the network is busy",
    "offline": "the device is offline",
    "paused": "paused",
    "pinned": "pinned to a version",
    "predecessor": "waits for the step before",
    "quarantined": "this image failed on several devices here, or its sources contradict each other",
    "quota": "the source's quota is used up",
    "radio_busy": "waits for its turn on the radio",
    "region_mismatch": "the image is for another region",
    "scheduled": "starts at its time",
    "skipped": "this version is skipped",
    "source_unreachable": "the source cannot be reached",
    "wave": "waits for its wave",
    "window_closed": "waits for the window to open",
}


def plain(text: object) -> str:
    """Text that cannot move the cursor, colour the screen, ring or turn the line around: such characters are shown as a replacement mark."""
    return _UNPRINTABLE.sub("\ufffd", str(text))


def reason_words(reason: str | None) -> str:
    """A reason word of the API in words for people; an unknown one as it is."""
    return "" if reason is None else REASONS.get(reason, plain(reason))


def behaviour_words(told: Mapping[str, Any]) -> dict[str, str]:
    """What became of the settings of a device, for people; what there is none of is empty."""
    names = {"restored": "restored", "lost": "lost", "not compared": "not_compared"}
    return {"settings kept": str(told["kept"]), **{name: ", ".join(told[key]) for name, key in names.items()}}


def number(value: int | None) -> str:
    """A 16-bit number of a protocol, empty where there is none."""
    return "" if value is None else f"0x{value:04x}"


def size(count: float) -> str:
    """A number of bytes."""
    if count < 1000:
        return f"{count:.0f} B"
    power, unit = (1, "kB") if count < 999_950 else (2, "MB") if count < 999_950_000 else (3, "GB")
    return f"{count / 1000**power:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """A time to go or gone: the two largest units."""
    if seconds is None:
        return ""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min {left % 60:02d} s"
    if left < 86400:
        return f"{left // 3600} h {left % 3600 // 60:02d} min"
    return f"{left // 86400} d {left % 86400 // 3600} h"


def version_text(version: object) -> str:
    """A version as people write it: a 32-bit file version in hex, any other as it is."""
    return f"0x{version:08x}" if isinstance(version, int) else plain(version)


def yes(value: object) -> str:
    """A truth in one word."""
    return "yes" if value else "no"
