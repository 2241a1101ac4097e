"""Topics that say whether updates may begin; the line is a stand-in, so that time and loss are ours."""

from __future__ import annotations

import pytest

from otagate.mqtt.interlocks import TopicInterlock
from otagate.ports import Listener, Message
from tests.virtual_time import VirtualClock

pytestmark = pytest.mark.asyncio
TOPIC = "building/away"


class Clock(VirtualClock):
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


class Broker:
    """Up or not; nobody speaks on it."""

    def __init__(self) -> None:
        self.trouble: str | None = None

    def listen(self, listener: Listener) -> None:
        raise NotImplementedError

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        raise NotImplementedError


class Bench:
    def __init__(self, *, max_age: float | None = None) -> None:
        self.clock, self.broker = Clock(), Broker()
        self.interlock = TopicInterlock(topic=TOPIC, allow=frozenset({b"ON", b"yes"}), broker=self.broker, clock=self.clock, max_age=max_age)

    def says(self, payload: bytes, *, retained: bool = False) -> None:
        self.interlock.heard(Message(topic=TOPIC, payload=payload, retained=retained))

    async def ask(self) -> str | None:
        return await self.interlock.ask()


async def test_what_was_never_said_is_a_no() -> None:
    assert await Bench().ask() == "nothing has been said on building/away yet"


@pytest.mark.parametrize("said", [b"ON", b"yes", b" ON\n"])
async def test_a_message_that_is_allowed_is_a_yes(said: bytes) -> None:
    bench = Bench()
    bench.says(said, retained=True)
    assert await bench.ask() is None


@pytest.mark.parametrize(
    ("said", "shown"), [(b"OFF", "'OFF'"), (b"on", "'on'"), (b"", "''"), (b"\xff\x1b[2J", "'\ufffd\ufffd[2J'"), (b"x" * 9999, f"'{'x' * 39}…'")]
)
async def test_every_other_message_is_a_no_that_shows_it(said: bytes, shown: str) -> None:
    bench = Bench()
    bench.says(b"ON")
    bench.says(said)
    assert await bench.ask() == f"building/away says {shown}"


async def test_a_message_that_is_too_old_is_a_no_and_one_told_again_by_the_broker_is_no_younger() -> None:
    bench = Bench(max_age=60)
    bench.says(b"ON")
    bench.clock.seconds += 61
    assert await bench.ask() == "what building/away said last is 61 s old, and counts for 60 s"
    bench.interlock.down()
    bench.says(b"ON", retained=True)
    assert await bench.ask() is not None
    bench.says(b"ON")
    assert await bench.ask() is None


async def test_a_broker_that_is_away_is_a_no() -> None:
    bench = Bench()
    bench.says(b"ON")
    bench.broker.trouble = "the connection was lost"
    assert await bench.ask() == "the MQTT broker cannot be asked: the connection was lost"


async def test_a_yes_that_is_not_told_again_after_the_line_was_lost_is_known_no_more() -> None:
    bench = Bench()
    bench.says(b"ON", retained=True)
    bench.interlock.down()
    assert await bench.ask() == "nothing has been said on building/away yet"
    bench.says(b"ON", retained=True)
    assert await bench.ask() is None
