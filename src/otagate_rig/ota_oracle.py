"""The judge inside every simulated OTA client: what the server under test did against ZCL rev 8 chapter 11.

The oracle keeps the requests that the client sent, decides which of them an incoming frame answers, and records whatever a server may not do.
It never decides what the client does next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otagate_rig import ota_commands as ota
from otagate_rig import zcl

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_VIOLATIONS = 1_000
# A page block may come this much earlier than its turn: timers of the server and ours round differently.
SPACING_TOLERANCE = 0.1
# So many blocks of a page may still be under way when its client has its power again.
LATE_BLOCKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that the server may not do; `frame` is the ZCL frame in hex."""

    name: str
    detail: str
    frame: str


@dataclass(slots=True)
class Counters:
    """What a client did and saw. Times are seconds on the device's clock, None before the first block."""

    notifies: int = 0
    queries: int = 0
    block_requests: int = 0
    page_requests: int = 0
    end_requests: int = 0
    frames_again: int = 0  # sent under the sequence number of the frame before
    blocks: int = 0
    blocks_ahead: int = 0  # of a place behind the next byte that was missing
    bytes: int = 0
    bytes_again: int = 0
    waits: int = 0
    aborts: int = 0
    timeouts: int = 0
    mixed: int = 0
    downloads_completed: int = 0
    first_block_at: float | None = None
    last_block_at: float | None = None


class Kind(enum.Enum):
    """The requests of a client."""

    QUERY = "query"
    BLOCK = "block"
    PAGE = "page"
    END = "end"


@dataclass(slots=True, kw_only=True)
class Request:
    """A request that went out: `transmissions` of the same frame, `answers` to it; a page runs from `offset` to `end`."""

    kind: Kind
    command: int
    tsn: int
    sent_at: float
    transmissions: int = 1
    answers: int = 0
    offset: int = 0
    size: int = 0
    end: int = 0
    spacing: float = 0.0
    blocks: int = 0
    cancelled: bool = False
    status: int = zcl.Status.SUCCESS

    @property
    def open(self) -> bool:
        """Whether an answer is still due."""
        return self.answers < self.transmissions


@dataclass(slots=True)
class _Pages:
    running: Request | None = None
    last: Request | None = None
    replaced_by: Request | None = None
    cut_off: Request | None = None  # by a loss of power
    late: int = 0


