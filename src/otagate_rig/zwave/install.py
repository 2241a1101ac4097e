"""The Node.js packages of the rig, installed once per lock file into a folder outside the source tree."""

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

OLDEST_NODE = 20
"""The driver and its server ask for Node.js 20."""

_HERE = Path(__file__).parent
_PACKAGES = ("package.json", "package-lock.json")
_PROGRAMS = ("network.mjs", "node.mjs", "receiver.mjs", "pace.mjs")
_INSTALL_SECONDS = 600


class NodeMissingError(RuntimeError):
    """Node.js or npm is missing or too old; the message says which."""


def missing_node() -> str | None:
    """Say what is missing for the rig to run, in one sentence; None where all is there."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"Node.js {OLDEST_NODE} or newer with npm is needed for Z-Wave; {program} was not found"
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S607 - whichever the user has
    major = told.removeprefix("v").split(".")[0]
    if not major.isdecimal() or int(major) < OLDEST_NODE:
        return f"Node.js {OLDEST_NODE} or newer is needed for Z-Wave; this is {told or 'none'}"
    return None


def installed() -> Path:
    """Install what is not installed yet, and return the folder of the rig's programs. Raises NodeMissingError where that cannot be.

    The folder is below OTAGATE_RIG_CACHE, or `otagate-rig` in the user's cache; several processes may ask at once.
    """
    missing = missing_node()
    if missing is not None:
        raise NodeMissingError(missing)
    packages = _cache() / f"zwave-{_digest(_PACKAGES)}"
    packages.mkdir(parents=True, exist_ok=True)
    programs = packages / f"rig-{_digest(_PROGRAMS)}"
    with _alone(packages / "lock"):
        if not (packages / "installed").exists():
            _npm_ci(packages)
        if not programs.exists():
            aside = packages / f"rig-{os.getpid()}"
            aside.mkdir()
            for name in _PROGRAMS:
                shutil.copy(_HERE / name, aside / name)
            aside.rename(programs)
    return programs


def _cache() -> Path:
    given = os.environ.get("OTAGATE_RIG_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otagate-rig"


def _digest(names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def _npm_ci(folder: Path) -> None:
    for name in _PACKAGES:
        shutil.copy(_HERE / name, folder / name)
    # No package of the lock file needs its install script: what is native comes built.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)  # noqa: S603 - fixed
    except subprocess.TimeoutExpired:
        raise NodeMissingError(f"npm ci did not end within {_INSTALL_SECONDS} s in {folder}") from None
    if done.returncode:
        sys.stderr.write(done.stderr[-2_000:])
        raise NodeMissingError(f"npm ci failed in {folder} with status {done.returncode}")
    (folder / "installed").touch()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file: others wait until the installation is whole."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
