"""The session of a Z-Wave update, story by story, and the two tables of words."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from otagate.model.errors import NotCancellable, RadioUnavailable
from otagate.model.lifecycle import Cause, State
from otagate.sessions import zwave_outcomes as outcomes
from otagate.sessions.effects import Advance
from otagate.sessions.zwave import Phase
from otagate.sessions.zwave_patience import Patience
from otagate.sessions.zwave_words import (
    Abort,
    Activate,
    Answered,
    AskDriver,
    Connected,
    Ended,
    Event,
    Fragments,
    Gone,
    Lost,
    Prepare,
    Prepared,
    Refused,
    Rest,
    Running,
    Start,
    Stopped,
    Tick,
    Unprepared,
)
from tests.sessions.zwave_playbook import IMAGE, NEW, OLD, PREPARED, Story, adopted, foreign, offering, requested

DONE = Ended(255, 7.0)


def moving(**changes: object) -> Story:
    return requested(**changes).hears(Fragments(50, 100)).tells(Cause.ACCEPTED).moves(2_000, 50).commits()


# --- from the order to the end --------------------------------------------------------------------------------------------------------------


def test_a_transfer_from_the_order_to_the_restart() -> None:
    story = requested().hears(Fragments(1, 100)).tells(Cause.ACCEPTED, offset=40).moves(40, 1).commits().stands(State.TRANSFERRING)
    story.hears(Fragments(60, 100)).moves(2_400, 60)
    story.hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED, offset=4_000).commits().stands(State.CONFIRMING)
    assert story.session.over


def test_counters_that_step_back_change_nothing() -> None:
    moving().hears(Fragments(43, 100)).moves(2_000, 50).hears(Fragments(51, 100)).moves(2_040, 51)


@pytest.mark.parametrize("late", [Fragments(100, 100), DONE, Ended(-1), Refused(1500, "busy")])
def test_what_comes_after_the_end_changes_nothing(late: Event) -> None:
    story = moving().hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits()
    story.hears(late).nothing()


def test_a_result_that_overtakes_every_event_tells_the_whole_way() -> None:
    requested().hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits().stands(State.CONFIRMING)


def test_what_is_not_written_down_is_told_again_and_with_what_followed() -> None:
    story = requested().hears(Fragments(1, 100)).tells(Cause.ACCEPTED).moves(40, 1)
    story.passes(4.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).tells(Cause.ACCEPTED)
    story.hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits().stands(State.CONFIRMING)


# --- the outcome table: where the driver tells how it ended, row by row -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text", "cause", "code"),
    [
        (1503, "Failed to start the update: The battery level is too low!", Cause.EXPIRED, "battery-low"),
        (1503, "A manual authentication event (e.g. button push) was expected!", Cause.EXPIRED, "button-needed"),
        (1503, "Failed to start the update: Invalid manufacturer or firmware id!", Cause.DECLINED, "incompatible-image"),
        (1503, "Failed to start the update: Invalid hardware version!", Cause.DECLINED, "incompatible-image"),
        (1503, "Failed to start the update: The chosen fragment size is too large!", Cause.DECLINED, "declined-by-device"),
        (1503, "a reason of tomorrow", Cause.EXPIRED, "declined-by-device"),
        (1501, "Firmware target #0 is not upgradable!", Cause.DECLINED, "not-updatable"),
        (1500, "A firmware upgrade is already in progress!", Cause.EXPIRED, "in-use"),
        (1502, "no such target", Cause.DECLINED, "unknown-target"),
        (1506, "unknown firmware format", Cause.DECLINED, "image-corrupt"),
        (201, "The node did not respond", Cause.EXPIRED, "device-unreachable"),
        (380, "An OTW upgrade of the controller is in progress!", Cause.EXPIRED, "driver-error"),
        (None, "unknown_error: Error: something\n    at Object.<anonymous> (/x.js:1)", Cause.EXPIRED, "driver-error"),
    ],
)
def test_a_command_that_fails_before_anything_was_sent(number: int | None, text: str, cause: Cause, code: str) -> None:
    story = requested().hears(Refused(number, text)).tells(cause, code=code).commits()
    assert story.state is (State.FAILED if cause is Cause.DECLINED else State.QUEUED)


def test_the_stack_of_a_driver_is_nobodys_reading() -> None:
    assert outcomes.plain("Error: invalid zip data!\n  at y\n") == "Error: invalid zip data"
    assert len(outcomes.plain("x" * 9_999)) == 200
    assert outcomes.plain("\n") == "no reason"


@pytest.mark.parametrize(
    ("status", "cause", "code"),
    [
        (-1, Cause.STALLED, "transfer-stalled"),
        (0, Cause.ABORTED_BY_DEVICE, "checksum-error"),
        (1, Cause.ABORTED_BY_DEVICE, "transfer-aborted"),
        (2, Cause.IMAGE_REJECTED, "incompatible-image"),
        (3, Cause.IMAGE_REJECTED, "incompatible-image"),
        (4, Cause.IMAGE_REJECTED, "incompatible-image"),
        (5, Cause.IMAGE_REJECTED, "image-rejected-by-device"),
        (6, Cause.IMAGE_REJECTED, "image-rejected-by-device"),
        (7, Cause.IMAGE_REJECTED, "image-too-large"),
        (8, Cause.IMAGE_REJECTED, "incompatible-image"),
        (9, Cause.ABORTED_BY_DEVICE, "transfer-aborted"),
        (252, Cause.ABORTED_BY_DEVICE, "transfer-aborted"),
    ],
)
@pytest.mark.parametrize("where", ["before a fragment", "in the middle"])
def test_every_bad_status_of_the_command_class_has_words_and_a_way_on(status: int, cause: Cause, code: str, where: str) -> None:
    story = requested() if where == "before a fragment" else moving()
    story.hears(Ended(status)).tells(cause, code=code).commits()
    assert story.state is (State.FAILED if cause is Cause.IMAGE_REJECTED else State.QUEUED)
    story.hears(Ended(status)).nothing()  # the event and the result tell the same


@pytest.mark.parametrize("status", [254, 255])
def test_every_good_status_is_read_back_from_the_node_before_it_counts(status: int) -> None:
    moving().hears(Ended(status, 7.0)).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits().stands(State.CONFIRMING)


# --- before the start -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "cause", "code", "words"),
    [
        (replace(PREPARED, upgradable=False), Cause.DECLINED, "not-updatable", "cannot be updated"),
        (replace(PREPARED, targets=0), Cause.DECLINED, "unknown-target", "0 firmware targets"),
        (replace(PREPARED, version=NEW), Cause.ALREADY_CURRENT, None, "version 1.7"),
        (replace(PREPARED, version="1.7.0"), Cause.ALREADY_CURRENT, None, "version 1.7"),
        (Unprepared("node 12 does not answer"), Cause.EXPIRED, "device-unreachable", "node 12 does not answer"),
    ],
)
def test_a_node_that_would_not_take_it_is_sent_nothing(told: Prepared | Unprepared, cause: Cause, code: str | None, words: str) -> None:
    offering().hears(told).tells(cause, code=code, words=words).commits()


def test_a_node_that_the_driver_is_getting_to_know_is_asked_again_and_not_for_ever() -> None:
    unknown = Unprepared("still getting to know node 12", passing=True)
    offering().hears(unknown).nothing().passes(9.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).does(Prepare()).hears(PREPARED).does(Start())
    story = offering()
    for _ in range(6):
        story.hears(unknown).nothing().passes(10.0).hears(Tick()).does(Prepare()).hears(Tick()).nothing()
    story.hears(unknown).tells(Cause.EXPIRED, code="device-unreachable", words="still getting to know").commits()


def test_an_image_of_more_fragments_than_a_report_can_count_is_too_large() -> None:
    fits, large = memoryview(bytes(32_767 * 20)), memoryview(bytes(32_767 * 20 + 1))
    small = replace(PREPARED, largest_fragment=20)
    offering(image=fits).hears(small).does(Start())
    offering(image=large).hears(small).tells(Cause.DECLINED, code="image-too-large", words="32767 fragments")


def test_a_target_beside_the_main_one_may_be_updated_where_the_main_one_may_not() -> None:
    offering(component="1").hears(replace(PREPARED, upgradable=False)).does(Start())
    offering(component="2").hears(PREPARED).tells(Cause.DECLINED, code="unknown-target")


def test_a_paused_update_is_not_begun_and_begins_when_it_is_resumed() -> None:
    story = offering()
    story.session.pause()
    story.hears(PREPARED).nothing()
    story.takes(story.session.resume(story.now)).does(Prepare()).hears(PREPARED).does(Start())


# --- activation ---------------------------------------------------------------------------------------------------------------------------------


def test_the_word_to_use_an_image_leaves_once_it_is_on_disk_that_it_will() -> None:
    story = moving().hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED).nothing()
    story.commits().does(Activate()).stands(State.ACTIVATING)
    story.hears(Answered(255)).does(Rest(0.0)).tells(Cause.RETURNED).commits().stands(State.CONFIRMING)


@pytest.mark.parametrize(("status", "words"), [(0, "does not know the image"), (1, "could not activate"), (7, "status 7")])
def test_a_node_that_cannot_use_the_image_fails_with_its_reason(status: int, words: str) -> None:
    story = moving().hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED).commits().does(Activate())
    story.hears(Answered(status)).tells(Cause.LOST, code="activation-failed", words=words).commits().stands(State.FAILED)


def test_a_node_that_restarts_without_answering_is_asked_for_its_version() -> None:
    story = moving().hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED).commits().does(Activate())
    story.hears(Answered(None)).nothing().stands(State.ACTIVATING)


def test_an_image_that_is_to_be_held_waits_for_the_word() -> None:
    story = moving(hold_activation=True).hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED).commits().stands(State.STAGED)
    story.takes(story.session.activate(story.now)).does(Activate())


def test_what_ends_in_a_pause_is_held_and_says_so() -> None:
    story = moving()
    story.session.pause()
    story.hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED, held=True).commits().stands(State.STAGED)


def test_a_held_image_is_activated_by_the_process_that_comes_after() -> None:
    story = adopted("staged").hears(Connected()).nothing()
    story.takes(story.session.activate(story.now)).does(Activate())


def test_a_word_that_died_with_the_hub_is_sent_again_where_the_node_still_waits_for_it() -> None:
    waiting = replace(PREPARED, activation=True)
    adopted("activating").hears(Connected()).does(Prepare()).hears(waiting).does(Activate()).hears(Answered(255)).nothing()
    adopted("activating").hears(Connected()).does(Prepare()).hears(replace(waiting, version=NEW)).nothing()
    adopted("activating").hears(Connected()).does(Prepare()).hears(PREPARED).nothing().hears(Unprepared("it restarts")).nothing()


def test_the_word_can_be_repeated_until_nobody_waits_for_the_node_any_more() -> None:
    story = moving().hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED).commits().does(Activate()).hears(Answered(None))
    assert not story.session.over
    story.takes(story.session.activate(story.now)).does(Activate())
    with pytest.raises(NotCancellable):
        story.session.stop(story.now)
    story.takes(story.session.withdraw(story.now)).nothing()
    assert story.session.over


# --- nobody saw it end --------------------------------------------------------------------------------------------------------------------------


def recalled(running: bool) -> Story:
    story = moving().hears(Lost()).nothing().passes(60.0).hears(Connected()).does(AskDriver())
    return story.hears(Running(running))


def test_a_driver_that_went_on_alone_is_watched_again() -> None:
    story = recalled(running=True).nothing().hears(Fragments(90, 100)).tells(Cause.ACCEPTED).moves(3_600, 90).commits()
    story.hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits().stands(State.CONFIRMING)


def test_a_driver_that_was_started_again_has_lost_it_and_it_is_tried_again() -> None:
    story = recalled(running=False).does(Prepare()).hears(PREPARED)
    story.tells(Cause.STALLED, code="transfer-interrupted", words="started again").commits().stands(State.QUEUED)


def test_a_transfer_that_ended_unseen_is_known_by_the_version_of_the_node() -> None:
    story = recalled(running=False).does(Prepare()).hears(replace(PREPARED, version=NEW))
    story.tells(Cause.ALREADY_CURRENT).commits().stands(State.CONFIRMING)


def test_a_node_that_restarts_just_then_is_asked_again_and_not_for_ever() -> None:
    story = recalled(running=False).does(Prepare())
    for _ in range(17):
        story.hears(Unprepared("no answer")).nothing().passes(9.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).does(Prepare())
    story.passes(11.0).hears(Unprepared("no answer")).tells(Cause.STALLED, code="transfer-interrupted")


def test_a_driver_that_is_busy_with_others_only_is_not_believed_for_ever() -> None:
    story = recalled(running=True)
    story.passes(179.0).hears(Tick()).does(AskDriver()).hears(Running(True)).nothing()
    story.passes(10.0).hears(Tick()).does(AskDriver()).hears(Running(True)).does(Prepare())


@pytest.mark.parametrize("where", ["offering", "transferring"])
def test_the_process_that_comes_after_asks_the_driver_first(where: str) -> None:
    story = adopted(where).hears(Connected()).does(AskDriver()).hears(Running(False)).does(Prepare()).hears(PREPARED)  # type: ignore[arg-type]
    story.tells(Cause.STALLED, code="transfer-interrupted").commits().stands(State.QUEUED)


def test_an_order_that_was_prepared_when_the_connection_was_lost_begins_anew() -> None:
    offering().hears(Lost()).hears(Connected()).does(Prepare()).hears(PREPARED).does(Start())


def test_without_a_connection_nothing_is_asked_of_anybody() -> None:
    story = moving().hears(Lost())
    story.passes(9_999.0).hears(Tick()).nothing()


def test_a_node_that_is_removed_ends_it() -> None:
    moving().hears(Gone()).tells(Cause.DECLINED, code="device-gone").commits().stands(State.FAILED)
    offering().hears(Gone()).tells(Cause.DECLINED, code="device-gone").commits().stands(State.FAILED)


def test_a_file_of_no_known_version_has_arrived_when_the_node_tells_another_one() -> None:
    story = moving(to_version=None).hears(Lost()).hears(Connected()).does(AskDriver()).hears(Running(False)).does(Prepare())
    story.hears(replace(PREPARED, version="2.0")).tells(Cause.ALREADY_CURRENT)


def test_a_file_of_no_known_version_has_not_arrived_because_a_node_tells_one_that_told_none_before() -> None:
    story = moving(from_version=None, to_version=None).hears(Lost()).hears(Connected()).does(AskDriver()).hears(Running(False)).does(Prepare())
    story.hears(replace(PREPARED, version="1.6")).tells(Cause.STALLED, code="transfer-interrupted")


# --- patience -----------------------------------------------------------------------------------------------------------------------------------


def test_a_driver_that_hangs_is_told_to_stop_and_given_up() -> None:
    requested().passes(239.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).does(Abort()).tells(Cause.EXPIRED, code="transfer-stalled")
    moving().passes(179.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).does(Abort()).tells(Cause.STALLED, code="transfer-stalled")
    story = moving().hears(Fragments(100, 100)).moves(4_000, 100)
    story.passes(359.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).does(Abort()).tells(Cause.STALLED, code="transfer-stalled")


def test_a_sleeping_node_is_waited_for_as_long_as_it_sleeps() -> None:
    story = requested(sleepy=True).passes(86_400.0).hears(Tick()).nothing()
    story.hears(Fragments(1, 100)).tells(Cause.ACCEPTED).moves(40, 1)


def test_every_wait_is_shorter_for_hardware_that_lives_faster() -> None:
    usual, fast = Patience(), Patience().scaled(10.0)
    for name in ("begin", "silence", "end", "recall", "repeat", "ask", "share"):
        assert getattr(fast, name) == pytest.approx(getattr(usual, name) / 10.0)
    assert fast.stop == usual.stop


# --- cancelling ---------------------------------------------------------------------------------------------------------------------------------


def stopping() -> Story:
    story = moving()
    return story.takes(story.session.stop(story.now)).does(Abort())


@pytest.mark.parametrize("answer", [Stopped(), Ended(1), Ended(0), Ended(-1)])
def test_a_transfer_is_stopped_by_its_own_word_or_by_its_end(answer: Event) -> None:
    story = moving()
    story.takes(story.session.stop(story.now)).does(Abort())
    assert story.session.stopping
    story.hears(answer).nothing()
    assert (story.session.stopping, story.session.phase) == (False, Phase.STOPPED)
    story.takes(story.session.withdraw(story.now)).nothing()
    assert story.session.over


def test_a_node_that_had_the_whole_image_cannot_be_stopped() -> None:
    story = moving()
    story.takes(story.session.stop(story.now)).does(Abort()).hears(Stopped(too_late=True)).nothing()
    assert not story.session.stopping
    story.hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED)


def test_an_end_that_was_faster_than_the_abort_counts() -> None:
    story = moving()
    story.takes(story.session.stop(story.now)).does(Abort()).hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED)
    with pytest.raises(NotCancellable):
        story.session.stop(story.now)


def test_what_was_not_begun_is_stopped_at_once() -> None:
    story = offering()
    story.takes(story.session.stop(story.now)).nothing().hears(PREPARED).nothing()
    assert story.session.phase is Phase.STOPPED


def test_nobody_knows_whether_a_transfer_behind_a_lost_connection_can_be_stopped() -> None:
    story = moving().hears(Lost())
    with pytest.raises(RadioUnavailable):
        story.session.stop(story.now)


def test_a_stop_that_nobody_wrote_down_is_told_until_somebody_does() -> None:
    story = stopping().hears(Stopped()).nothing()
    assert not story.session.over
    story.passes(4.0).hears(Tick()).nothing().passes(1.0).hears(Tick()).tells(Cause.CANCELLED, words="an operator wanted")
    story.passes(5.0).hears(Tick()).tells(Cause.CANCELLED).commits().stands(State.CANCELLED)
    assert story.session.over


def test_a_transfer_that_was_to_be_stopped_is_not_tried_again_however_it_ends() -> None:
    lost = stopping().hears(Lost()).hears(Connected()).does(AskDriver()).hears(Running(False)).does(Prepare()).hears(PREPARED)
    lost.tells(Cause.CANCELLED).commits().stands(State.CANCELLED)
    hanging = stopping().passes(180.0).hears(Tick()).does(Abort()).tells(Cause.CANCELLED)
    hanging.commits().stands(State.CANCELLED)


def test_a_transfer_that_was_stopped_too_late_and_failed_then_is_tried_again() -> None:
    stopping().hears(Stopped(too_late=True)).nothing().hears(Ended(-1)).tells(Cause.STALLED, code="transfer-stalled").commits().stands(State.QUEUED)


def test_a_withdrawn_transfer_is_remembered_until_the_driver_has_let_go_of_it() -> None:
    story = requested(sleepy=True)
    story.takes(story.session.stop(story.now)).does(Abort()).takes(story.session.withdraw(story.now)).nothing()
    story.takes(story.session.withdraw(story.now)).nothing().passes(86_400.0).hears(Tick()).nothing()
    assert (story.session.busy, story.session.over) == (True, False)
    story.hears(Ended(1)).nothing()
    assert story.session.over


def test_a_withdrawn_transfer_is_broken_off_and_its_aftermath_is_nobodys() -> None:
    story = moving()
    story.takes(story.session.withdraw(story.now)).does(Abort())
    assert story.session.busy
    story.hears(Fragments(80, 100)).nothing().hears(Ended(1)).nothing()
    assert story.session.over


# --- another program's --------------------------------------------------------------------------------------------------------------------------


def test_another_programs_transfer_is_watched_and_neither_stopped_nor_begun_again() -> None:
    story = foreign().hears(Connected()).does(AskDriver()).hears(Running(True)).nothing()
    story.hears(Fragments(50, 100)).tells(Cause.ACCEPTED).moves(0, 50).commits().stands(State.TRANSFERRING)
    with pytest.raises(NotCancellable, match="another program"):
        story.session.stop(story.now)
    story.takes(story.session.withdraw(story.now)).nothing()


def test_another_programs_success_is_read_back_and_its_failure_is_final() -> None:
    begun = foreign().hears(Connected()).does(AskDriver()).hears(Fragments(50, 100)).tells(Cause.ACCEPTED).moves(0, 50).commits()
    begun.hears(DONE).does(Rest(7.0)).tells(Cause.ACCEPTED, Cause.REBOOTED).commits().stands(State.CONFIRMING)
    failed = foreign().hears(Connected()).does(AskDriver()).hears(Fragments(50, 100)).tells(Cause.ACCEPTED).moves(0, 50).commits()
    failed.hears(Ended(-1)).tells(Cause.IMAGE_REJECTED, code="transfer-stalled").commits().stands(State.FAILED)


def test_another_programs_image_that_waits_for_activation_is_its_affair_and_can_be_let_go_of() -> None:
    story = foreign().hears(Connected()).does(AskDriver()).hears(Fragments(1, 2)).tells(Cause.ACCEPTED).moves(0, 1, 2).commits()
    story.hears(Ended(253)).tells(Cause.ACCEPTED, Cause.TRANSFERRED).commits().stands(State.STAGED)
    story.takes(story.session.activate(story.now)).nothing().takes(story.session.stop(story.now)).nothing()


# --- the rest -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("image", "crc"), [(b"", 0x1D0F), (b"123456789", 0xE5CC), (bytes(256), 0x42DB)])
def test_the_checksum_of_an_image_is_that_of_the_command_class(image: bytes, crc: int) -> None:
    assert outcomes.crc16(memoryview(image)) == crc


def test_whatever_a_driver_tells_in_whatever_order_the_row_can_follow() -> None:
    """Random lives of a driver and an operator: what is told can always be written down, and never contradicts itself."""
    chance = random.Random(11)
    for _ in range(2_000):
        story = offering()
        for _ in range(12):
            told = [each for each in story.session.receive(chance.choice(EVENTS), story.now) if isinstance(each, Advance)]
            if told:
                story.takes((told[-1],)).tells(*told[-1].causes, code=told[-1].code)
                story.commits()
                story._out.clear()
            if story.state not in (State.OFFERING, State.TRANSFERRING, State.ACTIVATING):
                break
            story.now += chance.choice((0.0, 1.0, 300.0))


EVENTS: list[Event] = [
    Connected(),
    Lost(),
    PREPARED,
    replace(PREPARED, version=NEW),
    Unprepared("no"),
    Unprepared("not yet", passing=True),
    Fragments(1, 100),
    Fragments(100, 100),
    DONE,
    Ended(253),
    Ended(1),
    Ended(7),
    Refused(1503, "battery"),
    Running(True),
    Running(False),
    Answered(255),
    Answered(1),
    Answered(None),
    Stopped(),
    Stopped(too_late=True),
    Gone(),
    Tick(),
]


def test_the_stories_are_of_an_image_that_its_node_counts_in_hundred_fragments() -> None:
    assert (len(IMAGE), OLD, NEW) == (4_000, "1.6", "1.7")
