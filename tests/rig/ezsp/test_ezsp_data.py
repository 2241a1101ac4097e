"""The data path: sends of the host and their confirmations, and frames from the air."""

from __future__ import annotations

import asyncio
import struct

import bellows.types as t
import pytest
from bellows.ezsp.v13.commands import COMMANDS
from ezsp_fakes import ACK, COORDINATOR_IEEE, RawHost, raw_host, running, stick
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY, FakeMedium, until
from zigpy.exceptions import DeliveryError
from zigpy.types import AddrMode, AddrModeAddress, SerializableBytes, TransmitOptions, ZigbeePacket

from otagate_rig.aps import Delivery
from otagate_rig.ezsp import frames

STATUSES = {
    Delivery.SUCCESS: t.EmberStatus.SUCCESS,
    Delivery.NO_APS_ACK: t.EmberStatus.DELIVERY_FAILED,
    Delivery.NO_ROUTE: t.EmberStatus.DELIVERY_FAILED,
    Delivery.EXPIRED: t.EmberStatus.MAC_INDIRECT_TIMEOUT,
    Delivery.TOO_LONG: t.EmberStatus.MESSAGE_TOO_LONG,
    Delivery.CHANNEL_ACCESS_FAILURE: t.EmberStatus.PHY_TX_CCA_FAIL,
}


def read(name: str, parameters: bytes) -> dict[str, object]:
    """Parameters of a callback as bellows reads them, to the last byte."""
    values, rest = t.deserialize_dict(parameters, COMMANDS[name][2])
    assert rest == b""
    return values


def incoming(host: RawHost) -> list[dict[str, object]]:
    return [read("incomingMessageHandler", body) for body in host.all(frames.INCOMING_MESSAGE_HANDLER)]


@pytest.mark.parametrize("delivery", Delivery)
@pytest.mark.asyncio
async def test_a_unicast_is_confirmed_under_its_own_tag_with_the_way_it_ended(delivery: Delivery) -> None:
    medium = FakeMedium()
    medium.delivery = delivery
    async with raw_host(medium) as (ncp, host):
        status, sequence = host.send(77, options=ACK)
        assert status == 0
        await until(lambda: bool(host.confirms()))
        (confirm,) = [read("messageSentHandler", body) for body in host.all(frames.MESSAGE_SENT_HANDLER)]
        assert confirm["status"] == STATUSES[delivery]
        assert (confirm["messageTag"], confirm["indexOrDestination"]) == (77, DEVICE_NWK)
        assert confirm["type"] == t.EmberOutgoingMessageType.OUTGOING_DIRECT
        assert confirm["apsFrame"].sequence == sequence
        assert confirm["apsFrame"].clusterId == 0x0019
        assert confirm["messageContents"] == b""
        assert ncp.outstanding == 0
        assert ncp.counters.confirms == {STATUSES[delivery]: 1}


@pytest.mark.asyncio
async def test_the_confirmation_comes_when_the_transmission_has_ended_and_not_before() -> None:
    medium = FakeMedium()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        host.send(5)
        await until(lambda: len(medium.sent) == 1)
        assert host.confirms() == []
        assert ncp.outstanding == 1
        assert host.ask(frames.GET_VALUE, b"\x03") == b"\x00\x01\xfe"
        medium.hold.set()
        await until(lambda: host.confirms() == [(5, 0)])
        assert host.ask(frames.GET_VALUE, b"\x03") == b"\x00\x01\xff"


