"""What a driver tells a Z-Wave session, and what the session wants done: values only."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.ids import UpdateId
from otagate.model.versions import Version
from otagate.sessions.effects import Advance

# --- what the driver tells ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The node's own word, read now: its Firmware Update Meta Data Report, and the version of the target.

    `activation`: it can be told to use an image that it holds.
    """

    upgradable: bool
    targets: int
    largest_fragment: int | None
    version: Version | None
    activation: bool = False


@dataclass(frozen=True, slots=True)
class Unprepared:
    """The node could not be asked. `passing`: by its driver's fault, and soon it can be."""

    detail: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Fragments:
    """So many fragments of so many were sent."""

    sent: int
    total: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How the transfer ended: the result of the command, or the `finished` event. `wait` in seconds: how long to leave the node alone."""

    status: int
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The driver did not begin: number and text of its error."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The driver can be asked. What it was doing before is not known."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection to the driver is lost; the driver may go on, or be gone."""


@dataclass(frozen=True, slots=True)
class Running:
    """Whether the driver has any transfer under way, to whichever node."""

    any: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """Status of the Activation Status Report; None where the node did not send one."""

    status: int | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """What the driver says to an abort: done, or `too_late`. That the node did not confirm it still ends the transfer."""

    too_late: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The node was removed from the network."""


@dataclass(frozen=True, slots=True)
class Slept:
    """The node sleeps, for sure."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Prepared | Unprepared | Fragments | Ended | Refused | Connected | Lost | Running | Answered | Stopped | Gone | Slept | Tick


# --- what is to be done -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    """Ask the node for its metadata and its version; answer `Prepared` or `Unprepared`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Have the image sent; answer `Ended` or `Refused`."""


@dataclass(frozen=True, slots=True)
class AskDriver:
    """Ask whether anything is under way; answer `Running`."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Break the transfer off; answer `Stopped`."""


@dataclass(frozen=True, slots=True)
class Activate:
    """Tell the node to use the image that it holds; answer `Answered`."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Leave the node alone for so many seconds: it restarts."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The high-water mark rose."""

    update: UpdateId
    offset: int
    sent: int
    total: int


Effect = Advance | Progress | Prepare | Start | AskDriver | Abort | Activate | Rest
Effects = tuple[Effect, ...]
NOTHING: Effects = ()
