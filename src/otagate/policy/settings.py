"""What the operator wants in general; the rules of the configuration give one of these per device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from otagate.model.devices import Channel as Channel
from otagate.model.devices import Mode as Mode
from otagate.model.devices import PolicyOverride
from otagate.model.portraits import Care
from otagate.policy.window import AnyWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How releases are taken without an order: `automatic`, after being `ask`ed, or `never`; `retries` counts attempts without progress.

    `cooldown`: how old a release of a service must be before it is taken by itself. `battery_floor` in percent. `lqi_floor` is the link quality (0 to
    255), and `rssi_floor` the dBm where that is not known, below which nothing begins; `load_limit` the percent of a radio's load above which nothing
    does. `windows`: when updates may use the air, at any time where there are none. `approval_expires`: with `ask`, so long an update waits that is
    made to be approved; None makes none. `spare_in_use`: a lamp that is on is left alone. `interlocks`: what is asked whether an update may begin, by
    name. `alive_for`: so long a device must be alive with its new version; `silent_for`: so long it may be silent meanwhile; `asleep_for`: so long
    an update waits for one that sleeps, without an end where it is 0. `behaviour`: what becomes of settings that it lost.
    """

    mode: Mode = "ask"
    retries: int = 3
    channel: Channel = "stable"
    cooldown: timedelta = timedelta(days=14)
    battery_floor: int = 70
    lqi_floor: int = 20
    rssi_floor: int = -94
    load_limit: int = 50
    windows: tuple[AnyWindow, ...] = ()
    approval_expires: timedelta | None = None
    spare_in_use: bool = False
    interlocks: tuple[str, ...] = ()
    alive_for: timedelta = timedelta(0)
    silent_for: timedelta = timedelta(hours=25)
    asleep_for: timedelta = timedelta(days=30)
    behaviour: Care = "restore"

    def overridden(self, by: PolicyOverride | None) -> PolicySettings:
        """The same with what an operator wants for one device."""
        if by is None:
            return self
        return replace(
            self,
            mode=self.mode if by.default is None else by.default,
            retries=self.retries if by.retries is None else by.retries,
            channel=self.channel if by.channel is None else by.channel,
            cooldown=self.cooldown if by.cooldown is None else by.cooldown,
            battery_floor=self.battery_floor if by.battery_floor is None else by.battery_floor,
        )
