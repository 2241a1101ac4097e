"""One update that zigbee2mqtt carries out with our image: what it tells goes in, what is to be done comes out.

The order leaves once. zigbee2mqtt answers at its end, by the transaction of the order; it forgets a running update when it restarts, and says of none
whose it is. That it works with ours is known by the image being fetched, from an address that only this order names. After a lost connection, and
after a restart of either side, nothing is assumed: it is asked, by a check that it refuses while something is under way with the device; what is
not under way there is over, and only then may the queue order again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from otagate.model.errors import NotCancellable
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Serve
from otagate.model.waits import shorter
from otagate.sessions import zigbee2mqtt_words as words
from otagate.sessions.effects import IN_USE
from otagate.sessions.telling import Telling
from otagate.sessions.zigbee2mqtt_documents import Answer, Failure, UpdateState
from otagate.sessions.zigbee2mqtt_words import NOTHING, Effects, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. `begin`: from the order until the image must be fetched (zigbee2mqtt gives a device 60 s to ask). `quiet`: without a word of a running
    update, whose progress is told every 30 s. `settle`: from the end of a transfer to the answer. `look`: between two questions, `asked`: until
    a question must be answered. `sleepy`: until a device that sleeps must have asked. `repeat`: between two tellings of the same.
    """

    begin: float = 180.0
    quiet: float = 90.0
    settle: float = 150.0
    look: float = 30.0
    asked: float = 100.0
    sleepy: float = 82_800.0
    repeat: float = 5.0

    def scaled(self, factor: float) -> Patience:
        """The same, `factor` times shorter."""
        return shorter(self, factor)


class Phase(enum.Enum):
    """Where the order stands."""

    NEW = enum.auto()  # nothing was ordered
    POSTED = enum.auto()
    SCHEDULED = enum.auto()  # it begins when the device asks
    MOVING = enum.auto()
    DOUBTING = enum.auto()  # it may be under way, or never have arrived: zigbee2mqtt is asked
    REFUSED = enum.auto()  # it had the image and would not give it to the device, which is asked why
    STOPPED = enum.auto()  # called back at our word; whoever wanted that says what becomes of the update
    OVER = enum.auto()


_ASKING = frozenset({Phase.MOVING, Phase.DOUBTING, Phase.REFUSED})


