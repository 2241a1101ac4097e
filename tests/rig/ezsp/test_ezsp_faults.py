"""Resets, failures, hangs, lost and broken frames and pulled plugs, as a host meets them."""

from __future__ import annotations

import asyncio

import bellows.types as t
import pytest
from bellows.ash import NcpFailure
from ezsp_fakes import raw_host, running, stick
from tests.rig.medium import DEVICE_NWK, IDENTITY, FakeMedium, until

from otagate_rig.ezsp import EzspNcp, frames
from otagate_rig.ezsp.enums import ResetCode


@pytest.mark.asyncio
async def test_a_reset_on_request_is_announced_and_takes_the_network_down() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        assert medium.identity == IDENTITY
        host.reset()
        assert host.resets[-1] == ResetCode.SOFTWARE
        assert medium.identity is None
        assert not ncp.network_is_up
        assert ncp.network == IDENTITY
        await host.bring_up()
        assert medium.identity == IDENTITY


@pytest.mark.asyncio
async def test_an_unexpected_reset_loses_endpoints_and_network_but_not_the_memory() -> None:
    medium = FakeMedium()
    medium.hold = asyncio.Event()
    async with raw_host(medium) as (ncp, host):
        host.send(7)
        await until(lambda: len(medium.sent) == 1)
        ncp.reset_unexpectedly()
        assert host.resets[-1] == ResetCode.WATCHDOG
        assert medium.identity is None
        medium.say(0x0019, b"lost", ep=1)
        assert host.all(frames.INCOMING_MESSAGE_HANDLER) == []
        medium.hold.set()
        await host.bring_up()
        assert ncp.outstanding == 0
        assert host.send(8)[0] == 0
        await until(lambda: host.confirms() == [(8, 0)])


@pytest.mark.parametrize("reason", [ResetCode.WATCHDOG, ResetCode.ASSERT, ResetCode.POWER_ON])
@pytest.mark.asyncio
async def test_zigpy_hears_an_unexpected_reset_with_its_reason_and_can_start_again(reason: ResetCode) -> None:
    async with stick(network=IDENTITY) as (ncp, port):
        async with running(port.path) as app:
            lost: list[object] = []
            app.connection_lost = lost.append  # the hook the radio library calls
            ncp.reset_unexpectedly(reason)
            await until(lambda: bool(lost))
            assert lost == [NcpFailure(t.NcpResetCode(reason))]
        async with running(port.path):
            assert ncp.network_is_up


@pytest.mark.asyncio
async def test_zigpy_hears_of_a_failed_link_while_the_network_goes_on() -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port):
        async with running(port.path) as app:
            lost: list[object] = []
            app.connection_lost = lost.append
            ncp.fail()
            await until(lambda: bool(lost))
            assert lost[0] == NcpFailure(t.NcpResetCode.ERROR_EXCEEDED_MAXIMUM_ACK_TIMEOUT_COUNT)
            assert medium.identity == IDENTITY
        async with running(port.path):
            assert ncp.network_is_up


@pytest.mark.asyncio
async def test_a_hanging_ncp_neither_answers_nor_reports_until_it_resumes() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (ncp, host):
        ncp.hang()
        lost = host.next
        assert host.tell(frames.NOP) == []
        medium.say(0x0019, b"unheard", ep=1)
        assert host.all(frames.INCOMING_MESSAGE_HANDLER) == []
        ncp.resume_answers()
        host.next = lost
        assert host.ask(frames.NOP) == b""
        medium.say(0x0019, b"heard", ep=1)
        assert len(host.all(frames.INCOMING_MESSAGE_HANDLER)) == 1


@pytest.mark.asyncio
async def test_a_short_hang_costs_bellows_a_repetition_and_nothing_else() -> None:
    async with stick(network=IDENTITY) as (ncp, port), running(port.path) as app:
        ncp.hang()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(app._ezsp.nop())
            received = ncp.counters.bytes_in
            await until(lambda: ncp.counters.bytes_in > received)
            assert not asked.done()
            ncp.resume_answers()
        assert asked.result() == []


