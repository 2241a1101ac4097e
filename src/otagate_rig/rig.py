"""A whole rig in one process: a port to open, an emulated NCP behind it, and a simulated network with devices."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal, Self

from otagate_rig.air import AirSettings
from otagate_rig.aps import NetworkIdentity
from otagate_rig.ezsp import EzspNcp
from otagate_rig.image import read_header
from otagate_rig.network import Network
from otagate_rig.ota_commands import ImageId
from otagate_rig.serial_port import SerialPort
from otagate_rig.znp import ZnpNcp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

    from otagate_rig.device import Device
    from otagate_rig.ezsp import Tokens
    from otagate_rig.spec import DeviceSpec
    from otagate_rig.znp import Nvram

Stack = Literal["znp", "ezsp"]
Port = Literal["pty", "tcp"]

COORDINATOR_IEEE = 0x00124B0029A1C3D5
DEFAULT_NETWORK = NetworkIdentity(
    pan_id=0x1A62, extended_pan_id=0x00124B0029A1C3D5, channel=15, network_key=bytes.fromhex("8c6b1e0f3d5a7294b1c0e2f4a6d8907b")
)


def index_images(images: Iterable[bytes]) -> dict[ImageId, bytes]:
    """Key OTA files by what names them on the wire; raise BadImageError for one that is none."""
    found = {}
    for data in images:
        header = read_header(data)
        found[ImageId(header.manufacturer_code, header.image_type, header.file_version)] = data
    return found


class Rig:
    """Use it as an async context manager; `path` is what a host configures as its radio.

    With `formed` the NCP holds `network` and the devices are in it: they announce themselves when the coordinator comes up. Without, the NCP is
    empty and the devices join a network when they are told to and it is open. `images` are the files that a server could truly send: the
    devices compare every byte with them.
    """

    def __init__(
        self,
        *,
        stack: Stack = "znp",
        port: Port = "pty",
        devices: Sequence[DeviceSpec] = (),
        formed: bool = True,
        air: AirSettings | None = None,
        images: Iterable[bytes] = (),
        network: NetworkIdentity = DEFAULT_NETWORK,
        ieee: int = COORDINATOR_IEEE,
        nvram: Nvram | None = None,
        tokens: Tokens | None = None,
        baud: int | None = None,
        link: Path | None = None,
        tcp_port: int = 0,
        announce_after: float | None = 2.0,
    ) -> None:
        """`announce_after` is when the devices of a formed network announce themselves once the coordinator has come up; None for never.

        `nvram` is the memory of a ZNP, `tokens` that of an EZSP coordinator.
        """
        if stack not in ("znp", "ezsp"):
            raise ValueError(f"no emulated NCP of stack {stack!r}")
        if port not in ("pty", "tcp"):
            raise ValueError(f"no port of kind {port!r}")
        self.stack = stack
        self._port_kind = port
        self._specs = tuple(devices)
        self._identity = network
        self._formed = formed
        self._air = air or AirSettings()
        self._known = index_images(images)
        self._ieee = ieee
        self._nvram = nvram
        self._tokens = tokens
        self._baud = baud
        self._link = link
        self._tcp_port = tcp_port
        self._announce_after = announce_after
        self._resources = AsyncExitStack()
        self.network: Network
        self.ncp: ZnpNcp | EzspNcp
        self.port: SerialPort

    async def __aenter__(self) -> Self:
        identity = self._identity if self._formed else None
        async with AsyncExitStack() as opening:
            network = Network(self._specs, air=self._air, identity=identity, known=self._known, announce_after=self._announce_after)
            self.network = await opening.enter_async_context(network)
            self.ncp = await opening.enter_async_context(self._make_ncp(identity))
            if self._port_kind == "pty":
                port = SerialPort.pty(self.ncp, link=self._link, baud=self._baud)
            else:
                port = SerialPort.tcp(self.ncp, port=self._tcp_port, baud=self._baud)
            self.port = await opening.enter_async_context(port)
            self._resources = opening.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._resources.__aexit__(kind, error, trace)

    def _make_ncp(self, identity: NetworkIdentity | None) -> ZnpNcp | EzspNcp:
        if self.stack == "ezsp":
            return EzspNcp(self.network, ieee=self._ieee, network=identity, tokens=self._tokens)
        return ZnpNcp(self.network, ieee=self._ieee, network=identity, nvram=self._nvram)

    @property
    def path(self) -> str:
        """What a host configures as its radio: a device path, or `socket://host:port`."""
        return self.port.path

    @property
    def devices(self) -> dict[int, Device]:
        """The devices by their IEEE address."""
        return self.network.devices

    def device(self, ieee: int) -> Device:
        """One device; raise KeyError where the rig has none of that address."""
        return self.network.devices[ieee]

    def announce(self) -> None:
        """Let every joined device announce itself."""
        self.network.announce()

    def start_joining(self, ieee: int | None = None) -> None:
        """Let one device, or all that are in no network, join as soon as the coordinator permits it."""
        self.network.start_joining(ieee)
