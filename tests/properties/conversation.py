"""A model check of the OTA server session: device, air, hub and operator do what they like, one step at a time.

The device is a client that keeps to the specification; the air loses, repeats and reorders frames in both directions; the hub may die at any moment,
also between a commit and the answer that waits for it, and is started again with nothing but its rows. Whatever comes of that, no frame of the
server breaks a law while it happens, and once the air is clear again it ends in a bit-identical image or in an honest failure.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from otagate.engine.serving import ADOPTED
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import AFTER_RESTART, PAUSABLE, Cause, State, advance, cancellable
from otagate.model.orders import Activate, Park, Pause, Release, Resume, Withdraw
from otagate.sessions.effects import Advance, Announce, Effects, Knock, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer
from tests.sessions import wire
from tests.sessions.client import BACKOFF, Client
from tests.sessions.playbook import serve

NIGHTFALL = 1_000.0
ATTEMPTS = 40  # so that an hour passes in which a device that holds an older image asks what to do with it
SETTLED_WITHIN = 30_000.0
MOST_WAKES = 2_000
LONGEST_REPLY = 3 + 14 + 64
HELD_BACK = frozenset({State.OFFERING, State.TRANSFERRING, State.STAGED})
TOLD_TO_USE_IT = frozenset({State.ACTIVATING, State.CONFIRMING, State.SUCCEEDED, State.FAILED})


@dataclass
class Row:
    """An update as it is on disk, which is all that a hub that died leaves behind."""

    update: UpdateId
    version: int
    image: bytes
    hold: bool
    state: State = State.OFFERING
    paused: bool = False
    owed: bool = False
    released: bool = False
    attempts: int = 1
    causes: list[Cause] = field(default_factory=list)

    def goes(self, *causes: Cause) -> None:
        """Along the table, or not at all."""
        state = self.state
        for cause in causes:
            state = advance(state, cause)
        self.state = state
        self.causes += causes


class Conversation(RuleBasedStateMachine):
    """One device, one hub, the air between them, and an operator."""

    @initialize(
        size=st.sampled_from([1, 63, 64, 65, 300]),
        step=st.sampled_from([16, 50, 64, 255]),
        page=st.sampled_from([0, 0, 100, 1_024]),
        keeps=st.booleans(),
        same_number=st.booleans(),
        retries=st.sampled_from([1, 10]),
        hold=st.booleans(),
        sleepy=st.booleans(),
    )
    def begins(self, size: int, step: int, page: int, keeps: bool, same_number: bool, retries: int, hold: bool, sleepy: bool) -> None:
        self.client = Client(step=step, page=page, keeps=keeps, same_number=same_number, retries=retries)
        self.now = NIGHTFALL
        self.size = size
        self.sleepy = sleepy
        self.to_server: list[bytes] = []
        self.to_client: list[bytes] = []
        self.told: dict[int, Advance] = {}
        self.let_go = False
        self.server = self._new_server()
        self.row = Row(UpdateId("u20"), wire.NEW, self._picture(wire.NEW), hold)
        self._serve()

    # --- the air ------------------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.to_server)
    @rule(which=st.integers(0, 1_000), stays=st.booleans())
    def the_server_hears(self, which: int, stays: bool) -> None:
        """Any of the frames under way, in any order; one that stays is heard again."""
        self._to_server(_taken(self.to_server, which, stays=stays))

    @precondition(lambda self: self.to_client)
    @rule(which=st.integers(0, 1_000), stays=st.booleans())
    def the_client_hears(self, which: int, stays: bool) -> None:
        self._to_client(_taken(self.to_client, which, stays=stays))

    @rule(rounds=st.integers(1, 12), slow_disk=st.booleans())
    def the_air_is_clear_for_a_while(self, rounds: int, slow_disk: bool) -> None:
        """What usually happens, so that the rest happens anywhere in a download; with a slow disk everybody has to repeat himself."""
        for _ in range(rounds):
            if self.told and not slow_disk:
                self._commit()
            elif not self._next_frame():
                self._until(self.now + 3.0)

    @precondition(lambda self: self.client.phase in ("asking", "downloading") and not self.row.paused)
    @rule()
    def the_device_gets_to_its_end(self) -> None:
        """Up to the moment at which everything depends on the disk."""
        for _ in range(100):
            if self.told and Cause.ACCEPTED in next(iter(self.told.values())).causes:
                self._commit()
            elif self.told or not self._next_frame():
                return

    @precondition(lambda self: self.to_server or self.to_client)
    @rule(which=st.integers(0, 1_000))
    def a_frame_is_lost(self, which: int) -> None:
        _taken(self.to_server if self.to_server and (which % 2 or not self.to_client) else self.to_client, which // 2, stays=False)

    @rule(seconds=st.sampled_from([0.02, 1.0, 3.0, 3.0, 25.0, 130.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self._until(self.now + seconds)

    # --- the device ---------------------------------------------------------------------------------------------------------------------

    @rule()
    def the_device_loses_power(self) -> None:
        self._device(self.client.loses_power)

    @precondition(lambda self: self.client.phase == "idle")
    @rule()
    def the_device_asks_by_itself(self) -> None:
        self._to_client(wire.notify(tsn=0))

    @rule()
    def the_device_is_heard(self) -> None:
        self._perform(self.server.heard(self.now))

    # --- the hub ------------------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.told)
    @rule()
    def the_disk_takes_it(self) -> None:
        self._commit()

    @precondition(lambda self: self.told)
    @rule()
    def the_hub_dies_right_after_a_commit(self) -> None:
        self._write()
        self.the_hub_dies()

    @rule()
    def the_hub_dies(self) -> None:
        """Nothing is left but the row; the next life adopts the transfer before the radio is up."""
        row, self.told, self.server = self.row, {}, self._new_server()
        row.state = AFTER_RESTART[row.state]
        if row.state.final:
            return
        queued = row.state is State.QUEUED
        order = serve(**self._image(), adopted="offering" if queued else ADOPTED[row.state])
        self._perform(self.server.command(order, self.now))
        if queued:
            self._perform(self.server.command(Park(update=row.update), self.now))
        elif row.paused:
            self._perform(self.server.command(Pause(update=row.update), self.now))
        self._perform(self.server.reopened(self.now))

    @rule()
    def the_radio_was_away_and_is_back(self) -> None:
        self._perform(self.server.reopened(self.now))

    @rule()
    def a_block_does_not_fit_its_frame(self) -> None:
        self.server.too_long()

    @precondition(lambda self: self.row.state in (State.OFFERING, State.TRANSFERRING))
    @rule()
    def the_air_has_no_slot_and_then_one(self) -> None:
        """A hub that adopted more than the air bears tells the rest to wait."""
        self.told.clear()
        self._perform(self.server.command(Park(update=self.row.update), self.now))
        self._until(self.now + 1.0)
        self._perform(self.server.command(serve(**self._image(), adopted=ADOPTED[self.row.state]), self.now))

    @precondition(lambda self: self.row.state is State.QUEUED and not self.row.paused)
    @rule()
    def its_turn_comes_again(self) -> None:
        self.row.attempts += 1
        self.row.goes(Cause.ADMITTED, Cause.VERIFIED)
        self._serve()

    # --- the operator -------------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.row.paused or self.row.state in PAUSABLE)
    @rule()
    def an_operator_pauses_or_resumes_it(self) -> None:
        self._pause(not self.row.paused)

    @precondition(lambda self: self.row.state is State.STAGED and not self.row.paused)
    @rule()
    def an_operator_gives_the_word(self) -> None:
        self._activate()

    @precondition(lambda self: self.row.hold and not self.row.released and self.row.state in HELD_BACK)
    @rule()
    def an_operator_gives_the_word_to_a_device_that_asks_for_it(self) -> None:
        """It may be asleep, or not have the image yet: it is told when it asks."""
        self.row.released = True
        self._perform(self.server.command(Release(update=self.row.update), self.now))

    @precondition(lambda self: cancellable(self.row.state))
    @rule()
    def an_operator_cancels_it(self) -> None:
        self.row.goes(Cause.CANCELLED)
        self._withdraw()

    @precondition(lambda self: cancellable(self.row.state))
    @rule(hold=st.booleans())
    def an_operator_wants_another_version_instead(self, hold: bool) -> None:
        self.an_operator_cancels_it()
        self.there_is_a_newer_release(hold)

    @precondition(lambda self: self.row.state.final or self._taken_for_good())
    @rule(hold=st.booleans())
    def there_is_a_newer_release(self, hold: bool) -> None:
        """For a device that is up again, or one that goes on downloading what nobody serves any more."""
        if not self.row.state.final:
            self._withdraw()
        if self.client.phase == "booted":
            self.client.phase = "idle"
            self.client.received.clear()
            self.client.booted = None
            self.to_client.clear()  # a restart takes longer than a frame lives
        version = self.row.version + 1
        self.row = Row(UpdateId(f"u{version}"), version, self._picture(version), hold)
        self._serve()

    # --- the end ------------------------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        self._settle()
        row, client = self.row, self.client
        if client.runs == row.version:
            assert client.booted == row.image
            assert row.state in TOLD_TO_USE_IT
        elif row.state in TOLD_TO_USE_IT:
            assert self.let_go, "only a device that lets go of the image that it has told of can miss the word for it"
            assert client.phase == "idle"
        else:
            assert row.state is State.CANCELLED, f"the air is clear, and it ends {row.state} after {row.causes}"

    def _settle(self) -> None:
        """The air is clear, everybody is patient, and the hub tries as often as it may."""
        until = self.now + SETTLED_WITHIN
        row, self.client.retries = self.row, 10
        row.attempts = 0
        if self.client.phase == "idle":
            self._device(self.client.loses_power)  # one that keeps its bytes goes on with them
        if row.paused:
            self._pause(False)
        while self.now < until and not row.state.final and not self._taken_for_good():
            if self.told:
                self._commit()
            elif self._next_frame():
                continue
            elif row.state is State.QUEUED:
                if row.attempts >= ATTEMPTS:
                    return
                self._until(self.now + BACKOFF)
                if row.state is State.QUEUED:
                    self.its_turn_comes_again()
            elif row.state is State.STAGED and self.client.phase in ("holding", "idle"):
                self._activate()
            else:
                moments = [each for each in (self.client.wakes, self.server.wake_at()) if each is not None]
                self._until(max(min(moments, default=self.now), self.now) + 1.0)
                self._perform(self.server.heard(self.now))

    def _taken_for_good(self) -> bool:
        return self.row.state in TOLD_TO_USE_IT and self.client.phase == "booted"

    # --- inside -------------------------------------------------------------------------------------------------------------------------

    def _new_server(self) -> OtaServer:
        return OtaServer(tokens=itertools.count(1), patience=Patience(), sleepy=self.sleepy)

    def _picture(self, version: int) -> bytes:
        return wire.picture(self.size, seed=version)

    def _image(self) -> dict[str, object]:
        row = self.row
        return {
            "update": row.update,
            "file_version": row.version,
            "image": memoryview(row.image),
            "hold_activation": row.hold or row.owed,
            "released": row.released,
            "begun": Cause.ACCEPTED in row.causes,
        }

    def _serve(self) -> None:
        self._perform(self.server.command(serve(**self._image()), self.now))

    def _withdraw(self) -> None:
        self.told.clear()
        self._perform(self.server.command(Withdraw(update=self.row.update), self.now))

    def _pause(self, paused: bool) -> None:
        self.row.paused = paused
        order = Pause(update=self.row.update) if paused else Resume(update=self.row.update)
        self._perform(self.server.command(order, self.now))
        if self.row.state is State.STAGED and self.row.owed and not paused:
            self._activate()

    def _activate(self) -> None:
        self.row.goes(Cause.ACTIVATED)
        self._perform(self.server.command(Activate(update=self.row.update), self.now))

    def _write(self) -> int:
        (token, told), *more = self.told.items()
        assert not more
        del self.told[token]
        if told.causes != (Cause.ACTIVATED,) or self.row.state is not State.ACTIVATING:  # else somebody gave the word in that very moment
            self.row.goes(*told.causes)
        self.row.owed |= told.held
        return token

    def _commit(self) -> None:
        """On disk, then told to the session; and what a course does when its update has left the air."""
        self._perform(self.server.committed(self._write(), self.now))
        row = self.row
        if row.state is State.QUEUED:
            self._perform(self.server.command(Park(update=row.update), self.now))
        elif row.state.final:
            self._withdraw()

    def _until(self, moment: float) -> None:
        """Both clocks run; what is sent meanwhile stays on the air."""
        for _ in range(MOST_WAKES):
            wakes, ticks = self.client.wakes, self.server.wake_at()
            next_ = min((each for each in (wakes, ticks) if each is not None), default=math.inf)
            if next_ > moment:
                break
            self.now = max(self.now, next_)
            if wakes is not None and wakes <= self.now:
                self._device(self.client.wakes_up)
            else:
                self._perform(self.server.tick(self.now))
        else:
            raise AssertionError("somebody wants to be woken again and again")
        self.now = max(self.now, moment)

    def _next_frame(self) -> bool:
        """The oldest frame under way arrives; False where there is none."""
        if self.to_server:
            self._to_server(self.to_server.pop(0))
        elif self.to_client:
            self._to_client(self.to_client.pop(0))
        else:
            return False
        return True

    def _device(self, does: Callable[[float], list[bytes]]) -> None:
        """It does something; whether it lets go of an image that it had whole, before it was told to use it, is remembered."""
        client = self.client
        whole = len(client.received) >= self.size and client.phase != "booted"
        self.to_server += does(self.now)
        if client.phase in ("ending", "holding"):
            self.let_go = False
        elif whole and (not client.received or client.phase == "asking"):
            self.let_go = True
        assert client.received == self._picture(client.offered)[: len(client.received)], "the device holds bytes of two images"

    def _to_client(self, frame: bytes) -> None:
        self._device(lambda now: self.client.hears(frame, now))

    def _to_server(self, frame: bytes) -> None:
        effects = self.server.receive(frame, self.now)
        assert sum(isinstance(each, Reply) for each in effects) <= 1
        for effect in effects:
            if isinstance(effect, Reply):
                assert effect.frame[1] == frame[1], "an answer to another request"
        self._perform(effects)

    def _perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Reply(frame) | Announce(frame):
                    self._examine(bytes(frame))
                    self.to_client.append(bytes(frame))
                case Advance():
                    self._hear(effect)
                case Knock(update):
                    assert update == self.row.update

    def _hear(self, effect: Advance) -> None:
        """Told again it is the same; told anew it is legal, and alone."""
        assert effect.update == self.row.update
        if effect.token in self.told:
            assert self.told[effect.token] == effect
            return
        assert not self.told, "told while something else waits for its commit"
        assert 0 <= effect.offset <= self.size
        assert Cause.ACTIVATED not in effect.causes or not self.row.hold or self.row.released, "told to use it before anybody gave the word"
        state = self.row.state
        for cause in effect.causes:
            state = advance(state, cause)
        self.told[effect.token] = effect

    def _examine(self, frame: bytes) -> None:
        """What leaves is true, and durable before it leaves."""
        assert len(frame) <= LONGEST_REPLY
        row = self.row
        match frame[0], frame[2]:
            case 0x19, 0x05 if frame[3] == 0:
                version, offset, length = struct.unpack_from("<IIB", frame, 8)
                assert version == row.version, "bytes of an image that is not pinned"
                assert frame[17:] == row.image[offset : offset + length]
                assert length == len(frame) - 17 > 0
                assert row.state not in (State.QUEUED, State.OFFERING, State.CANCELLED), f"a block while the update is {row.state}"
            case 0x19, 0x02 if frame[3] == 0:
                assert struct.unpack_from("<II", frame, 8) == (row.version, len(row.image))
                assert row.state in (State.TRANSFERRING, State.STAGED)  # one that held it may have lost it with its power
            case 0x19, 0x07:
                version, when = struct.unpack_from("<I", frame, 7)[0], struct.unpack_from("<I", frame, 15)[0]
                assert version == row.version
                assert row.state in (TOLD_TO_USE_IT if not when else {State.STAGED})


def _taken(frames: list[bytes], which: int, *, stays: bool) -> bytes:
    index = which % len(frames)
    return frames[index] if stays else frames.pop(index)
