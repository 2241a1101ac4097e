"""The simulated network as a coordinator sees it: deliveries, sleeping children, loss, joining, leaving and power."""

from __future__ import annotations

import asyncio
import dataclasses
import struct

import pytest

from otagate_rig.air import AirSettings
from otagate_rig.aps import BROADCAST_ALL, BROADCAST_ROUTERS, BROADCAST_RX_ON, ApsFrame, Delivery, DeviceKind, NetworkIdentity
from otagate_rig.device import Device
from otagate_rig.image import build_image, make_payload
from otagate_rig.network import Network
from otagate_rig.ota_commands import ImageId
from otagate_rig.ota_wire import Phase
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.rig.little_server import COORDINATOR_IEEE, IDENTITY, LittleServer
from tests.rig.virtual_time import run

ROUTER = DeviceSpec(ieee=1, file_version=1)
FAR = DeviceSpec(ieee=2, hops=3, file_version=1)
SLEEPY = DeviceSpec(ieee=3, kind=DeviceKind.SLEEPY, poll_interval=2.0, fast_poll_interval=0.25, file_version=1)
IMAGE = build_image(0x1189, 0x0083, 2, payload=make_payload(2000))
KNOWN = {ImageId(0x1189, 0x0083, 2): IMAGE}
QUIET = AirSettings(speedup=None, timers=1.0)
ON = b"\x01\x07\x01"


def frame(device: Device, data: bytes = ON, *, cluster: int = 0x0006, **fields: object) -> ApsFrame:
    return dataclasses.replace(
        ApsFrame(src=0, src_ep=1, dst=device.nwk, dst_ep=1, profile=0x0104, cluster=cluster, data=data),
        **fields,  # type: ignore[arg-type]
    )


def network(*specs: DeviceSpec, air: AirSettings = QUIET) -> Network:
    return Network(specs, air=air, identity=IDENTITY, known=KNOWN, announce_after=None)


async def deliver(net: Network, sent: ApsFrame) -> tuple[Delivery, float]:
    """How a transmission ended and how many seconds later."""
    began = asyncio.get_running_loop().time()
    return await net.transmit(sent), asyncio.get_running_loop().time() - began


# Unicasts


@pytest.mark.parametrize("ack", [False, True])
@pytest.mark.parametrize("spec", [ROUTER, FAR, SLEEPY], ids=["router", "three hops", "sleepy"])
def test_a_frame_arrives_once_and_is_answered(spec: DeviceSpec, ack: bool) -> None:
    async def story() -> None:
        async with network(spec) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[spec.ieee]
            delivery, _ = await deliver(net, frame(device, ack=ack))
            assert delivery is Delivery.SUCCESS
            answer = await server.next_frame(lambda it: it.cluster == 0x0006, 30)
            assert answer.data == b"\x18\x07\x0b\x01\x00"
            assert [seen.command for seen in device.commands] == [1]
            assert device.application.on

    run(story())


def test_a_frame_for_nobody_finds_no_route() -> None:
    async def story() -> None:
        async with network(ROUTER) as net, LittleServer(net, IMAGE):
            assert await net.transmit(frame(net.devices[1], dst=0x1111 ^ net.devices[1].nwk)) is Delivery.NO_ROUTE

    run(story())


@pytest.mark.parametrize(
    ("ack", "hops", "expected"),
    [(True, 1, Delivery.NO_APS_ACK), (True, 2, Delivery.NO_APS_ACK), (False, 1, Delivery.NO_ROUTE), (False, 2, Delivery.SUCCESS)],
)
def test_a_device_without_power_is_noticed_by_the_aps_ack_or_the_first_hop(ack: bool, hops: int, expected: Delivery) -> None:
    async def story() -> None:
        async with network(dataclasses.replace(ROUTER, hops=hops)) as net, LittleServer(net, IMAGE):
            net.devices[1].power_off()
            delivery, seconds = await deliver(net, frame(net.devices[1], ack=ack))
            assert delivery is expected
            assert seconds == pytest.approx(4 * 1.6 if ack else 0.0)
            assert not net.devices[1].commands

    run(story())


