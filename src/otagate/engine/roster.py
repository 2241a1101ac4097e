"""Every update that has not ended, as last committed: found by its id, and by the device that it is for without a look at all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from otagate.model.ids import DeviceId, UpdateId
from otagate.model.updates import Update


class Roster:
    """Rows in the order in which they came."""

    def __init__(self, rows: Iterable[Update] = ()) -> None:
        self._rows: dict[UpdateId, Update] = {}
        self._of: dict[DeviceId, set[UpdateId]] = {}
        for row in rows:
            self.put(row)

    def __contains__(self, update: UpdateId) -> bool:
        return update in self._rows

    def __iter__(self) -> Iterator[Update]:
        return iter(self._rows.values())

    def get(self, update: UpdateId) -> Update | None:
        """One row, or None where it has ended."""
        return self._rows.get(update)

    def of(self, device: DeviceId) -> list[Update]:
        """The rows of one device, oldest first."""
        return [self._rows[each] for each in sorted(self._of.get(device, ()))]

    def put(self, row: Update) -> None:
        """Add a row, or take it as it is now."""
        self._rows[row.id] = row
        self._of.setdefault(row.device, set()).add(row.id)

    def remove(self, row: Update) -> None:
        """It has ended."""
        if self._rows.pop(row.id, None) is not None:
            mine = self._of[row.device]
            mine.discard(row.id)
            if not mine:
                del self._of[row.device]
