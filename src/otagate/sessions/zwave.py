"""One firmware target of one Z-Wave node on its way to another version: what the driver tells goes in, what is to be done comes out.

The Firmware Update Meta Data CC transfer itself is the driver's work (zwave-js behind zwave-js-server); this watches it to its end and trusts no
single word of it. The result of the command and the `finished` event come in any order, either may be missing, counters step back, and a driver
that was started again knows nothing. So: whoever ends the transfer first is right, the high-water mark counts, and what became of a transfer that
nobody saw end is read from the node.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import replace

from otagate.model.errors import NotCancellable, RadioUnavailable
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Adopted, Send
from otagate.model.versions import Version, display_version, same_version
from otagate.sessions import zwave_outcomes as outcomes
from otagate.sessions import zwave_words as words
from otagate.sessions.telling import Telling
from otagate.sessions.zwave_outcomes import Outcome
from otagate.sessions.zwave_patience import Patience
from otagate.sessions.zwave_words import NOTHING, Effects, Event


class Phase(enum.Enum):
    """Where the conversation about the image stands."""

    WAITING = enum.auto()  # nothing was asked of the driver yet: it is away, or an operator holds the update
    PREPARING = enum.auto()
    REQUESTED = enum.auto()
    MOVING = enum.auto()
    RECALLING = enum.auto()  # it was under way; what became of it is being found out
    READING = enum.auto()  # nothing is under way any more: the node's version will tell
    HELD = enum.auto()
    ACTIVATING = enum.auto()
    USED = enum.auto()  # the node was told to use the image; its version will tell whether it does, and the word can be repeated
    STOPPED = enum.auto()  # broken off at our word; whoever wanted that says what becomes of the update
    OVER = enum.auto()


_ADOPTED = {"offering": Phase.RECALLING, "transferring": Phase.RECALLING, "staged": Phase.HELD, "activating": Phase.USED}
_TRIED_AGAIN = (Cause.STALLED, Cause.ABORTED_BY_DEVICE, Cause.EXPIRED)
_UNWANTED = "the transfer has stopped, as an operator wanted"
_ASKED_OF_DRIVER = frozenset({Phase.REQUESTED, Phase.MOVING, Phase.RECALLING})


class Transfer:
    """The session of one update. `foreign`: another program began it; it is watched, never started, stopped or activated."""

    def __init__(
        self,
        update: UpdateId,
        *,
        tokens: Iterator[int],
        patience: Patience,
        now: float,
        order: Send | None = None,
        adopted: Adopted | None = None,
        sleepy: bool = False,
    ) -> None:
        self.update = update
        self.order = order
        self.phase = _ADOPTED[adopted] if adopted is not None else Phase.WAITING
        self.paused = False
        self.stopping = False
        self._unwanted = False  # an operator wants it stopped
        self._withdrawn = False  # and nobody waits for a word about it any more
        self._sleepy = sleepy
        self._patience = patience
        self._telling = Telling(update, tokens=tokens, repeat=patience.repeat)
        self._connected = False
        self._since = now  # of the phase, or of the last fragment
        self._unready = False  # the driver does not know the node yet: it is asked again
        self._asked_at = now
        self._sent = 0
        self._high_water = 0
        self._then: Effects = NOTHING

    @property
    def foreign(self) -> bool:
        """Whether another program began it."""
        return self.order is None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it, and everything was heard."""
        let_go = self.phase is Phase.STOPPED and self._withdrawn and not self.stopping
        return (self.phase is Phase.OVER or let_go) and not self._telling.open

    @property
    def busy(self) -> bool:
        """Whether it may be under way in the driver, so that what is told of its node is told of it."""
        return self.phase in _ASKED_OF_DRIVER or (self.phase is Phase.STOPPED and self.stopping)

    def receive(self, event: Event, now: float) -> Effects:
        """Take what the driver told."""
        match event:
            case words.Connected() | words.Lost():
                return self._connect(now) if isinstance(event, words.Connected) else self._lose(now)
            case words.Prepared() | words.Unprepared():
                return self._prepared(event, now)
            case words.Fragments():
                return self._moved(event, now)
            case words.Ended() | words.Refused():
                return self._ended(event, now)
            case words.Running():
                return self._recalled(event, now)
            case words.Answered():
                return self._activated(event, now)
            case words.Stopped():
                return self._stopped(event, now)
            case words.Gone() | words.Slept():
                return self._gone(now) if isinstance(event, words.Gone) else self._slept(now)
            case words.Tick():
                return self._tick(now)

    # --- orders -------------------------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """What was not begun is not begun; what moves goes on, because the driver knows no pause."""
        self.paused = True

    def resume(self, now: float) -> Effects:
        """Go on."""
        self.paused = False
        return self._begin(now) if self.phase is Phase.WAITING and self._connected else NOTHING

    def activate(self, now: float) -> Effects:
        """An operator's word, or the end of a pause: the image is to be used."""
        if self.foreign or not self._connected or self.phase not in (Phase.HELD, Phase.USED):
            return NOTHING
        if self.phase is Phase.HELD:
            self._enter(Phase.ACTIVATING, now)
        return (words.Activate(),)

    def release(self) -> None:
        """What is still to come is used as soon as the node has it; a node that holds it already does not ask again, so it is told by `activate`."""
        if self.order is not None:
            self.order = replace(self.order, hold_activation=False)

    def stop(self, now: float) -> Effects:
        """Break it off. Raises NotCancellable where that cannot be done any more, RadioUnavailable where nobody knows what the driver does."""
        if self.foreign and self.phase is not Phase.HELD:
            raise NotCancellable("another program began this update; only it can stop it")
        if self.phase in (Phase.READING, Phase.ACTIVATING, Phase.USED, Phase.OVER):
            raise NotCancellable("the node has the whole image and was told to use it")
        if not self._connected and self.phase in _ASKED_OF_DRIVER:
            raise RadioUnavailable("the driver cannot be reached, and may go on with the transfer by itself")
        if self.phase not in _ASKED_OF_DRIVER:
            self._enter(Phase.STOPPED, now)
            return NOTHING
        self.stopping = self._unwanted = True
        return (words.Abort(),)

    def withdraw(self, now: float) -> Effects:
        """Nobody wants it any more; what may be under way is broken off, in whatever time that takes."""
        if self._withdrawn:
            return NOTHING
        under_way = self._connected and self.phase in _ASKED_OF_DRIVER and not self.foreign
        abort: Effects = (words.Abort(),) if under_way and not self.stopping else NOTHING
        self.forget()
        self._withdrawn = True
        self._enter(Phase.STOPPED if under_way else Phase.OVER, now)
        self.stopping = under_way
        return abort

    def forget(self) -> None:
        """What was told and not written down is moot."""
        self._telling.forget()
        self._then = NOTHING

    def committed(self, token: int, now: float) -> Effects:
        """What was told with this token is on disk; returns what waited for that."""
        if not self._telling.committed(token):
            return NOTHING
        then, self._then = self._then, NOTHING
        self._since = now
        return then

    # --- the beginning ------------------------------------------------------------------------------------------------------------------

    def _connect(self, now: float) -> Effects:
        self._connected = True
        if self.phase is Phase.WAITING:
            return NOTHING if self.paused else self._begin(now)
        if self.phase is Phase.RECALLING:
            self._since = self._asked_at = now
            return (words.AskDriver(),)
        return (words.Prepare(),) if self.phase in (Phase.READING, Phase.USED) and not self.foreign else NOTHING

    def _begin(self, now: float) -> Effects:
        self._enter(Phase.PREPARING, now)
        return (words.Prepare(),)

    def _prepared(self, event: words.Prepared | words.Unprepared, now: float) -> Effects:
        if self.phase is Phase.READING:
            return self._read(event, now)
        if self.phase is Phase.USED and isinstance(event, words.Prepared):  # the word may have been lost with the hub, or with the connection
            return (words.Activate(),) if event.activation and not self._brings(event.version) else NOTHING
        if self.phase is not Phase.PREPARING or self.order is None:
            return NOTHING
        if isinstance(event, words.Unprepared):
            if event.passing and now - self._since < self._patience.known:
                self._unready = True
                return NOTHING
            return self._tell(Outcome(Cause.EXPIRED, "device-unreachable", event.detail), now)
        refused = outcomes.of_metadata(self.order, event)
        if refused is not None:
            return self._tell(refused, now)
        if self.paused:
            self._enter(Phase.WAITING, now)
            return NOTHING
        self._enter(Phase.REQUESTED, now)
        return (words.Start(),)

    # --- under way ----------------------------------------------------------------------------------------------------------------------

    def _moved(self, event: words.Fragments, now: float) -> Effects:
        """Counters step back where a node asks again, and the last one may come after the end."""
        if self.phase not in _ASKED_OF_DRIVER or event.total < 1:
            return NOTHING
        first = self.phase is not Phase.MOVING
        if first or event.sent > self._sent:
            self._since = now
        self._sent = max(self._sent, min(event.sent, event.total))
        self._high_water = max(self._high_water, self._size * self._sent // event.total)
        progress = words.Progress(update=self.update, offset=self._high_water, sent=self._sent, total=event.total)
        if not first:
            return (progress,)
        self.phase = Phase.MOVING
        return (*self._advance((Cause.ACCEPTED,), "the node asks for fragments", now), progress)

    def _ended(self, event: words.Ended | words.Refused, now: float) -> Effects:
        if self.phase is Phase.STOPPED:
            self.stopping = False
            return NOTHING
        if self.phase not in _ASKED_OF_DRIVER:
            return NOTHING  # said once already, or by whoever was faster
        if isinstance(event, words.Refused):
            return self._tell(outcomes.of_error(event.number, event.text), now)
        outcome = outcomes.of_status(event.status)
        if self.stopping and outcome.cause not in (Cause.REBOOTED, Cause.TRANSFERRED):
            self.stopping = False
            self._enter(Phase.STOPPED, now)
            return NOTHING
        if outcome.cause is Cause.REBOOTED:
            rest = event.wait * self._patience.share
            return (words.Rest(rest), *self._done(outcome.detail, now, rest=rest))
        if outcome.cause is Cause.TRANSFERRED:
            return self._staged(outcome.detail, now)
        return self._tell(outcome, now)

    def _done(self, detail: str, now: float, *, rest: float) -> Effects:
        self._enter(Phase.OVER, now)
        self._high_water = self._size
        return self._advance((Cause.ACCEPTED, Cause.REBOOTED), detail, now, rest=rest)

    def _staged(self, detail: str, now: float) -> Effects:
        """The node holds the image (status 253). Where nobody holds it back, the word to use it leaves as soon as that is on disk."""
        self._high_water = self._size
        held = self.paused and self.order is not None and not self.order.hold_activation
        if self.foreign or self.paused or (self.order is not None and self.order.hold_activation):
            self._enter(Phase.HELD, now)
            return self._advance((Cause.ACCEPTED, Cause.TRANSFERRED), detail, now, held=held)
        self._enter(Phase.ACTIVATING, now)
        effects = self._advance((Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED), detail, now)
        self._then = (words.Activate(),)
        return effects

    def _activated(self, event: words.Answered, now: float) -> Effects:
        if self.phase is not Phase.ACTIVATING:
            return NOTHING
        self._enter(Phase.USED, now)
        if event.status == outcomes.DONE_RESTARTS:
            return (words.Rest(0.0), *self._advance((Cause.RETURNED,), "the node was told to use the image, and does", now))
        if event.status is None:
            return NOTHING  # it may have restarted at once: its version will tell
        detail = outcomes.ACTIVATION.get(event.status, f"the node answered the order to use the image with status {event.status}")
        return self._tell(Outcome(Cause.LOST, "activation-failed", detail), now)

    # --- nobody saw it end --------------------------------------------------------------------------------------------------------------

    def _lose(self, now: float) -> Effects:
        self._connected = False
        if self.phase is Phase.PREPARING:
            self._enter(Phase.WAITING, now)
        elif self.phase in _ASKED_OF_DRIVER:
            self._enter(Phase.RECALLING, now)
        elif self.phase is Phase.ACTIVATING:
            self._enter(Phase.USED, now)
        self.stopping = False
        return NOTHING

    def _recalled(self, event: words.Running, now: float) -> Effects:
        if self.phase is not Phase.RECALLING:
            return NOTHING
        if event.any and now - self._since < self._patience.recall:
            return NOTHING  # perhaps it is this one: fragments will tell
        self._enter(Phase.READING, now)
        return (words.Prepare(),)

    def _read(self, event: words.Prepared | words.Unprepared, now: float) -> Effects:
        """The driver does not know of the transfer (any more): a node that runs the version has taken it, any other one is asked for nothing."""
        if isinstance(event, words.Unprepared) and now - self._since < self._patience.recall:
            return NOTHING  # it may be restarting; the next tick asks again
        version = event.version if isinstance(event, words.Prepared) else None
        if version is not None and self._brings(version):
            self._enter(Phase.OVER, now)
            return self._advance((Cause.ALREADY_CURRENT,), f"the node tells version {display_version(version)}", now)
        detail = "the driver knows nothing of the transfer any more: it was started again, or the transfer ended while nobody was connected"
        return self._tell(Outcome(Cause.STALLED, "transfer-interrupted", detail), now)

    def _brings(self, version: Version | None) -> bool:
        if self.order is None or self.order.to_version is not None:
            return self.order is None or same_version(version, self.order.to_version)
        before = self.order.from_version  # where nobody knows it, another version proves nothing
        return None not in (version, before) and not same_version(version, before)

    def _slept(self, now: float) -> Effects:
        """What was asked waits in the driver until the node wakes up; what was begun does so, too, and goes on then."""
        if self.phase is not Phase.PREPARING:
            return NOTHING
        return self._tell(Outcome(Cause.EXPIRED, "asleep", "the node sleeps; the update begins when it wakes up"), now)

    def _gone(self, now: float) -> Effects:
        if self.phase in (Phase.HELD, Phase.USED, Phase.OVER, Phase.STOPPED):
            return NOTHING
        cause = Cause.LOST if self.phase is Phase.ACTIVATING else Cause.DECLINED
        return self._tell(Outcome(cause, "device-gone", "the node was removed from the network"), now)

    # --- the end of somebody's patience -------------------------------------------------------------------------------------------------

    def _stopped(self, event: words.Stopped, now: float) -> Effects:
        if not self.stopping:
            return NOTHING
        self.stopping = False
        if event.too_late:
            self._unwanted = False
        elif self.phase is not Phase.OVER:
            self._enter(Phase.STOPPED, now)
        return NOTHING

    def _tick(self, now: float) -> Effects:
        if again := self._telling.again(now):
            return again
        if not self._connected:
            return NOTHING
        if self.phase in (Phase.RECALLING, Phase.READING):
            if now - self._asked_at < self._patience.ask:
                return NOTHING
            self._asked_at = now
            return (words.AskDriver(),) if self.phase is Phase.RECALLING else (words.Prepare(),)
        if self._unready and now - self._asked_at >= self._patience.ask:
            self._unready, self._asked_at = False, now
            return (words.Prepare(),)
        return self._lose_patience(now)

    def _lose_patience(self, now: float) -> Effects:
        spent, patience = now - self._since, self._patience
        if self.phase is Phase.STOPPED and not self.stopping and not self._withdrawn and spent >= patience.repeat:
            return self._tell(Outcome(Cause.CANCELLED, "", _UNWANTED), now)  # whoever wanted that waits no more, or could not write it down
        if self.phase is Phase.REQUESTED and not self._sleepy and spent >= patience.begin:
            return self._give_up(Cause.EXPIRED, f"the driver did not begin within {patience.begin:.0f} s", now)
        if self.phase is Phase.MOVING and spent >= (patience.end if self._high_water >= self._size else patience.silence):
            return self._give_up(Cause.STALLED, f"nothing moved for {spent:.0f} s, and the driver did not end it", now)
        return NOTHING

    def _give_up(self, cause: Cause, detail: str, now: float) -> Effects:
        abort: Effects = () if self.foreign else (words.Abort(),)
        return (*abort, *self._tell(Outcome(cause, "transfer-stalled", detail), now))

    # --- small pieces -------------------------------------------------------------------------------------------------------------------

    @property
    def _size(self) -> int:
        return 0 if self.order is None else len(self.order.image)  # of another program's image nobody knows it

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since, self._asked_at, self._unready = phase, now, now, False

    def _tell(self, outcome: Outcome, now: float) -> Effects:
        """The attempt is over; one of another program is over for good, and so is one that was to be stopped."""
        cause, code, detail = outcome
        if self.foreign and cause in (*_TRIED_AGAIN, Cause.DECLINED):
            cause = Cause.IMAGE_REJECTED
        elif self._unwanted and cause in _TRIED_AGAIN:
            cause, code, detail = Cause.CANCELLED, "", _UNWANTED
        self._withdrawn = self._withdrawn or cause is Cause.CANCELLED
        self._enter(Phase.STOPPED if cause is Cause.CANCELLED else Phase.OVER, now)
        return self._advance((cause,), detail, now, code=code or None)

    def _advance(
        self, causes: tuple[Cause, ...], detail: str, now: float, *, code: str | None = None, held: bool = False, rest: float = 0.0
    ) -> Effects:
        return self._telling.tell(causes, detail, now, offset=self._high_water, held=held, code=code, rest=rest)
