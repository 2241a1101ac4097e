"""The composition root: how a hub starts, what it says to systemd, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from otagate import daemon
from otagate.config import load
from otagate.daemon import running
from otagate.model.devices import Device
from otagate.model.errors import RadioUnavailable
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId
from otagate.stores import open_store


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
        """The next message with this word in it."""
        return (await self.hears_until(word))[-1]

    async def hears_until(self, word: str) -> list[str]:
        """Every message up to the next one with this word in it."""
        heard = [""]
        async with asyncio.timeout(30):
            while word not in heard[-1]:
                heard.append((await asyncio.get_running_loop().sock_recv(self._line, 4096)).decode())
        return heard[1:]


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


ORDINARY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""What the superuser runs a program with who is to look only where its owner may."""


@pytest.mark.asyncio
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes the superuser's rights away with setpriv")
@pytest.mark.parametrize(("command", "code", "says"), [
    (("run", "--config"), 78, "this user may not make or use"),
    (("check-config",), 0, "state_dir:"),
    (("doctor", "--config"), 1, "sudo otagate doctor"),
])  # fmt: skip
async def test_a_user_who_may_not_look_into_the_hubs_folder_is_told_so_in_one_line(
    tmp_path: Path, command: tuple[str, ...], code: int, says: str
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir(mode=0o700)
    config = tmp_path / "otagate.yaml"
    config.write_text(f"state_dir: {folder / 'state'}\nsources: [{{type: directory, path: {folder / 'images'}}}]\n")
    os.chown(folder, 65534, 65534)
    process = await asyncio.create_subprocess_exec(
        *ORDINARY, sys.executable, "-m", "otagate", *command, str(config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert (process.returncode, "Traceback" in said.decode(), says in said.decode()) == (code, False, True), said.decode()


@pytest.mark.asyncio
async def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    settings = load(write_config(tmp_path), {})
    async with running(settings) as hub:
        other = tmp_path / "other"
        other.mkdir()
        second = other / "otagate.yaml"
        second.write_text(f"state_dir: {tmp_path / 'state'}\napi:\n  listen: unix:{other / 'api.sock'}\n")
        async with daemon_process(second) as process:
            async with asyncio.timeout(60):
                _, errors = await process.communicate()
        assert process.returncode == 1
        assert len([line for line in errors.decode().splitlines() if line.startswith("otagate: ")]) == 1
        assert (await hub.desk.health()).ready


@pytest.mark.asyncio
async def test_a_hub_imports_nothing_for_radios_that_it_has_not() -> None:
    """On a small machine each library costs tenths of a second and megabytes."""
    needless = {
        "zigpy",
        "bellows",
        "zigpy_znp",
        "zwave_js_server",
        "aiomqtt",
        "otagate.adoption",
        "otagate.radios.zwave",
        "otagate.radios.zigbee2mqtt",
    }
    told = f"import sys, otagate.daemon; print(*{needless} & set(sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", told, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert (process.returncode, out.split()) == (0, [])


@pytest.mark.asyncio
async def test_a_hub_without_radios_stores_images_and_is_ready(tmp_path: Path) -> None:
    settings = load(write_config(tmp_path), {})
    async with running(settings), aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "api.sock"))) as client:
        async with client.get("http://localhost/readyz") as answer:
            assert answer.status == 200
        async with client.get("http://localhost/api/v1/devices") as answer:
            assert (await answer.json())["items"] == []


@pytest.mark.asyncio
async def test_a_device_whose_radio_is_not_configured_any_more_cannot_be_checked_and_that_is_said(tmp_path: Path) -> None:
    device = Device(id=DeviceId("zigbee-000d6f000a9069e7"), radio="zigbee0")
    config = write_config(tmp_path)
    async with open_store("sqlite:///otagate.db", tmp_path / "state") as store, store.transaction():
        await store.devices.put(device)
    async with running(load(config, {})) as hub:
        with pytest.raises(RadioUnavailable, match="'zigbee0' of zigbee-000d6f000a9069e7 is not configured"):
            await hub.desk.check(device.id, actor="test")


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


# --- the watchdog -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    systemd = Systemd(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    return systemd


async def expect_starved(systemd: Systemd, because: str) -> None:
    """The watchdog is fed no more, and says why."""
    await systemd.hears(f"STATUS=no sign of life from {because}")
    for _ in range(3):
        assert [each for each in await systemd.hears_until("STATUS=no sign of life") if "WATCHDOG" in each] == []


@pytest.mark.asyncio
async def test_the_watchdog_starves_while_the_store_hangs_and_is_fed_again_when_it_does_not(tmp_path: Path, watched: Systemd) -> None:
    async with running(load(write_config(tmp_path), {})) as hub:
        await watched.hears("WATCHDOG=1")
        async with hub.store.transaction():
            await expect_starved(watched, "store")
        await watched.hears("WATCHDOG=1")


@pytest.mark.asyncio
async def test_the_watchdog_is_fed_while_the_store_refuses_and_the_stick_is_missing(tmp_path: Path, watched: Systemd) -> None:
    radio = f"radios: [{{name: zigbee0, type: znp, path: {tmp_path / 'no-stick'}}}]\n"
    async with running(load(write_config(tmp_path, radio), {})) as hub:
        events = hub.desk.events(after=0)
        async with asyncio.timeout(30):
            assert [fact async for fact in _until(events, lambda fact: fact.data.get("state") == "retrying")]
        await hub.store.close()
        for _ in range(6):
            await watched.hears("WATCHDOG=1")


@pytest.mark.parametrize("task", ["radio:zigbee0", "conductor"])
@pytest.mark.asyncio
async def test_the_watchdog_starves_when_a_task_of_the_hub_has_ended(task: str, tmp_path: Path, watched: Systemd) -> None:
    radio = f"radios: [{{name: zigbee0, type: znp, path: {tmp_path / 'no-stick'}}}]\n"
    async with running(load(write_config(tmp_path, radio), {})):
        await watched.hears("WATCHDOG=1")
        next(each for each in asyncio.all_tasks() if each.get_name() == task).cancel()
        await expect_starved(watched, f"task {task}")


async def _until(facts: AsyncIterator[Fact], wanted: Callable[[Fact], bool]) -> AsyncIterator[Fact]:
    async for fact in facts:
        yield fact
        if wanted(fact):
            return


def test_what_the_daemon_is_made_of_is_no_more_looked_through_for_garbage_when_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spared: list[int] = []

    def hear(text: str) -> None:
        if text.startswith("READY"):
            spared.append(gc.get_freeze_count())
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(daemon, "notify", hear)
    try:
        asyncio.run(daemon._until_signalled(load(write_config(tmp_path), {})))
    finally:
        gc.unfreeze()
    assert spared[0] > 10_000
