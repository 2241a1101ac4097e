"""The data path: AF requests and their confirms, and frames from the air."""

from __future__ import annotations

import asyncio
import struct

import pytest
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY, until
from zigpy.exceptions import DeliveryError
from zigpy.types import AddrMode, AddrModeAddress, SerializableBytes, TransmitOptions, ZigbeePacket
from zigpy_znp import types as znp_t
from zigpy_znp.commands import AF
from zigpy_znp.frames import GeneralFrame
from zigpy_znp.types.commands import CommandHeader
from znp_fakes import RawHost, ScriptedMedium, raw_host, running, stick

from otagate_rig.aps import Delivery
from otagate_rig.znp import mt

STATUSES = {
    Delivery.SUCCESS: znp_t.Status.SUCCESS,
    Delivery.NO_APS_ACK: znp_t.Status.APS_NO_ACK,
    Delivery.NO_ROUTE: znp_t.Status.NWK_NO_ROUTE,
    Delivery.EXPIRED: znp_t.Status.MAC_TRANSACTION_EXPIRED,
    Delivery.TOO_LONG: znp_t.Status.MAC_FRAME_TOO_LONG,
    Delivery.CHANNEL_ACCESS_FAILURE: znp_t.Status.MAC_CHANNEL_ACCESS_FAILURE,
}


def present() -> ScriptedMedium:
    medium = ScriptedMedium()
    medium.present = True
    return medium


def incoming(host: RawHost) -> list[AF.IncomingMsg.Callback]:
    header = CommandHeader(int.from_bytes(mt.AF_INCOMING_MSG.to_bytes(2, "big"), "little"))
    return [AF.IncomingMsg.Callback.from_frame(GeneralFrame(header, body), align=True) for body in host.all(mt.AF_INCOMING_MSG)]


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.asyncio
async def test_a_request_is_confirmed_under_its_own_number_with_the_way_it_ended(delivery: Delivery) -> None:
    medium = present()
    medium.delivery = delivery
    async with raw_host(medium) as (ncp, host):
        assert host.send_data(77) == 0
        await until(lambda: bool(host.all(mt.AF_DATA_CONFIRM)))
        assert host.all(mt.AF_DATA_CONFIRM) == [bytes((STATUSES[delivery], 1, 77))]
        assert ncp.outstanding == 0
        assert ncp.counters.af_confirms == {STATUSES[delivery]: 1}


@pytest.mark.asyncio
async def test_the_confirm_comes_when_the_transmission_has_ended_and_not_before() -> None:
    medium = present()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        host.send_data(5)
        await until(lambda: len(medium.sent) == 1)
        assert host.all(mt.AF_DATA_CONFIRM) == []
        assert ncp.outstanding == 1
        medium.hold.set()
        await until(lambda: host.all(mt.AF_DATA_CONFIRM) == [b"\x00\x01\x05"])


@pytest.mark.asyncio
async def test_the_frame_on_the_air_is_the_one_the_host_described() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, host):
        host.send_data(1, options=0x30, data=b"with ack")
        host.send_data(2, options=0x40, data=b"encrypted")
        host.send_data(3, dst=DEVICE_IEEE, mode=mt.AddressMode.IEEE, options=0, data=b"by name")
        plain = struct.pack("<HBBHBBBB", DEVICE_NWK, 11, 1, 0x0006, 4, 0, 7, 5) + b"plain"
        assert host.ask(mt.AF_DATA_REQUEST, plain) == b"\x00"
        routed = struct.pack("<HBBHBBBB2HB", DEVICE_NWK, 11, 1, 0x0006, 5, 0x10, 7, 2, 0x1111, 0x2222, 6) + b"routed"
        assert host.ask(mt.AF_DATA_REQUEST_SRC_RTG, routed) == b"\x00"
        await until(lambda: len(medium.sent) == 5)
        ack, encrypted, by_name, plain_frame, routed_frame = medium.sent
        assert (ack.data, ack.ack, ack.encrypted, ack.cluster, ack.src_ep, ack.profile) == (b"with ack", True, False, 0x0019, 1, 0x0104)
        assert (encrypted.data, encrypted.ack, encrypted.encrypted) == (b"encrypted", False, True)
        assert (by_name.dst, by_name.ack) == (DEVICE_NWK, False)
        assert (plain_frame.dst, plain_frame.dst_ep, plain_frame.radius, plain_frame.data) == (DEVICE_NWK, 11, 7, b"plain")
        assert (routed_frame.route, routed_frame.data, routed_frame.ack) == ((0x1111, 0x2222), b"routed", True)
        assert ncp.counters.af_requests == {(0x0019, True): 1, (0x0019, False): 2, (0x0006, False): 1, (0x0006, True): 1}
        assert list(ncp.counters.af_tsns) == [1, 2, 3, 4, 5]


