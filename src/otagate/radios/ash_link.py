"""bellows' end of the serial line to an EmberZNet coordinator, shared: frame numbers, window and repetition are one, whoever sends.

It taps `data_received` of the ASH protocol. DATA frames whose content is wanted are acknowledged here; every other frame goes on to bellows as it
came, and is acknowledged or refused there. Frames of ours stand among the library's own until they are acknowledged, so that whatever ends those
ends ours. At most one is under way, as the library has it.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from otagate.model.errors import DeviceUnreachable
from otagate.radios import ash
from otagate.radios.exchange import Lock

_MOST_FRAME = 1_024
_ATTEMPTS = 5


class AshLink:
    """See the module's docstring."""

    def __init__(self, line: Any, *, take: Callable[[bytes], bool]) -> None:
        """`line` is bellows' AshProtocol; `take` tells of each EZSP frame whether it was taken. Raises what `exchange.CHANGED` names."""
        from zigpy.datastructures import ReschedulableTimeout

        for name in ("_transport", "_enter_failed_state", "_change_ack_timeout", "_clear_reject_condition", "_in_reject_condition", "suppress_acks"):
            getattr(line, name)  # all must exist before anything is tapped
        _state_of(line)
        self._window: asyncio.Semaphore = line._send_data_frame_semaphore
        self._window.locked, self._window.acquire, self._window.release  # noqa: B018
        self._not_acked: type[Exception] = importlib.import_module("bellows.ash").NotAcked
        self._gave_up: Any = importlib.import_module("bellows.types").NcpResetCode.ERROR_EXCEEDED_MAXIMUM_ACK_TIMEOUT_COUNT
        self._overdue = ReschedulableTimeout(self._is_overdue)
        self._loop = asyncio.get_running_loop()
        self._line = line
        self._take = take
        self._received: Callable[[bytes], None] = line.data_received
        self._rest = b""
        self._acks_due = False
        self._reserved = False
        self._unacknowledged: _Unacknowledged | None = None

    def attach(self) -> None:
        """Put the tap on; what bellows holds of a frame moves here."""
        self._rest = bytes(self._line._buffer)
        self._line._buffer.clear()
        self._line.data_received = self._on_bytes

    def detach(self) -> None:
        """Take the tap off; what was held back of a frame goes on to the library, and a frame under way is repeated until it is acknowledged."""
        if vars(self._line).pop("data_received", None) is None:
            return
        rest, self._rest = self._rest, b""
        if rest:
            self._received(rest)
        if self._unacknowledged is None:
            self._overdue.cancel()

    # --- in ---------------------------------------------------------------------------------------------------------------------------

    def _on_bytes(self, data: bytes) -> None:
        *pieces, rest = (self._rest + data).split(ash.FLAG)
        self._rest = rest[-_MOST_FRAME:]
        self._acks_due = False
        for piece in pieces:
            body = ash.unpack(piece)
            if body is None or not self._is_ours(body):
                self._received(piece + ash.FLAG)
        if self._acks_due and self._line._transport is not None and not self._line.suppress_acks:
            self._line._transport.write(ash.ACKS[self._line._rx_seq])  # one for all that came together

    def _is_ours(self, body: bytes) -> bool:
        control, line = body[0], self._line
        if control & ash.ACK:  # or anything else that is no DATA
            return control & ash.SHORT_TYPE == ash.ACK and self._acknowledged(control & ash.NUMBERS)
        number = control >> 4
        if number != line._rx_seq:
            return False
        self._acknowledged(control & ash.NUMBERS)
        due, self._acks_due = self._acks_due, True
        line._rx_seq = (number + 1) & ash.NUMBERS
        if not self._take(ash.randomise(body[1:])):  # which may send at once, and then acknowledges this frame with its own
            line._rx_seq, self._acks_due = number, due
            return False
        if line._in_reject_condition:
            line._clear_reject_condition()
        return True

    def _acknowledged(self, expected: int) -> bool:
        """Whether that ended the wait of a frame, ours or the library's."""
        waiting = self._line._pending_data_frames.get((expected - 1) & ash.NUMBERS)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(True)
        return True

    # --- out --------------------------------------------------------------------------------------------------------------------------

    async def reserve(self) -> None:
        """Wait until no frame is under way, and keep it so until one is sent or the place given back."""
        await self._window.acquire()
        self._reserved = True

    def give_back(self) -> None:
        """Nothing was sent after all; where something was, its end frees the place."""
        if self._reserved:
            self._reserved = False
            self._window.release()

    def is_busy(self) -> bool:
        """Whether a frame is under way."""
        return self._window.locked()

    def send(self, data: bytes) -> None:
        """Send one EZSP frame in the reserved place; it is repeated like the library's own. Raises DeviceUnreachable."""
        line = self._line
        if line._transport is None or line._transport.is_closing():
            raise DeviceUnreachable("the radio is closed")
        number = line._tx_seq
        line._tx_seq = (number + 1) & ash.NUMBERS
        self._reserved = False
        self._unacknowledged = line._pending_data_frames[number] = _Unacknowledged(self, number, data)
        self._put(self._unacknowledged, 0)

    def _put(self, frame: _Unacknowledged, flag: int) -> None:
        line = self._line
        frame.sent_at = self._loop.time()
        self._overdue.reschedule(line._t_rx_ack)
        self._acks_due = False
        line._transport.write(ash.pack(frame.number << 4 | flag | line._rx_seq, frame.data))

    def _is_overdue(self) -> None:
        if self._unacknowledged is not None:
            self._line._change_ack_timeout(2 * self._line._t_rx_ack)
            self.repeat(self._unacknowledged)

    def repeat(self, frame: _Unacknowledged) -> None:
        """As often as the library would, and then as it would: the link has failed."""
        frame.attempts += 1
        if self._line._transport is None:
            self.ended(frame)
        elif frame.attempts >= _ATTEMPTS:
            self.ended(frame)
            self._line._enter_failed_state(self._gave_up)
        else:
            self._put(frame, ash.RETRANSMITTED)

    def was_refused(self, frame: _Unacknowledged, error: BaseException) -> None:
        """A NAK asks for it again; anything else is the end of the link."""
        if isinstance(error, self._not_acked):
            self.repeat(frame)
        else:
            self.ended(frame)

    def was_acknowledged(self, frame: _Unacknowledged) -> None:
        """The time that it took adapts the wait, as for the library's frames (UG101, T_RX_ACK)."""
        self._line._change_ack_timeout(7 / 8 * self._line._t_rx_ack + 0.5 * (self._loop.time() - frame.sent_at))
        self.ended(frame)

    def ended(self, frame: _Unacknowledged) -> None:
        """Free its place."""
        frame.is_over = True
        self._unacknowledged = None
        self._window.release()


