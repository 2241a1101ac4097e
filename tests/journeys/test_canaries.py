"""Every secret of a hub is a canary: whatever goes wrong with its services, none is found in what it logs, keeps, answers or prints."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog.testing
from aiohttp import web

from otagate.api.openapi import ROUTES
from otagate.assembly import reach
from otagate.config import effective, load
from otagate.daemon import Hub, Pace, running
from otagate.engine.timers import SystemClock
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.ids import ComponentId, DeviceId, RadioName
from otagate.net.http import HttpClient, Terms
from otagate.sources.index import KINDS
from otagate.sources.registry import DELEGATES, REGISTRY
from otagate.stores.sqlite import open_sqlite_file
from otagate_rig.air import AirSettings
from otagate_rig.rig import DEFAULT_NETWORK, Rig
from otagate_rig.services.index import IndexService
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FakeService
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, PACE, announced, device_id, image_of, ordered, told

BOUND = "5e1b57808711f904f5df4bad"
EMAIL = "canary-mail@aviary.example"
KEY = bytes.fromhex("c0ffeecafe5eedfacade0ddba115ca1e")
SECRETS = {
    "admin": "canary-of-the-admin-1",
    "reader": "canary-of-the-reader-2",
    "tuya": "canary-of-the-project-3",
    "zwave": "canary-of-the-service-4",
    "password": "canary-of-the-account-5",
    "token": "canaryOfTheDevice6",
    "path": "canary-of-the-receiver-7",
    "key": "canary-of-the-signature-8",
    "ntfy": "canary-of-the-phone-9",
    "broker": "canary-of-the-broker-10",
    "interlock": "canary-of-the-interlock-11",
    "line": "canary-of-the-line-12",
    "index": "canary-of-the-index-13",
}
NODE = Device(
    id=DeviceId("zwave-e1b2c3d4-12"),
    radio=RadioName("zwave0"),
    protocol="zwave",
    manufacturer_code=0x027A,
    components=(Component(id=ComponentId("0"), version="1.6"),),
    node=ZwaveNode(product_type=3, product_id=0x82),
)
FAULTS = ("refuses", "garbage", "types", "html", "hangs")
LIBRARIES = ("zigpy", "zigpy_znp", "bellows", "aiosqlite", "aiohttp", "asyncio")
"""Who speaks from `warning` on in a hub, at every level of its own."""


class Ahead:
    """The time for the limits of services, which a wait moves on without lasting."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now() + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return self._real.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self._ahead += seconds
        await asyncio.sleep(0)


def impatient(**parts: Any) -> HttpClient:
    """The hub's own client, which gives up soon and never waits for its turn."""
    clock = Ahead()
    return HttpClient(**parts | {"clock": clock, "sleep": clock.sleep, "terms": Terms(whole=0.3, stall=0.3, retries=(0.01,))})


@dataclass
class Aviary:
    """The services of every type of source, by the name of the source, and what they handed out to the hub."""

    image: bytes
    tuya: TuyaService = field(default_factory=lambda: TuyaService(secret=SECRETS["tuya"]))
    iotaap: IotaapService = field(default_factory=lambda: IotaapService(devices={BOUND: SECRETS["token"]}, email=EMAIL, password=SECRETS["password"]))
    services: dict[str, FakeService] = field(default_factory=dict)

    def __post_init__(self) -> None:
        update = ZwaveUpdate(version="1.7", product_id=0x82, files=(ZwaveFile(image=b"z-wave firmware" * 200),))
        self.iotaap.deploy(BOUND, "1.0.1", self.image)
        self.services = {
            "ledvance": LedvanceService(firmwares=[Firmware(data=self.image)]),
            "zwave-js": ZwaveService(updates=[update], api_key=SECRETS["zwave"]),
            "iotaap": self.iotaap,
            **{kind: IndexService(dialect=kind, files={"lamp.ota": self.image}) for kind in KINDS},
            **dict.fromkeys(DELEGATES, self.tuya),
        }

    def distinct(self) -> list[FakeService]:
        return list({id(each): each for each in self.services.values()}.values())

    def handed_out(self) -> set[str]:
        return {*self.tuya._tokens, *self.tuya._refresh, *self.iotaap._tokens}

    def source(self, name: str, files: Path) -> dict[str, Any]:
        url = self.services[name].url
        if name in DELEGATES:
            of_kind = {"project_id": self.tuya.project_id} if name == "tuya-illume" else {"device_ids": ["vdev1"]}
            return {"type": name, "url": url, "client_id": self.tuya.client_id, "client_secret_file": str(files / "tuya")} | of_kind
        if name == "iotaap":
            binding = {"iotaap_device": BOUND, "token_file": str(files / "token"), "device": device_id(IEEE)}
            account = {"email": EMAIL, "password_file": str(files / "password")}
            return {"type": name, "api_url": f"{url}/v1", "ota_url": f"{url}/v1", "bindings": [binding]} | account
        if name == "zwave-js":
            return {"type": name, "url": url, "api_key_file": str(files / "zwave")}
        if name == "ledvance":
            return {"type": name, "url": f"{url}/v1/zigbee"}
        return {"type": name, "url": f"{url}/{'stable' if KINDS[name].pointer else 'index'}.json?key={SECRETS['index']}"}


