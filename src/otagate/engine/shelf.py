"""A watched folder as a source: its files become images of the library, and what is wrong with a file is named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

import structlog

from otagate.engine.feeds import FeedState
from otagate.engine.library import KEPT, Library
from otagate.model.errors import ImageError, NotInState, SourceError
from otagate.model.ids import Sha256
from otagate.ports import Clock, Folder
from otagate.sources.source import Skipped

LOG = structlog.get_logger("otagate.source")


async def none_good() -> Collection[Sha256]:
    """No image must stay."""
    return ()


@dataclass(slots=True)
class Shelf:
    """One folder. `others`: every folder of the hub, because two may hold the same image; `good`: the images that must stay to go back to.
    Implements `feeds.Feed`.
    """

    folder: Folder
    library: Library
    clock: Clock
    others: Callable[[], Iterable[Shelf]] = tuple
    good: Callable[[], Awaitable[Collection[Sha256]]] = none_good
    state: FeedState = field(default_factory=FeedState)
    files: dict[str, Sha256] = field(default_factory=dict)  # file name → its image
    _wrong: dict[str, str] = field(default_factory=dict)  # file name → why what was read of it is no image

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.folder.name

    @property
    def type(self) -> str:
        """The type in the configuration."""
        return self.folder.type

    @property
    def recorder(self) -> None:
        """A folder keeps no records."""
        return None

    @property
    def room_sync(self) -> None:
        """A folder knows no rooms."""
        return None

    async def read(self) -> bool:
        """Take what changed, look by look; what a look found is kept only when it is stored. True where the images are others now."""
        changed, more = False, True
        while more:
            try:
                found = await self.folder.scan()
            except SourceError as error:
                self.state.now("degraded", str(error), error)
                return changed
            for name, data in found.files:
                await self._add(name, data)
            for name in found.gone:
                self.files.pop(name, None)
                self._wrong.pop(name, None)
            self.folder.keep()
            wrong = [Skipped(what=name, why=sentence) for name, sentence in (*found.skipped, *self._wrong.items())]
            changed, more = changed or bool(found.files or found.gone), found.more
            self.state.last_success, self.state.releases = self.clock.now(), len(self.files)
            left_out = self.state.leaves_out(wrong)
            self.state.now("degraded" if wrong else "ok", f"{len(self.files)} images{left_out}")
        return await self._drop_unlisted() or changed

    async def _add(self, name: str, data: bytes) -> None:
        """Store one file, or note what is wrong with it."""
        try:
            image = await self.library.add(data, file_name=name, source=self.name, actor=f"source:{self.name}")
        except ImageError as error:
            self.files.pop(name, None)
            self._wrong[name] = str(error)
        else:
            self.files[name] = image.sha256
            self._wrong.pop(name, None)

    async def _drop_unlisted(self) -> bool:
        """After a whole look: images that this folder brought once, perhaps in an earlier life of the hub, and holds no longer."""
        listed, dropped = set(self.files.values()), False
        unlisted = [each for each in self.library.from_source(self.name) if each.sha256 not in listed]
        good = await self.good() if unlisted else ()
        for image in unlisted:
            other = next((each.name for each in self.others() if each is not self and image.sha256 in each.files.values()), None)
            if other is not None:
                await self.library.hand_over(image.sha256, source=other)
                continue
            if image.sha256 in good:
                await self.library.hand_over(image.sha256, source=KEPT)
                dropped = True
                continue
            try:
                await self.library.remove(image.sha256, actor=f"source:{self.name}")
                dropped = True
            except NotInState as error:
                LOG.info("image stays for now", source=self.name, error=str(error))
        return dropped
