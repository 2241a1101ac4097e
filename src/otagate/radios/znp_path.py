"""The fast path of Z-Stack coordinators: OTA frames between the serial line and the sessions, beside zigpy-znp's command objects.

It taps `data_received` of the serial protocol, takes the AF frames of cluster 0x0019 that a session wants and the confirmations of its own sends,
and hands every other byte on unchanged. It numbers all outgoing AF frames, zigpy's too, so that no two in flight share a transaction number:
zigpy-znp matches confirmations by that number alone. Frames are those of the Monitor and Test API: FE, length, command, payload, FCS.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otagate.model.errors import DeviceUnreachable
from otagate.radios.exchange import CHANGED, Exchange, changed
from otagate.radios.stacks import Busy, Ended, FastPathUnavailable, Fate, Take, Told
from otagate.radios.znp_line import connection_of

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
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
_BUSY = frozenset({0x10, 0x11, 0x1A})  # MEM_ERROR, BUFFER_FULL, MAC_NO_RESOURCES
_NO_ROUTE = 0xCD
_TOO_LONG = frozenset({0xA0, 0xE5})
_INVALID_PARAMETER = 0x02
_SURELY_FITS = 60
_HALVES = (1024, 512, 256, 128, 64, 32, 16, 8)


class ZnpPath:
    """See the module's docstring; implements `stacks.FastPath`."""

    def __init__(self, app: ControllerApplication, *, take: Take) -> None:
        """Tap the serial protocol of a started application. Raises FastPathUnavailable, with nothing changed, where a private name is missing."""
        try:
            found = connection_of(app)
            if found is None:
                raise AttributeError(f"{type(app).__name__} has no connection")
            api = found[1]
            self._line: Any = api._uart
            self._received: Callable[[bytes], None] = self._line.data_received
            self._line.write  # noqa: B018 -- must exist before anything is tapped
            self._exchange = Exchange(lambda: api._sync_request_lock, draw=app.get_sequence)
        except CHANGED as error:
            raise changed(error) from None
        self._app = app
        self._take = take
        self._rest = b""
        self._theirs: set[int] = set()
        self._attached = True
        self._send_packet = app.send_packet
        self._line.data_received = self._on_bytes
        app.send_packet = self._number_packet  # type: ignore[method-assign]

    def detach(self) -> None:
        """Take the tap off; what was held back of a frame goes on to the library."""
        if not self._attached:
            return
        self._attached = False
        vars(self._line).pop("data_received", None)
        self._app.send_packet = self._send_packet  # type: ignore[method-assign]
        rest, self._rest = self._rest, b""
        if rest:
            self._received(rest)
        self._exchange.close()

    # --- out --------------------------------------------------------------------------------------------------------------------------

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended) -> None:
        """See `FastPath.send`."""
        number, write = self._request(nwk, endpoint, frame, ack=ack)
        refusal = _refusal(await self._exchange.hand_over(number, write, ended), frame, ended)
        if refusal is not None:
            raise refusal

    def is_free(self) -> bool:
        """See `FastPath.is_free`."""
        return self._exchange.is_free()

    def is_waiting(self) -> bool:
        """See `FastPath.is_waiting`."""
        return self._exchange.waits

    def send_now(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended, told: Told) -> bool:
        """See `FastPath.send_now`."""
        number, write = self._request(nwk, endpoint, frame, ack=ack)
        return self._exchange.hand_over_now(number, write, ended, lambda outcome: told(_refusal(outcome, frame, ended)))

    def _request(self, nwk: int, endpoint: int, frame: bytes, *, ack: bool) -> tuple[int, Callable[[], None]]:
        """The transaction number of an AF_DATA_REQUEST_EXT, and what writes it."""
        number = self._exchange.next_number(self._theirs)
        options = _NO_ROUTE_DISCOVERY | (_APS_ACK if ack else 0)
        body = _REQUEST.pack(_ADDRESS_16, nwk, endpoint, 0, 1, _OTA, number, options, _RADIUS, len(frame)) + frame
        return number, functools.partial(self._write, _frame(_AF_REQUEST, body))

    def _write(self, frame: bytes) -> None:
        """To the transport: the library's own `write` renders each frame as text first, which costs more than all else here."""
        transport = getattr(self._line, "_transport", self._line)
        if transport is None:
            raise DeviceUnreachable("the radio is closed")
        transport.write(frame)

    async def _number_packet(self, packet: ZigbeePacket) -> None:
        """zigpy's own sends, with a transaction number of ours."""
        if not packet.dst_ep:  # ZDO: the number travels in the frame and gets no confirmation
            await self._send_packet(packet)
            return
        number = self._exchange.next_number(self._theirs)
        self._theirs.add(number)
        try:
            await self._send_packet(packet.replace(tsn=number))
        finally:
            self._theirs.discard(number)

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
        if rest:
            self._received(rest)

    def _is_ours(self, data: bytes, start: int, after: int) -> bool:
        command = data[start + 2 : start + 4]
        if command == _AF_INCOMING:
            return self._incoming(data, start, after)
        if command == _AF_CONFIRM:
            return self._confirmed(data, start, after)
        if command == _AF_RESPONSE:
            return self._answered(data, start, after)
        if command == _RPC_ERROR and data[start + 5 : start + 7] == _AF_REQUEST and self._exchange.waits:
            self._exchange.fail(FastPathUnavailable("the coordinator does not know AF_DATA_REQUEST_EXT"))
            return True
        return False

    def _incoming(self, data: bytes, start: int, after: int) -> bool:
        body = start + 4
        if after - body < _INCOMING.size + 1:
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
        if not self._exchange.is_under_way(number) or not _intact(data, start, after):
            return False
        self._exchange.end(number, _fate(data[start + 4]))
        return True

    def _answered(self, data: bytes, start: int, after: int) -> bool:
        if not self._exchange.waits or after - start < 6 or not _intact(data, start, after):
            return False
        self._exchange.answer(data[start + 4])
        return True


def _refusal(outcome: int | Exception, frame: bytes, ended: Ended) -> Exception | None:
    """What the outcome of a request means to whoever sends; a frame that was refused for good has ended."""
    if isinstance(outcome, Exception):
        return outcome
    if outcome in _BUSY:
        return Busy()
    if outcome:
        too_long = outcome == _INVALID_PARAMETER and len(frame) > _SURELY_FITS
        ended(Fate.TOO_LONG if too_long else _fate(outcome))
    return None


def _fate(status: int) -> Fate:
    if status == 0:
        return Fate.DELIVERED
    if status in _TOO_LONG:
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
