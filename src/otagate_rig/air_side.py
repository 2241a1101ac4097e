"""The air side of an emulated coordinator, whatever its host speaks: on the air while it runs a network, with a task for each transmission."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from otagate_rig.aps import Coordinator, Medium, NetworkIdentity


class MalformedCommandError(Exception):
    """A host command whose length does not fit its own fields."""


class AirSide:
    """What a stack has of the air. `coordinator` is set by whoever makes the two."""

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.coordinator: Coordinator | None = None
        self.identity: NetworkIdentity | None = None
        self._on_air = False
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, group: asyncio.TaskGroup) -> None:
        """Let `group` own the transmissions from now on."""
        self._group = group

    def close(self) -> None:
        """End every transmission under way; the air is no more heard."""
        self._group = None
        self.fall_silent()
        for task in self._tasks:
            task.cancel()

    def spawn(self, coroutine: Coroutine[object, object, None]) -> None:
        """Run something of the air side; raises `RuntimeError` outside the NCP's `async with`."""
        if self._group is None:
            coroutine.close()
            raise RuntimeError("the NCP is not running")
        task = self._group.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def bring_up(self, identity: NetworkIdentity, *, ieee: int) -> None:
        """Start the radio on `identity`, or move it there."""
        self.identity = identity
        if not self._on_air and self.coordinator is not None:
            # Only now: a stick that is powered but idle must not take the air from the one that runs the network.
            self.medium.attach(self.coordinator, ieee=ieee)
            self._on_air = True
        self.medium.network_up(identity)

    def fall_silent(self) -> None:
        """Take the network down if it is this coordinator's."""
        self.identity = None
        if self._on_air:
            self._on_air = False
            self.medium.network_down()


def take(data: bytes, at: int, size: int) -> bytes:
    """Exactly `size` bytes at `at`; raises `MalformedCommandError` when they are not there."""
    part = data[at : at + size]
    if len(part) != size:
        raise MalformedCommandError(f"{size} bytes expected, {len(part)} there")
    return part
