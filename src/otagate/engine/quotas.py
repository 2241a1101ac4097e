"""Where the counts of what services were asked for are kept: a setting each, so that a restart forgets none."""

from __future__ import annotations

from otagate.ports import Store


class StoredQuotas:
    """Implements `ports.Quotas` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, service: str) -> str | None:
        """What was written last, or None."""
        return await self._store.settings.get(f"quota:{service}")

    async def write(self, service: str, text: str) -> None:
        """Replace it, durably. Raises StoreUnavailable."""
        async with self._store.transaction():
            await self._store.settings.put(f"quota:{service}", text)
