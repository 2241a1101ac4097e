"""The session of an update that zigbee2mqtt carries out, story by story; and that no story has a second order in it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otagate.engine.conversation import still_to_come
from otagate.model.errors import NotCancellable
from otagate.model.ids import UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import State, advance
from otagate.model.orders import Adopted, Serve
from otagate.sessions.effects import Advance
from otagate.sessions.zigbee2mqtt import Delegation, Patience, Phase
from otagate.sessions.zigbee2mqtt_documents import Answer, Failure, Stage, UpdateState
from otagate.sessions.zigbee2mqtt_words import (
    Answered,
    Back,
    CallBack,
    Effect,
    Event,
    Fetched,
    Look,
    Looked,
    Post,
    Progress,
    Sleeps,
    Tick,
    Told,
    Unseen,
    Unsent,
)

UPDATE = UpdateId("u1")
OLD, NEW = 1, 2
ORDER = Serve(
    update=UPDATE,
    device=zigbee_device_id(1),
    component=zigbee_component_id(1),
    manufacturer_code=1,
    image_type=1,
    file_version=NEW,
    image=memoryview(bytes(1_000)),
    from_version=OLD,
)
PATIENCE = Patience()
DONE = Answered(Answer(transaction="t"))


def told(stage: Stage, *, progress: float | None = None, installed: int | None = None) -> Told:
    return Told(UpdateState(stage=stage, progress=progress, installed=installed))


def failed(failure: Failure, error: str = "so it is") -> Answered:
    return Answered(Answer(transaction="t", failure=failure, error=error))


UPDATING = told("updating", progress=0)


class Story:
    """A session and the row of its update, with the time that passes between."""

    def __init__(self, *, adopted: Adopted | None = None, foreign: bool = False, sleepy: bool = False, order: Serve = ORDER) -> None:
        self.now = 1_000.0
        given_order = None if foreign else replace(order, adopted=adopted)
        self.state = State(adopted) if adopted is not None else State.TRANSFERRING if foreign else State.OFFERING
        self.session = Delegation(UPDATE, tokens=itertools.count(1), patience=PATIENCE, now=self.now, order=given_order, sleepy=sleepy)
        self.effects: tuple[Effect, ...] = ()
        self.posts: list[Post] = []
        self.last: Advance | None = None

    def hears(self, *events: Event) -> Story:
        for event in events:
            self.effects = self.session.receive(event, self.now)
            self.posts += [each for each in self.effects if isinstance(each, Post)]
            for each in self.effects:
                if isinstance(each, Advance):
                    self._commit(each)
        return self

    def _commit(self, told: Advance) -> None:
        causes = still_to_come(self.state, told.causes)
        assert causes is not None, f"{told.causes} cannot follow from {self.state}"
        for cause in causes:
            self.state = advance(self.state, cause)
        self.last = told
        self.session.committed(told.token)

    def waits(self, seconds: float) -> Story:
        self.now += seconds
        return self.hears(Tick())

    def moving(self) -> Story:
        return self.waits(0).hears(Fetched(), UPDATING)

    def ended(self, state: State, code: str | None = None) -> Advance:
        assert self.last is not None
        assert (self.state, self.last.code) == (state, code), self.last
        assert self.session.over
        return self.last


def test_an_update_is_ordered_once_fetched_watched_and_told_done() -> None:
    story = Story().waits(0)
    assert story.posts == [Post(scheduled=False, downgrade=False)]
    assert story.hears(Fetched()).state is State.OFFERING  # that it was fetched is not that the device takes it
    assert story.hears(UPDATING).state is State.TRANSFERRING
    story.hears(told("updating", progress=42.5))
    assert Progress(update=UPDATE, offset=425) in story.effects
    story.hears(told("idle", installed=NEW), DONE)
    assert story.ended(State.CONFIRMING).offset == 1_000
    assert len(story.posts) == 1


@pytest.mark.parametrize(
    ("failure", "error", "state", "code"),
    [
        ("silent", "", State.QUEUED, "device-unreachable"),
        ("unknown", "", State.FAILED, "unknown-device"),
        ("image", "fetch failed", State.QUEUED, "radio-error"),
        ("other", "Boom", State.QUEUED, "radio-error"),
    ],
)
def test_an_order_that_fails_before_anything_moved_says_why(failure: Failure, error: str, state: State, code: str) -> None:
    story = Story().waits(0).hears(failed(failure, error))
    assert error in story.ended(state, code).detail


@pytest.mark.parametrize(
    ("failure", "error", "state", "code"),
    [
        ("refused", "failed with reason: INVALID_IMAGE", State.FAILED, "image-rejected-by-device"),
        ("refused", "failed with reason: ABORT", State.QUEUED, "transfer-aborted"),
        ("stalled", "did not start/finish", State.QUEUED, "transfer-stalled"),
        ("aborted", "was aborted", State.QUEUED, "transfer-aborted"),
    ],
)
def test_an_update_that_fails_on_its_way_says_why(failure: Failure, error: str, state: State, code: str) -> None:
    story = Story().moving().hears(told("available"), failed(failure, error))
    assert error in story.ended(state, code).detail


def test_an_image_that_was_fetched_and_not_given_is_looked_into() -> None:
    story = Story().waits(0).hears(Fetched(), failed("image", "no image")).waits(0)
    assert story.effects == (Look(),)
    assert story.hears(Looked(busy=False, version=NEW)).ended(State.SUCCEEDED)
    other = Story().waits(0).hears(Fetched(), failed("image", "no image")).waits(0).hears(Looked(busy=False, version=OLD))
    assert "no image" in other.ended(State.FAILED, "declined-by-device").detail


def test_what_others_have_under_way_is_not_taken_for_ours() -> None:
    story = Story().waits(0).hears(failed("busy"), UPDATING, told("updating", progress=50))
    assert story.state is State.OFFERING
    assert story.waits(PATIENCE.begin).ended(State.QUEUED, "in-use")


def test_an_order_that_the_broker_brings_twice_is_one_update() -> None:
    story = Story().waits(0).hears(failed("busy"), Fetched(), UPDATING, failed("busy"), DONE)
    assert story.ended(State.CONFIRMING)


def test_an_order_that_nobody_heard_is_asked_for_and_not_given_again() -> None:
    story = Story().waits(0).waits(PATIENCE.begin)
    assert story.effects == (Look(),)
    story.hears(Unseen())
    assert story.waits(PATIENCE.look).effects == (Look(),)
    assert story.hears(Looked(busy=False, version=OLD)).ended(State.QUEUED, "transfer-interrupted")
    assert len(story.posts) == 1


@pytest.mark.parametrize("version", [OLD, NEW, None])
def test_a_zigbee2mqtt_that_restarted_in_mid_update_is_asked_what_became_of_it(version: int | None) -> None:
    story = Story().moving().hears(Back()).waits(0)
    assert story.effects == (Look(),)
    story.hears(Looked(busy=False, version=version))
    assert story.ended(*((State.CONFIRMING, None) if version == NEW else (State.QUEUED, "transfer-interrupted")))


def test_an_update_that_goes_on_over_a_lost_line_is_watched_to_its_end() -> None:
    story = Story().moving().hears(Back()).waits(0).hears(Looked(busy=True), told("updating", progress=70), DONE)
    assert story.ended(State.CONFIRMING)
    assert len(story.posts) == 1


def test_a_silent_update_is_asked_about_and_not_again_while_the_answer_is_due() -> None:
    story = Story().moving().waits(PATIENCE.quiet - 1)
    assert story.effects == ()
    assert story.waits(1).effects == (Look(),)
    assert story.waits(PATIENCE.asked / 2).effects == ()


@pytest.mark.parametrize("adopted", ["offering", "transferring"])
@pytest.mark.parametrize("busy", [True, False])
def test_after_a_restart_of_the_hub_zigbee2mqtt_is_asked_and_never_told(adopted: Adopted, busy: bool) -> None:
    story = Story(adopted=adopted).waits(0)
    assert story.effects == (Look(),)
    story.hears(Looked(busy=busy, version=OLD))
    if busy:
        assert story.state is State.TRANSFERRING
        assert story.hears(DONE).ended(State.CONFIRMING)
    else:
        assert story.ended(State.QUEUED, "transfer-interrupted")
    assert story.posts == []


def test_what_was_told_to_use_its_image_is_left_to_whoever_reads_the_version() -> None:
    story = Story(adopted="activating")
    assert story.session.over
    assert story.waits(1_000).effects == ()


def test_who_sleeps_is_scheduled_and_begins_when_it_asks() -> None:
    story = Story(sleepy=True).waits(0).hears(failed("silent"))
    assert story.posts == [Post(scheduled=False, downgrade=False), Post(scheduled=True, downgrade=False)]
    assert story.hears(DONE).effects == (Sleeps(),)
    assert story.waits(50_000).state is State.OFFERING
    story.hears(Fetched(), UPDATING, told("updating", progress=50), told("idle", installed=NEW))
    assert story.ended(State.CONFIRMING)


def test_who_sleeps_for_a_day_is_called_back_and_loses_nothing() -> None:
    story = Story(sleepy=True).waits(0).hears(failed("silent"), DONE).waits(PATIENCE.sleepy)
    assert CallBack() in story.effects
    assert story.ended(State.QUEUED)


def test_what_was_scheduled_is_called_back_when_zigbee2mqtt_was_away() -> None:
    story = Story(sleepy=True).waits(0).hears(failed("silent"), DONE, Back())
    assert CallBack() in story.effects
    assert story.ended(State.QUEUED)


def test_an_attempt_of_zigbee2mqtt_that_it_would_repeat_itself_is_called_back() -> None:
    story = Story(sleepy=True).waits(0).hears(failed("silent"), DONE, Fetched(), UPDATING, told("scheduled"))
    assert CallBack() in story.effects
    assert story.ended(State.QUEUED, "transfer-stalled")


def test_a_sleeper_that_asked_and_came_no_further_does_not_wait_for_ever() -> None:
    failed_at_once = Story(sleepy=True).waits(0).hears(failed("silent"), DONE, Fetched(), told("scheduled"))
    assert CallBack() in failed_at_once.effects
    assert failed_at_once.ended(State.QUEUED, "transfer-stalled")
    unheard = Story(sleepy=True).waits(0).hears(failed("silent"), DONE, Fetched()).waits(PATIENCE.quiet)
    assert unheard.effects == (Look(),)
    assert unheard.hears(Looked(busy=False, version=OLD)).ended(State.QUEUED, "transfer-interrupted")


def test_a_sleeper_that_began_at_once_has_ended_with_the_answer_because_before_it_nobody_can_be_asked() -> None:
    story = Story(sleepy=True).waits(0).hears(Fetched(), UPDATING, told("idle", installed=NEW))
    assert story.state is State.TRANSFERRING
    assert story.hears(DONE).ended(State.CONFIRMING)
    assert story.session.awake


def test_an_image_that_was_to_be_held_back_is_not_brought() -> None:
    story = Story(order=replace(ORDER, hold_activation=True)).waits(0)
    assert story.posts == []
    assert "held back" in story.ended(State.FAILED, "not-on-this-radio").detail


def test_only_what_is_older_and_was_allowed_is_a_downgrade() -> None:
    back = replace(ORDER, from_version=3, allow_downgrade=True)
    assert Story(order=back).waits(0).posts == [Post(scheduled=False, downgrade=True)]
    assert Story(order=replace(back, allow_downgrade=False)).waits(0).posts == [Post(scheduled=False, downgrade=False)]


def test_what_is_held_before_it_is_ordered_goes_back_and_what_is_under_way_goes_on() -> None:
    story = Story()
    assert [type(each) for each in story.session.pause(story.now)] == [Advance]
    moving = Story().moving()
    assert moving.session.pause(moving.now) == ()
    assert moving.hears(DONE).ended(State.CONFIRMING)


def test_an_update_can_be_called_back_until_the_device_has_everything() -> None:
    story = Story()
    assert not story.session.stopping()
    story.moving()
    assert story.session.stopping()
    story.session.stopped(story.now)
    assert story.hears(failed("aborted"), DONE, Looked(busy=False)).state is State.TRANSFERRING  # whoever stopped it says what becomes of it
    for late in (told("updating", progress=100), told("idle", installed=NEW)):
        with pytest.raises(NotCancellable, match="whole image"):
            Story().moving().hears(late).session.stopping()


def test_an_order_that_did_not_leave_goes_back_to_the_queue() -> None:
    assert Story().waits(0).hears(Unsent("no line")).ended(State.QUEUED, "radio-unavailable").detail == "no line"


def test_an_update_of_others_is_watched_until_zigbee2mqtt_has_nothing_under_way() -> None:
    story = Story(foreign=True).hears(told("updating", progress=30), told("idle", installed=NEW)).waits(PATIENCE.settle)
    assert story.effects == (Look(),)
    assert story.hears(Looked(busy=False, version=NEW)).ended(State.CONFIRMING)
    assert story.posts == []


def test_what_was_not_written_down_is_told_again_until_it_is() -> None:
    session = Delegation(UPDATE, tokens=itertools.count(1), patience=PATIENCE, now=0.0, order=ORDER)
    session.receive(Tick(), 0.0)
    (first,) = session.receive(failed("unknown"), 1.0)
    assert session.receive(Tick(), 2.0) == ()
    assert session.receive(Tick(), 7.0) == (first,)
    assert isinstance(first, Advance)
    session.committed(first.token)
    assert session.over


FAILURES: tuple[Failure, ...] = ("busy", "unknown", "silent", "image", "stalled", "aborted", "refused", "other")
STAGES: tuple[Stage, ...] = ("idle", "available", "scheduled", "updating")
EVENTS = st.one_of(
    st.sampled_from([DONE, Fetched(), Unseen(), Back(), Tick(), Unsent("no line"), *map(failed, FAILURES)]),
    st.builds(told, st.sampled_from(STAGES), progress=st.sampled_from([None, 0.0, 50.0, 100.0]), installed=st.sampled_from([None, OLD, NEW])),
    st.builds(Looked, busy=st.booleans(), version=st.sampled_from([None, OLD, NEW])),
)


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 1.0, 100.0, 200.0])), max_size=25),
    adopted=st.sampled_from([None, "offering", "transferring"]),
    sleepy=st.booleans(),
)
def test_whatever_is_told_the_row_can_follow_and_nothing_is_ordered_twice(
    events: list[tuple[Event, float]], adopted: Adopted | None, sleepy: bool
) -> None:
    story = Story(adopted=adopted, sleepy=sleepy)
    for event, seconds in events:
        story.now += seconds
        story.hears(Tick(), event)
    assert [each.scheduled for each in story.posts] in ([], [False], [False, True] if sleepy else [False])
    assert not (adopted and story.posts)
    assert story.session.phase in Phase
