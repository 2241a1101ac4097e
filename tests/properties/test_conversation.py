"""The model check of the OTA server session, and what it is worth: each of the broken sessions below must be caught by it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from otagate.model.errors import OtagateError
from otagate.sessions import ota_frames, ota_limits, ota_transfer, ota_verdicts, zigbee
from otagate.sessions.effects import NOTHING, Advance, Effects, Reply
from otagate.sessions.ota_timing import NEVER, Timing
from otagate.sessions.ota_transfer import Phase as TransferPhase
from otagate.sessions.ota_transfer import Transfer
from otagate.sessions.zigbee import OtaServer
from tests.properties.conversation import Conversation

Break = Callable[[pytest.MonkeyPatch], None]

PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck))
SEARCH = settings(PATIENT, max_examples=2_000, stateful_step_count=60, derandomize=True, database=None, phases=[Phase.generate], print_blob=False)


def test_any_conversation_ends_in_a_bit_identical_image_or_in_an_honest_failure() -> None:
    run_state_machine_as_test(Conversation, settings=settings(PATIENT, max_examples=400, stateful_step_count=60))


@pytest.mark.night
@pytest.mark.parametrize("part", range(20))  # what a search remembers grows to gigabytes
def test_any_conversation_of_a_whole_night_does(part: int) -> None:
    run_state_machine_as_test(Conversation, settings=settings(PATIENT, max_examples=1_000, stateful_step_count=100))


# --- sessions that are broken on purpose --------------------------------------------------------------------------------------------------


def wrong_offset(patch: pytest.MonkeyPatch) -> None:
    """A block is cut from one byte further on."""
    cut = Transfer.cut

    def shifted(self: Transfer, offset: int, length: int) -> memoryview:
        data = cut(self, offset, length)
        return self.order.image[offset + 1 : offset + 1 + len(data)] if offset + len(data) < self.size else data

    patch.setattr(Transfer, "cut", shifted)


def past_the_limit(patch: pytest.MonkeyPatch) -> None:
    """Blocks as long as the device asks for, whatever fits a frame."""
    patch.setattr(zigbee, "block_size", lambda asked, frame, quirk: asked)


def page_cursor(patch: pytest.MonkeyPatch) -> None:
    """The second block of a page carries the label of the third."""
    response = ota_frames.block_response

    def labelled(tsn: int, request: Any, offset: int, data: memoryview) -> bytes:
        moved = isinstance(request, ota_frames.PageRequest) and offset != request.offset
        return response(tsn, request, offset + len(data) if moved else offset, data)

    patch.setattr(ota_frames, "block_response", labelled)


def page_without_an_end(patch: pytest.MonkeyPatch) -> None:
    """A page goes on past its end, from the beginning."""

    def endless(self: OtaServer, transfer: Transfer, page: ota_transfer.Page, now: float) -> Effects:
        page.offset = page.offset % transfer.size
        data = transfer.cut(page.offset, self._size(page.request))
        frame = ota_frames.block_response(page.tsn, page.request, page.offset, data)
        page.offset += len(data)
        page.due = now
        return (Reply(frame),)

    patch.setattr(OtaServer, "_page_block", endless)


def another_image(patch: pytest.MonkeyPatch) -> None:
    """A block of any version is served, from the image that is pinned and under the label that was asked for."""
    patch.setattr(Transfer, "matches", lambda self, request: True)


def another_image_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """The same, but only by a hub that was started again."""
    matches = Transfer.matches
    patch.setattr(Transfer, "matches", lambda self, request: matches(self, request) or self.order.adopted is not None)


def begins_anew_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What was adopted in mid-transfer is taken for a mere offer."""
    patch.setattr(zigbee, "first_phase", lambda order: TransferPhase.OFFERED)


def forgets_the_word_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A device that was told to use its image is, after a restart, taken for one that still downloads."""
    first = ota_transfer.first_phase
    patch.setattr(zigbee, "first_phase", lambda order: TransferPhase.SERVING if order.adopted == "activating" else first(order))


def answers_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The phase is entered when it is told, not when it is durable."""
    tell = OtaServer._tell

    def hasty(self: OtaServer, transfer: Transfer, verdict: ota_verdicts.Verdict, now: float, *, frame: bytes | None = None) -> Effects:
        effects = tell(self, transfer, verdict, now, frame=frame)
        told = next(each for each in effects if isinstance(each, Advance))
        return effects + self.committed(told.token, now)

    patch.setattr(OtaServer, "_tell", hasty)


def tells_every_end(patch: pytest.MonkeyPatch) -> None:
    """An Upgrade End Request that is repeated before its commit is told once more."""
    end = OtaServer._end

    def again(self: OtaServer, frame: bytes, now: float) -> Effects:
        for transfer in self._transfers.values():
            transfer.pending = None
        return end(self, frame, now)

    patch.setattr(OtaServer, "_end", again)


