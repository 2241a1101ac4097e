"""Which images stay: what a device proved lately is kept to go back to; what a service brought and offers no more goes after a while."""

from __future__ import annotations

from datetime import timedelta

import structlog

from otagate.engine.library import KEPT, Library
from otagate.engine.offers import Offers
from otagate.model.errors import NotInState
from otagate.model.ids import ComponentId, DeviceId, Sha256
from otagate.model.images import Image
from otagate.model.lifecycle import State
from otagate.ports import Clock, Store

LOG = structlog.get_logger("otagate.keeping")

_ACTOR = "upkeep"
_PAGE = 500
_MOST = 20_000
"""Updates that succeeded which are looked at, the newest."""

_OLD = timedelta(days=30)
"""So long an image stays at least that was fetched from a service."""


class Keeping:
    """`most`: so many images of each component, the last that it proved, are good; the one that runs is the first of them. 0 keeps none."""

    def __init__(self, *, store: Store, library: Library, clock: Clock, offers: Offers, most: int) -> None:
        self._store = store
        self._library = library
        self._clock = clock
        self._most = most
        self._offers = offers

    async def good(self) -> frozenset[Sha256]:
        """The images that must stay. Raises StoreUnavailable."""
        found: dict[tuple[DeviceId, ComponentId], list[Sha256]] = {}
        last, seen = None, 0
        while self._most and seen < _MOST:
            page = await self._store.updates.page(states=frozenset({State.SUCCEEDED}), limit=_PAGE, before=last)
            for update in page:
                mine = found.setdefault((update.device, update.component), [])
                if update.image is not None and update.image not in mine and len(mine) < self._most:
                    mine.append(update.image)
            seen += len(page)
            if len(page) < _PAGE:
                break
            last = page[-1].id
        return frozenset(image for images in found.values() for image in images)

    async def prune(self) -> int:
        """Remove what is of no use any more; returns how many images that were. Raises StoreUnavailable."""
        spare = [each for each in self._library.images() if self._is_spare(each)]
        if not spare:
            return 0
        good, removed = await self.good(), 0
        for image in spare:
            if image.sha256 not in good:
                try:
                    await self._library.remove(image.sha256, actor=_ACTOR)
                    removed += 1
                except NotInState:  # an update needs it
                    continue
        return removed

    def _is_spare(self, image: Image) -> bool:
        """Whether nobody offers it. What an operator brought is his, whether in a folder or by upload."""
        if image.source == KEPT:
            return True
        return self._clock.now() - image.added >= _OLD and self._offers.abandoned(self._library.release(image.sha256))
