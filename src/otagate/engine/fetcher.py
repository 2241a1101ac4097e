"""From an update to an image that may be sent: fetched once for all who want it, checked, trusted, and matched once more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from otagate.engine.cases import Cases
from otagate.engine.library import Library
from otagate.engine.offers import TAKEN_BACK, Offers
from otagate.model.devices import Device
from otagate.model.errors import FileGone, ImageError, NotFound, SourceBusy, SourceError, SourceRefused, UnknownImage
from otagate.model.ids import image_type_of, target_of
from otagate.model.images import Image
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.policy.match import match
from otagate.policy.trust import narrow, trust
from otagate.ports import ImageCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The image may be sent."""

    image: Image
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It may never be sent as this update."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """Its source cannot give it now. `until` where the source said so; `at_fault`: it answered, with something that is no use."""

    reason: str
    detail: str
    until: datetime | None = None
    at_fault: bool = False


class Fetcher:
    """Brings files here; what comes is checked by the library like any other file before anybody trusts it."""

    def __init__(self, *, offers: Offers, library: Library, cache: ImageCache, cases: Cases) -> None:
        self._offers = offers
        self._library = library
        self._cache = cache
        self._cases = cases
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    def trouble_of(self, update: Update) -> str | None:
        """Why the source that an update needs is left alone until an operator acts, a sentence; None where it needs none or may ask it."""
        if update.release is None:
            return None
        trouble = self._offers.trouble(update.release.source)
        return None if trouble is None or (not update.delegated and self._library.stored(update.release) is not None) else trouble

    def wonders_about(self, device: Device) -> bool:
        """Whether a source is to be asked something about a device that it was not asked yet."""
        return self._offers.wonder_about(device)

    async def provide(self, update: Update, device: Device | None) -> Ready | Rejected | Postponed:
        """The image of an update, with its bytes open, or why not. Raises StoreUnavailable."""
        if device is not None and update.link and self._was_taken_back(update, device):
            return Rejected(code="no-release", detail=TAKEN_BACK.format(update.source))
        try:
            image = self._stored(update) if update.release is None else await self._fetch(update.release)
            await self._library.map(image.sha256)
        except (NotFound, ImageError) as error:
            if isinstance(error, ImageError) and _unproven(update.release):  # what spoilt it may have been the way here
                return Postponed(reason="source_unreachable", detail=str(error), at_fault=True)
            return Rejected(code=error.code, detail=str(error))
        except SourceError as error:
            if isinstance(error, FileGone) and update.release is not None:
                self._offers.doubt(update.release.source)
            reason = "quota" if isinstance(error, SourceBusy) else "source_unreachable"
            return Postponed(reason=reason, detail=str(error), until=error.until, at_fault=isinstance(error, SourceRefused))
        verdict = trust(image.facts, self._promised(update, image), sha256=image.sha256)
        component = None if device is None else device.component(update.component)
        if verdict.allowed and device is not None and component is not None:
            exact = replace(narrow(self._promised(update, image), image.facts), sha256=image.sha256)
            fit = match(device, component, exact)
            verdict = fit if fit.decision == "refuse" else self._cases.book.speaks(device, component, exact, override=update.override) or verdict
        if not verdict.allowed:
            return Rejected(code=verdict.code, detail=verdict.sentence)
        return Ready(image=image, detail=verdict.sentence)

    def _was_taken_back(self, update: Update, device: Device) -> bool:
        """Whether what follows in a chain was planned when its source still offered it."""
        component = device.component(update.component)
        return update.release is not None and component is not None and self._offers.withdrew(update.release, device, component)

    def _stored(self, update: Update) -> Image:
        if update.image is None:
            raise UnknownImage("the update names no stored image")
        try:
            return self._library.image(update.image)
        except UnknownImage as error:
            raise UnknownImage(f"{error}; it was removed since") from None

    def _promised(self, update: Update, image: Image) -> Release:
        """What the update was made for: the offer of its source, or what the stored image was when it was chosen."""
        if update.release is not None:  # its size is that of the file as served, which was checked when it came
            return replace(update.release, size=image.facts.size)
        release = replace(self._library.release(image.sha256), image_type=update.image_type, file_version=update.to_version, size=update.bytes_total)
        return replace(release, target=target_of(update.component)) if image_type_of(update.component) is None else release

    async def _fetch(self, release: Release) -> Image:
        """The image of a release; one that is here costs nothing, and who comes while it is fetched waits for it."""
        turn = self._turns.setdefault(
            (release.source, repr((release.location, release.image_type, release.file_version, release.models))), asyncio.Lock()
        )
        async with turn:
            known = self._library.stored(release)
            return known if known is not None else await self._bring(release)

    async def _bring(self, release: Release) -> Image:
        file = await self._offers.feed(release.source).fetch(release)
        data = bytes(await asyncio.to_thread(self._cache.open, file.sha256))
        actor, image = f"source:{release.source}", None
        try:
            name = release.file_name or file.file_name
            image = await self._library.add(
                data,
                file_name=name,
                source=release.source,
                actor=actor,
                promised=release.sha256,
                models=release.models,
                manufacturers=release.manufacturers,
                digests=release.digests,
            )
        finally:
            if image is None or image.sha256 != file.sha256:  # the wrapper around it, or no image at all
                await self._cache.remove(file.sha256)
        return image


def _unproven(release: Release | None) -> bool:
    """Whether nothing but the file itself says what it must be."""
    return release is not None and release.sha256 is None and not release.digests
