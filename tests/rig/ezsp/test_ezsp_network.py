"""Joining, leaving, the ZDO of the coordinator, and what a host may configure."""

from __future__ import annotations

import asyncio
import struct

import bellows.types as t
import pytest
from bellows.ezsp.v13.commands import COMMANDS
from ezsp_fakes import COORDINATOR_IEEE, RawHost, raw_host
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY, FakeMedium, until
from tests.rig.virtual_time import run

from otagate_rig.aps import DeviceKind
from otagate_rig.ezsp import EzspNcp, ash, frames

PARAMETERS = struct.pack("<QHBBBHBI", IDENTITY.extended_pan_id, IDENTITY.pan_id, 8, IDENTITY.channel, 0, 0, 7, 1 << IDENTITY.channel)
SECURITY = struct.pack("<H16s16sBQ", 0x1B84, b"s" * 16, IDENTITY.network_key, 3, 0)


def read(name: str, parameters: bytes) -> dict[str, object]:
    values, rest = t.deserialize_dict(parameters, COMMANDS[name][2])
    assert rest == b""
    return values


def statuses(host: RawHost) -> list[t.EmberStatus]:
    return [t.EmberStatus(body[0]) for body in host.all(frames.STACK_STATUS_HANDLER)]


def joins(host: RawHost) -> list[dict[str, object]]:
    return [read("trustCenterJoinHandler", body) for body in host.all(frames.TRUST_CENTER_JOIN_HANDLER)]


# Forming and leaving


@pytest.mark.asyncio
async def test_a_network_is_formed_as_told_and_announced_after_the_response() -> None:
    medium = FakeMedium()
    async with EzspNcp(medium, ieee=COORDINATOR_IEEE) as ncp:
        host = RawHost(ncp)
        host.agree()
        assert host.ask(frames.FORM_NETWORK, PARAMETERS) == bytes((t.EmberStatus.SECURITY_STATE_NOT_SET,))
        assert host.ask(frames.SET_INITIAL_SECURITY_STATE, SECURITY) == b"\x00"
        assert host.ask(frames.FORM_NETWORK, PARAMETERS) == b"\x00"
        assert statuses(host) == []
        await until(lambda: statuses(host) == [t.EmberStatus.NETWORK_UP])
        assert medium.identity == IDENTITY == ncp.network
        assert host.ask(frames.NETWORK_STATE) == b"\x02"
        parameters = read("getNetworkParameters", host.ask(frames.GET_NETWORK_PARAMETERS))["parameters"]
        assert (parameters.panId, parameters.radioChannel, parameters.radioTxPower) == (IDENTITY.pan_id, IDENTITY.channel, 8)
        assert parameters.nwkUpdateId == 0, "ignored by the command, as on a real one"
        assert read("getNetworkKeyInfo", host.ask(frames.GET_NETWORK_KEY_INFO))["network_key_info"].network_key_sequence_number == 3
        state = read("getCurrentSecurityState", host.ask(frames.GET_CURRENT_SECURITY_STATE))["state"]
        assert int.from_bytes(state.trustCenterLongAddress.serialize(), "little") == COORDINATOR_IEEE
        context = bytes((2,)) + bytes(17)
        assert bytes(read("exportKey", host.ask(frames.EXPORT_KEY, context))["key"].serialize()) == b"s" * 16
        assert host.ask(frames.FORM_NETWORK, PARAMETERS) == bytes((t.EmberStatus.INVALID_CALL,))
        assert ncp.counters.formations == 1


@pytest.mark.parametrize(
    ("at", "value", "status"),
    [(11, 9, t.EmberStatus.PHY_INVALID_CHANNEL), (11, 27, t.EmberStatus.PHY_INVALID_CHANNEL), (10, 30, t.EmberStatus.PHY_INVALID_POWER)],
)
@pytest.mark.asyncio
async def test_a_network_that_the_radio_cannot_do_is_not_formed(at: int, value: int, status: int) -> None:
    async with EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE) as ncp:
        host = RawHost(ncp)
        host.agree()
        host.ask(frames.SET_INITIAL_SECURITY_STATE, SECURITY)
        assert host.ask(frames.FORM_NETWORK, PARAMETERS[:at] + bytes((value,)) + PARAMETERS[at + 1 :]) == bytes((status,))
        assert ncp.network is None
        assert host.ask(frames.NETWORK_INIT, b"\x00\x00") == bytes((t.EmberStatus.NOT_JOINED,))


