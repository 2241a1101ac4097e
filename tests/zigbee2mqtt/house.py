"""A house whose coordinator zigbee2mqtt has, and a hub of ours beside it: rig, broker, zigbee2mqtt and hub are all real but for the air."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.radios.handouts import PATH, Counter
from otagate.sessions.zigbee2mqtt import Patience
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import RADIO
from tests.mqtt.mosquitto import Ear, Mosquitto, ear
from tests.zigbee2mqtt.program import WITHIN, Zigbee2mqtt, is_up

PACE = replace(Pace.scaled(20.0), zigbee2mqtt=Patience(quiet=40.0, settle=10.0, look=2.0), zigbee2mqtt_pace=5.0)
"""zigbee2mqtt lives in real time: its sessions are given that, and everything of ours is twenty times faster."""


@dataclass(frozen=True)
class House:
    """What there is in it."""

    rig: Rig
    broker: Mosquitto
    program: Zigbee2mqtt
    folder: Path

    def orders(self, ieee: int) -> int:
        """How often zigbee2mqtt was told to update a device now."""
        return self.program.log.count(f"OTA updating '0x{ieee:016x}'")

    @asynccontextmanager
    async def hub(self, *, policy: dict[str, Any] | None = None, **radio: Any) -> AsyncIterator[Hub]:
        """A hub beside zigbee2mqtt; one after the other finds the same state."""
        settings = HubSettings.model_validate(
            {
                "state_dir": self.folder / "state",
                "policy": {"alive_for": "0d"} | (policy or {}),
                "api": {"listen": ["127.0.0.1:0"]},
                "radios": [{"name": RADIO, "type": "zigbee2mqtt", "url": self.broker.url} | radio],
            }
        )
        async with running(settings, pace=PACE) as hub:
            yield hub


@asynccontextmanager
async def house(folder: Path, devices: Sequence[DeviceSpec], images: Sequence[bytes]) -> AsyncIterator[House]:
    """A house with these devices, paired with zigbee2mqtt and interviewed by it."""
    air = AirSettings(speedup=None)
    async with (
        Mosquitto(folder) as broker,
        Rig(stack="ezsp", port="tcp", formed=False, devices=devices, images=images, air=air, announce_after=0.1) as rig,
        Zigbee2mqtt(folder / "zigbee2mqtt", broker, path=rig.path) as program,
        ear(broker) as heard,
    ):
        try:
            await is_up(heard)
            await _pair(heard, rig, len(devices))
        except TimeoutError:
            raise TimeoutError(program.log[-4_000:]) from None
        yield House(rig, broker, program, folder)


@asynccontextmanager
async def handing_out(counter: Counter) -> AsyncIterator[None]:
    """What the API does of all this, without a hub."""

    async def take(request: web.Request) -> web.Response:
        file = counter.take(request.match_info["word"])
        return web.Response(body=file.body, content_type=file.media)

    app = web.Application()
    app.router.add_get(f"{PATH}{{word}}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        counter.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
    finally:
        await runner.cleanup()


async def _pair(heard: Ear, rig: Rig, count: int) -> None:
    await heard.say("zigbee2mqtt/bridge/request/permit_join", json.dumps({"time": 250}))
    await heard.says("zigbee2mqtt/bridge/response/permit_join", lambda each: each["status"] == "ok", within=WITHIN)
    rig.start_joining()

    def interviewed(devices: list[dict[str, Any]]) -> bool:
        return sum(each["type"] != "Coordinator" and each["interview_state"] == "SUCCESSFUL" for each in devices) == count

    await heard.says("zigbee2mqtt/bridge/devices", interviewed, within=WITHIN)
