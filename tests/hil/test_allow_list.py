"""No order for a device that the rig file does not list leaves the test process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from hil.emulated import FOREIGN, IMAGES, LISTED, A, B
from hil.hub import AllowListClient, Hub, NotOnTheList, OrderRefused, settings
from hil.rigfile import Rig, load

from otagate.config import load as load_hub

MINE, THEIRS = f"zigbee-{LISTED:016x}", f"zigbee-{FOREIGN:016x}"


class FakeDaemon:
    """Answers as a hub does, and keeps what it was asked to do."""

    def __init__(self) -> None:
        self.ordered: list[tuple[str, Any]] = []
        self.refusal: dict[str, Any] | None = None
        self.problem: dict[str, Any] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            update = request.path.rpartition("/")[2]
            return web.json_response({"id": update, "device": MINE if update == "mine" else THEIRS})
        if self.problem is not None:
            return web.json_response(self.problem, status=self.problem["status"], content_type="application/problem+json")
        if request.path == "/api/v1/images":
            return web.json_response({"sha256": "00" * 32}, status=201)
        self.ordered.append((request.path, await request.json() if request.can_read_body else None))
        refused = [] if self.refusal is None else [{"device": MINE, "problem": self.refusal}]
        return web.json_response({"updates": [{"id": "mine"}], "refused": refused})


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDaemon]:
    fake = FakeDaemon()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "api.sock")).start()
    yield fake
    await runner.cleanup()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    for name, data in IMAGES.items():
        (tmp_path / name).write_bytes(data)
    device = {"name": "plug", "address": f"{LISTED:016x}", "images": {"a": "a.ota", "b": "b.ota"}}
    (tmp_path / "rig.yaml").write_text(json.dumps({"stick": {"type": "znp", "path": "/dev/none"}, "devices": [device]}))
    return load(tmp_path / "rig.yaml")


@pytest_asyncio.fixture
async def client(tmp_path: Path, rig: Rig, daemon: FakeDaemon) -> AsyncIterator[AllowListClient]:
    async with AllowListClient(f"unix:{tmp_path / 'api.sock'}", rig.allowed) as found:
        yield found


@pytest.mark.asyncio
async def test_a_listed_device_is_ordered_with_the_image_and_component_of_the_rig_file(client: AllowListClient, rig: Rig, daemon: FakeDaemon) -> None:
    hub = Hub(rig, client, lambda: None)
    assert await hub.order(rig.devices[0], rig.devices[0].images.b) == "mine"
    assert daemon.ordered == [("/api/v1/updates", {"devices": [MINE], "component": "0x0101", "image": "00" * 32, "allow_downgrade": False})]
    assert (rig.devices[0].images.a.version, rig.devices[0].images.b.version) == (A, B)


@pytest.mark.asyncio
async def test_a_damaged_image_and_a_cancel_that_comes_too_late_are_refusals_with_their_word(
    client: AllowListClient, rig: Rig, daemon: FakeDaemon
) -> None:
    hub = Hub(rig, client, lambda: None)
    assert await hub.cancel("mine") == {"updates": [{"id": "mine"}], "refused": []}
    assert daemon.ordered == [("/api/v1/updates/mine/cancel", None)]
    with pytest.raises(NotOnTheList):
        await hub.cancel("theirs")
    daemon.problem = {"type": "/problems/image-corrupt", "title": "The image is damaged", "status": 422, "detail": "the file is truncated"}
    with pytest.raises(OrderRefused, match="The image is damaged: the file is truncated") as damaged:
        await hub.order(rig.devices[0], rig.devices[0].images.b)
    daemon.problem = {"type": "/problems/not-cancellable", "title": "Too late", "status": 409}
    with pytest.raises(OrderRefused) as late:
        await hub.cancel("mine")
    assert (damaged.value.slug, late.value.slug) == ("image-corrupt", "not-cancellable")


@pytest.mark.asyncio
async def test_a_device_that_is_not_listed_is_never_ordered(client: AllowListClient, rig: Rig, daemon: FakeDaemon) -> None:
    hub = Hub(rig, client, lambda: None)
    stranger = rig.devices[0].model_copy(update={"address": f"{FOREIGN:016x}"})
    with pytest.raises(NotOnTheList, match=f"{THEIRS} is not in the rig file"):
        await hub.order(stranger, stranger.images.b)
    assert daemon.ordered == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (("updates",), {"devices": [MINE, THEIRS]}),
        (("updates",), {"devices": [THEIRS.upper()]}),
        (("updates", "theirs", "retry"), None),
        (("updates", "theirs", "approve"), None),
        (("updates", "theirs", "resume"), None),
        (("rollouts",), {"select": {"devices": [MINE]}}),
    ],
)
async def test_an_order_is_stopped_in_whatever_call_it_hides(
    client: AllowListClient, daemon: FakeDaemon, path: tuple[str, ...], body: dict[str, Any] | None
) -> None:
    with pytest.raises(NotOnTheList):
        await client.post(*path, body=body)
    assert daemon.ordered == []


@pytest.mark.asyncio
async def test_a_device_that_is_not_listed_is_not_made_automatic(client: AllowListClient, daemon: FakeDaemon) -> None:
    with pytest.raises(NotOnTheList):
        await client.patch("devices", THEIRS, body={"policy": {"default": "automatic"}})
    assert daemon.ordered == []


@pytest.mark.asyncio
async def test_calls_about_an_update_of_a_listed_device_pass(client: AllowListClient, daemon: FakeDaemon) -> None:
    await client.post("updates", "mine", "pause")
    await client.post("radios", "stick", "permit-join", body={"seconds": 1})
    assert [path for path, _ in daemon.ordered] == ["/api/v1/updates/mine/pause", "/api/v1/radios/stick/permit-join"]


@pytest.mark.asyncio
async def test_what_the_hub_refuses_is_told_with_its_word(client: AllowListClient, rig: Rig, daemon: FakeDaemon) -> None:
    daemon.refusal = {"type": "https://otagate.dev/problems/downgrade-refused", "title": "Older", "detail": "The release is older."}
    with pytest.raises(OrderRefused, match="Older: The release is older") as refused:
        await Hub(rig, client, lambda: None).order(rig.devices[0], rig.devices[0].images.a)
    assert refused.value.slug == "downgrade-refused"


def test_the_hub_of_a_rig_takes_nothing_by_itself_and_its_configuration_is_valid(rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "otagate.json"
    file.write_text(json.dumps(settings(rig, tmp_path / "run", tmp_path / "api.sock")))
    found = load_hub(file, {})
    assert (found.policy.default, found.policy.rules, found.sources) == ("never", (), ())
    assert found.state_dir == tmp_path / "otagate-rig-state"
    assert found.store.url == f"sqlite:///{tmp_path / 'run' / 'otagate.db'}"
