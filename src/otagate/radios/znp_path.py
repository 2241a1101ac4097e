"""The fast path of Z-Stack coordinators: OTA frames between the serial line and the sessions, beside zigpy-znp's command objects.

It taps `data_received` of the serial protocol, takes the AF frames of cluster 0x0019 that a session wants and the confirmations of its own sends,
and hands every other byte on unchanged. It numbers all outgoing AF frames, zigpy's too, so that no two in flight share a transaction number:
zigpy-znp matches confirmations by that number alone. Frames are those of the Monitor and Test API: FE, length, command, payload, FCS.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otagate.model.errors import DeviceUnreachable
from otagate.radios.stacks import Busy, FastPathUnavailable, Take

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.types import ZigbeePacket

_SOF = 0xFE
_AF_INCOMING = b"\x44\x81"
_AF_CONFIRM = b"\x44\x80"
_AF_REQUEST = b"\x24\x02"
_AF_RESPONSE = b"\x64\x02"
_RESET_IND = b"\x41\x80"
_INCOMING = struct.Struct("<HHHBBBBBIBB")
_REQUEST = struct.Struct("<BQBHBHBBBH")
_OTA = 0x0019
_ADDRESS_16 = 0x02
_NO_ROUTE_DISCOVERY = 0x20
_APS_ACK = 0x10
_RADIUS = 30
_MAX_BODY = 250
_SREQ_BOUND = 5.0
_IN_FLIGHT_BOUND = 60.0
_MAX_IN_FLIGHT = 8
_BUSY = frozenset({0x10, 0x11, 0x1A})  # MEM_ERROR, BUFFER_FULL, MAC_NO_RESOURCES
_TOO_LONG = frozenset({0xA0, 0xE5, 0x02})  # APS ASDU too long, MAC frame too long, INVALID_PARAMETER

_CHANGED = (AttributeError, TypeError, KeyError, IndexError)
"""What private names that are gone raise."""


class ZnpPath:
    """See the module's docstring; one object serves one life of one radio."""

    def __init__(self) -> None:
        self._app: Any = None
        self._api: Any = None
        self._line: Any = None
        self._received: Callable[[bytes], None] | None = None
        self._take: Take | None = None
        self._lost: Callable[[str], None] | None = None
        self._too_long: Callable[[int], None] | None = None
        self._rest = b""
        self._answer: asyncio.Future[int] | None = None
        self._number = 0
        self._mine: dict[int, tuple[float, int]] = {}
        self._theirs: set[int] = set()
        self._room = asyncio.Event()

    def attach(self, app: ControllerApplication, *, take: Take, lost: Callable[[str], None], too_long: Callable[[int], None]) -> None:
        """Tap the serial protocol of a started application. Raises FastPathUnavailable where a private name is missing."""
        try:
            api = app._znp  # type: ignore[attr-defined]
            line = api._uart
            received, send_packet = line.data_received, app.send_packet
            api._sync_request_lock, line.write, app.devices  # noqa: B018 -- they must exist before anything is tapped
        except _CHANGED as error:
            raise FastPathUnavailable(f"zigpy-znp is not built as expected: {error}") from None
        self._app, self._api, self._line, self._received = app, api, line, received
        self._take, self._lost, self._too_long = take, lost, too_long
        self._room.set()
        line.data_received = self._on_bytes
        app.send_packet = functools.partial(self._number_packet, send_packet)  # type: ignore[method-assign]

    def detach(self) -> None:
        """Take the tap off."""
        if self._line is not None:
            vars(self._line).pop("data_received", None)
            vars(self._app).pop("send_packet", None)
        self._line = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(DeviceUnreachable("the radio was closed"))

    # --- out --------------------------------------------------------------------------------------------------------------------------

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool) -> None:
        """See `FastPath.send`."""
        if self._line is None:
            raise DeviceUnreachable("the radio is closed")
        if len(self._mine) >= _MAX_IN_FLIGHT:
            await self._wait_for_room()
        number = self._next_number()
        options = _NO_ROUTE_DISCOVERY | (_APS_ACK if ack else 0)
        body = _REQUEST.pack(_ADDRESS_16, nwk, endpoint, 0, 1, _OTA, number, options, _RADIUS, len(frame)) + frame
        self._mine[number] = (time.monotonic(), nwk)
        try:
            status = await self._request(_AF_REQUEST, body)
        except (*_CHANGED, TimeoutError) as error:
            self._forget(number)
            if isinstance(error, TimeoutError):
                raise DeviceUnreachable("the coordinator did not answer a send request") from None
            raise FastPathUnavailable(f"zigpy-znp is not built as expected: {error}") from None
        if status:
            self._forget(number)
            self._raise_for(status, nwk)

    async def _request(self, command: bytes, body: bytes) -> int:
        """One synchronous request, in turn with the library's own; returns the status byte of its answer."""
        async with self._api._sync_request_lock(priority=-1):
            self._answer = asyncio.get_running_loop().create_future()
            try:
                self._line.write(_frame(command, body))
                async with asyncio.timeout(_SREQ_BOUND):
                    return await self._answer
            finally:
                self._answer = None

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(1.0):
                await self._room.wait()
        except TimeoutError:
            bound = time.monotonic() - _IN_FLIGHT_BOUND
            for number in [number for number, (since, _) in self._mine.items() if since < bound]:
                del self._mine[number]  # its confirmation was lost on the line
            if len(self._mine) >= _MAX_IN_FLIGHT:
                raise Busy from None

    def _raise_for(self, status: int, nwk: int) -> None:
        if status in _BUSY:
            raise Busy
        if status in _TOO_LONG and self._too_long is not None:
            self._too_long(nwk)
        raise DeviceUnreachable(f"the coordinator refused a frame with status 0x{status:02x}")

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
        for _ in range(256):
            self._number = (self._number + 1) & 0xFF
            if self._number not in self._mine and self._number not in self._theirs:
                return self._number
        raise Busy

    def _forget(self, number: int) -> None:
        self._mine.pop(number, None)
        self._room.set()

    # --- in ---------------------------------------------------------------------------------------------------------------------------

    def _on_bytes(self, data: bytes) -> None:
        """Cut whole frames; ours are used, all others go on in one piece."""
        data = self._rest + data
        self._rest = b""
        position, end = 0, len(data)
        others: list[bytes] = []
        while position < end:
            if data[position] != _SOF or (end - position > 1 and data[position + 1] > _MAX_BODY):
                others.append(data[position:])  # out of step: the library finds the next start
                break
            if end - position < 5 or end - position < data[position + 1] + 5:
                self._rest = bytes(data[position:])
                break
            after = position + data[position + 1] + 5
            if not self._is_ours(data, position, after):
                others.append(data[position:after])
            position = after
        if others and self._received is not None:
            self._received(others[0] if len(others) == 1 else b"".join(others))

    def _is_ours(self, data: bytes, start: int, after: int) -> bool:
        command = data[start + 2 : start + 4]
        if command == _AF_INCOMING:
            return self._incoming(data, start, after)
        if command == _AF_CONFIRM:
            number = data[start + 6] if after - start >= 8 else -1
            if number in self._mine and _intact(data, start, after):
                _, nwk = self._mine[number]
                self._forget(number)
                if data[start + 4] in _TOO_LONG and self._too_long is not None:
                    self._too_long(nwk)
                return True
        elif command == _AF_RESPONSE:
            if self._answer is not None and not self._answer.done() and _intact(data, start, after):
                self._answer.set_result(data[start + 4])
                return True
        elif command == _RESET_IND and self._lost is not None and _intact(data, start, after):
            self._lost("the coordinator reset itself")
        return False

    def _incoming(self, data: bytes, start: int, after: int) -> bool:
        body = start + 4
        if after - body < _INCOMING.size + 1:
            return False
        group, cluster, source, source_ep, own_ep, broadcast, lqi, _, _, _, length = _INCOMING.unpack_from(data, body)
        if cluster != _OTA or group or broadcast or self._take is None:
            return False
        begin = body + _INCOMING.size
        if begin + length > after - 1 or not _intact(data, start, after):
            return False
        return self._take(source, source_ep, own_ep, lqi, bytes(data[begin : begin + length]))


def _frame(command: bytes, body: bytes) -> bytes:
    payload = bytes((len(body),)) + command + body
    return b"\xfe" + payload + bytes((functools.reduce(operator.xor, payload),))


def _intact(data: bytes, start: int, after: int) -> bool:
    """Whether the frame check sequence fits: the XOR of everything after the start byte is zero with it."""
    return functools.reduce(operator.xor, data[start + 1 : after]) == 0