@pytest.mark.parametrize("fault", ["corrupt_next", "drop_next"])
@pytest.mark.asyncio
async def test_frames_that_the_line_spoils_or_loses_reach_bellows_all_the_same(fault: str) -> None:
    async with stick(network=IDENTITY) as (ncp, port), running(port.path) as app:
        getattr(ncp, fault)(2)
        async with asyncio.timeout(20):
            assert await app._ezsp.echo(b"hello") == [b"hello"]
        assert ncp.link_counters.retransmissions + ncp.link_counters.naks_received > 0 or fault == "drop_next"
        assert ncp.network_is_up


@pytest.mark.asyncio
async def test_no_more_frames_are_lost_than_asked_for() -> None:
    async with raw_host() as (ncp, host):
        await asyncio.sleep(0)
        ncp.drop_next(1)
        ncp.corrupt_next(1)
        assert host.tell(frames.NOP) == []
        bad = host.bad_frames
        assert host.tell(frames.NOP) == []
        assert host.bad_frames == bad + 1
        host.put(bytes((0xA0 | host.expected,)))
        assert [command for command, _ in host.heard[-2:]] == [frames.NOP, frames.NOP]


@pytest.mark.parametrize("transport", ["tcp", "pty"])
@pytest.mark.asyncio
async def test_zigpy_notices_an_unplugged_stick_and_starts_again_when_it_is_back(transport: str) -> None:
    medium = FakeMedium()
    async with stick(medium, transport=transport, network=IDENTITY) as (ncp, port):
        async with running(port.path) as app:
            lost: list[object] = []
            app.connection_lost = lost.append
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
    async with stick(transport="tcp", network=IDENTITY) as (ncp, port):
        async with running(port.path):
            assert ncp.counters.received_since_attach > 0
        await until(lambda: not port.is_open)
        host, port_number = port.path.removeprefix("socket://").split(":")
        _, writer = await asyncio.open_connection(host, int(port_number))
        await until(lambda: port.is_open)
        assert ncp.counters.received_since_attach == 0
        writer.write(b"\x1a")
        await until(lambda: ncp.counters.received_since_attach == 1)
        writer.close()


@pytest.mark.asyncio
async def test_a_host_that_does_not_begin_with_a_reset_is_not_heard() -> None:
    async with raw_host() as (ncp, host):
        ncp.line_down()
        ncp.line_up(host._write)
        before = len(host.bodies)
        assert host.tell(frames.NOP) == []
        assert host.bodies[before:] == []
        assert ncp.network_is_up
        host.agree()


@pytest.mark.asyncio
async def test_leaving_the_context_ends_transmissions_that_would_last_for_ever() -> None:
    medium = FakeMedium()
    medium.hold = asyncio.Event()
    async with asyncio.timeout(5):
        async with raw_host(medium) as (ncp, host):
            host.send(1)
            await until(lambda: len(medium.sent) == 1)
        assert medium.identity is None
        assert not ncp.network_is_up
        medium.say(0x0019, b"too late", ep=1)
        assert host.all(frames.INCOMING_MESSAGE_HANDLER) == []
    assert medium.sent[0].dst == DEVICE_NWK


@pytest.mark.asyncio
async def test_a_second_stick_that_is_only_powered_leaves_the_air_to_the_first() -> None:
    medium = FakeMedium()
    async with raw_host(medium) as (first, host):
        async with EzspNcp(medium, ieee=2, network=IDENTITY) as second:
            second.reset_unexpectedly()
            second.power_lost()
            assert medium.identity == IDENTITY
        assert medium.identity == IDENTITY
        assert medium.coordinator is first
        medium.say(0x0019, b"still mine", ep=1)
        assert len(host.all(frames.INCOMING_MESSAGE_HANDLER)) == 1
