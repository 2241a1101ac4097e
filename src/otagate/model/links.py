"""How well devices are heard, and how much a radio has to do: measured, with the time of the measurement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How the last frames of a device came in, the newest at `heard`.

    `lqi` is the median link quality (0 to 255) of the last hop: of a device behind a router it is the router's. `rssi` is in dBm, of the weakest
    hop that is known. `repeaters` that a frame takes, where the radio knows its way. What is not known is None.
    """

    heard: datetime
    lqi: int | None = None
    rssi: int | None = None
    repeaters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a radio had to bear in the `seconds` before `measured`, in percent.

    `used`: of the channel's time, by frames that belong to no update. `refused`: of what it was given to send, because it had no room for it, the
    channel was never free, or it did not answer.
    """

    measured: datetime
    seconds: int
    used: int = 0
    refused: int = 0
