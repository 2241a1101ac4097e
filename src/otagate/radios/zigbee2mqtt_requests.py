"""Requests to zigbee2mqtt over the broker, and its answers: each by a transaction of its own, and waited for no longer than bounded."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from otagate.model.errors import BrokerUnavailable, DeviceUnreachable, RadioUnavailable, UnknownDevice
from otagate.ports import Broker, Handout
from otagate.radios.handouts import Counter
from otagate.sessions.zigbee2mqtt_documents import Answer, Peer, UpdateState

Kind = tuple[int, int]
"""Manufacturer code and image type: what an image is for."""

Kinds = Callable[[], Iterable[Kind]]

CHECK_WITHIN = 100.0
"""Seconds for the answer to a check: zigbee2mqtt gives the device 60 s to ask."""

_ANSWER_WITHIN = 10.0
_MOST_KINDS = 20_000
_ENTRY = re.compile(r"otagate:(?P<mark>[0-9a-f]{16})/(?P<code>[0-9a-f]{4})-(?P<type>[0-9a-f]{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a device told just now: its file version, and which of the kinds that our index named it is; None where it is none `among` them."""

    version: int
    kind: Kind | None
    among: frozenset[Kind]


class DeviceBusy(DeviceUnreachable):
    """Something is under way with the device in zigbee2mqtt."""


class Requests:
    """What is asked of one zigbee2mqtt. `images_url`: where it reaches this hub, where that is not where the API listens."""

    def __init__(self, *, base: str, broker: Broker, counter: Counter, kinds: Kinds, images_url: str | None) -> None:
        self._base = base
        self._broker = broker
        self._counter = counter
        self._kinds = kinds
        self._images_url = images_url
        self._open: dict[str, asyncio.Future[Answer]] = {}
        self._versions: dict[int, int | None] = {}  # of those that are checked now: what their state has told since
        self._checking = WeakValueDictionary[int, asyncio.Lock]()  # a second check at one time would be taken for an update under way
        self._installed: dict[int, int] = {}

    # --- what comes in ------------------------------------------------------------------------------------------------------------------

    def answered(self, answer: Answer) -> bool:
        """Take an answer; False where nobody waits for it here."""
        waiting = self._open.pop(answer.transaction, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        return waiting is not None

    def told(self, ieee: int, state: UpdateState) -> None:
        """Take what the state of a device says of its firmware."""
        if state.installed is not None:
            self._installed[ieee] = state.installed
            if ieee in self._versions:
                self._versions[ieee] = state.installed

    def forget(self, peer: Peer) -> None:
        """It has left zigbee2mqtt."""
        self._installed.pop(peer.ieee, None)

    # --- what goes out ------------------------------------------------------------------------------------------------------------------

    async def check(self, peer: Peer) -> Checked:
        """Have the device asked what it runs (Image Notify, Query Next Image), against an index of ours that offers nothing.

        The index names every kind that images are known for, each at an address of its own: the address that comes back says which kind the device
        is. Raises DeviceBusy, DeviceUnreachable, RadioUnavailable, UnknownDevice.
        """
        turn = self._checking.setdefault(peer.ieee, asyncio.Lock())
        async with turn:
            return await self._check(peer)

    async def _check(self, peer: Peer) -> Checked:
        mark, kinds = secrets.token_hex(8), frozenset(self._kinds())
        index = json.dumps([*_entries(mark, kinds, self._installed.get(peer.ieee, 0))]).encode()
        laid = self._counter.lay(Handout(body=memoryview(index), media="application/json"), seconds=CHECK_WITHIN)
        self._versions[peer.ieee] = None
        try:
            url = self._counter.url(laid, self._images_url)
            answer = await self._ask("check", {"id": f"0x{peer.ieee:016x}", "url": url}, within=CHECK_WITHIN)
            version = self._versions[peer.ieee]
        finally:
            self._versions.pop(peer.ieee, None)
            self._counter.withdraw(laid)
        _require_success(peer, answer)
        if version is None:
            raise DeviceUnreachable(f"zigbee2mqtt checked {peer.name} and did not publish its version on {self._base}/{peer.name}")
        return Checked(version=version, kind=_kind_of(answer.source, mark), among=kinds)

    async def post(self, what: str, peer: Peer, *, transaction: str, word: str) -> None:
        """Order an update with the file of this word; it is answered to whoever knows the transaction. Raises RadioUnavailable."""
        url = self._counter.url(word, self._images_url)
        await self._say(what, {"id": f"0x{peer.ieee:016x}", "url": url, "transaction": transaction})

    async def unschedule(self, peer: Peer) -> None:
        """Take back what was scheduled. Raises RadioUnavailable."""
        await self._ask("unschedule", {"id": f"0x{peer.ieee:016x}"}, within=_ANSWER_WITHIN)

    async def abort(self, peer: Peer) -> None:
        """Break off what is under way; nothing under way is fine too. Raises RadioUnavailable."""
        await self._ask("update/abort", {"id": f"0x{peer.ieee:016x}"}, within=_ANSWER_WITHIN)

    async def _ask(self, what: str, payload: Mapping[str, Any], *, within: float) -> Answer:
        transaction = f"otagate-{secrets.token_hex(8)}"
        waiting = self._open[transaction] = asyncio.Future[Answer]()
        try:
            await self._say(what, {**payload, "transaction": transaction})
            async with asyncio.timeout(within):
                return await waiting
        except TimeoutError:
            raise RadioUnavailable(f"zigbee2mqtt did not answer a request within {within:.0f} s") from None
        finally:
            self._open.pop(transaction, None)

    async def _say(self, what: str, payload: Mapping[str, Any]) -> None:
        try:
            await self._broker.publish(f"{self._base}/bridge/request/device/ota_update/{what}", json.dumps(payload).encode())
        except BrokerUnavailable as error:
            raise RadioUnavailable(str(error)) from error

    def lose(self) -> None:
        """Whatever was asked is not answered any more."""
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(RadioUnavailable("the line to zigbee2mqtt was lost"))
        self._open.clear()


def _require_success(peer: Peer, answer: Answer) -> None:
    match answer.failure:
        case None:
            return
        case "busy":
            raise DeviceBusy(f"something is under way with {peer.name} in zigbee2mqtt")
        case "unknown":
            raise UnknownDevice(f"zigbee2mqtt knows no {peer.name} any more")
        case "image":
            told = f"zigbee2mqtt could not fetch what it needs: does `images_url` of the radio lead from there to this hub? {answer.error}"
            raise RadioUnavailable(told)
    raise DeviceUnreachable(f"zigbee2mqtt: {answer.error}")


def _entries(mark: str, kinds: Iterable[Kind], version: int) -> Iterable[dict[str, Any]]:
    """An index for recognition: everything in it is as old as what is installed, so that nothing looks like an update to anybody."""
    for code, image_type in sorted(kinds)[:_MOST_KINDS]:
        yield {"manufacturerCode": code, "imageType": image_type, "fileVersion": version, "url": f"otagate:{mark}/{code:04x}-{image_type:04x}"}


def _kind_of(source: str | None, mark: str) -> Kind | None:
    """What our entry's address says; nothing where an index of zigbee2mqtt's own came before ours."""
    found = _ENTRY.fullmatch(source or "")
    return (int(found["code"], 16), int(found["type"], 16)) if found is not None and found["mark"] == mark else None
