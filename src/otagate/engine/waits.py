"""How long the engine waits, and clocks that stand still while nobody can be blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from otagate.model.waits import shorter
from otagate.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds; `pace` shortens backoffs where simulated hardware lives faster.

    `activation`: until a device that was told to use an image must be back. `confirmation`: until it must have told its version. `settle`: so long a
    device that is back may still tell the old version. `silence`: no session waits longer than this without a word; only a device that the radio
    does not know any more does. `poll`: between two looks. `relapse`: before a course that failed in an unforeseen way goes on.
    """

    activation: float = 900.0
    activation_sleepy: float = 86_400.0
    confirmation: float = 600.0
    settle: float = 120.0
    silence: float = 7_200.0
    poll: float = 20.0
    relapse: float = 60.0
    store_retry: float = 1.0
    pace: float = 1.0

    def scaled(self, factor: float) -> Waits:
        """The same waits, `factor` times shorter."""
        return replace(shorter(self, factor, keep={"store_retry", "pace"}), pace=self.pace * factor)


@dataclass(slots=True)
class Stopwatch:
    """Seconds that passed while `runs` said so when it was read; it is read at every look, so it errs by one look at most."""

    clock: Clock
    runs: Callable[[], bool]
    _spent: float = 0.0
    _read_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._read_at = self.clock.monotonic()

    def read(self) -> float:
        """The seconds so far."""
        now = self.clock.monotonic()
        if self.runs():
            self._spent += now - self._read_at
        self._read_at = now
        return self._spent

    def restart(self) -> None:
        """From zero again."""
        self._spent, self._read_at = 0.0, self.clock.monotonic()