@pytest.mark.parametrize(
    ("size", "fields", "expected"),
    [
        (82, {}, Delivery.SUCCESS),
        (83, {}, Delivery.TOO_LONG),
        (73, {"encrypted": True}, Delivery.SUCCESS),
        (74, {"encrypted": True}, Delivery.TOO_LONG),
        (78, {"route": (0x1234,)}, Delivery.SUCCESS),
        (79, {"route": (0x1234,)}, Delivery.TOO_LONG),
        (77, {"route": (0x1234, 0x2345)}, Delivery.TOO_LONG),
    ],
)
def test_what_does_not_fit_one_frame_is_too_long(size: int, fields: dict, expected: Delivery) -> None:
    async def story() -> None:
        async with network(ROUTER) as net, LittleServer(net, IMAGE):
            assert await net.transmit(frame(net.devices[1], bytes(size), **fields)) is expected

    run(story())


def test_a_silent_coordinator_neither_sends_nor_hears() -> None:
    async def story() -> None:
        async with network(ROUTER) as net, LittleServer(net, IMAGE) as server:
            net.network_down()
            assert await net.transmit(frame(net.devices[1])) is Delivery.NO_ROUTE
            net.devices[1].announce()
            await asyncio.sleep(1)
            assert server.seen == []
            net.network_up(IDENTITY)
            assert await net.transmit(frame(net.devices[1])) is Delivery.SUCCESS

    run(story())


def test_a_device_of_another_network_hears_nothing() -> None:
    async def story() -> None:
        other = NetworkIdentity(pan_id=1, extended_pan_id=2, channel=15, network_key=bytes(16))
        async with network(ROUTER) as net, LittleServer(net, IMAGE) as server:
            net.network_up(other)
            assert await net.transmit(frame(net.devices[1])) is Delivery.NO_ROUTE
            await net.transmit(frame(net.devices[1], dst=BROADCAST_ALL))
            net.announce()
            net.devices[1].announce()
            await asyncio.sleep(1)
            assert not net.devices[1].commands
            assert server.seen == []

    run(story())


# Sleeping children


def test_a_frame_for_a_sleeping_child_waits_for_its_poll() -> None:
    async def story() -> float:
        async with network(SLEEPY) as net, LittleServer(net, IMAGE):
            device = net.devices[3]
            await deliver(net, frame(device))
            delivery, seconds = await deliver(net, frame(device))
            assert delivery is Delivery.SUCCESS
            assert device.polls >= 2
            return seconds

    assert run(story()) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(("hops", "ack", "expected"), [(1, False, Delivery.EXPIRED), (1, True, Delivery.EXPIRED), (2, True, Delivery.NO_APS_ACK)])
def test_a_frame_that_is_not_polled_for_in_time_is_dropped(hops: int, ack: bool, expected: Delivery) -> None:
    async def story() -> None:
        async with network(dataclasses.replace(SLEEPY, poll_interval=60.0, hops=hops)) as net, LittleServer(net, IMAGE):
            device = net.devices[3]
            device.polling.change(asyncio.get_running_loop().time(), 59.0)  # just polled
            delivery, seconds = await deliver(net, frame(device, ack=ack))
            assert delivery is expected
            assert seconds == pytest.approx(7.68 if hops == 1 else 7.68 + 1.6)
            await asyncio.sleep(60)
            assert not device.commands

    run(story())


def test_one_poll_empties_the_queue_of_a_parent() -> None:
    async def story() -> None:
        async with network(SLEEPY) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[3]
            await deliver(net, frame(device))
            for _ in range(3):
                server.send(device.nwk, ON, cluster=0x0006)
            await device.wait_until(lambda it: len(it.commands) == 4, 10)
            assert len({round(seen.at, 3) for seen in list(device.commands)[1:]}) == 1

    run(story())


def test_a_parent_holds_no_more_than_its_buffers() -> None:
    async def story() -> None:
        async with network(SLEEPY) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[3]
            for _ in range(20):
                server.send(device.nwk, ON, cluster=0x0006)
            await device.wait_until(lambda it: len(it.commands) == 16, 10)
            await asyncio.sleep(10)
            assert len(device.commands) == 16
            assert server.deliveries.count(Delivery.EXPIRED) == 4

    run(story())


def test_a_sleepy_device_polls_fast_while_it_downloads_and_gets_at_most_one_block_a_poll() -> None:
    async def story() -> None:
        async with network(SLEEPY) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[3]
            server.notify(device.nwk)
            await device.wait_until(lambda it: it.ota.received == IMAGE, 600)
            counters = device.counters
            assert counters.first_block_at is not None
            assert counters.last_block_at is not None
            per_block = (counters.last_block_at - counters.first_block_at) / (counters.blocks - 1)
            assert per_block == pytest.approx(0.25, abs=0.01)
            assert counters.timeouts == 0
            assert device.violations == []

    run(story())


