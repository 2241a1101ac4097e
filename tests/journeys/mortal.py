"""The daemon in a process that stands still at every commit of its store, until the test lets it go on, or kills it there.

It is `otagate run` on a configuration file, but for three things: its store asks before and after each commit, its pace is that of simulated
hardware, and what it would tell systemd it tells the test. All such processes are forked from one that has imported everything, so that a life costs
a second and its death is a real one.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import aiohttp
import yaml

from otagate import daemon
from otagate.cli.app import app
from otagate.daemon import Pace
from otagate.model.facts import Fact
from otagate.model.lifecycle import State
from otagate.ports import Store
from otagate.stores import open_store

Moment = Literal["before", "after"]
Answer = Literal["go", "full"]

OVER_WITHIN = 60.0
FULL_FOR = 0.3

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.journeys.mortal", "bellows.zigbee.application", "zigpy_znp.zigbee.application"])


@dataclass(frozen=True, slots=True)
class Point:
    """A commit: what it tells, and which side of it; `update` is whose life it moves, if any."""

    moment: Moment
    tells: tuple[str, ...]
    update: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.moment} {' and '.join(self.tells)}"


def _word(fact: Fact) -> str:
    return f"{fact.subject} {fact.data['state'] if fact.kind == 'state' else fact.kind}"


# --- in the process of the hub --------------------------------------------------------------------------------------------------------------


class _Life:
    """One life, from fork to death."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._told: list[Fact] = []

    def run(self, config: Path, pace: float) -> None:
        daemon.open_store = self._open_store  # type: ignore[assignment]
        daemon.running = partial(daemon.running, pace=Pace.scaled(pace))  # type: ignore[assignment]
        daemon.notify = lambda text: self._line.send(("systemd", text))  # type: ignore[assignment]
        app(["run", "--config", str(config)], prog_name="otagate")

    @asynccontextmanager
    async def _open_store(self, url: str, state_dir: Path) -> AsyncIterator[Store]:
        async with open_store(url, state_dir) as store:
            append, transaction = store.facts.append, store.transaction

            async def noted(fact: Fact) -> Fact:
                self._told.append(fact)
                return await append(fact)

            @asynccontextmanager
            async def watched() -> AsyncIterator[None]:
                async with transaction():
                    self._told = []
                    yield
                    told = self._told
                    self._stand_still("before", told)
                self._stand_still("after", told)

            store.facts.append, store.transaction = noted, watched  # type: ignore[method-assign]
            yield store

    def _stand_still(self, moment: Moment, told: Sequence[Fact]) -> None:
        """Nothing in this process goes on before the answer is there."""
        if not told:
            return
        update = next((each.subject_id for each in told if each.subject == "update"), None)
        self._line.send(("at", Point(moment, tuple(dict.fromkeys(_word(each) for each in told)), update)))
        if self._line.recv() == "full":
            self._fill_the_disk()

    @staticmethod
    def _fill_the_disk() -> None:
        """For a while not one more byte goes into any file of this process."""
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit[0] != 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
            asyncio.get_running_loop().call_later(FULL_FOR, resource.setrlimit, resource.RLIMIT_FSIZE, limit)


def _live(line: Connection, output: Connection, config: Path, pace: float) -> None:
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    _Life(line).run(config, pace)


# --- in the process of the test -------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The hub answered, and not as wished: the operator tries again."""


