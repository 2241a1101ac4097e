"""A stick that another program has: borrowed from a real zigbee-herdsman for an update, and given back to it, over the death of the hub too."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pytest
from zigpy.application import ControllerApplication

from otagate.daemon import Pace, running
from otagate.policy.lease import Terms
from otagate_rig.air import AirSettings
from otagate_rig.ezsp import EzspNcp
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import DeviceSpec
from tests.journeys.herdsman import Herdsman, installed, write_configuration
from tests.journeys.hub import (
    IEEE,
    OTHER_IEEE,
    PACE,
    RADIO,
    assert_updated,
    device_id,
    ended,
    hub_settings,
    image_of,
    last_number,
    ordered,
    radio_is,
    reached,
    told,
)
from tests.journeys.process import Daemon, assert_gapless, assert_legal
from tests.journeys.test_adopted import Interviews, adopt, eui64, write_registries, zigpy_on

WITHIN = 120.0
NAMES = {IEEE: "lamp", OTHER_IEEE: "other lamp"}
LATER_IEEE = 0x000D6F000A9069EA
TERMS = replace(Terms().scaled(PACE), idle=1.0, called=6.0, again=0.5, down=60.0, look=0.2)
TELL = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(sys.argv[2].encode())
line.shutdown(socket.SHUT_WR)
sys.exit(line.recv(16) != b"done")
"""


