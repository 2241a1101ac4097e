"""Tuya Thing firmware v2.0: the firmwares of a device by channel, the order to update one, and its progress.

The document has three shapes for one answer, two names for the channel, and numbers as text; its own numbers for states differ between the
information and the progress, and both differ from those of commercial lighting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from otagate.model.clouds import UNDER_WAY, CloudChannel, CloudDevice, CloudStatus, Started
from otagate.model.errors import SourceRefused, SourceUnintelligible
from otagate.model.facts import Scalar
from otagate.sources.delegated import Looked
from otagate.sources.effects import Conversation, Service
from otagate.sources.entries import BadEntry, mapping, maybe_flag, maybe_text, maybe_whole, read_each, whole
from otagate.sources.source import Skipped
from otagate.sources.tuya_openapi import Account, TuyaRefused

STATUSES: Mapping[int, CloudStatus] = {0: "none", 1: "available", 2: "updating", 3: "updated", 4: "failed", 7: "timed_out"}
CHANNELS: Mapping[int, str] = {0: "main", 1: "bluetooth", 2: "gprs", 3: "zigbee", 5: "433 MHz", 6: "nb-iot", 9: "mcu"}
"""What a channel is; 10 to 19 are extensions."""

_SLEEPY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running update is, in percent, and what state the cloud gives it."""

    status: CloudStatus
    raw_status: int
    percent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TuyaThing:
    """Some devices of a cloud, by their ids."""

    account: Account
    device_ids: tuple[str, ...]
    name: str = "tuya-thing"

    @property
    def service(self) -> Service:
        """The account's."""
        return self.account.service

    @property
    def most_at_once(self) -> int:
        """See `Delegate.most_at_once`."""
        return 1

    def information(self, device_id: str) -> Conversation[CloudDevice]:
        """Every channel of a device. Raises SourceError."""
        result = yield from self.account.call("GET", _path(device_id), label="the firmware of a device")
        entries = _entries(result)
        read, skipped = read_each(entries, _channel, what="channel")
        if entries and not read:
            raise SourceUnintelligible(f"the firmware of a device: {skipped[0].why}")
        channels = {channel.channel: channel for channel, _ in read}
        sleepy = any(each for _, each in read)
        if sleepy:
            channels = {key: _waiting(channel) for key, channel in channels.items()}
        return CloudDevice(device_id=device_id, sleepy=sleepy, channels=tuple(channels.values()))

    def confirm(self, device_id: str, channel: str) -> Conversation[bool]:
        """Order the update of one channel, once. Raises SourceError."""
        path = f"{_path(device_id)}/{quote(channel, safe='')}"
        result = yield from self.account.call("POST", path, label="the order", idempotent=False)
        return result is True or (isinstance(result, str) and result.lower() == "true")

    def progress(self, device_id: str, channel: str) -> Conversation[Progress]:
        """How far it is. Raises SourceError."""
        result = yield from self.account.call("GET", f"{_path(device_id)}/{quote(channel, safe='')}/progress", label="the progress")
        try:
            entry = mapping(result, "the progress")
            status = whole(entry, "upgrade_status", least=-1000, most=1000)
            percent = maybe_whole(entry, "progress", least=-1, most=1000)
        except BadEntry as error:
            raise SourceUnintelligible(f"the progress: {error}") from error
        return Progress(status=STATUSES.get(status, "unknown"), raw_status=status, percent=None if percent is None else max(0, min(percent, 100)))

    # --- as a delegate --------------------------------------------------------------------------------------------------------------------

    def look(self) -> Conversation[Looked]:
        """Every configured device; one that the cloud does not know now is left out and named, and the rest are told. Raises SourceError."""
        found: list[CloudDevice] = []
        skipped: list[Skipped] = []
        for device_id in self.device_ids:
            try:
                found.append((yield from self.information(device_id)))
            except TuyaRefused as refusal:
                if not refusal.device:
                    raise
                skipped.append(Skipped(what=device_id, why=str(refusal)))
        return Looked(devices=tuple(found), skipped=tuple(skipped))

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        """One device, read anew, with the progress of what runs. Raises SourceError."""
        device = yield from self.information(device_id)
        channels: list[CloudChannel] = []
        for channel in device.channels:
            if channel.status == "updating":
                now = yield from self.progress(device_id, channel.channel)
                waits = device.sleepy and now.status == "updating" and not now.percent
                status: CloudStatus = "waiting" if waits else now.status
                channel = replace(channel, status=status, raw_status=now.raw_status, progress=now.percent)
            channels.append(channel)
        return replace(device, channels=tuple(channels))

    def start(self, device_ids: Sequence[str], channel: str) -> Conversation[Mapping[str, Started]]:
        """Order updates one by one; one that runs already is not ordered again, one that the cloud blocks is told. Raises SourceError."""
        outcome: dict[str, Started] = {}
        for device_id in device_ids:
            device = yield from self.information(device_id)
            known = next((each for each in device.channels if each.channel == channel), None)
            if known is None:
                raise SourceRefused(f"the device has no firmware channel {channel!r:.20}")
            if known.status in UNDER_WAY:
                outcome[device_id] = "already-running"
            elif known.blocked is not None:
                raise SourceRefused(f"the cloud does not update it now: {known.blocked}")
            else:
                outcome[device_id] = "started" if (yield from self.confirm(device_id, channel)) else "not-started"
        return outcome


