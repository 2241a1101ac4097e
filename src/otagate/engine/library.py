"""Images that are here: checked, stored under their digest, and offered as releases."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import structlog

from otagate.engine.journal import Journal
from otagate.formats.identify import CHECKS, identify, is_bare
from otagate.model.devices import Component
from otagate.model.errors import ImageError, IntegrityMismatch, Malformed, NotInState, UnknownImage
from otagate.model.ids import Sha256, image_type_of
from otagate.model.images import Check, Image, ImageFacts
from otagate.model.releases import Algorithm, Digest, Release
from otagate.policy.catalogue import is_of
from otagate.ports import Clock, ImageCache, Store

LOG = structlog.get_logger("otagate.library")

Watcher = Callable[[Image], None]

KEPT = "kept to go back to"
"""The source of an image that its own source took away: it is offered to nobody, and here for rollbacks. No source can be called so."""

_NAME_BOUND = 200
_SETTLED = timedelta(hours=1)
_MOST_STRAYS = 100
_MOST_PROOFS = 24
"""Digests of one image: it may come in several wrappers."""


class Library:
    """The catalogue of stored images, in memory for reading, in store and cache for good."""

    def __init__(self, store: Store, cache: ImageCache, journal: Journal, clock: Clock, *, max_bytes: int) -> None:
        self._store = store
        self._cache = cache
        self._journal = journal
        self._clock = clock
        self._max_bytes = max_bytes
        self._images: dict[Sha256, Image] = {}
        self._by_type: dict[int, list[Release]] = {}
        self._lock = asyncio.Lock()
        self._watchers: list[Watcher] = []
        self._unreadable: set[Sha256] = set()
        self._reserved: frozenset[str] = frozenset({KEPT})

    def reserve(self, sources: Iterable[str]) -> None:
        """What these sources brought is offered by them alone: it is for some devices, not for all of a kind."""
        self._reserved = frozenset((KEPT, *sources))
        self._index()

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with every image that is added from now on."""
        self._watchers.append(watcher)

    async def load(self) -> None:
        """Read the images that are known from before."""
        self._images = {image.sha256: image for image in await self._store.catalogue.all()}
        self._index()

    def _index(self) -> None:
        self._by_type = {}
        for image in self._images.values():
            if image.source in self._reserved:
                continue
            if image.facts.image_type is not None:  # a file that does not say what it is for is taken only where an order names it
                self._by_type.setdefault(image.facts.image_type, []).append(_release(image))

    def images(self) -> Sequence[Image]:
        """Every image, newest first."""
        return sorted(self._images.values(), key=lambda image: image.added, reverse=True)

    def image(self, sha256: Sha256) -> Image:
        """One image; raises UnknownImage."""
        try:
            return self._images[sha256]
        except KeyError:
            raise UnknownImage(f"there is no image {sha256!r}") from None

    def release(self, sha256: Sha256) -> Release:
        """What one stored image offers; raises UnknownImage."""
        return _release(self.image(sha256))

    def releases_for(self, component: Component) -> Sequence[Release]:
        """What the stored images offer for this kind of component."""
        image_type = image_type_of(component.id) if component.image_type is None else component.image_type
        return () if image_type is None else self._by_type.get(image_type, ())

    def stored(self, offer: Release) -> Image | None:
        """The image that an offer is about, where it is here."""
        return next((self._images[each.sha256] for each in self._releases() if each.sha256 is not None and is_of(each, offer)), None)

    def _releases(self) -> Iterable[Release]:
        return (_release(image) for image in self._images.values())

    async def map(self, sha256: Sha256) -> memoryview:
        """The bytes as sent to a device, digested away from the loop where they were not open yet.

        Raises UnknownImage, IntegrityMismatch, StoreUnavailable.
        """
        return await asyncio.to_thread(self._cache.open, sha256)

    def path(self, sha256: Sha256) -> Path:
        """Where the bytes lie; raises UnknownImage."""
        self.image(sha256)
        return self._cache.path(sha256)

    async def add(
        self,
        data: bytes,
        *,
        file_name: str,
        source: str,
        actor: str,
        promised: Sha256 | None = None,
        models: tuple[str, ...] = (),
        manufacturers: tuple[str, ...] = (),
        digests: tuple[Digest, ...] = (),
    ) -> Image:
        """Check and store a file; the same bytes again are the same image.

        What is stored, hashed and sent is the OTA file itself: a vendor's wrapper and trailing bytes are cut off. `promised`: the digest of that; a
        file that is sent as it is, is not even looked into before it is settled. `models` and `manufacturers`: whom the source offers it for alone;
        `digests`: what it promised of the file. Raises Malformed, TooLarge, IntegrityMismatch, StoreUnavailable.
        """
        if promised is not None and is_bare(data, file_name):
            await asyncio.to_thread(_require, data, promised, source)
        identified = await asyncio.to_thread(identify, data, self._max_bytes, file_name)
        if promised is not None:
            await asyncio.to_thread(_require, identified.view, promised, source)
        proofs = await asyncio.to_thread(_proofs, data, identified.view)
        async with self._lock:
            sha256 = await self._cache.add(identified.view)
            known = self._images.get(sha256)
            proofs = proofs if known is None else tuple(dict.fromkeys((*known.proofs, *proofs)))[-_MOST_PROOFS:]
            if known is not None and (known.source in (source, "upload") or source in self._reserved):
                image = replace(_offered_for(known, models, manufacturers), digests=digests) if known.source == source else known
                image = replace(image, proofs=proofs)
                if image == known:
                    return known
            else:
                described = self._describe(identified.facts, sha256, file_name=file_name, source=source)
                image = replace(described, models=models, manufacturers=manufacturers, digests=digests, proofs=proofs)
            async with self._journal.commit() as entry:
                await self._store.catalogue.put(image)
                entry.tell("image", sha256, "added", actor=actor, data={"file_name": image.file_name, "source": source, "bytes": image.facts.size})
            self._images[sha256] = image
            self._index()
        for watcher in self._watchers:
            watcher(image)
        return image

    async def inspect(self, data: bytes, *, file_name: str) -> Image:
        """What an upload of this file would be stored as; one that is stored already, as it is. Raises Malformed, TooLarge."""
        identified = await asyncio.to_thread(identify, data, self._max_bytes, file_name)
        sha256 = Sha256(await asyncio.to_thread(_digest, identified.view))
        return self._images.get(sha256) or self._describe(identified.facts, sha256, file_name=file_name, source="upload")

    def _describe(self, facts: ImageFacts, sha256: Sha256, *, file_name: str, source: str) -> Image:
        shown = "".join(char for char in file_name if char.isprintable())[:_NAME_BOUND] or "unnamed"
        return Image(sha256=sha256, file_name=shown, facts=facts, added=self._clock.now(), source=source, edition=CHECKS)

    async def check_again(self) -> None:
        """Check the images that were stored before the checks were what they are, one after the other. Raises StoreUnavailable."""
        for image in self.images():
            if image.edition < CHECKS and image.sha256 not in self._unreadable:
                await self._check_again(image)

    async def _check_again(self, image: Image) -> None:
        try:
            view = await self.map(image.sha256)
            checks = await asyncio.to_thread(_checks_now, image.facts, view, self._max_bytes)
        except ImageError as error:
            LOG.warning("an image cannot be checked again", sha256=image.sha256, error=str(error))
            self._unreadable.add(image.sha256)
            return
        async with self._lock:
            known = self._images.get(image.sha256)
            if known is None:
                return
            checked = replace(known, facts=replace(known.facts, checks=checks), edition=CHECKS)
            failed = ", ".join(each.name for each in checks if each.result == "fail")
            async with self._journal.commit() as entry:
                await self._store.catalogue.put(checked)
                entry.tell("image", checked.sha256, "checked", data={"failed": failed or None})
            self._images[checked.sha256] = checked

    async def hand_over(self, sha256: Sha256, *, source: str) -> None:
        """Another source has the same bytes: the image is its from now on. Raises UnknownImage, StoreUnavailable."""
        async with self._lock:
            image = replace(self.image(sha256), source=source, digests=())
            async with self._journal.commit() as entry:
                await self._store.catalogue.put(image)
                entry.tell("image", sha256, "added", actor=f"source:{source}", data={"file_name": image.file_name, "source": source})
            self._images[sha256] = image
            self._index()

    async def remove(self, sha256: Sha256, *, actor: str) -> None:
        """Forget an image and its bytes. Raises UnknownImage; NotInState where an update that has not ended needs it."""
        async with self._lock:
            self.image(sha256)
            async with self._journal.commit() as entry:  # asked inside: an update is made in a transaction that asks for its image
                users = [update.id for update in await self._store.updates.unfinished() if update.image == sha256]
                if users:
                    raise NotInState(f"image {sha256[:12]} is needed by update {users[0]}: cancel it first")
                await self._store.catalogue.delete(sha256)
                entry.tell("image", sha256, "removed", actor=actor)
            del self._images[sha256]
            self._index()
            await self._cache.remove(sha256)

    async def sweep(self) -> int:
        """Delete bytes that are no image of the catalogue: of a download that nobody came to store, of a commit that failed.

        What is younger than an hour may still become one. Returns how many were deleted; raises StoreUnavailable.
        """
        async with self._lock:
            strays = await self._cache.strays(self._images.keys(), before=self._clock.now() - _SETTLED, most=_MOST_STRAYS)
            for each in strays:
                await self._cache.remove(each)
        return len(strays)

    def from_source(self, source: str) -> Sequence[Image]:
        """The images that a source brought."""
        return [image for image in self._images.values() if image.source == source]


