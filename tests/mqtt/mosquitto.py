"""A real broker: Debian's mosquitto on a port of its own, that can be killed and started again, and a client that sees what is said there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
import pytest

WITHIN = 60.0
PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed (apt-get install mosquitto)")


def require_mosquitto() -> None:
    """Skip the test where there is none."""
    if PROGRAM is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """A broker that keeps nothing over its own death, so that whoever speaks to it must say everything again."""

    def __init__(self, folder: Path, *, lines: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\npersistence false\nuser root\nmax_queued_messages 100000\n{lines}\n")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.kill()

    async def start(self) -> None:
        """Start, and wait until it listens."""
        assert PROGRAM is not None
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(PROGRAM, "-c", str(self._config), stdout=quiet, stderr=quiet)
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    assert self._process.returncode is None, "mosquitto did not start"
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """SIGKILL; no error where it is dead already."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


class Ear:
    """What was said, topic by topic, by whoever speaks at the broker; and a mouth to answer."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._bell = asyncio.Event()
        self.all: list[tuple[str, bytes]] = []
        self.last: dict[str, bytes] = {}
        self.retained: dict[str, bytes] = {}
        """What was kept from before this ear listened."""

    async def run(self) -> None:
        """Listen until the broker is gone."""
        with suppress(aiomqtt.MqttError):
            await self._listen()

    async def _listen(self) -> None:
        async for message in self._client.messages:
            payload = message.payload
            assert isinstance(payload, bytes)
            self.all.append((message.topic.value, payload))
            self.last[message.topic.value] = payload
            if message.retain:
                self.retained[message.topic.value] = payload
            bell, self._bell = self._bell, asyncio.Event()
            bell.set()

    async def until(self, fits: Callable[[], bool], *, within: float = WITHIN) -> None:
        """Wait until that is so, looking whenever something is said."""
        try:
            async with asyncio.timeout(within):
                while not fits():
                    await self._bell.wait()
        except TimeoutError:
            heard = "\n".join(f"{topic} {payload[:300]!r}" for topic, payload in self.all[-40:])
            raise TimeoutError(f"that was not heard within {within:.0f} s:\n{heard}") from None

    async def says(self, topic: str, fits: Callable[[Any], bool] = bool, *, within: float = WITHIN) -> Any:
        """The first document on this topic that fits, from now on or the last one."""
        await self.until(lambda: topic in self.last and fits(_read(self.last[topic])), within=within)
        return _read(self.last[topic])

    def documents(self, topic: str) -> list[Any]:
        """Everything that was said on a topic."""
        return [_read(payload) for each, payload in self.all if each == topic]

    async def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        await self._client.publish(topic, payload, qos=1, retain=retain)


def _read(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


@asynccontextmanager
async def ear(broker: Mosquitto, *filters: str) -> AsyncIterator[Ear]:
    """Somebody who listens to these topics, or to all."""
    async with (
        aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        asyncio.TaskGroup() as group,
    ):
        heard = Ear(client)
        task = group.create_task(heard.run())
        for each in filters or ("#",):
            await client.subscribe(each, qos=1)
        try:
            yield heard
        finally:
            task.cancel()
