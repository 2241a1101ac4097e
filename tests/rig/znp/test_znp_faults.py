"""Resets, hangs, broken frames and pulled plugs, as a host meets them."""

from __future__ import annotations

import asyncio

import pytest
from tests.rig.medium import DEVICE_NWK, IDENTITY, until
from zigpy_znp.commands import SYS
from znp_fakes import RawHost, ScriptedMedium, raw_host, running, stick

from otagate_rig.znp import ZnpNcp, mt
from otagate_rig.znp.mt import ResetReason


@pytest.mark.asyncio
async def test_a_reset_on_request_is_announced_and_takes_the_network_down() -> None:
    medium = ScriptedMedium()
    async with raw_host(medium) as (ncp, host):
        assert medium.identity == IDENTITY
        assert host.tell(mt.SYS_RESET_REQ, b"\x01") == [(mt.SYS_RESET_IND, bytes.fromhex("000201020701"))]
        assert medium.identity is None
        assert not ncp.network_is_up
        assert ncp.network == IDENTITY
        await host.bring_up()
        assert medium.identity == IDENTITY
        assert host.all(mt.ZDO_STATE_CHANGE_IND)[-1] == b"\x09"


@pytest.mark.asyncio
async def test_an_unexpected_reset_loses_endpoints_and_network_but_not_the_memory() -> None:
    medium = ScriptedMedium()
    medium.present = True
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        host.send_data(7)
        await until(lambda: len(medium.sent) == 1)
        ncp.reset_unexpectedly()
        assert host.all(mt.SYS_RESET_IND)[-1][0] == ResetReason.WATCHDOG
        assert medium.identity is None
        medium.say(0x0019, b"lost", ep=1)
        assert host.all(mt.AF_INCOMING_MSG) == []
        medium.hold.set()
        await host.bring_up()
        assert ncp.outstanding == 0
        assert host.send_data(8) == 0
        await until(lambda: bool(host.all(mt.AF_DATA_CONFIRM)))
        assert host.all(mt.AF_DATA_CONFIRM) == [b"\x00\x01\x08"]


@pytest.mark.asyncio
async def test_zigpy_hears_an_unexpected_reset_and_can_start_again() -> None:
    async with stick(network=IDENTITY) as (ncp, port):
        async with running(port.path) as app:
            heard = app._znp.wait_for_response(SYS.ResetInd.Callback(partial=True))
            ncp.reset_unexpectedly()
            async with asyncio.timeout(5):
                assert (await heard).Reason == ResetReason.WATCHDOG
        async with running(port.path):
            assert ncp.network_is_up


@pytest.mark.asyncio
async def test_a_hanging_ncp_neither_answers_nor_reports_until_it_resumes() -> None:
    medium = ScriptedMedium()
    medium.present = True
    async with raw_host(medium) as (ncp, host):
        ncp.hang()
        assert host.tell(mt.SYS_PING) == []
        medium.say(0x0019, b"unheard", ep=1)
        assert host.all(mt.AF_INCOMING_MSG) == []
        ncp.resume_answers()
        assert host.ask(mt.SYS_PING) == b"\x59\x06"
        medium.say(0x0019, b"heard", ep=1)
        assert len(host.all(mt.AF_INCOMING_MSG)) == 1


@pytest.mark.asyncio
async def test_the_watchdog_of_zigpy_notices_a_hanging_ncp() -> None:
    async with stick(network=IDENTITY) as (ncp, port), running(port.path) as app:
        ncp.hang()
        with pytest.raises(TimeoutError):
            await app._znp.request(SYS.Ping.Req(), timeout=0.05)
        ncp.resume_answers()
        assert await app._znp.request(SYS.Ping.Req(), timeout=5)


@pytest.mark.asyncio
async def test_corrupted_frames_are_lost_on_the_host_and_no_more_than_asked_for() -> None:
    async with raw_host() as (ncp, host):
        ncp.corrupt_next(2)
        assert host.tell(mt.SYS_PING) == []
        assert host.tell(mt.SYS_PING) == []
        assert host.bad_frames == 2
        assert host.ask(mt.SYS_PING) == b"\x59\x06"


@pytest.mark.asyncio
async def test_a_corrupted_frame_of_the_host_is_counted_and_not_obeyed() -> None:
    async with ZnpNcp(ScriptedMedium(), ieee=1) as ncp:
        host = RawHost(ncp)
        ncp.bytes_received(bytes.fromhex("fe002101ff"))
        assert host.heard == []
        assert ncp.bad_frames == 1
        assert ncp.counters.frames_in == 0


@pytest.mark.parametrize("transport", ["tcp", "pty"])
@pytest.mark.asyncio
async def test_zigpy_notices_an_unplugged_stick_and_starts_again_when_it_is_back(transport: str) -> None:
    medium = ScriptedMedium()
    async with stick(medium, transport=transport, network=IDENTITY) as (ncp, port):
        async with running(port.path) as app:
            lost: list[object] = []
            app.connection_lost = lost.append  # the hook the radio library calls
            port.unplug()
            await until(lambda: bool(lost))
            assert not port.is_open
            # A pty powers its stick; a TCP bridge is powered by itself and its coordinator goes on.
            assert ncp.network_is_up == (transport == "tcp")
        await port.plug()
        async with running(port.path):
            assert ncp.network_is_up
        assert ncp.counters.network_settings_writes == 0


@pytest.mark.asyncio
async def test_what_the_host_has_said_since_it_attached_is_counted() -> None:
    async with stick(network=IDENTITY) as (ncp, port):
        async with running(port.path):
            assert ncp.counters.received_since_attach > 0
        await until(lambda: not port.is_open)
        host, port_number = port.path.removeprefix("socket://").split(":")
        _, writer = await asyncio.open_connection(host, int(port_number))
        await until(lambda: port.is_open)
        assert ncp.counters.received_since_attach == 0
        writer.write(b"\xef")
        await until(lambda: ncp.counters.received_since_attach == 1)
        writer.close()


@pytest.mark.asyncio
async def test_leaving_the_context_ends_transmissions_that_would_last_for_ever() -> None:
    medium = ScriptedMedium()
    medium.present = True
    medium.hold = asyncio.Event()
    async with asyncio.timeout(5):
        async with raw_host(medium) as (ncp, host):
            host.send_data(1)
            await until(lambda: len(medium.sent) == 1)
        assert medium.identity is None
        assert not ncp.network_is_up
        medium.say(0x0019, b"too late", ep=1)
        assert host.all(mt.AF_INCOMING_MSG) == []
    assert medium.sent[0].dst == DEVICE_NWK


@pytest.mark.asyncio
async def test_a_second_stick_that_is_only_powered_leaves_the_air_to_the_first() -> None:
    medium = ScriptedMedium()
    medium.present = True
    async with raw_host(medium) as (first, host):
        async with ZnpNcp(medium, ieee=2, network=IDENTITY) as second:
            second.reset_unexpectedly()
            second.power_lost()
            assert medium.identity == IDENTITY
        assert medium.identity == IDENTITY
        assert medium.coordinator is first
        medium.say(0x0019, b"still mine", ep=1)
        assert len(host.all(mt.AF_INCOMING_MSG)) == 1
