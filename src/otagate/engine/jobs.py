"""Updates that belong together, each begun when the one before it has succeeded or waits on the device for it: the images of several components, the
files of one release for several targets, and the steps of a chain of versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from otagate.engine.tools import Tools
from otagate.model.devices import Component, Device
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause, State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy.job import failed_before, first_steps, waits_for_step

_PAST = 100
_ASKED_FOR = 60.0
"""Seconds that the next step of a chain waits for sources that are asked what follows."""

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


def _unbound(release: Release) -> Release:
    return replace(release, fingerprints=tuple(replace(each, min_version=None, max_version=None) for each in release.fingerprints))


class Jobs:
    """Says for what further steps wait, and ends those that can never begin, because one before them ended without success."""

    def __init__(self, *, tools: Tools) -> None:
        self._store = tools.store
        self._ledger = tools.ledger
        self._tools = tools
        self._suspects: set[str] = set()
        self._done: dict[str, float] = {}  # job → when a step of it succeeded last

    def recover(self, rows: Iterable[Update]) -> None:
        """After a restart nobody knows how the steps before ended."""
        self._suspects |= {each.job for each in rows if each.job is not None}

    def changed(self, update: Update) -> None:
        """A row is another one."""
        if update.job is None or not update.ended:
            return
        if update.state is not State.SUCCEEDED:
            self._suspects.add(update.job)
        elif update.step < update.steps:
            self._done[update.job] = self._tools.clock.monotonic()
        if update.state is not State.SUCCEEDED or update.step >= update.steps:
            self._done.pop(update.job, None)

    def holds(self, rows: Iterable[Update]) -> dict[UpdateId, Verdict]:
        """Which steps of chains wait for the one before them, or for what their sources say of the version that it brought."""
        rows = [each for each in rows if each.job is not None]
        first = first_steps(rows)
        found = {
            each.id: waits_for_step(each, first) or self._waits_to_be_settled(each) or self._waits_for_sources(each) for each in rows if each.step > 1
        }
        return {update: verdict for update, verdict in found.items() if verdict is not None}

    def _waits_to_be_settled(self, row: Update) -> Verdict | None:
        """Until the next look, where a step of its job has failed since this one."""
        if row.job not in self._suspects or row.state.running:
            return None
        return hold("predecessor", f"Step {row.step} of {row.steps} waits: one of them has just ended.")

    def _waits_for_sources(self, row: Update) -> Verdict | None:
        """A little while only: a source that is away has said before what follows."""
        since = self._done.get(row.job or "")
        device = self._tools.registry.known(row.device)
        if since is None or device is None or self._tools.clock.monotonic() - since >= _ASKED_FOR / self._tools.waits.pace:
            return None
        if not row.link or not self._tools.fetcher.wonders_about(device):
            return None
        return hold("predecessor", "The step before has ended; its sources are asked what follows now.")

    async def settle(self, rows: Iterable[Update]) -> None:
        """End what waits in vain. Raises StoreUnavailable, IllegalTransition where one has just begun."""
        suspects, self._suspects = self._suspects, set()  # what fails meanwhile is settled next
        settled = False
        try:
            for row in sorted(rows, key=lambda each: each.step):
                if row.job not in suspects or row.state not in (State.QUEUED, State.PLANNED):
                    continue
                before = failed_before(row, await self._store.updates.page(device=row.device, limit=_PAST))
                if before is not None:
                    await self._end(row, before)
            settled = True
        finally:
            if not settled:
                self._suspects |= suspects

    async def _end(self, row: Update, before: Update) -> None:
        detail = f"step {before.step} of {before.steps}, update {before.id}, is {before.state}: this one was not begun"
        spent = row.state is State.QUEUED and before.state is State.FAILED
        cause = Cause.RETRIES_SPENT if spent else Cause.SUPERSEDED if before.state is State.SUPERSEDED else Cause.CANCELLED
        await self._ledger.advance(UpdateId(row.id), [cause], detail=detail, code="predecessor-failed" if spent else None)
