"""zigpy's own OTA server, silenced: it notifies every device at its interview, and would answer what it does not know with ABORT."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

import structlog

from otagate.sessions.ota_frames import CLUSTER

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.types import ZigbeePacket

LOG = structlog.get_logger("otagate.radio")

OURS: ContextVar[bool] = ContextVar("ours", default=False)
"""Set in a task that sends for a session of ours."""


def silence(app: ControllerApplication) -> None:
    """From now on commands of an OTA server leave this application only in tasks where `OURS` is set."""
    send_packet: Callable[[ZigbeePacket], Awaitable[None]] = app.send_packet

    async def send_unless_zigpys_own(packet: ZigbeePacket) -> None:
        if packet.cluster_id == CLUSTER and packet.dst_ep and not OURS.get() and _is_from_server(packet.data.serialize()):
            LOG.debug("an OTA command of zigpy's own was not sent", to=str(packet.dst))
            return
        await send_packet(packet)

    app.send_packet = send_unless_zigpys_own  # type: ignore[method-assign]


def _is_from_server(frame: bytes) -> bool:
    """Whether a ZCL frame is cluster-specific and goes from server to client."""
    return bool(frame) and frame[0] & 0x0B == 0x09
