"""How long firmware holds the channel, and what it leaves of it to lamps and their switches."""

from __future__ import annotations

import pytest
from hil.bench.fleet import measure

from otagate.policy.airtime import AirBudget, block_seconds, frame_seconds
from otagate.radios.outbox import Outbox

REPLY = b"\x19\x01\x05"
BLOCK = 0.010


def _leave(outbox: Outbox[str], now: float) -> list[str]:
    left = []
    while due := outbox.take(now):
        ticket, item = due
        outbox.settled(ticket, delivered=True)
        left.append(item.peer)
    return left


def test_frames_hold_the_channel_for_as_long_as_the_standard_says() -> None:
    assert frame_seconds(17) == pytest.approx(4.16e-3, abs=0.005e-3)
    assert frame_seconds(17 + 50) == pytest.approx(5.76e-3, abs=0.005e-3)
    assert frame_seconds(17 + 64, hops=3) == pytest.approx(3 * 6.21e-3, abs=0.01e-3)
    assert block_seconds(17 + 50) == pytest.approx(frame_seconds(17) + frame_seconds(17 + 50))


def test_a_device_that_invents_relays_costs_no_more_than_the_longest_route_there_can_be() -> None:
    assert block_seconds(17 + 50, hops=256) == block_seconds(17 + 50, hops=12)


def test_the_next_block_waits_until_the_others_had_their_share_of_the_channel() -> None:
    outbox: Outbox[str] = Outbox(room=8, budget=AirBudget(0.5))
    for peer in "abc":
        outbox.reply(peer, 1, REPLY, airtime=BLOCK)
    moments = []
    now = 100.0
    while len(outbox):
        moments += [now - 100.0] * len(_leave(outbox, now))
        now = outbox.next_look(now) or now
    assert moments == pytest.approx([0.0, 0.0, 0.010])  # what was quiet before is made up for, by one block


def test_what_is_no_block_leaves_at_once() -> None:
    outbox: Outbox[str] = Outbox(room=8, budget=AirBudget(0.1))
    outbox.reply("a", 1, REPLY, airtime=BLOCK)
    assert _leave(outbox, 0.0) == ["a"]
    outbox.reply("a", 1, REPLY, airtime=BLOCK)
    outbox.reply("b", 1, REPLY)
    assert _leave(outbox, 0.001) == ["b"]


def test_a_long_quiet_is_not_made_up_for() -> None:
    outbox: Outbox[str] = Outbox(room=8, budget=AirBudget(0.5))
    for peer in range(8):
        outbox.reply(str(peer), 1, REPLY, airtime=BLOCK)
    assert len(_leave(outbox, 3_600.0)) == 2


def test_the_whole_channel_is_no_bound() -> None:
    outbox: Outbox[str] = Outbox(room=8, budget=AirBudget(1.0))
    for peer in "abcd":
        outbox.reply(peer, 1, REPLY, airtime=60.0)
    assert _leave(outbox, 0.0) == list("abcd")


def test_air_that_is_faster_than_a_real_one_is_given_back_sooner() -> None:
    budget = AirBudget(0.5, pace=10.0)
    budget.spend(BLOCK, 0.0)
    assert budget.open_at == pytest.approx(-0.03 + 0.002)


def test_twenty_devices_on_one_channel_take_their_share_of_it_and_waste_nothing() -> None:
    """In virtual time, with all hops of a building; switched lamps are part of what holds the channel."""
    found = measure(share=0.66, devices=20, size=4_096)
    assert found.air == pytest.approx(0.66 + 0.015, abs=0.01)
    assert found.efficiency >= 0.98
    assert found.p99 <= 3 * found.idle_p99


def _blocks_in(budget: AirBudget, seconds: float) -> int:
    outbox: Outbox[str] = Outbox(room=8, budget=budget)
    now, left = 0.0, 0
    while now < seconds:
        outbox.reply("a", 1, REPLY, airtime=BLOCK)
        left += len(_leave(outbox, now))
        now = outbox.next_look(now) or now
    return left


def test_where_every_frame_is_sent_twice_half_as_many_blocks_leave() -> None:
    budget = AirBudget(0.5)
    assert _blocks_in(budget, 20.0) == pytest.approx(1_000, abs=10)
    budget.learn(tries=2.0)
    budget.open_at = float("-inf")
    assert _blocks_in(budget, 20.0) == pytest.approx(500, abs=10)
    budget.learn()
    budget.open_at = float("-inf")
    assert _blocks_in(budget, 20.0) == pytest.approx(1_000, abs=10)


@pytest.mark.parametrize(
    ("tries", "others", "blocks"),
    [
        (1.0, 0.30, 1_200),  # what a share of 60 % leaves to others is enough for them
        (1.0, 0.60, 600),  # it is not
        (1.0, 0.95, 200),  # firmware is never starved
        (0.0, 0.0, 1_200),
        (99.0, 0.0, 300),  # no radio repeats more often
    ],
)
def test_what_others_need_beyond_what_the_share_leaves_them_is_theirs_first(tries: float, others: float, blocks: int) -> None:
    budget = AirBudget(0.6)
    budget.learn(tries=tries, others=others)
    assert _blocks_in(budget, 20.0) == pytest.approx(blocks, rel=0.02)


def test_all_of_the_channel_stays_no_bound_whatever_is_counted() -> None:
    budget = AirBudget(1.0)
    budget.learn(tries=3.0, others=0.9)
    budget.spend(60.0, 0.0)
    assert budget.open_at < 0.0


def test_frames_that_are_sent_again_are_paid_from_the_share() -> None:
    found = measure(share=0.5, devices=20, size=8_192, loss=0.1)
    assert found.air == pytest.approx(0.5 + 0.015, abs=0.02)
