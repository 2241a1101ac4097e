"""Puts an emulated NCP behind something a host can open: a pseudo-terminal or a TCP port.

Both can be unplugged and plugged in again under the same name, and both can be slowed down to the speed of a serial line.
"""

from otagate_rig.serial_port.lines import MAX_BUFFER
from otagate_rig.serial_port.pacing import BITS_PER_BYTE
from otagate_rig.serial_port.port import ByteStreamNcp, SerialPort

__all__ = ["BITS_PER_BYTE", "MAX_BUFFER", "ByteStreamNcp", "SerialPort"]
