"""How long a Z-Wave session waits for a driver that has long waits of its own."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.waits import shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. The driver has limits of its own (2 minutes for a fragment request, 5 for the end); these are for a driver that hangs.

    `known`: for a node whose first interview is not over, and which is asked nothing before. `begin`: from the order to the first fragment, of a
    node that does not sleep. `silence`: between two fragments. `end`: after the last.
    `share`: how much of the wait that the driver announces is waited. `ask`: between two questions to the driver.
    `recall`: until a driver that says that something is under way must have told of this node. `repeat`: between two tellings of the same.
    `stop`: until an operator is told that a transfer has not stopped yet. The driver may be in the middle of a fragment, and a node that does not
    understand how it is told to stop asks on until its own patience ends, which the driver awaits for five minutes.
    """

    known: float = 60.0
    begin: float = 240.0
    silence: float = 180.0
    end: float = 360.0
    recall: float = 180.0
    repeat: float = 5.0
    ask: float = 10.0
    share: float = 1.0
    stop: float = 30.0

    def scaled(self, factor: float) -> Patience:
        """The same, `factor` times shorter; operators live at no other pace."""
        return shorter(self, factor, keep={"stop"})
