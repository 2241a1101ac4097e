"""What the parts of an OTA client share: its effects, its one timer, its sequence numbers and its place in the upgrade."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otagate_rig import zcl
from otagate_rig.ota_oracle import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from otagate_rig.ota_commands import Command
    from otagate_rig.ota_oracle import Kind, Oracle
    from otagate_rig.spec import DeviceSpec


class Phase(enum.Enum):
    """What the client is doing."""

    IDLE = "idle"
    QUERYING = "querying"
    DOWNLOADING = "downloading"
    WAITING = "waiting"  # told to by WAIT_FOR_DATA
    ENDING = "ending"  # Upgrade End Request sent
    HOLDING = "holding"  # told to wait for an unsolicited Upgrade End Response
    COUNTDOWN = "countdown"
    APPLYING = "applying"


UPGRADE_STATUS = {
    Phase.IDLE: 0,
    Phase.QUERYING: 0,
    Phase.DOWNLOADING: 1,
    Phase.WAITING: 1,
    Phase.ENDING: 2,
    Phase.HOLDING: 3,
    Phase.COUNTDOWN: 4,
    Phase.APPLYING: 4,
}
"""ImageUpgradeStatus (§11.10.7)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame of the OTA cluster to the server; `request` tells it from a Default Response."""

    data: bytes
    request: bool = True


@dataclass(frozen=True, slots=True)
class PowerCut:
    """The device loses its power for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The device boots into the firmware that it has staged."""

    seconds: float


Effect = Send | PowerCut | Restart


class Wire:
    """The line from a client to its server, and the moment at which the client wants to be woken."""

    def __init__(self, spec: DeviceSpec, oracle: Oracle, *, first_tsn: int, server_second: float) -> None:
        self.spec = spec
        self.oracle = oracle
        self.phase = Phase.IDLE
        self.server_endpoint = 1
        self.server_second = server_second
        self.out: list[Effect] = []
        self.wake_at: float | None = None
        self.last_sent = float("-inf")
        self._wake: Callable[[float], None] | None = None
        self._tsn = first_tsn

    def at(self, when: float, act: Callable[[float], None]) -> None:
        """Call `act` at `when`, instead of what was planned before."""
        self.wake_at, self._wake = when, act

    def rest(self) -> None:
        """Plan nothing."""
        self.wake_at = self._wake = None

    def wake(self, now: float) -> None:
        """Do what is due."""
        if self._wake is not None and self.wake_at is not None and self.wake_at <= now:
            act = self._wake
            self.rest()
            act(now)

    def flush(self) -> list[Effect]:
        """Hand over the effects gathered so far."""
        effects, self.out = self.out, []
        return effects

    def next_tsn(self) -> int:
        """Return a sequence number that is one more than the last."""
        self._tsn = (self._tsn + 1) & 0xFF
        return self._tsn

    def ask(self, kind: Kind, command: Command, payload: bytes, now: float, *, again: bool = False) -> Request:
        """Send one request; `again` marks the retry of the last one, which some clients send with its sequence number."""
        same = again and self.spec.behaviours.same_tsn
        tsn = self._tsn if same else self.next_tsn()
        copies = 2 if self.spec.behaviours.duplicates else 1
        request = Request(kind=kind, command=command, tsn=tsn, sent_at=now, transmissions=copies)
        # The Default Response is disabled by no client known: the server's refusals arrive as Default Responses.
        data = zcl.encode(zcl.CLUSTER_SPECIFIC, tsn, command, payload)
        self.out.extend([Send(data)] * copies)
        self.oracle.counters.frames_again += copies - 1 + same
        self.last_sent = now
        return request
