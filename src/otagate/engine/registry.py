"""The ONE place where devices and radios change: what radios tell, in memory at once, on disk as soon as the disk takes it.

What is told here can be asked again, so memory goes first: with a full disk the hub knows its devices and radios as they are. What the store refused
is owed to it, and a fact is published only once it is durable. What operators say cannot be asked again: it goes to the disk first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog

from otagate.engine.journal import Entry, Journal
from otagate.engine.merging import adopted, differs, known_better, merged_components, with_status_of
from otagate.engine.patches import DevicePatch, patched, told_changes
from otagate.engine.supervise import outcome
from otagate.model.devices import Component, Device
from otagate.model.errors import RadioError, RadioInUse, RadioUnavailable, StoreError, UnknownDevice, UnknownRadio, WrongNetwork
from otagate.model.ids import ComponentId, DeviceId, RadioName
from otagate.model.links import Link, Load
from otagate.model.versions import Version, display_version, version_key
from otagate.policy.pace import Kin
from otagate.ports import Clock, Loan, RadioChanged, RadioNoticed, RadioState, Store

_STORE_RETRY = 1.0
_MOST_OWED = 100
"""Things noticed of radios that wait for a store that refuses."""

LOG = structlog.get_logger("otagate.registry")

_SEEN_TO_DISK = timedelta(hours=1)
"""So often, all together, devices are written of which nothing is new but when they were heard."""

_HEARD_LATELY = timedelta(seconds=60)
"""Radios tell at most about once a minute that a device was heard, so a younger sign of life says that it is there."""

_COMPONENTS = 8
"""No device has more components than this; one that tells of more invents them."""

_TROUBLE: Mapping[RadioState, type[RadioError]] = {
    "retrying": RadioUnavailable,
    "in_use": RadioInUse,
    "wrong_network": WrongNetwork,
    "lent": RadioUnavailable,
}
"""The states of a radio that does not serve, each with the error that its sentence goes with."""

Adopted = Literal["new", "changed", "unchanged"]
"""What taking over what another program knows of a device made of it."""


@dataclass(slots=True)
class RadioStatus:
    """A radio as it stands: its type and limits (see `policy.air`) from the configuration, its state from itself.

    `told` is what the journal says of it. `tried`: it has come up or failed at least once since the start of the hub. `load` is what it had to do
    in the last minutes, while it is up. `loan` tells of a stick that belongs to another program, `retried` that it is tried again by itself.
    """

    type: str
    parallel: int
    slow: int = 8
    state: RadioState = "starting"
    sentence: str = "not started yet"
    tried: bool = False
    told: tuple[str, str] = ("", "")
    load: Load | None = None
    loan: Loan | None = None
    retried: bool = False

    @property
    def trouble(self) -> RadioError | None:
        """Why it is not up, once it was tried."""
        kind = _TROUBLE.get(self.state)
        return None if kind is None else kind(self.sentence)


class Registry:
    """Devices and radios, read from memory."""

    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._devices: dict[DeviceId, Device] = {}
        self._kin: Kin | None = None
        self._owed: dict[DeviceId, str | None] = {}  # device → the kind of fact that is owed with its row, if any
        self._owed_radios: dict[tuple[RadioName, str], RadioChanged | RadioNoticed] = {}  # by radio and what is told: its state, or the sentence
        self._saving = asyncio.Lock()
        self._saved: datetime | None = None
        self._owing = asyncio.Event()
        self.asleep: set[DeviceId] = set()
        """Sleeping devices of which their radio knows that nothing reaches them now."""
        self.links: dict[DeviceId, Link] = {}
        """How well devices were heard last. Nothing of it is kept: after a restart they are heard again."""
        self.radios: dict[RadioName, RadioStatus] = {}

    async def load(self) -> None:
        """Read the devices that are known from before."""
        self._devices = {device.id: device for device in await self._store.devices.all()}
        self._kin = None

    def devices(self) -> Sequence[Device]:
        """Every device, by id."""
        return sorted(self._devices.values(), key=lambda device: device.id)

    def by_id(self) -> Mapping[DeviceId, Device]:
        """Every device as it is now, by id; what is told later does not change it."""
        return dict(self._devices)

    @property
    def kin(self) -> Kin:
        """What devices of each model reached; reckoned anew only when a device has told something else than that it is there."""
        if self._kin is None:
            self._kin = Kin.of(self._devices.values())
        return self._kin

    def known(self, device_id: DeviceId) -> Device | None:
        """One device, or None."""
        return self._devices.get(device_id)

    def device(self, device_id: DeviceId) -> Device:
        """One device; raises UnknownDevice."""
        try:
            return self._devices[device_id]
        except KeyError:
            raise UnknownDevice(f"there is no device {device_id!r}") from None

    def radio(self, name: str | None) -> RadioStatus:
        """One radio; raises UnknownRadio."""
        try:
            return self.radios[RadioName(name or "")]
        except KeyError:
            raise UnknownRadio(f"there is no radio {name!r}") from None

    def is_up(self, name: str | None) -> bool:
        """Whether a radio serves now."""
        status = self.radios.get(RadioName(name or ""))
        return status is not None and status.state == "up"

    @contextmanager
    def explained(self, name: str) -> Iterator[None]:
        """What fails inside because the radio is not up fails with the radio's own trouble: what is wrong, and what mends it."""
        try:
            yield
        except RadioUnavailable as error:
            raise self.radio(name).trouble or error from None

    @property
    def owes(self) -> bool:
        """Whether memory knows something that the store refused."""
        return self._owing.is_set()

    # --- what radios tell ---------------------------------------------------------------------------------------------------------------

    async def radio_changed(self, event: RadioChanged) -> None:
        """Take a radio's state. One that is tried again and again tells the journal so once, not at every try. Raises UnknownRadio."""
        status = self.radio(event.radio)
        status.state, status.sentence, status.loan = event.state, event.sentence, event.loan
        status.load = status.load if event.state == "up" else None
        again = event.state == "starting" and (status.told[0] == "retrying" or status.retried)
        status.retried = event.retried or (status.retried and event.state == "starting")
        status.tried = status.tried or event.state != "starting"
        if not again and status.told != (event.state, event.sentence):
            status.told = (event.state, event.sentence)
            self._owed_radios[event.radio, "state"] = event
            await self.save()

    async def radio_noticed(self, event: RadioNoticed) -> None:
        """Take what people should know of a radio beside its state; it comes only once, so a store that refuses is owed it."""
        if len(self._owed_radios) < _MOST_OWED:
            self._owed_radios[event.radio, event.sentence] = event
        await self.save()

    def loaded(self, name: RadioName, load: Load) -> None:
        """Take how much a radio has to do. Raises UnknownRadio."""
        self.radio(name).load = load

    def linked(self, device_id: DeviceId, link: Link | None) -> None:
        """Take how well a device was heard, where its radio knows; that may be during its interview, before it is found."""
        if link is not None:
            self.links[device_id] = link

    async def found(self, device: Device) -> bool:
        """Take what an interview told; what was asked, heard or ordered stays, for to be known is not to be heard. True where the device is new."""
        known = self._devices.get(device.id)
        if known is None:
            await self._take(device, "found")
            return True
        merged = known_better(device, known)
        if merged != known:
            await self._take(merged, None if with_status_of(merged, known) == known else "changed")
        return False

    async def interrogated(self, device: Device) -> Device:
        """Take what an interrogation told: components replace those of the same id; others stay behind them, while there are not too many."""
        known = self._devices.get(device.id)
        now = self._clock.now()
        merged = device if known is None else known_better(device, known)
        told = {each.id for each in device.components}
        components = merged_components(known.components if known is not None else (), device.components)
        components = tuple(sorted(components, key=lambda each: (each.id not in told, each.floor is None, each.id)))[:_COMPONENTS]
        online = device.online or device.protocol != "cloud"  # a cloud answers for a device that is not there
        checked = replace(merged, components=components, online=online, last_seen=now if online else merged.last_seen, last_checked=now)
        first = known is None or known.last_checked is None
        await self._take(checked, "interrogated" if first or differs(checked, known) else None)
        return checked

    async def asked(self, device_id: DeviceId, component: Component) -> Device | None:
        """Take what a Query Next Image told; None where the device is unknown or tells of more components than any device has."""
        known = self._devices.get(device_id)
        if known is None or (known.component(component.id) is None and len(known.components) >= _COMPONENTS):
            return None
        now = self._clock.now()
        changed = replace(known, components=merged_components(known.components, (component,)), online=True, last_seen=now, last_checked=now)
        await self._take(changed, "asked" if known.last_checked is None or differs(changed, known) else None)
        return changed

    async def proved(
        self,
        device_id: DeviceId,
        component_id: ComponentId,
        *,
        version: Version | None,
        rate: float | None,
        drain: float | None = None,
        inner_format: str | None = None,
    ) -> None:
        """An update of ours brought this version to a component, which told it, at so many bytes a second: what policy goes by from now on."""
        known = self._devices.get(device_id)
        before = None if known is None else known.component(component_id)
        if known is None or before is None:
            return
        floor = version if before.floor is None or (version is not None and version_key(version) > version_key(before.floor)) else before.floor
        after = replace(
            before, floor=floor, rate=rate, drain=drain if drain is not None else before.drain, inner_format=inner_format or before.inner_format
        )
        if after != before:
            components = tuple(after if each.id == component_id else each for each in known.components)
            await self._take(replace(known, components=components), "proved" if floor != before.floor else None)

    async def showed(self, device_id: DeviceId, component_id: ComponentId, *, holds: bool) -> None:
        """A component waited with an image until it was told to use it, or did not."""
        known = self._devices.get(device_id)
        before = None if known is None else known.component(component_id)
        if known is not None and before is not None and before.holds is not holds:
            components = tuple(replace(each, holds=holds) if each.id == component_id else each for each in known.components)
            await self._take(replace(known, components=components), "proved" if holds else "uses_at_once")

    async def seen(self, device_id: DeviceId) -> None:
        """A device was heard."""
        self.asleep.discard(device_id)
        known = self._devices.get(device_id)
        if known is not None:
            await self._take(replace(known, last_seen=self._clock.now(), online=True), None if known.online else "online")

    def slept(self, device_id: DeviceId) -> None:
        """A sleeping device went back to sleep."""
        self.asleep.add(device_id)

    async def silent(self, device_id: DeviceId) -> None:
        """A device did not answer: unless it sleeps, or was heard just now, it is offline."""
        known = self._devices.get(device_id)
        if known is None or known.sleepy or not known.online:
            return
        if known.last_seen is None or abs(self._clock.now() - known.last_seen) > _HEARD_LATELY:
            await self._take(replace(known, online=False), "offline")

    async def gone(self, device_id: DeviceId) -> None:
        """A device left the network."""
        known = self._devices.get(device_id)
        if known is not None and known.online:
            await self._take(replace(known, online=False), "left")

    # --- what operators say -------------------------------------------------------------------------------------------------------------

    async def amend(self, device_id: DeviceId, patch: DevicePatch, *, actor: str) -> Device:
        """Take an operator's word about a device: on disk first, then here. Raises UnknownDevice, StoreUnavailable."""
        async with self._saving:
            before = self.device(device_id)
            wanted = patched(before, patch)
            if wanted != before:
                async with self._journal.commit() as entry:
                    await self._store.devices.put(wanted)
                    entry.tell("device", device_id, "amended", actor=actor, data=told_changes(before, wanted, patch.because))
            self._devices[device_id] = patched(self.device(device_id), patch)  # what was heard meanwhile stays
            return self._devices[device_id]

    async def adopt(
        self, devices: Sequence[Device], *, actor: str, reword: Callable[[Device], Device], settle: Callable[[], Awaitable[None]]
    ) -> Mapping[DeviceId, Adopted]:
        """Take devices as another program of their network knows them: on disk first, in one commit with what `settle` does, then here.

        What was asked, ordered or heard here stays; `reword` puts in what people called them there. Raises StoreError, and what `settle` raises.
        """
        async with self._saving:
            rows = [reword(adopted(each, self._devices.get(each.id))) for each in devices]
            made = {each.id: _outcome(each, self._devices.get(each.id)) for each in rows}
            async with self._journal.commit() as entry:
                for row in rows:
                    await self._store.devices.put(row)
                    if made[row.id] != "unchanged":
                        data = {"name": row.name, "model": row.model, "room": row.room, "groups": ", ".join(row.groups) or None}
                        entry.tell("device", row.id, "adopted", actor=actor, data=data)
                await settle()
            self._kin = None
            self._devices.update((each.id, reword(adopted(each, self._devices.get(each.id)))) for each in devices)  # what was heard meanwhile stays
            return made

    # --- to disk ------------------------------------------------------------------------------------------------------------------------

    async def _take(self, device: Device, kind: str | None) -> None:
        """Into memory now; to disk now where there is a fact to tell, else with the others when it is time."""
        before = self._devices.get(device.id)
        if before is None or before.components is not device.components or _kind(before) != _kind(device):
            self._kin = None
        self._devices[device.id] = device
        self._owed[device.id] = kind or self._owed.get(device.id)
        now = self._clock.now()
        self._saved = self._saved or now
        if kind is not None or now - self._saved >= _SEEN_TO_DISK:
            await self.save(everything=kind is None)

    async def run(self) -> None:
        """Offer the store again what it refused, for ever; at the end of the hub, everything that memory knows better."""
        try:
            while True:
                await self._owing.wait()
                await asyncio.sleep(_STORE_RETRY)
                await outcome(self.save(), what="what is owed to the store")
        finally:
            await self.save(everything=True)

    async def save(self, *, everything: bool = False) -> None:
        """Write what has a fact to tell, or `everything` that memory knows better. A store that refuses is owed it."""
        async with self._saving:
            owed = {each: kind for each, kind in self._owed.items() if everything or kind is not None}
            radios = dict(self._owed_radios)
            if not owed and not radios:
                return
            rows = [self._devices[each] for each in owed]
            for each in owed:
                del self._owed[each]
            self._owed_radios.clear()
            written = False
            try:
                await self._write(rows, owed, radios.values())
                written = True
            except StoreError as error:
                LOG.debug("owed to the store", devices=len(owed), radios=len(radios), error=str(error))
            finally:
                if not written:  # refused or cancelled
                    self._owed = owed | {each: kind or owed.get(each) for each, kind in self._owed.items()}
                    self._owed_radios = radios | self._owed_radios
            if not written:
                self._owing.set()
                return
            self._owing.clear()
            if everything:
                self._saved = self._clock.now()

    async def _write(self, rows: Iterable[Device], kinds: dict[DeviceId, str | None], radios: Iterable[RadioChanged | RadioNoticed]) -> None:
        async with self._journal.commit() as entry:
            for device in rows:
                await self._store.devices.put(device)
                _tell(entry, device, kinds[device.id])
            for event in radios:
                _tell_radio(entry, event)


def _tell_radio(entry: Entry, event: RadioChanged | RadioNoticed) -> None:
    if isinstance(event, RadioNoticed):
        entry.tell("radio", event.radio, event.kind, data={"sentence": event.sentence})
        return
    loan = {} if event.loan is None else {"owner": event.loan.owner, "loan": event.loan.stage}
    entry.tell("radio", event.radio, "state", data={"state": event.state, "sentence": event.sentence} | loan)


def _tell(entry: Entry, device: Device, kind: str | None) -> None:
    if kind is None:
        return
    versions = ", ".join(f"{each.id}={display_version(each.version)}" for each in device.components if each.version is not None)
    data = {"name": device.name, "model": device.model, "online": device.online, "versions": versions or None}
    entry.tell("device", device.id, kind, data=data)


def _outcome(device: Device, known: Device | None) -> Adopted:
    if known is None:
        return "new"
    return "changed" if differs(device, known) else "unchanged"


def _kind(device: Device) -> tuple[str | None, str | None]:
    return (device.manufacturer, device.model)
