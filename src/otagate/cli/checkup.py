"""What can be wrong with a hub as far as its machine shows it: files, ports, clock, other programs. It only looks, and asks no daemon."""

from __future__ import annotations

import ctypes
import errno
import grp
import importlib.util
import os
import pwd
import shutil
import socket
import sqlite3
import stat
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otagate.cli.findings import Finding, bad, ok, warning
from otagate.cli.words import size
from otagate.policy.window import judge_clock

if TYPE_CHECKING:
    from otagate.config import HubSettings, RadioSettings

UNIT = Path("/etc/systemd/system/otagate.service")
BY_ID = Path("/dev/serial/by-id")
MEDDLERS = {"ModemManager": "ModemManager", "brltty": "brltty"}
"""Programs that open every new serial port to see what it is, and their service."""

SERVICES = {"zigbee2mqtt": "zigbee2mqtt", "hass": "home-assistant", "deCONZ": "deconz", "zwave-js-server": "zwave-js-server", **MEDDLERS}
"""What is seen of a program → the service that is stopped to stop it."""

ROOM_LOW, ROOM_NONE = 200_000_000, 20_000_000
OLDEST_PYTHON, OLDEST_SQLITE = (3, 11), (3, 38)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Which hub is looked at; `daemon` is the process that has its store open."""

    config: Path
    settings: HubSettings
    daemon: int | None

    @property
    def store(self) -> Path | None:
        """The file of the status store."""
        url = self.settings.store.url
        return self.settings.state_dir / url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None


Check = Callable[[Patient], Iterator[Finding]]


def examine(patient: Patient) -> Iterator[Finding]:
    """Everything that there is to say, in the order of `CHECKS`."""
    for check in CHECKS:
        yield from check(patient)


def machine() -> Iterator[Finding]:
    """Python and what it brings; asked before there is a configuration."""
    version, lite = ".".join(map(str, sys.version_info[:3])), sqlite3.sqlite_version_info[:2]
    if sys.version_info < OLDEST_PYTHON:
        yield bad("python", f"Python {version} is too old", "install Python 3.11 or newer, and otagate into a venv of it")
    elif struct.calcsize("P") < 8:
        yield bad("python", f"Python {version} is 32-bit: images are mapped, and addresses run out", "install the 64-bit Raspberry Pi OS")
    elif lite < OLDEST_SQLITE:
        yield bad("python", f"its SQLite {sqlite3.sqlite_version} is too old", "install a Python that brings SQLite 3.38 or newer")
    else:
        yield ok("python", f"Python {version}, SQLite {sqlite3.sqlite_version}")
    yield from _clock()


# --- the clock ----------------------------------------------------------------------------------------------------------------------------


class _Timex(ctypes.Structure):
    """`struct timex` (adjtimex(2)); only `modes` matters here, the rest is room for the answer."""

    _fields_ = (("modes", ctypes.c_uint), ("room", ctypes.c_byte * 252))


CLOCK_WRONG = 5
"""TIME_ERROR of adjtimex(2): the clock is not synchronised."""


def clock_state() -> int | None:
    """What the kernel says of the clock; None where it cannot be asked."""
    with suppress(OSError, AttributeError):
        return int(ctypes.CDLL(None).adjtimex(ctypes.byref(_Timex())))
    return None


def _clock() -> Iterator[Finding]:
    from otagate.engine.timers import SystemClock  # here, not above: `--help` needs no scheduler

    state = clock_state()
    if (why := judge_clock(SystemClock().now(), synced=True)) is not None:
        yield bad("clock", why[0].lower() + why[1:].rstrip("."), "sudo timedatectl set-ntp true")
        return
    if state == CLOCK_WRONG:
        yield warning("clock", "the clock is not synchronised: windows and certificates go by it", "sudo timedatectl set-ntp true")
    elif state is not None:
        yield ok("clock", "synchronised")


# --- folders and files --------------------------------------------------------------------------------------------------------------------


def _configuration(patient: Patient) -> Iterator[Finding]:
    yield ok("configuration", f"{patient.config} is valid")
    for each in patient.settings.warnings:
        key, _, sentence = each.partition(": ")
        yield warning("configuration", f"{key}: {sentence}", f"edit {patient.config}")


def _state_folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.settings.state_dir
    try:
        found = folder.stat()
    except FileNotFoundError:
        yield from _missing_folder(folder)
        return
    except OSError as error:
        yield bad("state folder", f"{folder} cannot be looked at: {error.strerror}", f"sudo otagate doctor --config {patient.config}")
        return
    if found.st_mode & 0o077:
        yield bad(
            "state folder", f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):04o}), and keys lie in it", f"sudo chmod 0700 {folder}"
        )
    elif found.st_uid == os.geteuid() and not os.access(folder, os.W_OK):
        yield bad("state folder", f"{folder} cannot be written", f"sudo chown {_user(found.st_uid)} {folder}")
    else:
        yield ok("state folder", f"{folder}, of user {_user(found.st_uid)}")
    yield from _room(folder)


def _missing_folder(folder: Path) -> Iterator[Finding]:
    parent = next((each for each in folder.parents if each.exists()), Path("/"))
    if os.access(parent, os.W_OK):
        yield ok("state folder", f"{folder} is made at the first start")
    else:
        yield bad("state folder", f"{folder} does not exist, and this user cannot make it", f'sudo install -d -o "$USER" -m 0700 {folder}')


def _room(folder: Path) -> Iterator[Finding]:
    usage, system = shutil.disk_usage(folder), os.statvfs(folder)
    if system.f_flag & os.ST_RDONLY:
        yield bad("disk", f"the file system of {folder} is read-only", "dmesg | tail, then check the card: it turns read-only when it fails")
    elif usage.free < ROOM_NONE or (system.f_files and not system.f_favail):
        yield bad("disk", f"{folder} is full: {size(usage.free)} are free", f"make room: sudo du -xh {folder} | sort -h | tail")
    elif usage.free < ROOM_LOW:
        yield warning("disk", f"{size(usage.free)} are free for {folder}", f"make room: sudo du -xh {folder} | sort -h | tail")
    else:
        yield ok("disk", f"{size(usage.free)} are free")


def _store(patient: Patient) -> Iterator[Finding]:
    path = patient.store
    try:
        if path is None or not path.exists():
            return
    except PermissionError:
        yield warning("store", f"{path} is for the hub's own user to look at", f"sudo otagate doctor --config {patient.config}")
        return
    if patient.daemon is not None:
        yield ok("store", f"{path} is open in process {patient.daemon}")
        return
    try:
        said, version = _look_into(path)
    except (sqlite3.Error, OSError) as error:
        said, version = str(error), 0
    from otagate.stores.sqlite_file import load_migrations

    if said != "ok":
        yield bad(
            "store", f"{path} is damaged: {said}", f"sudo mv {path}* /var/tmp/ && sudo cp -p the newest file of {path.parent / 'backups'} to {path}"
        )
    elif version > len(load_migrations()):
        yield bad("store", f"{path} was written by a newer otagate", "install the newer otagate again")
    else:
        yield ok("store", f"{path} is whole")


@contextmanager
def copied_store(path: Path) -> Iterator[Path]:
    """A copy of the file of a store that nobody has open, with its log, while the block lasts. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="otagate-doctor-") as folder:
        copy = Path(folder) / path.name
        for each in (path, path.with_name(f"{path.name}-wal")):
            if each == path or each.exists():
                shutil.copyfile(each, copy.with_name(each.name))
        yield copy