@asynccontextmanager
async def receiver(got: list[str]) -> AsyncIterator[str]:
    """Who is told what happens; its address is a secret."""

    async def take(request: web.Request) -> web.Response:
        got.append((await request.read()).decode())
        return web.Response(status=500 if len(got) == 1 else 204)

    app = web.Application()
    app.router.add_post(f"/{SECRETS['path']}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRETS['path']}"
    finally:
        await runner.cleanup()


def configured(folder: Path, rig: Rig, aviary: Aviary, receiver: str) -> Path:
    """The file of a hub with a secret wherever there is a place for one."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    tree = {
        "state_dir": str(folder / "state"),
        "api": {
            "listen": ["127.0.0.1:0"],
            "token_file": str(folder / "admin"),
            "tokens": [{"name": "reader", "file": str(folder / "reader"), "scopes": ["read"]}],
        },
        "radios": [
            {"name": "zigbee0", "type": rig.stack, "path": rig.path},
            {"name": "zwave0", "type": "zwave-js", "url": f"ws://127.0.0.1:9/?key={SECRETS['line']}"},
            {"name": "zwave1", "type": "zwave-js", "url": f"ws{receiver.removeprefix('http').rpartition('/')[0]}/?key={SECRETS['line']}"},
        ],
        "sources": [aviary.source(name, folder) for name in aviary.services],
        "http": {"allow_private": ["127.0.0.1"]},
        "interlocks": [{"name": "door", "url": f"http://127.0.0.1:9/{SECRETS['interlock']}?key={SECRETS['interlock']}"}],
        "policy": {"rules": [{"match": {"radio": "zwave0"}, "use": {"interlocks": ["door"]}}]},
        "mqtt": {"url": "mqtt://127.0.0.1:9", "username": "hub", "password_file": str(folder / "broker"), "home_assistant": False},
        "notify": [
            {"name": "office", "type": "webhook", "url": receiver, "secret_file": str(folder / "key"), "severity": "info"},
            {"name": "phone", "type": "ntfy", "url": receiver, "token_file": str(folder / "ntfy"), "severity": "info"},
            {"name": "topic", "type": "mqtt", "severity": "info"},
        ],
    }
    (folder / "otagate.yaml").write_text(json.dumps(tree))  # which YAML is, too
    return folder / "otagate.yaml"


@asynccontextmanager
async def calls(hub: Hub) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {SECRETS['admin']}"}
    async with aiohttp.ClientSession(hub.server.addresses[0], headers=headers) as session:
        yield session


async def everything_answered(hub: Hub, session: aiohttp.ClientSession, update: str, sources: list[str]) -> list[str]:
    """What every GET of the API answers, of every source where it is of one, and the stream of events from its beginning to now."""
    ids = {"device_id": device_id(IEEE), "update_id": update}
    said = []
    for route in ROUTES:
        if route.method != "GET" or route.path.endswith("/events"):
            continue
        for name in sources if "/sources/" in route.path else ["zigbee0"]:
            path = re.sub(r"\{(\w+)\}", lambda match, name=name: str(ids.get(match[1], name)), route.path)  # type: ignore[misc]
            async with session.get(path) as response:
                said.append(await response.text())
    last = await hub.store.facts.last_number()
    async with asyncio.timeout(60), session.get("/api/v1/events", headers={"Last-Event-ID": "0"}) as stream:
        async for line in stream.content:
            said.append(line.decode())
            if line.startswith(b"id: ") and int(line[4:]) >= last:
                break
    return said


def forms_of(secrets: set[str]) -> set[str]:
    """The secrets, and the network key in the ways in which libraries write it."""
    return secrets | {KEY.hex(), KEY.hex(":"), KEY.hex(" "), KEY[::-1].hex(":"), str(list(KEY)), repr(KEY)[2:-1]}


@pytest.mark.asyncio
async def test_no_secret_is_in_what_a_hub_logs_keeps_answers_or_prints_whatever_is_wrong_with_its_services(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in LIBRARIES:
        caplog.set_level(logging.WARNING, logger=name)
    monkeypatch.setattr(reach, "HttpClient", impatient)
    image = image_of(5_000)
    aviary = Aviary(image)
    assert set(aviary.services) == {*REGISTRY, *DELEGATES, "iotaap"}, "a new type of source brings its canaries"
    (tmp_path / "state").mkdir(mode=0o700)
    store = await open_sqlite_file(tmp_path / "state" / "otagate.db")
    async with store.transaction():
        await store.devices.put(NODE)
    await store.close()
    said: list[str] = []
    got: list[str] = []
    states: dict[str, set[str]] = {name: set() for name in aviary.services}
    rig = Rig(
        devices=[DeviceSpec(ieee=IEEE)],
        images=[image],
        air=AirSettings(speedup=None),
        network=replace(DEFAULT_NETWORK, network_key=KEY),
        announce_after=None,
    )
    with structlog.testing.capture_logs() as logs:
        async with rig, receiver(got) as address, AsyncExitStack() as services:
            for each in aviary.distinct():
                await services.enter_async_context(each.running())
            settings = load(configured(tmp_path, rig, aviary, address), {})
            printed = effective(settings)
            async with running(settings, pace=Pace.scaled(PACE)) as hub, calls(hub) as session:
                await announced(hub, rig)
                await told(hub.desk)

                async def refresh_all() -> None:
                    for name in aviary.services:
                        async with session.post(f"/api/v1/sources/{name}/refresh", json={}) as response:
                            said.append(await response.text())
                            states[name].add(json.loads(said[-1])["state"])

                for name in ("office", "phone", "topic"):
                    async with session.post(f"/api/v1/notifiers/{name}/test") as response:
                        said.append(await response.text())
                await refresh_all()
                assert {name: found for name, found in states.items() if found != {"ok"}} == {}
                update = await ordered(hub.desk)
                said += await everything_answered(hub, session, update, list(aviary.services))
                for fault in FAULTS:
                    for each in aviary.distinct():
                        each.fault = fault
                    await refresh_all()
                said += await everything_answered(hub, session, update, list(aviary.services))
                await services.aclose()
                await refresh_all()
                said += await everything_answered(hub, session, update, list(aviary.services))
                said += [repr(each) for each in await hub.store.facts.after(0, limit=10_000)]
    assert {name for name, found in states.items() if not found > {"ok"}} <= {"ikea", "sonoff", "ledvance"}, "no device of these makers; asked lately"
    assert any(SECRETS["token"] in path for _, path in aviary.iotaap.asked), "the service was shown the token"
    said += [repr(logs), *(each.getMessage() + repr(each.exc_info) for each in caplog.records if each.name != "aiohttp.access")]
    assert any("The radio zwave0 is not up" in each for each in got), "what a receiver is told is looked at"
    said += got
    handed_out = aviary.handed_out()
    assert len(handed_out) >= 3
    canaries = forms_of({*SECRETS.values(), *handed_out})
    hits = {(canary, text[:200]) for text in [*said, printed] for canary in canaries if canary in text}
    assert hits == set()
    assert not any(EMAIL in text for text in said), "which only the configuration itself may show"
