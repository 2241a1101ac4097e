"""Which firmware is there for a component, and what policy says of it; automatic updates are made here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.registry import Registry
from otagate.model.devices import Component, Device
from otagate.model.ids import RadioName, Sha256, UpdateId
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.policy.plan import Choice, choose
from otagate.policy.settings import PolicySettings
from otagate.ports import Clock, Store

PolicyOf = Callable[[Device], PolicySettings]
"""The settings that the configuration's rules give to a device."""


class Consultant:
    """Asks the library and policy; writes only through the ledger."""

    def __init__(
        self, *, library: Library, registry: Registry, ledger: Ledger, store: Store, clock: Clock, policy_of: PolicyOf, admit: Callable[[], None]
    ) -> None:
        self._library = library
        self._registry = registry
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._policy_of = policy_of
        self._admit = admit

    def consult(
        self,
        device: Device,
        component: Component,
        *,
        operator: bool = False,
        image: Sha256 | None = None,
        version: int | None = None,
        allow_downgrade: bool = False,
        force: bool = False,
    ) -> Choice:
        """The best release for a component with the verdict on every one. Raises UnknownImage for an `image` that is not stored."""
        return choose(
            device,
            component,
            self._library.releases(image),
            settings=self._policy_of(device),
            operator=operator,
            allow_downgrade=allow_downgrade,
            force=force,
            version=version,
            named=image is not None,
        )

    def offers(self, device: Device) -> Sequence[tuple[Component, Choice]]:
        """Every component with its choice."""
        return [(component, self.consult(device, component)) for component in device.components]

    async def decide(self, device: Device) -> list[Update]:
        """Make the updates that policy wants without asking anybody."""
        drafts = []
        busy = {update.component for update in await self._store.updates.unfinished(device.id)}
        for component, choice in self.offers(device):
            release = choice.chosen
            if release is None or not choice.verdict.allowed or component.id in busy:
                continue
            if not await self._in_a_loop(device, component, release):
                drafts.append(self.draft(device, component, release, actor="policy"))
        if not drafts:
            return []
        created = await self._ledger.create(drafts)
        self._admit()
        return created

    async def decide_all(self) -> None:
        """The releases have changed: decide for every device."""
        for device in self._registry.devices():
            await self.decide(device)

    async def _in_a_loop(self, device: Device, component: Component, release: Release) -> bool:
        """Whether this release failed here before in a way that another try will not mend."""
        latest = await self._store.updates.latest(device.id, component.id)
        if latest is None or latest.to_version != release.file_version:
            return False
        return latest.state in (State.FAILED, State.CANCELLED)

    def draft(
        self,
        device: Device,
        component: Component,
        release: Release,
        *,
        actor: str,
        allow_downgrade: bool = False,
        force: bool = False,
        not_before: datetime | None = None,
        hold_activation: bool = False,
    ) -> Update:
        """An update that is not in the store yet; the ledger gives it its id."""
        return Update(
            id=UpdateId(""),
            device=device.id,
            component=component.id,
            radio=RadioName(device.radio or ""),
            manufacturer_code=component.manufacturer_code if component.manufacturer_code is not None else release.manufacturer_code,
            image_type=release.image_type,
            from_version=component.version,
            to_version=release.file_version,
            source=release.source,
            image=release.sha256,
            state=State.QUEUED,
            bytes_total=release.size,
            created=self._clock.now(),
            reason="scheduled" if not_before else None,
            allow_downgrade=allow_downgrade,
            force=force,
            not_before=not_before,
            hold_activation=hold_activation,
            actor=actor,
        )
