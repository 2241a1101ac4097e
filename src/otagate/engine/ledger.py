"""The ONE place where an update changes state: pure `lifecycle.advance`, one transaction for row and fact, then publication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from otagate.engine.journal import Entry, Journal
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import AFTER_RESTART, Cause, State, advance
from otagate.model.updates import Failure, Update
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


class Ledger:
    """Updates in the store, moved by causes."""

    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock

    async def create(self, drafts: Sequence[Update]) -> list[Update]:
        """Insert updates; each takes its id from the number of its own `created` fact, so ids are unique and sort by creation."""
        created: list[Update] = []
        async with self._journal.commit() as entry:
            number = await self._store.facts.last_number()
            for draft in drafts:
                number += 1
                update = replace(draft, id=UpdateId(f"u{number:08d}"))
                await self._store.updates.put(update)
                self._tell(entry, update, "created", actor=update.actor, detail=None)
                created.append(update)
        return created

    async def advance(
        self,
        update_id: UpdateId,
        causes: Sequence[Cause],
        *,
        detail: str | None = None,
        actor: str = "otagate",
        code: str | None = None,
        **changes: Any,
    ) -> Update:
        """Move an update along one or more causes, in one transaction; `changes` are further fields of it.

        Raises IllegalTransition (nothing changed), UnknownUpdate, StoreUnavailable.
        """
        async with self._journal.commit() as entry:
            update = await self._store.updates.get(update_id)
            for cause in causes:
                update = self._moved(update, cause, detail, code, changes)
                self._tell(entry, update, cause, actor=actor, detail=detail)
            await self._store.updates.put(update)
        return update

    def _moved(self, update: Update, cause: Cause, detail: str | None, code: str | None, changes: dict[str, Any]) -> Update:
        state = advance(update.state, cause)
        now = self._clock.now()
        fields: dict[str, Any] = {"state": state, "reason": None, "not_before": None} | changes
        if cause is Cause.ADMITTED and update.started is None:
            fields["started"] = now
        if state.final:
            fields["finished"] = now
        if state is State.FAILED:
            fields["error"] = Failure(code=code or _CODES.get(cause, "update-failed"), detail=detail or cause)
        return replace(update, **fields)

    async def amend(self, update_id: UpdateId, kind: str, *, actor: str = "otagate", detail: str | None = None, **changes: Any) -> Update:
        """Change fields of an update within its state: a reason, a progress sample, a pause."""
        async with self._journal.commit() as entry:
            update = replace(await self._store.updates.get(update_id), **changes)
            await self._store.updates.put(update)
            self._tell(entry, update, kind, actor=actor, detail=detail)
        return update

    async def recover(self) -> list[Update]:
        """After a start: apply `AFTER_RESTART` to every update that has not ended; returns them as they stand then."""
        recovered: list[Update] = []
        async with self._journal.commit() as entry:
            for update in await self._store.updates.unfinished():
                after = AFTER_RESTART[update.state]
                if after is not update.state:
                    update = replace(update, state=after, reason=None)
                    await self._store.updates.put(update)
                    self._tell(entry, update, "restarted", actor="otagate", detail="the daemon was started again")
                recovered.append(update)
        return recovered

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
        entry.tell("update", update.id, str(kind), actor=actor, data=data)
