"""Whether a device behaves after its update as before: what it lost, what is to be given back, and what that comes to.

On, off and level are what people set all day. They are given back only in the moment after the restart that changed them, and only as they were
just before it: later nobody knows whether somebody in the room wanted them so. What a device does not answer is no loss: it is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from otagate.model.portraits import Behaviour, Care, Portrait, Setting, SettingKind

UNTOUCHED: Final = 60.0
"""Seconds after its return in which nobody is likely to have switched a device."""

_ORDER: Final[tuple[SettingKind, ...]] = (
    "group",
    "association",
    "parameter",
    "start_up_on_off",
    "start_up_level",
    "start_up_color_temperature",
    "binding",
    "reporting",
    "on_off",
    "level",
)
"""In which order settings are given back: a report goes where a binding leads, and a level is for a lamp that is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is as it was, what is not, and what the device told nothing of."""

    same: tuple[Setting, ...] = ()
    changed: tuple[Setting, ...] = ()
    unread: tuple[Setting, ...] = ()


def compare(before: Portrait, after: Portrait) -> Comparison:
    """What became of every setting that was known before. What is there only afterwards is the new firmware's own, and no loss."""
    same: list[Setting] = []
    changed: list[Setting] = []
    unread: list[Setting] = []
    for each in before.settings:
        if each.question not in after.answered:
            unread.append(each)
        elif after.value(each.kind, each.at) == each.value:
            same.append(each)
        else:
            changed.append(each)
    return Comparison(same=tuple(same), changed=tuple(changed), unread=tuple(unread))


def to_restore(changed: Sequence[Setting], care: Care, *, since_return: float | None) -> tuple[Setting, ...]:
    """What is to be given back, in order. `since_return`: seconds since the device came back, None where nobody saw it come."""
    if care != "restore":
        return ()
    fresh = since_return is not None and since_return <= UNTOUCHED
    wanted = [each for each in changed if each.lasting or fresh]
    dark = {_endpoint(each) for each in wanted if each.kind == "on_off" and each.value == "0"}  # a level would switch it on
    return tuple(sorted((each for each in wanted if each.kind != "level" or _endpoint(each) not in dark), key=lambda each: _ORDER.index(each.kind)))


def conclude(first: Comparison, given_back: Iterable[Setting], last: Comparison) -> Behaviour:
    """What the update did, by the comparison right after it and the `last` one of what had been given back.

    What was lost, given back and not heard of again is not compared: it may well be there. What people change all day is told only where it was
    given back.
    """
    tried = set(given_back)
    restored = [each.name for each in last.same if each in tried]
    unsure = [each.name for each in (*first.unread, *(each for each in last.unread if each in tried)) if each.lasting]
    lost = [each.name for each in first.changed if each.lasting and (each not in tried or each in last.changed)]
    kept = sum(each.lasting for each in first.same)
    return Behaviour(kept=kept, restored=tuple(restored), lost=tuple(lost), not_compared=tuple(unsure))


def _endpoint(setting: Setting) -> str:
    return setting.at.partition("/")[0]
