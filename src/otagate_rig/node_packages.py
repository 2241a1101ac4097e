"""Packages of Node.js, installed once per lock file into a folder outside the source tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_NODE = (20, 19)
"""What is driven here asks for Node.js 20; from 20.19 on a program may `require` a module."""

_FILES = ("package.json", "package-lock.json")
_INSTALL_SECONDS = 600


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


def install_packages(source: Path, name: str) -> Path:
    """Install what the lock file in `source` names, where that was not done yet; return the folder that holds node_modules.

    The folder is below OTAGATE_RIG_CACHE, or `otagate-rig` in the user's cache; several processes may ask at once. Raises NodeMissingError.
    """
    missing = missing_node()
    if missing is not None:
        raise NodeMissingError(missing)
    folder = _cache() / f"{name}-{digest(source, _FILES)}"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if not (folder / "installed").exists():
            _npm_ci(source, folder)
    return folder


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


def _npm_ci(source: Path, folder: Path) -> None:
    for name in _FILES:
        shutil.copy(source / name, folder / name)
    # No package of these lock files needs its install script: what is native comes built.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)  # noqa: S603 - fixed
    except subprocess.TimeoutExpired:
        raise NodeMissingError(f"npm ci did not end within {_INSTALL_SECONDS} s in {folder}") from None
    if done.returncode:
        sys.stderr.write(done.stderr[-2_000:])
        raise NodeMissingError(f"npm ci failed in {folder} with status {done.returncode}")
    (folder / "installed").touch()