def test_a_check_in_is_sent_and_its_answer_keeps_the_device_polling_fast() -> None:
    async def story() -> None:
        spec = dataclasses.replace(SLEEPY, poll_interval=6.0, behaviours=Behaviours(checks_in=60.0))
        async with network(spec) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[3]
            check_in = await server.next_frame(lambda it: it.cluster == 0x0020, 120)
            assert check_in.data[2] == 0x00
            answer = bytes((0x11, check_in.data[1], 0x00)) + struct.pack("<BH", 1, 4 * 20)
            await net.transmit(frame(device, answer, cluster=0x0020))
            before = device.polls
            await asyncio.sleep(18)
            assert device.polls - before == pytest.approx(18 / 0.25, abs=2)

    run(story())


# Loss


def test_lost_frames_are_repeated_by_aps_when_it_asked_for_an_acknowledgement() -> None:
    async def story(ack: bool) -> tuple[int, int]:
        async with network(ROUTER, air=AirSettings(speedup=None, timers=1.0, loss=0.3, seed=5)) as net, LittleServer(net, IMAGE):
            ends = [await net.transmit(frame(net.devices[1], ack=ack)) for _ in range(400)]
            assert len(net.devices[1].commands) <= 400
            return len(net.devices[1].commands), ends.count(Delivery.SUCCESS)

    arrived, confirmed = run(story(ack=False))
    assert arrived == pytest.approx(280, abs=30)
    assert confirmed == 400
    arrived, confirmed = run(story(ack=True))
    assert arrived > 390  # 0.3 ** 4 of them vanish
    assert confirmed == pytest.approx(400 * (1 - 0.51**4), abs=15)


@pytest.mark.parametrize("aps_ack", [False, True])
def test_an_update_survives_a_loss_of_twenty_per_cent(aps_ack: bool) -> None:
    async def story() -> None:
        spec = dataclasses.replace(ROUTER, aps_ack=aps_ack, hops=2)
        async with network(spec, air=AirSettings(speedup=None, timers=1.0, loss=0.2, seed=2)) as net, LittleServer(net, IMAGE, ack=aps_ack):
            device = net.devices[1]
            while device.ota.phase is Phase.IDLE:
                await net.transmit(frame(device, b"\x19\x01\x00\x00\x64", cluster=0x0019))
            await device.wait_until(lambda it: it.file_version == 2, 3600)
            assert device.ota.received == IMAGE
            assert device.violations == []
            assert net.air.counters.lost > 5
            assert aps_ack or device.counters.timeouts > 0

    run(story())


# Broadcasts


@pytest.mark.parametrize(("address", "who"), [(BROADCAST_ALL, [1, 2, 3]), (BROADCAST_RX_ON, [1, 2]), (BROADCAST_ROUTERS, [1]), (None, [2, 3])])
def test_a_broadcast_reaches_whom_its_address_means(address: int | None, who: list[int]) -> None:
    async def story() -> None:
        specs = (ROUTER, DeviceSpec(ieee=2, kind=DeviceKind.END_DEVICE, groups=(7,)), dataclasses.replace(SLEEPY, groups=(7,)))
        async with network(*specs) as net, LittleServer(net, IMAGE) as server:
            groupcast = frame(net.devices[1], dst=BROADCAST_ALL, group=7)
            assert await net.transmit(groupcast if address is None else frame(net.devices[1], dst=address, dst_ep=0xFF)) is Delivery.SUCCESS
            await asyncio.sleep(10)
            assert [ieee for ieee, device in net.devices.items() if device.commands] == who
            assert [it for it in server.seen if it.cluster == 0x0006] == []

    run(story())


def test_every_router_repeats_a_broadcast_on_the_air() -> None:
    async def story(routers: int) -> float:
        specs = [dataclasses.replace(ROUTER, ieee=n) for n in range(1, routers + 1)]
        async with network(*specs) as net, LittleServer(net, IMAGE):
            await net.transmit(frame(net.devices[1], dst=BROADCAST_ALL))
            return net.air.counters.busy_seconds

    assert run(story(9)) == pytest.approx(run(story(1)) * 5)