@pytest.mark.asyncio
async def test_the_seventeenth_request_at_once_is_refused_and_a_freed_buffer_is_used_again() -> None:
    medium = present()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        assert [host.send_data(tsn) for tsn in range(18)] == [0] * 16 + [znp_t.Status.BUFFER_FULL] * 2
        assert ncp.counters.buffer_full == 2
        assert ncp.counters.outstanding_peak == 16
        medium.hold.set()
        await until(lambda: ncp.outstanding == 0)
        assert host.send_data(20) == 0
        await until(lambda: len(host.all(mt.AF_DATA_CONFIRM)) == 17)
        assert ncp.counters.tsn_collisions == 0


@pytest.mark.asyncio
async def test_two_requests_under_way_with_one_number_are_counted_as_a_collision() -> None:
    medium = present()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        host.send_data(9)
        host.send_data(10)
        assert ncp.counters.tsn_collisions == 0
        host.send_data(9)
        assert ncp.counters.tsn_collisions == 1
        medium.hold.set()
        await until(lambda: ncp.outstanding == 0)
        host.send_data(9)
        assert ncp.counters.tsn_collisions == 1
        await until(lambda: len(host.all(mt.AF_DATA_CONFIRM)) == 4)


@pytest.mark.asyncio
async def test_a_broadcast_is_not_confirmed_and_a_groupcast_is() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, host):
        host.send_data(1, dst=0xFFFD, mode=mt.AddressMode.BROADCAST)
        host.send_data(2, dst=0x0BAD, mode=mt.AddressMode.GROUP)
        await until(lambda: ncp.outstanding == 0)
        assert host.all(mt.AF_DATA_CONFIRM) == [b"\x00\x01\x02"]
        broadcast, group = medium.sent
        assert (broadcast.dst, broadcast.group) == (0xFFFD, None)
        assert (group.dst, group.group) == (0xFFFD, 0x0BAD)


@pytest.mark.asyncio
async def test_requests_that_cannot_be_sent_are_refused_at_once() -> None:
    medium = ScriptedMedium()
    async with raw_host(medium) as (ncp, host):
        assert host.send_data(1, dst=DEVICE_IEEE, mode=mt.AddressMode.IEEE) == znp_t.Status.NWK_UNKNOWN_DEVICE
        assert host.send_data(1, mode=0) == znp_t.Status.INVALID_PARAMETER
        unregistered = struct.pack("<HBBHBBBB", DEVICE_NWK, 1, 99, 6, 4, 0, 7, 0)
        assert host.ask(mt.AF_DATA_REQUEST, unregistered) == bytes((znp_t.Status.INVALID_PARAMETER,))
        ncp.reset_unexpectedly()
        assert host.send_data(1) == znp_t.Status.INVALID_PARAMETER
        assert medium.sent == []


