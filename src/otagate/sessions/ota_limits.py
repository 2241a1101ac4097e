"""What one device may get: how much in a frame, and bounds on answers and on memory for what it asks in vain."""

from __future__ import annotations

from otagate.model.quirks import Quirk
from otagate.sessions.effects import Asked
from otagate.sessions.ota_frames import BlockRequest, QueryRequest

BLOCK_STEPS = (64, 57, 50, 40)
"""Data octets of a block that fit one frame: without a source route, behind three relays (8 octets), behind any, and what every stack takes."""

_PER_SECOND = 20.0
_BURST = 100.0
_EARNED = 2.0
_TYPES = 16


def smaller_block(limit: int) -> int | None:
    """The next smaller step below `limit` octets, or None."""
    return next((step for step in BLOCK_STEPS if step < limit), None)


def block_size(asked: int, frame: int, quirk: Quirk) -> int:
    """How many of the octets that are asked for go into one answer, where a frame takes `frame` of them."""
    most = asked if quirk.block_limit is None else min(asked, quirk.block_limit)
    return asked if asked == most <= quirk.whole_up_to else min(most, frame)


def freeing_block(request: BlockRequest, size: int, quirk: Quirk) -> tuple[int, int] | None:
    """Offset and length of the answer that frees a client stuck where `request` is, or None; it lies inside the image of `size` octets.

    Only for the first block of a transfer: a client that is not freed by it, or was never stuck, gets what it asks for from then on.
    """
    if quirk.freed_by is None or (request.offset, request.max_size) != quirk.stuck_at:
        return None
    return quirk.freed_by if sum(quirk.freed_by) <= size else None


class Allowance:
    """Requests without progress: a hundred at once and twenty a second. New ground earns a little, for the repeats that loss costs."""

    __slots__ = ("_at", "_credit")

    def __init__(self) -> None:
        self._credit = _BURST
        self._at = 0.0

    def spend(self, now: float) -> bool:
        """One request; False where the device has used up what it may ask for nothing."""
        credit = min(_BURST, self._credit + (now - self._at) * _PER_SECOND)
        self._at = now
        enough = credit >= 1.0
        self._credit = credit - 1.0 if enough else credit
        return enough

    def earn(self) -> None:
        """One request that reached new ground."""
        self._credit += _EARNED  # `spend` caps it


class Notebook:
    """Which versions the device told lately: each image type once in a while, and few of them."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: dict[int, float] = {}

    def note(self, request: QueryRequest, now: float, *, every: float) -> tuple[Asked, ...]:
        """One `Asked` in `every` seconds an image type; a device that invents image types gets no more memory of ours."""
        if now - self._noted.get(request.image_type, float("-inf")) < every:
            return ()
        if len(self._noted) >= _TYPES:
            self._noted = {image_type: at for image_type, at in self._noted.items() if now - at < every}
            if len(self._noted) >= _TYPES:
                return ()
        self._noted[request.image_type] = now
        return (
            Asked(
                manufacturer_code=request.manufacturer_code,
                image_type=request.image_type,
                file_version=request.file_version,
                hardware_version=request.hardware_version,
            ),
        )
