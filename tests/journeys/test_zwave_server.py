"""What stands at the address of a Z-Wave radio, or does not, is told in one sentence, and the hub goes on; no driver is needed for these."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from otagate.daemon import Hub, Pace, running
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, Journey, announced, assert_updated, ended, image_of, radio_is
from tests.journeys.hub import PACE as ZIGBEE_PACE
from tests.journeys.zwave import PACE, hub_settings
from tests.radios.test_zwave_line import greeting, server, version


async def sentence(hub: Hub) -> str:
    """What the radio tells when it is tried again."""
    return str((await radio_is(hub.desk, "retrying")).data["sentence"])


@asynccontextmanager
async def hub_at(url: str, state: Path) -> AsyncIterator[Hub]:
    async with running(hub_settings(state, url=url), pace=Pace.scaled(PACE)) as hub:
        yield hub


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_told_and_taken_when_it_comes(tmp_path: Path) -> None:
    port = free_port()

    async def talk(line: web.WebSocketResponse) -> None:
        await greeting(line)
        await line.receive()

    async with hub_at(f"ws://127.0.0.1:{port}", tmp_path / "state") as hub:
        assert await sentence(hub) == f"ws://127.0.0.1:{port}: no zwave-js-server listens there (Connection refused)"
        async with server(talk, port=port):
            up = await radio_is(hub.desk, "up")
            assert "home id e1b2c3d4" in str(up.data["sentence"])


@pytest.mark.asyncio
async def test_another_service_at_the_port_is_no_zwave_js_server(tmp_path: Path) -> None:
    async def ssh(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(ssh, "127.0.0.1", 0)
    async with listening, hub_at(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}", tmp_path / "state") as hub:
        assert "what answers there is no zwave-js-server" in await sentence(hub)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lowest", "highest", "words"), [(0, 34, "use zwave-js-server 1.35 or newer"), (51, 60, "as 1.35 to 3.10 do, or a newer otagate")]
)
async def test_a_server_of_another_time_is_told_with_the_versions_that_fit(tmp_path: Path, lowest: int, highest: int, words: str) -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await line.send_json(version(lowest, highest))
        await line.receive()

    async with server(talk) as url, hub_at(url, tmp_path / "state") as hub:
        assert words in await sentence(hub)


@pytest.mark.asyncio
async def test_a_zigbee_device_is_updated_whatever_is_wrong_with_the_zwave_server(tmp_path: Path) -> None:
    image = image_of(5_000)
    hardware = Rig(devices=(DeviceSpec(ieee=IEEE),), images=[image], air=AirSettings(speedup=None), announce_after=None)
    async with hardware as rig:
        settings = hub_settings(tmp_path / "state", url=f"ws://127.0.0.1:{free_port()}")
        zigbee = {"name": "zigbee0", "type": rig.stack, "path": rig.path}
        both = settings.model_validate(
            settings.model_dump(exclude_unset=True) | {"radios": [*settings.model_dump(exclude_unset=True)["radios"], zigbee]}
        )
        async with running(both, pace=Pace.scaled(ZIGBEE_PACE)) as hub:
            assert "no zwave-js-server listens there" in await sentence(hub)
            await announced(hub, rig)
            await hub.desk.add_image(image, file_name="firmware.ota", actor="test")
            run = Journey(hub, rig)
            update = await ended(hub.desk, await run.order())
            assert update.state == "succeeded", update.error
            assert_updated(run.device(), image)
