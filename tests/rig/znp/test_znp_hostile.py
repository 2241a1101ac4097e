"""Whatever a host or the air sends, the NCP neither raises nor falls out of step."""

from __future__ import annotations

import asyncio
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rig.medium import DEVICE_NWK
from znp_fakes import ScriptedMedium, raw_host

from otagate_rig.aps import ApsFrame
from otagate_rig.znp import mt
from otagate_rig.znp.frames import encode

COMMANDS = sorted({value for name, value in vars(mt).items() if name.isupper() and isinstance(value, int) and value & 0xE000 == 0x2000})
REQUESTS = st.tuples(st.sampled_from(COMMANDS), st.one_of(st.binary(max_size=250), st.binary(max_size=16)))
AIR = st.tuples(st.one_of(st.integers(0, 0x40), st.integers(0x8000, 0x8040), st.just(0x0019)), st.integers(0, 2), st.binary(max_size=300))


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, max_size=20))
def test_every_synchronous_request_is_answered_exactly_once_whatever_it_carries(requests: list[tuple[int, bytes]]) -> None:
    async def converse() -> None:
        async with raw_host() as (_, host):
            for command, payload in requests:
                before = len(host.heard)
                host.tell(command, payload)
                answers = [heard for heard, body in host.heard[before:] if heard in (command + 0x4000, mt.RPC_ERROR)]
                assert len(answers) == 1
            await asyncio.sleep(0)
            assert host.ask(mt.SYS_PING) == struct.pack("<H", mt.CAPABILITIES)
            assert host.bad_frames == 0

    asyncio.run(converse())


@settings(max_examples=60, deadline=None)
@given(st.lists(AIR, max_size=20), st.integers(0, 0xFFFF))
def test_no_frame_of_the_air_upsets_it(frames: list[tuple[int, int, bytes]], dst: int) -> None:
    async def listen() -> None:
        medium = ScriptedMedium()
        async with raw_host(medium) as (ncp, host):
            for cluster, ep, data in frames:
                frame = ApsFrame(src=DEVICE_NWK, src_ep=ep, dst=dst, dst_ep=ep, profile=0 if not ep else 0x0104, cluster=cluster, data=data)
                ncp.frame_received(frame, lqi=0)
            await asyncio.sleep(0)
            assert host.ask(mt.SYS_PING) == struct.pack("<H", mt.CAPABILITIES)
            assert host.bad_frames == 0

    asyncio.run(listen())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_noise_on_the_line_does_not_deafen_it(noise: bytes) -> None:
    async def converse() -> None:
        async with raw_host() as (ncp, host):
            ncp.bytes_received(noise)
            ncp.bytes_received(bytes(256))
            # The noise may have restarted it or stored anything, but it must listen.
            host.tell(mt.SYS_PING)
            assert (mt.SYS_PING + 0x4000, struct.pack("<H", mt.CAPABILITIES)) in host.tell(mt.SYS_PING)

    asyncio.run(converse())


def test_a_frame_that_is_cut_off_is_completed_later() -> None:
    async def converse() -> None:
        async with raw_host() as (ncp, host):
            ping = encode(mt.SYS_PING, b"")
            before = len(host.heard)
            ncp.bytes_received(ping[:3])
            assert len(host.heard) == before
            ncp.bytes_received(ping[3:])
            assert len(host.heard) == before + 1

    asyncio.run(converse())
