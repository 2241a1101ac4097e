"""Who has a serial port open: asked of the kernel, without touching the port."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
UUCP_LOCKS = Path("/var/lock")
_PSEUDO_TERMINALS = range(136, 144)  # Unix98 slaves: every devpts, one for each container, counts them from 0
_MASTER = os.makedev(5, 2)  # their other end, /dev/ptmx
_INDEX = re.compile(r"^tty-index:\s*(\d+)$", re.MULTILINE)
_FLOCK = re.compile(r"\d+: (?:FLOCK|OFDLCK|POSIX) .* (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that has a port open, or holds a lock on it; `program` is None where nobody may look at it."""

    pid: int
    program: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is known of who holds a port. `blind`: there are processes whose open files this user may not see."""

    holders: tuple[Holder, ...]
    blind: bool

    @property
    def names(self) -> str:
        """Who they are, for a sentence."""
        return ", ".join(f"{each.program or 'a program'} (process {each.pid})" for each in self.holders)


def holding(path: str) -> Holding:
    """Who holds the port behind this path, in processes other than this one. Nobody holds what does not exist."""
    try:
        port = Path(path).stat()
    except OSError:
        return Holding(holders=(), blind=False)
    opened, blind = _openers(port)
    pids = {*opened, *_lockers(port), *_uucp_lockers(path)} - {os.getpid()}
    return Holding(holders=tuple(Holder(pid=pid, program=_program(pid)) for pid in sorted(pids)), blind=blind)


def _openers(port: os.stat_result) -> tuple[set[int], bool]:
    """The processes with a descriptor of the port; whether there are some that cannot be looked at."""
    found: set[int] = set()
    blind = False
    for pid in _processes():
        try:
            descriptors = list((PROC / str(pid) / "fd").iterdir())
        except PermissionError:
            blind = True
            continue
        except OSError:
            continue  # it has ended
        if any(_is_port(each, port) for each in descriptors) and not any(_is_other_end(each, port) for each in descriptors):
            found.add(pid)
    return found, blind


def _processes() -> Iterator[int]:
    for each in PROC.iterdir():
        if each.name.isdigit():
            yield int(each.name)


def _is_port(descriptor: Path, port: os.stat_result) -> bool:
    try:
        opened = descriptor.stat()
    except OSError:
        return False
    if not stat.S_ISCHR(port.st_mode):
        return (opened.st_dev, opened.st_ino) == (port.st_dev, port.st_ino)
    if not stat.S_ISCHR(opened.st_mode) or opened.st_rdev != port.st_rdev:  # one port has many names
        return False
    return os.major(port.st_rdev) not in _PSEUDO_TERMINALS or opened.st_dev == port.st_dev


def _is_other_end(descriptor: Path, port: os.stat_result) -> bool:
    """Whether this is the master of that pseudo-terminal: who made a port may keep it open, as recorders do, and is no rival (proc(5), fdinfo)."""
    if os.major(port.st_rdev) not in _PSEUDO_TERMINALS:
        return False
    with suppress(OSError):
        if descriptor.stat().st_rdev == _MASTER:
            index = _INDEX.search((descriptor.parent.parent / "fdinfo" / descriptor.name).read_text())
            return index is not None and int(index[1]) == os.minor(port.st_rdev)
    return False


def _lockers(port: os.stat_result) -> set[int]:
    """Holders of a lock on the port (proc(5), /proc/locks), which everybody may see."""
    with suppress(OSError):
        found = (_FLOCK.match(line) for line in (PROC / "locks").read_text().splitlines())
        return {
            int(each[1])
            for each in found
            if each is not None and int(each[4]) == port.st_ino and os.makedev(int(each[2], 16), int(each[3], 16)) == port.st_dev
        }
    return set()


def _uucp_lockers(path: str) -> set[int]:
    """Old programs leave a file with their number."""
    with suppress(OSError, ValueError):
        pid = int((UUCP_LOCKS / f"LCK..{Path(path).resolve().name}").read_text())
        if (PROC / str(pid)).exists():
            return {pid}
    return set()


def _program(pid: int) -> str | None:
    """What it was started as: the script rather than its interpreter."""
    with suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        shown = [Path(os.fsdecode(each)).name for each in words if each][:3]
        if shown:
            return " ".join(shown)[:80]
        return (PROC / str(pid) / "comm").read_text().strip()[:80] or None
    return None