@pytest.mark.asyncio
async def test_the_frame_on_the_air_is_the_one_the_host_described() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        host.send(1, options=ACK, data=b"with ack")
        host.send(2, options=0x0120, data=b"encrypted")
        host.ask(frames.REPLACE_ADDRESS_TABLE_ENTRY, struct.pack("<BQHB", 3, DEVICE_IEEE, DEVICE_NWK, 0))
        host.send(3, kind=1, dst=3, data=b"by table")
        await until(lambda: len(medium.sent) == 3)
        ack, encrypted, by_table = medium.sent
        assert (ack.data, ack.ack, ack.encrypted, ack.cluster, ack.src_ep, ack.profile) == (b"with ack", True, False, 0x0019, 1, 0x0104)
        assert (encrypted.data, encrypted.ack, encrypted.encrypted) == (b"encrypted", False, True)
        assert (by_table.dst, by_table.data) == (DEVICE_NWK, b"by table")
        assert ncp.counters.sends == {(0x0019, True): 1, (0x0019, False): 2}
        assert list(ncp.counters.send_tags) == [1, 2, 3]


@pytest.mark.asyncio
async def test_the_twenty_first_acknowledged_unicast_is_refused_and_unacknowledged_ones_are_not() -> None:
    medium = FakeMedium()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        limit = t.EmberStatus.MAX_MESSAGE_LIMIT_REACHED
        assert [host.send(tag, options=ACK)[0] for tag in range(22)] == [0] * 20 + [limit] * 2
        assert host.send(30)[0] == 0
        assert ncp.counters.refusals == {limit: 2}
        assert ncp.counters.outstanding_peak == 21
        medium.hold.set()
        await until(lambda: ncp.outstanding == 0)
        assert host.send(31, options=ACK)[0] == 0
        await until(lambda: len(host.confirms()) == 22)


@pytest.mark.asyncio
async def test_without_a_packet_buffer_nothing_is_taken() -> None:
    medium = FakeMedium()
    medium.hold = asyncio.Event()
    async with raw_host(medium, buffers=2) as (ncp, host):
        assert [host.send(tag)[0] for tag in range(3)] == [0, 0, t.EmberStatus.NO_BUFFERS]
        assert host.ask(frames.GET_VALUE, b"\x03") == b"\x00\x01\x00"
        assert struct.unpack("<40H", host.ask(frames.READ_COUNTERS))[t.EmberCounterType.COUNTER_ALLOCATE_PACKET_BUFFER_FAILURE] == 1
        medium.hold.set()
        await until(lambda: ncp.outstanding == 0)
        assert host.send(9)[0] == 0


@pytest.mark.asyncio
async def test_a_message_longer_than_a_frame_is_refused_at_once() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        assert host.ask(frames.MAXIMUM_PAYLOAD_LENGTH) == bytes((82,))
        assert host.send(1, data=bytes(82))[0] == 0
        assert host.send(2, data=bytes(83))[0] == t.EmberStatus.MESSAGE_TOO_LONG
        assert host.send(3, data=bytes(74), options=0x20)[0] == t.EmberStatus.MESSAGE_TOO_LONG
        await until(lambda: host.confirms() == [(1, 0)])


@pytest.mark.asyncio
async def test_broadcasts_and_multicasts_are_confirmed_and_heard_by_the_coordinator_itself() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        aps = struct.pack("<HHBBHHB", 0x0104, 0x0006, 1, 1, 0, 0, 0)
        assert host.ask(frames.SEND_BROADCAST, struct.pack("<H", 0xFFFD) + aps + b"\x00\x01\x03abc")[0] == 0
        grouped = struct.pack("<HHBBHHB", 0x0104, 0x0006, 1, 1, 0, 0x0BAD, 0)
        assert host.ask(frames.SEND_MULTICAST, grouped + b"\x05\x03\x02\x03abc")[0] == 0
        await until(lambda: host.confirms() == [(1, 0), (2, 0)])
        broadcast, group = medium.sent
        assert (broadcast.dst, broadcast.group, broadcast.radius) == (0xFFFD, None, 30)
        assert (group.dst, group.group, group.radius) == (0xFFFD, 0x0BAD, 5)
        kinds = [read("messageSentHandler", body) for body in host.all(frames.MESSAGE_SENT_HANDLER)]
        assert [(it["type"], it["indexOrDestination"]) for it in kinds] == [
            (t.EmberOutgoingMessageType.OUTGOING_BROADCAST, 0xFFFD),
            (t.EmberOutgoingMessageType.OUTGOING_MULTICAST, 0x0BAD),
        ]
        assert [it["type"] for it in incoming(host)] == [t.EmberIncomingMessageType.INCOMING_BROADCAST_LOOPBACK]


