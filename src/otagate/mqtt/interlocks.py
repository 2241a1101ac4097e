"""Interlocks that are told by a topic: its last message says yes or no, and no message at all is a no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from otagate.ports import Broker, Clock, Message, Wanted

_SHOWN = 40
_LONGEST = 256


@dataclass(slots=True, kw_only=True)
class TopicInterlock:
    """Implements `ports.Interlock` and `ports.Listener`. `allow` are the messages that are a yes, `max_age` the seconds for which one counts.

    Nobody says when a message that the broker kept was sent, so one counts from when we first heard it; the same one told again when the line comes
    back is no younger for that. What is not told again then is not known any more: it may have been taken back.
    """

    topic: str
    allow: frozenset[bytes]
    broker: Broker
    clock: Clock
    max_age: float | None = None
    _said: tuple[bytes, float] | None = field(default=None, init=False)
    _before: tuple[bytes, float] | None = field(default=None, init=False)

    @property
    def wanted(self) -> Sequence[Wanted]:
        """The topic, with what is kept there."""
        return (Wanted(filter=self.topic, kept=True),)

    def heard(self, message: Message) -> None:
        """The newest message counts, whatever it is."""
        said = message.payload[: _LONGEST + 1].strip()
        known = self._said or self._before
        if message.retained and known is not None and known[0] == said:
            self._said = known
        else:
            self._said = (said, self.clock.monotonic())

    def up(self) -> None:
        """What is kept is told next."""

    def down(self) -> None:
        """Nobody knows whether it still holds."""
        self._before, self._said = self._said or self._before, None

    async def ask(self) -> str | None:
        """See `ports.Interlock.ask`."""
        if self.broker.trouble is not None:
            return f"the MQTT broker cannot be asked: {self.broker.trouble}"
        if self._said is None:
            return f"nothing has been said on {self.topic} yet"
        said, since = self._said
        age = self.clock.monotonic() - since
        if self.max_age is not None and age > self.max_age:
            return f"what {self.topic} said last is {age:.0f} s old, and counts for {self.max_age:.0f} s"
        if said not in self.allow:
            return f"{self.topic} says {_shown(said)}"
        return None


def _shown(said: bytes) -> str:
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in said.decode(errors="replace"))
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
