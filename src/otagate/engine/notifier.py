"""Tells one receiver what happened: the journal is the outbox, and what is on its way is on disk before it is sent.

So a hub that is killed while it sends says the same again under the same id, and nothing is left out. A receiver that is away stops nobody.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from otagate.engine.journal import Journal
from otagate.engine.views import NotifierView
from otagate.model.errors import SourceError, SourceUnavailable, StoreError
from otagate.model.facts import Fact
from otagate.policy.notices import Kind, Loss, Notice, Severity, due_again, follow, held_until, matters
from otagate.policy.window import Window
from otagate.ports import Clock, Courier, Outgoing, Store
from otagate.ports.notices import row

LOG = structlog.get_logger("otagate.notify")

LIFE = timedelta(days=1)
"""What could not be told for so long is given up."""

BURST = 5
"""Of one kind so many are told one by one in a minute; what comes behind them is told together."""

MOST = 20
"""News that a digest tells in words; the rest is counted."""

AGAIN = (5.0, 30.0, 120.0, 600.0, 1800.0)
"""Seconds before the next try, after each that failed."""

_MINUTE = timedelta(minutes=1)
_TEST = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far a notifier is: facts up to `cursor` are dealt with, but for `held` (with `more` that are only counted) until `until`, and `outgoing`.

    `losses` are the radios that are lost and were told of. `lost`: something was given up, and that is told, until something arrives again.
    """

    cursor: int
    outgoing: Outgoing | None = None
    held: tuple[Notice, ...] = ()
    more: int = 0
    until: datetime | None = None
    losses: tuple[Loss, ...] = ()
    lost: bool = False

    @property
    def waiting(self) -> int:
        """Notices that are not told yet."""
        out = self.outgoing
        return len(self.held) + self.more + (0 if out is None else len(out.notices) + out.more)


