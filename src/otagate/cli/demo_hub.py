"""The demo's daemon: a process of its own, started with a configuration file and driven through its API, as an operator would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import yaml

from otagate.cli.client import Client, Json
from otagate.cli.stops import Exit, Stop

USUAL_PORT = 8377
PATIENCE = 90.0
_ANSWERS_WITHIN = 3.0
"""Seconds for one answer of the daemon at its start; at its address somebody else may listen and say nothing."""


def write_config(home: Path, port: int, radios: Sequence[Json], sources: Sequence[Json]) -> tuple[Path, str]:
    """An ordinary configuration file, and the address of the API in it."""
    address = f"127.0.0.1:{port}"
    config = home / "otagate.yaml"
    settings = {
        "state_dir": str(home / "state"),
        "api": {"listen": address},
        "radios": list(radios),
        "sources": list(sources),
        "http": {"allow_private": ["127.0.0.1"]},
        "policy": {"alive_for": "0d"},  # nobody who looks on wants to wait for that
    }
    config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return config, f"http://{address}"


@contextmanager
def chosen_port() -> Iterator[int]:
    """The usual port where nobody has it and no other demo is about to take it, else any. Raises Stop."""
    with socket.socket(socket.AF_UNIX) as claim:
        usual = False
        with contextlib.suppress(OSError):  # a name without a file, given back with the process
            claim.bind(f"\0otagate-demo-{USUAL_PORT}")
            usual = True
        yield _free_port((USUAL_PORT, 0) if usual else (0,))


def _free_port(ports: Sequence[int]) -> int:
    for port in ports:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Stop("no free port on 127.0.0.1", Exit.FAILED)


@asynccontextmanager
async def daemon(home: Path, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon, from start to a clean stop; its log is a file."""
    log = home / "daemon.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "run", "--config", str(config), stdout=out, stderr=out, env=os.environ | {"NO_COLOR": "1"}
        )
    try:
        yield process
    except Stop:
        sys.stderr.write("".join(f"daemon: {line}\n" for line in log.read_text(errors="replace").splitlines()[-20:]))
        raise
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_client(process: asyncio.subprocess.Process, home: Path, url: str) -> AsyncIterator[Client]:
    """A client as soon as the daemon answers. Raises Stop where it ends instead, or does not within a bounded wait."""
    async with Client(url, await _ready(process, home / "state" / "api-token", url)) as client:
        yield client


async def _ready(process: asyncio.subprocess.Process, token_file: Path, url: str) -> str:
    """The token, once the daemon takes it."""
    for _ in range(int(PATIENCE * 10)):
        if process.returncode is not None:
            raise Stop(f"the daemon ended at its start, with exit code {process.returncode}", Exit.FAILED)
        with contextlib.suppress(OSError, Stop):
            token = token_file.read_text().strip()
            async with asyncio.timeout(_ANSWERS_WITHIN), Client(url, token) as client:
                await client.get("radios")
                return token
        await asyncio.sleep(0.1)
    raise Stop("the daemon did not start", Exit.FAILED)


async def until(client: Client, noun: str, true: Callable[[list[Json]], bool], what: str) -> list[Json]:
    """Read a list until something is true of it. Raises Stop after a bounded wait."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                items = await client.items(noun)
                if true(items):
                    return items
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise Stop(f"it did not happen within {PATIENCE:.0f} s that {what}", Exit.FAILED) from None
