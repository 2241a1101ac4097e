"""One firmware of one device that its own cloud updates: what the cloud tells goes in, what is to be done comes out.

There is no way to call an order back, and no word of the cloud says whose a job is. So: the order leaves once and only when the cloud's own word,
read just before, allows it; when nobody knows whether it arrived, and after a restart, the cloud is asked what it does and never told again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from otagate.model.clouds import OFFERED, UNDER_WAY, CloudChannel
from otagate.model.errors import NotCancellable
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Delegate
from otagate.model.versions import same_version
from otagate.model.waits import shorter
from otagate.sessions import delegated_words as words
from otagate.sessions.delegated_words import NOTHING, Effects, Event
from otagate.sessions.effects import IN_USE
from otagate.sessions.telling import Telling


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. `look`: between two questions while the cloud is at it; `rest`: while it waits for a device that sleeps, or cannot be asked.

    `moment`: so long an order waits for others that may come with it; `gather`: and for those that are about to be ready. `settle`: so long after the
    order the cloud may still tell what was before it. `recall`: so long it must show no job until there is none. `job`: for the whole job, unless the
    cloud names more time; `sleepy`: of a device that sleeps, and the longest at all. `repeat`: between two tellings of the same.
    """

    look: float = 5.0
    rest: float = 60.0
    moment: float = 1.0
    gather: float = 60.0
    settle: float = 60.0
    recall: float = 120.0
    job: float = 1_800.0
    sleepy: float = 86_400.0
    repeat: float = 5.0
    share: float = 1.0

    def scaled(self, factor: float) -> Patience:
        """The same, `factor` times shorter."""
        return shorter(self, factor)


class Phase(enum.Enum):
    """Where the job stands."""

    LOOKING = enum.auto()  # nothing was ordered
    READY = enum.auto()  # nothing was ordered, and the cloud may be told
    ORDERING = enum.auto()
    RECALLING = enum.auto()  # it may have been ordered: the cloud is asked what it does
    WATCHING = enum.auto()
    STOPPED = enum.auto()  # given up at our word before it was ordered; whoever wanted that says what becomes of the update
    OVER = enum.auto()


_UNTOLD = frozenset({Phase.LOOKING, Phase.READY})
_ASKING = frozenset({Phase.LOOKING, Phase.RECALLING, Phase.WATCHING})
_FINISHED = frozenset({"updated", "failed", "timed_out"})
_BEGUN_ELSEWHERE = "somebody else has just begun an update of it in the cloud"


