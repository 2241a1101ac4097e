"""What both hosts share: their arguments, and the two words that they exchange with the benchmark over their standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

READY_BOUND = 90.0
"""Seconds within which a host must know its devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a host is started for: the radio's stack and path, the image for every device of it, how many there are, and a directory for its state."""

    stack: str
    path: str
    image: bytes
    devices: int
    state: Path

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Errand:
        """STACK PATH IMAGE DEVICES STATE."""
        stack, path, image, devices, state = arguments
        return cls(stack=stack, path=path, image=Path(image).read_bytes(), devices=int(devices), state=Path(state))


class Caller:
    """The benchmark's side: told when the host is ready, it says when to begin; the host ends when the input closes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    @classmethod
    async def connect(cls) -> Caller:
        """Over the standard input."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        return cls(reader)

    async def told_to_begin(self) -> None:
        """Say that everything is ready, and wait for the word. Raises EOFError where the benchmark has gone."""
        sys.stdout.write(json.dumps({"ready": True}) + "\n")
        sys.stdout.flush()
        if not await self._reader.readline():
            raise EOFError("the benchmark has gone")

    async def gone(self) -> None:
        """Wait until the input closes."""
        while await self._reader.readline():
            pass
