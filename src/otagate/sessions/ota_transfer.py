"""One image on its way to one component: the record that the OTA server session moves, and its times."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from otagate.model.orders import Serve
from otagate.sessions.ota_frames import BlockRequest, PageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds. `scaled` makes all of it shorter for simulated hardware that lives faster."""

    notify_every: float = 20.0
    notify_limit: int = 5
    offer: float = 120.0
    offer_sleepy: float = 7 * 86_400.0
    silence_notify: float = 30.0
    block: float = 300.0
    block_sleepy: float = 3_600.0
    end: float = 180.0
    end_sleepy: float = 3_600.0
    commit: float = 10.0
    wait_for_data: float = 60.0
    knock_every: float = 5.0
    asked_every: float = 10.0
    page_floor: float = 0.007

    def scaled(self, factor: float) -> Patience:
        """The same patience, `factor` times shorter; counts and the waits that a device is told in whole seconds stay."""
        keep = {"notify_limit", "wait_for_data", "page_floor", "commit"}
        return Patience(**{name: getattr(self, name) if name in keep else getattr(self, name) / factor for name in self.__slots__})


class Phase(enum.Enum):
    """Where the conversation stands; finer than the lifecycle where the protocol is."""

    OFFERED = "offered"
    SERVING = "serving"
    HELD = "held"  # on the device, Upgrade End Response said wait
    INCOMPLETE = "incomplete"  # REQUIRE_MORE_IMAGE: another image of this device must follow
    ACTIVATED = "activated"  # the device was told to use it; lingering, because that answer may be lost


@dataclass(slots=True)
class Page:
    """An Image Page Request being answered: blocks leave from `offset` up to `end`, one each `spacing` seconds."""

    tsn: int
    request: PageRequest
    offset: int
    end: int
    spacing: float
    due: float


@dataclass(slots=True)
class Pending:
    """An answer that waits for a commit. `frame` leaves, and `phase` is entered, when the token comes back."""

    token: int
    frame: bytes | None
    phase: Phase | None
    since: float


@dataclass(slots=True)
class Transfer:
    """The state of one served image. Offsets and sizes in bytes, times on the session's clock."""

    order: Serve
    phase: Phase
    since: float
    size: int
    heard: float
    high_water: int = 0
    reached: int = 0  # end of the furthest block that was handed out
    sent: int = 0
    parked: bool = False
    paused: bool = False
    notified: float | None = None
    notifies: int = 0
    knocked: float = float("-inf")
    page: Page | None = None
    pending: Pending | None = None
    stashed_query: bytes | None = None
    stashed_at: float = float("-inf")
    period_told: int | None = field(default=None)

    def matches(self, request: BlockRequest | PageRequest) -> bool:
        """Whether a request names exactly the image that is pinned here."""
        order = self.order
        return request.file_version == order.file_version and request.manufacturer_code == order.manufacturer_code