@pytest.mark.asyncio
async def test_a_left_network_is_silent_and_forgotten() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        assert host.ask(frames.LEAVE_NETWORK) == b"\x00"
        await until(lambda: statuses(host)[-1:] == [t.EmberStatus.NETWORK_DOWN])
        assert medium.identity is None
        assert ncp.network is None
        assert host.ask(frames.LEAVE_NETWORK) == bytes((t.EmberStatus.INVALID_CALL,))
        assert host.ask(frames.GET_NODE_ID) == b"\xfe\xff"
        assert host.ask(frames.GET_NETWORK_PARAMETERS)[0] == t.EmberStatus.NOT_JOINED
        assert ncp.counters.network_settings_writes == 2


@pytest.mark.asyncio
async def test_frame_counters_never_go_back_over_a_reset() -> None:
    async with raw_host() as (ncp, host):

        def counter() -> int:
            return int(read("getNetworkKeyInfo", host.ask(frames.GET_NETWORK_KEY_INFO))["network_key_info"].network_key_frame_counter)

        before = counter()
        host.send(1)
        await until(lambda: bool(host.confirms()))
        used = counter()
        assert used == before + 1
        ncp.reset_unexpectedly()
        host.agree()
        assert counter() > used


# Joining


@pytest.mark.asyncio
async def test_the_network_opens_and_closes_as_told_and_says_so() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        assert host.ask(frames.PERMIT_JOINING, b"\x3c") == b"\x00"
        await until(lambda: statuses(host)[-1] is t.EmberStatus.NETWORK_OPENED)
        assert host.ask(frames.PERMIT_JOINING, b"\x00") == b"\x00"
        await until(lambda: statuses(host)[-1] is t.EmberStatus.NETWORK_CLOSED)
        assert medium.permits == [60, 0]


def test_an_opened_network_says_when_its_time_is_over() -> None:
    async def story() -> None:
        async with raw_host() as (_, host):
            host.ask(frames.PERMIT_JOINING, b"\x3c")
            await asyncio.sleep(59)
            assert statuses(host)[-1] is t.EmberStatus.NETWORK_OPENED
            await asyncio.sleep(2)
            assert statuses(host)[-1] is t.EmberStatus.NETWORK_CLOSED

    run(story())


@pytest.mark.asyncio
async def test_a_trust_centre_that_allows_no_joins_opens_nothing() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.ask(frames.SET_POLICY, b"\x00\x00")
        assert host.ask(frames.GET_POLICY, b"\x00") == b"\x00\x00"
        host.ask(frames.PERMIT_JOINING, b"\x3c")
        assert medium.permits == []
        host.ask(frames.SET_POLICY, b"\x00\x03")
        host.ask(frames.PERMIT_JOINING, b"\x3c")
        assert medium.permits == [60]


@pytest.mark.asyncio
async def test_joining_through_one_router_needs_no_command_of_its_own() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.send(1, ep=0, cluster=0x0036, data=b"\x07\x1e\x00")
        await until(lambda: len(medium.sent) == 1)
        assert medium.permits == [30]
        assert medium.sent[0].dst == DEVICE_NWK


@pytest.mark.asyncio
async def test_the_trust_centre_tells_who_joined_rejoined_and_left() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        medium.join(parent=0x1234)
        medium.join(parent=0x1234, rejoined=True)
        ncp.device_left(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, rejoin=True)
        ncp.device_left(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, rejoin=False)
        assert [(it["status"].name, it["policyDecision"].name) for it in joins(host)] == [
            ("STANDARD_SECURITY_UNSECURED_JOIN", "USE_PRECONFIGURED_KEY"),
            ("STANDARD_SECURITY_SECURED_REJOIN", "NO_ACTION"),
            ("DEVICE_LEFT", "NO_ACTION"),
        ]
        joined = joins(host)[0]
        assert (joined["newNodeId"], joined["parentOfNewNodeId"]) == (DEVICE_NWK, 0x1234)
        assert int.from_bytes(joined["newNodeEui64"].serialize(), "little") == DEVICE_IEEE


