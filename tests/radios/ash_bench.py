"""bellows' own ASH protocol with the tap on it, and a coordinator's end of the line, joined by a wire that a test may spoil."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bellows.ash import AshException, AshProtocol
from zigpy.datastructures import PriorityLock

from otagate.radios.ash_link import AshLink, Turn
from otagate_rig.ezsp import link as far_end
from otagate_rig.ezsp.enums import ResetCode

Spoil = Callable[[bytes], bytes]
"""What becomes of the octets of one write; none are lost ones."""


def intact(data: bytes) -> bytes:
    return data


class Transport:
    """The host's end of the wire."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False
        self.carry: Callable[[bytes], None] = lambda _: None

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))
        self.carry(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


class Host:
    """What stands above bellows' ASH protocol, as its gateway does: it keeps what it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.failures: list[int] = []
        self.lost: list[object] = []

    def connection_made(self, _: object) -> None:
        pass

    def data_received(self, frame: bytes) -> None:
        self.received.append(bytes(frame))

    def reset_received(self, code: int) -> None:
        self.failures.append(int(code))

    def error_received(self, code: int) -> None:
        self.failures.append(int(code))

    def connection_lost(self, error: object) -> None:
        self.lost.append(error)


class AshBench:
    """Frames that begin with W are wanted by the tap. `coordinator` is the far end, connected; `spoil_down` is the way from it to the host."""

    def __init__(self, *, spoil_up: Spoil = intact, spoil_down: Spoil = intact, suppress_acks: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self.spoil_up, self.spoil_down = spoil_up, spoil_down
        self.host, self.transport = Host(), Transport()
        self.ash = AshProtocol(self.host, suppress_acks=suppress_acks)
        self.ash.connection_made(self.transport)
        self.arrived: list[bytes] = []
        self.coordinator = far_end.AshLink(command=self.arrived.append, reset=lambda: None)
        self.coordinator.attach(lambda data: self._loop.call_soon(self._down, data))  # type: ignore[arg-type, return-value]
        self.transport.carry = lambda data: self._loop.call_soon(self._up, data)  # type: ignore[assignment, return-value]
        self.coordinator.connect(ResetCode.SOFTWARE)
        self.taken: list[bytes] = []
        self.on_taken: Callable[[], object] = lambda: None
        self.link = AshLink(self.ash, take=self._take)
        self.lock = PriorityLock()
        self.turn = Turn(lambda: self.lock, self.link)

    async def attach(self) -> None:
        """After the start, as a radio does it."""
        while not self.host.failures:
            await asyncio.sleep(0)
        self.host.failures.clear()
        self.transport.written.clear()
        self.link.attach()

    def _take(self, payload: bytes) -> bool:
        if not payload.startswith(b"W"):
            return False
        self.taken.append(payload)
        self.on_taken()
        return True

    def _up(self, data: bytes) -> None:
        self.coordinator.feed(self.spoil_up(data))

    def _down(self, data: bytes) -> None:
        if not self.transport.closing:
            self.ash.data_received(self.spoil_down(data))

    async def send_ours(self, payload: bytes) -> None:
        """As the fast path does, in its turn."""
        await self.turn.acquire()
        try:
            self.link.send(payload)
        finally:
            self.turn.release()

    async def send_theirs(self, payload: bytes) -> None:
        """As bellows does, in its turn; a link that has failed is told by the host."""
        await self.lock.acquire()
        try:
            await self.ash.send_data(payload)
        except (AshException, TimeoutError):
            return
        finally:
            self.lock.release()

    def pull(self) -> None:
        """The stick is unplugged."""
        self.transport.closing = True
        self.ash.connection_lost(None)

    async def settle(self, seconds: float = 60.0) -> None:
        """Enough time for everything that is still to happen; on virtual time."""
        await asyncio.sleep(seconds)
