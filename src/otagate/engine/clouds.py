"""Sources whose devices their own cloud updates, as sources of releases: read as a whole; what they tell of devices goes to whoever keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from otagate.engine.feeds import HARD_LIFE, FeedState, counted
from otagate.engine.talks import Talks
from otagate.model.clouds import OFFERED, CloudChannel, CloudDevice
from otagate.model.devices import Component, Device
from otagate.model.errors import SourceError, SourceRefused
from otagate.model.ids import DeviceId, target_of
from otagate.model.releases import Release
from otagate.model.versions import same_version
from otagate.ports import Clock
from otagate.sources.delegated import Delegate
from otagate.sources.records import Recorder, RoomSync

TellDevices = Callable[[str, Sequence[CloudDevice]], None]
"""Takes the name of a source and all of its devices."""


@dataclass(slots=True)
class CloudFeed:
    """One source of a cloud. Implements `feeds.Offering`."""

    delegate: Delegate
    type: str
    talks: Talks
    clock: Clock
    tell: TellDevices
    state: FeedState = field(default_factory=FeedState)
    _devices: dict[DeviceId, CloudDevice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state.service = self.delegate.service

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self.delegate.name

    @property
    def recorder(self) -> Recorder | None:
        """See `feeds.Feed.recorder`."""
        return self.delegate if isinstance(self.delegate, Recorder) else None

    @property
    def room_sync(self) -> RoomSync | None:
        """See `feeds.Feed.room_sync`."""
        return self.delegate if isinstance(self.delegate, RoomSync) else None

    async def read(self) -> bool:
        """Read every device of the cloud; True where it offers other things now. Raises nothing of the cloud's: see `state`."""
        before, now = self._devices, self.clock.now()
        try:
            looked = await self.talks.hold(self.delegate.service, self.delegate.look())
        except SourceError as error:
            if self.state.last_success is not None and now - self.state.last_success > HARD_LIFE:
                self._devices, self.state.releases = {}, 0
            self.state.failed(error, serves_on=bool(self._devices))
            return self._devices != before
        devices = looked.devices
        self._devices = {each.id: each for each in devices}
        self.state.last_success = self.clock.now()
        offers = [channel for each in devices for channel in each.channels if _offers(channel)]
        self.state.releases = len(offers)
        left_out = self.state.leaves_out(looked.skipped)
        self.state.now("ok", f"{counted(len(devices), 'device')}, {counted(len(offers), 'update')} offered{left_out}")
        self.tell(self.name, devices)
        return self._devices != before

    async def read_news(self) -> bool:
        """See `wonders_about`: there are none."""
        return False

    def wonders_about(self, device: Device) -> bool:
        """A cloud is always asked for everything."""
        del device
        return False

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What the cloud would bring to this very firmware."""
        known = self._devices.get(device.id)
        channel = None if known is None else known.channel(component.id)
        if channel is None or not _offers(channel):
            return []
        release = Release(
            source=self.name,
            file_version=channel.offered_version,
            size=0,
            protocol="cloud",
            target=target_of(component.id),
            notes=channel.notes,
            released=channel.released,
            location=component.id,
        )
        return [release]

    async def fetch(self, release: Release) -> NoReturn:
        """A cloud brings its releases itself. Raises SourceRefused."""
        raise SourceRefused(f"{release.display_version} is brought to the device by its own cloud")


def _offers(channel: CloudChannel) -> bool:
    version = channel.offered_version
    if version is None:
        return channel.status == "available"  # of what it does not name, nobody but an operator can say that it is wanted
    return channel.status in OFFERED and not same_version(version, channel.current_version)
