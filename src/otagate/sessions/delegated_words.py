"""What the cloud of a device tells a session, and what the session wants done: values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otagate.model.clouds import CloudChannel, Started
from otagate.model.ids import UpdateId
from otagate.sessions.effects import Advance

# --- what is told -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The cloud's word, read now. `channel` is None where it tells of none such; `there`: the device can be reached, or need not be."""

    channel: CloudChannel | None
    there: bool = True
    sleepy: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """The cloud could not be asked: a sentence, the code of the error, and until when there is no use in asking."""

    detail: str
    code: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ordered:
    """The cloud's answer to the order."""

    outcome: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOrdered:
    """The order failed. `doubt`: nobody knows whether it arrived. `passing`: the same order may be taken later, not before `until`.

    `together`: the cloud refused it for several devices at once, of which another one may be the reason.
    """

    detail: str
    code: str
    doubt: bool = False
    passing: bool = False
    together: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Seen | Unseen | Ordered | NotOrdered | Tick


# --- what is to be done -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the cloud about the device; answer `Seen` or `Unseen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Order the update, once: with others, unless `alone`, and only if `Job.begins` at that moment; answer `Ordered` or `NotOrdered`."""

    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many percent are done."""

    update: UpdateId
    percent: int


Effect = Advance | Progress | Look | Start
Effects = tuple[Effect, ...]
NOTHING: Effects = ()
