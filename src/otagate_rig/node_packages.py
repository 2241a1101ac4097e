"""Packages of Node.js, installed once per lock file into a folder outside the source tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_NODE = (20, 19)
"""What is driven here asks for Node.js 20; from 20.19 on a program may `require` a module."""

_FILES = ("package.json", "package-lock.json")
_INSTALL_SECONDS = 600.0
_COMPLAINT = 300


class NodeMissingError(RuntimeError):
    """Node.js, npm or the packages cannot be had; the message says which and why."""


def missing_node() -> str | None:
    """Say what is missing, in one sentence; None where all is there."""
    oldest = ".".join(map(str, OLDEST_NODE))
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"Node.js {oldest} or newer with npm is needed; {program} was not found"
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607 - whichever the user has
    numbers = told.removeprefix("v").split(".")[:2]
    if not all(each.isdecimal() for each in numbers) or tuple(map(int, numbers)) < OLDEST_NODE:
        return f"Node.js {oldest} or newer is needed; this is {told or 'none'}"
    return None


def install_packages(source: Path, name: str, *, within: float = _INSTALL_SECONDS) -> Path:
    """Install what the lock file in `source` names, where that was not done yet; return the folder that holds node_modules.

    The folder is below OTAGATE_RIG_CACHE, or `otagate-rig` in the user's cache; several processes may ask at once. npm gets `within` seconds.
    Raises NodeMissingError.
    """
    missing = missing_node()
    if missing is not None:
        raise NodeMissingError(missing)
    folder = _folder(source, name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            if not _is_whole(folder):
                _npm_ci(source, folder, within)
    except OSError as error:
        raise NodeMissingError(f"{folder} cannot be written: {error.strerror}") from None
    return folder


def are_installed(source: Path, name: str) -> bool:
    """Whether `install_packages` would have nothing to do."""
    return _is_whole(_folder(source, name))


def _folder(source: Path, name: str) -> Path:
    return _cache() / f"{name}-{digest(source, _FILES)}"


def _is_whole(folder: Path) -> bool:
    return (folder / "installed").exists()


def digest(folder: Path, names: tuple[str, ...]) -> str:
    """Sixteen hexadecimal digits for the content of these files."""
    total = hashlib.sha256()
    for name in names:
        total.update((folder / name).read_bytes())
    return total.hexdigest()[:16]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file: others wait until what is done in it is whole."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    given = os.environ.get("OTAGATE_RIG_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otagate-rig"


def _npm_ci(source: Path, folder: Path, within: float) -> None:
    for name in _FILES:
        shutil.copy(source / name, folder / name)
    # No package of these lock files needs its install script: what is native comes built.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=within)  # noqa: S603 - fixed
    except subprocess.TimeoutExpired:
        raise NodeMissingError(f"npm ci did not end within {within:.0f} s in {folder}") from None
    if done.returncode:
        raise NodeMissingError(f"npm ci failed in {folder} with status {done.returncode}: {_complaint(done.stderr)}")
    (folder / "installed").touch()


def _complaint(errors: str) -> str:
    """What npm says of it, on one line; where its log lies is not worth one."""
    told = [line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in errors.splitlines() if "debug log" not in line.lower()]
    return " ".join(each for each in told if each)[:_COMPLAINT] or "it gave no reason"