@pytest.mark.asyncio
async def test_an_endpoint_is_registered_once_and_can_be_deleted() -> None:
    async with raw_host() as (_, host):
        again = struct.pack("<BHHBBBB", 1, 0x0104, 0, 0, 0, 0, 0)
        assert host.ask(mt.AF_REGISTER, again) == bytes((znp_t.Status.APS_DUPLICATE_ENTRY,))
        assert host.ask(mt.AF_DELETE, b"\x01") == b"\x00"
        assert host.ask(mt.AF_REGISTER, again) == b"\x00"
        assert host.ask(mt.AF_REGISTER, b"\x00" + again[1:]) == bytes((znp_t.Status.INVALID_PARAMETER,))


@pytest.mark.asyncio
async def test_an_incoming_message_reads_as_zigpy_expects_it_and_has_no_transaction_number() -> None:
    medium = present()
    async with raw_host(medium) as (_, host):
        medium.say(0x0019, b"\x01\x4d\x03block request", ep=1, encrypted=True, radius=28)
        (message,) = incoming(host)
        assert message.Data == b"\x01\x4d\x03block request"
        assert (message.SrcAddr, message.SrcEndpoint, message.DstEndpoint, message.ClusterId) == (DEVICE_NWK, 1, 1, 0x0019)
        assert (message.TSN, message.LQI, message.WasBroadcast, message.GroupId) == (0, 180, False, 0)
        assert message.SecurityUse
        assert message.MsgResultRadius == 28


@pytest.mark.asyncio
async def test_messages_reach_only_registered_endpoints() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, host):
        host.ask(mt.AF_REGISTER, struct.pack("<BHHBBBB", 2, 0xC05E, 0, 0, 0, 0, 0))
        medium.say(0x0019, b"nobody", ep=77)
        assert incoming(host) == []
        assert ncp.counters.dropped_frames == 1
        medium.say(0x0019, b"all of the profile", ep=0xFF, profile=0x0104)
        assert [message.DstEndpoint for message in incoming(host)] == [1]
        medium.say(0x0019, b"all", ep=0xFF, profile=0xFFFF, dst=0xFFFD)
        assert [(message.DstEndpoint, bool(message.WasBroadcast)) for message in incoming(host)[1:]] == [(1, True), (2, True)]


@pytest.mark.asyncio
async def test_a_groupcast_is_heard_by_members_only() -> None:
    medium = present()
    async with raw_host(medium) as (_, host):
        medium.say(0x0006, b"on", ep=1, dst=0xFFFD, group=0x1234)
        assert incoming(host) == []
        assert host.ask(mt.ZDO_EXT_ADD_GROUP, struct.pack("<BHB", 1, 0x1234, 0)) == b"\x00"
        medium.say(0x0006, b"on", ep=1, dst=0xFFFD, group=0x1234)
        assert [(message.GroupId, bool(message.WasBroadcast)) for message in incoming(host)] == [(0x1234, False)]
        assert host.ask(mt.ZDO_EXT_REMOVE_GROUP, struct.pack("<BH", 1, 0x1234)) == b"\x00"
        medium.say(0x0006, b"off", ep=1, dst=0xFFFD, group=0x1234)
        assert len(incoming(host)) == 1


@pytest.mark.asyncio
async def test_a_new_route_of_a_device_is_told_once() -> None:
    medium = present()
    async with raw_host(medium) as (_, host):
        for _ in range(2):
            medium.say(0x0006, b"far", ep=1, route=(0x1111, 0x2222))
        assert host.all(mt.ZDO_SRC_RTG_IND) == [struct.pack("<HB2H", DEVICE_NWK, 2, 0x1111, 0x2222)]