def _offered_for(image: Image, models: tuple[str, ...], manufacturers: tuple[str, ...]) -> Image:
    """The image, which its source offers for others too."""
    return replace(image, models=_together(image.models, models), manufacturers=_together(image.manufacturers, manufacturers))


def _together(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Nobody named is everybody."""
    return known if known == more else tuple(sorted({*known, *more})) if known and more else ()


def _proofs(data: bytes, view: memoryview) -> tuple[Digest, ...]:
    """Of the file as it came and of the image in it, of every kind that a source may name."""
    parts = (data,) if view.nbytes == len(data) else (data, view)
    made = ((each, hashlib.new(each, part, usedforsecurity=False).hexdigest()) for part in parts for each in get_args(Algorithm) if each != "md5")
    return tuple(Digest(algorithm=algorithm, value=value) for algorithm, value in made)


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _require(data: bytes | memoryview, promised: Sha256, source: str) -> None:
    if (sha256 := _digest(data)) != promised:
        raise IntegrityMismatch(f"the image has sha256 {sha256}, {source} promised {promised}")


def _checks_now(facts: ImageFacts, view: memoryview, limit: int) -> tuple[Check, ...]:
    """The checks of a stored image as they are made today. What was found around the image is not here any more, so that word stays."""
    if facts.protocol != "zigbee":
        return facts.checks  # what was decoded cannot be decoded again
    try:
        found = identify(view, limit).facts.checks
    except Malformed as error:
        found = (Check(name="format", result="fail", detail=str(error)),)
    before = {each.name: each for each in facts.checks}
    now = {each.name: each for each in found if each.name not in before or before[each.name].result != each.result}
    return tuple((before | now).values())


def _release(image: Image) -> Release:
    facts = image.facts
    return Release(
        source=image.source,
        protocol=facts.protocol,
        manufacturer_code=facts.manufacturer_code,
        image_type=facts.image_type,
        file_version=facts.file_version,
        target=facts.target,
        size=facts.size,
        sha256=image.sha256,
        inner_format=facts.inner_format,
        hardware_min=facts.hardware_min,
        hardware_max=facts.hardware_max,
        destination=facts.destination,
        file_name=image.file_name,
        models=image.models,
        manufacturers=image.manufacturers,
        digests=image.digests,
        proofs=image.proofs,
    )
