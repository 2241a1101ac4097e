"""An APS transmission that asks for an acknowledgement: retries, duplicate rejection and the acknowledgement's own way back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otagate_rig.aps import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

# apscAckWaitDuration of a usual stack profile; a sleeping destination gets its parent's persistence on top and no repetition.
ACK_WAIT_SECONDS = 1.6
APS_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """How one acknowledged frame travels: `carry` takes it to its destination, `carry_ack` brings the acknowledgement back.

    Both call back with the loop time of arrival, or never. `hand_over` gives the frame to the application of the destination, once.
    """

    carry: Callable[[Callable[[float], None], Callable[[], None]], None]
    carry_ack: Callable[[Callable[[float], None], float], None]
    hand_over: Callable[[float], None]


class AcknowledgedDelivery:
    """One frame until it is acknowledged or given up."""

    def __init__(self, path: Path, *, wait: float, retries: int, ended: Callable[[Delivery], None]) -> None:
        self._path = path
        self._wait = wait
        self._retries = retries
        self._ended: Callable[[Delivery], None] | None = ended
        self._handed_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Transmit, and plan the retry."""
        self._timer = self._loop.call_later(self._wait, self._unacknowledged)
        self._path.carry(self._arrived, self._expired)

    def cancel(self) -> None:
        """Stop waiting; frames on the air still arrive."""
        self._end(None)

    def _arrived(self, at: float) -> None:
        # The APS layer acknowledges before the application answers, and a repetition once more (R22 §2.2.8.4.2).
        self._path.carry_ack(self._acknowledged, at)
        if not self._handed_over:
            self._handed_over = True
            self._path.hand_over(at)

    def _acknowledged(self, _: float) -> None:
        self._end(Delivery.SUCCESS)

    def _expired(self) -> None:
        self._end(Delivery.EXPIRED)

    def _unacknowledged(self) -> None:
        if self._ended is None:
            return
        if self._retries == 0:
            self._end(Delivery.NO_APS_ACK)
        else:
            self._retries -= 1
            self.start()

    def _end(self, delivery: Delivery | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        ended, self._ended = self._ended, None
        if ended is not None and delivery is not None:
            ended(delivery)
