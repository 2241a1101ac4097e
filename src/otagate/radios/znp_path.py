"""The fast path of Z-Stack coordinators: OTA frames between the serial line and the sessions, beside zigpy-znp's command objects.

It taps `data_received` of the serial protocol, takes the AF frames of cluster 0x0019 that a session wants and the confirmations of its own sends,
and hands every other byte on unchanged. It numbers all outgoing AF frames, zigpy's too, so that no two in flight share a transaction number:
zigpy-znp matches confirmations by that number alone. Frames are those of the Monitor and Test API: FE, length, command, payload, FCS.
"""

from __future__ import annotations

import asyncio
import functools
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otagate.model.errors import DeviceUnreachable
from otagate.radios.stacks import TOO_LONG, Busy, FastPathUnavailable, Fate, Take

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.datastructures import PriorityLock, ReschedulableTimeout
    from zigpy.types import ZigbeePacket

_SOF = 0xFE
_AF_INCOMING = b"\x44\x81"
_AF_CONFIRM = b"\x44\x80"
_AF_REQUEST = b"\x24\x02"
_AF_RESPONSE = b"\x64\x02"
_RPC_ERROR = b"\x60\x00"
_INCOMING = struct.Struct("<HHHBBBBBIBB")
_REQUEST = struct.Struct("<BQBHBHBBBH")
_OTA = 0x0019
_ADDRESS_16 = 0x02
_NO_ROUTE_DISCOVERY = 0x20
_APS_ACK = 0x10
_RADIUS = 30
_MAX_BODY = 250
_ANSWER_BOUND = 5.0
_MUTE_BOUND = 3
_QUARANTINE = 60.0
_BUSY = frozenset({0x10, 0x11, 0x1A})  # MEM_ERROR, BUFFER_FULL, MAC_NO_RESOURCES
_NO_ROUTE = 0xCD
_INVALID_PARAMETER = 0x02
_SURELY_FITS = 60
_HALVES = (1024, 512, 256, 128, 64, 32, 16, 8)

_CHANGED = (AttributeError, TypeError, KeyError, IndexError, ValueError, ImportError)
"""What private names that are gone, or mean something else now, raise."""


