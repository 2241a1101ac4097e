"""The Zigbee Device Object of a simulated device: the requests that a coordinator asks in an interview (Zigbee R22 §2.4.3 and §2.4.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otagate_rig.aps import DeviceKind

if TYPE_CHECKING:
    from collections.abc import Callable

ZDO_PROFILE = 0x0000
NWK_ADDR_REQ = 0x0000
IEEE_ADDR_REQ = 0x0001
NODE_DESC_REQ = 0x0002
POWER_DESC_REQ = 0x0003
SIMPLE_DESC_REQ = 0x0004
ACTIVE_EP_REQ = 0x0005
MATCH_DESC_REQ = 0x0006
DEVICE_ANNCE = 0x0013
BIND_REQ = 0x0021
UNBIND_REQ = 0x0022
MGMT_LQI_REQ = 0x0031
MGMT_RTG_REQ = 0x0032
MGMT_BIND_REQ = 0x0033
MGMT_LEAVE_REQ = 0x0034
RESPONSE = 0x8000

SUCCESS = 0x00
INVALID_EP = 0x82
NOT_ACTIVE = 0x83
INVALID_REQUEST_TYPE = 0x80
DEVICE_NOT_FOUND = 0x81
NOT_SUPPORTED = 0x84

_MAX_BUFFER = 82
_BINDINGS_A_PAGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A Simple Descriptor (§2.3.2.5)."""

    id: int
    profile: int
    device_type: int
    servers: tuple[int, ...]
    clients: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Node:
    """What a device's ZDO knows; `bindings` are the raw entries that it was given."""

    ieee: int
    kind: DeviceKind
    manufacturer_code: int
    endpoints: tuple[Endpoint, ...]
    nwk: int
    parent: int
    extended_pan_id: int
    bindings: set[bytes]
    binds: bool = True

    @property
    def capability(self) -> int:
        """MAC capability flags (§2.3.2.3.6)."""
        if self.kind is DeviceKind.ROUTER:
            return 0x8E
        return 0x80 if self.kind is DeviceKind.SLEEPY else 0x8C


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request leads to: a response in cluster `cluster`, and whether the device leaves (and comes back)."""

    cluster: int
    payload: bytes
    leaves: bool = False
    rejoins: bool = False


def answer(node: Node, cluster: int, data: bytes, *, unicast: bool) -> Reply | None:
    """Answer one ZDO frame, or return None where the specification wants silence."""
    if not data or cluster & RESPONSE or cluster == DEVICE_ANNCE:
        return None
    ask = _REQUESTS.get(cluster)
    if ask is None:
        return Reply(cluster | RESPONSE, bytes((data[0], NOT_SUPPORTED))) if unicast else None
    try:
        body = ask(node, data[1:])
    except (struct.error, IndexError):
        return None
    if body is None or (not unicast and body[0] != SUCCESS):
        return None
    leaves = cluster == MGMT_LEAVE_REQ and body[0] == SUCCESS
    return Reply(cluster | RESPONSE, data[:1] + body, leaves=leaves, rejoins=leaves and bool(data[9] & 0x80))


def binding(ieee: int, endpoint: int, cluster: int, to_ieee: int, to_endpoint: int) -> bytes:
    """Write an entry of a binding table, as in a Bind_req too (§2.4.3.2.2)."""
    return struct.pack("<QBHBQB", ieee, endpoint, cluster, 0x03, to_ieee, to_endpoint)


def device_annce(node: Node, tsn: int) -> bytes:
    """Write a Device_annce (§2.4.3.1.11)."""
    return struct.pack("<BHQB", tsn, node.nwk, node.ieee, node.capability)


def match_request(tsn: int, of_interest: int, profile: int, server: int) -> bytes:
    """Write a Match_Desc_req for a device that serves cluster `server` (§2.4.3.1.7)."""
    return struct.pack("<BHHBHB", tsn, of_interest, profile, 1, server, 0)


def matched_endpoints(data: bytes) -> bytes:
    """The endpoints that a Match_Desc_rsp names, none where it is a failure or cut short (§2.4.4.2.7)."""
    if len(data) < 5 or data[1] != SUCCESS or len(data) < 5 + data[4]:
        return b""
    return data[5 : 5 + data[4]]


def _nwk_addr(node: Node, data: bytes) -> bytes | None:
    (ieee,) = struct.unpack_from("<Q", data)
    return struct.pack("<BQH", SUCCESS, node.ieee, node.nwk) if ieee == node.ieee else None


def _ieee_addr(node: Node, data: bytes) -> bytes | None:
    (nwk,) = struct.unpack_from("<H", data)
    return struct.pack("<BQH", SUCCESS, node.ieee, node.nwk) if nwk == node.nwk else None


def _about_me(describe: Callable[[Node, bytes], bytes]) -> Callable[[Node, bytes], bytes | None]:
    """Wrap a description so that it is given for this node only."""

    def ask(node: Node, data: bytes) -> bytes | None:
        (nwk,) = struct.unpack_from("<H", data)
        if nwk != node.nwk:
            return struct.pack("<BH", DEVICE_NOT_FOUND if node.kind is DeviceKind.ROUTER else INVALID_REQUEST_TYPE, nwk)
        return describe(node, data[2:])

    return ask


def _node_desc(node: Node, _: bytes) -> bytes:
    logical = 1 if node.kind is DeviceKind.ROUTER else 2
    # Frequency band 2.4 GHz; server mask: stack revision 22.
    descriptor = struct.pack("<BBBHBHHHB", logical, 0x40, node.capability, node.manufacturer_code, _MAX_BUFFER, _MAX_BUFFER, 22 << 9, _MAX_BUFFER, 0)
    return struct.pack("<BH", SUCCESS, node.nwk) + descriptor


def _power_desc(node: Node, _: bytes) -> bytes:
    battery = node.kind is DeviceKind.SLEEPY
    mode = 0x1 if battery else 0x0
    source = 0x4 if battery else 0x1
    return struct.pack("<BHBB", SUCCESS, node.nwk, source << 4 | mode, 0xC0 | source)


def _simple_desc(node: Node, data: bytes) -> bytes:
    wanted = data[0]
    if not 1 <= wanted <= 254:
        return struct.pack("<BHB", INVALID_EP, node.nwk, 0)
    for endpoint in node.endpoints:
        if endpoint.id == wanted:
            body = struct.pack("<BHHB", endpoint.id, endpoint.profile, endpoint.device_type, 1)
            body += pack_clusters(endpoint.servers) + pack_clusters(endpoint.clients)
            return struct.pack("<BHB", SUCCESS, node.nwk, len(body)) + body
    return struct.pack("<BHB", NOT_ACTIVE, node.nwk, 0)


def _active_ep(node: Node, _: bytes) -> bytes:
    ids = bytes(endpoint.id for endpoint in node.endpoints)
    return struct.pack("<BHB", SUCCESS, node.nwk, len(ids)) + ids


def _match_desc(node: Node, data: bytes) -> bytes | None:
    nwk, profile, servers = struct.unpack_from("<HHB", data)
    clients = data[5 + 2 * servers]
    wanted_servers = set(struct.unpack_from(f"<{servers}H", data, 5))
    wanted_clients = set(struct.unpack_from(f"<{clients}H", data, 6 + 2 * servers))
    if nwk != node.nwk and nwk < 0xFFF8:
        return None
    found = bytes(
        endpoint.id
        for endpoint in node.endpoints
        if endpoint.profile == profile and (wanted_servers & set(endpoint.servers) or wanted_clients & set(endpoint.clients))
    )
    if not found and nwk >= 0xFFF8:
        return None
    return struct.pack("<BHB", SUCCESS, node.nwk, len(found)) + found


def _bind(node: Node, data: bytes) -> bytes:
    if not node.binds:
        return bytes((NOT_SUPPORTED,))
    node.bindings.add(data)
    return bytes((SUCCESS,))


def _unbind(node: Node, data: bytes) -> bytes:
    if data not in node.bindings:
        return bytes((0x88,))  # NO_ENTRY
    node.bindings.discard(data)
    return bytes((SUCCESS,))


def _mgmt_lqi(node: Node, data: bytes) -> bytes:
    """Tell of one neighbour, the parent; a coordinator where that is address 0."""
    if data[0] > 0:
        return struct.pack("<BBBB", SUCCESS, 1, data[0], 0)
    kind = 0 if node.parent == 0 else 1
    entry = struct.pack("<QQHBBBB", node.extended_pan_id, 0, node.parent, kind | 1 << 2, 2, 0 if node.parent == 0 else 1, 200)
    return struct.pack("<BBBB", SUCCESS, 1, 0, 1) + entry


def _mgmt_bind(node: Node, data: bytes) -> bytes:
    entries = sorted(node.bindings)
    page = entries[data[0] :][:_BINDINGS_A_PAGE]
    return struct.pack("<BBBB", SUCCESS, len(entries), data[0], len(page)) + b"".join(page)


def _mgmt_table(_: Node, data: bytes) -> bytes:
    return struct.pack("<BBBB", SUCCESS, 0, data[0], 0)


def _mgmt_leave(node: Node, data: bytes) -> bytes:
    ieee, _ = struct.unpack_from("<QB", data)
    return bytes((SUCCESS if ieee in (0, node.ieee) else DEVICE_NOT_FOUND,))


def pack_clusters(clusters: tuple[int, ...]) -> bytes:
    """A counted list of cluster ids."""
    return struct.pack(f"<B{len(clusters)}H", len(clusters), *clusters)


_REQUESTS: dict[int, Callable[[Node, bytes], bytes | None]] = {
    NWK_ADDR_REQ: _nwk_addr,
    IEEE_ADDR_REQ: _ieee_addr,
    NODE_DESC_REQ: _about_me(_node_desc),
    POWER_DESC_REQ: _about_me(_power_desc),
    SIMPLE_DESC_REQ: _about_me(_simple_desc),
    ACTIVE_EP_REQ: _about_me(_active_ep),
    MATCH_DESC_REQ: _match_desc,
    BIND_REQ: _bind,
    UNBIND_REQ: _unbind,
    MGMT_LQI_REQ: _mgmt_lqi,
    MGMT_RTG_REQ: _mgmt_table,
    MGMT_BIND_REQ: _mgmt_bind,
    MGMT_LEAVE_REQ: _mgmt_leave,
}