@pytest.mark.asyncio
async def test_an_end_device_of_the_coordinator_is_its_child_until_it_goes() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        assert host.ask(frames.GET_CHILD_DATA, b"\x00")[0] == t.EmberStatus.NOT_JOINED
        medium.join(kind=DeviceKind.SLEEPY)
        child = read("getChildData", host.ask(frames.GET_CHILD_DATA, b"\x00"))
        assert (child["child_data"].id, child["child_data"].type) == (DEVICE_NWK, t.EmberNodeType.SLEEPY_END_DEVICE)
        assert host.ask(frames.LOOKUP_NODE_ID_BY_EUI64, DEVICE_IEEE.to_bytes(8, "little")) == DEVICE_NWK.to_bytes(2, "little")
        assert host.ask(frames.GET_PARENT_CHILD_PARAMETERS)[0] == 1
        (came,) = [read("childJoinHandler", body) for body in host.all(frames.CHILD_JOIN_HANDLER)]
        assert came["joining"]
        medium.join(kind=DeviceKind.SLEEPY, parent=0x1234, rejoined=True)
        assert host.ask(frames.GET_CHILD_DATA, b"\x00")[0] == t.EmberStatus.NOT_JOINED
        medium.join(kind=DeviceKind.SLEEPY)
        ncp.device_left(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, rejoin=False)
        assert not read("childJoinHandler", host.all(frames.CHILD_JOIN_HANDLER)[-1])["joining"]
        assert host.ask(frames.GET_PARENT_CHILD_PARAMETERS)[0] == 0


@pytest.mark.asyncio
async def test_a_router_next_to_the_coordinator_is_a_neighbour() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        assert host.ask(frames.NEIGHBOR_COUNT) == b"\x00"
        medium.join()
        assert host.ask(frames.NEIGHBOR_COUNT) == b"\x01"
        entry = read("getNeighbor", host.ask(frames.GET_NEIGHBOR, b"\x00"))["value"]
        assert entry.shortId == DEVICE_NWK
        assert host.ask(frames.GET_NEIGHBOR, b"\x01")[0] != 0


@pytest.mark.asyncio
async def test_tables_follow_a_device_that_announces_a_new_network_address() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        host.ask(frames.REPLACE_ADDRESS_TABLE_ENTRY, struct.pack("<BQHB", 0, DEVICE_IEEE, 0x1111, 0))
        medium.say(0x0013, b"\x01" + struct.pack("<HQB", DEVICE_NWK, DEVICE_IEEE, 0x8E), dst=0xFFFD)
        assert host.ask(frames.GET_ADDRESS_TABLE_REMOTE_NODE_ID, b"\x00") == DEVICE_NWK.to_bytes(2, "little")


@pytest.mark.asyncio
async def test_a_device_is_removed_by_the_trust_centre() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        assert host.ask(frames.REMOVE_DEVICE, struct.pack("<HQQ", DEVICE_NWK, DEVICE_IEEE, DEVICE_IEEE)) == b"\x00"
        await until(lambda: len(medium.sent) == 1)
        (leave,) = medium.sent
        assert (leave.dst, leave.cluster, leave.data[1:9]) == (DEVICE_NWK, 0x0034, DEVICE_IEEE.to_bytes(8, "little"))
        assert host.confirms() == []


# ZDO


def heard_by_host(host: RawHost) -> list[tuple[int, bytes]]:
    messages = [read("incomingMessageHandler", body) for body in host.all(frames.INCOMING_MESSAGE_HANDLER)]
    return [(int(message["apsFrame"].clusterId), bytes(message["messageContents"])) for message in messages]


MATCH_OTA = b"\x05\x00\x00\x04\x01\x01\x19\x00\x00"


