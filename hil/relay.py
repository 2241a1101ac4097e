"""What switches power on a bench: a program, or a relay board on a serial port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from hil.line import open_line
from hil.rigfile import CommandSwitch, SerialSwitch

COMMAND_BOUND = 30.0
"""Seconds that a program may take."""

_MOST_SAID = 500

Position = Literal["off", "on"]
_Throw = Callable[[Position], Coroutine[Any, Any, None]]


class RelayError(Exception):
    """The power cannot be switched; the message says why."""


class Relay:
    """The power of one thing. `opened` it is left as it is found; at the end it is on again where a test switched it off."""

    def __init__(self, throw: _Throw) -> None:
        self._throw = throw
        self.is_off = False

    async def off(self) -> None:
        """Take the power away. Raises RelayError."""
        self.is_off = True  # also where the switch fails half-way
        await self._throw("off")

    async def on(self) -> None:
        """Give the power back. Raises RelayError."""
        await self._throw("on")
        self.is_off = False

    async def cut(self, seconds: float) -> None:
        """Take the power away for so long. Raises RelayError."""
        await self.off()
        await asyncio.sleep(seconds)
        await self.on()


@asynccontextmanager
async def open_relay(switch: CommandSwitch | SerialSwitch) -> AsyncIterator[Relay]:
    """The relay of a rig file. Raises RelayError where its port cannot be opened."""
    async with contextlib.AsyncExitStack() as closing:
        if isinstance(switch, CommandSwitch):
            relay = Relay(lambda position: _run(switch.on if position == "on" else switch.off))
        else:
            relay = Relay(await _board(switch, closing))
        try:
            yield relay
        finally:
            if relay.is_off:
                await relay.on()


async def _board(switch: SerialSwitch, closing: contextlib.AsyncExitStack) -> _Throw:
    try:
        line = await closing.enter_async_context(open_line(asyncio.Protocol, switch.path, switch.baudrate))
    except OSError as error:
        raise RelayError(f"the relay at {switch.path} cannot be opened: {error}") from None

    async def throw(position: Position) -> None:
        if line.is_closing():
            raise RelayError(f"the relay at {switch.path} has gone")
        line.write((switch.on if position == "on" else switch.off).encode("latin-1"))

    return throw


async def _run(command: Sequence[str]) -> None:
    name = command[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise RelayError(f"{name} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(COMMAND_BOUND):
            said, _ = await process.communicate()
    except TimeoutError:
        raise RelayError(f"{name} did not end within {COMMAND_BOUND:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RelayError(f"{name} ended with {process.returncode}: {said.decode(errors='replace').strip()[-_MOST_SAID:] or 'it said nothing'}")
