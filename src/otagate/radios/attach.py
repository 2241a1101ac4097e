"""Which network is ours: everything that must be known before a coordinator is written to.

A network is pinned at the first attach by its extended PAN id, the coordinator's address and a fingerprint of the network key. Later another
network behind the same path is `wrong_network` and nothing is written. A network is formed only where the configuration says so, the stick is
empty and we know of none; backups are never restored here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otagate.files import write_durably
from otagate.model.errors import RadioUnavailable, WrongNetwork
from otagate.model.networks import NetworkIdentity, spell_ieee

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What makes a network that network, without its secrets."""

    extended_pan_id: str
    coordinator: str
    key_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a network was when it was looked at last: what may change of it without making it another one."""

    pan_id: int
    channel: int
    frame_counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFiles:
    """The files of one Zigbee radio below the state directory, all 0600."""

    database: Path
    pin: Path
    trace: Path
    running: Path
    backups: Path

    @classmethod
    def of(cls, state_dir: Path, radio: str) -> StateFiles:
        """`zigbee-<radio>.db`, `….pin.json`, `….trace.json` and `….running`; copies of every radio's network are below `backups`."""
        stem = f"zigbee-{radio}"
        return cls(
            database=state_dir / f"{stem}.db",
            pin=state_dir / f"{stem}.pin.json",
            trace=state_dir / f"{stem}.trace.json",
            running=state_dir / f"{stem}.running",
            backups=state_dir / "backups",
        )

    def prepare(self) -> None:
        """Create the database with its mode before the radio library does so with another. Raises RadioUnavailable."""
        try:
            self.database.touch(mode=0o600, exist_ok=True)
            self.database.chmod(0o600)
        except OSError as error:
            raise RadioUnavailable(f"{self.database} cannot be written: {error.strerror}") from None

    @property
    def left_running(self) -> bool:
        """Whether our last life, or the program whose network we took over, left the coordinator running, so that it may be heard talking."""
        return self.running.exists()

    def mark_running(self) -> None:
        """From now on the coordinator runs our network. Raises RadioUnavailable."""
        try:
            self.running.touch(mode=0o600, exist_ok=True)
        except OSError as error:
            raise RadioUnavailable(f"{self.running} cannot be written: {error.strerror}") from None

    def mark_stopped(self) -> None:
        """The coordinator was told to stop, or somebody else has taken it."""
        self.running.unlink(missing_ok=True)

    def read_pin(self) -> Pin | None:
        """The pinned network, or None before the first attach. Raises WrongNetwork where the file cannot be understood."""
        try:
            return Pin(**json.loads(self.pin.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise WrongNetwork(f"{self.pin} is damaged ({error}): restore it, or delete it to accept the network on the stick") from None

    def write_pin(self, pin: Pin) -> None:
        """Durably. Raises RadioUnavailable."""
        self._write(self.pin, pin)

    def read_trace(self) -> Trace | None:
        """Where the network was, or None where nobody knows any more."""
        try:
            return Trace(**{key: int(value) for key, value in json.loads(self.trace.read_text()).items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def write_trace(self, trace: Trace) -> None:
        """Durably. Raises RadioUnavailable."""
        self._write(self.trace, trace)

    @staticmethod
    def _write(path: Path, value: Pin | Trace) -> None:
        try:
            write_durably(path, json.dumps(asdict(value)).encode())
        except OSError as error:
            raise RadioUnavailable(f"{path} cannot be written: {error.strerror}") from None


def pin_of(app: ControllerApplication) -> Pin:
    """The pin of the network that the coordinator holds now."""
    network, node = app.state.network_info, app.state.node_info
    return _pin(str(network.extended_pan_id), str(node.ieee), bytes(network.network_key.key.serialize()))


def pin_for(identity: NetworkIdentity) -> Pin:
    """The pin of a network that another program tells of."""
    return _pin(spell_ieee(identity.extended_pan_id), spell_ieee(identity.coordinator), identity.key)


def _pin(epid: str, coordinator: str, key: bytes) -> Pin:
    digest = hashlib.sha256(b"otagate network pin\0" + epid.encode() + key).hexdigest()
    return Pin(extended_pan_id=epid, coordinator=coordinator, key_fingerprint=digest[:32])


async def form_where_empty(app: ControllerApplication, files: StateFiles) -> bool:
    """Form a network on a connected coordinator that has none; return whether that was so.

    Raises WrongNetwork where this hub already belongs to a network; the library's own errors pass through.
    """
    if await _holds_network(app):
        return False
    _refuse_where_known(app, files)
    await app.form_network()
    return True


async def check_network(app: ControllerApplication, files: StateFiles) -> None:
    """Read which network a connected coordinator holds, and pin it at the first attach; nothing is written to the coordinator.

    Raises WrongNetwork, RadioUnavailable; the library's own errors pass through.
    """
    if not await _holds_network(app):
        _refuse_where_known(app, files)
        raise RadioUnavailable("the coordinator has no network; set `network: form` for this radio to let otagate form one")
    pinned, found = files.read_pin(), pin_of(app)
    if pinned is not None and pinned != found:
        raise WrongNetwork(
            f"the coordinator holds another network than before: {difference(pinned, found)}. "
            f"Put the old stick back, or move {files.pin} away to accept this one"
        )
    if pinned is None:
        files.write_pin(found)


def trace_of(app: ControllerApplication) -> Trace:
    """Where the network is that the coordinator has just told."""
    network = app.state.network_info
    counter = int(network.network_key.tx_counter or 0)
    return Trace(pan_id=int(network.pan_id), channel=int(network.channel), frame_counter=counter)


def moved(before: Trace, now: Trace) -> str:
    """What changed of a network that is still the same one, in words; empty where nothing did but that its frame counter rose.

    Devices ignore whoever sends with a smaller counter than before (Zigbee 05-3474, 4.3.1.2): a network that two programs share must never go back.
    """
    told = []
    if now.channel != before.channel:
        told.append(f"its channel is {now.channel} and was {before.channel}")
    if now.pan_id != before.pan_id:
        told.append(f"its PAN id is 0x{now.pan_id:04x} and was 0x{before.pan_id:04x}")
    if now.frame_counter < before.frame_counter:
        back = before.frame_counter - now.frame_counter
        told.append(f"its frame counter went back by {back}, so devices ignore the coordinator until it has caught up")
    return ", ".join(told)


async def _holds_network(app: ControllerApplication) -> bool:
    from zigpy.exceptions import NetworkNotFormed

    try:
        await app.load_network_info(load_devices=False)
    except NetworkNotFormed:
        return False
    return True


def _refuse_where_known(app: ControllerApplication, files: StateFiles) -> None:
    """An empty stick where this hub belongs to a network: raises WrongNetwork."""
    pinned = files.read_pin()
    if pinned is not None:
        raise WrongNetwork(
            f"the coordinator is empty, but this hub belongs to network {pinned.extended_pan_id}: put the old stick back or restore its backup"
        )
    others = sum(int(each.nwk) != 0 for each in app.devices.values())
    if others or app.backups.backups:
        devices = "1 device" if others == 1 else f"{others} devices"
        raise WrongNetwork(
            f"the coordinator is empty, but {files.database} knows a network with {devices}: put the old stick back, or move that file away"
        )


def difference(pinned: Pin, found: Pin) -> str:
    """What tells two networks apart, in words; of their keys only that they differ."""
    words: dict[str, str] = {"extended_pan_id": "extended PAN id", "coordinator": "coordinator address", "key_fingerprint": "network key"}
    was: dict[str, Any] = asdict(pinned)
    now: dict[str, Any] = asdict(found)
    shown = [
        f"the {word} changed" if key == "key_fingerprint" else f"the {word} is {now[key]} and was {was[key]}"
        for key, word in words.items()
        if was[key] != now[key]
    ]
    return ", ".join(shown)