@pytest.mark.asyncio
async def test_a_search_for_the_ota_server_is_answered_by_the_stack_and_told_to_the_host() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        medium.say(0x0006, MATCH_OTA)
        await until(lambda: len(medium.sent) == 1)
        (answer,) = medium.sent
        assert (answer.dst, answer.cluster, answer.data) == (DEVICE_NWK, 0x8006, b"\x05\x00\x00\x00\x01\x01")
        assert heard_by_host(host) == [(0x0006, MATCH_OTA)]
        assert ncp.counters.zdo_answers == {0x0006: 1}


@pytest.mark.asyncio
async def test_a_host_that_wants_no_requests_hears_none() -> None:
    medium = FakeMedium()
    async with EzspNcp(medium, ieee=COORDINATOR_IEEE, network=IDENTITY) as ncp:
        host = RawHost(ncp)
        host.agree()
        host.ask(frames.NETWORK_INIT, b"\x00\x00")
        medium.say(0x0002, b"\x05\x00\x00")
        medium.say(0x0666, b"\x06")
        medium.say(0x8002, b"\x07\x00\x21\x4e")
        await until(lambda: len(medium.sent) == 2)
        assert [(frame.cluster, frame.data[:2]) for frame in medium.sent] == [(0x8002, b"\x05\x00"), (0x8666, b"\x06\x84")]
        assert [cluster for cluster, _ in heard_by_host(host)] == [0x8002]


@pytest.mark.asyncio
async def test_what_the_stack_cannot_answer_is_left_to_a_host_that_wants_it() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        medium.say(0x0666, b"\x06")
        await asyncio.sleep(0)
        assert heard_by_host(host) == [(0x0666, b"\x06")]
        assert medium.sent == []


@pytest.mark.parametrize(
    ("cluster", "request_body", "answer"),
    [
        (0x0000, COORDINATOR_IEEE.to_bytes(8, "little") + b"\x00\x00", b"\x00" + COORDINATOR_IEEE.to_bytes(8, "little") + b"\x00\x00"),
        (0x0001, b"\x00\x00\x00\x00", b"\x00" + COORDINATOR_IEEE.to_bytes(8, "little") + b"\x00\x00"),
        (0x0002, b"\x00\x00", b"\x00\x00\x00\x00\x40\x8f\x49\x10"),
        (0x0002, b"\x01\x00", b"\x81\x01\x00"),
        (0x0003, b"\x00\x00", b"\x00\x00\x00"),
        (0x0004, b"\x00\x00\x01", b"\x00\x00\x00\x0e\x01\x04\x01\x05\x00"),
        (0x0005, b"\x00\x00", b"\x00\x00\x00\x01\x01"),
        (0x0015, b"\xff\xff", b"\x00\x41\x00"),
        (0x0031, b"\x00", b"\x00\x00\x00\x00"),
        (0x0032, b"\x00", b"\x00\x00\x00\x00"),
        (0x0036, b"\x05\x00", b"\x00"),
        (0x0038, b"\x00\xf8\xff\x07\x03\x01", b"\x00\x00\xf8\xff\x07"),
    ],
)
@pytest.mark.asyncio
async def test_the_coordinator_answers_devices_and_its_own_host_alike(cluster: int, request_body: bytes, answer: bytes) -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (_, host):
        medium.say(cluster, b"\x2a" + request_body)
        await until(lambda: len(medium.sent) == 1)
        assert medium.sent[0].cluster == cluster | 0x8000
        assert medium.sent[0].data.startswith(b"\x2a" + answer)
        host.send(1, dst=0, ep=0, cluster=cluster, data=b"\x2b" + request_body)
        await until(lambda: bool(host.confirms()))
        assert heard_by_host(host)[-1] == (cluster | 0x8000, b"\x2b" + medium.sent[0].data[1:])


@pytest.mark.asyncio
async def test_neighbours_and_children_are_in_the_neighbour_table() -> None:
    medium = FakeMedium()
    async with raw_host(medium):
        medium.join(kind=DeviceKind.SLEEPY)
        medium.say(0x0031, b"\x01\x00")
        await until(lambda: len(medium.sent) == 1)
        assert medium.sent[0].data[:5] == b"\x01\x00\x01\x00\x01"
        assert DEVICE_IEEE.to_bytes(8, "little") in medium.sent[0].data


