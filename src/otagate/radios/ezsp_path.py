"""The fast path of EmberZNet coordinators: OTA frames between the serial line and the sessions, beside bellows' commands and events.

EZSP frames: sequence number, two octets of frame control, frame id, parameters. Those of protocol 8 to 13 and from 14 on differ in their order and in
the width of a status. A unicast goes without the question for the extended time-out that bellows asks before each one: it rules the repetition of
acknowledged frames only, and bellows turns it off for those.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from otagate.radios.ash_link import AshLink, Turn
from otagate.radios.exchange import CHANGED, Exchange, changed
from otagate.radios.stacks import Busy, Ended, FastPathUnavailable, Fate, Take, Told

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

_FIRST_EXTENDED = 8
_FIRST_WITH_SL_STATUS = 14
_HEADER = struct.Struct("<BBBH")
_COMMAND = 0x00
_FORMAT_1 = 0x01
_SEND_UNICAST = 0x0034
_MESSAGE_SENT = 0x003F
_INCOMING_MESSAGE = 0x0045
_INVALID_COMMAND = 0x0058
_DIRECT = 0x00
_UNICAST = 0x00
_ZHA = 0x0104
_OTA = 0x0019
_RETRY = 0x0040
_ENABLE_ROUTE_DISCOVERY = 0x0100
_FRAGMENT = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How a range of protocol versions lays out parameters; numbers are places among the unpacked ones.

    The APS frame is profile, cluster, source endpoint, destination endpoint, options, group, sequence.
    """

    request: struct.Struct
    answer: struct.Struct
    sent: struct.Struct
    sent_to: int
    sent_cluster: int
    sent_tag: int
    sent_status: int
    incoming: struct.Struct
    sender: int
    lqi: int
    busy: frozenset[int]
    too_long: int
    no_route: frozenset[int]

    def fate(self, status: int) -> Fate:
        """What a status says of a frame."""
        if status == 0:
            return Fate.DELIVERED
        if status == self.too_long:
            return Fate.TOO_LONG
        return Fate.NO_ROUTE if status in self.no_route else Fate.LOST


_EMBER_STATUS = _Layout(
    request=struct.Struct("<BHHHBBHHBBB"),  # type, destination, APS frame, tag, length
    answer=struct.Struct("<B"),
    sent=struct.Struct("<BHHHBBHHBBB"),  # type, destination, APS frame, tag, status
    sent_to=1,
    sent_cluster=3,
    sent_tag=9,
    sent_status=10,
    incoming=struct.Struct("<BHHBBHHBBbHBBB"),  # type, APS frame, LQI, RSSI, sender, binding, address, length
    sender=10,
    lqi=8,
    busy=frozenset({0x18, 0x39, 0x72, 0xA1}),  # no buffers, MAC queue full, message limit reached, network busy
    too_long=0x74,
    no_route=frozenset({0xCE, 0xCF}),  # send unicast failure, no route
)
_SL_STATUS = _Layout(
    request=struct.Struct("<BHHHBBHHBHB"),
    answer=struct.Struct("<I"),
    sent=struct.Struct("<IBHHHBBHHBH"),  # status, type, destination, APS frame, tag
    sent_to=2,
    sent_cluster=4,
    sent_tag=10,
    sent_status=0,
    incoming=struct.Struct("<BHHBBHHBHQBBBbIB"),  # type, APS frame, sender, its EUI-64, binding, address, LQI, RSSI, timestamp, length
    sender=8,
    lqi=12,
    busy=frozenset({0x04, 0x19, 0x1A, 0x34, 0x53, 0x0C03}),  # busy, allocation failed, no resource, transmit busy, MAC queue full, message limit
    too_long=0x38,
    no_route=frozenset({0x0C25, 0x0C26}),
)