class Neighbour:
    """The program whose stick it is: a herdsman that runs, but while the stick is lent. `history` is what became of it."""

    owner, word = "zigbee2mqtt", "z2m"

    def __init__(self, rig: Rig, data: Path, *, made: Callable[[], Herdsman | _Zigpy], address: str) -> None:
        self._made = made
        self.data = data
        self._address = address
        self._orders = asyncio.Lock()
        self._news = asyncio.Condition()
        self._ncp = rig.ncp
        self._written: int | None = None
        self.herdsman: Herdsman | _Zigpy | None = None
        self.history: list[str] = []

    @property
    def hand_over(self) -> dict[str, Any]:
        """What a radio's configuration says of it."""
        words = [sys.executable, "-S", "-E", "-c", TELL, self._address]
        adopt = {"from": self.word, "path": str(self.data)}
        return {"take": [*words, "stop"], "give_back": [*words, "start"], "to": self.owner, "max_minutes": 30, "adopt": adopt}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order of the hub."""
        word = (await reader.read(16)).decode()
        await (self.start() if word == "start" else self.stop())
        writer.write(b"done")
        writer.close()

    async def start(self) -> None:
        """As systemd would; one that runs is left alone."""
        async with self._orders:
            if self.herdsman is None:
                assert self._written in (None, self._writes()), "something was written to a stick that is not ours"
                herdsman = await self._made().__aenter__()
                await self._became(await herdsman.start())
                self.herdsman = herdsman

    async def stop(self) -> None:
        """Likewise."""
        async with self._orders:
            herdsman, self.herdsman = self.herdsman, None
            if herdsman is not None:
                await herdsman.stop()
                self._written = self._writes()
                await self._became("stopped")

    def _writes(self) -> int:
        counters = self._ncp.counters
        memory = counters.token_writes if isinstance(self._ncp, EzspNcp) else counters.nvram_writes
        return memory + counters.network_settings_writes + counters.formations

    async def _became(self, word: str) -> None:
        async with self._news:
            self.history.append(word)
            self._news.notify_all()

    async def happened(self, count: int) -> None:
        """Wait until so much has become of it."""
        async with asyncio.timeout(WITHIN), self._news:
            await self._news.wait_for(lambda: len(self.history) >= count)

    async def lets_join(self, rig: Rig, *devices: int) -> None:
        """Devices join, the first ones since it was started, and are interviewed."""
        async with self._orders:
            assert self.herdsman is not None
            await self.herdsman.ask("permit", seconds=200)
            for ieee in devices:
                rig.start_joining(ieee)
            await self.herdsman.interviews(len(devices))

    async def assert_all_readable(self, rig: Rig) -> None:
        """It runs, and every device answers it."""
        async with self._orders:
            assert self.herdsman is not None
            for ieee, device in rig.devices.items():
                assert device.identity is None or await self.herdsman.read_model(ieee) == {
                    "modelId": device.spec.model,
                    "swBuildId": f"{device.file_version:08x}",
                }


@asynccontextmanager
async def _neighbour(tmp_path: Path, rig: Rig, adapter: str) -> AsyncIterator[Neighbour]:
    """Has formed the network on the rig, and is adopted; it runs."""
    program, data = installed(), tmp_path / "zigbee2mqtt"
    with TemporaryDirectory(prefix="otagate-") as folder:
        made = partial(Herdsman, program, data, path=rig.path, adapter=adapter)
        neighbour = Neighbour(rig, data, made=made, address=f"{folder}/orders")
        async with await asyncio.start_unix_server(neighbour.serve, f"{folder}/orders"):
            await neighbour.start()
            await neighbour.lets_join(rig, *NAMES)
            await neighbour.stop()
            write_configuration(data, devices=NAMES, groups={})
            await adopt(tmp_path, rig, str(data), "--from", "z2m")
            await neighbour.start()
            assert neighbour.history == ["reset", "stopped", "resumed"]
            try:
                yield neighbour
            finally:
                await neighbour.stop()


def _devices(**changes: Any) -> list[DeviceSpec]:
    return [DeviceSpec(ieee=IEEE, **changes), DeviceSpec(ieee=OTHER_IEEE, model="Lamp", image_type=0x0084)]


@pytest.mark.asyncio
async def test_the_stick_is_borrowed_for_an_update_and_its_owner_finds_its_network_as_it_was(tmp_path: Path) -> None:
    image, air = image_of(5_000), AirSettings(speedup=None)
    devices = [*_devices(), DeviceSpec(ieee=LATER_IEEE, model="Plug", image_type=0x0085)]
    async with (
        Rig(stack="znp", port="tcp", formed=False, devices=devices, images=[image], air=air, announce_after=0.1) as rig,
        _neighbour(tmp_path, rig, "zstack") as neighbour,
    ):
        settings = hub_settings(tmp_path / "state", rig.path, hand_over=neighbour.hand_over)
        async with running(settings, pace=replace(Pace.scaled(PACE), lease=TERMS)) as hub:
            lent = await radio_is(hub.desk, "lent")
            assert "zigbee2mqtt has the stick: devices cannot be updated now" in str(lent.data["sentence"])
            assert neighbour.history[3:] == []
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
            await hub.desk.reattach(RADIO, actor="test")  # nobody knows yet what the devices run
            up = await radio_is(hub.desk, "up")
            assert "zigbee2mqtt cannot control its lamps meanwhile" in str(up.data["sentence"])
            assert [each.borrowed_from for each in hub.desk.radios()] == ["zigbee2mqtt"]
            for ieee in NAMES:
                await told(hub.desk, ieee)
            await radio_is(hub.desk, "lent", after=up.number)
            assert [each.borrowed_from for each in hub.desk.radios()] == [None]
            assert neighbour.history[3:] == ["stopped", "resumed"]
            await neighbour.assert_all_readable(rig)

            await neighbour.lets_join(rig, LATER_IEEE)
            write_configuration(neighbour.data, devices={**NAMES, OTHER_IEEE: "renamed", LATER_IEEE: "came later"}, groups={})
            before = rig.ncp.network, {ieee: device.nwk for ieee, device in rig.devices.items()}
            now = await last_number(hub)
            update = await ended(hub.desk, await ordered(hub.desk))
            assert update.state == "succeeded", update.error
            await radio_is(hub.desk, "lent", after=now)
            assert neighbour.history[5:] == ["stopped", "resumed"]
            assert {each.device.name for each in (await hub.desk.devices()).items} == {"lamp", "renamed", "came later"}
            assert (await hub.desk.device(device_id(LATER_IEEE))).device.components[0].version == rig.device(LATER_IEEE).file_version
        assert neighbour.history[7:] == []
        assert_updated(rig.device(IEEE), image)
        await neighbour.assert_all_readable(rig)
        assert (rig.ncp.network, {ieee: device.nwk for ieee, device in rig.devices.items()}) == before
        assert [device.violations for device in rig.devices.values()] == [[], [], []]


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "adapter"), [("znp", "zstack"), pytest.param("ezsp", "ember", marks=pytest.mark.night)])
async def test_a_hub_that_is_killed_with_a_borrowed_stick_gives_it_back_first_and_resumes_when_it_has_it_again(
    tmp_path: Path, stack: Stack, adapter: str
) -> None:
    image, air, lease = image_of(60_000), AirSettings(speedup=None, timers=5), tmp_path / "state" / f"zigbee-{RADIO}.lease.json"
    made = Rig(
        stack=stack, port="tcp", formed=False, devices=_devices(request_retries=200, reboot_seconds=2.0), images=[image], air=air, announce_after=0.1
    )
    async with made as rig, _neighbour(tmp_path, rig, adapter) as neighbour:
        radio = {"name": RADIO, "type": stack, "path": rig.path, "air_share": 100, "hand_over": neighbour.hand_over}
        async with Daemon(tmp_path, rig.path, stack=stack, more={"radios": [radio]}) as daemon:
            await daemon.told("radio", state="lent")
            await daemon.upload(image)
            await daemon.post(f"/radios/{RADIO}/reattach")
            await daemon.told("device", kind="interrogated", id=device_id(IEEE))
            result = await daemon.post("/updates", devices=[device_id(IEEE)])
            assert result["refused"] == []
            await reached(rig.device(IEEE), 0.3)
            await daemon.kill()
            assert lease.exists()
            assert neighbour.history[3:] == ["stopped"]

            await daemon.start()
            await neighbour.happened(5)
            assert neighbour.history[3:] == ["stopped", "resumed"]
            await neighbour.assert_all_readable(rig)
            blocks = rig.device(IEEE).counters.blocks

            await daemon.post(f"/radios/{RADIO}/reattach")
            update = str(result["updates"][0]["id"])
            await daemon.told("update", id=update, state="succeeded")
            assert await daemon.stop() == 0
            assert not lease.exists()
            assert neighbour.history[5:] == ["stopped", "resumed"]
        await neighbour.assert_all_readable(rig)
        assert_updated(rig.device(IEEE), image)
        assert rig.device(IEEE).counters.blocks - blocks < blocks * 3, "it began anew"
        assert "went back" not in daemon.log, "the frame counter of the network"
        facts = await daemon.journal()
        assert_gapless(facts)
        assert_legal(facts, update)


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "adapter"), [("znp", "zstack"), ("ezsp", "ember")])
async def test_a_device_in_mid_transfer_is_told_to_wait_before_the_stick_goes_back_and_goes_on_in_the_next_loan(
    tmp_path: Path, stack: Stack, adapter: str
) -> None:
    image, air = image_of(60_000), AirSettings(speedup=None)
    made = Rig(stack=stack, port="tcp", formed=False, devices=_devices(request_retries=200), images=[image], air=air, announce_after=0.1)
    async with made as rig, _neighbour(tmp_path, rig, adapter) as neighbour:
        settings = hub_settings(tmp_path / "state", rig.path, type=stack, hand_over=neighbour.hand_over)
        pace, lamp = replace(Pace.scaled(PACE), lease=TERMS), rig.device(IEEE)
        async with running(settings, pace=pace) as hub:
            await radio_is(hub.desk, "lent")
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
            await hub.desk.reattach(RADIO, actor="test")
            await told(hub.desk)
            update = await ordered(hub.desk)
            await reached(lamp, 0.3)
        assert neighbour.history[3:] == ["stopped", "resumed"]
        assert lamp.counters.waits > 0
        await neighbour.assert_all_readable(rig)
        async with running(settings, pace=pace) as hub:
            await hub.desk.reattach(RADIO, actor="test")
            result = await ended(hub.desk, update)
            assert result.state == "succeeded", result.error
        assert (lamp.counters.aborts, lamp.counters.downloads_completed) == (0, 1)
        assert lamp.counters.bytes_again == 0
        assert_updated(lamp, image)


class _Zigpy:
    """zigpy on the same footing as herdsman: one life of it on the coordinator, with ZHA's database."""

    def __init__(self, rig: Rig, database: Path) -> None:
        self._opened = zigpy_on(rig.stack, rig.path, database)
        self.app: ControllerApplication

    async def __aenter__(self) -> Self:
        self.app = await self._opened.__aenter__()
        return self

    async def start(self) -> str:
        """It has started when it is entered; zigpy forms nothing where there is a network."""
        return "resumed"

    async def stop(self) -> None:
        await self._opened.__aexit__(None, None, None)

    async def read_model(self, ieee: int) -> dict[str, Any]:
        basic = self.app.devices[eui64(ieee)].endpoints[1].in_clusters[0]
        answer, _ = await basic.read_attributes(["model", "sw_build_id"], allow_cache=False)
        return {"modelId": answer["model"], "swBuildId": answer["sw_build_id"]}