# Membership


def test_a_joining_device_is_told_of_before_it_announces_itself() -> None:
    async def story() -> None:
        async with Network([ROUTER, SLEEPY], air=QUIET, announce_after=None) as net, LittleServer(net, IMAGE) as server:
            net.start_joining()
            await asyncio.sleep(5)
            assert server.joined == []
            net.permit_joining(60)
            await net.devices[3].wait_until(lambda it: it.identity == IDENTITY, 5)
            assert [(ieee, rejoined) for ieee, _, rejoined in server.joined] == [(1, False), (3, False)]
            device = net.devices[1]
            assert server.joined[0][1] == device.nwk == net.nwk_of(1)
            assert net.ieee_of(device.nwk) == 1
            assert net.kind_of(device.nwk) is DeviceKind.ROUTER
            assert device.ota.attributes()[0].value == COORDINATOR_IEEE
            announce = await server.next_frame(lambda it: it.cluster == 0x0013)
            assert announce.data == struct.pack("<BHQB", 0, device.nwk, 1, 0x8E)

    run(story())


def test_a_network_closes_again() -> None:
    async def story() -> None:
        async with Network([ROUTER], air=QUIET, announce_after=None) as net, LittleServer(net, IMAGE):
            net.permit_joining(60)
            await asyncio.sleep(61)
            net.start_joining()
            assert net.devices[1].identity is None
            net.permit_joining(60)
            net.permit_joining(0)
            assert net.devices[1].identity == IDENTITY

    run(story())


@pytest.mark.parametrize("rejoin", [False, True])
def test_a_device_leaves_when_it_is_told_to(rejoin: bool) -> None:
    async def story() -> None:
        async with network(ROUTER) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[1]
            request = b"\x05" + struct.pack("<QB", 1, 0x80 if rejoin else 0)
            await net.transmit(frame(device, request, cluster=0x0034, profile=0, dst_ep=0))
            assert (await server.next_frame(lambda it: it.cluster == 0x8034)).data == b"\x05\x00"
            await asyncio.sleep(1)
            assert server.left == [1]
            assert (device.identity is not None) is rejoin
            assert (net.nwk_of(1) is not None) is rejoin

    run(story())


@pytest.mark.parametrize(("spec", "rejoins"), [(ROUTER, []), (SLEEPY, [(3, True)])], ids=["router", "sleepy"])
def test_a_device_that_has_its_power_again_announces_itself(spec: DeviceSpec, rejoins: list) -> None:
    async def story() -> None:
        async with network(spec) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[spec.ieee]
            device.power_off(10)
            await asyncio.sleep(9)
            assert not device.powered
            assert server.seen == []
            await device.wait_until(lambda it: it.powered, 2)
            await server.next_frame(lambda it: it.cluster == 0x0013)
            assert [(ieee, rejoined) for ieee, _, rejoined in server.joined] == rejoins

    run(story())


def test_a_device_that_returns_silently_has_its_power_and_says_nothing() -> None:
    async def story() -> None:
        async with network(dataclasses.replace(SLEEPY, behaviours=Behaviours(returns_silently=True))) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[SLEEPY.ieee]
            device.power_off(10)
            await device.wait_until(lambda it: it.powered, 12)
            await asyncio.sleep(30)
            assert server.seen == []
            assert server.joined == []

    run(story())


def test_devices_announce_themselves_some_time_after_the_coordinator_came_up() -> None:
    async def story() -> None:
        async with Network([ROUTER, SLEEPY], air=QUIET, identity=IDENTITY, announce_after=2.0) as net, LittleServer(net, IMAGE) as server:
            await asyncio.sleep(1.9)
            assert server.seen == []
            await asyncio.sleep(0.2)
            assert [it.cluster for it in server.seen] == [0x0013, 0x0013]
            net.network_down()
            net.network_up(IDENTITY)
            await asyncio.sleep(5)
            assert len(server.seen) == 2

    run(story())


def test_a_router_answers_an_address_request_for_its_sleeping_child() -> None:
    async def story() -> None:
        child = dataclasses.replace(SLEEPY, hops=2)
        async with network(ROUTER, child) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[3]
            assert device.parent == net.devices[1].nwk
            request = b"\x09" + struct.pack("<QBB", 3, 0, 0)
            await net.transmit(frame(device, request, cluster=0x0000, profile=0, dst_ep=0, dst=BROADCAST_RX_ON))
            answer = await server.next_frame(lambda it: it.cluster == 0x8000)
            assert answer.src == device.parent
            assert answer.data == b"\x09" + struct.pack("<BQH", 0, 3, device.nwk)

    run(story())


