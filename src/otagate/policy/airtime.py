"""The channel belongs to the lamps and their switches first: how long a block holds it, and when the next one may.

Times are those of IEEE 802.15.4 at 2.4 GHz: 32 microseconds a byte behind 6 of preamble and head, before it a random wait of 1,120 microseconds on
average and a look at the channel, after it an acknowledgement. Whatever is sent over several hops is sent so often.
"""

from __future__ import annotations

from functools import lru_cache

AIR_SHARE = 0.66
"""Of the channel, for firmware: two transfers then take half as long again, and of 100 lamps that are switched 99 wait 36 ms at most, not 55."""

_BYTE = 32e-6
_AROUND = (1_120 + 128 + 192 + 192 + 352) * 1e-6
_HEADS = 6 + 45
"""Preamble and PHY head; MAC, network, security and APS heads."""

_REQUEST = 17
"""A block request without its options: 3 bytes of ZCL and 14."""

_MOST_HOPS = 12
"""What a source route may have (nwkMaxSourceRoute; EmberZNet takes 11 relays): a device that tells of more must not use up the share of all."""

_BURST = 0.03
"""Seconds of quiet that may be made up for: about what a late timer loses."""


def frame_seconds(length: int, hops: int = 1) -> float:
    """How long a ZCL frame of `length` bytes holds the channel, sent over so many hops."""
    return hops * (_AROUND + (_HEADS + length) * _BYTE)


@lru_cache(maxsize=256)
def block_seconds(length: int, hops: int = 1) -> float:
    """How long a block response of `length` bytes does, together with the request for it."""
    hops = min(hops, _MOST_HOPS)
    return frame_seconds(_REQUEST, hops) + frame_seconds(length, hops)


_USABLE = 0.9
"""Of the channel: what random access can make use of, by all together."""

_LEAST = 0.1
"""Of the channel, for firmware, however much is going on: an update that stands still helps nobody."""

MOST_TRIES = 4.0
"""Transmissions of one frame on one hop (802.15.4, macMaxFrameRetries 3)."""


class AirBudget:
    """A share of the channel, spent block by block: after each one the channel is left to others for as long as the share wants."""

    def __init__(self, share: float = 1.0, *, pace: float = 1.0) -> None:
        """`share` lies above 0; 1.0 is no bound. `pace`: the air is so much faster than a real one."""
        self._share = share
        self._pace = pace
        self._rate = share * pace
        self.open_at = float("-inf")

    def learn(self, *, tries: float = 1.0, others: float = 0.0) -> None:
        """What the radio has counted lately: so many transmissions a frame and hop, and so much of the channel in use by others.

        Repetitions are paid from the share, and what others need beyond what it leaves them is theirs first.
        """
        left = max(_LEAST, min(self._share, _USABLE - others))
        self._rate = left * self._pace / min(max(tries, 1.0), MOST_TRIES)

    def spend(self, seconds: float, now: float) -> None:
        """A block leaves at `now` that holds the channel for so long where nothing is repeated."""
        if self._share < 1.0:
            self.open_at = max(self.open_at, now - _BURST) + seconds / self._rate