def tells_every_end_after_the_commit(patch: pytest.MonkeyPatch) -> None:
    """An Upgrade End Request whose answer was lost is taken for the end of another download."""
    ended = OtaServer._ended_well

    def anew(self: OtaServer, transfer: Transfer, frame: bytes, now: float) -> Effects:
        if transfer.phase is TransferPhase.ACTIVATED:
            transfer.phase = TransferPhase.SERVING
        return ended(self, transfer, frame, now)

    patch.setattr(OtaServer, "_ended_well", anew)


def new_token_for_an_old_story(patch: pytest.MonkeyPatch) -> None:
    """What is told again comes under another token."""
    tick = OtaServer._tick_one

    def renumbered(self: OtaServer, transfer: Transfer, timing: Timing, now: float) -> Effects:
        if transfer.pending is not None and transfer.page is None:
            transfer.pending.advance = dataclasses.replace(transfer.pending.advance, token=next(self._tokens))
        return tick(self, transfer, timing, now)

    patch.setattr(OtaServer, "_tick_one", renumbered)


def uses_what_should_be_held(patch: pytest.MonkeyPatch) -> None:
    """A held image is used at once."""
    patch.setattr(ota_transfer, "WAIT_FOR_COMMAND", 0)


def gives_the_word_by_itself(patch: pytest.MonkeyPatch) -> None:
    """Every order counts as released."""
    begin = Transfer.__post_init__

    def released(self: Transfer) -> None:
        begin(self)
        self.released = True

    patch.setattr(Transfer, "__post_init__", released)


def serves_what_was_withdrawn(patch: pytest.MonkeyPatch) -> None:
    """A cancelled update is served on."""
    command = OtaServer.command

    def deaf(self: OtaServer, order: Any, now: float) -> Effects:
        return NOTHING if isinstance(order, zigbee.Withdraw) else command(self, order, now)

    patch.setattr(OtaServer, "command", deaf)


def serves_what_is_parked(patch: pytest.MonkeyPatch) -> None:
    """A device whose attempt is over gets its blocks all the same."""
    patch.setattr(Transfer, "park", lambda self, now: None)


def takes_a_failure_for_success(patch: pytest.MonkeyPatch) -> None:
    """An Upgrade End Request is answered with the order to use the image, whatever its status."""

    def upbeat(self: OtaServer, frame: bytes, now: float) -> Effects:
        request = ota_frames.read_end(frame)
        transfer = self._transfers.get(request.image_type)
        return NOTHING if transfer is None else (Reply(transfer.end_response(frame[1])),)

    patch.setattr(OtaServer, "_end", upbeat)


def answers_another_request(patch: pytest.MonkeyPatch) -> None:
    """Answers carry a sequence number of the server's own."""
    numbers = itertools.count(200)
    wait = ota_frames.block_wait
    patch.setattr(ota_frames, "block_wait", lambda tsn, **fields: wait(next(numbers) & 0xFF, **fields))


def never_gives_up(patch: pytest.MonkeyPatch) -> None:
    """A device that fell silent is waited for without an end, and not spoken to."""
    patch.setattr(Timing, "due", lambda self, transfer: NEVER)
    patch.setattr(Timing, "notify_due", lambda self, transfer: NEVER)


def never_answers_what_waited(patch: pytest.MonkeyPatch) -> None:
    """A device is never told to use the image that it holds."""

    def once(self: OtaServer, transfer: Transfer, frame: bytes, now: float) -> Effects:
        if transfer.phase in (TransferPhase.HELD, TransferPhase.ACTIVATED):
            return NOTHING
        return self._tell(transfer, ota_verdicts.end_well(transfer), now, frame=frame)

    patch.setattr(Transfer, "take_unanswered", lambda self: None)
    patch.setattr(OtaServer, "_ended_well", once)


def mute(patch: pytest.MonkeyPatch) -> None:
    """A device that asked too much once is never answered again."""
    patch.setattr(ota_limits, "_PER_SECOND", 0.0)
    patch.setattr(ota_limits, "_BURST", 20.0)
    patch.setattr(ota_limits, "_EARNED", 0.0)


BROKEN: list[Break] = [
    wrong_offset, past_the_limit, page_cursor, page_without_an_end, another_image, another_image_after_a_restart, begins_anew_after_a_restart,
    forgets_the_word_after_a_restart, answers_before_the_commit, tells_every_end, tells_every_end_after_the_commit, new_token_for_an_old_story,
    uses_what_should_be_held, gives_the_word_by_itself, serves_what_was_withdrawn, serves_what_is_parked, takes_a_failure_for_success,
    answers_another_request, never_gives_up, never_answers_what_waited, mute,
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__.replace("_", "-"))
def test_the_model_check_notices(broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    with pytest.raises((AssertionError, OtagateError)):
        run_state_machine_as_test(Conversation, settings=SEARCH)