def test_a_route_record_names_the_relays_from_the_coordinator_on() -> None:
    async def story() -> None:
        specs = (ROUTER, DeviceSpec(ieee=5, hops=2), DeviceSpec(ieee=6, hops=3, records_route=True), DeviceSpec(ieee=7, hops=3))
        async with network(*specs) as net, LittleServer(net, IMAGE) as server:
            for ieee in (6, 7):
                await net.transmit(frame(net.devices[ieee]))
            record = await server.next_frame(lambda it: it.src == net.devices[6].nwk)
            assert record.route == (net.devices[1].nwk, net.devices[5].nwk)
            assert (await server.next_frame(lambda it: it.src == net.devices[7].nwk)).route == ()

    run(story())


# Updates and power


def updated(spec: DeviceSpec, *, notify: bool = True, seconds: float = 3600) -> tuple[Device, LittleServer]:
    """Run an update of one device to its end; 0x01000002 is not needed to tell it by its version."""

    async def story() -> tuple[Device, LittleServer]:
        async with network(spec) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[spec.ieee]
            if notify:
                server.notify(device.nwk)
            await device.wait_until(lambda it: it.file_version == 2 and it.powered, seconds)
            return device, server

    return run(story())


def test_a_power_cut_in_the_middle_costs_no_byte_twice() -> None:
    device, _ = updated(dataclasses.replace(ROUTER, behaviours=Behaviours(power_cut_at=(0.3, 0.6), power_cut_seconds=30)))
    assert device.ota.received == IMAGE
    assert device.counters.bytes_again == 0
    assert device.counters.queries == 1
    assert device.violations == []


def test_a_power_cut_that_loses_the_offset_starts_again() -> None:
    device, _ = updated(dataclasses.replace(ROUTER, behaviours=Behaviours(power_cut_at=(0.5,), keeps_offset=False)))
    assert device.ota.received == IMAGE
    assert device.counters.bytes > len(IMAGE) * 1.5 - 63
    assert device.violations == []


def test_duplicates_pages_and_node_addresses_pass_the_whole_rig() -> None:
    for behaviours in (
        Behaviours(duplicates=True),
        Behaviours(page_size=512, page_spacing=0),
        Behaviours(page_size=512, page_spacing=0, duplicates=True),
        Behaviours(request_node_address=True, min_block_period=100),
        Behaviours(block_sizes=(63, 20, 48), overrun=True),
        Behaviours(discovers_server=True, asks_every=60.0),
    ):
        device, _ = updated(dataclasses.replace(ROUTER, behaviours=behaviours), notify=behaviours.asks_every is None)
        assert device.ota.received == IMAGE
        assert device.violations == []


def test_a_device_that_looks_for_its_server_asks_the_coordinator_for_the_cluster() -> None:
    device, server = updated(dataclasses.replace(ROUTER, behaviours=Behaviours(discovers_server=True)))
    request = next(it for it in server.seen if it.cluster == 0x0006 and it.dst_ep == 0)
    assert request.data[1:] == struct.pack("<HHBHB", 0, 0x0104, 1, 0x0019, 0)
    assert device.ota.wire.server_endpoint == 1


def test_a_device_that_asks_by_itself_does_so_a_period_after_it_got_its_power() -> None:
    async def story() -> None:
        async with network(dataclasses.replace(ROUTER, behaviours=Behaviours(asks_every=60.0))) as net, LittleServer(net, IMAGE) as server:
            device = net.devices[1]
            await asyncio.sleep(59)
            assert server.seen == []
            device.power_off(30)
            await asyncio.sleep(30 + 59)
            assert device.counters.queries == 0
            await device.wait_until(lambda it: it.counters.queries == 1, 2)

    run(story())


def test_waiting_for_a_device_ends_with_its_bound() -> None:
    async def story() -> None:
        async with network(ROUTER) as net, LittleServer(net, IMAGE):
            with pytest.raises(TimeoutError):
                await net.devices[1].wait_until(lambda it: it.file_version == 2, 5)

    run(story())
