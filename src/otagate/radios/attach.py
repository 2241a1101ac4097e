"""Which network is ours, and whether somebody else drives the stick: everything that must be known before a byte is written.

A network is pinned at the first attach by its extended PAN id, the coordinator's address and a fingerprint of the network key. Later another
network behind the same path is `wrong_network` and nothing is written. A network is formed only where the configuration says so, the stick is
empty and we know of none; backups are never restored here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otagate.model.errors import RadioInUse, RadioUnavailable, WrongNetwork

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

LISTEN_SECONDS = 3.0
"""A network coordinator has no lock: this long nobody may be heard on its line before we send the first byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What makes a network that network, without its secrets."""

    extended_pan_id: str
    coordinator: str
    key_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFiles:
    """The files of one Zigbee radio below the state directory, all 0600."""

    database: Path
    pin: Path

    @classmethod
    def of(cls, state_dir: Path, radio: str) -> StateFiles:
        """`zigbee-<radio>.db` and `zigbee-<radio>.pin.json`."""
        return cls(database=state_dir / f"zigbee-{radio}.db", pin=state_dir / f"zigbee-{radio}.pin.json")

    def prepare(self) -> None:
        """Create the database with its mode before the radio library does so with another."""
        self.database.touch(mode=0o600, exist_ok=True)
        self.database.chmod(0o600)

    def read_pin(self) -> Pin | None:
        """The pinned network, or None before the first attach. Raises WrongNetwork where the file cannot be understood."""
        try:
            return Pin(**json.loads(self.pin.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise WrongNetwork(f"{self.pin} is damaged ({error}): restore it, or delete it to accept the network on the stick") from None

    def write_pin(self, pin: Pin) -> None:
        """Durably, by a file beside and a rename."""
        aside = self.pin.with_suffix(".new")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(pin), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.pin)


async def listen_first(path: str, seconds: float = LISTEN_SECONDS) -> None:
    """On `socket://host:port`: hear whether another host drives the stick. Raises RadioInUse on traffic, RadioUnavailable when unreachable."""
    address = urlsplit(path)
    if address.scheme != "socket":
        return
    try:
        async with asyncio.timeout(5.0):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except (OSError, TimeoutError) as error:
        raise RadioUnavailable(f"{path} cannot be reached: {str(error) or 'no answer'}") from None
    try:
        async with asyncio.timeout(seconds):
            heard = await reader.read(64)
    except TimeoutError:
        return
    except OSError as error:
        raise RadioUnavailable(f"{path} was closed: {error}") from None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if heard:
        raise RadioInUse(f"another program drives {path}: bytes came in before we sent any; stop it, then reattach the radio")
    raise RadioUnavailable(f"{path} closed the connection")


def pin_of(app: ControllerApplication) -> Pin:
    """The pin of the network that the coordinator holds now."""
    network, node = app.state.network_info, app.state.node_info
    epid = str(network.extended_pan_id)
    digest = hashlib.sha256(b"otagate network pin\0" + epid.encode() + bytes(network.network_key.key.serialize())).hexdigest()
    return Pin(extended_pan_id=epid, coordinator=str(node.ieee), key_fingerprint=digest[:32])


async def attach_network(app: ControllerApplication, files: StateFiles, *, may_form: bool) -> None:
    """Check, form where that is allowed, and pin; then start. Nothing is written to the coordinator before the check has passed.

    Raises WrongNetwork, RadioUnavailable; the radio library's own errors pass through.
    """
    from zigpy.exceptions import NetworkNotFormed

    pinned = files.read_pin()
    try:
        await app.load_network_info(load_devices=False)
    except NetworkNotFormed:
        await _form(app, files, pinned, may_form=may_form)
        await app.load_network_info(load_devices=False)
    found = pin_of(app)
    if pinned is not None and pinned != found:
        raise WrongNetwork(_difference(pinned, found, files.pin))
    if pinned is None:
        files.write_pin(found)
    await app.initialize(auto_form=False)


async def _form(app: ControllerApplication, files: StateFiles, pinned: Pin | None, *, may_form: bool) -> None:
    if pinned is not None:
        raise WrongNetwork(
            f"the coordinator is empty, but this hub belongs to network {pinned.extended_pan_id}: put the old stick back or restore its backup"
        )
    others = [each for each in app.devices.values() if int(each.nwk) != 0]
    if others:
        raise WrongNetwork(f"the coordinator is empty, but {files.database} knows {len(others)} devices: put the old stick back")
    if not may_form:
        raise RadioUnavailable("the coordinator has no network; set `network: form` for this radio to let otagate form one")
    await app.form_network()


def _difference(pinned: Pin, found: Pin, file: Path) -> str:
    words: dict[str, str] = {"extended_pan_id": "extended PAN id", "coordinator": "coordinator address", "key_fingerprint": "network key"}
    was: dict[str, Any] = asdict(pinned)
    now: dict[str, Any] = asdict(found)
    shown = [
        f"the {word} changed" if key == "key_fingerprint" else f"the {word} is {now[key]} and was {was[key]}"
        for key, word in words.items()
        if was[key] != now[key]
    ]
    return f"the coordinator holds another network than before: {', '.join(shown)}. Put the old stick back, or move {file} away to accept this one"
