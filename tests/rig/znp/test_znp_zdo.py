"""Joining, interviews, and what the coordinator answers by itself."""

from __future__ import annotations

import struct

import pytest
import zigpy.types as t
import zigpy.zdo.types as zdo_t
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY, until
from znp_fakes import COORDINATOR_IEEE, RawHost, ScriptedMedium, raw_host, running, stick

from otagate_rig.aps import Delivery, DeviceKind
from otagate_rig.znp import ZnpNcp, mt
from otagate_rig.znp.nvram import ZDO_DIRECT_CB

MATCH_OTA = struct.pack("<HHBHB", 0x0000, 0x0104, 1, 0x0019, 0)


def present() -> ScriptedMedium:
    medium = ScriptedMedium()
    medium.present = True
    return medium


async def answer(medium: ScriptedMedium, cluster: int, body: bytes, *, dst: int = 0) -> tuple[int, bytes]:
    """What the coordinator sends on the air when the device asks."""
    before = len(medium.sent)
    medium.say(cluster, b"\x42" + body, dst=dst)
    await until(lambda: len(medium.sent) > before)
    frame = medium.sent[-1]
    assert (frame.dst, frame.dst_ep, frame.src_ep, frame.profile) == (DEVICE_NWK, 0, 0, 0)
    assert frame.data[0] == 0x42
    return frame.cluster, frame.data[1:]


@pytest.mark.parametrize("transport", ["tcp", "pty"])
@pytest.mark.asyncio
async def test_a_device_joins_and_is_interviewed(transport: str) -> None:
    medium = ScriptedMedium()
    async with stick(medium, transport=transport, network=IDENTITY) as (ncp, port), running(port.path) as app:
        await app.permit(60)
        assert medium.permits[-1] == 60
        medium.join(parent=0x0000)
        ieee = t.EUI64(DEVICE_IEEE.to_bytes(8, "little"))
        await until(lambda: ieee in app.devices and app.devices[ieee].model is not None)
        device = app.devices[ieee]
        assert (device.nwk, device.manufacturer, device.model) == (DEVICE_NWK, "ACME", "Lamp")
        assert sorted(device.endpoints[1].in_clusters) == [0x0000, 0x0006]
        assert device.is_initialized
        assert device.node_desc.is_router
        assert ncp.counters.buffer_full == 0


@pytest.mark.asyncio
async def test_a_leaving_device_is_told() -> None:
    medium = ScriptedMedium()
    async with raw_host(medium) as (_, host):
        medium.join()
        assert medium.coordinator is not None
        medium.coordinator.device_left(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, rejoin=True)
        assert host.all(mt.ZDO_TC_DEV_IND) == [struct.pack("<HQH", DEVICE_NWK, DEVICE_IEEE, 0)]
        assert host.all(mt.ZDO_LEAVE_IND) == [struct.pack("<HQBBB", DEVICE_NWK, DEVICE_IEEE, 0, 0, 1)]


@pytest.mark.asyncio
async def test_a_device_looking_for_an_ota_server_finds_endpoint_1() -> None:
    medium = present()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path):
        assert await answer(medium, 0x0006, MATCH_OTA) == (0x8006, b"\x00\x00\x00\x01\x01")
        assert await answer(medium, 0x0006, MATCH_OTA, dst=0xFFFD) == (0x8006, b"\x00\x00\x00\x01\x01")
        assert ncp.counters.zdo_answers[0x0006] == 2


@pytest.mark.asyncio
async def test_a_match_by_unicast_without_a_match_is_answered_and_by_broadcast_is_not() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, _):
        nothing = struct.pack("<HHBHB", 0x0000, 0x0104, 1, 0x0702, 0)
        assert await answer(medium, 0x0006, nothing) == (0x8006, b"\x00\x00\x00\x00")
        wrong_profile = struct.pack("<HHBHB", 0x0000, 0xC05E, 1, 0x0019, 0)
        assert await answer(medium, 0x0006, wrong_profile) == (0x8006, b"\x00\x00\x00\x00")
        medium.say(0x0006, b"\x43" + nothing, dst=0xFFFD)
        assert ncp.counters.zdo_answers[0x0006] == 2


