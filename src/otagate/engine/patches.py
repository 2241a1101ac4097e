"""What an operator changes about a device, as a merge patch (RFC 7396): what is not given stays, what is given as None is cleared."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final

from otagate.config.kinds import format_duration
from otagate.model.devices import Channel, Device, Mode, PolicyOverride
from otagate.model.errors import PolicyRefused
from otagate.model.facts import Scalar
from otagate.model.versions import Version, display_version, version_key


class Unset(enum.Enum):
    """A patch leaves this as it is."""

    UNSET = enum.auto()


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPatch:
    """A change of a device's policy override."""

    default: Mode | Unset | None = UNSET
    retries: int | Unset | None = UNSET
    channel: Channel | Unset | None = UNSET
    cooldown: timedelta | Unset | None = UNSET
    battery_floor: int | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePatch:
    """A change of what an operator says of a device; texts are clean, versions are of the device's kind. `because` is why, for the journal."""

    name: str | Unset | None = UNSET
    room: str | Unset | None = UNSET
    groups: tuple[str, ...] | Unset | None = UNSET
    pin: Version | Unset | None = UNSET
    skipped: tuple[Version, ...] | Unset | None = UNSET
    policy: PolicyPatch | Unset | None = UNSET
    because: str | None = None


def patched(device: Device, patch: DevicePatch) -> Device:
    """The device with the patch merged into it; a name that is cleared is the model again. Raises PolicyRefused for versions of another kind."""
    changes = _given(patch)
    for version in (changes.get("pin"), *(changes.get("skipped") or ())):
        if version is not None and isinstance(version, int) != (device.protocol == "zigbee"):
            raise PolicyRefused(f"{display_version(version)} is no version that {device.id} could run: its versions are written in another way")
    if "name" in changes:
        changes["name"] = patch.name or device.model or ""
    if "groups" in changes:
        changes["groups"] = tuple(sorted(set(changes["groups"] or ())))
    if "skipped" in changes:
        changes["skipped"] = tuple(sorted(set(changes["skipped"] or ()), key=version_key))
    if isinstance(patch.policy, PolicyPatch):
        merged = replace(device.policy or PolicyOverride(), **_given(patch.policy))
        changes["policy"] = None if merged == PolicyOverride() else merged
    return replace(device, **changes)


def told_changes(before: Device, after: Device, because: str | None = None) -> dict[str, Scalar]:
    """What a patch changed, for the journal: each field as it is now, and why if that was said."""
    changed = {name: _shown(name, getattr(after, name)) for name in _NAMES if getattr(after, name) != getattr(before, name)}
    return changed if because is None else {**changed, "because": because}


_REASON = "because"
_NAMES = tuple(each.name for each in fields(DevicePatch) if each.name != _REASON)


def _given(patch: DevicePatch | PolicyPatch) -> dict[str, Any]:
    values = {each.name: getattr(patch, each.name) for each in fields(patch) if each.name != _REASON}
    return {name: value for name, value in values.items() if value is not UNSET}


def _shown(name: str, value: Any) -> Scalar:
    match value:
        case PolicyOverride():
            wanted = {each.name: getattr(value, each.name) for each in fields(value)}
            return ", ".join(
                f"{key} {format_duration(each) if isinstance(each, timedelta) else each}" for key, each in wanted.items() if each is not None
            )
        case tuple():
            return ", ".join(display_version(each) if name == "skipped" else str(each) for each in value)
        case int():
            return display_version(value)
        case _:
            return None if value is None else str(value)
