"""Sources asked again, when they are due and when an operator says so; one that fails never delays another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from otagate.engine.consultant import Consultant
from otagate.engine.feeds import Feed, FeedState
from otagate.engine.journal import Journal
from otagate.engine.offers import Offers
from otagate.engine.supervise import in_words, outcome
from otagate.engine.talks import Talks
from otagate.engine.views import SourceView
from otagate.model.errors import NotOfThisSource, OtagateError, SourceUnavailable, StoreError, UnknownSource
from otagate.policy.admit import LONGEST_OF_A_SOURCE
from otagate.ports import Clock
from otagate.sources.records import RecordPage, RecordQuery

LOG = structlog.get_logger("otagate.source")

_AGAIN = 60.0
_LONGEST = 3_600.0
"""Seconds until a source that could not be read is read again: doubled from the first to the second with each failure."""

_DOUBTED = timedelta(minutes=10)
"""A source that was read so lately is not read anew because what it said does not hold: it can hardly say anything else."""

_LONGEST_ANSWER = timedelta(days=1)
"""No answer holds for longer, whatever its service says."""

_GATHER = 2.0
"""Seconds in which what several devices make a service wonder about becomes one question."""


@dataclass(slots=True)
class _Source:
    """`cut_short`: the store refused in the last look, so what that brought is told with the next."""

    feed: Feed
    told: tuple[str, str] = ("", "")
    next_refresh: datetime | None = None
    next_check: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    cut_short: bool = False


class Refresher:
    """Every configured source, each with a task of its own. `offline`: why a source is never asked, by its name."""

    def __init__(
        self,
        *,
        feeds: Sequence[Feed],
        offers: Offers,
        consultant: Consultant,
        journal: Journal,
        clock: Clock,
        talks: Talks,
        every: Mapping[str, timedelta] | None = None,
        offline: Mapping[str, str] | None = None,
    ) -> None:
        self._offers = offers
        self._consultant = consultant
        self._journal = journal
        self._clock = clock
        self._talks = talks
        self._sources: Mapping[str, _Source] = {feed.name: _Source(feed) for feed in feeds}
        self.every = dict(every or {})
        self._curious: set[str] = set()
        self._watchers: list[Callable[[], None]] = []
        for name, sentence in (offline or {}).items():
            self._sources[name].feed.state.now("offline", sentence)
        offers.watch(self._wonder, doubtful=self._doubt)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this whenever a source offers other things than before."""
        self._watchers.append(changed)

    def post(self, name: str) -> None:
        """Read a source soon."""
        if name in self._sources:
            self._curious.discard(name)  # all of it, and not only what is news
            self._sources[name].bell.set()

    def post_due(self, name: str) -> None:
        """Read a source soon whose time has come, unless its service said that its answer holds for longer."""
        state, every = self._sources[name].feed.state, self.every.get(name, timedelta())
        left = timedelta() if state.fresh_until is None else state.fresh_until - self._clock.now()
        holds = state.condition == "ok" and every / 4 < left <= _LONGEST_ANSWER
        if not holds:  # so that one period more is never much too long
            self.post(name)

    def _wonder(self, name: str) -> None:
        """Ask soon what was not asked yet."""
        if not self._sources[name].bell.is_set():  # else it is about to be read, and who wants all of it wants the news
            self._curious.add(name)
            self._sources[name].bell.set()

    def _doubt(self, name: str) -> None:
        """Read a source soon that answers otherwise than it said, unless it said that just now."""
        read_at = self._sources[name].feed.state.last_success
        if read_at is None or self._clock.now() - read_at >= _DOUBTED:
            self.post(name)

    async def run(self) -> None:
        """Read what is due, for ever."""
        async with asyncio.TaskGroup() as group:
            for source in self._sources.values():
                group.create_task(self._serve(source), name=f"source:{source.feed.name}")
            await asyncio.Event().wait()  # also where there is no source

    async def _serve(self, source: _Source) -> None:
        name, state = source.feed.name, source.feed.state
        if state.condition == "offline":
            await outcome(self._tell(source), what=f"state of source {name}")
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_again(state)):
                    await source.bell.wait()
            if name in self._curious:
                await asyncio.sleep(_GATHER)
            source.bell.clear()
            only_news = name in self._curious and state.last_success is not None and not state.failures
            self._curious.discard(name)
            if self._quiet_for(state):
                continue
            if state.left_alone:  # to ask again and again would mend nothing
                continue
            error = await outcome(self._refresh(source, only_news=only_news), what=f"source {name}")
            if isinstance(error, Exception):
                LOG.warning("source not read", source=name, error=str(error))
                if not isinstance(error, OtagateError):
                    state.failed(SourceUnavailable(in_words(error)), serves_on=bool(state.releases))
                    await outcome(self._tell(source), what=f"state of source {name}")

    def _quiet_for(self, state: FeedState) -> float:
        """Seconds for which a source wants to be left alone; a pause that is longer than any was told by a clock that was ahead then."""
        left = timedelta() if state.not_before is None else state.not_before - self._clock.now()
        return left.total_seconds() if timedelta() < left <= LONGEST_OF_A_SOURCE else 0.0

    def _until_again(self, state: FeedState) -> float | None:
        """Seconds until a source that failed is read again by itself, however long its period is; None where it did not fail."""
        if state.left_alone:
            return None
        if state.not_before is not None:
            return max(1.0, self._quiet_for(state))
        return min(_AGAIN * 2 ** min(state.failures - 1, 10), _LONGEST) if state.failures else None

    async def refresh(self, name: str, *, room_id: str | None = None) -> SourceView:
        """Read a source now, where wanted after its service looked again at one room; what is wrong with the source itself is in its state.

        A service that wants checks further apart is left alone: the answer is what is known, and when it may be asked again.
        Raises UnknownSource, StoreUnavailable; NotOfThisSource and SourceError for a room.
        """
        source = self._source(name)
        if room_id is not None:
            rooms = source.feed.room_sync
            if rooms is None:
                raise NotOfThisSource(f"source {name!r} is of type {source.feed.type}, which knows no rooms: refresh it without room_id")
            await self._talks.hold(rooms.service, rooms.sync_room(room_id))
        if not await self._holds_back(source):
            await self._refresh(source)
        return self.view(name)

    async def _holds_back(self, source: _Source) -> bool:
        """Whether a check comes too soon for the service; every other one counts. What could not be read is always tried again."""
        state = source.feed.state
        if state.service is None or state.condition == "offline":
            return False
        until = await self._talks.check(state.service)
        source.next_check = until if state.condition == "ok" and state.last_success is not None else None
        return source.next_check is not None

    async def records(self, name: str, query: RecordQuery) -> RecordPage:
        """What the service itself recorded. Raises UnknownSource, NotOfThisSource, BadFilter, SourceError."""
        feed = self._source(name).feed
        if feed.recorder is None:
            raise NotOfThisSource(f"source {name!r} is of type {feed.type}, whose service keeps no records")
        return await self._talks.hold(feed.recorder.service, feed.recorder.records(query))

    async def _refresh(self, source: _Source, *, only_news: bool = False) -> None:
        feed = source.feed
        if feed.state.condition == "offline":
            return
        async with source.lock:
            try:
                changed = await (self._offers.feed(feed.name).read_news() if only_news else feed.read())
            except StoreError as error:
                feed.state.now("degraded", str(error), error)
                feed.state.failures += 1
                source.cut_short = True
                raise
            if changed or source.cut_short:  # whatever the journal says to that
                source.cut_short = False
                self._consultant.post_all()
                for watcher in self._watchers:
                    watcher()
            source.next_refresh = self._next(feed)
            await self._tell(source)

    def _next(self, feed: Feed) -> datetime | None:
        every, again = self.every.get(feed.name), self._until_again(feed.state)
        if feed.state.left_alone or (every is None and again is None):
            return None
        soonest = min(each for each in (every, None if again is None else timedelta(seconds=again)) if each is not None)
        return self._clock.now() + soonest

    async def _tell(self, source: _Source) -> None:
        now = (source.feed.state.condition, source.feed.state.sentence)
        if source.told != now:
            async with self._journal.commit() as entry:
                entry.tell("source", source.feed.name, "state", data={"state": now[0], "sentence": now[1]})
            source.told = now

    def _source(self, name: str) -> _Source:
        try:
            return self._sources[name]
        except KeyError:
            raise UnknownSource(f"there is no source {name!r}") from None

    def _sentence(self, source: _Source) -> str:
        sentence, until = source.feed.state.sentence, source.next_check
        held = until is not None and self._clock.now() < until
        return f"{sentence}; it was refreshed lately and may be refreshed again from {until:%Y-%m-%d %H:%M:%S} UTC on" if held else sentence

    def view(self, name: str) -> SourceView:
        """One source as shown; raises UnknownSource."""
        source = self._source(name)
        feed, state = source.feed, source.feed.state
        return SourceView(
            name=name,
            type=feed.type,
            state=state.condition,
            sentence=self._sentence(source),
            last_success=state.last_success,
            next_refresh=state.not_before or source.next_refresh,
            releases=state.releases,
            error=state.error,
            quotas=() if state.service is None else tuple(self._talks.left(state.service)),
            skipped=state.skipped,
            left_out=state.left_out,
            failures=state.failures,
        )

    def views(self) -> Sequence[SourceView]:
        """Every source as shown."""
        return [self.view(name) for name in self._sources]
