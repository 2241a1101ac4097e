"""How long a server takes from a block request that reaches its coordinator to the block that leaves it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otagate_rig.ota_commands import OTA_CLUSTER, Command

if TYPE_CHECKING:
    from otagate_rig.aps import ApsFrame

MAX_REMEMBERED: Final = 65_536
_CLUSTER_SPECIFIC: Final = 0x01
_FRAME_TYPE: Final = 0x03


class Turnaround:
    """The last 65,536 of them, in seconds; a request that its device had to make again was lost on the server's side, or its answer on the air."""

    def __init__(self) -> None:
        self._open: dict[int, float] = {}
        self._seconds: deque[float] = deque(maxlen=MAX_REMEMBERED)
        self.unanswered = 0

    def reached_coordinator(self, frame: ApsFrame, now: float) -> None:
        """A frame has come to the coordinator."""
        if _is(frame, Command.IMAGE_BLOCK_REQUEST):
            self.unanswered += frame.src in self._open
            self._open[frame.src] = now

    def left_coordinator(self, frame: ApsFrame, now: float) -> None:
        """A frame was handed to the air."""
        if _is(frame, Command.IMAGE_BLOCK_RESPONSE) and (asked := self._open.pop(frame.dst, None)) is not None:
            self._seconds.append(now - asked)

    def to_json(self) -> dict[str, Any]:
        """Count, percentiles in seconds (None before the first), and how many requests got no answer."""
        ordered = sorted(self._seconds)
        return {"count": len(ordered), "p50": _at(ordered, 0.50), "p99": _at(ordered, 0.99), "unanswered": self.unanswered}


def _is(frame: ApsFrame, command: Command) -> bool:
    data = frame.data
    return frame.cluster == OTA_CLUSTER and len(data) >= 3 and data[0] & _FRAME_TYPE == _CLUSTER_SPECIFIC and data[2] == command


def _at(ordered: list[float], share: float) -> float | None:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