@pytest.mark.asyncio
async def test_a_message_to_the_coordinator_itself_comes_back() -> None:
    medium = present()
    async with raw_host(medium) as (_, host):
        host.send_data(3, dst=0x0000, data=b"me")
        await until(lambda: host.all(mt.AF_DATA_CONFIRM) == [b"\x00\x01\x03"])
        assert [message.Data for message in incoming(host)] == [b"me"]
        assert medium.sent == []


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (mt.AF_DATA_REQUEST, b"\x00" * 5),
        (mt.AF_DATA_REQUEST, struct.pack("<HBBHBBBB", DEVICE_NWK, 1, 1, 6, 4, 0, 7, 20)),
        (mt.AF_DATA_REQUEST_SRC_RTG, struct.pack("<HBBHBBBB", DEVICE_NWK, 1, 1, 6, 4, 0, 7, 200)),
        (mt.AF_REGISTER, struct.pack("<BHHBBB", 9, 0x0104, 0, 0, 0, 200)),
        (mt.SYS_OSAL_NV_WRITE, b"\x21\x00\x00\xff"),
        (mt.ZDO_MSG_CB_REGISTER, b""),
    ],
)
@pytest.mark.asyncio
async def test_a_command_that_is_shorter_than_it_claims_is_answered_with_an_error(command: int, payload: bytes) -> None:
    async with raw_host() as (ncp, host):
        assert (mt.RPC_ERROR, bytes((4, command >> 8, command & 0xFF))) in host.tell(command, payload)
        assert ncp.counters.malformed_commands == 1
        assert host.ask(mt.SYS_PING) == b"\x59\x06"


@pytest.mark.asyncio
async def test_unknown_commands_are_refused_by_name() -> None:
    async with raw_host() as (ncp, host):
        assert host.tell(0x24FE) == [(mt.RPC_ERROR, b"\x02\x24\xfe")]
        assert host.tell(0x2AFE) == [(mt.RPC_ERROR, b"\x01\x2a\xfe")]
        assert host.tell(0x44FE) == []
        assert ncp.counters.unknown_commands == 3


def packet(**more: object) -> ZigbeePacket:
    values: dict[str, object] = {
        "src": AddrModeAddress(addr_mode=AddrMode.NWK, address=0),
        "src_ep": 1,
        "dst": AddrModeAddress(addr_mode=AddrMode.NWK, address=DEVICE_NWK),
        "dst_ep": 1,
        "tsn": 201,
        "profile_id": 0x0104,
        "cluster_id": 0x0019,
        "data": SerializableBytes(b"\x19\x07\x05\x00payload"),
        "tx_options": TransmitOptions.ACK,
        **more,
    }
    return ZigbeePacket(**values)


@pytest.mark.parametrize("delivery", [delivery for delivery in Delivery if delivery is not Delivery.SUCCESS])
@pytest.mark.asyncio
async def test_zigpy_reports_a_failed_delivery_with_its_status(delivery: Delivery) -> None:
    medium = present()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path) as app:
        medium.delivery = delivery
        with pytest.raises(DeliveryError) as failure:
            await app.send_packet(packet())
        assert failure.value.status == STATUSES[delivery]
        assert ncp.counters.af_tsns[-1] == 201
        medium.delivery = Delivery.SUCCESS
        await app.send_packet(packet(tx_options=TransmitOptions.NONE))
        assert medium.sent[-1].data == b"\x19\x07\x05\x00payload"
        assert not medium.sent[-1].ack


@pytest.mark.asyncio
async def test_zigpy_sends_groupcasts_broadcasts_and_source_routed_frames() -> None:
    medium = present()
    async with stick(medium, network=IDENTITY) as (_, port), running(port.path) as app:
        medium.sent.clear()
        await app.send_packet(packet(dst=AddrModeAddress(addr_mode=AddrMode.Group, address=0x0102), tx_options=TransmitOptions.NONE))
        await app.send_packet(packet(dst=AddrModeAddress(addr_mode=AddrMode.Broadcast, address=0xFFFD), tx_options=TransmitOptions.NONE))
        await app.send_packet(packet(source_route=[0x1111]))
        await until(lambda: len(medium.sent) == 3)
        assert [(frame.dst, frame.group, frame.route) for frame in medium.sent] == [
            (0xFFFD, 0x0102, ()),
            (0xFFFD, None, ()),
            (DEVICE_NWK, None, (0x1111,)),
        ]