class _Unacknowledged:
    """A frame of ours among the library's: what it calls on the futures of its own."""

    __slots__ = ("_link", "attempts", "data", "is_over", "number", "sent_at")

    def __init__(self, link: AshLink, number: int, data: bytes) -> None:
        self._link = link
        self.number = number
        self.data = data
        self.attempts = 0
        self.sent_at = 0.0
        self.is_over = False

    def done(self) -> bool:
        return self.is_over

    def set_result(self, _: object) -> None:
        self._link.was_acknowledged(self)

    def set_exception(self, error: BaseException) -> None:
        self._link.was_refused(self, error)


class Turn:
    """The library's lock around its commands, and the place of the one frame under way; implements `exchange.Lock`."""

    def __init__(self, commands: Callable[[], Lock], link: AshLink) -> None:
        """`commands` finds the lock anew, so that one that is gone is noticed."""
        self._commands = commands
        self._link = link
        self._taken: Lock | None = None

    def locked(self) -> bool:
        """See `exchange.Lock`."""
        return self._commands().locked() or self._link.is_busy()

    async def acquire(self, priority: int = 0) -> None:
        """See `exchange.Lock`."""
        commands = self._commands()
        await commands.acquire(priority=priority)
        try:
            await self._link.reserve()
        except BaseException:
            commands.release()
            raise
        self._taken = commands

    def release(self) -> None:
        """See `exchange.Lock`."""
        taken, self._taken = self._taken, None
        self._link.give_back()
        if taken is not None:
            taken.release()


def _state_of(line: Any) -> None:
    """Raises TypeError where the names are there and hold something else."""
    kinds = {"_rx_seq": int, "_tx_seq": int, "_t_rx_ack": float, "_pending_data_frames": dict, "_buffer": bytearray}
    for name, kind in kinds.items():
        if not isinstance(getattr(line, name), kind):
            raise TypeError(f"{name} of {type(line).__name__} is no {kind.__name__}")
