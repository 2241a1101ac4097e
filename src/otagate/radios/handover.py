"""A stick that belongs to another program: the commands that take it and give it back, and the lease that outlives every death between them.

The lease is a file below the state directory. It is on disk before the stick is taken, and goes only after it was given back, so whoever finds it
knows that somebody may be without their stick. Commands run without a shell, with little of our environment, and bounded in time; of what they write
only the end of their complaint is kept, and they themselves are told to nobody: they may hold what is secret.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from otagate.files import sync, write_durably
from otagate.model.errors import RadioUnavailable

TAKE_WITHIN = 120.0
GIVE_BACK_WITHIN = 30.0
"""Seconds; less than systemd leaves the hub to end in (`TimeoutStopSec`)."""

_DIES_WITHIN = 1.0
"""Seconds in which what is killed is gone; the loop stands still meanwhile, so it must be few."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS")
_KEPT = 1_024
_SHOWN = 160


class Run(Protocol):
    """Runs a command, as `run_command` does."""

    def __call__(self, command: Sequence[str], *, key: str, within: float) -> Awaitable[None]:
        """Raises RadioUnavailable where it fails."""


async def run_command(command: Sequence[str], *, key: str, within: float) -> None:
    """Run a command to its end. `key` is what a sentence calls it. Raises RadioUnavailable where it fails or takes too long; then it is killed."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with _complaints() as (pipe, complaint):
        try:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - the operator's own command; it only forks, and no await may stand between that and the care for its end
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=pipe, env=environment, start_new_session=True
            )
        except OSError as error:
            raise RadioUnavailable(f"{key} cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(within):
                await _end_of(process)
        except TimeoutError:
            raise RadioUnavailable(f"{key} was not done within {within:.0f} s") from None
        finally:
            status = _settle(process)
        if status != 0:
            raise RadioUnavailable(f"{key} failed with status {status}{complaint()}")


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    """Wait for it; a descriptor of a process becomes readable when it has ended (pidfd_open(2))."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _settle(process: subprocess.Popen[bytes]) -> int:
    """Its status; one that runs is killed, with what it has started. One that hangs in the kernel dies only later, and nobody waits for that."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.wait(timeout=_DIES_WITHIN)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL


@contextmanager
def _complaints() -> Iterator[tuple[int, Callable[[], str]]]:
    """A pipe that never fills up, and the end of what was written to it, in words for a sentence."""
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    tail = bytearray()

    def drain() -> None:
        with suppress(BlockingIOError):
            tail.extend(os.read(reading, 65_536))
            del tail[:-_KEPT]

    def words() -> str:
        drain()
        lines = [line for line in tail.decode(errors="replace").splitlines() if line.strip()]
        shown = "".join(each if each.isprintable() else " " for each in lines[-1].strip()[:_SHOWN]) if lines else ""
        return f": {shown}" if shown else ""

    loop.add_reader(reading, drain)
    try:
        yield writing, words
    finally:
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)


class LeasedStick:
    """Implements `ports.Handover`."""

    def __init__(self, *, take: Sequence[str], give_back: Sequence[str], lease: Path, now: Callable[[], datetime], run: Run = run_command) -> None:
        self._take = tuple(take)
        self._give_back = tuple(give_back)
        self._lease = lease
        self._now = now
        self._run = run

    @property
    def owed(self) -> bool:
        """See `ports.Handover.owed`."""
        return self._lease.exists()

    async def take(self) -> None:
        """See `ports.Handover.take`."""
        told = json.dumps({"since": self._now().isoformat(timespec="seconds")})
        try:
            write_durably(self._lease, told.encode())
        except OSError as error:
            raise RadioUnavailable(f"{self._lease} cannot be written, and without it nobody would know whose stick it is: {error.strerror}") from None
        await self._run(self._take, key="hand_over.take", within=TAKE_WITHIN)

    async def give_back(self) -> None:
        """See `ports.Handover.give_back`."""
        await self._run(self._give_back, key="hand_over.give_back", within=GIVE_BACK_WITHIN)
        try:
            self._lease.unlink(missing_ok=True)
            sync(self._lease.parent)
        except OSError as error:
            raise RadioUnavailable(f"{self._lease} cannot be deleted: {error.strerror}") from None
