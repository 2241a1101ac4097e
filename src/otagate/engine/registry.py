"""The ONE place where devices and radios change: what radios tell, kept in memory for reading and in the store for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from otagate.engine.journal import Journal
from otagate.model.devices import Component, Device
from otagate.model.errors import UnknownDevice, UnknownRadio
from otagate.model.ids import DeviceId, RadioName
from otagate.ports import Clock, RadioChanged, RadioState, Store

_SEEN_TO_DISK = timedelta(minutes=30)


@dataclass(slots=True)
class RadioStatus:
    """A radio as it stands: its type and limit from the configuration, its state from itself."""

    type: str
    parallel: int
    state: RadioState = "starting"
    sentence: str = "not started yet"


class Registry:
    """Devices and radios. Reading is from memory; every change is durable before it is told."""

    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._devices: dict[DeviceId, Device] = {}
        self._seen_on_disk: dict[DeviceId, datetime] = {}
        self.radios: dict[RadioName, RadioStatus] = {}

    async def load(self) -> None:
        """Read the devices that are known from before."""
        self._devices = {device.id: device for device in await self._store.devices.all()}

    def devices(self) -> Sequence[Device]:
        """Every device, by id."""
        return sorted(self._devices.values(), key=lambda device: device.id)

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

    async def radio_changed(self, event: RadioChanged) -> None:
        """Take a radio's state, and tell it where it is another one."""
        status = self.radio(event.radio)
        if (status.state, status.sentence) == (event.state, event.sentence):
            return
        status.state, status.sentence = event.state, event.sentence
        async with self._journal.commit() as entry:
            entry.tell("radio", event.radio, "state", data={"state": event.state, "sentence": event.sentence})

    async def found(self, device: Device) -> bool:
        """Take what an interview told; what an interrogation or an operator added stays. True where the device is new."""
        known = self._devices.get(device.id)
        now = self._clock.now()
        if known is None:
            await self._put(replace(device, last_seen=now), "found")
            return True
        merged = replace(
            device,
            name=known.name or device.name,
            manufacturer=device.manufacturer or known.manufacturer,
            model=device.model or known.model,
            manufacturer_code=device.manufacturer_code or known.manufacturer_code,
            battery_percent=device.battery_percent if device.battery_percent is not None else known.battery_percent,
            components=known.components,
            last_checked=known.last_checked,
            last_seen=now,
            pin=known.pin,
            skipped=known.skipped,
        )
        if replace(merged, last_seen=known.last_seen) != known:
            await self._put(merged, "changed")
        return False

    async def interrogated(self, device: Device) -> Device:
        """Take what an interrogation told: components replace those of the same id, others stay."""
        await self.found(device)
        known = self.device(device.id)
        now = self._clock.now()
        checked = replace(known, components=_merge(known.components, device.components), online=True, last_seen=now, last_checked=now)
        await self._put(checked, "interrogated")
        return checked

    async def asked(self, device_id: DeviceId, component: Component) -> Device | None:
        """Take what a Query Next Image told; None where the device is unknown."""
        known = self._devices.get(device_id)
        if known is None:
            return None
        components = _merge(known.components, (component,))
        now = self._clock.now()
        changed = replace(known, components=components, online=True, last_seen=now, last_checked=now)
        if components != known.components or not known.online or known.last_checked is None:
            await self._put(changed, "asked")
        else:
            self._devices[device_id] = changed
        return changed

    async def seen(self, device_id: DeviceId) -> None:
        """A device was heard; on disk only now and then."""
        known = self._devices.get(device_id)
        if known is None:
            return
        now = self._clock.now()
        changed = replace(known, last_seen=now, online=True)
        self._devices[device_id] = changed
        if not known.online:
            await self._put(changed, "online")
        elif now - self._seen_on_disk.get(device_id, datetime.min.replace(tzinfo=now.tzinfo)) >= _SEEN_TO_DISK:
            self._seen_on_disk[device_id] = now
            async with self._store.transaction():
                await self._store.devices.put(changed)

    async def unreachable(self, device_id: DeviceId) -> None:
        """A mains device did not answer."""
        known = self._devices.get(device_id)
        if known is not None and known.online and not known.sleepy:
            await self._put(replace(known, online=False), "offline")

    async def _put(self, device: Device, kind: str) -> None:
        versions = ", ".join(f"{each.id}={each.version:#010x}" for each in device.components if each.version is not None)
        async with self._journal.commit() as entry:
            await self._store.devices.put(device)
            entry.tell(
                "device",
                device.id,
                kind,
                data={"name": device.name, "model": device.model, "online": device.online, "versions": versions or None},
            )
        self._devices[device.id] = device


def _merge(known: Iterable[Component], told: Iterable[Component]) -> tuple[Component, ...]:
    merged = {each.id: each for each in known}
    for each in told:
        before = merged.get(each.id)
        hardware = each.hardware_version if each.hardware_version is not None or before is None else before.hardware_version
        merged[each.id] = replace(each, hardware_version=hardware)
    known_type = any(each.image_type is not None for each in merged.values())
    return tuple(sorted((each for each in merged.values() if each.image_type is not None or not known_type), key=lambda each: each.id))