@pytest.mark.asyncio
async def test_the_coordinator_tells_devices_who_it_is() -> None:
    medium = present()
    own = struct.pack("<QH", COORDINATOR_IEEE, 0)
    async with raw_host(medium):
        assert await answer(medium, 0x0000, struct.pack("<QBB", COORDINATOR_IEEE, 0, 0)) == (0x8000, b"\x00" + own)
        assert await answer(medium, 0x0000, struct.pack("<QBB", COORDINATOR_IEEE, 0, 0), dst=0xFFFD) == (0x8000, b"\x00" + own)
        assert await answer(medium, 0x0001, struct.pack("<HBB", 0, 0, 0)) == (0x8001, b"\x00" + own)
        assert (await answer(medium, 0x0001, struct.pack("<HBB", 0x9999, 0, 0)))[1][0] == 0x81
        cluster, body = await answer(medium, 0x0002, b"\x00\x00")
        descriptor, rest = zdo_t.NodeDescriptor.deserialize(body[3:])
        assert (cluster, rest) == (0x8002, b"")
        assert descriptor.is_valid
        assert descriptor.is_coordinator
        assert descriptor.is_mains_powered
        assert await answer(medium, 0x0005, b"\x00\x00") == (0x8005, b"\x00\x00\x00\x01\x01")
        cluster, body = await answer(medium, 0x0004, b"\x00\x00\x01")
        simple, rest = zdo_t.SimpleDescriptor.deserialize(body[4:])
        assert (cluster, rest, body[3]) == (0x8004, b"", len(body) - 4)
        assert list(simple.input_clusters) == [0x0000, 0x0019]
        assert list(simple.output_clusters) == [0x0020]
        assert (await answer(medium, 0x0004, b"\x00\x00\x63"))[1][0] == 0x83
        assert (await answer(medium, 0x0003, b"\x00\x00"))[1][:3] == b"\x00\x00\x00"


@pytest.mark.parametrize("cluster", [0x0020, 0x0021, 0x0034, 0x0500])
@pytest.mark.asyncio
async def test_requests_the_coordinator_does_not_know_are_refused_by_unicast_only(cluster: int) -> None:
    medium = present()
    async with raw_host(medium) as (ncp, _):
        assert await answer(medium, cluster, bytes(30)) == (cluster | 0x8000, b"\x84")
        medium.say(cluster, bytes(30), dst=0xFFFD)
        assert sum(ncp.counters.zdo_answers.values()) == 1


@pytest.mark.parametrize("cluster", [*range(7), 0x0015, 0x0031, 0x0032, 0x0033, 0x0036, 0x0038])
@pytest.mark.asyncio
async def test_a_request_cut_short_is_ignored(cluster: int) -> None:
    medium = present()
    async with raw_host(medium) as (ncp, _):
        medium.say(cluster, b"\x01")
        medium.say(cluster, b"")
        assert ncp.counters.zdo_answers == {}


@pytest.mark.asyncio
async def test_the_host_gets_a_copy_of_every_zdo_message_it_asked_for() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, host):
        ncp.nvram.set(ZDO_DIRECT_CB, b"\x01")
        medium.say(0x0006, b"\x42" + MATCH_OTA)
        annce = struct.pack("<HQB", DEVICE_NWK, DEVICE_IEEE, 0x8E)
        medium.say(0x0013, b"\x43" + annce, dst=0xFFFD)
        assert host.all(mt.ZDO_MSG_CB_INCOMING) == [
            struct.pack("<HBHBBH", DEVICE_NWK, 0, 0x0006, 0, 0x42, 0) + MATCH_OTA,
            struct.pack("<HBHBBH", DEVICE_NWK, 1, 0x0013, 0, 0x43, 0xFFFD) + annce,
        ]
        assert host.all(mt.ZDO_END_DEVICE_ANNCE_IND) == [DEVICE_NWK.to_bytes(2, "little") + annce]
        assert len(host.all(mt.ZDO_MATCH_DESC_RSP_SENT)) == 1
        assert host.ask(mt.ZDO_MSG_CB_REMOVE, b"\xff\xff") == b"\x00"
        medium.say(0x0006, b"\x44" + MATCH_OTA)
        assert len(host.all(mt.ZDO_MSG_CB_INCOMING)) == 2


async def zdo_of_host(ncp: ZnpNcp, host: RawHost, command: int, payload: bytes) -> list[bytes]:
    before = len(host.all(mt.ZDO_MSG_CB_INCOMING))
    assert host.ask(command, payload) == b"\x00"
    await until(lambda: len(host.all(mt.ZDO_MSG_CB_INCOMING)) >= before + 2)
    return host.all(mt.ZDO_MSG_CB_INCOMING)[before:]


