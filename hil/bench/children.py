"""Processes that speak JSON lines: the rig and the hosts under test, and the clock of the CPU time that one has used."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PYTHON = (sys.executable, "-m")

_MOST_LINE = 1 << 24
_END_BOUND = 15.0
_LOOK_EVERY = 1.0
_TAIL = 2_000


class ChildError(Exception):
    """A process ended, or did not say what it should have said in time."""


class Child:
    """One process. It writes one JSON object a line, reads the same, and ends when its input closes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._errors = errors

    def cpu_seconds(self) -> float:
        """User and system time of the whole process so far, from the kernel's clock of that process."""
        return time.clock_gettime((~self.pid << 3) | 2)

    async def tell(self, message: Json) -> None:
        """Write one line. Raises ChildError where the process has gone."""
        if self._process.stdin is None:
            raise ChildError(f"{self.name} has no input")
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise ChildError(f"{self.name} has gone: {self._tail()}") from None

    async def hear(self, key: str, timeout: float, *, beside: Child | None = None) -> Json:
        """The next line that has `key`; others are passed over.

        Raises ChildError after `timeout` seconds, when the process ends, or when the one `beside` it does.
        """
        if self._process.stdout is None:
            raise ChildError(f"{self.name} has no output")
        for _ in range(math.ceil(timeout / _LOOK_EVERY)):
            try:
                async with asyncio.timeout(min(timeout, _LOOK_EVERY)):
                    while line := await self._process.stdout.readline():
                        if key in (message := _object(line)):
                            return message
            except TimeoutError:
                if beside is not None:
                    beside.check_alive()
            else:
                raise ChildError(f"{self.name} ended before it told {key!r}: {self._tail()}")
        raise ChildError(f"{self.name} did not tell {key!r} within {timeout:.0f} s: {self._tail()}")

    def check_alive(self) -> None:
        """Raises ChildError where the process has ended."""
        if self._process.returncode is not None:
            raise ChildError(f"{self.name} ended with status {self._process.returncode}: {self._tail()}")

    async def end(self) -> None:
        """Close its input, and wait; it is killed where it does not go."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_BOUND):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _tail(self) -> str:
        return self._errors.read_text(errors="replace")[-_TAIL:].strip() or "it wrote no error"


def _object(line: bytes) -> Json:
    try:
        message = json.loads(line)
    except ValueError:
        return {}  # a word of a library, not of the child
    return message if isinstance(message, dict) else {}


@asynccontextmanager
async def child(name: str, arguments: Sequence[str], scratch: Path, *, interpreter: Sequence[str] = PYTHON) -> AsyncIterator[Child]:
    """Run `python -m ARGUMENTS`, or another interpreter, for as long as the block lasts; its errors go to a file in `scratch`."""
    errors = scratch / f"{name}.err"
    pipe = asyncio.subprocess.PIPE
    with errors.open("w") as file:
        process = await asyncio.create_subprocess_exec(
            *interpreter, *arguments, stdin=pipe, stdout=pipe, stderr=file, limit=_MOST_LINE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
    one = Child(name, process, errors)
    try:
        yield one
    finally:
        await one.end()
