"""Which firmware is there for a component, and what policy says of it; automatic updates are made here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from otagate.engine.cases import Cases
from otagate.engine.drafts import POLICY, Past, draft
from otagate.engine.jobs import parts_of
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.offers import TAKEN_BACK, Offers
from otagate.engine.registry import Registry
from otagate.engine.supervise import in_words, outcome
from otagate.model.devices import Component, Device
from otagate.model.errors import IllegalTransition, NoRelease, StoreError, UnknownDevice, UpdateError
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId, target_of
from otagate.model.lifecycle import Cause, State
from otagate.model.quirks import Quirk, QuirkOf, quirk_for
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Guard, Verdict
from otagate.model.versions import Version, same_version, version_key
from otagate.policy.activation import stage, wish_of
from otagate.policy.catalogue import REPLACED, merge
from otagate.policy.chain import Way, onwards, way_to
from otagate.policy.guards import PolicyOf
from otagate.policy.job import as_job, first_steps, host_of, in_turn, linked, waits_for_step
from otagate.policy.judge import Terms
from otagate.policy.match import wants_hardware
from otagate.policy.plan import Choice, choose, explain
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line
from otagate.ports import Clock, Store

LOG = structlog.get_logger("otagate.consultant")

_PAST = 100
_AGAIN = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3_600.0
"""Seconds until a decision is made again that failed in a way that nobody foresaw: doubled from the first to the second with each failure."""


class Consultant:
    """Asks the library and policy; writes only through the ledger."""

    def __init__(
        self,
        *,
        library: Library,
        offers: Offers,
        registry: Registry,
        ledger: Ledger,
        store: Store,
        clock: Clock,
        policy_of: PolicyOf,
        quirk_of: QuirkOf,
        cases: Cases,
    ) -> None:
        self._library = library
        self._offers = offers
        self._registry = registry
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._policy_of = policy_of
        self._quirk_of = quirk_of
        self._cases = cases
        cases.watch(self.post_all)
        self._owed: dict[DeviceId, None] = {}
        self._failures: dict[DeviceId, int] = {}
        self._bell = asyncio.Event()
        ledger.watch(self._changed)

    # --- readings -----------------------------------------------------------------------------------------------------------------------

    def consult(
        self,
        device: Device,
        component: Component,
        *,
        operator: bool = False,
        image: Sha256 | None = None,
        release: Release | None = None,
        version: Version | None = None,
        allow_downgrade: bool = False,
        force: bool = False,
        override: Iterable[Guard] = (),
    ) -> Choice:
        """The best release for a component with the verdict on every one of its kind, or on the one `image` or `release` that is named.

        Raises UnknownImage for an `image` that is not stored, NoRelease for one that is to be published under no version.
        """
        if release is not None:
            among = [release]
        elif image is not None:
            among = [self._published(device, component, image, version) or _named(self._library.release(image), version)]
        else:
            among = self.releases_for(device, component)
        terms: Terms = {
            **self._terms(device, component),
            "operator": operator,
            "allow_downgrade": allow_downgrade,
            "force": force,
            "override": tuple(override),
            "named": image is not None or release is not None,
        }
        return choose(device, component, among, version=version, **terms)

    def explain(self, device: Device, component: Component, choice: Choice) -> list[Line]:
        """What every rule says of the release that policy's own choice is about."""
        return explain(device, component, choice, **self._terms(device, component))

    def _terms(self, device: Device, component: Component) -> Terms:
        return {
            "settings": self._policy_of(device),
            "quirk": self.quirk(device, component),
            "casebook": self._cases.book,
            "now": self._clock.now(),
        }

    def steps(
        self, device: Device, component: Component, first: Release, *, operator: bool = True, force: bool = False, override: Iterable[Guard] = ()
    ) -> Way:
        """What follows a release: the files of it for other targets, else the releases that fit once the one before runs, as far as can be told."""
        parts = parts_of(device, first, self.releases_for)
        if parts or not self.quirk(device, component).tells_version:
            return parts or [(component, first)]
        terms: Terms = {**self._terms(device, component), "operator": operator, "force": force, "override": tuple(override)}
        way = onwards(device, component, first, self.releases_for, **terms)
        whole = next((at for at, (_, each) in enumerate(way) if parts_of(device, each, self.releases_for)), len(way))
        return way[:whole]  # what has several files is a job of its own

    def way_to(self, device: Device, component: Component, version: Version, *, force: bool = False, override: Iterable[Guard] = ()) -> Way:
        """The steps that lead an operator's order to a version that cannot follow the running one; empty where none do."""
        if not self.quirk(device, component).tells_version:
            return []
        terms: Terms = {**self._terms(device, component), "operator": True, "force": force, "override": tuple(override)}
        return way_to(device, component, version, self.releases_for, **terms)

    def quirk(self, device: Device, component: Component) -> Quirk:
        """How this kind of component differs from the specification."""
        return quirk_for(device, component, self._quirk_of)

    def settings(self, device: Device) -> PolicySettings:
        """What the operator wants in general for a device."""
        return self._policy_of(device)

    def _published(self, device: Device, component: Component, image: Sha256, version: Version | None) -> Release | None:
        """An image as what the cloud of a device brings to it once it is published there; None where no cloud takes it."""
        source = self._offers.publisher_for(device.id)
        if source is None:
            return None
        stored = self._library.release(image)
        if version is None:
            raise NoRelease("an image is published to this device under a version: say which, as in 1.0.1")
        return Release(
            source=source,
            protocol="cloud",
            file_version=version,
            size=stored.size,
            target=target_of(component.id),
            sha256=image,
            file_name=stored.file_name,
            location=component.id,
        )

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What all sources offer for this kind of component, and what is stored for it."""
        stored = [self._as_stored(each, device, component) for each in self._library.releases_for(component)]
        return merge(self._offers.releases_for(device, component), stored)

    def _as_stored(self, release: Release, device: Device, component: Component) -> Release:
        """What a service brought and has taken back since is nobody's to take, but for who names the image."""
        if not self._offers.retracted(release, device, component):
            return release
        return replace(release, alarm=f"{release.source} has taken it back: it offers neither this version nor a newer one any more.")

    def offers(self, device: Device) -> Sequence[tuple[Component, Choice]]:
        """Every component with its choice."""
        return [(component, self.consult(device, component)) for component in device.components]

    def wants_hardware(self, device: Device) -> bool:
        """Whether a release is for some hardware versions only, and which one the device has is not known."""
        return any(wants_hardware(device, each, self.releases_for(device, each)) for each in device.components)

    def is_stored(self, image: Sha256) -> bool:
        """Whether the bytes are here."""
        return any(each.sha256 == image for each in self._library.images())

    async def past(self, device: DeviceId) -> Past:
        """What became of the device's updates."""
        return Past(await self._store.updates.page(device=device, limit=_PAST))

    # --- decisions ----------------------------------------------------------------------------------------------------------------------

    def post(self, device: DeviceId) -> None:
        """Decide for a device soon."""
        self._owed[device] = None
        self._bell.set()

    def post_all(self) -> None:
        """The releases have changed: decide for every device soon."""
        for device in self._registry.devices():
            self.post(device.id)

    def _changed(self, update: Update) -> None:
        if update.state is State.SUCCEEDED or update.wants_more:  # the next release of a chain may fit now, or another component is wanted
            self.post(update.device)

    async def run(self) -> None:
        """Decide, one device after another, for ever; a decision that could not be stored is made again."""
        while True:
            await self._bell.wait()
            if not self._owed:
                self._bell.clear()
                continue
            device_id = next(iter(self._owed))
            del self._owed[device_id]
            error = await outcome(self._decide_one(device_id), what=f"decision for {device_id}")
            if isinstance(error, (StoreError, UpdateError)):
                LOG.debug("not decided yet", device=device_id, error=str(error))
                self.post(device_id)
                await asyncio.sleep(_AGAIN)
            elif isinstance(error, Exception):
                self._failed(device_id, error)
            else:
                self._failures.pop(device_id, None)

    def _failed(self, device_id: DeviceId, error: Exception) -> None:
        """Nobody foresaw that: others are decided for, and this device again after a while."""
        failures = self._failures[device_id] = self._failures.get(device_id, 0) + 1
        pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE)
        LOG.warning("not decided", device=device_id, error=in_words(error), again_in=pause)
        asyncio.get_running_loop().call_later(pause, self.post, device_id)

    async def _decide_one(self, device_id: DeviceId) -> None:
        try:
            device = self._registry.device(device_id)
        except UnknownDevice:
            return
        self._offers.notice(device)
        await self.review(device)
        await self.decide(device)

    async def decide(self, device: Device) -> list[Update]:
        """Make the updates that policy wants, to be approved where it asks; a newer release takes the place of one of ours that has not begun.

        All of one device are one job, so those that wait already are made anew with the first of another component.
        Raises StoreUnavailable, and IllegalTransition where such a one has just begun.
        """
        unfinished = list(await self._store.updates.unfinished(device.id))
        host = host_of(unfinished)
        if device.radio not in self._registry.radios:
            return []
        if host is not None and (followed := await self._follow(device, host, unfinished)):
            return followed
        asks_for = self._policy_of(device).approval_expires
        wanted = [
            (component, choice.chosen, asks_for if choice.verdict.decision == "ask" else None)
            for component, choice in self.offers(device)
            if choice.chosen is not None and (choice.verdict.decision != "ask" or asks_for is not None)
        ]
        if not wanted:
            return []
        past = await self.past(device.id)
        made: list[tuple[list[Update], list[Update]]] = []  # what is wanted, and what waits in its place
        for component, release, asking in wanted:
            if not any(each.component == component.id for way, _ in made for each in way):  # else a part of a release that is taken already
                before = [each for each in unfinished if each.component == component.id]
                made.append((self._drafts(device, component, release, past, asking), before))
        fresh = [way for way, before in made if way and (not before or _outdated(before, way))]
        states = {way[0].state for way in fresh}
        made = [(way, before) for way, before in made if way in fresh or (way and way[0].state in states and _only_waits(before, unfinished))]
        now = as_job(in_turn(way for way, _ in made if way[0].state is State.QUEUED), "now")
        asked = as_job(in_turn(way for way, _ in made if way[0].state is State.PLANNED), "asked")
        return await self._make(now + asked, superseding=[each.id for _, before in made for each in before])

    async def _make(self, drafts: Sequence[Update], *, superseding: Sequence[UpdateId] = ()) -> list[Update]:
        created = await self._ledger.create(drafts, superseding=superseding) if drafts else []
        return [each for each in created if isinstance(each, Update)]

    def _drafts(self, device: Device, component: Component, release: Release, past: Past, asks_for: timedelta | None) -> list[Update]:
        """The updates that policy makes of its choice: as far as the way was not found wrong on this device before."""
        way = self.steps(device, component, release, operator=False) if asks_for is None else self.steps(device, component, release)
        whole = next((at for at, (one, each) in enumerate(way) if past.speaks_against(one.id, each)), len(way))
        if release.bundle is not None and whole < len(way):
            return []
        now = self._clock.now()
        return linked([draft(device, one, each, now=now, actor=POLICY, past=past, asks_for=asks_for) for one, each in way[:whole]])

    async def _follow(self, device: Device, host: Update, unfinished: Sequence[Update]) -> list[Update]:
        """What a device wants that holds the image of one component and does not use it without those of others, as its update was wanted.

        Nobody is asked again; a component that was tried in this job is left to whoever tries it again. Raises StoreUnavailable.
        """
        past = await self.past(device.id)
        tried = {each.component for each in unfinished} | {each.component for each in past.updates if host.job is not None and each.job == host.job}
        wanted = [self._wanted_with(host, device, each, past) for each in device.components if each.id not in tried]
        return await self._make(as_job(in_turn(wanted), host.id))

    def _wanted_with(self, host: Update, device: Device, component: Component, past: Past) -> list[Update]:
        asked = not host.unasked
        choice = self.consult(device, component, operator=asked, force=host.force, override=host.override)
        staging = stage(wish_of(host), device, component, self.quirk(device, component), force=host.force)
        if choice.chosen is None or isinstance(staging, Verdict) or (choice.verdict.decision == "ask" and not asked):
            return []
        way = self.steps(device, component, choice.chosen, operator=asked, force=host.force, override=host.override)
        unwanted = (at for at, (one, each) in enumerate(way) if _unwanted(past, one.id, each, host))
        drafts = [
            draft(
                device,
                one,
                release,
                now=self._clock.now(),
                actor=host.actor,
                past=past,
                force=host.force,
                override=host.override,
                because=host.because,
                staging=staging,
                in_window=host.in_window,
                priority=host.priority,
            )
            for one, release in way[: next(unwanted, len(way))]
        ]
        return linked([replace(each, rollout=host.rollout, wave=host.wave, approved_by=host.approved_by) for each in drafts])

    async def review(self, device: Device) -> None:
        """End what waits and is taken back by its source; of a chain also steps to come that something is known against.

        Raises StoreUnavailable.
        """
        rows = await self._store.updates.unfinished(device.id)
        first = first_steps(rows)
        for row in rows:
            component = device.component(row.component)
            if row.state not in (State.QUEUED, State.PLANNED) or component is None or row.release is None:
                continue  # an image that is here is heeded by whoever recalls
            if not row.link:
                if self._offers.retracted(row.release, device, component):
                    await self._give_up(row, TAKEN_BACK.format(row.source))
                elif self._offers.replaced(row.release, device, component):
                    await self._give_up(row, REPLACED.format(row.source))
                continue
            its_turn = waits_for_step(row, first) is None and same_version(component.version, row.from_version)
            why = self._leads_nowhere(device, component, row, its_turn=its_turn)
            if why is not None:
                await self._give_up(row, f"step {row.step} of {row.steps}: {why}")

    async def _give_up(self, row: Update, detail: str) -> None:
        cause = Cause.SUPERSEDED if row.gives_way else Cause.CANCELLED
        with suppress(IllegalTransition):  # it has just begun
            await self._ledger.advance(row.id, [cause], detail=detail)

    def _leads_nowhere(self, device: Device, component: Component, row: Update, *, its_turn: bool) -> str | None:
        if row.release is None:
            return None
        if self._offers.withdrew(row.release, device, component):
            return TAKEN_BACK.format(row.source)
        if not its_turn:
            return None
        verdict = self.consult(device, component, release=row.release, operator=True, force=row.force, override=row.override).verdict
        return verdict.sentence if verdict.decision == "refuse" else None

    async def withdraw(self, device: Device) -> None:
        """End what policy itself had queued for a device and would not take any more. Raises StoreUnavailable."""
        for update in await self._store.updates.unfinished(device.id):
            component = device.component(update.component)
            if component is None or not update.gives_way or update.link:
                continue  # a further step of a chain ends with the one before it
            verdict = self.consult(device, component, version=update.to_version).verdict
            wanted = ("ask",) if update.state is State.PLANNED else ("allow", "hold")
            if verdict.decision not in wanted:
                with suppress(IllegalTransition):  # it has just begun
                    await self._ledger.advance(update.id, [Cause.SUPERSEDED], detail=verdict.sentence)


def _named(release: Release, version: Version | None) -> Release:
    """A stored file that does not say which version it holds is the version that the order says."""
    return release if release.file_version is not None else replace(release, file_version=version)


def _unwanted(past: Past, component: ComponentId, release: Release, host: Update) -> bool:
    """Whether what became of a release on this device before speaks against it, as far as whoever wanted the update may overlook that."""
    if host.unasked:
        return past.speaks_against(component, release)
    return not host.force and past.loops(component, release)


def _only_waits(before: Sequence[Update], unfinished: Iterable[Update]) -> bool:
    """Whether nothing of updates that nobody but policy wanted has begun, nor of their jobs."""
    jobs = {each.job for each in before if each.job is not None}
    return all(each.gives_way for each in (*before, *(each for each in unfinished if each.job in jobs)))


def _outdated(before: Sequence[Update], made: Sequence[Update]) -> bool:
    """Whether updates of a component that wait, and that nobody but policy wanted, are overtaken by a newer release."""
    if not all(each.gives_way for each in before):
        return False
    begins, ends = (version_key(each.to_version) for each in (before[0], before[-1]))
    return version_key(made[0].to_version) > begins or version_key(made[-1].to_version) > ends
