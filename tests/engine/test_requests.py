"""What a hundred devices cost a service: counted at the strict fakes of it, through the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from otagate.engine.journal import Journal
from otagate.engine.offers import ServiceFeed
from otagate.engine.quotas import StoredQuotas
from otagate.engine.registry import Registry
from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.ids import RadioName, zigbee_component_id, zigbee_device_id, zwave_component_id, zwave_device_id
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient
from otagate.sources.records import RecordQuery
from otagate.sources.registry import REGISTRY, Terms
from otagate.stores.memory import MemoryStore
from otagate_rig.image import build_image, make_payload
from otagate_rig.services.index import IndexService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FakeService
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate

RADIO = RadioName("radio0")
MAKER, OLD, NEW = 0x1189, 0x01000000, 0x01000001


def lamp(number: int, image_type: int) -> Device:
    component = Component(id=zigbee_component_id(image_type), version=OLD, manufacturer_code=MAKER, image_type=image_type)
    return Device(id=zigbee_device_id(number), radio=RADIO, manufacturer_code=MAKER, components=(component,))


def node(number: int, product: int) -> Device:
    facts = ZwaveNode(product_type=3, product_id=product)
    component = Component(id=zwave_component_id(0), version="1.6")
    return Device(id=zwave_device_id(1, number), radio=RADIO, protocol="zwave", manufacturer_code=0x027A, node=facts, components=(component,))


def image(image_type: int) -> bytes:
    return build_image(MAKER, image_type, NEW, payload=make_payload(100, 1))


@asynccontextmanager
async def asking(kind: str, service: FakeService, path: str, devices: list[Device], directory: Path) -> AsyncIterator[ServiceFeed]:
    """A source that was never asked, in a hub with these devices."""
    clock, store = SystemClock(), MemoryStore()
    registry = Registry(store, Journal(store, clock), clock)
    for each in devices:
        await registry.found(each)
    cache = DiskImageCache(directory / "images")
    client = HttpClient(cache=cache, quotas=StoredQuotas(store), clock=clock, answers=directory / "answers", allow_private=["127.0.0.1"])
    async with service.running() as url, client:
        source = REGISTRY[kind](Terms(name=kind, url=url + path))
        yield ServiceFeed(source=source, type=kind, registry=registry, talks=Talks(client), clock=clock)


@pytest.mark.asyncio
async def test_a_hundred_devices_cost_one_fetch_of_an_index_and_later_one_answer_that_nothing_has_changed(tmp_path: Path) -> None:
    service = IndexService(files={f"{number}.ota": image(number) for number in range(1, 11)})
    devices = [lamp(number, number % 10 + 1) for number in range(100)]
    async with asking("z2m-index", service, "/index.json", devices, tmp_path) as feed:
        assert await feed.read()
        assert sum(bool(feed.releases_for(each, each.components[0])) for each in devices) == 100
        assert not any(feed.wonders_about(each) for each in devices)
        for _ in range(3):
            assert not await feed.read()
        assert ([path for _, path in service.asked], service.unchanged) == (["/index.json"] * 4, 3)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "make", "batch", "most"),
    [("ledvance", lamp, 50, 120), ("zwave-js", node, 100, 120), ("ledvance", lamp, 50, 50), ("zwave-js", node, 100, 100)],
)
async def test_kinds_of_component_are_asked_about_in_batches_and_equal_ones_once(
    tmp_path: Path, kind: str, make: Callable[[int, int], Device], batch: int, most: int
) -> None:
    service: FakeService = LedvanceService(firmwares=[Firmware(data=image(7))])
    path = "/v1/zigbee"
    if kind == "zwave-js":
        path, service = "", ZwaveService(updates=[ZwaveUpdate(version="1.7", product_id=7, files=(ZwaveFile(image=b"x" * 100),))])
    devices = [make(number + 1, number % most + 1) for number in range(3 * most)]
    async with asking(kind, service, path, devices, tmp_path) as feed:
        assert await feed.read()
        assert len(service.asked) == -(-most // batch)
        offered = [each for each in devices if feed.releases_for(each, each.components[0])]
        assert len(offered) == 3  # the kind that there is something newer for, three times


@pytest.mark.asyncio
async def test_products_are_read_from_the_service_and_a_second_page_costs_no_body(tmp_path: Path) -> None:
    service = LedvanceService(firmwares=[Firmware(data=image(number)) for number in range(3)])
    async with asking("ledvance", service, "/v1/zigbee", [], tmp_path) as feed:
        assert feed.recorder is not None
        recorder = feed.recorder
        pages = [await feed.talks.hold(recorder.service, recorder.records(RecordQuery(limit=2, offset=offset))) for offset in (0, 2)]
        assert [each.details["product"] for page in pages for each in page.items] == [0, 1, 2]
        assert service.unchanged == 1
        details = await feed.talks.hold(recorder.service, recorder.records(RecordQuery(filters={"list": "details"})))
        assert [(each.name, each.version) for each in details.items][:2] == [("Without firmware", None), ("Product 0", "0x01000001")]