@pytest.mark.asyncio
async def test_a_channel_change_asked_of_itself_moves_the_network() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        host.send(1, dst=0, ep=0, cluster=0x0038, data=b"\x01" + struct.pack("<IBB", 1 << 25, 0xFE, 1))
        await until(lambda: t.EmberStatus.CHANNEL_CHANGED in statuses(host))
        assert ncp.network is not None
        assert ncp.network.channel == 25
        assert medium.ups[-1].channel == 25


# Configuration


@pytest.mark.asyncio
async def test_no_command_is_obeyed_before_the_versions_agree() -> None:
    async with EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE) as ncp:
        host = RawHost(ncp)
        host.reset()
        assert host.tell(frames.NOP) == [(frames.INVALID_COMMAND, b"\x30")]
        assert host.ask(frames.VERSION, b"\x08")[0] == 13
        assert host.tell(frames.NOP) == [(frames.INVALID_COMMAND, b"\x30")]
        assert host.ask(frames.VERSION, b"\x0d")[0] == 13
        assert host.tell(frames.NOP) == [(frames.NOP, b"")]


@pytest.mark.asyncio
async def test_the_version_is_told_in_the_format_of_old_hosts_too() -> None:
    async with EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE) as ncp:
        host = RawHost(ncp)
        host.reset()
        host.data(b"\x11\x00\x00\x04")
        assert ash.randomise(host.bodies[-1][1:]) == b"\x11\x80\x00\x0d\x02\x50\x74"
        host.data(b"\x12\x00\xff\x00\x05")
        assert ash.randomise(host.bodies[-1][1:]) == b"\x12\x80\x58\x30"


@pytest.mark.asyncio
async def test_endpoints_are_registered_once_and_before_the_network() -> None:
    async with EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE, network=IDENTITY) as ncp:
        host = RawHost(ncp)
        host.agree()
        endpoint = struct.pack("<BHHBBB", 1, 0x0104, 5, 0, 0, 0)
        assert host.ask(frames.ADD_ENDPOINT, endpoint) == b"\x00"
        assert host.ask(frames.ADD_ENDPOINT, endpoint) == bytes((t.EzspStatus.ERROR_INVALID_VALUE,))
        host.ask(frames.NETWORK_INIT, b"\x00\x00")
        assert host.ask(frames.ADD_ENDPOINT, b"\x02" + endpoint[1:]) == bytes((t.EzspStatus.ERROR_INVALID_CALL,))


@pytest.mark.asyncio
async def test_configuration_lasts_until_the_next_reset() -> None:
    async with EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE) as ncp:
        host = RawHost(ncp)
        host.agree()
        assert host.ask(frames.GET_CONFIGURATION_VALUE, b"\x05") == b"\x00\x08\x00"
        assert host.ask(frames.SET_CONFIGURATION_VALUE, b"\x05\x10\x00") == b"\x00"
        assert host.ask(frames.GET_CONFIGURATION_VALUE, b"\x05") == b"\x00\x10\x00"
        assert host.ask(frames.SET_CONFIGURATION_VALUE, b"\x05\x10\x10") == bytes((t.EzspStatus.ERROR_OUT_OF_MEMORY,))
        assert host.ask(frames.SET_CONFIGURATION_VALUE, b"\x02\x10\x00") == bytes((t.EzspStatus.ERROR_INVALID_VALUE,))
        assert host.ask(frames.GET_CONFIGURATION_VALUE, b"\xee")[0] == t.EzspStatus.ERROR_INVALID_ID
        assert host.ask(frames.SET_VALUE, b"\x3a\x01\x01") == b"\x00"
        assert host.ask(frames.GET_VALUE, b"\x3a") == b"\x00\x01\x01"
        assert host.ask(frames.SET_VALUE, b"\xee\x01\x01") == bytes((t.EzspStatus.ERROR_INVALID_ID,))
        host.agree()
        assert host.ask(frames.GET_CONFIGURATION_VALUE, b"\x05") == b"\x00\x08\x00"
        assert host.ask(frames.GET_VALUE, b"\x3a") == b"\x00\x01\x00"