class EzspPath:
    """See the module's docstring; implements `stacks.FastPath`."""

    def __init__(self, app: ControllerApplication, *, take: Take) -> None:
        """Tap the line of a started application. Raises FastPathUnavailable, with nothing changed, where a private name is missing."""
        try:
            ezsp: Any = app._ezsp  # type: ignore[attr-defined]
            self._layout = _layout_of(ezsp.ezsp_version)
            self._link = AshLink(_line_of(ezsp), take=self._is_ours)
            turn = Turn(lambda: ezsp._protocol._send_semaphore, self._link)
            turn.locked(), ezsp._protocol._seq & 0xFF  # must work before anything is tapped
            self._exchange = Exchange(lambda: turn, draw=app.get_sequence)
        except CHANGED as error:
            raise changed(error) from None
        self._ezsp = ezsp
        self._take = take
        self._sequence = -1
        self._destinations: dict[int, int] = {}  # by tag, of which there are 256
        self._link.attach()

    def detach(self) -> None:
        """See `FastPath.detach`."""
        self._link.detach()
        self._exchange.close()

    # --- out --------------------------------------------------------------------------------------------------------------------------

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended) -> None:
        """See `FastPath.send`."""
        tag, write = self._request(nwk, endpoint, frame, ack=ack)
        refusal = self._refusal(await self._exchange.hand_over(tag, write, ended), ended)
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
        tag, write = self._request(nwk, endpoint, frame, ack=ack)
        return self._exchange.hand_over_now(tag, write, ended, lambda outcome: told(self._refusal(outcome, ended)))

    def _request(self, nwk: int, endpoint: int, frame: bytes, *, ack: bool) -> tuple[int, Callable[[], None]]:
        """The tag of a sendUnicast, and what writes it."""
        tag = self._exchange.next_number()
        self._destinations[tag] = nwk
        options = _ENABLE_ROUTE_DISCOVERY | (_RETRY if ack else 0)
        body = self._layout.request.pack(_DIRECT, nwk, _ZHA, _OTA, 1, endpoint, options, 0, 0, tag, len(frame)) + frame
        return tag, partial(self._write, body)

    def _refusal(self, outcome: int | Exception, ended: Ended) -> Exception | None:
        """What the outcome of a command means to whoever sends; a frame that was refused for good has ended."""
        if isinstance(outcome, Exception):
            return outcome
        if outcome in self._layout.busy:
            return Busy()
        if outcome:
            ended(self._layout.fate(outcome))
        return None

    def _write(self, body: bytes) -> None:
        """With the next of the library's sequence numbers: answers of both are told apart by them."""
        protocol = self._ezsp._protocol
        self._sequence = protocol._seq
        protocol._seq = (self._sequence + 1) & 0xFF
        self._link.send(_HEADER.pack(self._sequence, _COMMAND, _FORMAT_1, _SEND_UNICAST) + body)

    # --- in ---------------------------------------------------------------------------------------------------------------------------

    def _is_ours(self, payload: bytes) -> bool:
        """Whether an EZSP frame is taken; one that is too short for what it says is the library's to complain about."""
        if len(payload) < _HEADER.size:
            return False
        sequence, _, _, command = _HEADER.unpack_from(payload)
        if command == _INCOMING_MESSAGE:
            return self._incoming(payload)
        if command == _MESSAGE_SENT:
            return self._sent(payload)
        if sequence != self._sequence or not self._exchange.waits:
            return False
        if command == _SEND_UNICAST:
            return self._answered(payload)
        if command != _INVALID_COMMAND:
            return False
        self._exchange.fail(FastPathUnavailable("the coordinator does not know sendUnicast"))
        return True

    def _answered(self, payload: bytes) -> bool:
        answer = self._layout.answer
        if len(payload) < _HEADER.size + answer.size:
            return False
        self._exchange.answer(answer.unpack_from(payload, _HEADER.size)[0])
        return True

    def _incoming(self, payload: bytes) -> bool:
        layout = self._layout
        if len(payload) < _HEADER.size + layout.incoming.size:
            return False
        values = layout.incoming.unpack_from(payload, _HEADER.size)
        kind, _, cluster, source_endpoint, own_endpoint, options = values[:6]
        if cluster != _OTA or kind != _UNICAST or options & _FRAGMENT:
            return False
        begin = _HEADER.size + layout.incoming.size
        end = begin + values[-1]
        return end <= len(payload) and self._take(values[layout.sender], source_endpoint, own_endpoint, values[layout.lqi], payload[begin:end])

    def _sent(self, payload: bytes) -> bool:
        layout = self._layout
        if len(payload) < _HEADER.size + layout.sent.size:
            return False
        values = layout.sent.unpack_from(payload, _HEADER.size)
        tag = values[layout.sent_tag]
        if values[layout.sent_cluster] != _OTA or not self._exchange.is_under_way(tag):
            return False
        if values[layout.sent_to] != self._destinations.get(tag):  # the library numbers its own frames to this cluster in the same row
            return False
        self._exchange.end(tag, layout.fate(values[layout.sent_status]))
        return True


def _layout_of(version: int) -> _Layout:
    if version < _FIRST_EXTENDED:
        raise FastPathUnavailable(f"the coordinator's firmware is old: EZSP {version}, where {_FIRST_EXTENDED} is needed")
    return _EMBER_STATUS if version < _FIRST_WITH_SL_STATUS else _SL_STATUS


def _line_of(ezsp: Any) -> Any:
    """The ASH protocol, behind a proxy that would hand calls to another thread. Raises TypeError where it does."""
    proxy = ezsp._gw
    if proxy._obj_loop is not asyncio.get_running_loop():
        raise TypeError("the line belongs to another thread")
    return proxy._obj._transport
