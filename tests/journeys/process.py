"""The daemon as systemd runs it: a process of its own, that tells when it is ready, and that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from otagate.model.facts import Fact
from otagate.model.lifecycle import AFTER_RESTART, TABLE, Cause, State
from otagate.stores import open_store

READY_WITHIN = 120.0
ENDED_WITHIN = 200.0


def _radio(path: str, stack: str) -> dict[str, str]:
    return (
        {"name": "zwave0", "type": stack, "url": path} if stack == "zwave-js" else {"name": "zigbee0", "type": stack, "path": path, "air_share": 100}
    )


class Daemon:
    """One configured hub, started any number of times on the same state."""

    def __init__(self, folder: Path, path: str | None, *, stack: str = "znp", more: Mapping[str, Any] | None = None) -> None:
        """`path` is where its one radio is, `stack` of which type; None for a hub without radios. A Z-Wave controller is where its `url` is.

        `more` stands in its configuration besides.
        """
        self.state = folder / "state"
        self._config = folder / "otagate.yaml"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "state_dir": str(self.state),
                    "api": {"listen": "127.0.0.1:0"},
                    "radios": [] if path is None else [_radio(path, stack)],
                    "policy": {"alive_for": "0d"},
                }
                | {key: value for key, value in (more or {}).items() if key not in ("state_dir", "api")}
            )
        )
        self._log = folder / "daemon.log"
        self._sockets = TemporaryDirectory(prefix="otagate-")  # a socket's address is short
        self._process: asyncio.subprocess.Process | None = None
        self._base = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            await self.kill()
        self._sockets.cleanup()

    async def start(self) -> None:
        """Start, and wait until it tells systemd that it is ready."""
        address = str(Path(self._sockets.name) / "notify")
        Path(address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, self._log.open("ab") as log:
            line.setblocking(False)
            line.bind(address)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "otagate", "run", "--config", str(self._config),
                env=os.environ | {"NOTIFY_SOCKET": address}, stdout=log, stderr=log,
            )  # fmt: skip
            async with asyncio.timeout(READY_WITHIN):
                while not (message := (await asyncio.get_running_loop().sock_recv(line, 4096)).decode()).startswith("READY=1"):
                    pass
        self._base = message.partition("STATUS=serving ")[2].split(",")[0].strip()

    async def kill(self) -> None:
        """SIGKILL: no time for anything."""
        await self._end(9)

    async def stop(self) -> int:
        """SIGTERM, as systemd does; returns the exit status."""
        return await self._end(15)

    async def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            raise RuntimeError("the daemon does not run")
        if process.returncode is None:
            process.send_signal(number)
        async with asyncio.timeout(READY_WITHIN):
            return await process.wait()

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def base(self) -> str:
        """The address of its API."""
        return self._base

    # --- its API ----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[aiohttp.ClientSession]:
        token = (self.state / "api-token").read_text().strip()
        async with aiohttp.ClientSession(self._base, headers={"Authorization": f"Bearer {token}"}) as client:
            yield client

    async def get(self, path: str) -> Any:
        """A document of the API."""
        async with self._client() as client, client.get(f"/api/v1{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def problem(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """The status and the document of a call that fails."""
        async with self._client() as client, client.request(method, f"/api/v1{path}", **options) as answer:
            return answer.status, await answer.json(content_type="application/problem+json")

    @contextmanager
    def files_of_at_most(self, size: int) -> Iterator[None]:
        """While the block lasts no file of the daemon grows beyond so many bytes, as on a disk that is full."""
        if self._process is None:
            raise RuntimeError("the daemon does not run")
        before = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, before)

    async def content(self, sha256: str) -> bytes:
        """The bytes of an image."""
        async with self._client() as client, client.get(f"/api/v1/images/{sha256}/content") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def post(self, path: str, **body: Any) -> Any:
        """Order something."""
        async with self._client() as client, client.post(f"/api/v1{path}", json=body) as answer:
            assert answer.status in (200, 201, 202), await answer.text()
            return await answer.json()

    async def upload(self, image: bytes, *, file_name: str = "firmware.ota") -> Any:
        """Store an image."""
        form = aiohttp.FormData()
        form.add_field("file", image, filename=file_name)
        async with self._client() as client, client.post("/api/v1/images", data=form) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    async def told(self, subject: str, **wanted: Any) -> dict[str, Any]:
        """Wait for an event about such a subject in which these fields have these values; past ones count."""
        async with asyncio.timeout(ENDED_WITHIN):
            async for event, body in self._events():
                fact = body.get("fact") or {}
                if event == subject and all(body.get(key, fact.get(key)) == value for key, value in wanted.items()):
                    return body
        raise AssertionError(f"the stream of events ended:\n{self.log}")

    async def _events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async with (
            self._client() as client,
            client.get("/api/v1/events", headers={"Last-Event-ID": "0"}, timeout=aiohttp.ClientTimeout(total=None)) as answer,
        ):
            event = ""
            async for line in answer.content:
                key, _, value = line.decode().strip().partition(": ")
                if key == "event":
                    event = value
                elif key == "data":
                    yield event, json.loads(value)

    async def journal(self) -> list[Fact]:
        """Every fact on disk; for a hub that does not run."""
        facts: list[Fact] = []
        async with open_store("sqlite:///otagate.db", self.state) as store:
            while page := await store.facts.after(len(facts)):
                facts += page
        return facts


def assert_gapless(facts: list[Fact]) -> None:
    """Facts are numbered 1 to n."""
    assert [each.number for each in facts] == list(range(1, len(facts) + 1))


def assert_legal(facts: list[Fact], update: str) -> None:
    """Every step of the update is a line of the transition table, or what a restart makes of a state."""
    state: State | None = None
    for fact in facts:
        if fact.subject != "update" or fact.subject_id != update:
            continue
        told = State(str(fact.data["state"]))
        if state is None:
            assert told in (State.PLANNED, State.QUEUED), fact
        elif fact.kind in set(Cause):
            assert TABLE[state].get(Cause(fact.kind)) is told, f"{state} --{fact.kind}--> {told}"
        elif fact.kind == "restarted":
            assert AFTER_RESTART[state] is told, f"{state} became {told} by a restart"
        else:
            assert told is state, f"{fact.kind} moved {state} to {told}"
        state = told
    assert state is not None
