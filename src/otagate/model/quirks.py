"""Oddities of hardware, as data; loaded by the room `quirks`, injected into sessions, policy and radios."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """How one kind of device differs from the specification. Times are in seconds; `block_limit` in bytes of data a block.

    `block_limit`: never more data than this. `notify`: whether an Image Notify may be sent (some devices loop after one).
    `refusal_status`: the ZCL status of a Query Next Image Response that says no (0x98 NO_IMAGE_AVAILABLE, 0x95 ABORT).
    `block_patience`: how long the device may stay silent between blocks. `end_patience`: how long after the last block the end may take.
    `stray_end_status`: the status of the Default Response to an Upgrade End Request that nobody expected.
    """

    block_limit: int | None = None
    notify: bool = True
    refusal_status: int = 0x98
    block_patience: float | None = None
    end_patience: float | None = None
    stray_end_status: int = 0x95


PLAIN = Quirk()
