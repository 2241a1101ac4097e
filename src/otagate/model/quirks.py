"""Oddities of hardware, as data; loaded by the room `quirks`, injected into sessions, policy and radios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otagate.model.devices import Component, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """How one kind of device differs from the specification. Times are in seconds, sizes in bytes of data a block.

    `block_limit`: never more data than this. `whole_up_to`: a request for no more than this is answered with all of it, or not at all.
    `stuck_at`: offset and size of the block that only a stuck client begins with; the answer that frees it is the block `freed_by` (offset, size).
    `notify`: whether an Image Notify may be sent (some devices loop after one); `broadcast`: whether one by broadcast may pass within its hearing.
    `ota_endpoint`: where what is unasked goes, if the device has it.
    `query_patience`: how long the query after it may take. `refusal_status`: the ZCL status of a Query Next Image Response that says no
    (0x98 NO_IMAGE_AVAILABLE, 0x95 ABORT). `silent_refusal`: no is said by no answer. `block_patience`: how long the device may stay silent
    between blocks. `end_patience`: how long after the last block the end may take. `stray_end_status`: the status of the Default Response to an
    Upgrade End Request that nobody expected. `tells_version`: whether the version that it tells is the one that it runs; `version_at`: cluster and
    attribute of its maker's own where it tells the true one.
    `holds`: whether it waits with a new image until it is told to use it.
    `by_type`: the quirk of single image types, which then holds in place of this one.
    """

    block_limit: int | None = None
    whole_up_to: int = 48
    stuck_at: tuple[int, int] | None = None
    freed_by: tuple[int, int] | None = None
    notify: bool = True
    broadcast: bool = True
    ota_endpoint: int | None = None
    query_patience: float = 0.0
    refusal_status: int = 0x98
    silent_refusal: bool = False
    block_patience: float | None = None
    end_patience: float | None = None
    stray_end_status: int = 0x95
    tells_version: bool = True
    version_at: tuple[int, int] | None = None
    holds: bool = True
    by_type: tuple[tuple[int, Quirk], ...] = ()

    @property
    def heeds_broadcasts(self) -> bool:
        """Whether none of its image types mistakes an Image Notify by broadcast."""
        return all(each.notify and each.broadcast for each in (self, *(quirk for _, quirk in self.by_type)))

    def of_type(self, image_type: int | None) -> Quirk:
        """The quirk of one image type of the device."""
        if not self.by_type:
            return self
        return next((quirk for each, quirk in self.by_type if each == image_type), self)


PLAIN = Quirk()

QuirkOf = Callable[[int | None, str | None], Quirk]
"""Manufacturer code and model → quirk; what is not known yet is None."""


def quirk_for(device: Device, component: Component, quirk_of: QuirkOf) -> Quirk:
    """The quirk of one component, by what its own OTA client says of its maker."""
    return quirk_of(device.manufacturer_code_of(component), device.model).of_type(component.image_type)
