"""Whatever a host or the air sends, the NCP neither raises nor falls out of step."""

from __future__ import annotations

import asyncio

from ezsp_fakes import raw_host
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rig.medium import DEVICE_NWK, FakeMedium

from otagate_rig.aps import ApsFrame
from otagate_rig.ezsp import ash, frames
from otagate_rig.ezsp.frames import HEADER

COMMANDS = sorted({value for name, value in vars(frames).items() if name.isupper() and isinstance(value, int) and not name.endswith("_HANDLER")})
REQUESTS = st.tuples(st.sampled_from(COMMANDS), st.one_of(st.binary(max_size=215), st.binary(max_size=20)))
AIR = st.tuples(
    st.one_of(st.integers(0, 0x40), st.integers(0x8000, 0x8040), st.just(0x0019)),
    st.integers(0, 2),
    st.binary(max_size=300),
    st.lists(st.integers(0, 0xFFFF), max_size=5),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(REQUESTS, max_size=20))
def test_every_command_is_answered_exactly_once_whatever_it_carries(requests: list[tuple[int, bytes]]) -> None:
    async def converse() -> None:
        async with raw_host() as (_, host):
            for command, payload in requests:
                before = len(host.heard)
                host.tell(command, payload)
                answers = [heard for heard, _ in host.heard[before:] if heard in (command, frames.INVALID_COMMAND)]
                assert len(answers) == 1
                await asyncio.sleep(0)
            host.ask(frames.VERSION, b"\x0d")
            assert host.ask(frames.ECHO, b"\x01x") == b"\x01x"
            assert host.bad_frames == 0

    asyncio.run(converse())


@settings(max_examples=80, deadline=None)
@given(st.lists(AIR, max_size=20), st.integers(0, 0xFFFF))
def test_no_frame_of_the_air_upsets_it(heard: list[tuple[int, int, bytes, list[int]]], dst: int) -> None:
    async def listen() -> None:
        async with raw_host(FakeMedium()) as (ncp, host):
            host.ask(frames.SET_CONCENTRATOR, b"\x01" + bytes(9))
            for cluster, ep, data, route in heard:
                profile = 0x0104 if ep else 0
                frame = ApsFrame(src=DEVICE_NWK, src_ep=ep, dst=dst, dst_ep=ep, profile=profile, cluster=cluster, data=data, route=tuple(route))
                ncp.frame_received(frame, lqi=0)
                await asyncio.sleep(0)
            assert host.ask(frames.ECHO, b"\x01x") == b"\x01x"
            assert host.bad_frames == 0

    asyncio.run(listen())


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.binary(max_size=2000), st.lists(st.binary(max_size=240).map(ash.encode), max_size=10).map(b"".join)))
def test_noise_on_the_line_does_not_deafen_it(noise: bytes) -> None:
    async def converse() -> None:
        async with raw_host() as (ncp, host):
            ncp.bytes_received(noise)
            host.agree()
            assert host.ask(frames.ECHO, b"\x01x") == b"\x01x"

    asyncio.run(converse())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.binary(min_size=3, max_size=12), st.binary(min_size=3, max_size=220)), max_size=20))
def test_no_ezsp_frame_however_malformed_stops_the_conversation(payloads: list[bytes]) -> None:
    async def converse() -> None:
        async with raw_host() as (_, host):
            for payload in payloads:
                host.data(payload)
                await asyncio.sleep(0)
            host.sequence = 7
            host.data(HEADER.pack(7, 0, frames.FORMAT_1, frames.VERSION) + b"\x0d")
            assert host.ask(frames.ECHO, b"\x01x") == b"\x01x"

    asyncio.run(converse())