def _look_into(path: Path) -> tuple[str, int]:
    """What SQLite says of a copy of the file and its log, and its schema's number: to look at the file itself would write beside it."""
    with copied_store(path) as copy:
        connection = sqlite3.connect(copy)
        try:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            return said, int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()


def _listen(patient: Patient) -> Iterator[Finding]:
    """Ports of the API that another program has, while no daemon of this hub runs."""
    for each in patient.settings.api.listen if patient.daemon is None else ():
        host, _, port = each.rpartition(":")
        if not each.startswith("unix:") and is_taken(host.strip("[]"), int(port)):
            remedy = f"sudo ss -ltnp 'sport = :{port}', stop the program that it names, or change api.listen"
            yield bad("port", f"{each} is another program's: the hub cannot listen there", remedy)


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there already."""
    with suppress(OSError):
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                return error.errno == errno.EADDRINUSE
    return False


def _tokens(patient: Patient) -> Iterator[Finding]:
    files = [patient.settings.token_file, *(each.file for each in patient.settings.api.tokens)]
    for file in files:
        with suppress(OSError):
            whose = "its owner's and group's" if file.stat().st_mode & 0o077 else "its owner's"
            yield ok("token", f"{file} is {whose} alone")  # one that is open to others is an error of the configuration


def _report_key(patient: Patient) -> Iterator[Finding]:
    file = patient.settings.state_dir / "report-key.pem"
    with suppress(OSError):
        if file.stat().st_mode & 0o077:
            yield bad("report key", f"others may read {file}, so anybody could have sealed a report", f"sudo rm {file}, and tell the new key")
        else:
            yield ok("report key", f"{file} is its owner's alone")


# --- radios -------------------------------------------------------------------------------------------------------------------------------


def _radios(patient: Patient) -> Iterator[Finding]:
    for radio in patient.settings.radios:
        yield from _library(radio)
        if radio.path is not None and not radio.over_network:
            yield from _port(f"radio {radio.name}", radio.path, patient)
    running = {each for each in map(_command, _processes()) if each in MEDDLERS}
    for each in sorted(running):
        sentence = f"{each} runs: it opens new serial ports to see what they are, and resets sticks by that"
        yield warning("other programs", sentence, f"sudo systemctl disable --now {MEDDLERS[each]}")


def _library(radio: RadioSettings) -> Iterator[Finding]:
    from otagate.radios.stacks import STACKS

    stack = STACKS.get(radio.type)
    library = None if stack is None else stack.module.partition(".")[0]
    if stack is not None and library is not None and importlib.util.find_spec(library) is None:
        what = f"otagate[{stack.extra}]" if stack.extra else "otagate again"
        yield bad(f"radio {radio.name}", f"type {radio.type} needs the library {library}", f"{sys.executable} -m pip install '{what}'")


def _port(check: str, name: str, patient: Patient) -> Iterator[Finding]:
    from otagate.radios.holders import holding

    path = Path(name)
    try:
        port = path.stat()
    except OSError:
        yield bad(check, f"{path} does not exist: {_present()}", "plug the stick in, or take its name from: otagate detect")
        return
    others = [each for each in holding(name).holders if each.pid != patient.daemon]
    if others:
        other = others[0]
        yield bad(check, f"{path} is held by {other.program or 'a program'} (process {other.pid})", _stop(other.program, other.pid))
        return
    yield from _access(check, path, port)


def _access(check: str, path: Path, port: os.stat_result) -> Iterator[Finding]:
    if os.geteuid() == 0 or os.access(path, os.R_OK | os.W_OK) or UNIT.exists():
        yield ok(check, f"{path} is there")
        return
    group = _group(port.st_gid)
    yield bad(check, f"{path} is for the group {group}, and this user is not in it", f'sudo usermod -aG {group} "$USER", then log in again')


def _present() -> str:
    with suppress(OSError):
        names = sorted(each.name for each in BY_ID.iterdir())
        if names:
            return f"present are {', '.join(names)[:300]}"
    return "no stick is plugged in"


def _stop(program: str | None, pid: int) -> str:
    service = next((service for word, service in SERVICES.items() if word in (program or "")), None)
    return f"sudo systemctl stop {service}" if service else f"sudo kill {pid}"


def _processes() -> Iterator[Path]:
    with suppress(OSError):
        yield from (each for each in Path("/proc").iterdir() if each.name.isdigit())


def _command(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text().strip()
    return ""


def _sources(patient: Patient) -> Iterator[Finding]:
    for source in patient.settings.sources:
        folder = getattr(source, "path", None)
        if isinstance(folder, Path) and not os.access(folder, os.R_OK | os.X_OK) and os.access(folder.parent, os.X_OK):
            yield warning(f"source {source.name}", f"{folder} does not exist or cannot be read", f"sudo install -d -m 0755 {folder}")


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


CHECKS: tuple[Check, ...] = (_configuration, _state_folder, _store, _listen, _tokens, _report_key, _radios, _sources)
