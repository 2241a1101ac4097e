"""The ZDO of a device, byte by byte against the specification."""

from __future__ import annotations

import struct

import pytest

from otagate_rig.aps import DeviceKind
from otagate_rig.zdo import Endpoint, Node, answer, device_annce, match_request, matched_endpoints

ENDPOINT = Endpoint(id=11, profile=0x0104, device_type=0x51, servers=(0x0000, 0x0006), clients=(0x0019,))


def node(kind: DeviceKind = DeviceKind.ROUTER) -> Node:
    return Node(
        ieee=0x1122334455667788,
        kind=kind,
        manufacturer_code=0x1189,
        endpoints=(ENDPOINT,),
        nwk=0x1234,
        parent=0,
        extended_pan_id=5,
        bindings=set(),
    )


def ask(cluster: int, body: bytes, *, unicast: bool = True, kind: DeviceKind = DeviceKind.ROUTER) -> bytes | None:
    reply = answer(node(kind), cluster, b"\x09" + body, unicast=unicast)
    if reply is None:
        return None
    assert reply.cluster == cluster | 0x8000
    assert reply.payload[:1] == b"\x09"
    return reply.payload[1:]


ME = struct.pack("<H", 0x1234)


def test_addresses() -> None:
    found = struct.pack("<BQH", 0, 0x1122334455667788, 0x1234)
    assert ask(0x0000, struct.pack("<QBB", 0x1122334455667788, 0, 0), unicast=False) == found
    assert ask(0x0000, struct.pack("<QBB", 1, 0, 0), unicast=False) is None
    assert ask(0x0001, ME + b"\0\0") == found
    assert ask(0x0001, b"\x01\x01\0\0", unicast=False) is None


@pytest.mark.parametrize(
    ("kind", "logical", "capability"), [(DeviceKind.ROUTER, 1, 0x8E), (DeviceKind.END_DEVICE, 2, 0x8C), (DeviceKind.SLEEPY, 2, 0x80)]
)
def test_the_node_descriptor_says_what_kind_of_node_it_is(kind: DeviceKind, logical: int, capability: int) -> None:
    body = ask(0x0002, ME, kind=kind)
    assert body is not None
    assert len(body) == 3 + 13
    assert body[:3] == b"\x00" + ME
    assert (body[3] & 7, body[5], struct.unpack_from("<H", body, 6)[0]) == (logical, capability, 0x1189)


def test_the_power_descriptor_tells_mains_from_battery() -> None:
    assert ask(0x0003, ME) == b"\x00" + ME + b"\x10\xc1"
    assert ask(0x0003, ME, kind=DeviceKind.SLEEPY) == b"\x00" + ME + b"\x41\xc4"


def test_endpoints() -> None:
    assert ask(0x0005, ME) == b"\x00" + ME + b"\x01\x0b"
    simple = struct.pack("<BHHBBHHBH", 11, 0x0104, 0x51, 1, 2, 0, 6, 1, 0x19)
    assert ask(0x0004, ME + b"\x0b") == b"\x00" + ME + bytes((len(simple),)) + simple
    assert ask(0x0004, ME + b"\x01") == b"\x83" + ME + b"\x00"
    for number in (0, 255):
        assert ask(0x0004, ME + bytes((number,))) == b"\x82" + ME + b"\x00"
    assert ask(0x0004, ME + bytes((242,))) == b"\x83" + ME + b"\x00", "Green Power has an endpoint like all others"


def test_a_description_of_another_node_is_refused() -> None:
    assert ask(0x0005, b"\x01\x01") == b"\x81\x01\x01"
    assert ask(0x0005, b"\x01\x01", kind=DeviceKind.SLEEPY) == b"\x80\x01\x01"
    assert ask(0x0005, b"\x01\x01", unicast=False) is None


def match(servers: list[int], clients: list[int], *, address: int = 0x1234, unicast: bool = True) -> bytes | None:
    body = struct.pack(f"<HHB{len(servers)}HB{len(clients)}H", address, 0x0104, len(servers), *servers, len(clients), *clients)
    return ask(0x0006, body, unicast=unicast)


def test_matching_descriptors() -> None:
    assert match([6], []) == b"\x00" + ME + b"\x01\x0b"
    assert match([], [0x19]) == b"\x00" + ME + b"\x01\x0b"
    assert match([0x19], []) == b"\x00" + ME + b"\x00"
    assert match([0x19], [], address=0xFFFD, unicast=False) is None
    assert match([6], [], address=0xFFFD, unicast=False) == b"\x00" + ME + b"\x01\x0b"


def test_bindings_are_kept_and_removed() -> None:
    device = node()
    entry = bytes(21)
    for cluster, expected in ((0x0022, 0x88), (0x0021, 0), (0x0022, 0), (0x0022, 0x88)):
        reply = answer(device, cluster, b"\x01" + entry, unicast=True)
        assert reply is not None
        assert reply.payload == bytes((1, expected))


def test_tables() -> None:
    body = ask(0x0031, b"\x00")
    assert body is not None
    assert body[:4] == b"\x00\x01\x00\x01"
    assert len(body) == 4 + 22
    assert ask(0x0031, b"\x01") == b"\x00\x01\x01\x00"
    assert ask(0x0032, b"\x00") == b"\x00\x00\x00\x00"


@pytest.mark.parametrize(("flags", "rejoins"), [(0x00, False), (0x80, True)])
def test_leaving(flags: int, rejoins: bool) -> None:
    reply = answer(node(), 0x0034, b"\x01" + struct.pack("<QB", 0, flags), unicast=True)
    assert reply is not None
    assert (reply.payload, reply.leaves, reply.rejoins) == (b"\x01\x00", True, rejoins)


def test_leaving_is_for_the_one_who_is_named() -> None:
    reply = answer(node(), 0x0034, b"\x01" + struct.pack("<QB", 7, 0), unicast=True)
    assert reply is not None
    assert not reply.leaves


def test_what_the_device_does_not_know_is_not_supported_unless_it_was_a_broadcast() -> None:
    assert ask(0x0099, b"") == b"\x84"
    assert ask(0x0099, b"", unicast=False) is None


@pytest.mark.parametrize("cluster", [0x0000, 0x0001, 0x0002, 0x0004, 0x0006, 0x0031, 0x0034])
def test_a_request_that_is_cut_short_is_dropped(cluster: int) -> None:
    assert ask(cluster, b"") is None


def test_answers_and_announcements_are_not_answered() -> None:
    assert ask(0x8002, ME) is None
    assert ask(0x0013, ME) is None


def test_the_frames_of_a_device_itself() -> None:
    assert device_annce(node(), 3) == struct.pack("<BHQB", 3, 0x1234, 0x1122334455667788, 0x8E)
    assert match_request(3, 0, 0x0104, 0x19) == struct.pack("<BHHBHB", 3, 0, 0x0104, 1, 0x19, 0)
    assert matched_endpoints(b"\x03\x00\x00\x00\x02\x01\x02") == b"\x01\x02"
    assert matched_endpoints(b"\x03\x81\x00\x00\x00") == b""
    assert matched_endpoints(b"\x03\x00\x00\x00\x02\x01") == b""