def _path(device_id: str) -> str:
    return f"/v2.0/cloud/thing/{quote(device_id, safe='')}/firmware"


def _entries(result: Any) -> Sequence[Any]:
    """The channels: a list, one alone, or either inside an envelope of its own. Raises SourceRefused, SourceUnintelligible."""
    if isinstance(result, dict) and isinstance(result.get("success"), bool):
        if not result["success"]:
            message = maybe_text(result, "error_msg", longest=160) or "no reason"
            number = result.get("error_code")
            raise TuyaRefused(f"the firmware of a device: the cloud says {message!r}", number=number if isinstance(number, int) else 0)
        result = result.get("result")
    if result is None:
        return ()
    if isinstance(result, list):
        return result
    if isinstance(result, dict):
        return (result,)
    raise SourceUnintelligible("the firmware of a device: the answer is neither a list nor an object")


def _channel(entry: Mapping[str, Any]) -> tuple[CloudChannel, bool]:
    """A channel, and whether the device sleeps."""
    number = whole(entry, "type" if entry.get("type") is not None else "channel", most=255)
    status = whole(entry, "upgrade_status", least=-1000, most=1000)
    can = maybe_flag(entry, "can_upgrade")
    facts = {"kind": CHANNELS.get(number, "extension"), **{key: _scalar(entry.get(key)) for key in ("control_type", "upgrade_type")}}
    remind = maybe_text(entry, "remind", longest=300)
    channel = CloudChannel(
        channel=str(number),
        status=STATUSES.get(status, "unknown"),
        raw_status=status,
        current_version=maybe_text(entry, "current_version", longest=64),
        offered_version=maybe_text(entry, "version", longest=64),
        timeout=maybe_whole(entry, "timeout", most=1 << 31),
        blocked=None if can is not False else remind or "it gives no reason",
        notes=maybe_text(entry, "desc", longest=20_000),
        changed=_time(entry, "last_upgrade_time"),
        released=_time(entry, "firmware_deploy_time"),
        facts={key: value for key, value in facts.items() if value is not None},
    )
    return channel, entry.get("dev_type") in (_SLEEPY, str(_SLEEPY))


def _scalar(value: Any) -> Scalar:
    """A number or a word that is only shown, and bounded; None for anything else."""
    if isinstance(value, str):
        return value[:64]
    return value if isinstance(value, int) and abs(value) < 1 << 31 else None


def _waiting(channel: CloudChannel) -> CloudChannel:
    """A sleeping device with an order and no progress yet takes it when it wakes up."""
    return replace(channel, status="waiting") if channel.status == "updating" and not channel.progress else channel


def _time(entry: Mapping[str, Any], key: str) -> datetime | None:
    """Milliseconds since 1970, or seconds where there are too few of them; None for anything else: for what is only shown."""
    try:
        value = maybe_whole(entry, key, least=1, most=10**14 - 1)
    except BadEntry:
        return None
    if value is None:
        return None
    return datetime.fromtimestamp(value / (1000 if value >= 10**11 else 1), UTC)
