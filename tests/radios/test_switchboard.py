"""What a radio tells of its devices, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import zigpy.types as t

from otagate.model.ids import RadioName, UpdateId
from otagate.model.links import Link
from otagate.model.orders import Activate, Withdraw
from otagate.model.quirks import PLAIN, Quirk
from otagate.ports import DeviceAsked, DeviceFound, DeviceReturned, DeviceSeen, RadioEvent, TransferAdvanced, TransferProgressed
from otagate.radios.meter import Meter
from otagate.radios.peers import Peer, device_id_of
from otagate.radios.sender import Sender
from otagate.radios.switchboard import Switchboard
from otagate.sessions.ota_transfer import Patience
from tests.sessions.playbook import IMAGE, LAMP, serve
from tests.sessions.wire import HOLD, IMAGE_TYPE, MANUFACTURER, ask, ask_page, block, end, query, upgrade
from tests.virtual_time import VirtualClock, instantly

if TYPE_CHECKING:
    from zigpy.device import ZigbeeDevice

DEVICE_ANNCE = 0x0013
QUERY = bytes.fromhex("01 07 01 01 8911 8300 00000001 0300".replace(" ", ""))
"""Query Next Image Request: hardware version present, manufacturer 0x1189, image type 0x0083, file version 0x01000000, hardware version 3."""


class StillClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 1_000.0


class Unsent:
    """Stands for the sender of a radio: what is sent does not matter here."""

    def reply(self, *_: object) -> None: ...

    def announce(self, *_: object) -> None: ...

    def waits_for(self, *_: object) -> bool:
        return False


class Newcomer:
    """Stands for a zigpy device during its interview, which a real one leaves at a moment that no test can choose."""

    def __init__(self) -> None:
        self.ieee = t.EUI64.convert("00:0d:6f:00:00:00:00:01")
        self.nwk = 0x1234
        self.ota_in_progress = False
        self.is_initialized = False
        self.node_desc: object | None = None
        self.endpoints: dict[int, object] = {}
        self.model: str | None = None
        self.manufacturer: str | None = None
        self.last_seen, self.lqi, self.rssi = None, None, None


def a_board(told: list[RadioEvent], quirk: Quirk = PLAIN, *, meter: Meter | None = None) -> Switchboard:
    return Switchboard(
        RadioName("zigbee0"),
        sender=cast("Sender", Unsent()),
        meter=meter or Meter(),
        emit=told.append,
        clock=StillClock(),
        quirk_of=lambda _code, _model: quirk,
        patience=Patience(),
    )


@pytest.mark.asyncio
async def test_what_a_device_tells_during_its_interview_is_told_right_after_it_is_found() -> None:
    told: list[RadioEvent] = []
    board = a_board(told)
    device = Newcomer()
    board.serve()
    board.adopt(device)
    device.is_initialized = True  # zigpy says so before it has read everything and told anybody
    assert board.take(0x1234, 1, 1, 200, QUERY)
    assert [each for each in told if isinstance(each, DeviceAsked)] == []
    peer = board.adopt(device)
    assert peer is not None
    board.describe(peer)
    found = [each for each in told if isinstance(each, (DeviceFound, DeviceAsked))]
    assert [type(each) for each in found] == [DeviceFound, DeviceAsked]
    asked = found[1]
    assert isinstance(asked, DeviceAsked)
    assert (asked.component.version, asked.component.hardware_version) == (0x01000000, 3)


@pytest.mark.asyncio
async def test_wild_cards_in_a_query_say_nothing_about_the_device_that_sends_them() -> None:
    told: list[RadioEvent] = []
    board = a_board(told)
    device = Newcomer()
    board.serve()
    device.is_initialized = True
    board.adopt(device)
    for frame in (query(manufacturer=0xFFFF), query(image_type=0xFFFF), query(0xFFFF_FFFF, image_type=0x1410)):
        assert board.take(0x1234, 1, 1, 200, frame)
    asked = [each.component for each in told if isinstance(each, DeviceAsked)]
    assert [(each.manufacturer_code, each.image_type, each.version) for each in asked] == [
        (None, IMAGE_TYPE, 10),
        (MANUFACTURER, None, 10),
        (MANUFACTURER, 0x1410, None),
    ]


@pytest.mark.asyncio
async def test_a_session_knows_the_oddities_of_its_device_by_maker_and_model_once_the_interview_told_them() -> None:
    looked_up: list[tuple[int | None, str | None]] = []

    def quirk_of(code: int | None, model: str | None) -> Quirk:
        looked_up.append((code, model))
        return Quirk(notify=False)

    board = Switchboard(
        RadioName("zigbee0"),
        sender=cast("Sender", Unsent()),
        meter=Meter(),
        emit=lambda _: None,
        clock=StillClock(),
        quirk_of=quirk_of,
        patience=Patience(),
    )
    device = Newcomer()
    peer = board.adopt(device)
    assert peer is not None
    assert peer.session.quirk == PLAIN
    device.node_desc = SimpleNamespace(manufacturer_code=0x1037, is_mains_powered=False, is_receiver_on_when_idle=False)
    device.model = " SPZB0001\0"
    board.describe(peer)
    assert looked_up == [(0x1037, "SPZB0001")]
    assert not peer.session.quirk.notify


BRAND = Quirk(whole_up_to=64)
"""Of whom the device was made for; its maker has other oddities."""


def a_board_for_brands() -> Switchboard:
    known = {MANUFACTURER: BRAND, 0x1037: Quirk(notify=False)}
    return Switchboard(
        RadioName("zigbee0"),
        sender=cast("Sender", Unsent()),
        meter=Meter(),
        emit=lambda _: None,
        clock=StillClock(),
        quirk_of=lambda code, _: known.get(code or 0, PLAIN),
        patience=Patience(),
    )


def interviewed() -> Newcomer:
    device = Newcomer()
    device.node_desc = SimpleNamespace(manufacturer_code=0x1037, is_mains_powered=True, is_receiver_on_when_idle=True)
    device.is_initialized = True
    return device


@pytest.mark.asyncio
@pytest.mark.parametrize(("code", "quirk"), [(MANUFACTURER, BRAND), (0x4321, Quirk(notify=False)), (0xFFFF, Quirk(notify=False))])
async def test_oddities_are_those_of_the_brand_that_its_ota_client_tells_and_else_of_its_maker(code: int, quirk: Quirk) -> None:
    board, device = a_board_for_brands(), interviewed()
    board.serve()
    peer = board.adopt(device)
    assert peer is not None
    board.describe(peer)
    assert peer.session.quirk == Quirk(notify=False)
    assert board.take(0x1234, 1, 1, 200, query(manufacturer=code))
    assert peer.session.quirk == quirk
    board.describe(peer)  # after another interview
    assert peer.session.quirk == quirk


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [True, False], ids=["before it is found", "after"])
async def test_an_order_tells_the_brand_too_for_a_device_that_goes_on_after_a_restart_asks_no_query(before: bool) -> None:
    board, device = a_board_for_brands(), interviewed()
    order = replace(serve(manufacturer_code=MANUFACTURER, image_type=IMAGE_TYPE), device=device_id_of(cast("ZigbeeDevice", device)))
    if before:
        board.command(order)
    peer = board.adopt(device)
    assert peer is not None
    if not before:
        board.command(order)
    assert peer.session.quirk == BRAND


@pytest.mark.asyncio
async def test_how_far_a_device_had_come_is_told_before_its_return() -> None:
    told: list[RadioEvent] = []
    board = a_board(told)
    device = Newcomer()
    board.serve()
    board.adopt(device)
    board.command(
        replace(
            serve(manufacturer_code=MANUFACTURER, image_type=IMAGE_TYPE), device=device_id_of(cast("ZigbeeDevice", device)), adopted="transferring"
        )
    )
    for offset in range(0, len(IMAGE), 50):
        assert board.take(0x1234, 1, 1, 200, ask(offset, 50))
    board.message(device, 0, DEVICE_ANNCE, 0, b"\x01" + bytes(11))
    news = [each for each in told if isinstance(each, (TransferProgressed, DeviceReturned))]
    assert isinstance(news[-1], DeviceReturned)
    assert news[-2] == TransferProgressed(update=LAMP, offset=len(IMAGE))


@pytest.mark.asyncio
async def test_how_well_a_device_is_heard_is_told_with_it_as_soon_as_that_is_known() -> None:
    told: list[RadioEvent] = []
    board = a_board(told)
    device = Newcomer()
    board.serve()
    board.adopt(device)
    report = b"\x18\x01\x0a\x00\x00\x10\x01"
    board.message(device, 0x0104, 0x0006, 1, report)  # zigpy takes note of a frame only after us
    device.lqi, device.rssi = 91, -70
    for _ in range(3):
        board.message(device, 0x0104, 0x0006, 1, report)
    seen = [each for each in told if isinstance(each, DeviceSeen)]
    assert [each.link for each in seen] == [None, Link(heard=StillClock().now(), lqi=91, rssi=-70)]


@pytest.mark.asyncio
async def test_only_what_belongs_to_no_update_counts_as_a_load() -> None:
    meter = Meter()
    board = a_board([], meter=meter)
    device = Newcomer()
    board.serve()
    board.adopt(device)
    for _ in range(3_000):
        assert board.take(0x1234, 1, 1, 200, ask(0, 50))
    assert meter.load(StillClock().monotonic(), StillClock().now()).used == 0
    for _ in range(3_000):
        board.message(device, 0x0104, 0x0006, 1, b"\x18\x01\x0a\x00\x00\x10\x01")
    assert meter.load(StillClock().monotonic(), StillClock().now()).used == 19


@pytest.mark.asyncio
async def test_a_radio_that_goes_away_waits_until_its_devices_were_told_and_no_answer_is_left_behind() -> None:
    board, device = a_board([]), Newcomer()
    device.is_initialized = True
    board.serve()
    peer = board.adopt(device)
    assert peer is not None
    board.command(replace(serve(), device=device_id_of(cast("ZigbeeDevice", device)), adopted="transferring"))
    async with asyncio.TaskGroup() as group:
        dismissal = group.create_task(board.dismiss({LAMP: 3_600.0, UpdateId("of a device that is gone"): 60.0}))
        await asyncio.sleep(0)
        board.reply_left(peer)  # to what it asked before
        await asyncio.sleep(0)
        assert not dismissal.done()
        assert board.take(0x1234, 1, 1, 200, ask(0))
        await asyncio.sleep(0)
        assert not dismissal.done(), "the answer has not left"
        board.reply_left(peer)
        async with asyncio.timeout(10):
            await dismissal
    board.part()
    assert 3_500 < board.back_in(LAMP) <= 3_600, "known while nobody hears the device"
    assert board.back_in(UpdateId("of a device that is gone")) == 0


@pytest.mark.asyncio
async def test_nobody_waits_to_dismiss_a_device_whose_update_was_cancelled_meanwhile() -> None:
    board = a_board([])
    board.serve()
    device = Newcomer()
    board.adopt(device)
    board.command(replace(serve(), device=device_id_of(cast("ZigbeeDevice", device)), adopted="transferring"))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        dismissing = group.create_task(board.dismiss({LAMP: 60.0}))
        await asyncio.sleep(0)
        assert not dismissing.done(), "the device has not asked yet"
        board.command(Withdraw(update=LAMP))


@pytest.mark.asyncio
async def test_a_device_that_was_removed_is_served_no_more() -> None:
    told: list[RadioEvent] = []
    board, device = a_board(told), Newcomer()
    board.serve()
    peer = board.adopt(device)
    assert peer is not None
    board.command(replace(serve(), device=device_id_of(cast("ZigbeeDevice", device)), adopted="offering"))
    board.forget(device)
    assert not board.take(0x1234, 1, 1, 200, ask(0, 50)), "zigpy may tell it that it is not known any more"
    assert [each for each in told if isinstance(each, TransferAdvanced)] == []
    assert peer.timer is None or peer.timer.cancelled()


class Addressed(Unsent):
    """Stands for the sender of a radio: to which endpoint each frame would go, and when nothing of a device waits."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self.announced: list[tuple[int, bytes]] = []

    def reply(self, _: object, endpoint: int, frame: bytes) -> None:  # type: ignore[override]
        self.replies.append((endpoint, frame))

    def announce(self, peer: Peer, frame: bytes, image_type: int) -> None:  # type: ignore[override]
        self.announced.append((peer.client_of(image_type), frame))


