"""What a session wants done. The radio that owns the session performs each effect; a session performs none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause

IN_USE = "in-use"
"""The code of an update that did not begin because somebody else updates the device."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this ZCL frame to the device. Only the newest reply of a device counts: an older one that still waits for the air is dropped."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Announce:
    """Send this ZCL frame unasked (Image Notify, a late Upgrade End Response) to the client of this image type, with an APS acknowledgement."""

    frame: bytes
    image_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The update reached these causes, in this order; the same effect comes again, with the same token, until `committed(token)`.

    What the device asks meanwhile about this image is answered after that. `offset` is the high-water mark in bytes. `held`: the device has the
    whole image and is told to wait with it only because the update is paused. `wants_more`: it has the whole image, and wants another one before it
    uses either. `code`: what the failure is called, where the cause alone says less.
    `until`: before then there is no use in another attempt. `rest`: seconds for which the device says that it will be away.
    """

    update: UpdateId
    causes: tuple[Cause, ...]
    detail: str
    token: int
    offset: int = 0
    held: bool = False
    wants_more: bool = False
    code: str | None = None
    until: datetime | None = None
    rest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The device told, by Query Next Image, what it runs, where it knows that itself."""

    manufacturer_code: int
    image_type: int
    file_version: int | None
    hardware_version: int | None


@dataclass(frozen=True, slots=True)
class Knock:
    """The device asks for the image of a parked update."""

    update: UpdateId


Effect = Reply | Announce | Advance | Asked | Knock
Effects = tuple[Effect, ...]
NOTHING: Effects = ()
