"""The watched local directory: each `scan` tells what changed since the one before.

Blocking, so call it in a thread. It keeps no state: what it must remember is in the result, and belongs to the caller only once the caller has
done its part with what was found.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otagate.formats.identify import identify
from otagate.model.errors import ImageError, SourceUnavailable
from otagate.model.images import ImageFacts

MAX_FILES = 10_000
MAX_BYTES_A_SCAN = 64 << 20
"""New bytes that one result may hold; what is more waits for the next scan."""

SETTLE = 10.0
"""Seconds for which a file that changed between two scans may still be on its way here."""

_UNFINISHED = ("~", ".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".download", ".swp")

Signature = tuple[int, int, int]
"""mtime in ns, size in bytes, inode: while these stay, a file is not read again."""

_UNREAD: Signature = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a scan remembers of a file.

    `since` is the monotonic time at which it was first seen like this, `problem` why it cannot be used. `offered`: an image of this file is with
    the caller, which stays true while a changed file is settling.
    """

    signature: Signature
    since: float
    offered: bool
    problem: str | None = None
    settling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A new or changed image: `data` is what a device is sent, without a wrapper around it."""

    file_name: str
    data: bytes
    facts: ImageFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that cannot be used, and why."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """One look at a directory.

    `gone` names files that gave an image before and no longer exist or no longer can be used. `skipped` is complete at every scan; `settling` names
    files that look unfinished. `more` says that new files are left for the next scan. Hand `known` to the next scan.
    """

    new: tuple[Found, ...]
    gone: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    settling: tuple[str, ...]
    known: Mapping[str, Seen] = field(repr=False)
    more: bool = False


class _Unusable(Exception):
    """A file cannot be used; `lasting` problems are told at once, others may be those of a file that is still being written."""

    def __init__(self, sentence: str, *, lasting: bool = True) -> None:
        super().__init__(sentence)
        self.lasting = lasting


@dataclass(slots=True, kw_only=True)
class _Look:
    """One scan while it is made."""

    root: Path
    first: bool
    before: Mapping[str, Seen]
    now: float
    limit: int
    new: list[Found] = field(default_factory=list)
    known: dict[str, Seen] = field(default_factory=dict)
    read: int = 0
    more: bool = False


def scan(path: Path, known: Mapping[str, Seen] | None, *, now: float, limit: int) -> ScanResult:
    """Look at the files that lie directly in a directory; `known` is what the scan before returned, None at the first.

    `now` is monotonic seconds, `limit` the bytes that one file may have. At most 10,000 files are looked at. Raises SourceUnavailable where the
    directory itself cannot be read: then nothing is gone, only out of reach.
    """
    try:
        root = path.resolve(strict=True)
        names, crowded = _names_in(root)
    except OSError as error:
        raise SourceUnavailable(f"the folder {path} cannot be read: {error.strerror or error}") from error
    look = _Look(root=root, first=known is None, before=known or {}, now=now, limit=limit)
    for name in names:
        _look_at(look, name)
    if crowded:
        _keep_unlisted(look)
    return _result(look, crowded=crowded)


# --- which files -------------------------------------------------------------------------------------------------------------------------


def _names_in(root: Path) -> tuple[list[str], bool]:
    """The names worth a look, in order, and whether there were more than may be looked at."""
    names: list[str] = []
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED):
                continue
            if len(names) == MAX_FILES:
                return sorted(names), True
            names.append(entry.name)
    return sorted(names), False


def _keep_unlisted(look: _Look) -> None:
    """In a crowded folder, a known file that was not listed this time is gone only if it no longer exists."""
    for name, seen in look.before.items():
        if name not in look.known and len(look.known) < 2 * MAX_FILES and os.path.lexists(look.root / name):
            look.known[name] = seen


# --- one file ----------------------------------------------------------------------------------------------------------------------------


def _look_at(look: _Look, name: str) -> None:
    """Remember what is to be known of this file, reading it only where it changed."""
    before = look.before.get(name)
    signature = _UNREAD
    try:
        _check_name(name)
        target, status = _locate(look.root, name)
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        if before is not None and before.signature == signature and not before.settling:
            look.known[name] = before
            return
        _take(look, name, target, signature)
    except FileNotFoundError:
        return  # it went away while we looked
    except _Unusable as error:
        _note_problem(look, name, signature, str(error), lasting=error.lasting)
    except OSError as error:
        # Remembered without its signature, so that it is tried again: permission may come without the file changing.
        _note_problem(look, name, _UNREAD, f"it cannot be read: {error.strerror or error}", lasting=True)


def _check_name(name: str) -> None:
    if any(character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff" for character in name):
        raise _Unusable("its name has bytes that are no text: rename it")


def _locate(root: Path, name: str) -> tuple[Path, os.stat_result]:
    """The regular file behind a name; a link may lead to another file of the directory and nowhere else."""
    path = root / name
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        try:
            path = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # a loop of links is one or the other, by the version of Python
            raise _Unusable("it is a link that cannot be followed") from error
        if path.parent != root:
            raise _Unusable("it is a link that leads out of the folder")
        status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        raise _Unusable("it is a folder, and only files directly in the watched folder are read")
    if not stat.S_ISREG(status.st_mode):
        raise _Unusable("it is not a regular file")
    return path, status


def _take(look: _Look, name: str, target: Path, signature: Signature) -> None:
    """Read a file and keep its image."""
    size = signature[1]
    if size > look.limit:
        raise _Unusable(f"it has {size} bytes, and {look.limit} are allowed")
    if look.read and look.read + size > MAX_BYTES_A_SCAN:
        look.more = True
        before = look.before.get(name)
        if before is not None:
            look.known[name] = before
        return
    data = _read(target, signature)
    look.read += len(data)
    try:
        identified = identify(data, look.limit, name)
    except ImageError as error:
        raise _Unusable(str(error), lasting=False) from error
    whole = len(identified.view) == len(data) or identified.facts.protocol == "zwave"  # whose container is told by the name, or told once
    as_sent = data if whole else bytes(identified.view)
    look.new.append(Found(file_name=name, data=as_sent, facts=identified.facts))
    look.known[name] = Seen(signature=signature, since=look.now, offered=True)


def _read(target: Path, signature: Signature) -> bytes:
    """Exactly the bytes of the file that was located, or the reason why not."""
    # O_NONBLOCK: should a pipe stand here by now, opening it must not wait for a writer.
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(signature[1] + 1)
        status = os.fstat(descriptor)
    if (status.st_mtime_ns, status.st_size, status.st_ino) != signature or len(data) != signature[1]:
        raise _Unusable("it changed while it was read", lasting=False)
    return data


def _note_problem(look: _Look, name: str, signature: Signature, problem: str, *, lasting: bool) -> None:
    """Remember why a file cannot be used; one that changed a moment ago gets time to become whole, but not at the first scan of all."""
    before = look.before.get(name)
    since = before.since if before is not None and before.signature == signature else look.now
    settling = not lasting and not look.first and look.now - since < SETTLE
    offered = settling and before is not None and before.offered
    look.known[name] = Seen(signature=signature, since=since, offered=offered, problem=problem, settling=settling)


# --- the result --------------------------------------------------------------------------------------------------------------------------


def _result(look: _Look, *, crowded: bool) -> ScanResult:
    skipped = [
        Skipped(name=_shown(name), sentence=seen.problem) for name, seen in look.known.items() if seen.problem is not None and not seen.settling
    ]
    if crowded:
        skipped.append(Skipped(name="", sentence=f"the folder has more than {MAX_FILES} files; the rest is not read"))
    offered = {name for name, seen in look.known.items() if seen.offered}
    return ScanResult(
        new=tuple(look.new),
        gone=tuple(sorted(name for name, seen in look.before.items() if seen.offered and name not in offered)),
        skipped=tuple(skipped),
        settling=tuple(_shown(name) for name, seen in look.known.items() if seen.settling),
        known=look.known,
        more=look.more,
    )


def _shown(name: str) -> str:
    """A file name as text that can be stored and shown."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character >= " " and not "\x7f" <= character <= "\x9f" else "\ufffd" for character in text)
