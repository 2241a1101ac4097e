"""zigpy's database outside of a radio's life: another program's is read, and ours takes over what another program knows.

Everything goes through zigpy's own objects: what it can read here, it reads at the next start of the hub. Only copies are ever opened.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otagate.model.devices import Device
from otagate.model.errors import AdoptionError, RadioError
from otagate.model.ids import RadioName
from otagate.model.networks import KnownDevice, KnownEndpoint, KnownGroup, KnownNetwork, LeftOut, NetworkIdentity, reconcile, spell_ieee
from otagate.radios import stacks
from otagate.radios.library import one_line, to_its_end
from otagate.radios.peers import describe

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.device import BaseDevice

_BASIC, _MANUFACTURER, _MODEL = 0x0000, 0x0004, 0x0005
_POWER_CONFIGURATION, _BATTERY = 0x0001, 0x0021
_DEVICES = re.compile(r"devices(?:_v(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """What a database holds after it took over a network: each of the network's devices, and what could not stand beside another."""

    devices: tuple[Device, ...]
    left_out: tuple[LeftOut, ...]


@contextmanager
def _readable(shown: Path) -> Iterator[None]:
    """zigpy believes its database: whatever is wrong in it comes out as any error at all, and quotes it, though it holds keys."""
    try:
        yield
    except (AdoptionError, RadioError):
        raise
    except Exception as error:
        kind = type(error).__name__
        raise AdoptionError(f"{shown} cannot be read by zigpy ({kind}): put back a copy, or let its own program mend it") from None


@asynccontextmanager
async def _opened(radio_type: str, database: Path, shown: Path) -> AsyncIterator[ControllerApplication]:
    """An application on this database, its line closed; what it was told is on disk when the block ends. Raises AdoptionError."""
    config = stacks.zigpy_config(radio_type, path="/dev/null", database=database)
    with _readable(shown):
        app = await stacks.load(radio_type, config)
        try:
            yield app
        finally:
            await stacks.let_go(radio_type, app)
            await app.shutdown()


# --- another program's -----------------------------------------------------------------------------------------------------------------


async def read_network(radio_type: str, database: Path, *, shown: Path) -> KnownNetwork:
    """What a zigpy database knows of its network, whatever its schema; `database` is a copy of `shown`, and is changed.

    Raises AdoptionError where it is none, damaged or of a newer zigpy.
    """
    await to_its_end(asyncio.to_thread(_examine, database, shown))
    async with _opened(radio_type, database, shown) as app:
        left_out = [LeftOut(what=spell_ieee(_ieee(each)), why=why) for each in app.devices.values() if (why := _no_device(each)) is not None]
        devices, unusable = reconcile(tuple(_known(each) for each in app.devices.values() if int(each.nwk) and _no_device(each) is None))
        groups = tuple(
            KnownGroup(number=int(each.group_id), name=each.name, members=tuple((_number(ieee), int(endpoint)) for ieee, endpoint in each))
            for each in app.groups.values()
        )
        return KnownNetwork(program="zha", identity=_identity(app), devices=devices, groups=groups, left_out=(*left_out, *unusable))


