"""Updates that belong together: the files of one release for several targets of one device, installed in order, none without those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from otagate.engine.ledger import Ledger
from otagate.model.devices import Component, Device
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause, State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.ports import Store

_PAST = 100

ReleasesFor = Callable[[Device, Component], Sequence[Release]]


def parts_of(device: Device, chosen: Release, releases_for: ReleasesFor) -> list[tuple[Component, Release]]:
    """Every file of a release with the component that it is for, in the order of installation; one file alone is the release itself.

    What is installed first makes the device run another version, so only that file is bound to the one that it runs now.
    """
    if chosen.bundle is None:
        return []
    found = [(component, each) for component in device.components for each in releases_for(device, component) if each.bundle == chosen.bundle]
    found.sort(key=lambda part: part[1].step)
    return [(component, each if at == 0 else _unbound(each)) for at, (component, each) in enumerate(found)] if len(found) > 1 else []


def as_job(drafts: Sequence[Update], bundle: str) -> list[Update]:
    """The drafts as steps of one job; the ledger gives it the id of its first step."""
    return [replace(each, job=bundle, step=at, steps=len(drafts)) for at, each in enumerate(drafts, 1)]


def _unbound(release: Release) -> Release:
    return replace(release, fingerprints=tuple(replace(each, min_version=None, max_version=None) for each in release.fingerprints))


class Jobs:
    """Ends the steps that can never begin, because one before them ended without success."""

    def __init__(self, *, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._suspects: set[str] = set()

    def recover(self, rows: Iterable[Update]) -> None:
        """After a restart nobody knows how the steps before ended."""
        self._suspects |= {each.job for each in rows if each.job is not None}

    def changed(self, update: Update) -> None:
        """A row is another one."""
        if update.job is not None and update.ended and update.state is not State.SUCCEEDED:
            self._suspects.add(update.job)

    async def settle(self, rows: Iterable[Update]) -> None:
        """End what waits in vain. Raises StoreUnavailable, IllegalTransition where one has just begun."""
        for row in [each for each in rows if each.job in self._suspects and each.state in (State.QUEUED, State.PLANNED)]:
            before = await self._failed_before(row)
            if before is not None:
                await self._end(row, before)
        self._suspects.clear()

    async def _failed_before(self, row: Update) -> Update | None:
        past = await self._store.updates.page(device=row.device, limit=_PAST)
        return next(
            (each for each in past if each.job == row.job and each.step < row.step and each.ended and each.state is not State.SUCCEEDED), None
        )

    async def _end(self, row: Update, before: Update) -> None:
        detail = f"step {before.step} of {before.steps}, update {before.id}, is {before.state}: this one was not begun"
        spent = row.state is State.QUEUED and before.state is State.FAILED
        cause = Cause.RETRIES_SPENT if spent else Cause.CANCELLED
        await self._ledger.advance(UpdateId(row.id), [cause], detail=detail, code="predecessor-failed" if spent else None)
