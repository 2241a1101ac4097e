"""A folder or file of another program, read into a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from otagate.adoption import zigbee2mqtt
from otagate.adoption.coordinator_backup import read_backup
from otagate.adoption.files import MAX_SETTINGS_FILE, MAX_TEXT_FILE, copy_database, read_file, read_if_there
from otagate.adoption.home_assistant import Called, read_registries
from otagate.adoption.zigbee2mqtt_settings import Settings, files_of, read_settings, read_yaml
from otagate.model.errors import AdoptionError
from otagate.model.networks import KnownNetwork, NetworkIdentity
from otagate.radios.library import to_its_end
from otagate.radios.zigpy_database import read_network

Reader = Callable[[Path, str], Awaitable[KnownNetwork]]
"""Reads what stands at a path, for a radio of that type. Raises AdoptionError."""

_UNCHECKED = "which network it is cannot be told, so the one that the stick holds at the first start is taken as it is"


async def read_zigbee2mqtt(folder: Path, _: str) -> KnownNetwork:
    """zigbee2mqtt's data folder: database.db, configuration.yaml and the files that it names, coordinator_backup.json."""
    return await asyncio.to_thread(_read_zigbee2mqtt, folder)


def _read_zigbee2mqtt(folder: Path) -> KnownNetwork:
    file = folder / "database.db"
    try:
        database = zigbee2mqtt.read_database(read_file(file, MAX_TEXT_FILE), str(file))
    except FileNotFoundError:
        raise AdoptionError(f"{file} does not exist: name the data folder of zigbee2mqtt, the one with its configuration.yaml") from None
    settings, remarks = _settings(folder)
    identity, why_not = _identity(folder, database.coordinator, settings)
    return KnownNetwork(
        program="zigbee2mqtt",
        identity=identity,
        devices=tuple(replace(each, name=settings.devices.get(each.ieee, "")) for each in database.devices),
        groups=tuple(replace(each, name=settings.groups.get(each.number, f"group {each.number}")) for each in database.groups),
        left_out=database.left_out,
        remarks=(*remarks, *why_not),
    )


def _settings(folder: Path) -> tuple[Settings, list[str]]:
    file = folder / "configuration.yaml"
    data = read_if_there(file, MAX_SETTINGS_FILE)
    if data is None:
        return Settings(), [f"{file} does not exist: devices keep the names of their models"]
    document = read_yaml(data, str(file))
    remarks: list[str] = []
    further: dict[str, list[Mapping[str, Any]]] = {"devices": [], "groups": []}
    for section, documents in further.items():
        for name in files_of(document, section):
            path = (folder / name).resolve()
            beside = path.is_relative_to(folder.resolve())
            found = read_if_there(path, MAX_SETTINGS_FILE) if beside else None
            if found is not None:
                documents.append(read_yaml(found, str(path)))
            else:
                remarks.append(f"{path}, where names of {section} should be, {'does not exist' if beside else 'is outside of the folder'}")
    return read_settings(document, further["devices"], further["groups"]), remarks


def _identity(folder: Path, coordinator: int, settings: Settings) -> tuple[NetworkIdentity | None, list[str]]:
    """The network, or why it is not known."""
    file = folder / "coordinator_backup.json"
    data = read_if_there(file, MAX_SETTINGS_FILE)
    identity = read_backup(data, str(file)) if data is not None else None
    if identity is None:
        return None, [f"{file} {'does not exist' if data is None else 'is of the old format'}: {_UNCHECKED}"]
    agree = (
        identity.coordinator == coordinator
        and settings.key in (None, identity.key)
        and (settings.pan_id is None or identity.pan_id in (None, settings.pan_id))
    )
    return (identity, []) if agree else (None, [f"{file} is of another network than database.db and configuration.yaml: {_UNCHECKED}"])


async def read_zha(path: Path, radio_type: str) -> KnownNetwork:
    """ZHA's zigbee.db, or the folder of Home Assistant that holds it, with the names in the folder `.storage` beside it."""
    file = path / "zigbee.db" if path.is_dir() else path
    with TemporaryDirectory(prefix="otagate-adopt-") as folder:
        copy = await to_its_end(asyncio.to_thread(copy_database, file, Path(folder)))
        network = await read_network(radio_type, copy, shown=file)
    called, remarks = await asyncio.to_thread(_called, file.parent / ".storage")
    if network.identity is None:
        remarks.append(f"{file} holds no backup of its coordinator: {_UNCHECKED}")
    nobody = Called(name="", room="")
    return replace(
        network,
        devices=tuple(replace(each, name=called.get(each.ieee, nobody).name, room=called.get(each.ieee, nobody).room) for each in network.devices),
        remarks=tuple(remarks),
    )


def _called(storage: Path) -> tuple[Mapping[int, Called], list[str]]:
    file = storage / "core.device_registry"
    try:
        devices = read_if_there(file, MAX_TEXT_FILE)
        if devices is None:
            return {}, [f"{file} does not exist: devices keep the names of their models"]
        return read_registries(devices, read_if_there(storage / "core.area_registry", MAX_TEXT_FILE), shown=str(file)), []
    except AdoptionError as error:
        return {}, [f"names and rooms were not read: {error}"]


READERS: Mapping[str, Reader] = MappingProxyType({"z2m": read_zigbee2mqtt, "zha": read_zha})
"""The word after `--from` → what reads it."""