@pytest.mark.asyncio
async def test_counters_count_and_are_cleared_by_the_one_command_only() -> None:
    async with raw_host() as (_, host):
        host.send(1)
        await until(lambda: bool(host.confirms()))
        success = t.EmberCounterType.COUNTER_APS_DATA_TX_UNICAST_SUCCESS
        for command, expected in ((frames.READ_COUNTERS, 1), (frames.READ_AND_CLEAR_COUNTERS, 1), (frames.READ_COUNTERS, 0)):
            assert struct.unpack("<40H", host.ask(command))[success] == expected


@pytest.mark.asyncio
async def test_link_keys_are_imported_exported_and_found() -> None:
    async with raw_host() as (_, host):
        partner = DEVICE_IEEE.to_bytes(8, "little")
        assert host.ask(frames.FIND_KEY_TABLE_ENTRY, partner + b"\x01") == b"\xff"
        assert host.ask(frames.IMPORT_LINK_KEY, b"\x03" + partner + b"k" * 16) == bytes(4)
        assert host.ask(frames.FIND_KEY_TABLE_ENTRY, partner + b"\x01") == b"\x03"
        exported = read("exportLinkKeyByIndex", host.ask(frames.EXPORT_LINK_KEY_BY_INDEX, b"\x03"))
        assert exported["status"] == t.sl_Status.OK
        assert bytes(exported["plaintext_key"].serialize()) == b"k" * 16
        assert read("exportLinkKeyByEui", host.ask(frames.EXPORT_LINK_KEY_BY_EUI, partner))["index"] == 3
        assert read("exportLinkKeyByIndex", host.ask(frames.EXPORT_LINK_KEY_BY_INDEX, b"\x04"))["status"] == t.sl_Status.NOT_FOUND
        assert read("getApsKeyInfo", host.ask(frames.GET_APS_KEY_INFO, b"\x04\x00\x00\x00" + partner + bytes(6)))["status"] == t.sl_Status.OK
        assert host.ask(frames.ERASE_KEY_TABLE_ENTRY, b"\x03") == b"\x00"
        assert host.ask(frames.ERASE_KEY_TABLE_ENTRY, b"\x03") == bytes((t.EmberStatus.TABLE_ENTRY_ERASED,))
        assert host.ask(frames.IMPORT_LINK_KEY, b"\xf0" + partner + b"k" * 16) != bytes(4)


@pytest.mark.asyncio
async def test_a_scan_of_nothing_is_refused() -> None:
    async with raw_host() as (_, host):
        assert host.ask(frames.START_SCAN, struct.pack("<BIB", 0, 1, 3)) == bytes((t.EmberStatus.MAC_INVALID_CHANNEL_MASK,))
        assert host.ask(frames.START_SCAN, struct.pack("<BIB", 0, 1 << 11, 15)) == bytes((t.EmberStatus.MAC_BAD_SCAN_DURATION,))
        assert host.ask(frames.START_SCAN, struct.pack("<BIB", 7, 1 << 11, 3)) == bytes((t.EmberStatus.MAC_INCORRECT_SCAN_TYPE,))
        assert host.ask(frames.START_SCAN, struct.pack("<BIB", 1, 1 << 11, 3)) == b"\x00"
        await until(lambda: host.all(frames.SCAN_COMPLETE_HANDLER) == [b"\x0b\x00"])
        assert host.all(frames.ENERGY_SCAN_RESULT_HANDLER) == []


@pytest.mark.asyncio
async def test_a_host_finds_out_which_endpoints_are_there_already() -> None:
    async with raw_host(FakeMedium()) as (_, host):
        assert host.ask(frames.GET_EXTENDED_VALUE, b"\x00" + (1).to_bytes(4, "little")) == b"\x00\x02\x01\x00"
        absent = host.ask(frames.GET_EXTENDED_VALUE, b"\x00" + (9).to_bytes(4, "little"))
        assert absent == bytes((t.EzspStatus.ERROR_INVALID_VALUE,)) + b"\x02\x00\x00"
