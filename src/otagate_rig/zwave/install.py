"""The Node.js programs of the rig, beside their packages: a module finds its packages in the folders around it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from otagate_rig.node_packages import alone, digest, install_packages

_HERE = Path(__file__).parent
_PROGRAMS = ("network.mjs", "node.mjs", "receiver.mjs", "pace.mjs")


def installed() -> Path:
    """Install what is not installed yet, and return the folder of the rig's programs. Raises NodeMissingError where that cannot be."""
    packages = install_packages(_HERE, "zwave")
    programs = packages / f"rig-{digest(_HERE, _PROGRAMS)}"
    with alone(packages):
        if not programs.exists():
            aside = packages / f"rig-{os.getpid()}"
            aside.mkdir()
            for name in _PROGRAMS:
                shutil.copy(_HERE / name, aside / name)
            aside.rename(programs)
    return programs
