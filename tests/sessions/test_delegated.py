"""The session of an update that a device's own cloud carries out, story by story; and that no story has a second order in it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otagate.engine.conversation import still_to_come
from otagate.model.clouds import CloudChannel, CloudStatus
from otagate.model.errors import NotCancellable
from otagate.model.ids import ComponentId, DeviceId, UpdateId
from otagate.model.lifecycle import State, advance
from otagate.model.orders import Adopted, Delegate
from otagate.sessions.delegated import Job, Patience
from otagate.sessions.delegated_words import Effect, Event, Look, NotOrdered, Ordered, Progress, Seen, Start, Tick, Unseen
from otagate.sessions.effects import Advance

UPDATE = UpdateId("u1")
ORDER = Delegate(update=UPDATE, device=DeviceId("tuya-vdev1"), component=ComponentId("0"), source="tuya-illume", to_version="1.0.1")
RAW: dict[CloudStatus, int] = {"none": 0, "available": 1, "updating": 2, "updated": 3, "failed": 4, "waiting": 5, "timed_out": 7, "unknown": 6}
PATIENCE = Patience()


def seen(
    status: CloudStatus, *, runs: str | None = "1.0.0", offers: str | None = None, there: bool = True, sleepy: bool = False, **more: Any
) -> Seen:
    offered = offers or ("1.0.1" if status in ("available", "failed") else None)
    channel = CloudChannel(channel="0", status=status, raw_status=RAW[status], current_version=runs, offered_version=offered, **more)
    return Seen(channel=channel, there=there, sleepy=sleepy)


class Story:
    """A session and the row of its update, with the time that passes between."""

    def __init__(self, *, adopted: Adopted | None = None, foreign: bool = False, to_version: str | None = "1.0.1") -> None:
        self.now = 1_000.0
        order = None if foreign else replace(ORDER, adopted=adopted, to_version=to_version)
        self.state = State(adopted) if adopted is not None else State.TRANSFERRING if foreign else State.OFFERING
        self.job = Job(UPDATE, tokens=itertools.count(1), patience=PATIENCE, now=self.now, order=order)
        self.effects: tuple[Effect, ...] = ()
        self.orders = 0
        self.leaves_at_once = True
        self.last: Advance | None = None

    def hears(self, event: Event) -> Story:
        self.effects = self.job.receive(event, self.now)
        if self.leaves_at_once:
            self.orders += sum(self.job.begins(self.now) for each in self.effects if isinstance(each, Start))
        self._commit()
        return self

    def _commit(self) -> None:
        for told in [each for each in self.effects if isinstance(each, Advance)]:
            causes = still_to_come(self.state, told.causes)
            assert causes is not None, f"{told.causes} cannot follow from {self.state}"
            for cause in causes:
                self.state = advance(self.state, cause)
            self.last = told
            self.job.committed(told.token)

    def waits(self, seconds: float) -> Story:
        """Time passes in looks, as the radio does it."""
        self.now += seconds
        return self.hears(Tick())

    def looks(self, event: Event, *, after: float = PATIENCE.look) -> Story:
        """The time comes to ask, and this is the answer."""
        self.waits(after)
        assert Look() in self.effects
        return self.hears(event)

    def ordered(self) -> Story:
        self.looks(seen("available"), after=0.0)
        assert self.effects == (Start(),)
        return self

    def ready(self) -> Story:
        """To be ordered, and waiting for others that are told with it."""
        self.leaves_at_once = False
        self.ordered()
        self.leaves_at_once = True
        return self

    def running(self) -> Story:
        self.ordered().hears(Ordered("started"))
        assert self.state is State.TRANSFERRING
        return self.looks(seen("updating", progress=10))

    def ended(self, state: State, *, code: str | None = None) -> Story:
        assert self.state is state
        assert self.last is not None
        assert self.last.code == code
        assert self.job.over
        return self


# --- from the order to the end ----------------------------------------------------------------------------------------------------------


def test_an_update_from_the_order_to_the_new_version() -> None:
    story = Story().running()
    assert story.effects == (Progress(update=UPDATE, percent=10),)
    story.looks(seen("updated", runs="1.0.1")).ended(State.CONFIRMING)
    assert story.orders == 1


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        (seen("available", runs="1.0.1"), State.SUCCEEDED, None),
        (seen("updating"), State.QUEUED, "in-use"),
        (seen("waiting"), State.QUEUED, "in-use"),
        (seen("none"), State.FAILED, "no-release"),
        (seen("unknown"), State.FAILED, "no-release"),
        (seen("available", offers="2.0.0"), State.FAILED, "no-release"),
        (seen("available", there=False), State.QUEUED, "device-unreachable"),
        (seen("available", blocked="charge it first"), State.QUEUED, "declined-by-device"),
        (Seen(channel=None), State.FAILED, "unknown-target"),
        (Unseen("away", "source-unreachable"), State.QUEUED, "source-unreachable"),
    ],
)
def test_nothing_is_ordered_where_the_clouds_word_just_before_speaks_against_it(word: Event, state: State, code: str | None) -> None:
    story = Story().looks(word, after=0.0).ended(state, code=code)
    assert story.orders == 0


def test_a_version_that_the_cloud_does_not_name_is_not_taken_for_the_one_that_was_decided_on() -> None:
    unnamed = Seen(channel=CloudChannel(channel="0", status="available", raw_status=1, current_version="1.0.0"))
    assert Story().looks(unnamed, after=0.0).ended(State.FAILED, code="no-release").orders == 0
    assert Story(to_version=None).looks(unnamed, after=0.0).orders == 1


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        (Ordered("not-started"), State.FAILED, "declined-by-device"),
        (Ordered("already-running"), State.QUEUED, "in-use"),
        (NotOrdered(detail="offline", code="device-unreachable", doubt=False, passing=True), State.QUEUED, "device-unreachable"),
        (NotOrdered(detail="no", code="source-refused", doubt=False), State.FAILED, "source-refused"),
    ],
)
def test_an_order_that_certainly_did_nothing_ends_the_attempt(answer: Event, state: State, code: str) -> None:
    Story().ordered().hears(answer).ended(state, code=code)


@pytest.mark.parametrize(("status", "code"), [("failed", "cloud-update-failed"), ("timed_out", "transfer-stalled")])
def test_what_the_cloud_calls_failed_has_failed(status: CloudStatus, code: str) -> None:
    Story().running().looks(seen(status)).ended(State.FAILED, code=code)


def test_a_state_that_stood_there_before_the_order_is_not_its_end() -> None:
    story = Story().looks(seen("failed"), after=0.0)
    story.hears(Ordered("started")).looks(seen("failed"))
    assert story.state is State.TRANSFERRING
    story.looks(seen("updating")).looks(seen("failed")).ended(State.FAILED, code="cloud-update-failed")


def test_a_device_that_sleeps_is_waited_for_a_day() -> None:
    story = Story().ordered().hears(Ordered("started"))
    for _ in range(20):
        story.looks(seen("waiting", sleepy=True), after=3_600.0)
        assert story.state is State.TRANSFERRING
    for _ in range(5):
        story.looks(seen("waiting", sleepy=True), after=3_600.0)
        if story.state is State.FAILED:
            return
    raise AssertionError("it is waited for without end")


def test_a_job_without_end_ends_after_the_time_that_the_cloud_names() -> None:
    story = Story().running().looks(seen("updating", timeout=7_200), after=3_600.0)
    assert story.state is State.TRANSFERRING
    story.looks(seen("updating", timeout=7_200), after=3_700.0).ended(State.FAILED, code="transfer-stalled")


def test_no_time_that_a_cloud_names_is_waited_for_longer_than_a_day() -> None:
    story = Story().running()
    for _ in range(30):
        if not story.job.over:
            story.looks(seen("updating", timeout=1 << 31), after=3_600.0)
    story.ended(State.FAILED, code="transfer-stalled")


def test_one_answer_that_shows_nothing_under_way_ends_no_job_that_was() -> None:
    story = Story().running().looks(seen("updating"), after=600.0).looks(seen("none")).looks(seen("available"))
    assert story.state is State.TRANSFERRING
    story.looks(seen("updating")).looks(seen("none"), after=PATIENCE.recall).ended(State.FAILED, code="transfer-interrupted")


def test_time_in_which_the_cloud_could_not_be_asked_counts_for_nothing() -> None:
    story = Story().running()
    for _ in range(10):
        story.looks(Unseen("away", "source-unreachable"), after=3_600.0)
    story.looks(seen("updating"), after=PATIENCE.rest)
    assert story.state is State.TRANSFERRING


# --- nobody knows whether it arrived ----------------------------------------------------------------------------------------------------

DOUBT = NotOrdered(detail="the answer was lost", code="source-unreachable", doubt=True)


def test_an_order_in_doubt_is_looked_for_and_found() -> None:
    story = Story().ordered().hears(DOUBT).looks(seen("available"), after=0.0).looks(seen("updating"))
    assert story.state is State.TRANSFERRING
    story.looks(seen("updated", runs="1.0.1")).ended(State.CONFIRMING)
    assert story.orders == 1


def test_an_order_in_doubt_that_left_no_trace_is_not_given_again() -> None:
    story = Story().ordered().hears(DOUBT)
    while not story.job.over:
        story.looks(seen("available"), after=30.0)
    story.ended(State.FAILED, code="transfer-interrupted")
    assert story.orders == 1


@pytest.mark.parametrize("adopted", ["offering", "transferring"])
def test_after_a_restart_the_cloud_is_asked_and_never_told(adopted: Adopted) -> None:
    found = Story(adopted=adopted).looks(seen("updating", progress=70), after=0.0)
    assert found.state is State.TRANSFERRING
    Story(adopted=adopted).looks(seen("updated", runs="1.0.1"), after=0.0).ended(State.CONFIRMING)
    Story(adopted=adopted).looks(seen("failed"), after=0.0).ended(State.FAILED, code="cloud-update-failed")
    lost = Story(adopted=adopted)
    while not lost.job.over:
        lost.looks(seen("available"), after=30.0)
    lost.ended(State.FAILED, code="transfer-interrupted")
    assert found.orders == lost.orders == 0


def test_a_radio_that_ends_in_the_middle_of_an_order_leaves_it_in_doubt() -> None:
    story = Story().ordered()
    story.job.lost(story.now)
    story.looks(seen("updating"), after=0.0)
    assert story.state is State.TRANSFERRING
    assert story.orders == 1


# --- ordered with others ----------------------------------------------------------------------------------------------------------------

REFUSED_TOGETHER = NotOrdered(detail="no", code="device-unreachable", passing=True, together=True)


def test_what_waits_to_be_ordered_with_others_was_not_ordered_and_leaves_once() -> None:
    story = Story().ready()
    assert not story.job.busy
    assert story.waits(PATIENCE.sleepy).effects == ()
    assert story.job.begins(story.now)
    assert story.job.busy
    assert not story.job.begins(story.now)


def test_what_is_stopped_held_or_lost_while_it_waits_for_others_does_not_leave_with_them() -> None:
    stopped, held, lost = Story().ready(), Story().ready(), Story().ready()
    stopped.job.stop(stopped.now)
    held.effects = held.job.pause(held.now)
    held._commit()
    lost.job.lost(lost.now)
    assert not [each for each in (stopped, held, lost) if each.job.begins(each.now)]
    stopped.waits(PATIENCE.rest).ended(State.QUEUED)
    held.ended(State.QUEUED)
    assert lost.looks(seen("available"), after=0.0).effects == (Start(),), "nothing was ordered, so it is looked at and ordered"


def test_an_order_that_was_refused_for_several_is_looked_at_anew_and_given_alone() -> None:
    story = Story().ordered().hears(REFUSED_TOGETHER)
    assert not story.job.busy
    assert story.looks(seen("available"), after=0.0).effects == (Start(alone=True),)
    story.hears(Ordered("started"))
    assert story.state is State.TRANSFERRING


@pytest.mark.parametrize("status", ["updating", "waiting"])
def test_one_of_an_order_that_was_refused_and_begun_all_the_same_is_ours(status: CloudStatus) -> None:
    story = Story().ordered().hears(REFUSED_TOGETHER).looks(seen(status), after=0.0)
    assert story.state is State.TRANSFERRING
    assert story.orders == 1
    story.looks(seen("updated", runs="1.0.1"), after=PATIENCE.rest).ended(State.CONFIRMING)


# --- operators --------------------------------------------------------------------------------------------------------------------------


def test_it_can_be_stopped_only_before_it_is_ordered() -> None:
    early = Story()
    early.job.stop(early.now)
    early.hears(seen("available"))
    assert early.orders == 0
    for late in (Story().ordered(), Story().running(), Story().ordered().hears(DOUBT), Story(adopted="offering")):
        with pytest.raises(NotCancellable, match="no way to call an order back"):
            late.job.stop(late.now)


def test_one_that_was_stopped_and_is_still_wanted_goes_back_to_the_queue() -> None:
    story = Story()
    story.job.stop(story.now)
    story.waits(PATIENCE.rest).ended(State.QUEUED)


def test_what_is_held_before_it_is_ordered_goes_back_to_the_queue() -> None:
    story = Story().waits(0.0)
    story.effects = story.job.pause(story.now)
    story._commit()
    story.ended(State.QUEUED)
    assert story.hears(seen("available")).orders == 0


def test_what_is_told_is_told_again_until_it_is_written_down() -> None:
    job = Job(UPDATE, tokens=itertools.count(1), patience=PATIENCE, now=0.0, order=ORDER)
    job.receive(Tick(), 0.0)
    (told,) = job.receive(seen("none"), 0.0)
    assert job.receive(Tick(), PATIENCE.repeat) == (told,)
    assert isinstance(told, Advance)
    assert not job.over
    job.committed(told.token)
    assert job.over


# --- somebody else's --------------------------------------------------------------------------------------------------------------------


def test_what_somebody_else_began_is_watched_to_its_end_and_not_stopped() -> None:
    story = Story(foreign=True).looks(seen("updating", progress=5), after=0.0)
    with pytest.raises(NotCancellable, match="somebody else began this update"):
        story.job.stop(story.now)
    story.looks(seen("updated", runs="9.9.9")).ended(State.CONFIRMING)
    assert story.orders == 0


# --- whatever comes ---------------------------------------------------------------------------------------------------------------------

STATUSES: list[CloudStatus] = list(RAW)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        seen,
        st.sampled_from(STATUSES),
        runs=st.sampled_from([None, "1.0.0", "1.0.1"]),
        there=st.booleans(),
        sleepy=st.booleans(),
        blocked=st.sampled_from([None, "charge it"]),
    ),
    st.just(Seen(channel=None)),
    st.just(Unseen("away", "source-unreachable")),
    st.builds(Ordered, st.sampled_from(["started", "not-started", "already-running"])),
    st.builds(
        lambda doubt, passing, together: NotOrdered(detail="no", code="source-refused", doubt=doubt, passing=passing, together=together),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.just(Tick()),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(EVENTS, st.floats(0.0, 4_000.0)), max_size=30), st.sampled_from([None, "offering", "transferring"]))
def test_whatever_comes_one_session_orders_again_only_what_was_refused_and_an_adopted_one_never(
    events: list[tuple[Event, float]], adopted: Adopted | None
) -> None:
    story, refused = Story(adopted=adopted), 0
    for event, seconds in events:
        story.now += seconds
        refused += isinstance(event, NotOrdered) and event.together
        story.hears(event)
        story.hears(Tick())
    assert story.orders <= (1 + refused if adopted is None else 0)