class ZnpPath:
    """See the module's docstring; implements `stacks.FastPath`."""

    def __init__(self) -> None:
        self._app: Any = None
        self._api: Any = None
        self._line: Any = None
        self._received: Callable[[bytes], None] | None = None
        self._take: Take | None = None
        self._send_packet: Callable[[ZigbeePacket], Any] | None = None
        self._rest = b""
        self._answer: asyncio.Future[int] | None = None
        self._overdue: ReschedulableTimeout | None = None
        self._mute = 0
        self._number = 0
        self._mine: dict[int, tuple[float, Callable[[Fate], None]]] = {}
        self._theirs: set[int] = set()

    def attach(self, app: ControllerApplication, *, take: Take) -> None:
        """Tap the serial protocol of a started application. Raises FastPathUnavailable where a private name is missing."""
        try:
            from zigpy.datastructures import ReschedulableTimeout

            api = app._znp  # type: ignore[attr-defined]
            line, lock = api._uart, api._sync_request_lock
            received, send_packet = line.data_received, app.send_packet
            line.write, lock.locked, lock.acquire, lock.release  # noqa: B018 -- all must exist before anything is tapped
            overdue = ReschedulableTimeout(self._answer_is_overdue)
            overdue.reschedule, overdue.cancel  # noqa: B018
        except _CHANGED as error:
            raise FastPathUnavailable(f"zigpy-znp is not built as expected: {error}") from None
        self._app, self._api, self._line, self._received, self._take = app, api, line, received, take
        self._send_packet = send_packet
        self._overdue = overdue
        line.data_received = self._on_bytes
        app.send_packet = functools.partial(self._number_packet, send_packet)  # type: ignore[method-assign]

    def detach(self) -> None:
        """Take the tap off; what was held back of a frame goes on to the library."""
        if self._line is None:
            return
        vars(self._line).pop("data_received", None)
        self._app.send_packet = self._send_packet
        self._line = None
        rest, self._rest = self._rest, b""
        if rest and self._received is not None:
            self._received(rest)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(DeviceUnreachable("the radio was closed"))
        if self._overdue is not None:
            self._overdue.cancel()
        self._mine.clear()

    # --- out --------------------------------------------------------------------------------------------------------------------------

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Callable[[Fate], None]) -> None:
        """See `FastPath.send`."""
        if self._line is None:
            raise DeviceUnreachable("the radio is closed")
        number = self._next_number()
        options = _NO_ROUTE_DISCOVERY | (_APS_ACK if ack else 0)
        body = _REQUEST.pack(_ADDRESS_16, nwk, endpoint, 0, 1, _OTA, number, options, _RADIUS, len(frame)) + frame
        self._mine[number] = (time.monotonic(), ended)
        status = -1
        try:
            status = await self._request(_AF_REQUEST, body)
        finally:
            if status != 0:
                self._mine.pop(number, None)
        if status in _BUSY:
            raise Busy
        if status:
            too_long = status == _INVALID_PARAMETER and len(frame) > _SURELY_FITS
            ended(Fate.TOO_LONG if too_long else _fate(status))

    async def _request(self, command: bytes, body: bytes) -> int:
        """One synchronous request, in turn with the library's own; returns the status byte of its answer."""
        try:
            lock = self._api._sync_request_lock
            await _take_turn(lock)
            try:
                status = await self._exchange(_frame(command, body))
            finally:
                lock.release()
        except TimeoutError:
            self._mute += 1
            if self._mute >= _MUTE_BOUND:
                raise FastPathUnavailable(f"the coordinator left {self._mute} send requests unanswered") from None
            raise DeviceUnreachable("the coordinator did not answer a send request") from None
        except _CHANGED as error:
            if self._line is None:  # closed while this request waited for its turn
                raise DeviceUnreachable("the radio was closed") from None
            raise FastPathUnavailable(f"zigpy-znp is not built as expected: {error}") from None
        self._mute = 0
        return status

    async def _exchange(self, frame: bytes) -> int:
        """A timer of its own for every frame would cost as much as the frame: one is put off again and again."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answer = answer
        if self._overdue is not None:
            self._overdue.reschedule(_ANSWER_BOUND)
        try:
            self._write(frame)
            return await answer
        finally:
            self._answer = None

    def _write(self, frame: bytes) -> None:
        """To the transport: the library's own `write` renders each frame as text first, which costs more than all else here."""
        transport = getattr(self._line, "_transport", self._line)
        if transport is None:
            raise DeviceUnreachable("the radio is closed")
        transport.write(frame)

    def _answer_is_overdue(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())

    async def _number_packet(self, send_packet: Callable[[ZigbeePacket], Any], packet: ZigbeePacket) -> None:
        """zigpy's own sends, with a transaction number of ours."""
        if not packet.dst_ep:  # ZDO: the number travels in the frame and gets no confirmation
            await send_packet(packet)
            return
        number = self._next_number()
        self._theirs.add(number)
        try:
            await send_packet(packet.replace(tsn=number))
        finally:
            self._theirs.discard(number)

    def _next_number(self) -> int:
        """A number that is not in flight; one whose confirmation was lost on the line is kept out of use for a minute."""
        if len(self._mine) > 128:
            bound = time.monotonic() - _QUARANTINE
            self._mine = {number: flight for number, flight in self._mine.items() if flight[0] > bound}
        for _ in range(256):
            self._number = (self._number + 1) & 0xFF
            if self._number not in self._mine and self._number not in self._theirs:
                break
        return self._number

    # --- in ---------------------------------------------------------------------------------------------------------------------------

    def _on_bytes(self, data: bytes) -> None:
        """Cut whole frames; ours are used, all others go on in one piece and in order."""
        data = self._rest + data
        self._rest = b""
        position, kept, end = 0, 0, len(data)
        others: list[bytes] = []
        while position < end:
            after = _end_of_frame(data, position, end)
            if after < 0:  # out of step: pass on up to what may be the next start
                position = data.find(_SOF, position + 1)
                if position < 0:
                    break
                continue
            if after > end:
                others.append(data[kept:position])
                self._rest = bytes(data[position:])
                kept = end
                break
            if self._is_ours(data, position, after):
                others.append(data[kept:position])
                kept = after
            position = after
        others.append(data[kept:])
        rest = b"".join(others)
        if rest and self._received is not None:
            self._received(rest)

    def _is_ours(self, data: bytes, start: int, after: int) -> bool:
        command = data[start + 2 : start + 4]
        if command == _AF_INCOMING:
            return self._incoming(data, start, after)
        if command == _AF_CONFIRM:
            return self._confirmed(data, start, after)
        if command == _AF_RESPONSE:
            return self._answered(data, start, after)
        if command == _RPC_ERROR and data[start + 5 : start + 7] == _AF_REQUEST and self._answer is not None and not self._answer.done():
            self._answer.set_exception(FastPathUnavailable("the coordinator does not know AF_DATA_REQUEST_EXT"))
            return True
        return False

    def _incoming(self, data: bytes, start: int, after: int) -> bool:
        body = start + 4
        if after - body < _INCOMING.size + 1 or self._take is None:
            return False
        group, cluster, source, source_ep, own_ep, broadcast, lqi, _, _, _, length = _INCOMING.unpack_from(data, body)
        if cluster != _OTA or group or broadcast:
            return False
        begin = body + _INCOMING.size
        if begin + length > after - 1 or not _intact(data, start, after):
            return False
        return self._take(source, source_ep, own_ep, lqi, bytes(data[begin : begin + length]))

    def _confirmed(self, data: bytes, start: int, after: int) -> bool:
        number = data[start + 6] if after - start >= 8 else -1
        if number not in self._mine or not _intact(data, start, after):
            return False
        _, ended = self._mine.pop(number)
        ended(_fate(data[start + 4]))
        return True

    def _answered(self, data: bytes, start: int, after: int) -> bool:
        if self._answer is None or self._answer.done() or after - start < 6 or not _intact(data, start, after):
            return False
        self._answer.set_result(data[start + 4])
        return True


