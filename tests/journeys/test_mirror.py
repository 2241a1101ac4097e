"""A hub, its policy, and the mirror that offers to others what that allows."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, OTHER_IEEE, WITHIN, announced, hub_on, image_of, told


@pytest.mark.asyncio
async def test_what_policy_allows_is_offered_by_the_command_in_another_programs_format(tmp_path: Path) -> None:
    image = image_of(5_000)
    devices = [DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE)]
    async with (
        Rig(stack="znp", port="pty", devices=devices, images=[image], air=AirSettings(speedup=None), announce_after=None) as rig,
        hub_on(rig, tmp_path / "state", policy={"default": "automatic"}) as hub,
        aiohttp.ClientSession() as session,
    ):
        await announced(hub, rig)
        for each in devices:
            await told(hub.desk, each.ieee)
        await hub.desk.halt(actor="test")  # or the hub would do it all by itself
        stored = await hub.desk.add_image(image, file_name="lamp.ota", actor="test")
        url = next(each for each in hub.server.addresses if each.startswith("http"))
        token = tmp_path / "state" / "api-token"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "--json", "mirror", "serve", "--listen", "127.0.0.1:0", "--address", "http://hub.local:8380/",
            "--url", url, "--token-file", str(token), env=os.environ, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            async with asyncio.timeout(WITHIN):
                heard = json.loads(await process.stdout.readline())
            assert heard["zigbee2mqtt"] == "http://hub.local:8380/zigbee2mqtt/index.json"
            async with session.get(f"http://{heard['listening']}/zigbee2mqtt/index.json") as answer:
                (entry,) = await answer.json()
            assert (entry["modelId"], entry["url"]) == (devices[0].model, f"http://hub.local:8380/images/{stored.sha256}.ota")
            async with session.get(f"http://{heard['listening']}/images/{stored.sha256}.ota") as answer:
                assert await answer.read() == image
        finally:
            process.kill()
            await process.wait()
