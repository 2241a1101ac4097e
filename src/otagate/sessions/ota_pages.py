"""Image Page Requests (ZCL 8, 11.13.7): one request, many blocks, at a spacing that the device asks for or turns out to need."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.sessions.ota_frames import PageRequest

MAX_PAGE = 4_096
"""Largest page that is served, in bytes; a larger one is malformed (the specification sets no bound, and 65,535 is an attack)."""

MAX_PAGE_BLOCKS = 20
"""Most frames that one page request is worth; a client fetches the rest of its page by block requests, as it does after loss."""

_SLOWEST = 0.25
_SLOWER, _FASTER = 1.5, 0.9
_MANY = 4
"""More than one part in so many of a page missed: that is no loss in the air, the device cannot keep up."""


@dataclass(slots=True)
class Page:
    """An Image Page Request being answered: blocks leave from `offset` up to `end`, one each `spacing` seconds."""

    tsn: int
    request: PageRequest
    offset: int
    end: int
    spacing: float
    due: float


def page_of(request: PageRequest, tsn: int, *, size: int, block: int, now: float) -> Page:
    """The page that a request inside an image of `size` is worth in blocks of at most `block`."""
    each = min(request.max_size, block)
    end = min(request.offset + request.page_size, request.offset + MAX_PAGE_BLOCKS * each, size)
    return Page(tsn=tsn, request=request, offset=request.offset, end=end, spacing=request.spacing / 1_000, due=now)


class Pacing:
    """How far apart one device needs the blocks of its pages: learnt from what it asks for again block by block, or by another page."""

    __slots__ = ("_last", "_least", "_missed", "floor")

    def __init__(self, floor: float) -> None:
        """`floor`: seconds that blocks are apart at least, whatever a device asks for."""
        self.floor = self._least = floor
        self._last: Page | None = None
        self._missed = 0

    def asked(self, offset: int, length: int) -> None:
        """The device asks for `length` bytes at `offset`; if they were part of its last page, it has missed them."""
        last = self._last
        if last is not None and last.request.offset <= offset < last.offset:
            self._missed += length

    def begins(self, page: Page) -> None:
        """The next page: what became of the one before says how fast this and later ones may go."""
        last = self._last
        if last is not None:
            self.asked(page.request.offset, last.offset - page.request.offset)
            sent = last.offset - last.request.offset
            if self._missed * _MANY > sent:
                self.floor = min(max(self.floor, last.spacing) * _SLOWER, _SLOWEST)
            elif not self._missed:
                self.floor = max(self.floor * _FASTER, self._least)
        page.spacing = max(page.spacing, self.floor)
        self._last, self._missed = page, 0