@instantly
async def test_each_client_of_a_device_is_spoken_to_at_its_own_endpoint() -> None:
    sender = Addressed()
    board = Switchboard(
        RadioName("zigbee0"),
        sender=cast("Sender", sender),
        meter=Meter(),
        emit=lambda _: None,
        clock=VirtualClock(),
        quirk_of=lambda _code, _model: PLAIN,
        patience=Patience(),
    )
    device = Newcomer()
    board.serve()
    board.adopt(device)
    known = device_id_of(cast("ZigbeeDevice", device))
    board.command(replace(serve(), device=known, adopted="transferring"))
    board.command(replace(serve(update=UpdateId("other"), image_type=0x1410, hold_activation=True), device=known, adopted="staged"))
    assert board.take(0x1234, 2, 1, 200, end(image_type=0x1410))
    assert board.take(0x1234, 1, 1, 200, ask_page(0, 50, page=100, spacing=50))
    assert board.take(0x1234, 2, 1, 200, end(image_type=0x1410))
    await asyncio.sleep(1.0)
    held = upgrade(HOLD, image_type=0x1410)
    assert sender.replies == [(2, held), (1, block(IMAGE[:50], 0)), (2, held), (1, block(IMAGE[50:100], 50))]
    board.command(Activate(update=UpdateId("other")))
    assert sender.announced == [(2, upgrade(tsn=1, image_type=0x1410))]
    board.part()


@instantly
async def test_what_a_block_request_of_a_sleeping_device_began_is_told_again_until_it_is_durable() -> None:
    told: list[RadioEvent] = []
    board = Switchboard(
        RadioName("zigbee0"),
        sender=cast("Sender", Unsent()),
        meter=Meter(),
        emit=told.append,
        clock=VirtualClock(),
        quirk_of=lambda _code, _model: PLAIN,
        patience=Patience(),
    )
    device = Newcomer()
    device.node_desc = SimpleNamespace(manufacturer_code=0x1037, is_mains_powered=False, is_receiver_on_when_idle=False)
    board.serve()
    peer = board.adopt(device)
    assert peer is not None
    assert peer.session.sleepy
    board.command(replace(serve(), device=device_id_of(cast("ZigbeeDevice", device)), adopted="offering"))
    assert board.take(0x1234, 1, 1, 200, ask(500, 50))
    await asyncio.sleep(Patience().commit + 1.0)
    board.part()
    assert [each.token for each in told if isinstance(each, TransferAdvanced)] == [1, 1]
