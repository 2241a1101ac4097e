"""The emulated coordinator as a whole: a byte line on one side, a `Medium` on the other."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from otagate_rig.air_side import MalformedCommandError
from otagate_rig.aps import COORDINATOR, ApsFrame, DeviceKind, Medium, NetworkIdentity
from otagate_rig.znp import mt
from otagate_rig.znp.association import UtilityCommands
from otagate_rig.znp.commissioning import CommissioningCommands
from otagate_rig.znp.data import AfCommands
from otagate_rig.znp.frames import SREQ, SRSP_OFFSET, FrameParser
from otagate_rig.znp.mt import ResetReason, RpcError
from otagate_rig.znp.nvram import Nvram
from otagate_rig.znp.stack import Command, Counters, Stack
from otagate_rig.znp.system import SystemCommands
from otagate_rig.znp.zdo import ZdoCommands

DEFAULT_BUILD: Final = 20230507
DEFAULT_BUFFERS: Final = 16
_SUBSYSTEMS = frozenset({0x01, 0x04, 0x05, 0x07, 0x0F})
_TYPE_MASK = 0xE000


class ZnpNcp:
    """A Z-Stack 3.x coordinator on a CC2652; implements `Coordinator` towards the air and `ByteStreamNcp` towards a serial port.

    Make it inside a running event loop and use it as an async context manager: the transmissions under way belong to it and end
    with it. `network` makes it pre-formed; `nvram` carries the memory of another one (both together: `network` is stored over it).
    All state but NVRAM is lost at a reset.
    """

    def __init__(
        self,
        medium: Medium,
        *,
        ieee: int,
        network: NetworkIdentity | None = None,
        nvram: Nvram | None = None,
        build: int = DEFAULT_BUILD,
        buffers: int = DEFAULT_BUFFERS,
        led: bool = True,
    ) -> None:
        stack = self._stack = Stack(medium, nvram or Nvram(), ieee=ieee)
        stack.coordinator = self
        stack.nvram.boot(ieee=ieee)
        if network is not None:
            stack.nvram.form(network, ieee=stack.ieee)
        self._parser = FrameParser()
        self._group: asyncio.TaskGroup | None = None
        self._system = SystemCommands(stack, build=build, reset=self._restart)
        self._af = AfCommands(stack, buffers=buffers, loop_back=self._loop_back)
        self._zdo = ZdoCommands(stack)
        self._utility = UtilityCommands(stack, led=led)
        self._commissioning = CommissioningCommands(stack)
        self._commands: dict[int, Command] = {}
        for subsystem in (self._system, self._af, self._zdo, self._utility, self._commissioning):
            self._commands |= subsystem.commands()

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._stack.open(self._group)
        self._restart(ResetReason.POWER_UP)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        group, self._group = self._group, None
        if group is not None:
            # Without the error of the body: it is none of the tasks' and goes on as it is.
            await group.__aexit__(None, None, None)

    @property
    def counters(self) -> Counters:
        """What has passed through this NCP."""
        return self._stack.counters

    @property
    def nvram(self) -> Nvram:
        """The memory; `nvram.to_json()` takes it to another NCP."""
        return self._stack.nvram

    @property
    def ieee(self) -> int:
        """The extended address in use."""
        return self._stack.ieee

    @property
    def network(self) -> NetworkIdentity | None:
        """The network in NVRAM, running or not; None when there is none."""
        return self._stack.nvram.identity()

    @property
    def network_is_up(self) -> bool:
        """True between the start of the network and the next reset."""
        return self._stack.is_up

    @property
    def outstanding(self) -> int:
        """AF data requests that hold a buffer now."""
        return self._af.outstanding

    @property
    def bad_frames(self) -> int:
        """Frames of the host whose checksum was wrong."""
        return self._parser.bad_frames

    # The line to the host (`ByteStreamNcp`)

    def line_up(self, write: Callable[[bytes], None]) -> None:
        """A host can be heard from now on; `write` takes bytes for it."""
        self._parser.reset()
        self._stack.counters.received_since_attach = 0
        self._stack.write = write

    def line_down(self) -> None:
        """Nobody listens any more; what is sent is lost."""
        self._stack.write = None

    def power_lost(self) -> None:
        """The stick was pulled: the coordinator falls silent and boots when power comes back."""
        self._stack.write = None
        self._restart(ResetReason.POWER_UP)

    def bytes_received(self, data: bytes) -> None:
        """Take bytes from the host."""
        stack, counters = self._stack, self._stack.counters
        counters.bytes_in += len(data)
        counters.received_since_attach += len(data)
        if stack.hanging:
            return
        for command, payload in self._parser.feed(data):
            counters.frames_in += 1
            counters.host_commands.append((command, payload))
            self._run(command, payload)

    def _run(self, command: int, payload: bytes) -> None:
        known = self._commands.get(command)
        if known is None:
            self._stack.counters.unknown_commands += 1
            self._refuse(command, RpcError.INVALID_COMMAND_ID if command >> 8 & 0x1F in _SUBSYSTEMS else RpcError.INVALID_SUBSYSTEM)
            return
        try:
            answer = known(payload)
        except (struct.error, MalformedCommandError):
            self._stack.counters.malformed_commands += 1
            self._refuse(command, RpcError.INVALID_LENGTH)
            return
        if answer is not None:
            self._stack.send(command + SRSP_OFFSET, answer)

    def _refuse(self, command: int, error: RpcError) -> None:
        # Only a synchronous request has somebody waiting for an answer.
        if command & _TYPE_MASK == SREQ:
            self._stack.send(mt.RPC_ERROR, bytes((error, command >> 8, command & 0xFF)))

    # The air (`Coordinator`)

    def frame_received(self, frame: ApsFrame, *, lqi: int) -> None:
        """A frame came in; endpoint 0 is the coordinator's own, the rest is for the host."""
        if not self._stack.is_up:
            return
        if frame.dst_ep == 0 and frame.profile == 0:
            self._zdo.receive(frame)
        else:
            self._af.deliver(frame, lqi=lqi)

    def device_joined(self, *, ieee: int, nwk: int, parent: int, rejoined: bool) -> None:
        """The trust centre admitted a device (or let it back in): ZDO_TC_DEV_IND."""
        stack = self._stack
        if not stack.is_up:
            return
        child = parent == COORDINATOR and stack.medium.kind_of(nwk) in (DeviceKind.SLEEPY, DeviceKind.END_DEVICE)
        if child:
            self._utility.adopt(ieee=ieee, nwk=nwk)
        else:
            stack.children.pop(ieee, None)
        stack.no_route.discard(nwk)
        stack.nvram.remember_device(ieee=ieee, nwk=nwk, child=child)
        stack.send(mt.ZDO_TC_DEV_IND, struct.pack("<HQH", nwk, ieee, parent))

    def device_left(self, *, ieee: int, nwk: int, rejoin: bool) -> None:
        """A device said goodbye: ZDO_LEAVE_IND."""
        if not self._stack.is_up:
            return
        self._stack.children.pop(ieee, None)
        self._stack.send(mt.ZDO_LEAVE_IND, struct.pack("<HQBBB", nwk, ieee, 0, 0, rejoin))

    def _loop_back(self, frame: ApsFrame) -> None:
        self.frame_received(frame, lqi=255)

    # Resets and faults

    def reset_unexpectedly(self, reason: ResetReason = ResetReason.WATCHDOG) -> None:
        """Restart by itself, as after a watchdog bite: endpoints, callbacks and the network are gone until the host starts them."""
        self._restart(reason)

    def hang(self) -> None:
        """Stop reading and answering; the network falls silent towards the host, not towards the air."""
        self._stack.hanging = True

    def resume_answers(self) -> None:
        """End a `hang`; what the host sent meanwhile is lost."""
        self._parser.reset()
        self._stack.hanging = False

    def fill_buffers(self) -> None:
        """Refuse every send for want of a buffer, until `drain_buffers` or a reset."""
        self._af.full = True

    def drain_buffers(self) -> None:
        """End what `fill_buffers` began."""
        self._af.full = False

    def corrupt_next(self, count: int = 1) -> None:
        """Give the next `count` frames to the host a wrong checksum."""
        self._stack.corrupt_frames += count

    def _restart(self, reason: ResetReason) -> None:
        stack = self._stack
        stack.counters.resets += 1
        stack.hanging = False
        self._commissioning.restart()
        self._af.restart()
        stack.restart()
        stack.send(mt.SYS_RESET_IND, self._system.reset_indication(reason))
