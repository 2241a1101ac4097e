"""What one device may ask of zigpy, which answers each frame with a task of its own: those of a device that floods would pile up without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from otagate.ports import Clock
from otagate.sessions.ota_frames import CLUSTER, is_request
from otagate.sessions.ota_limits import Allowance

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.types import ZigbeePacket

LOG = structlog.get_logger("otagate.radio")

_SENDERS = 1_024


def bound_floods(app: ControllerApplication, clock: Clock) -> None:
    """From now on this application is given a hundred frames of one sender at once and twenty a second; more are lost, as on a full air.

    Requests to the OTA cluster do not count: the device's session bounds them.
    """
    receive = app.packet_received
    allowances: dict[object, Allowance] = {}
    told: set[object] = set()

    def receive_within_bounds(packet: ZigbeePacket) -> None:
        if packet.src is None or (packet.cluster_id == CLUSTER and packet.src_ep and is_request(packet.data.serialize())):
            receive(packet)
            return
        sender = packet.src.address
        if sender not in allowances and len(allowances) >= _SENDERS:
            allowances.clear()
            told.clear()
        if allowances.setdefault(sender, Allowance()).spend(clock.monotonic()):
            receive(packet)
        elif sender not in told:
            told.add(sender)
            LOG.warning("a device floods; its frames are dropped", sender=str(sender))

    app.packet_received = receive_within_bounds  # type: ignore[method-assign]