class Job:
    """The session of one update. Without an `order` it is a job that somebody else began: watched, and nothing else."""

    def __init__(self, update: UpdateId, *, tokens: Iterator[int], patience: Patience, now: float, order: Delegate | None = None) -> None:
        self.update = update
        self.order = order
        self.phase = Phase.WATCHING if order is None else Phase.LOOKING if order.adopted is None else Phase.RECALLING
        self.paused = False
        self._patience = patience
        self._telling = Telling(update, tokens=tokens, repeat=patience.repeat)
        self._look_at: float | None = now  # when the cloud is to be asked; None while it is
        self._moved = order is None  # whether the cloud has shown the job under way
        self._before: int | None = None  # the cloud's number of the state before the order
        self._apart = False  # it was ordered with others, and the cloud refused them all
        self._answered_at = now
        self._spent = 0.0  # seconds of this phase in which the cloud answered
        self._missed = 0.0  # seconds of them in a row in which it showed nothing under way

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it, and everything was heard."""
        return self.phase is Phase.OVER and not self._telling.open

    @property
    def busy(self) -> bool:
        """Whether what the cloud does at this firmware may be this job."""
        return self.phase in (Phase.ORDERING, Phase.RECALLING, Phase.WATCHING)

    def receive(self, event: Event, now: float) -> Effects:
        """Take what was told."""
        match event:
            case words.Seen():
                return self._seen(event, now)
            case words.Unseen():
                return self._unseen(event, now)
            case words.Ordered() | words.NotOrdered():
                return self._answered(event, now) if self.phase is Phase.ORDERING else NOTHING
            case words.Tick():
                return self._tick(now)

    # --- orders -------------------------------------------------------------------------------------------------------------------------

    def pause(self, now: float) -> Effects:
        """What was not ordered is given back to the queue; what was cannot wait."""
        self.paused = True
        if self.phase not in _UNTOLD:
            return NOTHING
        return self._end(Cause.EXPIRED, "nothing was ordered of the cloud yet, and nothing is while this is held", now)

    def lost(self, now: float) -> None:
        """What was asked of the cloud will not be answered any more."""
        if self.phase is Phase.READY:
            self._enter(Phase.LOOKING, now)
        if self.phase is Phase.ORDERING:
            self._enter(Phase.RECALLING, now)
        self._answered_at = self._look_at = now

    def stop(self, now: float) -> None:
        """Give it up before it is ordered. Raises NotCancellable."""
        if self.order is None:
            raise NotCancellable("somebody else began this update, and its cloud knows no way to stop it")
        if self.phase not in _UNTOLD:
            raise NotCancellable("the update was ordered of the device's own cloud, which knows no way to call an order back: it runs to its end")
        self._enter(Phase.STOPPED, now)

    def begins(self, now: float) -> bool:
        """Whether the order leaves now: from here on it may have been carried out. False where it is not wanted any more, or left already."""
        if self.phase is not Phase.READY:
            return False
        self._enter(Phase.ORDERING, now)
        return True

    def forget(self) -> None:
        """What was told and not written down is moot."""
        self._telling.forget()

    def committed(self, token: int) -> None:
        """What was told with this token is on disk."""
        self._telling.committed(token)

    # --- what the cloud tells -----------------------------------------------------------------------------------------------------------

    def _seen(self, event: words.Seen, now: float) -> Effects:
        if self.phase not in _ASKING:
            return NOTHING
        self._spent += now - self._answered_at
        under_way = event.channel is not None and event.channel.status in UNDER_WAY
        self._missed = 0.0 if under_way else self._missed + now - self._answered_at
        self._answered_at = now
        waits = event.channel is not None and event.channel.status == "waiting"
        self._look_at = now + (self._patience.rest if waits else self._patience.look)
        if self.phase is Phase.LOOKING:
            return self._decide(event, now)
        if event.channel is None:
            return self._lost_sight("the cloud does not tell of this firmware any more", now)
        return self._follow(event.channel, sleepy=event.sleepy, now=now)

    def _unseen(self, event: words.Unseen, now: float) -> Effects:
        """Time in which nobody could ask counts for nothing: a job goes on without us."""
        if self.phase not in _ASKING:
            return NOTHING
        if self.phase is Phase.LOOKING:
            return self._end(Cause.EXPIRED, event.detail, now, code=event.code, until=event.until)
        self._answered_at = now
        self._look_at = now + self._patience.rest
        return NOTHING

    # --- before the order ---------------------------------------------------------------------------------------------------------------

    def _decide(self, event: words.Seen, now: float) -> Effects:
        """Order it, if the cloud would do exactly what was decided here."""
        channel, order = event.channel, self.order
        if order is None:
            return NOTHING
        if channel is None:
            return self._end(Cause.DECLINED, f"the cloud tells of no firmware channel {order.component}", now, code="unknown-target")
        if same_version(channel.current_version, order.to_version):
            return self._end(Cause.ALREADY_CURRENT, f"the cloud tells version {channel.current_version}", now)
        if channel.status in UNDER_WAY:
            return self._met_under_way(channel, sleepy=event.sleepy, now=now)
        withheld = _withheld(channel, order)
        if withheld is not None:
            return self._end(Cause.DECLINED, withheld, now, code="no-release")
        if not event.there:
            return self._end(Cause.EXPIRED, "the cloud says that the device is offline", now, code="device-unreachable")
        if channel.blocked is not None:
            return self._end(Cause.EXPIRED, f"the cloud does not update it now: {channel.blocked}", now, code="declined-by-device")
        self._before = channel.raw_status
        self._enter(Phase.READY, now)
        self._look_at = None
        return (words.Start(alone=self._apart),)

    def _met_under_way(self, channel: CloudChannel, *, sleepy: bool, now: float) -> Effects:
        """It runs before it was ordered: somebody else began it, but where the cloud refused an order for several and has begun some all the same."""
        if not self._apart:
            return self._end(Cause.EXPIRED, _BEGUN_ELSEWHERE, now, code=IN_USE)
        self._enter(Phase.RECALLING, now)
        return self._follow(channel, sleepy=sleepy, now=now)

    def _answered(self, event: words.Ordered | words.NotOrdered, now: float) -> Effects:
        self._look_at = now
        if isinstance(event, words.NotOrdered):
            if event.together:
                self._apart = True
                self._enter(Phase.LOOKING, now)
                return NOTHING
            if event.doubt:
                self._enter(Phase.RECALLING, now)
                return NOTHING
            return self._end(Cause.EXPIRED if event.passing else Cause.DECLINED, event.detail, now, code=event.code, until=event.until)
        if event.outcome == "already-running":
            return self._end(Cause.EXPIRED, _BEGUN_ELSEWHERE, now, code=IN_USE)
        if event.outcome == "not-started":
            detail = "the cloud took the order and says that it did not begin; nothing of it is under way"
            return self._end(Cause.DECLINED, detail, now, code="declined-by-device")
        self._enter(Phase.WATCHING, now)
        return self._telling.tell((Cause.ACCEPTED,), "the cloud has begun the update; it cannot be called back", now)

    # --- after the order ----------------------------------------------------------------------------------------------------------------

    def _follow(self, channel: CloudChannel, *, sleepy: bool, now: float) -> Effects:
        """The cloud is at it, or was, or may never have been told."""
        if channel.status in UNDER_WAY:
            return self._under_way(channel, sleepy=sleepy, now=now)
        if self._arrived(channel):
            return self._end((Cause.ACCEPTED, Cause.REBOOTED), "the cloud says that the device has the update", now)
        if channel.status in _FINISHED and self._is_news(channel):
            if channel.status == "updated":
                return self._end((Cause.ACCEPTED, Cause.REBOOTED), "the cloud says that the update is done", now)
            timed_out = channel.status == "timed_out"
            detail = "the cloud says that the device did not finish in time" if timed_out else "the cloud says that the update failed"
            return self._end(Cause.IMAGE_REJECTED, detail, now, code="transfer-stalled" if timed_out else "cloud-update-failed")
        if channel.status == "unknown":
            return self._out_of_time(channel, sleepy=sleepy, now=now)
        return self._lost_sight("the cloud shows no update of it under way", now)

    def _arrived(self, channel: CloudChannel) -> bool:
        return self.order is not None and same_version(channel.current_version, self.order.to_version)

    def _is_news(self, channel: CloudChannel) -> bool:
        """Whether a state in which a job ends is that of this job: what stood there before the order may still stand there for a while."""
        if self.phase is Phase.RECALLING and not self._moved:
            return channel.status != "updated" and channel.raw_status != self._before
        return self._moved or channel.raw_status != self._before or self._spent >= self._patience.settle

    def _under_way(self, channel: CloudChannel, *, sleepy: bool, now: float) -> Effects:
        effects: Effects = NOTHING
        if not self._moved or self.phase is Phase.RECALLING:
            if self.phase is Phase.RECALLING:
                self._enter(Phase.WATCHING, now)
                effects = self._telling.tell((Cause.ACCEPTED,), "the cloud is at the update", now)
            self._moved = True
        if channel.progress is not None:
            effects = (*effects, words.Progress(update=self.update, percent=channel.progress))
        return (*effects, *self._out_of_time(channel, sleepy=sleepy, now=now))

    def _out_of_time(self, channel: CloudChannel, *, sleepy: bool, now: float) -> Effects:
        most = min(max((channel.timeout or 0) * self._patience.share, self._patience.job), self._patience.sleepy)
        if self._spent < (self._patience.sleepy if sleepy or channel.status == "waiting" else most):
            return NOTHING
        detail = f"the cloud has not finished after {self._spent:.0f} s, and its state is {channel.raw_status}; it may go on by itself"
        return self._end(Cause.IMAGE_REJECTED, detail, now, code="transfer-stalled")

    def _lost_sight(self, what: str, now: float) -> Effects:
        if self._missed < self._patience.recall:
            return NOTHING
        detail = f"{what}: whether the order ever arrived is not known, and it is not given again by itself"
        if self._moved:
            detail = f"{what}, and it was never told how it ended"
        return self._end(Cause.IMAGE_REJECTED, detail, now, code="transfer-interrupted")

    # --- small pieces -------------------------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> Effects:
        if again := self._telling.again(now):
            return again
        if self.phase is Phase.STOPPED and not self._telling.open and now - self._answered_at >= self._patience.rest:
            return self._end(Cause.EXPIRED, "it was stopped before it was ordered", now)  # who wanted that could not write it down
        if self.phase not in _ASKING or self._look_at is None or now < self._look_at:
            return NOTHING
        self._look_at = None
        return (words.Look(),)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._answered_at, self._spent, self._missed = phase, now, 0.0, 0.0

    def _end(self, cause: Cause | tuple[Cause, ...], detail: str, now: float, *, code: str | None = None, until: datetime | None = None) -> Effects:
        self._enter(Phase.OVER, now)
        return self._telling.tell(cause if isinstance(cause, tuple) else (cause,), detail, now, code=code, until=until)


def _withheld(channel: CloudChannel, order: Delegate) -> str | None:
    """Why the cloud would not do what was decided on; what is published there need not be offered by it."""
    if order.image is not None:
        return None
    if channel.status not in OFFERED:
        return "the cloud offers no update of it any more"
    if order.to_version is None or same_version(channel.offered_version, order.to_version):
        return None
    offered = "no version that it names" if channel.offered_version is None else f"version {channel.offered_version}"
    return f"the cloud offers {offered} by now, and {order.to_version} was decided on"
