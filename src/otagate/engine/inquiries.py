"""Who is asked before an update begins, and what they said: interlocks, and devices whether they are in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from otagate.engine.supervise import outcome
from otagate.model.ids import DeviceId
from otagate.policy.admit import Admission
from otagate.ports import Clock, Interlock, Observant

FRESH = 30.0
"""Seconds for which an answer counts."""

STAYS_ON = 300.0
"""Seconds until a lamp that was on is asked again: a house full of them must not be asked all the time."""

AT_ONCE = 4
"""Devices that are asked between two looks at the queue."""


@dataclass(slots=True, kw_only=True)
class Inquiries:
    """Answers with the time at which they came; older ones are none."""

    clock: Clock
    asked: Mapping[str, Interlock] = field(default_factory=dict)
    _interlocks: dict[str, tuple[float, str | None]] = field(default_factory=dict)
    _devices: dict[DeviceId, tuple[float, bool]] = field(default_factory=dict)

    def interlocks(self) -> dict[str, str | None]:
        """Who says no, with why; who says yes, with None."""
        now = self.clock.monotonic()
        return {name: no for name, (at, no) in self._interlocks.items() if now - at <= FRESH}

    def in_use(self) -> dict[DeviceId, bool]:
        """Which devices are on."""
        now = self.clock.monotonic()
        return {device: on for device, (at, on) in self._devices.items() if now - at <= (STAYS_ON if on else FRESH)}

    async def ask(self, admission: Admission, radio_of: Callable[[DeviceId], object]) -> None:
        """Ask whose answer is missing. An interlock that cannot be asked says no; a device that cannot say is off: what is in use is only spared."""
        for name in sorted(admission.asks_interlocks):
            interlock = self.asked.get(name)
            no = "it is not configured" if interlock is None else await self._no_of(name, interlock)
            self._interlocks[name] = (self.clock.monotonic(), no)
        for device in sorted(admission.asks_devices)[:AT_ONCE]:
            radio = radio_of(device)
            on: object = None
            if isinstance(radio, Observant):
                on = await outcome(radio.is_on(device), what=f"question whether {device} is on")
            self._devices[device] = (self.clock.monotonic(), on is True)

    @staticmethod
    async def _no_of(name: str, interlock: Interlock) -> str | None:
        said = await outcome(interlock.ask(), what=f"interlock {name}")
        return str(said) or "it cannot be asked" if isinstance(said, Exception) else said
