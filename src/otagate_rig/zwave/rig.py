"""A whole Z-Wave rig: the simulated network in one process of Node.js, the real driver and server in another."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import signal
import socket
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from otagate_rig.zwave.install import installed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

HOME_ID = 0xE1B2C3D4
EUROPE, USA = 0, 1
PACE = 20.0
"""The driver's longest waits pass this much faster, unless the rig is told otherwise."""

_UP_WITHIN = 90.0
_END_WITHIN = 15.0
_LINE_LIMIT = 1 << 20

_TIMEOUTS = {"ack": 10_000, "report": 10_000}
"""Milliseconds that the driver waits for the controller and for a node: a busy machine is no bad radio."""


class RigError(RuntimeError):
    """The rig did not do what it was told."""


class ZwaveRig:
    """Use it as an async context manager; `url` is what a hub configures as its radio.

    `nodes` are the nodes of the scenario, each an object as `node.mjs` describes it (`id` is the only field without a default); `region` is the
    number of the controller's radio region, None for a controller that cannot tell. The driver's cache outlives `kill_driver`.
    """

    def __init__(
        self, nodes: Sequence[Mapping[str, Any]], *, region: int | None = EUROPE, tx_delay: int = 0, pace: float = PACE, home_id: int = HOME_ID
    ) -> None:
        """Make it; nothing runs yet."""
        self._scenario = {"nodes": list(nodes), "region": region, "txDelay": tx_delay, "homeId": home_id}
        self._pace = pace
        self._folder = TemporaryDirectory(prefix="otagate-zwave-")
        self._programs = Path()
        self._network: asyncio.subprocess.Process | None = None
        self._driver: asyncio.subprocess.Process | None = None
        self._serial = ""
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._tasks = asyncio.TaskGroup()
        self._reader: asyncio.Task[None] | None = None
        self.home_id = home_id
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the driver's process has written."""
        path = Path(self._folder.name) / "driver.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            self._programs = await asyncio.to_thread(installed)
            await self._start_network()
            await self.start_driver()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._end()

    async def _end(self) -> None:
        await self.kill_driver()
        if self._network is not None:
            await _stop(self._network)
        if self._reader is not None:
            self._reader.cancel()
        await self._tasks.__aexit__(None, None, None)  # an error of the block is the block's own
        self._folder.cleanup()

    # --- the network ------------------------------------------------------------------------------------------------------------------

    async def _start_network(self) -> None:
        home = Path(self._folder.name)
        (home / "scenario.json").write_text(json.dumps(self._scenario))
        with (home / "network.log").open("wb") as log:
            self._network = await asyncio.create_subprocess_exec(
                "node",
                str(self._programs / "network.mjs"),
                str(home / "scenario.json"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_LIMIT,
            )
        try:
            async with asyncio.timeout(_UP_WITHIN):
                self._serial = str((await self._line())["path"])
        except (TimeoutError, EOFError):
            raise RigError(f"the simulated network did not start: {(home / 'network.log').read_text()[-2_000:]}") from None
        self._reader = self._tasks.create_task(self._read(), name="zwave-network")

    async def _line(self) -> dict[str, Any]:
        """The next line of the network that is JSON; whatever a library prints between is passed over."""
        if self._network is None or self._network.stdout is None:
            raise EOFError
        while line := await self._network.stdout.readline():
            with suppress(ValueError):
                if isinstance(told := json.loads(line), dict):
                    return told
        raise EOFError

    async def _read(self) -> None:
        with suppress(EOFError):
            while True:
                answer = await self._line()
                waiter = self._answers.pop(answer.get("id", 0), None)
                if waiter is not None and not waiter.done():
                    waiter.set_result(answer)
        for waiter in self._answers.values():
            waiter.cancel()

    async def order(self, command: str, **fields: Any) -> dict[str, Any]:
        """Give the network an order and wait for its answer. Raises RigError."""
        if self._network is None or self._network.stdin is None:
            raise RigError("the rig does not run")
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._network.stdin.write(json.dumps({"id": number, "command": command, **fields}).encode() + b"\n")
        answer = await self._answers[number]
        if not answer["ok"]:
            raise RigError(str(answer["error"]))
        return answer

    async def node(self, number: int) -> dict[str, Any]:
        """The state of a node: `firmware`, `received` by target, `receiving`, `counters`, `violations`, `asleep` …"""
        state: dict[str, Any] = (await self.order("describe"))["nodes"][str(number)]
        return state

    async def change(self, number: int, *, spec: Mapping[str, Any] | None = None, **faults: Any) -> None:
        """Change how a node is from now on; a fault that is None is mended."""
        await self.order("change", node=number, spec=dict(spec or {}), faults=faults)

    async def wake(self, number: int) -> None:
        """Let a sleeping node wake up and say so."""
        await self.order("wake", node=number)

    async def interviewed(self, *numbers: int) -> None:
        """Wait until these nodes have been asked for their firmware, near the end of an interview; who sleeps wakes up for that. Raises RigError."""
        try:
            async with asyncio.timeout(_UP_WITHIN):
                for number in numbers:
                    await self.order("interviewed", node=number)
        except TimeoutError:
            raise RigError(f"the driver has not interviewed every node within {_UP_WITHIN:.0f} s") from None

    async def reached(self, number: int, bytes_: int, *, within: float = 60.0) -> None:
        """Wait until a node has received so much of the image that is on its way."""
        async with asyncio.timeout(within):
            await self.order("reached", node=number, bytes=bytes_)

    # --- the driver -------------------------------------------------------------------------------------------------------------------

    async def start_driver(self) -> None:
        """Start the real driver and server, and wait until the server listens."""
        home = Path(self._folder.name)
        config = home / "driver.json"
        if not config.exists():
            keys = {"S0_Legacy": secrets.token_hex(16)}
            options = {"logConfig": {"enabled": False}, "storage": {"cacheDir": str(home / "cache")}, "securityKeys": keys, "timeouts": _TIMEOUTS}
            config.write_text(json.dumps(options | {"features": {"softReset": False}, "enableSoftReset": False}))
        server = self._programs.parent / "node_modules" / "@zwave-js" / "server" / "dist-esm" / "bin" / "server.js"
        with (home / "driver.log").open("ab") as log:
            self._driver = await asyncio.create_subprocess_exec(
                "node",
                "--import",
                (self._programs / "pace.mjs").as_uri(),
                str(server),
                self._serial,
                "--config",
                str(config),
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--disable-dns-sd",
                stdout=log,
                stderr=log,
                env=os.environ | {"OTAGATE_RIG_PACE": str(self._pace), "ZWAVEJS_DISABLE_SOFT_RESET": "1"},
            )
        await self._listens(self._driver)

    async def _listens(self, driver: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(_UP_WITHIN):
                while driver.returncode is None:
                    with suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass
        raise RigError(f"the driver did not start:\n{self.log[-2_000:]}")

    async def kill_driver(self) -> None:
        """SIGKILL: driver and server are gone at once, the network stays."""
        if self._driver is not None and self._driver.returncode is None:
            self._driver.send_signal(signal.SIGKILL)
            await self._driver.wait()
        self._driver = None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
