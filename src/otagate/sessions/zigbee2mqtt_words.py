"""What zigbee2mqtt tells the session of an update, and what the session wants done: values only."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.ids import UpdateId
from otagate.sessions.effects import Advance
from otagate.sessions.zigbee2mqtt_documents import Answer, UpdateState

# --- what is told -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """The device's state says this of its firmware, now."""

    state: UpdateState


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the order itself."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Fetched:
    """The image was fetched by the address that only this order named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The answer to `Look`: `busy` where something is under way with the device; `version` where the device told it just now."""

    busy: bool
    version: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nobody could be asked: zigbee2mqtt did not answer."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """The order could not be given, for sure: a sentence."""

    detail: str


@dataclass(frozen=True, slots=True)
class Back:
    """The line, or zigbee2mqtt, is up again after it was not: what was told before may have ended unheard."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Told | Answered | Fetched | Looked | Unseen | Unsent | Back | Tick


# --- what is to be done -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Ask zigbee2mqtt to check the device; answer `Looked` or `Unseen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Give the order, once: now, or `scheduled` for when the device asks by itself; nothing is answered but `Unsent` where it did not leave."""

    scheduled: bool
    downgrade: bool


@dataclass(frozen=True, slots=True)
class CallBack:
    """Take back what was scheduled."""


@dataclass(frozen=True, slots=True)
class Sleeps:
    """The device sleeps as far as this update goes: it begins when the device asks, and uses no air until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """So many bytes of the image are at the device."""

    update: UpdateId
    offset: int


Effect = Advance | Progress | Look | Post | CallBack | Sleeps
Effects = tuple[Effect, ...]
NOTHING: Effects = ()
