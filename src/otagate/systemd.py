"""What systemd is told (sd_notify), and its watchdog."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

LOG = structlog.get_logger("otagate.watchdog")


def notify(message: str) -> None:
    """Send one message to systemd; nothing happens where systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect(target)
        line.sendall(message.encode())


def watchdog_period() -> float | None:
    """Seconds within which systemd wants to hear of us (WATCHDOG_USEC), or None where it does not ask."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1_000_000 if text.isdecimal() and int(text) > 0 else None


async def feed_watchdog(period: float, silent: Callable[[], Sequence[str]]) -> None:
    """Tell systemd, twice a period and for ever, that the hub lives; while a part of it is `silent`, say which instead, and be started again."""
    told: Sequence[str] = ()
    while True:
        dead = silent()
        if dead:
            sentence = f"no sign of life from {', '.join(dead)}"
            notify(f"STATUS={sentence}")
            if dead != told:
                LOG.error("watchdog not fed", because=sentence)
        else:
            notify("WATCHDOG=1\nSTATUS=serving" if told else "WATCHDOG=1")
        told = dead
        await asyncio.sleep(period / 2)
