"""A network into our own database, store and pin: all of it, or nothing.

Everything that can fail happens on a copy of the database; its move to its place stands in the same transaction as the rows of the devices, and is
undone where that does not commit. A kill in between leaves a database that knows the devices, and the next adoption the rest.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from otagate.adoption.files import copy_own, write_back
from otagate.adoption.report import Report
from otagate.adoption.words import Words, dump_words, load_words, reworded, words_of
from otagate.engine.journal import Journal
from otagate.engine.registry import Registry
from otagate.model.devices import Device
from otagate.model.errors import AdoptionError, StoreInUse, WrongNetwork
from otagate.model.ids import RadioName
from otagate.model.networks import KnownNetwork
from otagate.ports import Clock, Store
from otagate.radios.attach import Pin, StateFiles, difference, pin_for
from otagate.radios.library import to_its_end
from otagate.radios.zigpy_database import take_over
from otagate.stores import open_store

_NOBODY = Words()


def wanted_pin(network: KnownNetwork, files: StateFiles) -> Pin | None:
    """The pin to write, None where there is one already or the network is not told. Raises WrongNetwork where the radio belongs to another one."""
    if network.identity is None:
        return None
    told, pinned = pin_for(network.identity), files.read_pin()
    if pinned is not None and pinned != told:
        raise WrongNetwork(
            f"this radio belongs to another network than the one that {network.program} tells of: {difference(pinned, told)}. "
            f"Adopt it for another radio, or move {files.pin} and {files.database} away to leave the network of before"
        )
    return told if pinned is None else None


def preview(network: KnownNetwork, *, radio: str, state_dir: Path) -> Report:
    """What would be taken over; nothing is opened but the pin. Raises WrongNetwork."""
    files = StateFiles.of(state_dir, radio)
    wanted_pin(network, files)
    return Report(radio=radio, network=network, pinned=network.identity is not None or files.pin.exists(), outcome={})


async def adopt(network: KnownNetwork, *, radio: str, radio_type: str, state_dir: Path, store_url: str, clock: Clock) -> Report:
    """Take a network over for a radio of a hub that does not run. Raises AdoptionError, WrongNetwork, StoreError; then nothing is changed."""
    _require_devices(network)
    if store_url.startswith("memory:"):
        raise AdoptionError(f"store.url {store_url} keeps nothing of what would be adopted: give the hub a store on disk")
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        async with open_store(store_url, state_dir) as store:
            registry = Registry(store, Journal(store, clock), clock)
            await registry.load()
            return await adopt_into(store, registry, network, radio=RadioName(radio), radio_type=radio_type, state_dir=state_dir)
    except StoreInUse as error:
        raise AdoptionError(f"the hub runs, and keeps what it knows for itself: stop it, adopt, and start it again ({error})") from None


async def adopt_into(store: Store, registry: Registry, network: KnownNetwork, *, radio: RadioName, radio_type: str, state_dir: Path) -> Report:
    """The same with the store and the registry of a hub that runs, while nobody has the radio's database open. Raises as `adopt` does."""
    _require_devices(network)
    files = StateFiles.of(state_dir, radio)
    pin = wanted_pin(network, files)
    key = f"adopted:{radio}"
    before, told = load_words(await store.settings.get(key)), words_of(network)

    def reword(device: Device) -> Device:
        return reworded(device, told.get(device.id, _NOBODY), before.get(device.id, _NOBODY))

    for left in files.database.parent.glob(f"{_aside(radio)}*"):
        shutil.rmtree(left)  # an adoption was killed: the store is locked, so it is over
    with TemporaryDirectory(prefix=_aside(radio), dir=files.database.parent) as folder, ExitStack() as undo:
        aside = Path(folder) / "zigbee.db"
        await to_its_end(asyncio.to_thread(copy_own, files.database, aside))
        taken = await take_over(radio_type, radio, aside, network, shown=files.database)
        await to_its_end(asyncio.to_thread(write_back, aside))

        async def settle() -> None:
            await store.settings.put(key, dump_words(told))
            await to_its_end(asyncio.to_thread(_install, aside, files, pin, undo.callback))

        outcome = await registry.adopt(taken.devices, actor=network.program, reword=reword, settle=settle)
        undo.pop_all()  # committed
    return Report(radio=radio, network=network, pinned=files.pin.exists(), outcome=outcome, further=taken.left_out)


def _aside(radio: RadioName) -> str:
    """What the folder of an adoption begins with; a point is in no name of a radio."""
    return f".adopt-{radio}."


def _require_devices(network: KnownNetwork) -> None:
    if not network.devices:
        raise AdoptionError(f"{network.program} knows no device that could be taken over; nothing was changed")


def _install(aside: Path, files: StateFiles, pin: Pin | None, on_undo: Callable[..., object]) -> None:
    """Database, pin and the mark of a coordinator that its program left running. Raises AdoptionError where the disk refuses."""
    database = files.database
    try:
        aside.chmod(0o600)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        if database.exists():
            kept = aside.with_name("before.db")
            shutil.copy2(database, kept)
            on_undo(kept.replace, database)
        else:
            on_undo(database.unlink, missing_ok=True)
        aside.replace(database)
        if not files.left_running:
            on_undo(files.mark_stopped)
        if pin is not None:
            on_undo(files.pin.unlink, missing_ok=True)
            files.write_pin(pin)
        files.mark_running()
        folder = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise AdoptionError(f"{database} cannot be written: {error.strerror or error}; nothing was changed") from None
