"""One image on its way to one component: the record that the OTA server session moves. Offsets and sizes in bytes, times on the session's clock."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from otagate.model.orders import Serve
from otagate.model.waits import shorter
from otagate.sessions.effects import Advance
from otagate.sessions.ota_frames import WAIT_FOR_COMMAND, BlockRequest, EndRequest, PageRequest, QueryRequest, end_response
from otagate.sessions.ota_notify import Offered
from otagate.sessions.ota_pages import Page

FALSE_QUERIES = 3
"""So many queries for something else, and none for what is offered, are no accident: the device is another than it told."""

_NEVER = float("-inf")
_SENT_FACTOR = 3
_SENT_SLACK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds. `scaled` makes all of it shorter for simulated hardware that lives faster.

    `rejoin`: for a device in mid-download that an earlier life of the hub served, and may have told to wait for a minute, or until a minute after its
    radio is back: a notify before would make it begin anew.
    """

    notify_every: float = 20.0
    notify_limit: int = 5
    offer: float = 120.0
    offer_sleepy: float = 900.0
    silence_notify: float = 30.0
    rejoin: float = 120.0
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
        return shorter(self, factor, keep={"notify_limit", "wait_for_data", "page_floor", "commit"})


class Phase(enum.Enum):
    """Where the conversation stands; finer than the lifecycle where the protocol is."""

    OFFERED = "offered"
    SERVING = "serving"
    HELD = "held"  # on the device, Upgrade End Response said wait
    INCOMPLETE = "incomplete"  # REQUIRE_MORE_IMAGE: another image of this device must follow
    ACTIVATED = "activated"  # the device was told to use it; lingering, because that answer may be lost
    OVER = "over"  # declined, rejected or not needed; until the engine withdraws it


def first_phase(order: Serve) -> Phase:
    """Where the conversation about an order begins, or goes on where it was adopted."""
    match order.adopted:
        case "transferring":
            return Phase.SERVING
        case "staged":
            return Phase.HELD if order.hold_activation else Phase.INCOMPLETE  # what is staged and not held waits for another image
        case "activating":
            return Phase.ACTIVATED
    return Phase.OFFERED


@dataclass(slots=True)
class Pending:
    """Something told that is not yet durable. `phase` is entered when its token comes back; told again until then."""

    advance: Advance
    phase: Phase | None
    told: float


@dataclass(slots=True)
class Transfer:
    """The state of one served image."""

    order: Serve
    phase: Phase
    since: float  # when the offer began
    heard: float  # the last request for this image
    moved: float  # the last request that brought it forward
    size: int = 0
    high_water: int = 0
    reached: int = 0  # end of the furthest block that was handed out
    expected: int = 0  # end of the latest block that was handed out
    sent: int = 0
    parked_at: float | None = None
    paused: bool = False
    away: float | None = None  # seconds: the radio goes away for so long
    dismissed: bool = False  # and the device has been told so, and did not ask since
    released: bool = False  # the device may use the image as soon as it asks
    back_at: float = _NEVER  # until when the device was told to wait
    notified: float | None = None
    notifies: int = 0
    others: list[QueryRequest] = field(default_factory=list)  # queries for something else while this was offered, few of them
    knocked: float = _NEVER
    page: Page | None = None
    pending: Pending | None = None
    unanswered: bytes | None = None  # the newest request that waits for a commit or for its turn
    unanswered_at: float = _NEVER
    begun: bool = False  # the device may hold a part of this very image, and of no other file
    strayed: int | None = None  # where it went on with a file of which nothing came from here

    def __post_init__(self) -> None:
        self.size = len(self.order.image)
        self.released = self.order.released
        self.begun = self.order.begun or self.order.adopted in ("transferring", "staged", "activating")

    def matches(self, request: BlockRequest | PageRequest | EndRequest) -> bool:
        """Whether a request for this image type names exactly the image that is pinned here."""
        order = self.order
        return request.file_version == order.file_version and request.manufacturer_code == order.manufacturer_code

    @property
    def open(self) -> bool:
        """Whether blocks are simply served."""
        return self.phase is Phase.SERVING and self.pending is None and self.parked_at is None and not self.paused and self.away is None

    @property
    def offered(self) -> Offered:
        """What a notify names it by."""
        return Offered(self.order.manufacturer_code, self.order.image_type, self.order.file_version)

    @property
    def waiting(self) -> bool:
        """Whether nothing but the device's next request is awaited."""
        return self.pending is None and self.parked_at is None and not self.paused and self.away is None

    @property
    def complete(self) -> bool:
        """Whether the last byte was handed out; after an adoption that may have been in an earlier life."""
        return self.reached >= self.size or self.phase in (Phase.HELD, Phase.INCOMPLETE, Phase.ACTIVATED) or self.order.adopted == "transferring"

    @property
    def sated(self) -> bool:
        """Whether the device had its share: three times the image and a little."""
        return self.sent > _SENT_FACTOR * self.size + _SENT_SLACK

    def goes_on_from(self, before: Transfer) -> bool:
        """Whether an earlier attempt at this update had the same image; then what the device got from it is a part of this one."""
        if before.order.digest != self.order.digest:
            self.begun = False
            return False
        self.high_water, self.reached, self.begun = before.high_water, before.reached, self.begun or before.begun
        return True

    def cut(self, offset: int, length: int) -> memoryview:
        """Hand out at most `length` bytes at `offset`, which lies inside the image."""
        self.begun = True
        end = min(offset + length, self.size)
        self.sent += end - offset
        self.expected = end
        if end > self.reached:
            self.reached = end
        return self.order.image[offset:end]

    def asked_for_another(self, request: QueryRequest) -> None:
        """The device asks for an image that nobody offers."""
        if self.phase is Phase.OFFERED and len(self.others) < FALSE_QUERIES:
            self.others.append(request)

    def keep(self, frame: bytes, now: float) -> None:
        """Keep a request that cannot be answered yet; only the newest counts, because a device that asks again has given up the one before."""
        self.unanswered, self.unanswered_at = frame, now

    def take_unanswered(self) -> bytes | None:
        """The request that waits for an answer, once."""
        frame, self.unanswered = self.unanswered, None
        return frame

    def begin_again(self, now: float) -> None:
        """Count every patience from `now`."""
        self.since = self.heard = self.moved = now
        self.notifies = 0
        self.others.clear()

    def park(self, now: float) -> None:
        """Serve no more for now; the image stays pinned."""
        self.page = None
        if self.parked_at is None:
            self.parked_at = now

    def end_response(self, tsn: int, *, hold: bool = False) -> bytes:
        """The Upgrade End Response of this phase: hold the image, or use it now."""
        order = self.order
        return end_response(
            tsn,
            manufacturer_code=order.manufacturer_code,
            image_type=order.image_type,
            file_version=order.file_version,
            upgrade_time=WAIT_FOR_COMMAND if hold or self.phase is Phase.HELD else 0,
        )
