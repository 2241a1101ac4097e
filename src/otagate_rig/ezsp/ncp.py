"""The emulated coordinator as a whole: a byte line on one side, a `Medium` on the other."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from otagate_rig.air_side import MalformedCommandError
from otagate_rig.aps import COORDINATOR, ApsFrame, DeviceKind, Medium, NetworkIdentity
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.addressing import AddressCommands
from otagate_rig.ezsp.enums import ConfigId, DeviceUpdate, EzspStatus, JoinDecision, NodeType, ResetCode, Tally
from otagate_rig.ezsp.frames import HEADER
from otagate_rig.ezsp.link import AshLink, LinkCounters
from otagate_rig.ezsp.messaging import MessageCommands
from otagate_rig.ezsp.networking import NetworkCommands
from otagate_rig.ezsp.security import SecurityCommands
from otagate_rig.ezsp.stack import Command, Counters, Stack
from otagate_rig.ezsp.system import SystemCommands
from otagate_rig.ezsp.tokens import Tokens
from otagate_rig.ezsp.zdo import CoordinatorZdo

DEFAULT_MESSAGES: Final = 20
DEFAULT_BUFFERS: Final = 255
MAX_NEIGHBOURS: Final = 26
_LEGACY_HEADER = 3


class EzspNcp:
    """An EmberZNet 7.4 coordinator (EZSP 13 over ASH); implements `Coordinator` towards the air and `ByteStreamNcp` towards a serial port.

    Make it inside a running event loop and use it as an async context manager: the transmissions under way belong to it and end
    with it. `network` makes it pre-formed; `tokens` carries the memory of another one (both together: `network` is stored over it).
    `messages` acknowledged unicasts and `buffers` messages of any kind fit in it at a time. With `resets_on_open` it boots whenever a host
    opens the port, and says so, as bridges do that drive the reset pin. All state but the tokens is lost at a reset.
    """

    def __init__(
        self,
        medium: Medium,
        *,
        ieee: int,
        network: NetworkIdentity | None = None,
        tokens: Tokens | None = None,
        messages: int = DEFAULT_MESSAGES,
        buffers: int = DEFAULT_BUFFERS,
        resets_on_open: bool = False,
    ) -> None:
        config: dict[int, int] = {ConfigId.APS_UNICAST_MESSAGE_COUNT: messages, ConfigId.PACKET_BUFFER_COUNT: buffers}
        tokens = tokens or Tokens()
        if network is not None:
            tokens.form(network, ieee=tokens.ieee(ieee))
        stack = self._stack = Stack(medium, tokens, ieee=ieee, config=config)
        stack.coordinator = self
        self._link = stack.link = AshLink(command=self._command, reset=self._host_reset)
        self._resets_on_open = resets_on_open
        self._hanging = False
        self._group: asyncio.TaskGroup | None = None
        self._system = SystemCommands(stack)
        self._security = SecurityCommands(stack)
        self._network = NetworkCommands(stack, self._security)
        self._messages = MessageCommands(stack, self._system, self._network)
        self._zdo = CoordinatorZdo(stack, self._messages, self._network)
        self._commands: dict[int, Command] = {}
        for part in (self._system, self._security, self._network, self._messages, AddressCommands(stack)):
            self._commands |= part.commands()

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._stack.open(self._group)
        self._restart(ResetCode.POWER_ON)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._network.restart()
        self._link.close()
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
    def link_counters(self) -> LinkCounters:
        """What went wrong on the line, and was put right."""
        return self._link.counters

    @property
    def tokens(self) -> Tokens:
        """The memory; `tokens.to_json()` takes it to another NCP."""
        return self._stack.tokens

    @property
    def ieee(self) -> int:
        """The extended address in use."""
        return self._stack.ieee

    @property
    def network(self) -> NetworkIdentity | None:
        """The network in the tokens, running or not; None when there is none."""
        return self._stack.tokens.identity()

    @property
    def network_is_up(self) -> bool:
        """True between the start of the network and the next reset."""
        return self._stack.is_up

    @property
    def outstanding(self) -> int:
        """Messages of the host that hold a buffer now."""
        return self._messages.outstanding

    @property
    def bad_frames(self) -> int:
        """Frames of the host that could not be read."""
        return self._link.bad_frames

    # The line to the host (`ByteStreamNcp`)

    def line_up(self, write: Callable[[bytes], None]) -> None:
        """A host can be heard from now on; `write` takes bytes for it."""
        self._stack.counters.received_since_attach = 0
        self._link.attach(write)
        if self._resets_on_open:
            self._restart(ResetCode.EXTERNAL)

    def line_down(self) -> None:
        """Nobody listens any more; what is sent is lost, while the network goes on."""
        self._link.detach()

    def power_lost(self) -> None:
        """The stick was pulled: the coordinator falls silent and boots when power comes back."""
        self._link.detach()
        self._restart(ResetCode.POWER_ON)

    def bytes_received(self, data: bytes) -> None:
        """Take bytes from the host."""
        counters = self._stack.counters
        counters.bytes_in += len(data)
        counters.received_since_attach += len(data)
        if not self._hanging:
            self._link.feed(data)

    def _command(self, frame: bytes) -> None:
        self._stack.counters.frames_in += 1
        if frame[2] != frames.FORMAT_1:
            self._legacy_command(frame)
        elif len(frame) < HEADER.size:
            self._stack.counters.malformed_commands += 1
        else:
            sequence, _low, _high, command = HEADER.unpack_from(frame)
            self._run(sequence, command, frame[HEADER.size :])

    def _run(self, sequence: int, command: int, payload: bytes) -> None:
        counters = self._stack.counters
        counters.host_commands.append((command, payload))
        known = self._commands.get(command)
        if known is None:
            counters.unknown_commands += 1
            self._refuse(sequence, EzspStatus.ERROR_INVALID_FRAME_ID)
        elif command != frames.VERSION and not self._system.version_agreed:
            self._refuse(sequence, EzspStatus.ERROR_VERSION_NOT_SET)
        else:
            try:
                answer = known(payload)
            except (struct.error, MalformedCommandError):
                counters.malformed_commands += 1
                self._refuse(sequence, EzspStatus.ERROR_TRUNCATED)
                return
            self._stack.respond(sequence, command, answer)

    def _refuse(self, sequence: int, error: EzspStatus) -> None:
        self._stack.respond(sequence, frames.INVALID_COMMAND, bytes((error,)))

    def _legacy_command(self, frame: bytes) -> None:
        """Answer in the format that all hosts begin with: one-byte frame ids, and nothing but version in it."""
        sequence, _control, command, *_ = frame
        if command == frames.VERSION and len(frame) > _LEGACY_HEADER:
            answer = bytes((sequence, frames.RESPONSE, frames.VERSION)) + self._system.version(frame[_LEGACY_HEADER])
        else:
            self._stack.counters.unknown_commands += 1
            answer = bytes((sequence, frames.RESPONSE, frames.INVALID_COMMAND, EzspStatus.ERROR_VERSION_NOT_SET))
        self._stack.sequence = sequence
        if self._link.respond(answer):
            self._stack.counters.frames_out += 1

    # The air (`Coordinator`)

    def frame_received(self, frame: ApsFrame, *, lqi: int) -> None:
        """A frame came in; endpoint 0 is the coordinator's own, the rest is for the host."""
        if not self._stack.is_up:
            return
        if frame.dst_ep == 0 and frame.profile == 0:
            self._zdo.receive(frame, lqi=lqi)
        else:
            self._messages.deliver(frame, lqi=lqi)

    def device_joined(self, *, ieee: int, nwk: int, parent: int, rejoined: bool) -> None:
        """The trust centre admitted a device (or let it back in): childJoinHandler for an end device of its own, trustCenterJoinHandler."""
        stack = self._stack
        if not stack.is_up:
            return
        kind = stack.medium.kind_of(nwk)
        stack.moved(ieee, nwk)
        if parent != COORDINATOR:
            stack.remove_child(ieee)
            stack.neighbours.pop(ieee, None)
        elif kind in (DeviceKind.SLEEPY, DeviceKind.END_DEVICE):
            self._adopt(ieee, nwk, sleepy=kind is DeviceKind.SLEEPY)
        elif len(stack.neighbours) < MAX_NEIGHBOURS:
            stack.neighbours[ieee] = nwk
        stack.count(Tally.JOIN_INDICATION)
        update = DeviceUpdate.SECURED_REJOIN if rejoined else DeviceUpdate.UNSECURED_JOIN
        decision = JoinDecision.NO_ACTION if rejoined else JoinDecision.USE_PRECONFIGURED_KEY
        stack.call_back(frames.TRUST_CENTER_JOIN_HANDLER, struct.pack("<HQBBH", nwk, ieee, update, decision, parent))

    def device_left(self, *, ieee: int, nwk: int, rejoin: bool) -> None:
        """A device said goodbye; one that comes straight back is none of the trust centre's business."""
        stack = self._stack
        if not stack.is_up:
            return
        slot = stack.remove_child(ieee)
        if slot is not None:
            stack.call_back(frames.CHILD_JOIN_HANDLER, struct.pack("<BBHQB", slot, False, nwk, ieee, NodeType.END_DEVICE))
        stack.neighbours.pop(ieee, None)
        stack.routes.pop(nwk, None)
        if not rejoin:
            left = struct.pack("<HQBBH", nwk, ieee, DeviceUpdate.DEVICE_LEFT, JoinDecision.NO_ACTION, COORDINATOR)
            stack.call_back(frames.TRUST_CENTER_JOIN_HANDLER, left)

    def _adopt(self, ieee: int, nwk: int, *, sleepy: bool) -> None:
        slot = self._stack.add_child(ieee, nwk)
        if slot is not None:
            kind = NodeType.SLEEPY_END_DEVICE if sleepy else NodeType.END_DEVICE
            self._stack.call_back(frames.CHILD_JOIN_HANDLER, struct.pack("<BBHQB", slot, True, nwk, ieee, kind))

    # Resets and faults

    def reset_unexpectedly(self, reason: ResetCode = ResetCode.WATCHDOG) -> None:
        """Restart by itself, as after a watchdog bite: RSTACK, and endpoints and the network are gone until the host starts them."""
        self._restart(reason)

    def fail(self, code: ResetCode = ResetCode.ACK_TIMEOUTS) -> None:
        """Give the link to the host up with an ERROR frame: nothing but RST is obeyed until then, while the network goes on."""
        self._link.fail(code)

    def hang(self) -> None:
        """Stop reading and answering; the network falls silent towards the host, not towards the air."""
        self._hanging = self._link.mute = True

    def resume_answers(self) -> None:
        """End a `hang`; what the host sent meanwhile is lost, as are callbacks, but ASH repeats what it was still waiting for."""
        self._link.forget_partial_frame()
        self._hanging = self._link.mute = False

    def fill_buffers(self) -> None:
        """Refuse every send for want of a buffer, until `drain_buffers` or a reset."""
        self._messages.full = True

    def drain_buffers(self) -> None:
        """End what `fill_buffers` began."""
        self._messages.full = False

    def corrupt_next(self, count: int = 1) -> None:
        """Give the next `count` ASH frames to the host a wrong CRC."""
        self._link.corrupt_frames += count

    def drop_next(self, count: int = 1) -> None:
        """Lose the next `count` ASH frames to the host on the line."""
        self._link.drop_frames += count

    def mishear_next(self, count: int = 1) -> None:
        """Read the next `count` ASH frames of the host as damaged."""
        self._link.misheard_frames += count

    def _host_reset(self) -> None:
        self._restart(ResetCode.SOFTWARE)

    def _restart(self, reason: ResetCode) -> None:
        self._stack.counters.resets += 1
        self._hanging = self._link.mute = False
        for part in (self._system, self._security, self._network, self._messages, self._zdo):
            part.restart()
        self._stack.restart()
        self._link.connect(reason)