def _examine(database: Path, shown: Path) -> None:
    """Before zigpy, which takes an empty or foreign file for a new database, and tells of damage only in its log."""
    from zigpy.appdb import DB_VERSION

    try:
        with closing(sqlite3.connect(database)) as connection:
            tables = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            (whole,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged schema may be quoted as it is
        raise AdoptionError(f"{shown} is no database that can be read: {one_line(error)}") from None
    if whole != "ok":
        raise AdoptionError(f"{shown} is damaged ({one_line(whole)}): put back a copy of it")
    if not any(_DEVICES.fullmatch(each) for each in tables):
        raise AdoptionError(f"{shown} is the database of another program: it has no table of devices")
    if version > DB_VERSION:
        raise AdoptionError(
            f"{shown} was written by a newer zigpy: its schema is {version}, this one knows up to {DB_VERSION}: install a newer otagate"
        )


def _no_device(device: Any) -> str | None:
    from zigpy.device import GreenPowerDevice

    return "a Green Power device has no firmware to update" if isinstance(device, GreenPowerDevice) else None


def _ieee(device: BaseDevice) -> int:
    return _number(device.ieee)


def _number(ieee: Any) -> int:
    return int.from_bytes(bytes(ieee.serialize()), "little")


def _identity(app: ControllerApplication) -> NetworkIdentity | None:
    """From the newest backup that the program made of its coordinator."""
    backup = app.backups.most_recent_backup()
    if backup is None:
        return None
    network = backup.network_info
    return NetworkIdentity(
        extended_pan_id=_number(network.extended_pan_id),
        coordinator=_number(backup.node_info.ieee),
        key=bytes(network.network_key.key.serialize()),
        pan_id=int(network.pan_id),
        channel=int(network.channel),
    )


def _known(device: Any) -> KnownDevice:
    node = device.node_desc
    endpoints = tuple(
        KnownEndpoint(
            number=number,
            profile=int(each.profile_id),
            device_type=int(each.device_type),
            inputs=tuple(sorted(each.in_clusters)),
            outputs=tuple(sorted(each.out_clusters)),
        )
        for number, each in sorted(device.endpoints.items())
        if number and each.profile_id is not None and each.device_type is not None
    )
    battery = next((_battery(each) for number, each in device.endpoints.items() if number and _POWER_CONFIGURATION in each.in_clusters), None)
    return KnownDevice(
        ieee=_ieee(device),
        nwk=int(device.nwk),
        descriptor=bytes(node.serialize()) if node is not None else b"",
        endpoints=endpoints if device.is_initialized else (),
        manufacturer=device.manufacturer,
        model=device.model,
        battery=battery,
        last_seen=datetime.fromtimestamp(device.last_seen, UTC) if device.last_seen is not None else None,
    )


def _battery(endpoint: Any) -> int | None:
    value = endpoint.in_clusters[_POWER_CONFIGURATION].get(_BATTERY)
    return int(value) if isinstance(value, int) and 0 <= value <= 200 else None


# --- ours ------------------------------------------------------------------------------------------------------------------------------


async def take_over(radio_type: str, radio: RadioName, database: Path, network: KnownNetwork, *, shown: Path) -> TakenOver:
    """Write a network's devices and groups into a copy of our own database `shown`, or into a new one, and prove that zigpy reads them.

    A device that is known here keeps its descriptors, and of two addresses has the one that was heard later. Raises AdoptionError.
    """
    async with _opened(radio_type, database, shown) as app:
        left_out = _make_room(app, network)
        refused = {each.what for each in left_out}
        taken = [each for each in network.devices if spell_ieee(each.ieee) not in refused]
        for known in taken:
            _put(app, known)
        for group in network.groups:
            _put_group(app, group)
    async with _opened(radio_type, database, shown) as app:
        return TakenOver(devices=tuple(_proven(app, each, radio) for each in taken), left_out=left_out)


def _make_room(app: ControllerApplication, network: KnownNetwork) -> tuple[LeftOut, ...]:
    """A network address has one holder: of ours and theirs the one that was heard later; else ours moves where it is there, or is forgotten."""
    theirs = {each.nwk: each for each in network.devices}
    told = {each.ieee: each for each in network.devices}
    left_out = []
    for ours in [each for each in app.devices.values() if int(each.nwk) in theirs and theirs[int(each.nwk)].ieee != _ieee(each)]:
        known, same = theirs[int(ours.nwk)], told.get(_ieee(ours))
        if same is not None and _goes_by(same, ours):
            continue
        later = _heard_later(known, ours)
        if later and same is not None:
            _move(app, ours, same)
            continue
        if later:
            app.devices.pop(ours.ieee)
            app.listener_event("device_removed", ours)
            stale, holder = _ieee(ours), known.ieee
        else:
            stale, holder = known.ieee, _ieee(ours)
        why = f"its network address 0x{known.nwk:04x} belongs to {spell_ieee(holder)}, which was heard later"
        left_out.append(LeftOut(what=spell_ieee(stale), why=why))
    return tuple(left_out)


def _heard_later(known: KnownDevice, ours: Any) -> bool:
    return known.last_seen is None or ours.last_seen is None or known.last_seen.timestamp() >= ours.last_seen


def _goes_by(known: KnownDevice, ours: Any) -> bool:
    """Whether our device gets the address that it has there."""
    return not ours.is_initialized or _heard_later(known, ours)


def _move(app: ControllerApplication, ours: Any, known: KnownDevice) -> None:
    ours.nwk = _nwk(known.nwk)
    app.listener_event("device_joined", ours)


def _put(app: ControllerApplication, known: KnownDevice) -> None:
    """Into the objects, and by zigpy's own events into the database."""
    ours: Any = app.devices.get(_eui64(known.ieee))
    if ours is not None and ours.is_initialized:
        if _goes_by(known, ours):
            _move(app, ours, known)
        return
    if ours is not None:
        app.listener_event("device_removed", ours)
    device = _made(app, known)
    app.listener_event("raw_device_initialized", device)
    _put_attributes(device, known)


def _made(app: ControllerApplication, known: KnownDevice) -> Any:
    from zigpy.device import Status as DeviceStatus
    from zigpy.endpoint import Status as EndpointStatus
    from zigpy.zdo.types import NodeDescriptor

    device: Any = app.add_device(_eui64(known.ieee), _nwk(known.nwk))
    device.status = DeviceStatus.ENDPOINTS_INIT
    device.node_desc, _ = NodeDescriptor.deserialize(known.descriptor)
    if known.last_seen is not None:
        device.last_seen = known.last_seen
    for each in known.endpoints:
        endpoint = device.add_endpoint(each.number)
        endpoint.status = EndpointStatus.ZDO_INIT
        endpoint.profile_id, endpoint.device_type = each.profile, each.device_type
        for cluster in each.inputs:
            endpoint.add_input_cluster(cluster)
        for cluster in each.outputs:
            endpoint.add_output_cluster(cluster)
    return device


def _put_attributes(device: Any, known: KnownDevice) -> None:
    """What zigpy reads at its start in the cache of attributes; the device is in the database by then."""
    for cluster, attribute, value in (
        (_BASIC, _MANUFACTURER, known.manufacturer),
        (_BASIC, _MODEL, known.model),
        (_POWER_CONFIGURATION, _BATTERY, known.battery),
    ):
        server = next((each.in_clusters[cluster] for number, each in device.endpoints.items() if number and cluster in each.in_clusters), None)
        if server is not None and value is not None:
            server.update_attribute(attribute, value)


def _put_group(app: ControllerApplication, known: KnownGroup) -> None:
    group = app.groups.add_group(known.number, known.name)
    for ieee, number in known.members:
        device: Any = app.devices.get(_eui64(ieee))
        if device is not None and number in device.endpoints:
            group.add_member(device.endpoints[number])


def _proven(app: ControllerApplication, known: KnownDevice, radio: RadioName) -> Device:
    """The device as the hub will know it; raises AdoptionError where zigpy did not keep it."""
    device: Any = app.devices.get(_eui64(known.ieee))
    if device is None or not device.is_initialized:
        raise AdoptionError(f"zigpy did not keep {spell_ieee(known.ieee)}: this is a fault of otagate, please tell its makers; nothing was changed")
    described = describe(device, radio)
    return replace(
        described,
        manufacturer=described.manufacturer or known.manufacturer,
        model=described.model or known.model,
        last_seen=datetime.fromtimestamp(device.last_seen, UTC) if device.last_seen is not None else None,
    )


def _eui64(ieee: int) -> Any:
    from zigpy.types import EUI64

    value, _ = EUI64.deserialize(ieee.to_bytes(8, "little"))
    return value


def _nwk(nwk: int) -> Any:
    from zigpy.types import NWK

    value, _ = NWK.deserialize(nwk.to_bytes(2, "little"))
    return value
