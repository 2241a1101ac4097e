"""The air model against the figures that the project plans with, and one channel that everybody shares."""

from __future__ import annotations

import asyncio

import pytest

from otagate_rig.air import MAC_RETRIES, RELAY_SECONDS, Air, AirSettings, airtime, asdu_limit
from otagate_rig.image import build_image, make_payload
from otagate_rig.network import Network
from otagate_rig.spec import DeviceSpec
from tests.rig.little_server import IDENTITY, LittleServer
from tests.rig.virtual_time import run

BLOCK_REQUEST, RESPONSE_HEAD, APS_ACK = 17, 17, 0


@pytest.mark.parametrize(
    ("asdu", "milliseconds"),
    [(BLOCK_REQUEST, 4.16), (APS_ACK, 3.62), (RESPONSE_HEAD + 50, 5.76), (RESPONSE_HEAD + 64, 6.21)],
    ids=["block request", "APS ack", "block of 50", "block of 64"],
)
def test_a_frame_takes_the_time_of_its_bytes(asdu: int, milliseconds: float) -> None:
    assert airtime(asdu) * 1000 == pytest.approx(milliseconds, abs=0.005)


def test_a_broadcast_has_no_acknowledgement() -> None:
    assert airtime(10) - airtime(10, acked=False) == pytest.approx((192 + 352) / 1e6)


@pytest.mark.parametrize(("hops", "block"), [(2, 61), (3, 59), (4, 57)])
def test_a_source_route_takes_room_from_the_block(hops: int, block: int) -> None:
    assert asdu_limit(relays=hops - 1) - RESPONSE_HEAD == block


def test_the_largest_block_without_a_source_route_and_with_aps_encryption() -> None:
    assert asdu_limit() - RESPONSE_HEAD == 65
    assert asdu_limit(encrypted=True) - RESPONSE_HEAD == 56
    assert asdu_limit(relays=6) - RESPONSE_HEAD >= 50  # seven hops


@pytest.mark.parametrize(
    ("hops", "acked_request", "ack", "size", "rate"),
    [
        (1, False, False, 50, 101),
        (1, False, False, 63, 97),
        (2, False, False, 50, 46),
        (3, False, False, 50, 30),
        (4, False, False, 63, 21),
        (1, True, False, 50, 74),
        (1, True, False, 63, 72),
        (1, True, True, 50, 58),
        (1, True, True, 63, 57),
    ],
)
def test_blocks_per_second_of_one_device_on_a_quiet_channel(hops: int, acked_request: bool, ack: bool, size: int, rate: int) -> None:
    assert blocks_per_second(hops, acked_request, ack, size) == pytest.approx(rate, rel=0.04)


@pytest.mark.parametrize(("hops", "ack", "rate"), [(2, False, 34), (2, True, 27), (4, True, 13)])
def test_over_several_hops_an_acknowledgement_travels_while_a_relay_forwards(hops: int, ack: bool, rate: int) -> None:
    """The planning figures add up every hop and relay; here at most the relays' milliseconds overlap."""
    assert rate <= blocks_per_second(hops, True, ack, 50) <= 1.13 * rate


def blocks_per_second(hops: int, acked_request: bool, ack: bool, size: int) -> float:
    image = build_image(0x1189, 0x0083, 2, payload=make_payload(5000))

    async def story() -> float:
        spec = DeviceSpec(ieee=1, hops=hops, aps_ack=acked_request, max_data_size=size, file_version=1)
        async with Network([spec], identity=IDENTITY) as network, LittleServer(network, image, ack=ack) as server:
            device = network.devices[1]
            server.notify(device.nwk)
            await device.wait_until(lambda it: it.file_version == 2, 600)
            counters = device.counters
            assert device.violations == []
            assert counters.first_block_at is not None
            assert counters.last_block_at is not None
            return (counters.blocks - 1) / (counters.last_block_at - counters.first_block_at)

    return run(story())


def test_a_saturated_channel_carries_no_more_for_more_devices() -> None:
    image = build_image(0x1189, 0x0083, 2, payload=make_payload(3000))

    async def story() -> tuple[float, float]:
        specs = [DeviceSpec(ieee=n, max_data_size=50, file_version=1) for n in range(1, 9)]
        async with Network(specs, identity=IDENTITY, announce_after=None) as network, LittleServer(network, image) as server:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for device in network.devices.values():
                server.notify(device.nwk)
            for device in network.devices.values():
                await device.wait_until(lambda it: it.ota.received == image, 600)
            return loop.time() - began, network.air.counters.busy_seconds

    seconds, busy = run(story())
    assert busy == pytest.approx(seconds, rel=0.02)
    assert busy == pytest.approx(8 * 62 * (airtime(BLOCK_REQUEST) + airtime(RESPONSE_HEAD + 50)), rel=0.04)


def arrivals(settings: AirSettings, frames: list[tuple[float, int]]) -> list[float]:
    """When frames of some seconds and hops, all offered at once, arrive after that moment."""

    async def story() -> list[float]:
        air = Air(settings)
        loop = asyncio.get_running_loop()
        began = loop.time()
        times: list[float] = []
        done = loop.create_future()

        def arrived(at: float) -> None:
            times.append(at - began)
            if len(times) == len(frames):
                done.set_result(None)

        for seconds, hops in frames:
            air.send(seconds, hops, arrived)
        await done
        return times

    return run(story())


def test_frames_wait_their_turn() -> None:
    assert arrivals(AirSettings(), [(0.004, 1), (0.006, 1)]) == pytest.approx([0.004, 0.010])


def test_each_hop_takes_the_airtime_again_and_a_relay_a_millisecond() -> None:
    assert arrivals(AirSettings(), [(0.004, 3)]) == pytest.approx([3 * 0.004 + 2 * RELAY_SECONDS])


def test_the_channel_is_free_while_a_relay_forwards() -> None:
    assert arrivals(AirSettings(), [(0.004, 2), (0.0005, 1)]) == pytest.approx([0.0045, 0.009])


def test_ten_times_faster_takes_a_tenth() -> None:
    assert arrivals(AirSettings(speedup=10), [(0.004, 2)]) == pytest.approx([(0.004 * 2 + RELAY_SECONDS) / 10])


@pytest.mark.parametrize("speedup", [None, 0])
def test_without_airtime_nothing_waits_and_order_stays(speedup: float | None) -> None:
    assert arrivals(AirSettings(speedup=speedup), [(0.004, 4), (0.004, 1)]) == [0.0, 0.0]


def test_the_mac_repeats_what_it_loses_and_that_takes_air() -> None:
    async def story() -> tuple[int, float]:
        air = Air(AirSettings(mac_loss=0.5, seed=3))
        for _ in range(1000):
            air.send(0.001, 1, lambda _: None)
        return air.counters.repeated, air.counters.busy_seconds

    repeated, busy = run(story())
    expected = sum(0.5**attempt for attempt in range(1, MAC_RETRIES + 1)) * 1000
    assert repeated == pytest.approx(expected, rel=0.1)
    assert busy == pytest.approx((1000 + repeated) * 0.001)


def test_the_share_of_lost_frames_is_the_one_set_and_the_same_for_the_same_seed() -> None:
    async def story(seed: int) -> list[bool]:
        air = Air(AirSettings(loss=0.2, seed=seed))
        return [air.lose() for _ in range(5000)]

    losses = run(story(1))
    assert sum(losses) == pytest.approx(1000, rel=0.1)
    assert losses == run(story(1))
    assert losses != run(story(2))