class Notifier:
    """One receiver, told what matters to it.

    `quiet`: hours in which only problems are told. `radios`: those that the hub has. `again`: see `AGAIN`; the last counts for all that follow.
    """

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        courier: Courier,
        journal: Journal,
        store: Store,
        clock: Clock,
        least: Severity,
        quiet: Window | None = None,
        radios: Collection[str] = (),
        again: Sequence[float] = AGAIN,
    ) -> None:
        self._name = name
        self._kind = kind
        self._radios = radios
        self._again = again
        self._courier = courier
        self._journal = journal
        self._store = store
        self._clock = clock
        self._least = least
        self._quiet = quiet
        self._key = f"notify:{name}"
        self._burst: dict[Kind, deque[datetime]] = {}
        self._state = Told(cursor=0)
        self._trouble: str | None = None
        self._delivered: datetime | None = None

    def view(self) -> NotifierView:
        """How it fares."""
        return NotifierView(
            name=self._name,
            type=self._kind,
            severity=self._least,
            trouble=self._trouble,
            waiting=self._state.waiting,
            last_delivered=self._delivered,
        )

    async def test(self) -> None:
        """Send something now, quiet hours or not, once. Raises SourceError where it does not arrive."""
        now = self._clock.now()
        notice = Notice(kind="test", at=now, about="hub", text="This is a test: whoever reads it is told what happens on this hub.")
        try:
            async with asyncio.timeout(_TEST):
                await self._deliver(self._made([notice]))
        except TimeoutError:
            self._trouble = f"notify {self._name}: the receiver did not answer within {_TEST:.0f} s"
            raise SourceUnavailable(self._trouble) from None

    async def run(self) -> None:
        """Tell what happens, until the hub stops. What happened before the first start is old news."""
        while not self._journal.closed:
            try:
                await self._load()
                while not self._journal.closed:
                    await self._turn()
            except StoreError as error:
                LOG.warning("notifications wait for the store", notifier=self._name, error=str(error))
                await asyncio.sleep(AGAIN[0])

    async def _load(self) -> None:
        stored = await self._store.settings.get(self._key)
        if stored is None:
            await self._keep(Told(cursor=await self._store.facts.last_number()))
            return
        try:
            state = _state_of(json.loads(stored), self._name)
            self._state = replace(state, losses=tuple(each for each in state.losses if each.radio in self._radios))
        except (ValueError, KeyError, TypeError) as error:
            LOG.warning("what a notifier knew cannot be read: it begins with what happens now", notifier=self._name, error=repr(error))
            await self._keep(Told(cursor=await self._store.facts.last_number()))

    async def _turn(self) -> None:
        """Send what is prepared, or read on until something is."""
        state = self._state
        if state.outgoing is not None:
            await self._send(state.outgoing)
            return
        if state.held and (state.until is None or state.until <= self._clock.now()):
            await self._release()
            return
        again = due_again(state.losses)
        if again is not None and again <= self._clock.now():
            await self._remind()
            return
        soonest = min((each for each in (state.until, again) if each is not None), default=None)
        wait = None if soonest is None else max(0.0, (soonest - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(wait):
                await self._read_on()
        except TimeoutError:
            return

    async def _remind(self) -> None:
        """Tell once more of the radios that are still lost."""
        now, losses, notices = self._clock.now(), [], []
        for each in self._state.losses:
            late = due_again([each])
            if late is not None and late <= now:
                each, notice = each.told_again(now)
                notices.append(notice)
            losses.append(each)
        await self._keep(replace(self._state, losses=tuple(losses), outgoing=self._made(notices)))

    async def _read_on(self) -> None:
        began = self._state
        async for fact in self._journal.events(after=self._state.cursor):
            await self._take(fact)
            if self._state.outgoing is not None or (self._state.until, self._state.losses) != (began.until, began.losses):
                return
        if not self._journal.closed:
            await asyncio.sleep(AGAIN[0])  # the store could not be read

    async def _take(self, fact: Fact) -> None:
        """Deal with one fact; only news is written down, for the rest a restart finds out again that it is none."""
        now = self._clock.now()
        losses, notice = follow(self._state.losses, fact)
        state = replace(self._state, cursor=fact.number, losses=losses)
        if notice is None or not matters(notice, self._least):
            if losses != self._state.losses:
                await self._keep(state)
            self._state = state
            return
        if now - notice.at > LIFE:
            await self._give_up(state)
            return
        until = held_until(notice, self._quiet, now) or self._crowded(notice, now)
        if until is None:
            await self._keep(replace(state, outgoing=self._made([notice])))
            return
        soonest = until if state.until is None else min(until, state.until)
        fits = len(state.held) < MOST
        held = (*state.held, notice) if fits else state.held
        await self._keep(replace(state, held=held, more=state.more + (not fits), until=soonest))

    def _crowded(self, notice: Notice, now: datetime) -> datetime | None:
        """When this kind may be told again, where it was told too often in the last minute."""
        told = self._burst.setdefault(notice.kind, deque(maxlen=BURST))
        if len(told) == BURST and now - told[0] < _MINUTE:
            return told[0] + _MINUTE
        told.append(now)
        return None

    async def _release(self) -> None:
        state = self._state
        outgoing = self._made(state.held, more=state.more)
        await self._keep(replace(state, outgoing=outgoing, held=(), more=0, until=None))

    def _made(self, notices: Sequence[Notice], *, more: int = 0) -> Outgoing:
        return Outgoing(id=str(uuid.uuid4()), notifier=self._name, since=self._clock.now(), notices=tuple(notices), more=more)

    async def _deliver(self, outgoing: Outgoing) -> None:
        try:
            await self._courier.deliver(outgoing)
        except SourceError as error:
            self._trouble = str(error)
            raise
        self._trouble, self._delivered = None, self._clock.now()

    async def _send(self, outgoing: Outgoing) -> None:
        """Try until it is taken or too old."""
        for tried in range(1_000_000):
            if self._clock.now() - outgoing.since > LIFE:
                await self._give_up(replace(self._state, outgoing=None))
                return
            try:
                await self._deliver(outgoing)
            except SourceError as error:
                if tried == 0:
                    LOG.warning("a notification could not be delivered, and is tried again", notifier=self._name, error=str(error))
                await asyncio.sleep(self._pause(tried, error.until))
            else:
                await self._keep(replace(self._state, outgoing=None, lost=False))
                return

    def _pause(self, tried: int, until: datetime | None) -> float:
        """Seconds until the next try: those of the backoff, or more where the receiver wants to be left alone, but no more than its longest."""
        asked = 0.0 if until is None else (until - self._clock.now()).total_seconds()
        return min(max(asked, self._again[min(tried, len(self._again) - 1)]), AGAIN[-1])

    async def _give_up(self, state: Told) -> None:
        """Go on without it; the journal is told once, until something arrives again."""
        if state.lost:
            await self._keep(state)
            return
        lost = replace(state, lost=True)
        async with self._journal.commit() as entry:
            await self._store.settings.put(self._key, _text_of(lost))
            entry.tell("hub", "hub", "notification_lost", data={"notifier": self._name, "detail": "it could not be delivered for a day"})
        self._state = lost

    async def _keep(self, state: Told) -> None:
        """Cursor, what is held and what is sent next: in one transaction, before anything is sent."""
        async with self._store.transaction():
            await self._store.settings.put(self._key, _text_of(state))
        self._state = state


def _text_of(state: Told) -> str:
    out = state.outgoing
    return json.dumps(
        {
            "cursor": state.cursor,
            "outgoing": None
            if out is None
            else {"id": out.id, "since": out.since.isoformat(), "notices": [row(each) for each in out.notices], "more": out.more},
            "held": [row(each) for each in state.held],
            "more": state.more,
            "until": None if state.until is None else state.until.isoformat(),
            "losses": [
                {"radio": each.radio, "since": each.since.isoformat(), "sentence": each.sentence, "again": each.again, "kept": each.kept}
                for each in state.losses
            ],
            "lost": state.lost,
        }
    )


def _state_of(tree: dict[str, Any], name: str) -> Told:
    """What `_text_of` wrote. Raises ValueError, KeyError, TypeError."""
    out, until = tree["outgoing"], tree["until"]
    losses = (
        Loss(
            radio=each["radio"],
            since=datetime.fromisoformat(each["since"]),
            sentence=each["sentence"],
            again=bool(each["again"]),
            kept=bool(each.get("kept")),
        )
        for each in tree["losses"]
    )
    return Told(
        cursor=int(tree["cursor"]),
        outgoing=None
        if out is None
        else Outgoing(
            id=out["id"],
            notifier=name,
            since=datetime.fromisoformat(out["since"]),
            notices=_notices_of(out["notices"]),
            more=int(out["more"]),
        ),
        held=_notices_of(tree["held"]),
        more=int(tree["more"]),
        until=None if until is None else datetime.fromisoformat(until),
        losses=tuple(losses),
        lost=bool(tree["lost"]),
    )


def _notices_of(rows: list[dict[str, Any]]) -> tuple[Notice, ...]:
    return tuple(Notice(kind=each["kind"], at=datetime.fromisoformat(each["at"]), about=each["about"], text=each["text"]) for each in rows)