@pytest.mark.asyncio
async def test_sends_that_make_no_sense_are_refused_at_once() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        assert host.send(1, kind=2)[0] == t.EmberStatus.INVALID_BINDING_INDEX
        assert host.send(1, kind=1, dst=7)[0] == t.EmberStatus.BAD_ARGUMENT
        assert host.send(1, kind=9)[0] == t.EmberStatus.BAD_ARGUMENT
        aps = struct.pack("<HHBBHHB", 0x0104, 0x0006, 1, 1, 0, 0, 0)
        assert host.ask(frames.SEND_BROADCAST, struct.pack("<H", DEVICE_NWK) + aps + b"\x00\x01\x00")[0] == t.EmberStatus.BAD_ARGUMENT
        ncp.reset_unexpectedly()
        host.agree()
        assert host.send(1)[0] == t.EmberStatus.NETWORK_DOWN
        assert medium.sent == []


@pytest.mark.asyncio
async def test_the_contents_of_a_message_come_back_where_the_policy_says_so() -> None:
    async with raw_host() as (_, host):
        host.ask(frames.SET_POLICY, b"\x04\x01")
        host.send(1, data=b"contents")
        await until(lambda: bool(host.confirms()))
        (confirm,) = [read("messageSentHandler", body) for body in host.all(frames.MESSAGE_SENT_HANDLER)]
        assert confirm["messageContents"] == b"contents"


@pytest.mark.asyncio
async def test_an_incoming_message_reads_as_bellows_expects_it() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.ask(frames.REPLACE_ADDRESS_TABLE_ENTRY, struct.pack("<BQHB", 5, DEVICE_IEEE, DEVICE_NWK, 0))
        medium.say(0x0019, b"\x01\x4d\x03block request", ep=1, encrypted=True, ack=True)
        (message,) = incoming(host)
        aps = message["apsFrame"]
        assert message["messageContents"] == b"\x01\x4d\x03block request"
        assert message["type"] == t.EmberIncomingMessageType.INCOMING_UNICAST
        assert (message["sender"], message["lastHopLqi"], message["lastHopRssi"]) == (DEVICE_NWK, 180, -46)
        assert (message["bindingIndex"], message["addressIndex"]) == (0xFF, 5)
        assert (aps.profileId, aps.clusterId, aps.sourceEndpoint, aps.destinationEndpoint, aps.groupId) == (0x0104, 0x0019, 1, 1, 0)
        assert t.EmberApsOption.APS_OPTION_ENCRYPTION in aps.options
        medium.say(0x0019, b"\x01", ep=1, lqi=20)
        assert incoming(host)[1]["lastHopRssi"] < -46
        assert incoming(host)[1]["apsFrame"].sequence != aps.sequence


@pytest.mark.asyncio
async def test_broadcasts_reach_only_registered_endpoints_and_unicasts_the_host_in_any_case() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        medium.say(0x0019, b"nobody", ep=77, dst=0xFFFD)
        assert incoming(host) == []
        assert ncp.counters.dropped_frames == 1
        medium.say(0x0019, b"an answer", ep=77)
        (answer,) = incoming(host)
        assert answer["apsFrame"].destinationEndpoint == 77
        medium.say(0x0019, b"all", ep=0xFF, dst=0xFFFD)
        message = incoming(host)[1]
        assert message["type"] == t.EmberIncomingMessageType.INCOMING_BROADCAST
        assert message["apsFrame"].destinationEndpoint == 0xFF


