"""An emulated EmberZNet coordinator: speaks EZSP 13 over ASH on a byte line, and the air through `Medium`."""

from otagate_rig.ezsp.link import LinkCounters
from otagate_rig.ezsp.ncp import EzspNcp
from otagate_rig.ezsp.stack import Counters
from otagate_rig.ezsp.tokens import Tokens

__all__ = ["Counters", "EzspNcp", "LinkCounters", "Tokens"]
