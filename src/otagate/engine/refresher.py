"""Sources asked again: what a watched folder holds becomes images, and what is wrong with a file is named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import structlog

from otagate.engine.consultant import Consultant
from otagate.engine.journal import Journal
from otagate.engine.library import Library
from otagate.engine.supervise import outcome
from otagate.engine.views import SourceView
from otagate.model.errors import ImageError, NotFound, NotInState, SourceError, StoreError
from otagate.model.ids import Sha256
from otagate.ports import Clock, Folder

LOG = structlog.get_logger("otagate.source")


@dataclass(slots=True)
class _Source:
    folder: Folder
    state: Literal["ok", "degraded", "misconfigured"] = "ok"
    sentence: str = "not read yet"
    last_success: datetime | None = None
    files: dict[str, Sha256] = field(default_factory=dict)  # file name → its image
    wrong: dict[str, str] = field(default_factory=dict)  # file name → why what was read of it is no image
    told: tuple[str, str] = ("", "")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Refresher:
    """Every configured source, read when it is due and when an operator says so; one that fails never delays another."""

    def __init__(self, *, folders: Sequence[Folder], library: Library, consultant: Consultant, journal: Journal, clock: Clock) -> None:
        self._library = library
        self._consultant = consultant
        self._journal = journal
        self._clock = clock
        self._sources: Mapping[str, _Source] = {folder.name: _Source(folder) for folder in folders}
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._posted: set[str] = set()

    def post(self, name: str) -> None:
        """Read a source soon."""
        if name not in self._posted:
            self._posted.add(name)
            self._due.put_nowait(name)

    async def run(self) -> None:
        """Read what is due, for ever."""
        while True:
            name = await self._due.get()
            self._posted.discard(name)
            error = await outcome(self.refresh(name), what=f"source {name}")
            if isinstance(error, Exception):
                LOG.warning("source not read", source=name, error=str(error))

    async def refresh(self, name: str) -> SourceView:
        """Read a source now. Raises NotFound, StoreUnavailable; what is wrong with the source itself is in its state."""
        source = self._sources.get(name)
        if source is None:
            raise NotFound(f"there is no source {name!r}")
        async with source.lock:
            try:
                changed = await self._read(source)
            except StoreError as error:
                source.state, source.sentence = "degraded", str(error)
                raise
            await self._tell(source)
        if changed:
            self._consultant.post_all()
        return self.view(name)

    async def _tell(self, source: _Source) -> None:
        now = (source.state, source.sentence)
        if source.told != now:
            async with self._journal.commit() as entry:
                entry.tell("source", source.folder.name, "state", data={"state": source.state, "sentence": source.sentence})
            source.told = now

    async def _read(self, source: _Source) -> bool:
        """Take what changed, look by look; what a look found is kept only when it is stored. True where the images are others now."""
        changed, more = False, True
        while more:
            try:
                found = await source.folder.scan()
            except SourceError as error:
                source.state, source.sentence = "degraded", str(error)
                return changed
            for name, data in found.files:
                await self._add(source, name, data)
            for name in found.gone:
                source.files.pop(name, None)
                source.wrong.pop(name, None)
            source.folder.keep()
            wrong = [f"{name}: {sentence}" for name, sentence in (*found.skipped, *source.wrong.items())]
            changed, more = changed or bool(found.files or found.gone), found.more
            source.last_success = self._clock.now()
            source.state = "degraded" if wrong else "ok"
            told = f"; skipped {len(wrong)}: {'; '.join(wrong[:5])}" if wrong else ""
            source.sentence = f"{len(source.files)} images{told}"
        return await self._drop_unlisted(source) or changed

    async def _add(self, source: _Source, name: str, data: bytes) -> None:
        """Store one file, or note what is wrong with it."""
        try:
            image = await self._library.add(data, file_name=name, source=source.folder.name, actor=f"source:{source.folder.name}")
        except ImageError as error:
            source.files.pop(name, None)
            source.wrong[name] = str(error)
        else:
            source.files[name] = image.sha256
            source.wrong.pop(name, None)

    async def _drop_unlisted(self, source: _Source) -> bool:
        """After a whole look: images that this folder brought once, perhaps in an earlier life of the hub, and holds no longer."""
        listed, dropped = set(source.files.values()), False
        for image in self._library.from_source(source.folder.name):
            if image.sha256 in listed:
                continue
            other = next((name for name, each in self._sources.items() if each is not source and image.sha256 in each.files.values()), None)
            if other is not None:
                await self._library.hand_over(image.sha256, source=other)
                continue
            try:
                await self._library.remove(image.sha256, actor=f"source:{source.folder.name}")
                dropped = True
            except NotInState as error:
                LOG.info("image stays for now", source=source.folder.name, error=str(error))
        return dropped

    def view(self, name: str) -> SourceView:
        """One source as shown; raises NotFound."""
        source = self._sources.get(name)
        if source is None:
            raise NotFound(f"there is no source {name!r}")
        return SourceView(
            name=name,
            type=source.folder.type,
            state=source.state,
            sentence=source.sentence,
            last_success=source.last_success,
            releases=len(source.files),
        )

    def views(self) -> Sequence[SourceView]:
        """Every source as shown."""
        return [self.view(name) for name in self._sources]
