"""IoTaaP as a source: what lies there for one device is for the device here that the configuration binds to it, and for no other.

The service names neither digest nor what a file is for, so a new version is fetched when it appears: its own header says the rest, and its sha256 is
pinned. The same version with other bytes is an alarm, in the journal and in the state of the source, and is offered to nobody until it is settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from otagate.engine.clouds import TellDevices
from otagate.engine.feeds import HARD_LIFE, FeedState, counted
from otagate.engine.journal import Journal
from otagate.engine.library import Library
from otagate.engine.pins import Pin, Pins
from otagate.engine.talks import Talks
from otagate.model.devices import Component, Device
from otagate.model.errors import ImageError, SourceBusy, SourceError, SourceMisconfigured, SourceRefused, UnknownImage
from otagate.model.ids import DeviceId, Sha256, iotaap_device_id
from otagate.model.images import Image
from otagate.model.releases import Fingerprint, Release
from otagate.model.versions import parse_dotted_version
from otagate.ports import Clock, ImageCache
from otagate.sources.effects import Stored
from otagate.sources.iotaap import Deployed, Iotaap
from otagate.sources.records import Recorder

_SHOWN = 5


@dataclass(slots=True, kw_only=True)
class BoundFeed:
    """One account. `bindings`: the service's device id, by the device here. Implements `feeds.Offering` and `feeds.Publishing`."""

    repository: Iotaap
    bindings: Mapping[DeviceId, str]
    type: str
    talks: Talks
    library: Library
    cache: ImageCache
    pins: Pins
    journal: Journal
    clock: Clock
    tell: TellDevices
    state: FeedState = field(default_factory=FeedState)
    _offers: dict[str, Release] = field(default_factory=dict)  # the service's device id → what lies there
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.state.service = self.repository.service

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.repository.name

    @property
    def recorder(self) -> Recorder | None:
        """See `feeds.Feed.recorder`."""
        return self.repository

    @property
    def room_sync(self) -> None:
        """The service knows no rooms."""
        return None

    async def read(self) -> bool:
        """Look what lies there, and bring what is new; True where it offers other things now. Raises StoreUnavailable."""
        before = dict(self._offers)
        try:
            listed = await self.talks.hold(self.repository.service, self.repository.listed())
            self.tell(self.name, self.repository.devices(listed))
            wrong = await self._take({each.device_id: each for each in listed})
        except SourceError as error:
            if self.state.last_success is not None and self.clock.now() - self.state.last_success > HARD_LIFE:
                self._offers = {}
                self.state.releases = 0
            self.state.failed(error, serves_on=bool(self._offers))
            return self._offers != before
        self.state.last_success, self.state.releases = self.clock.now(), len(self._offers)
        self.state.now("ok", f"{counted(len(self._offers), 'release')} for {counted(len(self.bindings), 'bound device')}")
        if wrong:
            more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
            self.state.now("degraded", "; ".join(wrong[:_SHOWN]) + more)
        return self._offers != before

    async def read_news(self) -> bool:
        """Nothing is asked about devices that come and go."""
        return False

    def wonders_about(self, device: Device) -> bool:
        """Bindings stand in the configuration, so no device raises a question."""
        return False

    async def _take(self, listed: Mapping[str, Deployed]) -> list[str]:
        """Bring what is new, one after the other; returns what is wrong with which. Raises SourceBusy, StoreUnavailable."""
        wrong: list[str] = []
        for device_id in dict.fromkeys(self.bindings.values()):
            deployed = listed.get(device_id)
            if deployed is None:  # nothing was ever published to it
                self._offers.pop(device_id, None)
                continue
            try:
                pin = await self._pinned(deployed)
            except SourceBusy:
                raise
            except SourceError as error:
                wrong.append(str(error))
                continue
            if pin.trouble is not None:
                wrong.append(pin.trouble)
            if pin.image is None:
                self._offers.pop(device_id, None)
            else:
                self._offers[device_id] = self._release(deployed, pin, pin.image)
        return wrong

    async def _pinned(self, deployed: Deployed) -> Pin:
        """What this version is, fetched where it never came, was put there anew, or is not here any more."""
        pin = await self.pins.read(deployed.device_id, deployed.version)
        if pin is not None and pin.updated == _updated(deployed) and (pin.image is None or self._is_here(pin.image)):
            return pin
        async with self._turn:
            file = await self._fetched(deployed.device_id, deployed.version)
            image, trouble = await self._open(deployed, file)
            return await self._compare(deployed, Pin(file=file.sha256, image=image, updated=_updated(deployed), trouble=trouble))

    async def _fetched(self, device_id: str, version: str) -> Stored:
        return await self.talks.hold(self.repository.service, self.repository.fetch_file(device_id, version))

    async def _open(self, deployed: Deployed, file: Stored) -> tuple[Sha256 | None, str | None]:
        """The image in a file, or why it holds none."""
        data = bytes(await asyncio.to_thread(self.cache.open, file.sha256))
        name = f"iotaap-{deployed.version}.ota"
        if self._is_for_zwave(deployed.device_id):  # any bytes are a Z-Wave file by name; the service need not name it
            name = file.file_name if "." in file.file_name else f"iotaap-{deployed.version}.bin"
        image: Image | None = None
        try:
            image = await self.library.add(data, file_name=name, source=self.name, actor=f"source:{self.name}")
        except ImageError as error:
            return None, f"version {deployed.version} for device {deployed.device_id} is no image that can be used: {error}"
        finally:
            if image is None or image.sha256 != file.sha256:
                await self.cache.remove(file.sha256)
        return image.sha256, None

    async def _compare(self, deployed: Deployed, found: Pin) -> Pin:
        """Pin what came first; what came later under the same version must be the same. Raises StoreUnavailable."""
        device_id, version = deployed.device_id, deployed.version
        known = await self.pins.read(device_id, version)
        alarm = known is not None and known.file != found.file
        pin = found
        if known is not None and alarm:
            sentence = (
                f"version {version} for device {device_id} has other bytes than when it first came (sha256 {found.file[:12]}…, then "
                f"{known.file[:12]}…) and is quarantined: publish it under a new version, or order one of the two images by its sha256"
            )
            pin = replace(known, updated=found.updated, trouble=sentence)
        async with self.journal.commit() as entry:
            await self.pins.write(device_id, version, pin)
            if known is not None and alarm:
                facts = {"iotaap_device": device_id, "version": version, "pinned": known.file, "found": found.file}
                entry.tell("source", self.name, "alarm", data=facts)
        return pin

    # --- what is offered ------------------------------------------------------------------------------------------------------------------

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What lies there for this very device; whether it fits is for policy to say."""
        release = self._offers.get(self.bindings.get(device.id, ""))
        if release is None or self.state.outlived(self.clock.now()):
            return []
        if release.protocol != "zwave" or device.product is None:
            return [release]
        manufacturer_id, product_type, product_id = device.product
        product = Fingerprint(manufacturer_id=manufacturer_id, product_type=product_type, product_id=product_id)
        return [replace(release, fingerprints=(product,))]  # a raw file names no product: the binding does

    def takes(self, device: DeviceId) -> bool:
        """Whether an image can be published to this device of a cloud."""
        return device in map(iotaap_device_id, self.repository.tokens)

    async def fetch(self, release: Release) -> Stored:
        """Fetch a version again; other bytes than were pinned are an alarm. Raises SourceError, StoreUnavailable."""
        if self.state.left_alone:  # as with every source
            raise SourceMisconfigured(self.state.sentence)
        device_id, _, version = (release.location or "").partition("/")
        async with self._turn:
            file = await self._fetched(device_id, version)
            known = await self.pins.read(device_id, version)
            if known is None or known.file == file.sha256:
                return file
            await self.cache.remove(file.sha256)
            pin = await self._compare(Deployed(device_id=device_id, version=version), Pin(file=file.sha256, image=None, updated=known.updated))
        self.state.now("degraded", pin.trouble or "")
        if device_id in self._offers:
            self._offers[device_id] = replace(self._offers[device_id], alarm=pin.trouble)
        raise SourceRefused(f"{self.name}: {pin.trouble}")

    def _release(self, deployed: Deployed, pin: Pin, image: Sha256) -> Release:
        """The header's word for everything; of a file without one, the version is the service's."""
        release = replace(
            self.library.release(image), source=self.name, location=f"{deployed.device_id}/{deployed.version}", notes=f"IoTaaP {deployed.version}"
        )
        if release.protocol == "zwave":
            release = replace(release, file_version=_dotted(deployed.version), target=release.target or 0)
        return replace(release, alarm=None if pin.trouble is None else f"{pin.trouble[0].upper()}{pin.trouble[1:]}.")

    def _is_here(self, image: Sha256) -> bool:
        try:
            self.library.image(image)
        except UnknownImage:
            return False
        return True

    def _is_for_zwave(self, device_id: str) -> bool:
        return any(bound == device_id and device.startswith("zwave-") for device, bound in self.bindings.items())


def _updated(deployed: Deployed) -> str | None:
    return None if deployed.last_updated is None else deployed.last_updated.isoformat()


def _dotted(version: str) -> str | None:
    try:
        return parse_dotted_version(version)
    except ValueError:
        return None
