"""The air: how long an 802.15.4 frame takes, and one channel that everybody in range shares.

The channel is a reservation book, not a lock: a frame gets the first free moment after all that were offered before it, so every hop costs one
timer and no task. A frame is known to its receiver by the time at which the model says that it ends; what the receiver sends in return is
reserved from that time on, which keeps the millisecond steps of the event loop's timers out of the model.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

US_PER_BYTE = 32
PHY_HEAD = 6
CSMA_MEAN_US = 1_120
CCA_US = 128
TURNAROUND_US = 192
ACK_US = 192 + 352
RELAY_SECONDS = 0.001
# MAC 11 + NWK 8 + network security 18 + APS 8
FRAME_OVERHEAD = 45
ASDU_LIMIT = 82
APS_ENCRYPTION = 9
MAC_RETRIES = 3
HALF_TIMER_STEP = 0.0005


def asdu_limit(*, relays: int | None = None, encrypted: bool = False) -> int:
    """Return the largest ASDU in bytes that fits one frame; `relays` counts those of a source route, None without one."""
    return ASDU_LIMIT - _options(relays, encrypted=encrypted)


def airtime(asdu: int, *, relays: int | None = None, encrypted: bool = False, acked: bool = True) -> float:
    """Return the seconds that one frame with an ASDU of `asdu` bytes holds the channel for one hop."""
    size = FRAME_OVERHEAD + asdu + _options(relays, encrypted=encrypted)
    microseconds = CSMA_MEAN_US + CCA_US + TURNAROUND_US + (size + PHY_HEAD) * US_PER_BYTE + (ACK_US if acked else 0)
    return microseconds / 1_000_000


def _options(relays: int | None, *, encrypted: bool) -> int:
    return (0 if relays is None else 2 + 2 * relays) + (APS_ENCRYPTION if encrypted else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirSettings:
    """How the simulated world runs.

    `speedup` 1.0 is real time, 10 ten times faster, None (or 0) no airtime at all. `loss` is the share of APS frames, acks included, that vanish
    on their way whatever the MAC did; `mac_loss` is the share of transmissions per hop that the MAC has to repeat, up to three times.
    `timers` is how much faster the devices' own clocks run (time-outs, polls, reboots): as `speedup` where it is None, ten times without airtime.
    `server_clock` is how much faster the clock of the server under test runs: it rules the times that the server gives.
    """

    speedup: float | None = 1.0
    loss: float = 0.0
    mac_loss: float = 0.0
    seed: int = 0
    timers: float | None = None
    server_clock: float = 1.0

    @property
    def clock(self) -> float:
        """Device seconds per second of the event loop."""
        return self.timers or self.speedup or 10.0


@dataclass(slots=True)
class AirCounters:
    """What has been on the air."""

    frames: int = 0
    lost: int = 0
    repeated: int = 0
    busy_seconds: float = 0.0  # of the simulated channel


class Air:
    """One collision domain."""

    def __init__(self, settings: AirSettings) -> None:
        self.settings = settings
        self.counters = AirCounters()
        self._random = random.Random(settings.seed)  # noqa: S311 - a simulation wants repeatable dice
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._speedup = settings.speedup or None

    def lose(self) -> bool:
        """Throw the dice for one APS frame."""
        lost = self.settings.loss > 0 and self._random.random() < self.settings.loss
        self.counters.lost += lost
        return lost

    def send(self, hop_seconds: float, hops: int, arrived: Callable[[float], None], *, at: float | None = None) -> None:
        """Carry a frame over `hops` hops of `hop_seconds` each and call `arrived` with the loop time at which it ends.

        The frame is offered to the channel at loop time `at`, or now where the sender has no time of its own.
        """
        self.counters.frames += 1
        if self._speedup is None:
            self.counters.busy_seconds += hop_seconds * hops
            self._loop.call_soon(arrived, self._loop.time())
            return
        self._hop(hop_seconds, hops, arrived, at)

    def _hop(self, hop_seconds: float, hops: int, arrived: Callable[[float], None], at: float | None) -> None:
        seconds = hop_seconds * self._attempts()
        self.counters.busy_seconds += seconds
        scale = self._speedup or 1.0
        ends = max(self._free_at, self._loop.time() if at is None else at) + seconds / scale
        self._free_at = ends
        # The selector rounds its waits up to whole milliseconds: aiming half a step early makes the mean error nought.
        if hops == 1:
            self._loop.call_at(ends - HALF_TIMER_STEP, arrived, ends)
        else:
            # The relay does not hold the channel while it forwards, so the next hop is reserved only when its time has come.
            ends += RELAY_SECONDS / scale
            self._loop.call_at(ends - HALF_TIMER_STEP, self._hop, hop_seconds, hops - 1, arrived, ends)

    def _attempts(self) -> int:
        attempts = 1
        if self.settings.mac_loss > 0:
            while attempts <= MAC_RETRIES and self._random.random() < self.settings.mac_loss:
                attempts += 1
                self.counters.repeated += 1
        return attempts
