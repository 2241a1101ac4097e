"""What is heard on a coordinator's line: the firmware cluster, each frame once, and nothing else of the network."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import bellows.types as t
import pytest
from bellows.ezsp.v8.commands import COMMANDS as V8
from bellows.ezsp.v13.commands import COMMANDS as V13
from bellows.ezsp.v14.commands import COMMANDS as V14
from hil.tap import EzspTap, Tap, ZnpTap
from zigpy_znp import commands as c
from zigpy_znp import types as zt
from zigpy_znp.frames import TransportFrame

from otagate_rig.ezsp import ash
from otagate_rig.ezsp import frames as ezsp

REQUEST = bytes.fromhex("012a03008912010100000101000000003f")
ANSWER = bytes.fromhex("192a0500891201010000010100000000020102")
KEY = bytes(range(0xA0, 0xB0))

# --- Z-Stack ----------------------------------------------------------------------------------------------------------------------------


def line(command: object) -> bytes:
    """The bytes of one command, as zigpy-znp writes them."""
    return TransportFrame(command.to_frame()).serialize()  # type: ignore[attr-defined]


def incoming(data: bytes, *, cluster: int = 0x0019) -> bytes:
    plain = zt.Bool.false
    where = {"GroupId": 0, "ClusterId": cluster, "SrcAddr": 0xD82D, "SrcEndpoint": 11, "DstEndpoint": 1, "MacSrcAddr": 0xD82D}
    how = {"WasBroadcast": plain, "LQI": 200, "SecurityUse": plain, "TimeStamp": 0, "TSN": 0, "MsgResultRadius": 30}
    return line(c.AF.IncomingMsg.Callback(**where, **how, Data=zt.ShortBytes(data)))


HOW = {"TSN": 1, "Options": c.af.TransmitOptions.NONE, "Radius": 30}


def request(data: bytes, *, cluster: int = 0x0019) -> bytes:
    where = {"DstAddr": 0xD82D, "DstEndpoint": 11, "SrcEndpoint": 1, "ClusterId": cluster}
    return line(c.AF.DataRequest.Req(**where, **HOW, Data=zt.ShortBytes(data)))


def request_ext(data: bytes) -> bytes:
    target = zt.AddrModeAddress(mode=zt.AddrMode.NWK, address=0xD82D)
    where = {"DstAddrModeAddress": target, "DstEndpoint": 11, "DstPanId": 0, "SrcEndpoint": 1, "ClusterId": 0x0019}
    return line(c.AF.DataRequestExt.Req(**where, **HOW, Data=zt.LongBytes(data)))


def heard(tap: Tap, way: str, data: bytes, *, size: int = 1_000) -> list[tuple[int, int, bytes]]:
    """What the tap hears when the line gives pieces of this size."""
    listen = tap.from_stick if way == "in" else tap.from_host
    return [found for at in range(0, len(data), size) for found in listen(data[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_frames_of_a_zstack_line_are_heard_in_whatever_pieces_they_come(size: int) -> None:
    noise = line(c.SYS.Ping.Rsp(Capabilities=zt.MTCapabilities.SYS))
    assert heard(ZnpTap(), "in", noise + incoming(REQUEST) + b"\x00\xfe" + incoming(REQUEST), size=size) == [(0xD82D, 11, REQUEST)] * 2
    assert heard(ZnpTap(), "out", request(ANSWER) + request_ext(ANSWER), size=size) == [(0xD82D, 11, ANSWER)] * 2


def test_other_clusters_and_the_network_key_are_not_heard() -> None:
    tap = ZnpTap()
    key = line(c.SYS.OSALNVRead.Rsp(Status=zt.Status.SUCCESS, Value=zt.ShortBytes(KEY)))
    assert heard(tap, "in", incoming(REQUEST, cluster=0x0006) + key) == []
    assert heard(tap, "out", request(ANSWER, cluster=0x0006) + line(c.SYS.OSALNVWrite.Req(Id=2, Offset=0, Value=zt.ShortBytes(KEY)))) == []


# --- EZSP -------------------------------------------------------------------------------------------------------------------------------


def on_line(*numbered: tuple[int, bytes], repeated: Iterable[int] = ()) -> bytes:
    """EZSP frames with their ASH numbers; those in `repeated` carry the mark of a repetition."""
    found = b""
    for place, (number, frame) in enumerate(numbered):
        found += ash.encode(bytes([number << 4 | (ash.RETRANSMITTED if place in repeated else 0)]) + ash.randomise(frame))
    return found


def frame(command: int, payload: bytes) -> bytes:
    return struct.pack("<BBBH", 0, 0, 1, command) + payload


def aps(cluster: int = 0x0019, *, source: int, target: int) -> t.EmberApsFrame:
    return t.EmberApsFrame(profileId=260, clusterId=cluster, sourceEndpoint=source, destinationEndpoint=target, options=0, groupId=0, sequence=1)


def written(kinds: dict[str, type], **values: object) -> bytes:
    """Parameters as bellows writes them; what is not given is zero."""
    return b"".join(kind(values.get(key, 0)).serialize() for key, kind in kinds.items())


VERSIONS = {8: V8, 13: V13, 14: V14}


def ezsp_line(version: int, data: bytes, *, way: str, cluster: int = 0x0019) -> bytes:
    name, place, command = ("incomingMessageHandler", 2, 0x0045) if way == "in" else ("sendUnicast", 1, 0x0034)
    kinds = VERSIONS[version][name][place]
    where = aps(cluster, source=11 if way == "in" else 1, target=1 if way == "in" else 11)
    values = {"apsFrame": where, "aps_frame": where, "message": data, "messageContents": data, "eui64": t.EUI64(bytes(8))}
    values |= dict.fromkeys(("sender", "nwk", "indexOrDestination"), 0xD82D)
    return frame(command, written(kinds, **values))


def told_version(version: int) -> bytes:
    return frame(ezsp.VERSION, bytes([version, 2, 0, 0x70]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_frames_of_an_ezsp_line_are_heard_in_every_version_once_it_is_told(version: int, size: int) -> None:
    tap = EzspTap()
    assert heard(tap, "in", on_line((0, ezsp_line(version, REQUEST, way="in")))) == []
    stick = on_line((1, told_version(version)), (2, ezsp_line(version, REQUEST, way="in")), (3, ezsp_line(version, REQUEST, way="in", cluster=6)))
    assert heard(tap, "in", stick, size=size) == [(0xD82D, 11, REQUEST)]
    assert heard(tap, "out", on_line((0, ezsp_line(version, ANSWER, way="out"))), size=size) == [(0xD82D, 11, ANSWER)]


def test_a_repetition_and_a_damaged_frame_are_not_heard() -> None:
    tap = EzspTap()
    message = ezsp_line(13, REQUEST, way="in")
    assert heard(tap, "in", on_line((0, told_version(13)), (1, message), (1, message), repeated={2})) == [(0xD82D, 11, REQUEST)]
    assert heard(tap, "in", ash.corrupt(on_line((2, message)))) == []
    assert heard(tap, "in", on_line((2, message))) == [(0xD82D, 11, REQUEST)]
    cut = on_line((3, message[:-30]))
    assert heard(tap, "in", cut) == []


def test_a_version_that_bellows_does_not_know_is_not_heard_and_does_no_harm() -> None:
    tap = EzspTap()
    assert heard(tap, "in", on_line((0, told_version(250)), (1, ezsp_line(13, REQUEST, way="in")))) == []