class Delegation:
    """The session of one update. Without an `order` it is one that somebody else began there: watched, and nothing else."""

    def __init__(
        self, update: UpdateId, *, tokens: Iterator[int], patience: Patience, now: float, order: Serve | None = None, sleepy: bool = False
    ) -> None:
        self.update = update
        self.order = order
        self.phase = _first_phase(order)
        self._patience = patience
        self._telling = Telling(update, tokens=tokens, repeat=patience.repeat)
        self._sleepy = sleepy
        self._fetched = self._rival = self._begun = self._landed = False
        self._accepted = order is None or order.adopted == "transferring"
        self._answers = False  # it was ordered for now, and zigbee2mqtt answers when it can be asked again
        self._ending = False  # the transfer has ended as far as its state shows, and the answer is awaited
        self._percent = 0.0
        self._since = self._heard_at = now
        self._look_at: float | None = now if self.phase is Phase.DOUBTING else None  # when to ask
        self._asked_at: float | None = None  # asked and not answered since
        self._reason = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it, and everything was heard."""
        return self.phase is Phase.OVER and not self._telling.open

    @property
    def busy(self) -> bool:
        """Whether what is under way with the device may be this."""
        return self.phase in (Phase.POSTED, Phase.SCHEDULED, Phase.MOVING, Phase.DOUBTING, Phase.REFUSED)

    @property
    def awake(self) -> bool:
        """Whether a device that sleeps has just had its update, and can be asked now what it runs."""
        return self._sleepy and self._landed

    @property
    def untouched(self) -> bool:
        """Whether nothing was asked or ordered yet: an update that waits is shown to every radio, which some devices ask about by themselves."""
        return not self._begun

    @property
    def downgrade(self) -> bool:
        """Whether zigbee2mqtt must be told that the image is older: it refuses it otherwise."""
        order = self.order
        return order is not None and order.allow_downgrade and order.from_version is not None and order.file_version < order.from_version

    def receive(self, event: Event, now: float) -> Effects:
        """Take what was told."""
        if self.phase in (Phase.STOPPED, Phase.OVER):
            return self._telling.again(now) if isinstance(event, words.Tick) else NOTHING
        match event:
            case words.Told():
                return self._state(event.state, now)
            case words.Answered():
                return self._answered(event.answer, now)
            case words.Fetched():
                return self._taken(now)
            case words.Looked():
                return self._looked(event, now)
            case words.Unseen():
                self._asked_at, self._look_at = None, now + self._patience.look
            case words.Unsent():
                return self._end((Cause.EXPIRED,), event.detail, now, code="radio-unavailable")
            case words.Back():
                return self._back(now)
            case words.Tick():
                return self._tick(now)
        return NOTHING

    # --- orders -------------------------------------------------------------------------------------------------------------------------

    def pause(self, now: float) -> Effects:
        """What was not ordered is given back to the queue; zigbee2mqtt knows no pause for what was."""
        if self.phase is not Phase.NEW:
            return NOTHING
        return self._end((Cause.EXPIRED,), "nothing was ordered of zigbee2mqtt yet, and nothing is while this is held", now)

    def stopping(self) -> bool:
        """Whether something is to be called back there before this is cancelled. Raises NotCancellable."""
        if self.phase is Phase.MOVING and (self._ending or self._percent >= 100):
            raise NotCancellable("the device has the whole image and uses it now")
        return self.busy

    def stopped(self, now: float) -> None:
        """It was called back, or there was nothing to call back."""
        if self.phase is not Phase.OVER:
            self._enter(Phase.STOPPED, now)

    def forget(self) -> None:
        """What was told and not written down is moot."""
        self._telling.forget()

    def committed(self, token: int) -> None:
        """What was told with this token is on disk."""
        self._telling.committed(token)

    # --- what zigbee2mqtt tells -----------------------------------------------------------------------------------------------------------

    def _state(self, state: UpdateState, now: float) -> Effects:
        if state.stage == "updating":
            return self._updating(state, now)
        if self.phase is not Phase.MOVING:
            return NOTHING
        if state.stage == "scheduled":
            detail = "the attempt of zigbee2mqtt failed, and it would wait for the device to ask again: the next one is ordered from here"
            return (words.CallBack(), *self._end((Cause.STALLED,), detail, now, code="transfer-stalled"))
        if self.order is not None and state.installed == self.order.file_version and self._sleepy and not self._answers:
            return self._arrived("zigbee2mqtt says that the device has the image", now)  # what was scheduled is never answered
        self._ending, self._heard_at = True, now  # an answer follows: at the end of the device's restart, at once where it failed
        return NOTHING

    def _updating(self, state: UpdateState, now: float) -> Effects:
        """Something moves. What was ordered just now is not it, unless its image was fetched."""
        if self.phase in (Phase.POSTED, Phase.SCHEDULED) and not self._fetched:
            self._rival = True
            return NOTHING
        self._heard_at, self._look_at, self._ending = now, None, False
        self._percent = state.progress or self._percent
        told = self._moves(now)
        if self.order is None or state.progress is None:
            return told
        return (*told, words.Progress(update=self.update, offset=int(len(self.order.image) * state.progress / 100)))

    def _taken(self, now: float) -> Effects:
        """The image was fetched: by a device that was scheduled and has asked, though nobody says that anything moves if it fails at once."""
        self._fetched, self._heard_at = True, now
        return self._moves(now) if self.phase is Phase.SCHEDULED else NOTHING

    def _moves(self, now: float) -> Effects:
        if self.phase is not Phase.MOVING:
            self._enter(Phase.MOVING, now)
        if self._accepted:
            return NOTHING
        self._accepted = True
        return self._advance((Cause.ACCEPTED,), "zigbee2mqtt has fetched the image and brings it to the device; that cannot be paused", now)

    def _answered(self, answer: Answer, now: float) -> Effects:
        if answer.failure is None:
            if self.phase is Phase.SCHEDULED:
                return (words.Sleeps(),)
            return self._arrived("zigbee2mqtt says that the update is done", now)
        said = f"zigbee2mqtt: {answer.error}"
        match answer.failure:
            case "busy":  # somebody else's, or this very order that the broker has brought twice: the image being fetched tells
                self._rival = True
                return NOTHING
            case "silent" if self._sleepy and self.phase is Phase.POSTED:
                self._answers = False
                self._enter(Phase.SCHEDULED, now)
                return (words.Post(scheduled=True, downgrade=self.downgrade),)
            case "image" if self._fetched:
                self._enter(Phase.REFUSED, now)
                self._reason, self._look_at = said, now
                return NOTHING
        cause, detail, code = _verdict(answer.failure, said)
        return self._end((cause,), detail, now, code=code)

    def _looked(self, event: words.Looked, now: float) -> Effects:
        """What a check came to; one that is refused because something is under way is an answer too."""
        self._asked_at, self._look_at, self._heard_at = None, None, now
        if event.busy:
            self._ending = False
            return self._moves(now) if self.phase is Phase.DOUBTING else NOTHING
        there = self.order is not None and event.version == self.order.file_version
        match self.phase:
            case Phase.REFUSED if there:
                return self._end((Cause.ALREADY_CURRENT,), "the device runs it already", now)
            case Phase.REFUSED:
                return self._end((Cause.DECLINED,), f"zigbee2mqtt does not give it to the device. {self._reason}", now, code="declined-by-device")
            case Phase.MOVING | Phase.DOUBTING if there or (self.order is None and self._ending):
                return self._arrived("nothing is under way any more, and the device tells the new version" if there else "it has ended there", now)
            case Phase.MOVING | Phase.DOUBTING:
                detail = "zigbee2mqtt has nothing under way with the device any more, and nobody heard how it ended"
                ended = self._end((Cause.STALLED,), f"{detail}: {event.detail}" if event.detail else detail, now, code="transfer-interrupted")
                return (words.CallBack(), *ended) if self._sleepy else ended
        return NOTHING

    def _back(self, now: float) -> Effects:
        match self.phase:
            case Phase.POSTED:
                self._enter(Phase.DOUBTING, now)
                self._look_at = now
            case Phase.SCHEDULED:  # whether it still knows of it cannot be asked: it is called back, and the queue orders anew
                detail = "zigbee2mqtt was away, and may have forgotten what was scheduled: it is called back"
                return (words.CallBack(), *self._end((Cause.EXPIRED,), detail, now))
            case Phase.MOVING | Phase.DOUBTING | Phase.REFUSED:
                self._asked_at, self._look_at = None, now
        self._answers = False  # whoever answers may have forgotten it, or have answered unheard
        return NOTHING

    def _arrived(self, detail: str, now: float) -> Effects:
        self._landed = True
        causes = (Cause.REBOOTED,) if self._accepted else (Cause.ACCEPTED, Cause.REBOOTED)
        return self._end(causes, detail, now)

    # --- time ---------------------------------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> Effects:
        told, patience = self._telling.again(now), self._patience
        match self.phase:
            case Phase.NEW if self.order is not None and self.order.hold_activation and not self.order.released:
                detail = "zigbee2mqtt has a device use an image as soon as it has it, and this one was to be held back"
                return self._end((Cause.DECLINED,), detail, now, code="not-on-this-radio")
            case Phase.NEW:
                self._begun = self._answers = True
                self._enter(Phase.POSTED, now)
                return (*told, words.Post(scheduled=False, downgrade=self.downgrade))
            case Phase.POSTED if now - self._since >= patience.begin and self._rival and not self._fetched:
                return self._end((Cause.EXPIRED,), "zigbee2mqtt updates the device already, and nobody here ordered that", now, code=IN_USE)
            case Phase.POSTED if now - max(self._since, self._heard_at) >= patience.begin:
                self._enter(Phase.DOUBTING, now)
                self._look_at = now
            case Phase.SCHEDULED if now - self._since >= patience.sleepy:
                detail = f"the device slept for {patience.sleepy / 3600:.0f} h without asking what there is for it"
                return (words.CallBack(), *self._end((Cause.EXPIRED,), detail, now))
            case Phase.MOVING if self._quiet(now):
                self._look_at = now
        if self.phase in _ASKING and self._look_at is not None and now >= self._look_at:
            self._begun, self._look_at, self._asked_at = True, None, now
            return (*told, words.Look())
        return told

    def _quiet(self, now: float) -> bool:
        """Whether nothing was heard for so long that it must be asked."""
        bound = self._patience.settle if self._ending else self._patience.quiet
        waits = self._asked_at is not None and now - self._asked_at < self._patience.asked
        return self._look_at is None and not waits and now - self._heard_at >= bound

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since, self._heard_at = phase, now, now

    def _end(self, causes: tuple[Cause, ...], detail: str, now: float, *, code: str | None = None) -> Effects:
        self._enter(Phase.OVER, now)
        return self._advance(causes, detail, now, code=code)

    def _advance(self, causes: tuple[Cause, ...], detail: str, now: float, *, code: str | None = None) -> Effects:
        offset = 0 if self.order is None or Cause.REBOOTED not in causes else len(self.order.image)
        return self._telling.tell(causes, detail, now, code=code, offset=offset)


def _first_phase(order: Serve | None) -> Phase:
    if order is None:
        return Phase.MOVING
    match order.adopted:
        case None:
            return Phase.NEW
        case "offering" | "transferring":
            return Phase.DOUBTING
    return Phase.OVER  # the device restarts with the image, or has: the course reads what it runs


def _verdict(failure: Failure, said: str) -> tuple[Cause, str, str]:
    """What an order that failed comes to, for people, and what that is called."""
    match failure:
        case "silent":
            return Cause.EXPIRED, f"the device did not ask for the image. {said}", "device-unreachable"
        case "unknown":
            return Cause.DECLINED, said, "unknown-device"
        case "image":
            why = "does `images_url` of the radio lead from there to this hub?"
            return Cause.EXPIRED, f"zigbee2mqtt did not fetch the image: {why} {said}", "radio-error"
        case "refused" if "INVALID_IMAGE" in said:
            return Cause.IMAGE_REJECTED, f"the device rejected the image. {said}", "image-rejected-by-device"
        case "refused":
            return Cause.ABORTED_BY_DEVICE, f"the device ended the upgrade. {said}", "transfer-aborted"
        case "aborted":
            return Cause.STALLED, f"somebody aborted it in zigbee2mqtt. {said}", "transfer-aborted"
        case "stalled":
            return Cause.STALLED, f"the device stopped asking for data. {said}", "transfer-stalled"
    return Cause.STALLED, said, "radio-error"
