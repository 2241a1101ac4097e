"""An emulated Z-Stack 3.x coordinator (ZNP): speaks MT over a byte line, and the air through `Medium`."""

from otagate_rig.znp.ncp import ZnpNcp
from otagate_rig.znp.nvram import Nvram
from otagate_rig.znp.stack import Counters

__all__ = ["Counters", "Nvram", "ZnpNcp"]
