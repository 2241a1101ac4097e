"""Who is told of an image by a broadcast, and who by itself."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from otagate.model.ids import UpdateId
from otagate.model.orders import Park
from otagate.model.quirks import PLAIN, Quirk
from otagate.radios.crier import Crier
from otagate.radios.peers import Peer
from otagate.sessions import ota_frames as ota
from otagate.sessions.effects import Announce, Effects
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer
from tests.sessions.playbook import serve
from tests.sessions.wire import IMAGE_TYPE, MANUFACTURER, NEW, query
from tests.virtual_time import instantly

if TYPE_CHECKING:
    from otagate.radios.sender import Sender


class Heard:
    """Stands for the sender of a radio: what would leave it, and to whom."""

    def __init__(self) -> None:
        self.unicasts: list[Peer] = []
        self.broadcasts: list[bytes] = []

    def announce(self, peer: Peer, frame: bytes, image_type: int) -> None:
        assert image_type in (IMAGE_TYPE, IMAGE_TYPE + 1)
        self.unicasts.append(peer)

    def broadcast(self, frame: bytes) -> None:
        self.broadcasts.append(frame)


class Street:
    """Some devices of one radio, each with its session."""

    def __init__(self, count: int, *, sleepy: tuple[int, ...] = (), quirk: dict[int, Quirk] | None = None) -> None:
        self.heard = Heard()
        tokens = itertools.count(1)
        sessions = [OtaServer(tokens=tokens, patience=Patience(), quirk=(quirk or {}).get(at, PLAIN), sleepy=at in sleepy) for at in range(count)]
        self.peers = [cast("Peer", _Peer(session=each)) for each in sessions]
        self.crier = Crier(cast("Sender", self.heard), lambda: self.peers)

    def perform(self, peer: Peer, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Announce):
                self.crier.announce(peer, effect.frame, effect.image_type)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def offer(self, *places: int, **changes: Any) -> None:
        for at in places:
            order = serve(update=UpdateId(f"u{at}"), **{"together": len(places)} | changes)
            self.perform(self.peers[at], self.peers[at].session.command(order, self.now()))

    def park(self, *places: int) -> None:
        """As the engine does with what waits for its turn: pinned, and told nothing."""
        for at in places:
            session = self.peers[at].session
            session.command(serve(update=UpdateId(f"u{at}")), self.now())
            session.command(Park(update=UpdateId(f"u{at}")), self.now())

    @property
    def told(self) -> list[int]:
        return [self.peers.index(each) for each in self.heard.unicasts]


class _Peer(SimpleNamespace):
    __hash__ = object.__hash__


BROADCAST = ota.image_notify(1, jitter=100, manufacturer_code=MANUFACTURER, image_type=IMAGE_TYPE, file_version=NEW)


@instantly
async def test_three_that_wait_for_the_same_image_are_told_by_one_broadcast_that_names_it() -> None:
    street = Street(3)
    street.offer(0, 1, 2)
    assert (street.told, street.heard.broadcasts) == ([], [])
    await asyncio.sleep(1.0)
    assert (street.told, street.heard.broadcasts) == ([], [BROADCAST])
    assert BROADCAST[3] == 3  # the payload type


@instantly
async def test_few_are_told_by_themselves_and_at_once() -> None:
    street = Street(9)
    street.offer(0, 1)
    assert street.told == [0, 1]
    await asyncio.sleep(5.0)
    assert street.heard.broadcasts == []


@instantly
async def test_who_does_not_answer_a_broadcast_is_told_by_itself_alone() -> None:
    street = Street(3)
    street.offer(0, 1, 2)
    await asyncio.sleep(1.0)
    for peer in street.peers[:2]:
        peer.session.receive(query(), street.now())
    await asyncio.sleep(Patience().notify_every)
    for peer in street.peers:
        street.perform(peer, peer.session.tick(street.now()))
    assert (street.told, len(street.heard.broadcasts)) == ([2], 1)


@instantly
async def test_those_that_sleep_are_told_by_themselves() -> None:
    street = Street(6, sleepy=(0, 1, 2))
    street.offer(*range(6))
    assert street.told == [0, 1, 2]  # at once
    await asyncio.sleep(1.0)
    assert street.heard.broadcasts == [BROADCAST]


@instantly
async def test_where_most_would_ask_in_vain_nobody_is_told_by_broadcast() -> None:
    street = Street(10)
    street.park(*range(3, 10))
    street.offer(0, 1, 2)
    await asyncio.sleep(1.0)
    assert (street.told, street.heard.broadcasts) == ([0, 1, 2], [])


@instantly
async def test_of_those_that_wait_for_their_turn_the_jitter_keeps_some_from_asking() -> None:
    street = Street(6)
    street.park(3, 4, 5)
    street.offer(0, 1, 2)
    await asyncio.sleep(1.0)
    assert [frame[4] for frame in street.heard.broadcasts] == [50]


@pytest.mark.parametrize(
    "quirk", [Quirk(broadcast=False), Quirk(notify=False), Quirk(by_type=((0x77, Quirk(broadcast=False)),))], ids=["broadcast", "notify", "type"]
)
@instantly
async def test_one_device_within_hearing_that_mistakes_broadcasts_keeps_all_from_being_told_so(quirk: Quirk) -> None:
    street = Street(4, quirk={3: quirk})
    street.offer(0, 1, 2)
    await asyncio.sleep(1.0)
    assert (street.told, street.heard.broadcasts) == ([0, 1, 2], [])


@instantly
async def test_when_a_radio_is_back_those_that_still_wait_are_told_together() -> None:
    street = Street(3)
    for at in range(3):
        street.offer(at, together=1)
    assert street.told[:2] == [0, 1]
    for peer in street.peers:
        street.perform(peer, peer.session.reopened(street.now()))
    await asyncio.sleep(1.0)
    assert street.heard.broadcasts == [BROADCAST]


@instantly
async def test_other_images_are_others() -> None:
    street = Street(6)
    street.offer(0, 1, together=6)
    street.offer(2, 3, together=6, file_version=NEW + 1)
    street.offer(4, 5, together=6, image_type=IMAGE_TYPE + 1)
    await asyncio.sleep(1.0)
    assert (sorted(street.told), street.heard.broadcasts) == ([0, 1, 2, 3, 4, 5], [])


@instantly
async def test_who_has_asked_meanwhile_needs_not_be_told() -> None:
    street = Street(3)
    street.offer(0, 1, 2)
    street.peers[0].session.receive(query(), street.now())
    await asyncio.sleep(1.0)
    assert (street.told, street.heard.broadcasts) == ([1, 2], [])


@instantly
async def test_nothing_is_told_of_a_radio_that_is_gone() -> None:
    street = Street(3)
    street.offer(0, 1, 2)
    street.crier.forget()
    await asyncio.sleep(5.0)
    assert (street.told, street.heard.broadcasts) == ([], [])
