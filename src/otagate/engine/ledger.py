"""The ONE place where an update changes state: pure `lifecycle.advance`, one transaction for row and fact, then publication."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from otagate.engine.journal import Entry, Journal
from otagate.model.errors import AlreadyUpdating, UnknownImage
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.lifecycle import AFTER_RESTART, PAUSABLE, Cause, State, advance
from otagate.model.portraits import Portrait
from otagate.model.updates import Failure, Update
from otagate.model.verdicts import Guard, Verdict
from otagate.policy.job import host_of, joined
from otagate.ports import Clock, Store

_CODES = {
    Cause.REJECTED: "image-corrupt",
    Cause.DECLINED: "declined-by-device",
    Cause.IMAGE_REJECTED: "image-rejected-by-device",
    Cause.RETRIES_SPENT: "retries-spent",
    Cause.LOST: "device-lost",
    Cause.MISMATCH: "version-unchanged",
    Cause.EXPIRED: "not-confirmed",
}
"""The code of the error that an update ends with, by the cause that ended it."""

_Key = tuple[DeviceId, ComponentId]
_PAST = 100

Watcher = Callable[[Update], None]
"""Is told of every row that has changed, after it is on disk and before anybody else goes on."""

Obstacle = AlreadyUpdating | UnknownImage
Within = Callable[[Sequence[Update | Obstacle], Entry], Awaitable[None]]
"""Is told inside of the transaction what it makes, and may write and tell more; what it raises undoes all."""


class Ledger:
    """Updates in the store, moved by causes."""

    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._watchers: list[Watcher] = []
        self._latest: dict[_Key, Update | None] = {}
        self._open: dict[_Key, dict[UpdateId, Update]] = {}  # as far as they changed in this life, which every one does that is recovered

    def watch(self, watcher: Watcher) -> None:
        """Tell this one, too, of every row that changes; it must not wait for anything."""
        self._watchers.append(watcher)

    async def latest(self, device: DeviceId, component: ComponentId) -> Update | None:
        """The update of a component that counts: the one that runs, or the next step of its chain; where all have ended, the last that had begun."""
        key = (device, component)
        if key in self._open:
            return min(self._open[key].values(), key=lambda each: (not each.state.running, each.step, each.id))
        if key not in self._latest:
            found = await self._store.updates.latest(device, component)
            if found is not None and found.not_begun:
                past = await self._store.updates.page(device=device, limit=_PAST)
                found = next((each for each in past if each.component == component and not each.not_begun), found)
            self._latest.setdefault(key, found)  # what was committed while we read is newer
        return self._latest[key]

    # --- changes ------------------------------------------------------------------------------------------------------------------------

    async def create(
        self, drafts: Sequence[Update], *, superseding: Sequence[UpdateId] = (), within: Within | None = None
    ) -> list[Update | Obstacle]:
        """Insert updates, and end those that they take the place of; each draft gives its update, or what stood in its way.

        An id is made of the number of the update's own `created` fact, so ids are unique and sort by creation. The transaction decides who was
        first: a component never has two updates that have not ended, but for one of another program beside one of ours that waits for it. An order
        takes the place of what only policy wanted and has not begun. What is made for a device that holds an image and wants another one joins
        the job of that.
        Raises IllegalTransition (nothing changed), StoreUnavailable.
        """
        results: list[Update | Obstacle] = []
        async with self._journal.commit() as entry:
            why = "policy decided anew, and that took its place"
            changed = [await self._advance_one(entry, each, [Cause.SUPERSEDED], why) for each in superseding]
            last = await self._store.facts.last_number()
            standing = _Standing(await self._store.updates.unfinished())
            missing = await self._missing(drafts)
            obstacles = [_obstacle(draft, standing, missing) for draft in drafts]
            in_vain = {_job(draft): each for draft, each in zip(drafts, obstacles, strict=True) if each is not None and draft.job is not None}
            free = [at for at, met in enumerate(obstacles) if met is None and _job(drafts[at]) not in in_vain]
            drafts, hosts, moved = await self._join(entry, drafts, free, standing)
            changed += moved
            jobs: dict[str, list[UpdateId]] = {}
            for draft, met in zip(drafts, obstacles, strict=True):
                own = jobs.setdefault(_job(draft), []) if draft.job is not None else []
                obstacle = met or in_vain.get(_job(draft)) or _obstacle(draft, standing, missing, own)
                if obstacle is not None:  # of a job, nothing or all
                    results.append(obstacle)
                    continue
                number = UpdateId(f"u{last + len(entry.facts) + 1:08d}")
                changed += await self._take_the_place_of(entry, draft, standing, own)
                own.append(number)
                job = None if draft.job is None else hosts.get(draft.device) or own[0]
                update = replace(draft, id=number, job=job)
                await self._store.updates.put(update)
                self._tell(entry, update, "created", actor=update.actor, detail=None)
                standing.add(update)
                changed.append(update)
                results.append(update)
            if within is not None:
                await within(results, entry)
        self._changed(*changed)
        return results

    async def _join(
        self, entry: Entry, drafts: Sequence[Update], free: Sequence[int], standing: _Standing
    ) -> tuple[list[Update], dict[DeviceId, str], list[Update]]:
        """Let the drafts at the indexes `free` be the next steps of a job whose device wants more images: the drafts as they are then, the jobs by
        their devices, and the rows that this changed.
        """
        placed, jobs, moved = list(drafts), dict[DeviceId, str](), list[Update]()
        for device, host in standing.hosts().items():
            mine = [at for at in free if drafts[at].device == device and not drafts[at].foreign]
            if not mine:
                continue
            found, rows = joined(host, await self._store.updates.page(device=device, limit=_PAST), [drafts[at] for at in mine])
            for at, draft in zip(mine, found, strict=True):
                placed[at] = draft
            for row in rows:
                await self._store.updates.put(row)
                self._tell(entry, row, "job_grew", actor="otagate", detail=f"it is step {row.step} of {row.steps} now")
            jobs[device] = host.job or host.id
            moved += rows
        return placed, jobs, moved

    async def _take_the_place_of(self, entry: Entry, draft: Update, standing: _Standing, own: Collection[UpdateId]) -> list[Update]:
        superseded = [each for each in standing.rivals(draft, own) if each.gives_way and not draft.foreign]
        for each in superseded:
            standing.remove(each)
        return [await self._advance_one(entry, each.id, [Cause.SUPERSEDED], "an order took its place") for each in superseded]

    async def _missing(self, drafts: Iterable[Update]) -> dict[Sha256, UnknownImage]:
        """The images of drafts that are not stored (any more); each is looked for once."""
        missing: dict[Sha256, UnknownImage] = {}
        for image in dict.fromkeys(each.image for each in drafts if each.image is not None and each.release is None):
            try:
                await self._store.catalogue.get(image)
            except UnknownImage as error:
                missing[image] = error
        return missing

    async def advance(
        self,
        update_id: UpdateId,
        causes: Sequence[Cause],
        *,
        detail: str | None = None,
        actor: str = "otagate",
        code: str | None = None,
        portrait: Portrait | None = None,
        **changes: Any,
    ) -> Update:
        """Move an update along one or more causes, in one transaction; `changes` are further fields of it.

        `portrait`: how its device is set, kept until the update has ended. Raises IllegalTransition (nothing changed), UnknownUpdate,
        StoreUnavailable.
        """
        async with self._journal.commit() as entry:
            if portrait is not None:
                await self._store.portraits.put(update_id, portrait)
            update = await self._advance_one(entry, update_id, causes, detail, actor=actor, code=code, changes=changes)
        self._changed(update)
        return update

    async def activate(self, updates: Iterable[UpdateId], *, detail: str, actor: str = "otagate") -> list[Update]:
        """Let staged images be used, all in one transaction; what is staged no longer is left alone. Returns what moved; raises StoreUnavailable."""
        return await self._in_one(updates, lambda row: row.state is State.STAGED, Cause.ACTIVATED, detail=detail, actor=actor)

    async def approve(self, updates: Iterable[UpdateId], *, actor: str) -> list[Update]:
        """Let planned updates into the queue, all in one transaction; what is planned no longer is left alone. As `activate`."""
        changes = {"approved_by": actor, "expires": None}
        detail = "an operator approved it"
        return await self._in_one(updates, lambda row: row.state is State.PLANNED, Cause.APPROVED, detail=detail, actor=actor, changes=changes)

    async def release(self, updates: Iterable[UpdateId], *, actor: str, override: Collection[Guard] = (), because: str | None = None) -> list[Update]:
        """Note that images may be used as soon as their devices can, all in one transaction.

        `override`: guards that this word overrules, beside those that the order did, and why. Returns the rows that are to hold their image, as they
        are now; raises StoreUnavailable.
        """
        detail = "the device may use the image as soon as it can"

        def change(row: Update) -> Update:
            row = replace(row, released_by=actor)
            if not override:
                return row
            guards = tuple(dict.fromkeys((*row.override, *override)))
            return replace(row, override=guards, because="; ".join(each for each in (row.because, because) if each) or None)

        return await self._in_one(updates, _is_held_back, change, detail=detail, actor=actor)

    async def _in_one(
        self,
        updates: Iterable[UpdateId],
        fits: Callable[[Update], bool],
        what: Cause | Callable[[Update], Update],
        *,
        detail: str,
        actor: str,
        changes: Mapping[str, Any] | None = None,
    ) -> list[Update]:
        changed: list[Update] = []
        async with self._journal.commit() as entry:
            for update_id in updates:
                row = await self._store.updates.get(update_id)
                if not fits(row):
                    continue
                if isinstance(what, Cause):
                    changed.append(await self._advance_one(entry, update_id, [what], detail, actor=actor, changes=changes))
                    continue
                row = what(row)
                await self._store.updates.put(row)
                self._tell(entry, row, "released", actor=actor, detail=detail)
                changed.append(row)
        self._changed(*changed)
        return changed

    async def _advance_one(
        self,
        entry: Entry,
        update_id: UpdateId,
        causes: Sequence[Cause],
        detail: str | None,
        *,
        actor: str = "otagate",
        code: str | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Update:
        update = await self._store.updates.get(update_id)
        for cause in causes:
            update = self._moved(update, cause, detail, code, changes or {})
            self._tell(entry, update, cause, actor=actor, detail=detail)
        if update.ended:
            await self._store.portraits.forget(update_id)
        await self._store.updates.put(update)
        return update

    def _moved(self, update: Update, cause: Cause, detail: str | None, code: str | None, changes: Mapping[str, Any]) -> Update:
        state = advance(update.state, cause)
        now = self._clock.now()
        fields: dict[str, Any] = {"state": state, "reason": None, "not_before": None, **changes}
        if update.paused and state in PAUSABLE:
            fields["reason"] = "paused"
        if cause in (Cause.ADMITTED, Cause.DELEGATED) and update.started is None:
            fields["started"] = now
        if state.final:
            fields |= {"finished": now, "paused": False}
        if state is State.FAILED:
            fields["error"] = Failure(code=code or _CODES[cause], detail=detail or cause)
        return replace(update, **fields)

    async def amend(
        self,
        update_id: UpdateId,
        kind: str,
        *,
        check: Callable[[Update], None],
        actor: str = "otagate",
        detail: str | None = None,
        **changes: Any,
    ) -> Update:
        """Change fields of an update within its state: a progress sample, a pause. `check` sees the row that is changed, and raises what forbids it.

        Raises what `check` raises (nothing changed), UnknownUpdate, StoreUnavailable.
        """
        async with self._journal.commit() as entry:
            before = await self._store.updates.get(update_id)
            check(before)
            update = replace(before, **changes)
            await self._store.updates.put(update)
            self._tell(entry, update, kind, actor=actor, detail=detail)
        self._changed(update)
        return update

    async def portrayed(self, update_id: UpdateId, portrait: Portrait) -> None:
        """Keep how the device of an update is set, until that has ended: no step of its life. Raises UnknownUpdate, StoreUnavailable."""
        async with self._journal.commit():
            if not (await self._store.updates.get(update_id)).ended:
                await self._store.portraits.put(update_id, portrait)

    async def sample(self, update_id: UpdateId, bytes_sent: int) -> None:
        """Write down how far a transfer is: no step of its life, so the journal says nothing of it. Raises UnknownUpdate, StoreUnavailable."""
        async with self._journal.commit():
            before = await self._store.updates.get(update_id)
            if before.state not in (State.OFFERING, State.TRANSFERRING):
                return
            update = replace(before, bytes_sent=bytes_sent)
            await self._store.updates.put(update)
        self._changed(update)

    async def hold(self, verdicts: Mapping[UpdateId, Verdict]) -> None:
        """Say for what queued updates wait, all in one transaction; one that is queued no longer is left alone. Raises StoreUnavailable."""
        changed: list[Update] = []
        async with self._journal.commit() as entry:
            for update_id, verdict in verdicts.items():
                update = await self._store.updates.get(update_id)
                if update.state is not State.QUEUED or update.reason == verdict.reason:
                    continue
                update = replace(update, reason=verdict.reason)
                await self._store.updates.put(update)
                self._tell(entry, update, "waits", actor="otagate", detail=verdict.sentence)
                changed.append(update)
        self._changed(*changed)

    async def recover(self) -> list[Update]:
        """After a start: apply `AFTER_RESTART` to every update that has not ended; returns them as they stand then, oldest first."""
        async with self._journal.commit() as entry:
            recovered = [await self._restarted(entry, update) for update in await self._store.updates.unfinished()]
        self._changed(*recovered)
        return recovered

    async def _restarted(self, entry: Entry, update: Update) -> Update:
        after = AFTER_RESTART[update.state]
        if after is update.state:
            return update
        kind = "interrupted" if update.state is State.FETCHING else "restarted"
        restarted = replace(update, state=after, reason="paused" if update.paused and after in PAUSABLE else None)
        await self._store.updates.put(restarted)
        self._tell(entry, restarted, kind, actor="otagate", detail="the daemon was started again")
        return restarted

    def _changed(self, *updates: Update) -> None:
        for update in updates:
            key = (update.device, update.component)
            newest = self._latest.get(key)
            if update.job is not None and update.ended:
                self._latest.pop(key, None)  # of its steps the last that was begun counts
            elif newest is None or newest.id <= update.id:
                self._latest[key] = update
            rows = self._open.setdefault(key, {})
            rows[update.id] = update
            if update.ended:
                del rows[update.id]
            if not rows:
                del self._open[key]
            for watcher in self._watchers:
                watcher(update)

    @staticmethod
    def _tell(entry: Entry, update: Update, kind: str, *, actor: str, detail: str | None) -> None:
        data = {
            "state": str(update.state),
            "device": update.device,
            "component": update.component,
            "from_version": update.from_version,
            "to_version": update.to_version,
            "image": update.image,
            "bytes_sent": update.bytes_sent,
            "bytes_total": update.bytes_total,
            "reason": update.reason,
            "detail": detail,
            "error": update.error.code if update.error else None,
        }
        if kind == "created" and update.priority != "normal":
            data |= {"priority": update.priority}
        if kind in ("created", "released") and (update.force or update.override):
            data |= {"override": "force" if update.force else ", ".join(update.override), "because": update.because}
        entry.tell("update", update.id, str(kind), actor=actor, data=data)


def _is_held_back(row: Update) -> bool:
    early = row.state in PAUSABLE or row.state is State.STAGED
    return early and row.hold_activation


class _Standing:
    """The updates that have not ended, by their component."""

    def __init__(self, unfinished: Iterable[Update]) -> None:
        self._of: dict[tuple[DeviceId, ComponentId], list[Update]] = {}
        for update in unfinished:
            self.add(update)

    def add(self, update: Update) -> None:
        self._of.setdefault((update.device, update.component), []).append(update)

    def remove(self, update: Update) -> None:
        self._of[update.device, update.component].remove(update)

    def hosts(self) -> dict[DeviceId, Update]:
        """By device, that which holds an image and wants another one."""
        found = (host_of(rows) for rows in self._of.values())
        return {host.device: host for host in found if host is not None}

    def rivals(self, draft: Update, own: Collection[UpdateId] = ()) -> list[Update]:
        """Those of the component of a draft, but for its `own`: the other steps of the job that it is made with."""
        return [each for each in self._of.get((draft.device, draft.component), ()) if each.id not in own]


def _obstacle(draft: Update, standing: _Standing, missing: Mapping[Sha256, UnknownImage], own: Collection[UpdateId] = ()) -> Obstacle | None:
    for other in standing.rivals(draft, own):
        if (other.foreign or not draft.foreign) and (draft.unasked or not other.gives_way):
            return busy(other)
    return None if draft.image is None or draft.release is not None else missing.get(draft.image)


def _job(draft: Update) -> str:
    """What the drafts of one job of one device have in common, before the ledger gives them its id."""
    return f"{draft.device} {draft.job}"


def busy(other: Update) -> AlreadyUpdating:
    """The refusal that names the update in the way."""
    return AlreadyUpdating(f"component {other.component} of {other.device} has update {other.id}, which is {other.state}")
