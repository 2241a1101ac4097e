"""The Node.js programs of the rig, beside their packages: a module finds its packages in the folders around it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from otagate_rig.node_packages import alone, are_installed, digest, install_packages

_HERE = Path(__file__).parent
_PROGRAMS = ("network.mjs", "node.mjs", "receiver.mjs", "pace.mjs")
_NAME = "zwave"
_USUAL_SECONDS = 600.0


def is_installed() -> bool:
    """Whether the packages are there, so that `installed` takes no time."""
    return are_installed(_HERE, _NAME)


def installed(*, within: float = _USUAL_SECONDS) -> Path:
    """Install what is not installed yet, in so many seconds, and return the folder of the rig's programs. Raises NodeMissingError."""
    packages = install_packages(_HERE, _NAME, within=within)
    programs = packages / f"rig-{digest(_HERE, _PROGRAMS)}"
    with alone(packages):
        if not programs.exists():
            aside = packages / f"rig-{os.getpid()}"
            aside.mkdir()
            for name in _PROGRAMS:
                shutil.copy(_HERE / name, aside / name)
            aside.rename(programs)
    return programs
