"""The mirror as other programs see it: zigpy's and herdsman's own readers of indexes read it, and fetch what it names."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from zigpy.ota.providers import RemoteZ2MProvider, RemoteZigpyProvider

from otagate.mirror.server import FRESH, Mirror, Unreachable, serving
from otagate_rig.image import build_image
from tests.journeys.herdsman import installed
from tests.mirror.test_selection import IMAGE, RELEASE

DATA = build_image(0x1189, 0x0083, 20, payload=bytes(range(256)) * 40)
SHA = hashlib.sha256(DATA).hexdigest()
READ_BY_HERDSMAN = """
const {createRequire} = require("node:module");
const ota = createRequire(process.argv[1] + "/x.js")("./node_modules/zigbee-herdsman/dist/controller/helpers/ota.js");
(async () => {
    const [entry] = await ota.getOtaIndex({url: process.argv[2]});
    const file = await ota.getOtaFirmware(entry.url, entry.sha512);
    const {header} = ota.parseOtaImage(file);
    console.log(JSON.stringify({entry, version: header.fileVersion, size: file.length}));
})();
"""


class _Hub:
    """Stands in for the hub's API, whose documents the journey of the command line reads from a real one."""

    def __init__(self) -> None:
        self.decision = "allow"
        self.away = False
        self.asked = 0

    async def documents(self, kind: str) -> list[dict[str, Any]]:
        if self.away:
            raise Unreachable("the daemon is not there")
        self.asked += kind == "devices"
        device = {"id": "a", "model": "Lamp", "manufacturer": "Maker", "components": [{"id": "0083", "version": 10}]}
        image = IMAGE | {"sha256": SHA, "bytes": len(DATA)}
        return {"devices": [device], "images": [image], "updates": []}[kind]

    async def releases(self, device: str) -> list[dict[str, Any]]:
        return [{"component": "0083", "release": RELEASE | {"digests": {"sha256": SHA}}, "verdict": {"decision": self.decision}}]

    async def content(self, sha256: str) -> AsyncIterator[bytes]:
        assert sha256 == SHA
        for start in range(0, len(DATA), 4_096):
            yield DATA[start : start + 4_096]


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Street:
    """A mirror that is open, and a client in front of it."""

    def __init__(self) -> None:
        self.hub, self.clock = _Hub(), _Clock()
        self.mirror = Mirror(hub=self.hub, address="", clock=self.clock)

    async def __aenter__(self) -> _Street:
        self._open = serving(self.mirror, host="127.0.0.1", port=0)
        self.mirror.address = f"http://{await self._open.__aenter__()}"
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self._open.__aexit__(None, None, None)

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.session.get(self.mirror.address + path) as answer:
            return answer.status, await answer.read()


@pytest.mark.asyncio
@pytest.mark.parametrize(("provider", "dialect"), [(RemoteZigpyProvider, "zigpy"), (RemoteZ2MProvider, "zigbee2mqtt")])
async def test_zigpy_reads_both_indexes_and_fetches_what_they_name(provider: Any, dialect: str) -> None:
    async with _Street() as it:
        (found,) = [each async for each in provider(url=f"{it.mirror.address}/{dialect}/index.json")._load_index(it.session)]
        assert (found.manufacturer_id, found.image_type, found.file_version, found.file_size) == (0x1189, 0x0083, 20, len(DATA))
        assert (found.model_names, found.manufacturer_names) == (("Lamp",), ("Maker",))
        assert (found.min_hardware_version, found.max_hardware_version, found.changelog) == (1, 3, "brighter")
        assert (await found.replace(ssl_ctx=None).fetch()).serialize() == DATA


@pytest.mark.asyncio
async def test_herdsman_reads_the_index_and_fetches_what_it_names() -> None:
    program: Path = installed()
    async with _Street() as it:
        url = f"{it.mirror.address}/zigbee2mqtt/index.json"
        process = await asyncio.create_subprocess_exec(
            "node", "-e", READ_BY_HERDSMAN, str(program), url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told = json.loads(out.splitlines()[-1])  # before it, what herdsman logs
    assert (told["version"], told["size"], told["entry"]["modelId"]) == (20, len(DATA), "Lamp")


@pytest.mark.asyncio
async def test_what_policy_takes_back_is_gone_from_index_and_files_when_the_selection_is_old() -> None:
    async with _Street() as it:
        assert await it.get(f"/images/{SHA}.ota") == (200, DATA)
        it.hub.decision = "refuse"
        it.clock.now = FRESH
        assert await it.get("/zigbee2mqtt/index.json") == (200, b"[]")
        assert (await it.get(f"/images/{SHA}.ota"))[0] == 404


@pytest.mark.asyncio
async def test_many_readers_cost_the_hub_one_look() -> None:
    async with _Street() as it, asyncio.TaskGroup() as group:
        readers = [group.create_task(it.get("/zigpy/index.json")) for _ in range(20)]
        assert {(await each)[0] for each in readers} == {200}
        assert it.hub.asked == 1


@pytest.mark.asyncio
async def test_a_hub_that_is_away_offers_nothing_and_says_so() -> None:
    async with _Street() as it:
        await it.get("/zigpy/index.json")
        it.hub.away = True
        it.clock.now = FRESH
        assert await it.get("/zigpy/index.json") == (503, b"the daemon is not there\n")
        assert (await it.get(f"/images/{SHA}.ota"))[0] == 503


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/other/index.json", f"/images/{'0' * 64}.ota", "/images/x.ota", "/images/../../etc/passwd", f"/images/{SHA}"])
async def test_nothing_else_is_there(path: str) -> None:
    async with _Street() as it:
        assert (await it.get(path))[0] == 404
