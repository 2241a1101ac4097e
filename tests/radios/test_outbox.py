"""Who may be sent to, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.radios.outbox import PER_DEVICE, Outbox
from tests.sessions.wire import upgrade

ROOM = 8
REPLY = b"\x19\x01\x05"
NOTIFY = b"\x19\x01\x00"
END = b"\x19\x01\x07"


def _taken(outbox: Outbox[str], now: float = 0.0) -> list[tuple[int, str, bytes]]:
    """Everything that may leave now."""
    taken = []
    while due := outbox.take(now):
        ticket, item = due
        taken.append((ticket, item.peer, item.frame))
    return taken


def _proven(outbox: Outbox[str], *peers: str) -> None:
    """Let these devices have taken something."""
    for peer in peers:
        outbox.reply(peer, 1, REPLY)
        for ticket, _, _ in _taken(outbox):
            outbox.settled(ticket, delivered=True)


def test_a_newer_reply_takes_the_place_of_one_that_still_waits() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.reply("a", 1, REPLY + b"old")
    outbox.reply("b", 1, REPLY)
    outbox.reply("a", 2, REPLY + b"new")
    assert [(peer, frame) for _, peer, frame in _taken(outbox)] == [("a", REPLY + b"new"), ("b", REPLY)]
    assert outbox.dropped == 1


def test_an_announcement_waits_beside_a_reply_and_one_of_each_command() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.announce("a", 1, NOTIFY + b"1")
    outbox.announce("a", 1, END)
    outbox.announce("a", 1, NOTIFY + b"2")
    outbox.reply("a", 1, REPLY)
    assert len(outbox) == 3
    assert outbox.waits_for("a")


def test_two_images_of_one_device_are_put_to_use_by_a_word_each() -> None:
    """A device with two processors hears both in the same moment; the older word for the same image is worth nothing."""
    outbox: Outbox[str] = Outbox(room=ROOM)
    words = [upgrade(tsn=1), upgrade(tsn=2, image_type=0x1410), upgrade(tsn=3)]
    for each in words:
        outbox.announce("a", 1, each)
    _leave(outbox, "a", [words[2], words[1]])


def test_a_notify_for_one_endpoint_takes_no_place_of_that_for_another() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.announce("a", 1, NOTIFY)
    outbox.announce("a", 2, NOTIFY)
    assert len(outbox) == 2


def _leave(outbox: Outbox[str], peer: str, frames: list[bytes]) -> None:
    """Exactly these leave for the device, one after the other."""
    left = []
    while taken := _taken(outbox):
        for ticket, to, frame in taken:
            assert to == peer
            left.append(frame)
            outbox.settled(ticket, delivered=True)
    assert left == frames


def test_a_device_has_a_bounded_number_of_frames_under_way() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    tickets = []
    for _ in range(5):
        outbox.reply("a", 1, REPLY)
        tickets += [ticket for ticket, _, _ in _taken(outbox)]
    assert len(tickets) == PER_DEVICE
    outbox.settled(tickets[0], delivered=True)
    assert len(_taken(outbox)) == 1


def test_devices_that_have_not_proved_alive_leave_half_of_the_room_to_those_that_have() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    _proven(outbox, "good")
    for number in range(20):
        outbox.reply(f"dead{number}", 1, REPLY)
    assert len(_taken(outbox)) == ROOM // 2
    outbox.reply("good", 1, REPLY)
    assert [peer for _, peer, _ in _taken(outbox)] == ["good"]


def test_sleeping_devices_never_count_as_prompt_ones() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    sleepers = [f"sleeper{number}" for number in range(20)]
    for sleeper in sleepers:
        outbox.reply(sleeper, 1, REPLY, patient=True)
        for ticket, _, _ in _taken(outbox):
            outbox.settled(ticket, delivered=True)
    for sleeper in sleepers:
        outbox.reply(sleeper, 1, REPLY, patient=True)
    assert len(_taken(outbox)) == ROOM // 2


def test_a_frame_that_lingers_makes_its_device_a_doubtful_one() -> None:
    outbox: Outbox[str] = Outbox(room=4)
    _proven(outbox, "a", "b", "c")
    outbox.reply("a", 1, REPLY)
    outbox.reply("b", 1, REPLY)
    assert len(_taken(outbox, now=0.0)) == 2
    for peer in ("a", "b", "c"):
        outbox.reply(peer, 1, REPLY)
    assert [peer for _, peer, _ in _taken(outbox, now=1.0)] == ["c"]


def test_a_device_that_failed_has_to_prove_itself_again() -> None:
    outbox: Outbox[str] = Outbox(room=2)
    _proven(outbox, "a", "b")
    outbox.reply("a", 1, REPLY)
    ((ticket, _, _),) = _taken(outbox)
    outbox.settled(ticket, delivered=False)
    outbox.reply("a", 1, REPLY)
    outbox.reply("c", 1, REPLY)  # two doubtful ones, and room for one of them
    outbox.reply("b", 1, REPLY)
    assert [peer for _, peer, _ in _taken(outbox)] == ["a", "b"]


def test_what_the_coordinator_has_no_buffer_for_is_tried_again_later_while_others_go_on() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.reply("a", 1, REPLY)
    due = outbox.take(0.0)
    assert due is not None
    outbox.postpone(*due, until=0.02)
    outbox.reply("b", 1, REPLY)
    assert [peer for _, peer, _ in _taken(outbox, now=0.0)] == ["b"]
    assert outbox.next_look(0.0) == pytest.approx(0.02)
    assert [peer for _, peer, _ in _taken(outbox, now=0.02)] == ["a"]


def test_a_frame_that_is_never_accepted_is_given_up() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.reply("a", 1, REPLY)
    now, tries = 0.0, 0
    while due := outbox.take(now):
        tries += 1
        now += 1.0
        outbox.postpone(*due, until=now)
    assert tries == 10
    assert len(outbox) == 0


def test_a_postponed_frame_gives_way_to_a_newer_one() -> None:
    outbox: Outbox[str] = Outbox(room=ROOM)
    outbox.reply("a", 1, REPLY + b"old")
    due = outbox.take(0.0)
    assert due is not None
    outbox.reply("a", 1, REPLY + b"new")
    outbox.postpone(*due, until=0.0)
    assert [frame for _, _, frame in _taken(outbox)] == [REPLY + b"new"]


def test_an_end_that_was_lost_on_the_line_frees_its_place_after_a_while() -> None:
    outbox: Outbox[str] = Outbox(room=2)
    outbox.reply("a", 1, REPLY)
    ((lost, _, _),) = _taken(outbox)
    outbox.reply("b", 1, REPLY)
    assert _taken(outbox, now=29.0) == []
    assert [peer for _, peer, _ in _taken(outbox, now=30.0)] == ["b"]
    outbox.settled(lost, delivered=True)  # it comes after all, and frees no second place
    outbox.reply("c", 1, REPLY)
    assert _taken(outbox, now=30.0) == []


STEPS = st.tuples(st.sampled_from(["reply", "announce", "take", "settle", "fail"]), st.integers(0, 30), st.booleans())


def _do(outbox: Outbox[int], what: str, number: int, patient: bool, flying: list[int], now: float) -> None:
    if what == "reply":
        outbox.reply(number, 1, REPLY, patient=patient)
    elif what == "announce":
        outbox.announce(number, 1, NOTIFY, patient=patient)
    elif what == "take":
        due = outbox.take(now)
        flying += [due[0]] if due else []
    elif flying:
        outbox.settled(flying.pop(number % len(flying)), delivered=what == "settle")


@given(st.lists(STEPS, max_size=200))
def test_whatever_happens_the_room_is_kept_and_everything_leaves_in_the_end(steps: list[tuple[str, int, bool]]) -> None:
    outbox: Outbox[int] = Outbox(room=ROOM)
    flying: list[int] = []
    for at, (what, number, patient) in enumerate(steps):
        _do(outbox, what, number, patient, flying, now=at / 10)
        assert len(flying) <= ROOM
    for _ in range(len(outbox) + 1):
        while flying:
            outbox.settled(flying.pop(), delivered=False)
        flying += [ticket for ticket, _, _ in _taken(outbox, now=1_000.0)]  # type: ignore[arg-type]
    assert len(outbox) == 0