def _fate(status: int) -> Fate:
    if status == 0:
        return Fate.DELIVERED
    if status in TOO_LONG:
        return Fate.TOO_LONG
    return Fate.NO_ROUTE if status == _NO_ROUTE else Fate.LOST


def _end_of_frame(data: bytes, start: int, end: int) -> int:
    """Where a frame that starts here ends (it may be beyond what is there), or -1 where none starts here."""
    if data[start] != _SOF:
        return -1
    if end - start >= 3 and (data[start + 1] > _MAX_BODY or data[start + 2] & 0xE0 not in (0x40, 0x60)):
        return -1
    return start + data[start + 1] + 5 if end - start >= 2 else end + 1


def _frame(command: bytes, body: bytes) -> bytes:
    payload = bytes((len(body),)) + command + body
    return b"\xfe" + payload + bytes((_check_sequence(payload),))


def _intact(data: bytes, start: int, after: int) -> bool:
    """Whether the frame check sequence fits: the XOR of everything after the start byte is zero with it."""
    return _check_sequence(data[start + 1 : after]) == 0


def _check_sequence(data: bytes) -> int:
    """The XOR of all octets (256 at most), by halves of one big integer: half the time of a loop over them."""
    folded = int.from_bytes(data, "little")
    for bits in _HALVES:
        folded ^= folded >> bits
    return folded & 0xFF


async def _take_turn(lock: PriorityLock) -> None:
    """After the library's own requests; a free lock is taken without a timer. Raises TimeoutError."""
    if not lock.locked():
        await lock.acquire(priority=-1)
        return
    async with asyncio.timeout(_ANSWER_BOUND):
        await lock.acquire(priority=-1)