@pytest.mark.asyncio
async def test_a_stick_is_borrowed_from_zha_whose_devices_are_known_from_the_first_loan_on(tmp_path: Path) -> None:
    home, image, air = tmp_path / "home", image_of(5_000), AirSettings(speedup=None)
    home.mkdir()
    async with Rig(stack="znp", port="pty", formed=False, devices=_devices(), images=[image], air=air, announce_after=0.1) as rig:
        async with zigpy_on("znp", rig.path, home / "zigbee.db") as app:
            interviews = Interviews(app, NAMES)
            await app.permit(200)
            rig.start_joining()
            await interviews.wait()
            await app.backups.create_backup()
        write_registries(home, NAMES)
        with TemporaryDirectory(prefix="otagate-") as folder:
            neighbour = Neighbour(rig, home / "zigbee.db", made=lambda: _Zigpy(rig, home / "zigbee.db"), address=f"{folder}/orders")
            neighbour.owner, neighbour.word = "Home Assistant", "zha"
            settings = hub_settings(tmp_path / "state", rig.path, hand_over=neighbour.hand_over)
            async with await asyncio.start_unix_server(neighbour.serve, f"{folder}/orders"):
                await neighbour.start()
                async with running(settings, pace=replace(Pace.scaled(PACE), lease=TERMS)) as hub:
                    await radio_is(hub.desk, "lent")
                    await hub.desk.add_image(image, file_name="x.ota", actor="test")
                    await hub.desk.reattach(RADIO, actor="test")
                    up = await radio_is(hub.desk, "up")
                    assert "Home Assistant cannot control its lamps meanwhile" in str(up.data["sentence"])
                    assert {each.device.name for each in (await hub.desk.devices()).items} == set(NAMES.values())
                    await told(hub.desk)
                    update = await ended(hub.desk, await ordered(hub.desk))
                    assert update.state == "succeeded", update.error
                    await radio_is(hub.desk, "lent", after=up.number)
                await neighbour.assert_all_readable(rig)
                await neighbour.stop()
        assert_updated(rig.device(IEEE), image)
        assert [device.violations for device in rig.devices.values()] == [[], []]
