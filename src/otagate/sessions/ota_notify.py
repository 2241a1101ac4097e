"""When one broadcast tells several devices of the image that waits for them, in place of one Image Notify each (ZCL 8, 11.13.3)."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

FEWEST = 3
"""So many devices at least make a broadcast worth the air of every router, each of which repeats it."""

ALL_ASK = 100
"""The query jitter with which every device that is meant asks."""


class Offered(NamedTuple):
    """The image that a device is told of; an Image Notify of payload type 3 names it, and no other device takes that for its own."""

    manufacturer_code: int
    image_type: int
    file_version: int


def query_jitter(*, told: int, meant: int, heeded: bool) -> int | None:
    """The query jitter of one broadcast for the `told` devices whose transfer may begin, or None where each is told by itself.

    `meant` are all that would take the broadcast for their own, those that have to wait for their turn among them. Where these are the most, it would
    only make devices ask in vain; else the jitter lets about as many ask as may begin. `heeded`: nobody within earshot mistakes a broadcast.
    """
    if not heeded or told < FEWEST or told * 2 < meant:
        return None
    return min(ALL_ASK, ceil(ALL_ASK * told / max(told, meant)))
