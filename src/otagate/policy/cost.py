"""What an update costs beside time: the air that everybody shares, and the charge of a battery. Models of the frames, and so estimates.

Zigbee: see `airtime`. Z-Wave at 100 kbit/s: a fragment is asked for and sent, and both are acknowledged (ITU-T G.9959).
"""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.devices import Device
from otagate.model.ids import ComponentId
from otagate.policy.airtime import block_seconds
from otagate.policy.pace import STRANGERS, Figure, Kin, rate_of

HOPS = 2
"""So often a frame is sent before it arrives, where nobody knows better: the middle of what meshes in buildings need."""

_MEBIBYTE = 1 << 20
_BLOCK = 50
"""Bytes of an image block, as most clients ask for them."""

_HEAD = 17
"""Bytes of a block response beside its data."""

_POLL = 2.176e-3 + 18 * 32e-6
"""Seconds on the air of the poll of a device that sleeps, 18 bytes."""

_FRAGMENT, _FRAGMENT_SECURE, _FRAGMENT_LONG = 40, 28, 128
_FRAGMENT_AIR, _FRAGMENT_LONG_AIR = 21e-3, 25e-3
"""Seconds on the air of one fragment with its request and both acknowledgements."""

AWAKE = 12.0
"""Milliamperes of a radio that listens: a device that takes an image hardly sleeps."""

COIN = 230.0
"""Milliampere hours of a CR2032, the smallest battery that is common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the transfer of so many bytes takes: `airtime` in seconds, its `share` of the channel while it runs, `battery` in percent.

    `airtime` and `share` are None for a device that no radio here reaches, `battery` for one that has none.
    """

    rate: Figure
    transfer: Figure
    airtime: Figure | None
    share: Figure | None
    battery: Figure | None


def cost_of(size: int, component: ComponentId, device: Device, kin: Kin = STRANGERS) -> Cost:
    """What `size` bytes cost, sent to one component of a device."""
    rate = rate_of(component, device, kin)
    seconds = size / rate.value
    own = device.component(component)
    drain = None if own is None else own.drain
    if drain is not None:
        battery = Figure(value=min(100.0, drain * size / _MEBIBYTE), known="measured here")
    else:
        battery = Figure(value=min(100.0, 100 * AWAKE * seconds / 3600 / COIN))
    air = airtime(size, device)
    return Cost(
        rate=rate,
        transfer=Figure(value=seconds, known=rate.known),
        airtime=None if air is None else Figure(value=air),
        share=None if air is None or not seconds else Figure(value=min(1.0, air / seconds)),
        battery=battery if device.power == "battery" else None,
    )


def drained(before: float | None, size: int, *, charged: int | None, left: int | None) -> float | None:
    """The drain in percent a mebibyte after one more image of `size` bytes, of which the last one tells half.

    `charged` and `left` are the percent of the battery before and after. A battery that was changed meanwhile, or does not say, teaches nothing; nor
    does one that has not fallen, before it once did: it may only not have been read since.
    """
    if size <= 0 or charged is None or left is None or left > charged or (before is None and left == charged):
        return before
    now = (charged - left) * _MEBIBYTE / size
    return round(now if before is None else (before + now) / 2, 2)


def airtime(size: int, device: Device) -> float | None:
    """Seconds on the air of the channel, all hops together and nothing lost; None for a device that only its own cloud reaches."""
    if device.protocol == "cloud":
        return None
    if device.protocol == "zwave":
        return _zwave_airtime(size, device)
    blocks = -(-size // _BLOCK)
    return blocks * (block_seconds(_HEAD + _BLOCK, HOPS) + (_POLL if device.sleepy else 0.0))


def _zwave_airtime(size: int, device: Device) -> float:
    node = device.node
    if node is not None and node.long_range:
        return -(-size // _FRAGMENT_LONG) * _FRAGMENT_LONG_AIR
    secure = node is not None and node.security is not None and node.security.casefold().startswith("s2")
    return -(-size // (_FRAGMENT_SECURE if secure else _FRAGMENT)) * _FRAGMENT_AIR * HOPS