@dataclass(slots=True)
class Oracle:
    """The requests of one client and the verdicts on what came back; `known` are the images that a server could truly send."""

    known: Mapping[ota.ImageId, bytes] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    requests: dict[int, Request] = field(default_factory=dict)
    aborted: bool = False
    latest: Request | None = None
    _pages: _Pages = field(default_factory=_Pages)
    _left_open: dict[int, Request] = field(default_factory=dict)  # by the last loss of power
    _raw: bytes = b""
    _offer: ota.QueryResponse | None = None

    def hear(self, raw: bytes) -> None:
        """Take `raw` as the frame that the verdicts to come are about."""
        self._raw = raw

    def violate(self, name: str, detail: str = "") -> None:
        """Record a violation by the frame that is being judged."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(name=name, detail=detail, frame=self._raw.hex()))

    def asked(self, request: Request) -> None:
        """Note a request that goes out; the same sequence number again in the same place counts as a repetition."""
        before = self.requests.get(request.tsn)
        if before is not None and before.kind is request.kind and before.offset == request.offset and before is self.latest:
            request.transmissions += before.transmissions
            request.answers = before.answers
        self.requests[request.tsn] = request
        self.latest = request
        self.aborted = False
        if request.kind is Kind.PAGE:
            self.close_page(replaced_by=request)
            self._pages.running = request
        elif self._pages.running is not None:
            self.close_page(replaced_by=request)

    def close_page(self, *, replaced_by: Request | None = None) -> None:
        """Expect no more blocks of the running page: it is complete, timed out or replaced by a new request."""
        pages = self._pages
        if pages.running is not None:
            pages.running.cancelled = replaced_by is not None
            pages.last, pages.running, pages.replaced_by = pages.running, None, replaced_by

    def forget(self) -> None:
        """Drop every open request: the client lost its power. What answers one of them later is under way, and nobody can call it back."""
        self._left_open = {tsn: request for tsn, request in self.requests.items() if request.open}
        self.requests.clear()
        self.latest = None
        self._pages = _Pages(cut_off=self._pages.running or self._pages.last)

    def new_round(self) -> None:
        """Allow the next Query Next Image Response to differ from the last one."""
        self._offer = None

    def judge_header(self, frame: zcl.Frame) -> bool:
        """Judge the header of a frame of the OTA cluster; False where a client must not act on it."""
        if frame.control & 0x03 > 1:
            self.violate("reserved_frame_type", f"frame control 0x{frame.control:02X}")
            return False
        if frame.control & 0xE0:
            self.violate("reserved_bits", f"frame control 0x{frame.control:02X}")
        if frame.manufacturer is not None:
            self.violate("manufacturer_specific", f"manufacturer code 0x{frame.manufacturer:04X}")
            return False
        if not frame.from_server:
            self.violate("wrong_direction", f"command 0x{frame.command:02X}")
            return False
        return True

    def judge_response(self, frame: zcl.Frame, src_ep: int, asked_ep: int) -> None:
        """Judge what every response has in common (§2.4.1.1.4: it disables the Default Response)."""
        if not frame.control & zcl.NO_DEFAULT_RESPONSE:
            self.violate("default_response_enabled", f"command 0x{frame.command:02X}")
        if src_ep != asked_ep:
            self.violate("wrong_endpoint", f"endpoint {src_ep} answers for endpoint {asked_ep}")

    def answered(self, tsn: int, *kinds: Kind) -> Request | None:
        """Return the request of one of `kinds` that sequence number `tsn` answers, or None after recording why there is none."""
        request = self.requests.get(tsn)
        if request is not None and request.kind in kinds:
            request.answers += 1
            if request.kind is Kind.PAGE or request.answers <= request.transmissions:
                return request
            self.violate("two_answers", f"{request.kind.value} request {tsn} answered {request.answers} times")
            return None
        if not self._outlived_client(tsn, kinds):
            self._not_asked(tsn, kinds)
        return None

    def _outlived_client(self, tsn: int, kinds: tuple[Kind, ...]) -> bool:
        """Whether an answer is due to a request that ended with the client's power."""
        request = self._left_open.get(tsn)
        if request is None or request.kind not in kinds or not request.open:
            return False
        request.answers += 1
        return True

    def _not_asked(self, tsn: int, kinds: tuple[Kind, ...]) -> None:
        if self.aborted:
            self.violate("response_after_abort", f"sequence number {tsn}")
        elif self.latest is not None and self.latest.kind in kinds and self.latest.open:
            self.violate("wrong_tsn", f"sequence number {tsn} instead of {self.latest.tsn}")
        else:
            self.violate("unsolicited", f"sequence number {tsn}")

    def block_answered(self, tsn: int, block: ota.Block, now: float) -> Request | None:
        """Return the block or page request that `block` belongs to, or None after recording why there is none."""
        request = self.requests.get(tsn)
        if request is not None and request.kind is Kind.BLOCK and request.open and request.offset == block.offset:
            request.answers += 1
            self._judge_replacement(request)
            return request
        page = self._pages.running
        if self._outlived_page(tsn, block) or self._outlived_power(tsn, block):
            return None
        if page is not None and page.offset <= block.offset < page.end:
            self._judge_page_block(page, now)
            return page
        if self._beyond_page(tsn, block):
            self.violate("page_overrun", f"offset {block.offset} outside of the page")
            return None
        answered = self.answered(tsn, Kind.BLOCK)
        if answered is not None:
            self.violate("wrong_offset", f"{block.offset} instead of {answered.offset}")
        return None

    def _judge_replacement(self, request: Request) -> None:
        # The server answers in order: once it has answered the request that replaced a page, nothing of that page may follow.
        if request is self._pages.replaced_by:
            self._pages.replaced_by = None

    def _judge_page_block(self, page: Request, now: float) -> None:
        self._judge_replacement(page)
        earliest = page.sent_at + page.blocks * page.spacing * (1 - SPACING_TOLERANCE)
        if now < earliest:
            self.violate("page_too_early", f"block {page.blocks} of the page came {earliest - now:.3f} s too early")
        page.blocks += 1
        page.answers = 1

    def _outlived_page(self, tsn: int, block: ota.Block) -> bool:
        """Judge a block of a page that a newer request has replaced; blocks that were under way by then are no offence."""
        last, running = self._pages.last, self._pages.running
        if last is None or not last.offset <= block.offset < last.end or self._answers_block(tsn):
            return False
        if not last.cancelled:
            return last.transmissions > 1
        if tsn != last.tsn and running is not None and running.offset <= block.offset < running.end:
            return False
        if self._pages.replaced_by is None:
            self.violate("page_not_cancelled", f"offset {block.offset} after the answer to a newer request")
        return True

    def _outlived_power(self, tsn: int, block: ota.Block) -> bool:
        """Whether a block belongs to a page that ended with the client's power; nobody can call back what is under way."""
        pages, cut = self._pages, self._pages.cut_off
        if cut is None or tsn != cut.tsn or tsn in self.requests or not cut.offset <= block.offset < cut.end:
            return False
        pages.late += 1
        return pages.late <= LATE_BLOCKS

    def _beyond_page(self, tsn: int, block: ota.Block) -> bool:
        page = self._pages.running or self._pages.last
        return page is not None and not self._answers_block(tsn) and (page is self._pages.running or block.offset >= page.end)

    def _answers_block(self, tsn: int) -> bool:
        return tsn in self.requests and self.requests[tsn].kind is not Kind.PAGE

    def judge_offer(self, response: ota.QueryResponse, manufacturer_code: int, image_type: int) -> bool:
        """Judge a Query Next Image Response; tell whether a client with these ids may take the offer."""
        if self._offer is not None and self._offer != response:
            self.violate("query_answer_changed", f"{response} after {self._offer}")
        self._offer = response
        if response.image is None:
            allowed = (zcl.Status.NOT_AUTHORIZED, zcl.Status.NO_IMAGE_AVAILABLE)
            if response.status not in allowed:
                self.violate("bad_query_status", f"status 0x{response.status:02X}")
            return False
        if response.image.manufacturer_code != manufacturer_code or response.image.image_type != image_type:
            self.violate("offer_for_another", f"{response.image}")
            return False
        if response.size == 0:
            self.violate("empty_offer")
            return False
        known = self.known.get(response.image)
        if known is not None and len(known) != response.size:
            self.violate("wrong_size", f"{response.size} instead of {len(known)}")
        return True

    def judge_block(self, block: ota.Block, request: Request, image: ota.ImageId, size: int) -> bool:
        """Judge a block of the download of `image` with `size` bytes; tell whether its bytes may be stored."""
        if block.image != image:
            self.counters.mixed += 1
            for name in ("manufacturer_code", "image_type", "file_version"):
                if getattr(block.image, name) != getattr(image, name):
                    self.violate("wrong_" + name, f"0x{getattr(block.image, name):X} instead of 0x{getattr(image, name):X}")
            return False
        if not block.data:
            self.violate("zero_bytes_with_success", f"offset {block.offset}")
            return False
        if len(block.data) > request.size:
            self.violate("too_much_data", f"{len(block.data)} bytes where {request.size} were asked for")
            return False
        end = block.offset + len(block.data)
        if end > size:
            self.violate("past_the_end", f"bytes to {end} of {size}")
            return False
        if request.kind is Kind.PAGE and end > request.end:
            self.violate("page_overrun", f"bytes to {end} of a page to {request.end}")
        known = self.known.get(image)
        if known is not None and known[block.offset : end] != block.data:
            self.counters.mixed += 1
            self.violate("wrong_bytes", f"offset {block.offset}")
        return True

    def judge_wait(self, wait: ota.Wait) -> int:
        """Judge a WAIT_FOR_DATA and return the seconds to wait (§11.13.8.5: without a current time the request time is an offset)."""
        if wait.current_time and wait.request_time < wait.current_time:
            self.violate("wait_in_the_past", f"{wait.request_time} at {wait.current_time}")
            return 0
        return wait.request_time - wait.current_time

    def judge_end(self, response: ota.EndResponse, image: ota.ImageId) -> bool:
        """Judge the ids and times of an Upgrade End Response; tell whether it is about `image` (wild cards are)."""
        got = response.image
        fits = (
            got.manufacturer_code in (image.manufacturer_code, ota.ANY_MANUFACTURER)
            and got.image_type in (image.image_type, ota.ANY_IMAGE_TYPE)
            and got.file_version in (image.file_version, ota.ANY_VERSION)
        )
        if not fits:
            self.violate("end_for_another", f"{got} instead of {image}")
        if response.upgrade_time and response.upgrade_time < response.current_time:
            self.violate("upgrade_in_the_past", f"{response.upgrade_time} at {response.current_time}")
        return fits
