"""The download of one image by an OTA client: blocks, pages, waits, retries and what becomes of the bytes (ZCL rev 8 §11.13.6 to §11.13.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otagate_rig import ota_commands as ota
from otagate_rig.ota_commands import Command
from otagate_rig.ota_oracle import Kind
from otagate_rig.ota_wire import Phase, PowerCut
from otagate_rig.zcl import MalformedError, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from otagate_rig.ota_oracle import Request
    from otagate_rig.ota_wire import Wire
    from otagate_rig.zcl import Frame


@dataclass(slots=True)
class Download:
    """An image on its way: everything before `offset` has come, and of the running page the pieces in `ahead` (offset to end)."""

    image: ota.ImageId
    size: int
    data: bytearray
    offset: int = 0
    ahead: dict[int, int] = field(default_factory=dict)
    asked_past_the_end: bool = False
    asked_for_the_tail: bool = False

    @property
    def complete(self) -> bool:
        """Whether every byte has come."""
        return self.offset == self.size

    def store(self, block: ota.Block) -> int:
        """Keep the bytes of `block` and return how many of them were new."""
        end = block.offset + len(block.data)
        again = max(0, min(end, self.offset) - block.offset)
        if self.ahead.get(block.offset, 0) >= end:
            again = len(block.data)
        self.data[block.offset : end] = block.data
        if block.offset <= self.offset:
            self.offset = max(self.offset, end)
        else:
            self.ahead[block.offset] = end
        while self.ahead and (start := min(self.ahead)) <= self.offset:
            self.offset = max(self.offset, self.ahead.pop(start))
        return len(block.data) - again

    def differs(self, block: ota.Block) -> bool:
        """Whether `block` brings other bytes than those that came before for the same place."""
        known = min(block.offset + len(block.data), self.offset)
        if known <= block.offset:
            return False
        return self.data[block.offset : known] != block.data[: known - block.offset]

    def restart(self) -> None:
        """Forget how far it got."""
        self.offset = 0
        self.ahead.clear()


class Downloader:
    """Fetches one image at a time; tells `finished` when it is complete and `gave_up` when it asks no longer, with the status to report if any."""

    def __init__(self, wire: Wire, *, finished: Callable[[float], None], gave_up: Callable[[Status | None, float], None]) -> None:
        self.wire = wire
        self.oracle = wire.oracle
        self.behaviours = wire.spec.behaviours
        self.current: Download | None = None
        self.block_period = self.behaviours.min_block_period
        self._finished = finished
        self._gave_up = gave_up
        self._retries = 0
        self._sizes = 0
        self._page: Request | None = None
        self._cuts = sorted(self.behaviours.power_cut_at, reverse=True)
        self._stalls = sorted(self.behaviours.stalls_at, reverse=True)
        self._endings = sorted(self.behaviours.gives_up_at, reverse=True)
        self._deaf_until = float("-inf")

    def start(self, image: ota.ImageId, size: int, now: float) -> None:
        """Fetch `image`; go on where an earlier download of the same image ended."""
        current = self.current
        if current is None or current.image != image or current.size != size:
            self.current = Download(image, size, bytearray(size))
        self.resume(now)

    def resume(self, now: float) -> None:
        """Ask for the next byte that is missing."""
        self._retries = 0
        self._page = None
        self.wire.phase = Phase.DOWNLOADING
        if self.current is not None and self.current.complete:
            self._finished(now)
        else:
            self._ask(now)

    def power_lost(self) -> None:
        """Keep what is in flash, or not even that."""
        self._page = None
        if self.current is not None:
            self.current.ahead.clear()
            if not self.behaviours.keeps_offset:
                self.current.restart()

    # Requests

    def _ask(self, now: float, *, again: bool = False) -> None:
        download = self.current
        if download is None:
            return
        self.wire.phase = Phase.DOWNLOADING
        if self.behaviours.page_size and not again and not download.ahead:
            self._ask_page(download, now)
        else:
            self._ask_block(download, now, again=again)
        self.wire.at(now + self.wire.spec.request_timeout, self._timed_out)

    def _ask_block(self, download: Download, now: float, *, again: bool) -> None:
        size = self._block_size()
        if download.ahead:
            size = min(size, min(download.ahead) - download.offset)
        offset = self._next_offset(download, size)
        node = self.wire.spec.ieee if self.behaviours.request_node_address else None
        payload = ota.block_request(download.image, offset, size, node, self.block_period)
        request = self.wire.ask(Kind.BLOCK, Command.IMAGE_BLOCK_REQUEST, payload, now, again=again)
        request.offset, request.size = offset, size
        self.oracle.asked(request)
        self.oracle.counters.block_requests += 1

    def _next_offset(self, download: Download, size: int) -> int:
        if download.ahead:
            return download.offset
        if self.behaviours.tail_first and not download.asked_for_the_tail and download.size > size:
            return download.size - size
        if self.behaviours.out_of_order and download.offset + 2 * size <= download.size:
            return download.offset + size
        return download.offset

    def _ask_page(self, download: Download, now: float) -> None:
        size = self._block_size()
        spacing = self.behaviours.page_spacing
        node = self.wire.spec.ieee if self.behaviours.request_node_address else None
        payload = ota.page_request(download.image, download.offset, size, self.behaviours.page_size, spacing, node)
        request = self.wire.ask(Kind.PAGE, Command.IMAGE_PAGE_REQUEST, payload, now)
        request.offset, request.size = download.offset, size
        request.end = min(download.offset + self.behaviours.page_size, download.size)
        request.spacing = spacing / 1000 * self.wire.server_second
        self.oracle.asked(request)
        self.oracle.counters.page_requests += 1
        self._page = request

    def _block_size(self) -> int:
        sizes = self.behaviours.block_sizes
        if not sizes:
            return self.wire.spec.max_data_size
        self._sizes += 1
        return sizes[(self._sizes - 1) % len(sizes)]

    def _timed_out(self, now: float) -> None:
        self.oracle.counters.timeouts += 1
        if self.current is not None and self.current.complete:
            self._finished(now)
        else:
            self._retry(now)

    def _retry(self, now: float) -> None:
        self._page = None
        if self.current is not None and self.behaviours.forgets_after_timeout:
            self.current.restart()
        self._retries += 1
        if self._retries > self.wire.spec.request_retries:
            self._gave_up(None, now)
        else:
            self._ask(now, again=True)

    # Answers

    def block_response(self, frame: Frame, now: float) -> Status:
        """Take an Image Block Response."""
        if now < self._deaf_until:
            return Status.SUCCESS
        try:
            answer = ota.read_block_response(frame.payload)
        except MalformedError as error:
            self.oracle.violate("malformed", str(error))
            return Status.MALFORMED_COMMAND
        if isinstance(answer, ota.Block):
            if self.behaviours.chokes_above is None or len(answer.data) <= self.behaviours.chokes_above:
                self._block(frame.tsn, answer, now)
        elif self._answers(frame.tsn):
            if isinstance(answer, ota.Wait):
                self._wait(answer, now)
            else:
                self._refused(answer, now)
        return Status.SUCCESS

    def _answers(self, tsn: int) -> bool:
        # Within a page every block has a sequence number of its own, so a refusal amid it may have one too.
        if self._page is not None and self.oracle.requests.get(tsn) is not self._page:
            return True
        return self.oracle.answered(tsn, Kind.BLOCK, Kind.PAGE) is not None and self.wire.phase is Phase.DOWNLOADING

    def refused(self, request: Request, now: float) -> None:
        """Take a Default Response with an error status to a block or page request."""
        if self.current is None or self.wire.phase is not Phase.DOWNLOADING or request is not self.oracle.latest:
            return
        if self.current.complete:
            self._finished(now)
        elif request.kind is Kind.PAGE:
            # §11.13.7.4: a server without page requests is asked block by block.
            self._page = None
            self._ask(now, again=True)
        else:
            self.wire.at(now + self.wire.spec.request_timeout, self._retry)

    def _block(self, tsn: int, block: ota.Block, now: float) -> None:
        request = self.oracle.block_answered(tsn, block, now)
        download = self.current
        if request is None or download is None:
            return
        if not self.oracle.judge_block(block, request, download.image, download.size):
            return
        if download.differs(block):
            self.oracle.violate("bytes_changed", f"offset {block.offset}")
        counters = self.oracle.counters
        counters.blocks += 1
        counters.first_block_at = now if counters.first_block_at is None else counters.first_block_at
        counters.last_block_at = now
        counters.blocks_ahead += block.offset > download.offset
        new = download.store(block)
        download.asked_for_the_tail = True
        counters.bytes += new
        counters.bytes_again += len(block.data) - new
        if new and self.wire.phase is Phase.DOWNLOADING:
            self._retries = 0
            if self.behaviours.refuses_short_blocks and len(block.data) < request.size and not download.complete:
                self._gave_up(Status.INVALID_IMAGE, now)
            else:
                self._proceed(download, now)

    def _proceed(self, download: Download, now: float) -> None:
        if self._interrupted(download, now):
            return
        page = self._page
        if page is not None:
            middle = page.offset + (page.end - page.offset) // 2
            if download.offset < page.end and not (self.behaviours.page_cancels and download.offset >= middle):
                self.wire.at(now + self.wire.spec.request_timeout, self._timed_out)
                return
            if download.offset >= page.end:
                self.oracle.close_page()
            self._page = None
        if download.complete and not self._wants_overrun(download):
            self.wire.rest()
            self._finished(now)
            return
        self._pace(now)

    def _wants_overrun(self, download: Download) -> bool:
        wants = self.behaviours.overrun and not download.asked_past_the_end
        download.asked_past_the_end = True
        return wants

    def _pace(self, now: float) -> None:
        period = (self.block_period or 0) * self.behaviours.block_period_unit
        next_at = max(now + self.wire.spec.turnaround, self.wire.last_sent + period)
        if next_at > now:
            self.wire.at(next_at, self._ask)
        else:
            self._ask(now)

    def _interrupted(self, download: Download, now: float) -> bool:
        share = download.offset / download.size
        if self._cuts and share >= self._cuts[-1]:
            self._cuts.pop()
            self.wire.out.append(PowerCut(self.behaviours.power_cut_seconds))
            return True
        if self._stalls and share >= self._stalls[-1]:
            self._stalls.pop()
            self._page = None
            self._deaf_until = now + self.behaviours.stall_seconds
            self.wire.at(now + self.behaviours.stall_seconds, self._ask)
            return True
        if self._endings and share >= self._endings[-1]:
            self._endings.pop()
            self._gave_up(Status.ABORT, now)
            return True
        return False

    def _wait(self, wait: ota.Wait, now: float) -> None:
        self.oracle.counters.waits += 1
        self._retries = 0
        self._page = None
        self.oracle.close_page()
        if self.block_period is not None and wait.block_period:
            self.block_period = wait.block_period
        seconds = self.oracle.judge_wait(wait) * self.wire.server_second
        self.wire.phase = Phase.WAITING
        self.wire.at(now + seconds, self._pace)

    def _refused(self, refusal: ota.Refusal, now: float) -> None:
        if refusal.status != Status.ABORT:
            self.oracle.violate("bad_block_status", f"status 0x{refusal.status:02X}")
            if self.oracle.latest is not None:
                self.refused(self.oracle.latest, now)
            return
        self.oracle.counters.aborts += 1
        self.oracle.aborted = True
        self._page = None
        self.oracle.close_page()
        self._gave_up(None, now)
