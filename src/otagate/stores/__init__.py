"""Where the hub keeps what must survive it: updates, devices, the image catalogue, the journal, its own settings.

Holds: one module per kind of store (`sqlite` with `sqlite_file`, `memory`), listed in `REGISTRY` by the scheme of its URL; `gate` (one transaction at
a time, whoever asks) and `documents` (values to JSON text and back), which they share; the numbered SQL files of `migrations`; `copies`, the folder
of copies of it.

Imports: model and ports; aiosqlite in `sqlite` only.

Never: a decision about an update, a second connection to the same file, a value that is not of `model`.

Add one: a module with a class that keeps `ports.Store`, a line in `REGISTRY`, a line in the fixture of `tests/contracts/test_store.py`. To change
the tables of `sqlite`, add the next numbered file to `migrations`; a released one is never edited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType

from otagate.model.errors import StoreError
from otagate.ports import Store
from otagate.stores.memory import open_memory
from otagate.stores.sqlite import open_sqlite

Opener = Callable[[str, Path], Awaitable[Store]]
"""Opens the store that an URL (its part after the scheme) and the state directory name."""

REGISTRY: Mapping[str, Opener] = MappingProxyType(
    {
        "sqlite": open_sqlite,
        "memory": open_memory,
    }
)
"""URL scheme → what opens it."""


class StoreOpening:
    """A store about to be opened: `await` it and close the store yourself, or use it as an asynchronous context."""

    def __init__(self, opener: Opener, rest: str, state_dir: Path) -> None:
        self._opener = opener
        self._rest = rest
        self._state_dir = state_dir
        self._store: Store | None = None

    async def _open(self) -> Store:
        return await self._opener(self._rest, self._state_dir)

    def __await__(self) -> Generator[object, None, Store]:
        return self._open().__await__()

    async def __aenter__(self) -> Store:
        self._store = await self._open()
        return self._store

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._store is not None:
            await self._store.close()


def open_store(url: str, state_dir: Path) -> StoreOpening:
    """The store behind `url`: `sqlite:///otagate.db` (relative to `state_dir`), `sqlite:////absolute/path.db` or `memory:`.

    Raises StoreError at once where no store has this scheme. Opening raises StoreUnavailable (not writable, or open in another process),
    StoreCorrupt (damaged, or the file of another program) and SchemaTooNew.
    """
    scheme, colon, rest = url.partition(":")
    opener = REGISTRY.get(scheme)
    if opener is None or not colon:
        raise StoreError(f"store.url {url!r} names no store that exists: begin it with one of {', '.join(f'{each}:' for each in REGISTRY)}")
    return StoreOpening(opener, rest, state_dir)