@pytest.mark.asyncio
async def test_zdo_commands_of_the_host_to_itself_come_back_as_messages() -> None:
    async with raw_host() as (ncp, host):
        for command, payload in (
            (mt.ZDO_NODE_DESC_REQ, b"\x00\x00\x00\x00"),
            (mt.ZDO_ACTIVE_EP_REQ, b"\x00\x00\x00\x00"),
            (mt.ZDO_SIMPLE_DESC_REQ, b"\x00\x00\x00\x00\x01"),
            (mt.ZDO_MGMT_LQI_REQ, b"\x00\x00\x00"),
            (mt.ZDO_MGMT_RTG_REQ, b"\x00\x00\x00"),
            (mt.ZDO_MGMT_BIND_REQ, b"\x00\x00\x00"),
            (mt.ZDO_IEEE_ADDR_REQ, b"\x00\x00\x00\x00"),
        ):
            request, response = await zdo_of_host(ncp, host, command, payload)
            assert request[3:5] == bytes((command & 0xFF, 0))
            assert response[3:5] == bytes((command & 0xFF, 0x80))
            assert response[9] == 0


@pytest.mark.asyncio
async def test_zdo_commands_of_the_host_to_a_device_go_on_the_air() -> None:
    medium = present()
    nwk = DEVICE_NWK.to_bytes(2, "little")
    async with raw_host(medium) as (_, host):
        for command, payload in (
            (mt.ZDO_NODE_DESC_REQ, nwk + nwk),
            (mt.ZDO_BIND_REQ, nwk + struct.pack("<QBHBQB", DEVICE_IEEE, 1, 6, 3, COORDINATOR_IEEE, 1)),
            (mt.ZDO_UNBIND_REQ, nwk + struct.pack("<QBHBH", DEVICE_IEEE, 1, 6, 1, 0x0BAD)),
            (mt.ZDO_MGMT_LEAVE_REQ, nwk + struct.pack("<QB", DEVICE_IEEE, 1)),
            (mt.ZDO_NWK_ADDR_REQ, struct.pack("<QBB", DEVICE_IEEE, 0, 0)),
            (mt.ZDO_SEND_DATA, nwk + b"\x55\x31\x00\x00"),
        ):
            assert host.ask(command, payload) == b"\x00"
        await until(lambda: len(medium.sent) == 6)
        node, bind, unbind, leave, address, raw = medium.sent
        assert (node.cluster, node.data[1:]) == (0x0002, nwk)
        assert (bind.cluster, bind.data[1:]) == (0x0021, struct.pack("<QBHBQB", DEVICE_IEEE, 1, 6, 3, COORDINATOR_IEEE, 1))
        assert (unbind.cluster, unbind.data[1:]) == (0x0022, struct.pack("<QBHBH", DEVICE_IEEE, 1, 6, 1, 0x0BAD))
        assert (leave.cluster, leave.data[1:]) == (0x0034, struct.pack("<QB", DEVICE_IEEE, 0x80))
        assert (address.cluster, address.dst) == (0x0000, 0xFFFD)
        assert (raw.cluster, raw.data) == (0x0031, b"\x55\x00")


@pytest.mark.asyncio
async def test_joining_is_opened_everywhere_or_through_one_router() -> None:
    medium = present()
    async with raw_host(medium) as (ncp, host):
        ncp.nvram.set(ZDO_DIRECT_CB, b"\x01")
        assert host.ask(mt.ZDO_MGMT_PERMIT_JOIN_REQ, struct.pack("<BHBB", 15, 0xFFFC, 180, 1)) == b"\x00"
        await until(lambda: medium.permits == [180])
        assert host.all(0x45B6) == [b"\x00\x00\x00"]
        assert [(frame.dst, frame.data[1:]) for frame in medium.sent] == [(0xFFFC, b"\xb4\x01")]
        assert host.ask(mt.ZDO_MGMT_PERMIT_JOIN_REQ, struct.pack("<BHBB", 2, DEVICE_NWK, 60, 1)) == b"\x00"
        await until(lambda: medium.sent[-1].dst == DEVICE_NWK)
        assert medium.permits == [180, 60]


@pytest.mark.asyncio
async def test_an_energy_scan_reports_every_channel() -> None:
    async with stick(network=IDENTITY) as (_, port), running(port.path) as app:
        energies = await app.energy_scan(t.Channels.ALL_CHANNELS, 4, 1)
        assert sorted(energies) == list(range(11, 27))
        assert all(energies.values())


