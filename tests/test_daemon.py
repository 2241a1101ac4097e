"""The composition root: how a hub starts, what it says to systemd, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from otagate.config import load
from otagate.daemon import running


def write_config(folder: Path, more: str = "") -> Path:
    config = folder / "otagate.yaml"
    config.write_text(f"state_dir: {folder / 'state'}\napi:\n  listen: unix:{folder / 'api.sock'}\n{more}")
    return config


@asynccontextmanager
async def daemon_process(config: Path, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "otagate", "run", "--config", str(config), env=os.environ | environ, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Systemd:
    """The receiving end of sd_notify."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(self.address)
        self._line.setblocking(False)

    async def hears(self, word: str) -> str:
        async with asyncio.timeout(30):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self._line, 4096)).decode()
                if word in message:
                    return message


@pytest.mark.asyncio
async def test_systemd_is_told_ready_alive_and_stopping_and_sigterm_ends_with_0(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    config = write_config(tmp_path)
    async with daemon_process(config, NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="200000") as process:
        assert "api.sock" in await systemd.hears("READY=1")
        await systemd.hears("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        await systemd.hears("STOPPING=1")
        async with asyncio.timeout(20):
            assert await process.wait() == 0


@pytest.mark.asyncio
async def test_a_wrong_configuration_is_one_line_exit_78_and_nothing_is_opened(tmp_path: Path) -> None:
    config = write_config(tmp_path, "radio: []\n")
    async with daemon_process(config) as process:
        async with asyncio.timeout(20):
            _, errors = await process.communicate()
    assert process.returncode == 78
    assert errors.decode().splitlines() == [line for line in errors.decode().splitlines() if "otagate.yaml:4:1: radio:" in line]
    assert not (tmp_path / "state").exists()


@pytest.mark.asyncio
async def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    settings = load(write_config(tmp_path), {})
    async with running(settings) as hub:
        other = tmp_path / "other"
        other.mkdir()
        second = other / "otagate.yaml"
        second.write_text(f"state_dir: {tmp_path / 'state'}\napi:\n  listen: unix:{other / 'api.sock'}\n")
        async with daemon_process(second) as process:
            async with asyncio.timeout(20):
                _, errors = await process.communicate()
        assert process.returncode == 1
        assert len([line for line in errors.decode().splitlines() if line.startswith("otagate: ")]) == 1
        assert (await hub.desk.health()).ready


@pytest.mark.asyncio
async def test_a_hub_without_radios_stores_images_and_is_ready(tmp_path: Path) -> None:
    settings = load(write_config(tmp_path), {})
    async with running(settings), aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "api.sock"))) as client:
        async with client.get("http://localhost/readyz") as answer:
            assert answer.status == 200
        async with client.get("http://localhost/api/v1/devices") as answer:
            assert (await answer.json())["items"] == []


@pytest.mark.asyncio
async def test_everything_in_the_state_directory_is_for_this_user_alone(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    systemd = Systemd(tmp_path)
    async with daemon_process(config, NOTIFY_SOCKET=systemd.address):
        await systemd.hears("READY=1")
        found = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
        assert found[1:]
        assert [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


@pytest.mark.asyncio
async def test_leaving_a_hub_leaves_no_task_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with running(load(write_config(tmp_path), {})):
        assert len(asyncio.all_tasks()) > len(before)
    assert asyncio.all_tasks() == before