@dataclass
class Mortal:
    """One hub, in any number of lives on the same state, and all that anybody outside was told by it."""

    folder: Path
    path: str
    stack: str
    pace: float
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._sockets = TemporaryDirectory(prefix="otagate-")  # a socket's address is short
        self._socket = str(Path(self._sockets.name) / "api")
        self.state_dir = self.folder / "state"
        radio = {"name": "zigbee0", "type": self.stack, "path": self.path}
        self._config = self.folder / "otagate.yaml"
        self._config.write_text(
            yaml.safe_dump(
                {"state_dir": str(self.state_dir), "api": {"listen": f"unix:{self._socket}"}, "radios": [radio], "policy": {"alive_for": "0d"}}
            )
        )

    @asynccontextmanager
    async def living(self, at: Callable[[Point], Answer | None]) -> AsyncIterator[None]:
        """One life. `at` answers at each commit; None where it has killed the process. Its end is `over`; it is killed where it has none."""
        self._at = at
        self.ready, self.over, self.news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._line, theirs = PROCESSES.Pipe()
        output, written = PROCESSES.Pipe(duplex=False)
        self._process = PROCESSES.Process(target=_live, args=(theirs, written, self._config, self.pace), daemon=True)
        self._process.start()
        theirs.close()
        written.close()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._heard)
        loop.add_reader(output.fileno(), self._overheard, output)
        connector = aiohttp.UnixConnector(path=self._socket)
        try:
            async with aiohttp.ClientSession("http://localhost", connector=connector) as self._client, asyncio.TaskGroup() as group:
                observing = group.create_task(self._observe())
                yield
                observing.cancel()
        finally:
            for each in (self._line, output):
                loop.remove_reader(each.fileno())
            self._process.kill()
            self._process.join()
            self._line.close()
            output.close()

    # --- its process ------------------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL: not one more instruction."""
        self._process.kill()

    def stop(self) -> None:
        """SIGTERM, as systemd does."""
        self._process.terminate()

    async def ended(self) -> int | None:
        """Wait for the end of the process; its exit status."""
        async with asyncio.timeout(OVER_WITHIN):
            await self.over.wait()
        self._process.join()
        return self._process.exitcode

    def _heard(self) -> None:
        try:
            while self._line.poll():
                self._take(self._line.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self.over.set()
            self._ring()

    def _ring(self) -> None:
        """Whoever waits for `news` has it, and none takes it from another: what comes next rings the next bell."""
        self.news.set()
        self.news = asyncio.Event()

    def _take(self, message: tuple[str, Any]) -> None:
        match message:
            case "at", point:
                self.points.append(point)
                answer = self._at(point)
                if answer is not None:
                    self._line.send(answer)
            case "systemd", text if str(text).startswith("READY=1"):
                self.ready.set()

    def _overheard(self, output: Connection) -> None:
        written = os.read(output.fileno(), 65_536)
        self.log += written
        if not written:
            asyncio.get_running_loop().remove_reader(output.fileno())

    # --- its API ----------------------------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.state_dir / 'api-token').read_text().strip()}"}

    async def _observe(self) -> None:
        """What an observer is told, who comes back in every life and reads all of it again."""
        await self.ready.wait()
        headers = self._token | {"Last-Event-ID": "0"}
        try:
            async with self._client.get("/api/v1/events", headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as answer:
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        self._note(json.loads(line[6:]).get("fact"))
        except aiohttp.ClientError:
            return  # it died, or was stopped

    def _note(self, fact: dict[str, Any] | None) -> None:
        if fact is None:
            return
        known = self.facts.setdefault(fact["number"], fact)
        assert known == fact, "told again, and differently"
        if known is not fact:
            return
        if fact["subject"] == "update":
            self.states[fact["subject_id"]] = State(fact["data"]["state"])
        self._ring()

    async def post(self, path: str, *, key: str | None = None, data: Any = None, **body: Any) -> Any:
        """What the hub acknowledged. Raises Refused, aiohttp.ClientError."""
        headers = self._token if key is None else self._token | {"Idempotency-Key": key}
        wanted = {"data": data} if data is not None else {"json": body}
        async with self._client.post(f"/api/v1{path}", headers=headers, **wanted) as answer:
            if answer.status >= 300:
                raise Refused(await answer.text())
            return await answer.json()

    def ask_at_once(self, path: str) -> socket.socket | None:
        """Send a POST without a body: it is with the hub before anything else happens. See `answer`; None where the hub listens no more."""
        line = socket.socket(socket.AF_UNIX)
        token = self._token["Authorization"]
        try:
            line.connect(self._socket)
        except OSError:
            line.close()
            return None
        line.sendall(f"POST /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n".encode())
        return line

    @staticmethod
    async def answer(line: socket.socket) -> int | None:
        """The status of the answer, or None where the hub died before."""
        reader, writer = await asyncio.open_unix_connection(sock=line)
        try:
            async with asyncio.timeout(OVER_WITHIN):
                status = await reader.readline()
        except ConnectionError:
            return None
        finally:
            writer.close()
        return int(status.split()[1]) if status else None