@pytest.mark.asyncio
async def test_a_route_that_failed_is_reported_missing_until_it_is_discovered_again() -> None:
    medium = present()
    async with raw_host(medium) as (_, host):
        check = struct.pack("<HBB", DEVICE_NWK, 1, 3)
        assert host.ask(mt.ZDO_EXT_ROUTE_CHK, check) == b"\x00"
        medium.delivery = Delivery.NO_ROUTE
        host.send_data(1)
        await until(lambda: bool(host.all(mt.AF_DATA_CONFIRM)))
        assert host.ask(mt.ZDO_EXT_ROUTE_CHK, check) == b"\x01"
        assert host.ask(mt.ZDO_EXT_ROUTE_DISC, struct.pack("<HBB", DEVICE_NWK, 0, 30)) == b"\x00"
        assert host.ask(mt.ZDO_EXT_ROUTE_CHK, check) == b"\x00"
        assert host.ask(mt.ZDO_EXT_ROUTE_CHK, struct.pack("<HBB", 0x1357, 1, 3)) == b"\x01"


@pytest.mark.asyncio
async def test_a_sleepy_child_is_in_the_association_table_until_it_is_removed() -> None:
    medium = ScriptedMedium()
    key = struct.pack("<QH", DEVICE_IEEE, 0)
    async with raw_host(medium) as (_, host):
        assert host.ask(mt.UTIL_ASSOC_GET_WITH_ADDRESS, key)[4] == 0xFF
        medium.join(kind=DeviceKind.SLEEPY)
        entry = host.ask(mt.UTIL_ASSOC_GET_WITH_ADDRESS, key)
        assert len(entry) == 36
        assert (entry[:2], entry[4]) == (DEVICE_NWK.to_bytes(2, "little"), 1)
        assert host.ask(mt.UTIL_ASSOC_FIND_DEVICE, b"\x00") == entry
        assert host.ask(mt.UTIL_ASSOC_COUNT, b"\x01\x04") == b"\x01\x00"
        assert host.ask(mt.UTIL_ASSOC_REMOVE, key[:8]) == b"\x00"
        assert host.ask(mt.UTIL_ASSOC_GET_WITH_ADDRESS, key)[4] == 0xFF
        assert host.ask(mt.UTIL_ASSOC_ADD, struct.pack("<HQB", DEVICE_NWK, DEVICE_IEEE, 1)) == b"\x00"
        assert host.ask(mt.UTIL_ASSOC_GET_WITH_ADDRESS, key) == entry


@pytest.mark.asyncio
async def test_a_router_that_joins_at_the_coordinator_is_no_child() -> None:
    medium = ScriptedMedium()
    async with raw_host(medium) as (_, host):
        medium.join(kind=DeviceKind.ROUTER)
        assert host.ask(mt.UTIL_ASSOC_COUNT, b"\x01\x04") == b"\x00\x00"
        assert host.ask(mt.UTIL_ADDRMGR_EXT_ADDR_LOOKUP, struct.pack("<Q", DEVICE_IEEE)) == DEVICE_NWK.to_bytes(2, "little")
        assert host.ask(mt.UTIL_ADDRMGR_NWK_ADDR_LOOKUP, DEVICE_NWK.to_bytes(2, "little")) == struct.pack("<Q", DEVICE_IEEE)


@pytest.mark.asyncio
async def test_the_host_reads_which_network_runs_and_in_which_state_the_coordinator_is() -> None:
    async with raw_host(ScriptedMedium()) as (_, host):
        own, state, pan, parent, extended, _, channel = struct.unpack("<HBHHQQB", host.ask(mt.ZDO_EXT_NWK_INFO))
        assert (own, state, pan, parent) == (0x0000, mt.DeviceState.ZB_COORD, IDENTITY.pan_id, 0x0000)
        assert (extended, channel) == (IDENTITY.extended_pan_id, IDENTITY.channel)


@pytest.mark.asyncio
async def test_a_group_is_looked_up_in_an_answer_of_one_length() -> None:
    wanted = struct.pack("<BH", 1, 0x0B84)
    async with raw_host(ScriptedMedium()) as (_, host):
        assert host.ask(mt.ZDO_EXT_FIND_GROUP, wanted) == b"\x01\x84\x0b\x00"
        assert host.ask(mt.ZDO_EXT_ADD_GROUP, wanted + b"\x00") == b"\x00"
        assert host.ask(mt.ZDO_EXT_FIND_GROUP, wanted) == b"\x00\x84\x0b\x00"