@pytest.mark.asyncio
async def test_a_groupcast_is_heard_by_members_only() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        assert host.ask(frames.GET_MULTICAST_TABLE_ENTRY, b"\x02") == bytes(5)
        medium.say(0x0006, b"on", ep=1, dst=0xFFFD, group=0x1234)
        assert incoming(host) == []
        assert host.ask(frames.SET_MULTICAST_TABLE_ENTRY, b"\x02\x34\x12\x01\x00") == b"\x00"
        assert host.ask(frames.GET_MULTICAST_TABLE_ENTRY, b"\x02") == b"\x00\x34\x12\x01\x00"
        medium.say(0x0006, b"on", ep=1, dst=0xFFFD, group=0x1234)
        (message,) = incoming(host)
        assert message["type"] == t.EmberIncomingMessageType.INCOMING_MULTICAST
        assert message["apsFrame"].groupId == 0x1234
        host.ask(frames.SET_MULTICAST_TABLE_ENTRY, b"\x02\x34\x12\x00\x00")
        medium.say(0x0006, b"off", ep=1, dst=0xFFFD, group=0x1234)
        assert len(incoming(host)) == 1
        assert host.ask(frames.SET_MULTICAST_TABLE_ENTRY, b"\xf0\x34\x12\x01\x00") == bytes((t.EmberStatus.INDEX_OUT_OF_RANGE,))


@pytest.mark.asyncio
async def test_a_concentrator_learns_routes_tells_of_them_once_and_uses_them() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        medium.say(0x0006, b"far", ep=1, route=(0x1111, 0x2222))
        assert host.all(frames.INCOMING_ROUTE_RECORD_HANDLER) == [], "nobody records routes for one that is no concentrator"
        concentrator = struct.pack("<BHHHBBB", 1, 0xFFF9, 10, 60, 3, 1, 0)
        assert host.ask(frames.SET_CONCENTRATOR, concentrator) == b"\x00"
        for _ in range(2):
            medium.say(0x0006, b"far", ep=1, route=(0x1111, 0x2222))
        (record,) = [read("incomingRouteRecordHandler", body) for body in host.all(frames.INCOMING_ROUTE_RECORD_HANDLER)]
        assert record["source"] == DEVICE_NWK
        assert int.from_bytes(record["sourceEui"].serialize(), "little") == DEVICE_IEEE
        assert list(record["relayList"]) == [0x2222, 0x1111], "the relay nearest to the device comes first"
        assert host.ask(frames.GET_SOURCE_ROUTE_TABLE_FILLED_SIZE) == b"\x01"
        assert host.send(1, data=bytes(77))[0] == t.EmberStatus.MESSAGE_TOO_LONG
        assert host.send(2, data=bytes(76))[0] == 0
        await until(lambda: len(medium.sent) == 1)
        assert medium.sent[0].route == (0x1111, 0x2222)


@pytest.mark.asyncio
async def test_a_route_that_leads_nowhere_is_told_and_forgotten() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.ask(frames.SET_CONCENTRATOR, struct.pack("<BHHHBBB", 1, 0xFFF9, 10, 60, 3, 1, 0))
        medium.say(0x0006, b"far", ep=1, route=(0x1111,))
        medium.delivery = Delivery.NO_ROUTE
        host.send(1)
        await until(lambda: bool(host.all(frames.INCOMING_ROUTE_ERROR_HANDLER)))
        (error,) = [read("incomingRouteErrorHandler", body) for body in host.all(frames.INCOMING_ROUTE_ERROR_HANDLER)]
        assert (error["status"], error["target"]) == (t.EmberStatus.SOURCE_ROUTE_FAILURE, DEVICE_NWK)
        host.send(2)
        await until(lambda: len(medium.sent) == 2)
        assert medium.sent[1].route == ()


