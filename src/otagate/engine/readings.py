"""What an operator may read: views made from rows, courses and policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.goback import way_back
from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.registry import Registry
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.views import ComponentView, DeviceView, Health, JournalFilter, Offer, Page, RadioView, UpdateStatus, UpdateView, WindowView
from otagate.model.clouds import THE_CLOUD
from otagate.model.devices import Device
from otagate.model.errors import StoreError
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, UpdateId
from otagate.model.lifecycle import State
from otagate.model.portraits import Portrait
from otagate.model.rollouts import RolloutId
from otagate.model.updates import Update
from otagate.model.versions import Version, same_version
from otagate.policy.guards import preview
from otagate.ports import Broker, Clock, Store

_SHOWN_AS: Mapping[State, UpdateStatus] = {
    State.PLANNED: "waiting",
    State.QUEUED: "waiting",
    State.SUCCEEDED: "updated",
    State.FAILED: "failed",
    State.CANCELLED: "none",
    State.SUPERSEDED: "none",
}
_RANK: Sequence[UpdateStatus] = ("updating", "waiting", "available", "failed", "updated", "none")
"""A device with several components shows what most needs a look."""


_OPENINGS = 7
"""Openings of a window that are told."""

_CHUNK = 500
_SCANNED = 5_000
"""Facts that one page of the journal looks through at most; a page that finds less than it may hold goes on where it stopped."""


class Readings:
    """Reads, and changes nothing."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        ledger: Ledger,
        registry: Registry,
        consultant: Consultant,
        conductor: Conductor,
        halt: Halt,
        radio_pauses: RadioPauses,
        rollouts: RolloutBook,
        clock: Clock,
        broker: Broker | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._registry = registry
        self._consultant = consultant
        self._conductor = conductor
        self._halt = halt
        self._radio_pauses = radio_pauses
        self._rollouts = rollouts
        self._clock = clock
        self._broker = broker

    # --- devices ----------------------------------------------------------------------------------------------------------------------

    async def devices(
        self,
        *,
        radio: str | None = None,
        protocol: str | None = None,
        update_status: str | None = None,
        q: str | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Page[DeviceView]:
        """One page of devices by id, of those after an id."""
        items: list[DeviceView] = []
        for device in self._registry.devices():
            if device.id <= after or not _fits(device, radio, protocol, q):
                continue
            view = await self.device_view(device)
            if update_status is not None and view.update_status != update_status:
                continue
            if len(items) == limit:
                return Page(items=items, last=items[-1].device.id)
            items.append(view)
        return Page(items=items)

    async def device_view(self, device: Device) -> DeviceView:
        """A device with its components' newest releases and running updates."""
        components: list[ComponentView] = []
        statuses: list[UpdateStatus] = []
        for component in device.components:
            choice = self._consultant.consult(device, component, operator=True)
            latest = await self._ledger.latest(device.id, component.id)
            running = latest if latest is not None and not latest.ended else None
            available = choice.chosen
            components.append(ComponentView(component=component, available=available, update=running.id if running else None))
            statuses.append(_status(latest, component.version, available.file_version if available else None))
        shown: UpdateStatus = min(statuses, key=_RANK.index, default="none")
        return DeviceView(device=device, update_status=shown, components=tuple(components), link=self._registry.links.get(device.id))

    async def device(self, device_id: DeviceId) -> DeviceView:
        """One device, with where each component could go back to; raises UnknownDevice."""
        return await self.whole_view(self._registry.device(device_id))

    async def whole_view(self, device: Device) -> DeviceView:
        """A device as shown by itself."""
        view, past = await self.device_view(device), await self._consultant.past(device.id)
        whole = tuple(replace(each, back=way_back(device, each.component, past, self._consultant)) for each in view.components)
        return replace(view, components=whole)

    async def offers(self, device_id: DeviceId) -> Sequence[Offer]:
        """Every release that fits any component of the device, newest first; raises UnknownDevice."""
        device = self._registry.device(device_id)
        return [
            Offer(component=component.id, release=judged.release, verdict=judged.verdict)
            for component, choice in self._consultant.offers(device)
            for judged in choice.trace
        ]

    # --- updates ----------------------------------------------------------------------------------------------------------------------

    async def updates(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Page[UpdateView]:
        """One page of updates, newest first, of those made before one."""
        rows = list(await self._store.updates.page(states=states, device=device, rollout=rollout, limit=limit + 1, before=before))
        last = rows[limit - 1].id if len(rows) > limit else None
        return Page(items=[self.update_view(row) for row in rows[:limit]], last=last)

    async def update(self, update_id: UpdateId) -> UpdateView:
        """One update; raises UnknownUpdate."""
        return self.update_view(await self._store.updates.get(update_id))

    def update_view(self, update: Update) -> UpdateView:
        """An update with its live progress, and for what it waits as of now."""
        reason, sentence = self._waits(update)
        update = replace(update, reason=reason)
        course = self._conductor.course(update.id)
        if course is not None:
            sentence = course.sentence if update.state is State.CONFIRMING else sentence or course.sentence
        if course is None or update.state not in (State.TRANSFERRING, State.OFFERING):
            return UpdateView(update=update, bytes_sent=update.bytes_sent, bytes_per_second=None, eta_seconds=None, sentence=sentence)
        now = self._clock.monotonic()
        progress = course.progress
        sent = max(progress.offset, update.bytes_sent)
        return UpdateView(
            update=update,
            bytes_sent=sent,
            bytes_per_second=progress.rate(now),
            eta_seconds=progress.eta(now),
            fragments=progress.fragments,
            sentence=sentence,
        )

    def _waits(self, update: Update) -> tuple[str | None, str | None]:
        """For what an update waits, as of now, by its word and in words."""
        if update.ended:
            return update.reason, None
        if update.paused:
            return "paused", "The update is paused."
        if self._halt.on:
            return "halted", "Everything is halted until an operator lifts it."
        if (paused := self._radio_pauses.sentence(update.radio)) is not None and update.state is not State.PLANNED:
            return "paused", paused
        if self._rollouts.stills(update):
            return "halted", "Its rollout is halted until an operator resumes it."
        if update.state is State.PLANNED:
            until = "" if update.expires is None else f" until {update.expires:%Y-%m-%d %H:%M} UTC"
            return update.reason, f"It waits{until} for an operator to approve it."
        verdict = self._conductor.waits_for(update.id) if update.id else self._conductor.queue.foretell(update)
        return (update.reason, None) if verdict is None else (verdict.reason, verdict.sentence)

    def windows(self) -> Sequence[WindowView]:
        """Every window with its openings to come."""
        now = self._clock.now()
        found = [(each.name, preview([each], now, most=_OPENINGS)) for each in self._conductor.windows]
        return [WindowView(name=name, open=bool(to_come) and to_come[0].begins <= now, openings=tuple(to_come)) for name, to_come in found]

    async def log(self, update_id: UpdateId, *, limit: int = 500, after: int = 0) -> Page[Fact]:
        """One page of the facts of one update, oldest first; raises UnknownUpdate."""
        await self._store.updates.get(update_id)
        facts = await self._store.facts.after(after, limit=limit + 1, subject="update", subject_id=update_id)
        return Page(items=facts[:limit], last=str(facts[limit - 1].number) if len(facts) > limit else None)

    async def portrait(self, update_id: UpdateId) -> Portrait:
        """How the device was set before the update, as far as that is known: forgotten when it has ended. Raises UnknownUpdate."""
        await self._store.updates.get(update_id)
        return await self._store.portraits.get(update_id) or Portrait()

    async def journal(self, wanted: JournalFilter, *, limit: int = 100, before: int | None = None) -> Page[Fact]:
        """One page of the journal, newest first. It may hold less than `limit` though more follows."""
        found: list[Fact] = []
        for _ in range(0, _SCANNED, _CHUNK):
            facts = await self._store.facts.before(before, limit=_CHUNK, subject=wanted.subject, subject_id=wanted.subject_id)
            for fact in facts:
                before = fact.number
                if wanted.fits(fact):
                    found.append(fact)
                    if len(found) == limit:
                        return Page(items=found, last=str(before))
            if len(facts) < _CHUNK:
                return Page(items=found)
        return Page(items=found, last=str(before))

    def moving(self) -> Sequence[UpdateView]:
        """The updates whose transfer runs now."""
        return [self.update_view(course.update) for course in self._conductor.courses() if course.update.state is State.TRANSFERRING]

    # --- radios and health ------------------------------------------------------------------------------------------------------------

    def radios(self) -> Sequence[RadioView]:
        """Every configured radio."""
        devices = self._registry.devices()
        courses = self._conductor.courses()
        return [
            RadioView(
                name=name,
                type=status.type,
                state=status.state,
                sentence=status.sentence,
                devices=sum(device.radio == name for device in devices),
                transfers=sum(course.update.radio == name and course.update.state is State.TRANSFERRING for course in courses),
                parallel=status.parallel,
                error=status.trouble,
                paused=self._radio_pauses.view(name),
                load=status.load,
                borrowed_from=None if status.loan is None or status.loan.stage == "returned" else status.loan.owner,
            )
            for name, status in self._registry.radios.items()
            if name != THE_CLOUD
        ]

    async def health(self) -> Health:
        """Ready: the store is open, and every radio is up or being tried again. A store that cannot be written is told, no more."""
        try:
            await self._store.facts.last_number()
            open_, store = True, self._journal.trouble or "ok"
        except StoreError as error:
            open_, store = False, str(error)
        tried = {name for name, status in self._registry.radios.items() if status.tried and (status.state == "starting" or status.retried)}
        radios = tuple(self.radios())
        ready = open_ and all(each.state in ("up", "lent", "retrying") or each.name in tried for each in radios)
        broker = None if self._broker is None else self._broker.trouble or "ok"
        return Health(ready=ready, store=store, radios=radios, broker=broker)


def _fits(device: Device, radio: str | None, protocol: str | None, q: str | None) -> bool:
    if radio is not None and device.radio != radio:
        return False
    if protocol is not None and device.protocol != protocol:
        return False
    if q is None:
        return True
    words = (device.id, device.name, device.manufacturer or "", device.model or "", device.room or "", *device.groups)
    return q.casefold() in " ".join(words).casefold()


def _status(latest: Update | None, running: Version | None, available: Version | None) -> UpdateStatus:
    """The last final state counts until a newer release makes the component available."""
    if latest is None:
        return "available" if available is not None else "none"
    shown = _SHOWN_AS.get(latest.state, "updating")
    if not latest.ended:
        return shown
    failed = latest.state is State.FAILED
    if available is not None and not (failed and same_version(available, latest.to_version)):
        return "available"
    return "updated" if failed and same_version(running, latest.to_version) else shown
