"""What the words of a Z-Wave node, and of the driver that speaks with it, mean for an update: two tables, and nothing is moved here.

Numbers 0 to 8 and 253 to 255 are those of the Firmware Update Meta Data Status Report (CC 0x7A, version 8); -1 is the driver's own for a node that
went silent. Errors are those of zwave-js (`ZWaveErrorCodes`).
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import NamedTuple

from otagate.model.ids import target_of
from otagate.model.lifecycle import Cause
from otagate.model.orders import Send
from otagate.model.versions import display_version, same_version
from otagate.sessions.effects import IN_USE
from otagate.sessions.zwave_words import Prepared

MOST_FRAGMENTS = 0x7FFF
"""A report number has 15 bits (CC 0x7A, Firmware Update Meta Data Report)."""

_LARGEST_FRAGMENT = 46
"""Bytes of a fragment for a node that does not tell its largest (before version 3 of the CC)."""

UNPACKED_SINCE = 47
"""From this schema on servers take every upload for an archive: a plain image would be refused, and an archive is what reaches the node unpacked."""

TIMED_OUT = -1
WAITS_FOR_ACTIVATION, DONE_WITHOUT_RESTART, DONE_RESTARTS = 253, 254, 255


class Outcome(NamedTuple):
    """What becomes of the attempt, the code of the failure that it may end as, and a sentence without its full stop."""

    cause: Cause
    code: str
    detail: str


STATUS: Mapping[int, Outcome] = {
    TIMED_OUT: Outcome(Cause.STALLED, "transfer-stalled", "the node stopped asking for fragments, or never told how the transfer ended"),
    0: Outcome(Cause.ABORTED_BY_DEVICE, "checksum-error", "the node found another checksum over the whole image"),
    1: Outcome(Cause.ABORTED_BY_DEVICE, "transfer-aborted", "the transfer was broken off: the node could not receive it, or was told to stop"),
    2: Outcome(Cause.IMAGE_REJECTED, "incompatible-image", "the node says that the image is of another manufacturer"),
    3: Outcome(Cause.IMAGE_REJECTED, "incompatible-image", "the node says that the image has another firmware id"),
    4: Outcome(Cause.IMAGE_REJECTED, "incompatible-image", "the node says that the image is for another firmware target"),
    5: Outcome(Cause.IMAGE_REJECTED, "image-rejected-by-device", "the node says that the header of the image holds wrong information"),
    6: Outcome(Cause.IMAGE_REJECTED, "image-rejected-by-device", "the node does not understand the header of the image"),
    7: Outcome(Cause.IMAGE_REJECTED, "image-too-large", "the node has not enough memory for the image"),
    8: Outcome(Cause.IMAGE_REJECTED, "incompatible-image", "the node says that the image is for another hardware version"),
    WAITS_FOR_ACTIVATION: Outcome(Cause.TRANSFERRED, "", "the node holds the whole image and waits for the word to use it"),
    DONE_WITHOUT_RESTART: Outcome(Cause.REBOOTED, "", "the node took the image and needs no restart"),
    DONE_RESTARTS: Outcome(Cause.REBOOTED, "", "the node took the image and restarts"),
}

_BUSY, _NOT_UPGRADABLE, _NO_TARGET, _NOT_STARTED, _FORMAT, _NO_ANSWER = 1500, 1501, 1502, 1503, 1506, 201

_ERRORS: Mapping[int, Outcome] = {
    _BUSY: Outcome(Cause.EXPIRED, IN_USE, "the node or the controller is busy with another update"),
    _NOT_UPGRADABLE: Outcome(Cause.DECLINED, "not-updatable", "the node says that this firmware cannot be updated"),
    _NO_TARGET: Outcome(Cause.DECLINED, "unknown-target", "the node has no such firmware target"),
    _FORMAT: Outcome(Cause.DECLINED, "image-corrupt", "the driver does not understand the file"),
    _NO_ANSWER: Outcome(Cause.EXPIRED, "device-unreachable", "the node did not answer the request to begin"),
}

# Why a node refuses to begin is one number to it and only a sentence to us (driver, error 1503).
_REFUSALS: tuple[tuple[str, Outcome], ...] = (
    ("battery", Outcome(Cause.EXPIRED, "battery-low", "the node refuses because its battery is too low")),
    ("manual authentication", Outcome(Cause.EXPIRED, "button-needed", "the node wants somebody to press its button first")),
    ("manufacturer or firmware id", Outcome(Cause.DECLINED, "incompatible-image", "the node refuses the manufacturer or the firmware id")),
    ("hardware version", Outcome(Cause.DECLINED, "incompatible-image", "the node refuses the hardware version")),
    ("fragment size", Outcome(Cause.DECLINED, "declined-by-device", "the node refuses the size of the fragments")),
)
ACTIVATION: Mapping[int, str] = {0: "the node does not know the image that it was told to use", 1: "the node could not activate the image"}
"""Status of the Firmware Update Activation Status Report; 255 is success."""


def of_status(status: int) -> Outcome:
    """What a status means. A reserved one below 253 is a failure that nobody has named; above, the specification leaves nothing."""
    return STATUS.get(status) or Outcome(
        Cause.ABORTED_BY_DEVICE, "transfer-aborted", f"the node ended the transfer with the reserved status {status}"
    )


def of_error(number: int | None, text: str) -> Outcome:
    """What it means that the driver did not begin."""
    if number == _NOT_STARTED:
        found = next((outcome for word, outcome in _REFUSALS if word in text.casefold()), None)
        return found or Outcome(Cause.EXPIRED, "declined-by-device", f"the node refuses to begin: {plain(text)}")
    known = None if number is None else _ERRORS.get(number)
    return known or Outcome(Cause.EXPIRED, "driver-error", f"the driver did not begin: {plain(text)}")


def of_metadata(order: Send, told: Prepared) -> Outcome | None:
    """Why the node would not take the image at all, by its own word before anything is sent; None where nothing speaks against it."""
    target = target_of(order.component)
    if target is None or target >= told.targets:
        return Outcome(Cause.DECLINED, "unknown-target", f"the node has {told.targets} firmware targets, and none is {order.component}")
    if target == 0 and not told.upgradable:
        return Outcome(Cause.DECLINED, "not-updatable", "the node says that its main firmware cannot be updated")
    if same_version(told.version, order.to_version):
        return Outcome(Cause.ALREADY_CURRENT, "", f"the node tells version {display_version(order.to_version or '')}")
    most = MOST_FRAGMENTS * (told.largest_fragment or _LARGEST_FRAGMENT)
    if len(order.image) > most:
        detail = f"the image has {len(order.image)} bytes, and the node takes at most {most}: {MOST_FRAGMENTS} fragments"
        return Outcome(Cause.DECLINED, "image-too-large", detail)
    return None


def crc16(image: bytes | memoryview) -> int:
    """CRC-16 over the whole image as CC 0x7A wants it: polynomial 0x1021, begun with 0x1D0F, most significant bit first."""
    return binascii.crc_hqx(image, 0x1D0F)


def plain(text: str) -> str:
    """One short line of what a driver said, without its stack."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason"]
    return "".join(each for each in lines[0] if each.isprintable())[:200].rstrip(".!")