@pytest.mark.asyncio
async def test_a_message_to_the_coordinator_itself_comes_back() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.send(3, dst=0x0000, data=b"me")
        await until(lambda: host.confirms() == [(3, 0)])
        assert [message["messageContents"] for message in incoming(host)] == [b"me"]
        assert medium.sent == []


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
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (_, port), running(port.path) as app:
        medium.delivery = delivery
        with pytest.raises(DeliveryError) as failure:
            await app.send_packet(packet())
        assert failure.value.status == t.sl_Status.from_ember_status(STATUSES[delivery])
        medium.delivery = Delivery.SUCCESS
        await app.send_packet(packet(tx_options=TransmitOptions.NONE))
        assert medium.sent[-1].data == b"\x19\x07\x05\x00payload"
        assert not medium.sent[-1].ack


@pytest.mark.asyncio
async def test_zigpy_sends_groupcasts_broadcasts_and_long_messages_as_far_as_they_fit() -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (_, port), running(port.path) as app:
        medium.sent.clear()
        await app.send_packet(packet(dst=AddrModeAddress(addr_mode=AddrMode.Group, address=0x0102), tx_options=TransmitOptions.NONE))
        await app.send_packet(packet(dst=AddrModeAddress(addr_mode=AddrMode.Broadcast, address=0xFFFD), tx_options=TransmitOptions.NONE))
        await until(lambda: len(medium.sent) == 2)
        assert [(frame.dst, frame.group) for frame in medium.sent] == [(0xFFFD, 0x0102), (0xFFFD, None)]
        with pytest.raises(DeliveryError) as failure:
            await app.send_packet(packet(data=SerializableBytes(bytes(83))))
        assert failure.value.status == t.sl_Status.MESSAGE_TOO_LONG


@pytest.mark.asyncio
async def test_zigpy_learns_relays_when_it_asks_for_source_routing() -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (_, port), running(port.path, source_routing=True) as app:
        app.add_device(nwk=DEVICE_NWK, ieee=t.EUI64(DEVICE_IEEE.to_bytes(8, "little")))
        medium.say(0x0006, b"\x18\x01\x0a\x00\x00\x10\x01", ep=1, route=(0x1111, 0x2222))
        device = app.get_device(nwk=DEVICE_NWK)
        await until(lambda: device.relays == [0x2222, 0x1111])


@pytest.mark.asyncio
async def test_a_host_that_makes_room_in_the_address_table_finds_the_entry_again() -> None:
    async with raw_host() as (_, host):
        unknown = (COORDINATOR_IEEE + 5).to_bytes(8, "little")
        assert host.ask(frames.LOOKUP_NODE_ID_BY_EUI64, unknown) == b"\xff\xff"
        assert host.ask(frames.GET_EXTENDED_TIMEOUT, unknown) == b"\x00"
        assert host.ask(frames.SET_EXTENDED_TIMEOUT, unknown + b"\x01") == b""
        assert host.ask(frames.GET_EXTENDED_TIMEOUT, unknown) == b"\x00", "there is no place for it outside the tables"
        entry = b"\x00" + unknown + b"\x22\x11\x01"
        assert host.ask(frames.REPLACE_ADDRESS_TABLE_ENTRY, entry) == b"\x00" + bytes(8) + b"\xff\xff\x00"
        assert host.ask(frames.LOOKUP_NODE_ID_BY_EUI64, unknown) == b"\x22\x11"
        assert host.ask(frames.LOOKUP_EUI64_BY_NODE_ID, b"\x22\x11") == b"\x00" + unknown
        assert host.ask(frames.GET_EXTENDED_TIMEOUT, unknown) == b"\x01"
        host.ask(frames.SET_EXTENDED_TIMEOUT, unknown + b"\x00")
        assert host.ask(frames.GET_EXTENDED_TIMEOUT, unknown) == b"\x00"
        assert host.ask(frames.GET_ADDRESS_TABLE_REMOTE_EUI64, b"\x00") == unknown
        assert host.ask(frames.GET_ADDRESS_TABLE_REMOTE_NODE_ID, b"\x01") == b"\xff\xff"
        assert host.ask(frames.REPLACE_ADDRESS_TABLE_ENTRY, b"\xc8" + entry[1:])[0] == t.EmberStatus.ADDRESS_TABLE_INDEX_OUT_OF_RANGE
