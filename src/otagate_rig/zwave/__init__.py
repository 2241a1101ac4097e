"""Simulated Z-Wave nodes behind the real zwave-js driver and server, as processes of Node.js.

`network.mjs` is the network: a stock mock controller behind a TCP port, and nodes (`node.mjs`) whose receiving side of the Firmware Update Meta Data
Command Class (`receiver.mjs`) is written from its specification. The driver and the server are unmodified; `pace.mjs` shortens the driver's longest
waits. `ZwaveRig` installs, starts, steers and kills them.
"""

from otagate_rig.node_packages import NodeMissingError, missing_node
from otagate_rig.zwave.firmware import make_firmware
from otagate_rig.zwave.install import installed, is_installed
from otagate_rig.zwave.rig import EUROPE, HOME_ID, USA, RigError, ZwaveRig

__all__ = [
    "EUROPE",
    "HOME_ID",
    "USA",
    "NodeMissingError",
    "RigError",
    "ZwaveRig",
    "installed",
    "is_installed",
    "make_firmware",
    "missing_node",
]
