"""Every failure that README.md names, met as its reader meets it: over HTTP and the command line, at a hub whose surroundings are really broken.

What can be met in a house with Zigbee devices is met here, most of it at one hub with several radios, sources and devices. What needs a Z-Wave
network, a server at its limits or a fault of ours is met by another test, which is named and must exist.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import aiohttp
import pytest

from otagate.api.problems import KINDS
from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.model.facts import Fact
from otagate.radios.attach import Pin, StateFiles
from otagate.stores.sqlite_file import APPLICATION_ID, LOCK_SUFFIX
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.services.index import IndexService
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.cli.conftest import Outcome, otagate
from tests.formats.zwave_files import zipped
from tests.journeys import readme
from tests.journeys.hub import NEW, OLD, device_id, ended, fact, image_of, radio_is, state_is, told
from tests.journeys.process import Daemon
from tests.journeys.test_networks import ANSWER, shared
from tests.journeys.test_zoo import ZOO

PACE = 100.0
WITHIN = 60.0
FIRST = 0x000D_6F00_0A90_8000
DEVICES = range(FIRST, FIRST + 12)
PLAIN, PINNED, CURRENT, STUBBORN, LOST, MUTE, OFF, AWAY, LIMITED, TWIN, BUSY, DEAF = DEVICES
MOST = 300_000
SIZE = 2_000
FOREIGN = Pin(extended_pan_id="11:22:33:44:55:66:77:88", coordinator="00:12:4b:00:00:00:00:01", key_fingerprint="0")
READER = "reader-reader-reader-reader-reader-reader"

ELSEWHERE: Mapping[str, str] = {
    "device-restarts": "engine/test_vigil.py::test_a_device_that_restarts_again_and_again_has_failed",
    "version-unprovable": "engine/test_confirmation.py::test_of_a_device_whose_kind_lies_about_its_version_nobody_can_say_what_it_runs",
    "device-mute": "engine/test_vigil.py::test_a_device_that_answers_and_reports_no_more_has_failed",
    "device-silent": "engine/test_vigil.py::test_a_device_that_is_never_heard_again_has_failed",
    "request-timeout": "api/test_server.py::test_a_body_that_does_not_arrive_is_given_up",
    "too-slow": "api/test_server.py::test_an_answer_that_takes_too_long_is_given_up",
    "shutting-down": "api/test_server.py::test_a_draining_hub_reads_but_takes_no_orders",
    "busy": "api/test_images.py::test_a_third_upload_at_once_is_told_to_come_back",
    "too-many-streams": "api/test_events.py::test_one_stream_too_many_is_told_to_come_back",
    "internal": "api/test_server.py::test_an_unexpected_error_tells_nothing_of_the_inside",
    "radio-error": "engine/test_interrogator.py::test_a_library_that_fails_in_a_way_nobody_foresaw_costs_a_check_and_not_the_hub",
    "predecessor-failed": "engine/test_jobs.py::test_a_step_whose_predecessor_ended_without_success_is_not_begun",
    "cloud-update-failed": "journeys/test_clouds.py::test_an_update_that_the_cloud_says_failed_has_failed_and_is_not_begun_again",
    # at a Z-Wave network
    "region-mismatch": "policy/test_match_zwave.py::test_a_contradiction_refuses",
    "in-use": "sessions/test_zwave.py::test_a_command_that_fails_before_anything_was_sent",
    "driver-error": "sessions/test_zwave.py::test_a_command_that_fails_before_anything_was_sent",
    "unknown-target": "sessions/test_zwave.py::test_a_command_that_fails_before_anything_was_sent",
    "not-updatable": "journeys/test_zwave.py::test_a_node_that_says_that_it_cannot_be_updated_is_taken_at_its_word",
    "button-needed": "journeys/test_zwave.py::test_a_node_that_will_not_take_it_is_told_with_its_reason",
    "battery-low": "journeys/test_zwave.py::test_a_node_that_will_not_take_it_is_told_with_its_reason",
    "cannot-pause": "journeys/test_zwave.py::test_a_transfer_is_cancelled_in_the_middle_and_can_be_ordered_again",
    "asleep": "sessions/test_zwave.py::test_a_sleeping_node_is_waited_for_as_long_as_it_sleeps",
    "device-refused": "radios/test_zwave_nodes.py::test_an_error_of_the_driver_is_silence_or_a_refusal",
    "transfer-stalled": "sessions/test_zwave.py::test_a_driver_that_hangs_is_told_to_stop_and_given_up",
    "transfer-aborted": "sessions/test_zwave.py::test_every_bad_status_of_the_command_class_has_words_and_a_way_on",
    "checksum-error": "sessions/test_zwave.py::test_every_bad_status_of_the_command_class_has_words_and_a_way_on",
    "transfer-interrupted": "sessions/test_zwave.py::test_a_driver_that_was_started_again_has_lost_it_and_it_is_tried_again",
    "activation-failed": "sessions/test_zwave.py::test_a_node_that_cannot_use_the_image_fails_with_its_reason",
    "device-gone": "sessions/test_zwave.py::test_a_node_that_is_removed_ends_it",
}
"""Problems that are met by another test."""

IN_THE_ZOO = {animal.ends.code for cage in ZOO.values() for animal in cage.animals.values() if animal.ends.code is not None}
"""Errors that an update of a device of the zoo ends with: what they say is in its row there."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A hub among broken things, and whoever asks it."""

    hub: Hub
    rig: Rig
    client: aiohttp.ClientSession
    folder: Path
    images: dict[tuple[int, int], str] = field(default_factory=dict)
    typing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def cli(self, *arguments: str) -> Outcome:
        """A command as it is typed."""
        async with self.typing:  # one at a time: its output is that of this process
            return await otagate(*arguments, "--url", self.hub.server.addresses[0], "--token-file", str(self.folder / "state" / "api-token"))

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One call."""
        async with self.client.request(method, path if path.startswith("/") else f"/api/v1/{path}", **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def order(self, *devices: int, **wishes: Any) -> Any:
        """The answer to an order."""
        ids = [device_id(each) for each in devices]
        status, answer = await self.call("POST", "updates", json={"devices": ids} | wishes)
        assert status in (200, 202), answer
        return answer

    async def ordered(self, device: int, **wishes: Any) -> str:
        """The update that an order makes."""
        answer = await self.order(device, **wishes)
        assert answer["refused"] == [], answer
        return str(answer["updates"][0]["id"])

    async def refused(self, device: int, **wishes: Any) -> tuple[int, Any]:
        """The problem that an order is refused with."""
        (refusal,) = (await self.order(device, **wishes))["refused"]
        return refusal["problem"]["status"], refusal["problem"]

    async def failed(self, update: str) -> tuple[int, Any]:
        """The problem that an update ends with."""
        await ended(self.hub.desk, update, within=WITHIN)  # type: ignore[arg-type]
        error = (await self.call("GET", f"updates/{update}"))[1]["error"]
        return error["status"], error

    async def error_of_source(self, name: str) -> Any:
        """Why a source could not be read."""
        return next(each for each in (await self.call("GET", "sources"))[1]["items"] if each["name"] == name)["error"]

    async def upload(self, data: bytes, name: str = "firmware.ota") -> tuple[int, Any]:
        """A file, sent as the form has it."""
        form = aiohttp.FormData()
        form.add_field("file", data, filename=name)
        return await self.call("POST", "images", data=form)


Meet = Callable[[House], Awaitable[tuple[int, Any]]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a problem is met, and words that its detail must have: what is wrong, where, and what to do where the user can."""

    meet: Meet
    says: tuple[str, ...]


def row(meet: Meet, *says: str) -> Row:
    return Row(meet=meet, says=says)


def calls(method: str, path: str, **options: Any) -> Meet:
    return lambda house: house.call(method, path, **options)


def of_radio(name: str) -> Meet:
    async def meet(house: House) -> tuple[int, Any]:
        """As the radio's own error, and as that of what is asked of it; between two attempts, for one that is tried again and again."""
        async with asyncio.timeout(WITHIN):
            while True:
                shown = next(each for each in (await house.call("GET", "radios"))[1]["items"] if each["name"] == name)["error"]
                asked = await house.call("POST", f"radios/{name}/permit-join", json={"seconds": 1})
                if shown is not None and shown["detail"] == asked[1]["detail"]:
                    assert shown == asked[1]
                    return asked

    return meet


def of_source(name: str) -> Meet:
    async def meet(house: House) -> tuple[int, Any]:
        """As the source's own error, once the hub has read it."""
        async with asyncio.timeout(WITHIN):
            while (error := await house.error_of_source(name)) is None:
                await asyncio.sleep(0.1)
        return error["status"], error

    return meet


async def refreshed(house: House) -> tuple[int, Any]:
    """Over the command line, which says it and fails."""
    outcome = await house.cli("sources", "--refresh", "html")
    error = await house.error_of_source("html")
    assert (outcome.code, outcome.err) == (1, f"otagate: html: {error['title']}: {error['detail']}\n"), outcome
    return error["status"], error


async def scope_missing(house: House) -> tuple[int, Any]:
    return await house.call("POST", "halt", headers={"Authorization": f"Bearer {READER}"})


async def reused(house: House) -> tuple[int, Any]:
    key = {"headers": {"Idempotency-Key": "once"}}
    await house.call("POST", "updates", json={"devices": ["zigbee-0000000000000001"]}, **key)
    return await house.call("POST", "updates", json={"devices": ["zigbee-0000000000000002"]}, **key)


async def already_updating(house: House) -> tuple[int, Any]:
    await house.ordered(BUSY, when="2099-01-01T00:00:00Z")
    return await house.refused(BUSY)


async def policy_refused(house: House) -> tuple[int, Any]:
    await house.call("PATCH", f"devices/{device_id(PINNED)}", json={"pin": OLD})
    status, problem = await house.refused(PINNED)
    assert problem["reason"] == "pinned"
    return status, problem


async def rollout_exists(house: House) -> tuple[int, Any]:
    order = {"name": "hall", "select": {"devices": [device_id(PINNED)]}, "when": "2099-01-01T00:00:00Z"}
    _, made = await house.call("POST", "rollouts", json=order)
    answer = await house.call("POST", "rollouts", json=order)
    await house.call("POST", f"rollouts/{made['id']}/cancel")
    async with asyncio.timeout(WITHIN):
        while (await house.call("GET", f"updates?rollout={made['id']}"))[1]["items"][0]["state"] != "cancelled":
            await asyncio.sleep(0.05)
    return answer


async def wrong_state(house: House) -> tuple[int, Any]:
    waiting = (await house.call("GET", f"updates?device={device_id(BUSY)}"))[1]["items"][0]["id"]
    return await house.call("POST", f"updates/{waiting}/approve")


async def device_lost_and_too_late(house: House) -> tuple[int, Any]:
    update = await house.ordered(LOST)
    await state_is(house.hub.desk, update, "activating", within=WITHIN)  # type: ignore[arg-type]
    return await house.call("POST", f"updates/{update}/cancel")


async def not_confirmed(house: House) -> tuple[int, Any]:
    update = await house.ordered(MUTE)
    await state_is(house.hub.desk, update, "activating", within=WITHIN)  # type: ignore[arg-type]
    house.rig.device(MUTE).announce()  # the last that is heard of it: it is back, and silent
    return await house.failed(update)


async def update_loop(house: House) -> tuple[int, Any]:
    for _ in range(2):
        _, problem = await house.failed(await house.ordered(STUBBORN))
        assert problem["type"].endswith(("version-unchanged", "update-loop")), problem
    return await house.refused(STUBBORN)


async def unreachable(house: House) -> tuple[int, Any]:
    house.rig.device(OFF).power_off()
    while (answer := await house.call("POST", f"devices/{device_id(OFF)}/check"))[0] == 202:
        pass
    return answer


async def not_ready(house: House) -> tuple[int, Any]:
    return await house.call("GET", "/readyz")


async def incompatible(house: House) -> tuple[int, Any]:
    return await house.refused(PLAIN, image=house.images[PINNED, NEW], force=True)


async def downgrade(house: House) -> tuple[int, Any]:
    return await house.refused(CURRENT, image=house.images[CURRENT, OLD])


ROWS: Mapping[str, Row] = {
    "malformed-request": row(calls("POST", "updates", data=b"{", headers={"Content-Type": "application/json"}), "JSON"),
    "unauthorized": row(calls("GET", "devices", headers={"Authorization": "Bearer wrong"}), "Authorization: Bearer TOKEN"),
    "scope-missing": row(scope_missing, "'operate'"),
    "origin-refused": row(calls("GET", "devices", headers={"Origin": "http://evil.example"}), "another web site"),
    "not-found": row(calls("GET", "nothing"), "no call has this path"),
    "unknown-device": row(calls("GET", "devices/zigbee-0000000000000001"), "zigbee-0000000000000001"),
    "unknown-update": row(calls("GET", "updates/u99999999"), "u99999999"),
    "unknown-image": row(calls("GET", f"images/{'0' * 64}"), "0000"),
    "unknown-rollout": row(calls("GET", "rollouts/r9"), "'r9'"),
    "nothing-to-do": row(calls("POST", "rollouts", json={"name": "none", "select": {"group": "attic"}}), "no device that this rollout is for"),
    "rollout-exists": row(rollout_exists, "'hall'", "another name"),
    "unknown-radio": row(calls("POST", "radios/attic/reattach"), "'attic'"),
    "unknown-source": row(calls("POST", "sources/attic/refresh", json={}), "'attic'"),
    "unknown-notifier": row(calls("POST", "notifiers/attic/test"), "'attic'"),
    "no-release": row(lambda house: house.refused(PLAIN, version="0x99"), "0x00000099"),
    "method-not-allowed": row(calls("DELETE", "devices"), "the method does not"),
    "body-too-large": row(calls("POST", "updates", data=b" " * 100_000, headers={"Content-Type": "application/json"}), "larger"),
    "image-too-large": row(lambda house: house.upload(image_of(MOST + 1)), str(MOST)),
    "several-images": row(lambda house: house.upload(zipped({"a.hex": b":00000001FF\n", "b.hex": b":00000001FF\n"}), "all.zip"), "a.hex", "b.hex"),
    "unsupported-media-type": row(calls("POST", "updates", data=b"x", headers={"Content-Type": "text/plain"}), "application/json", "text/plain"),
    "host-refused": row(calls("GET", "devices", headers={"Host": "evil.example"}), "api.hosts"),
    "invalid-request": row(calls("POST", "updates", json={"devices": []}), "devices"),
    "idempotency-key-reused": row(reused, "'once'", "take a new one"),
    "image-corrupt": row(lambda house: house.upload(image_of()[:-100]), "bytes"),
    "image-unusable": row(lambda house: house.upload(b"HSENC2" + b"0" * 100, "lamp.hec"), "encrypted", "give the same firmware as"),
    "incompatible-image": row(incompatible, "image type"),
    "already-updating": row(already_updating, device_id(BUSY), "has update u"),
    "already-current": row(lambda house: house.refused(CURRENT), "runs 0x01000001 already"),
    "downgrade-refused": row(downgrade, "0x01000001", "0x01000000 is older"),
    "policy-refused": row(policy_refused, "pinned to 0x01000000"),
    "update-loop": row(update_loop, "took the whole image 2 times"),
    "wrong-state": row(wrong_state, "is queued", "only a planned one"),
    "not-cancellable": row(device_lost_and_too_late, "is activating", "has the image and the order to use it"),
    "not-on-this-radio": row(calls("POST", "radios/zwave0/permit-join", json={"seconds": 1}), "Home Assistant", "zwave0"),
    "radio-unavailable": row(of_radio("gone"), "/nowhere/stick does not exist", "plugged in"),
    "radio-in-use": row(of_radio("shared"), "another program drives", "reattach"),
    "wrong-network": row(of_radio("other"), "another network"),
    "device-unreachable": row(unreachable, device_id(OFF)),
    "source-unreachable": row(of_source("away"), "127.0.0.1"),
    "source-refused": row(of_source("refusing"), "404"),
    "source-unintelligible": row(refreshed, "the index: the answer is a web page, not JSON", "a captive portal"),
    "source-misconfigured": row(of_source("account"), "check email and password_file"),
    "quota": row(of_source("limited"), "limited 127.0.0.1: the index", "until 20"),
    "not-of-this-source": row(calls("GET", "sources/away/records"), "away"),
    "not-ready": row(not_ready, "the other members say which"),
    "not-confirmed": row(not_confirmed, "version"),
}
"""Problems that are met at one hub."""

AT_A_DISK = ("store-unavailable", "store-corrupt", "store-error")
"""Problems that are met at a daemon whose disk is full or whose store is damaged."""


async def waits(house: House, device: int) -> str:
    """For what the update of a device waits, once it is told."""
    update = await house.ordered(device)
    async with asyncio.timeout(WITHIN):
        while (reason := (await house.call("GET", f"updates/{update}"))[1]["reason"]) in (None, "radio_busy", "load"):
            await asyncio.sleep(0.05)
    return str(reason)


async def shown_of_radio(house: House, name: str) -> str:
    """What `otagate radios` says of one, between two attempts to open it."""
    async with asyncio.timeout(WITHIN):
        while True:
            outcome = await house.cli("radios")
            (line,) = [line for line in outcome.out.splitlines() if line.split()[:1] == [name]]
            if "starting" not in line:
                return line


async def source_away(house: House) -> str:
    return f"{await waits(house, AWAY)}, {await waits(house, LIMITED)}"


async def contradicted(house: House) -> str:
    _, problem = await house.refused(TWIN)
    return f"{problem['reason']}: {problem['detail']}"


SEEN: Mapping[str, tuple[Callable[[House], Awaitable[str]], tuple[str, ...]]] = {
    "radio `retrying`: the path does not exist": (lambda house: shown_of_radio(house, "gone"), ("retrying", "does not exist", "plugged in")),
    "radio `retrying`: the coordinator has no network": (lambda house: shown_of_radio(house, "empty"), ("retrying", "no network", "network: form")),
    "radio `in_use`": (lambda house: shown_of_radio(house, "shared"), ("in_use", "another program drives", "reattach")),
    "radio `wrong_network`": (lambda house: shown_of_radio(house, "other"), ("wrong_network", "another network")),
    "update waits: `source_unreachable` or `quota`": (source_away, ("source_unreachable, quota",)),
    "release refused: `quarantined`": (contradicted, ("quarantined", "otagate images add FILE) and order it by its sha256")),
    "update waits: `backoff`": (lambda house: waits(house, DEAF), ("backoff",)),
}
"""What is seen that is no problem: how it comes about, and what is read of it then."""

SEEN_ELSEWHERE = {"update waits: `asleep`": "engine/test_conductor.py::test_a_sleeping_device_is_admitted_when_it_is_heard"}

SLOW = ("source-unreachable", "update-loop", "not-confirmed", "device-unreachable", "not-cancellable")
"""Problems that take their time are met while others are."""


@pytest.fixture
def specs() -> list[DeviceSpec]:
    odd: dict[int, dict[str, Any]] = {
        CURRENT: {"file_version": NEW},
        STUBBORN: {"behaviours": Behaviours(returns_with_old_version=True)},
        LOST: {"reboot_seconds": 1e6},
        MUTE: {"reboot_seconds": 1e6},
        DEAF: {"behaviours": Behaviours(ignores_notify=True)},
    }
    return [DeviceSpec(ieee=each, image_type=image_type(each), request_timeout=10.0, request_retries=20, **odd.get(each, {})) for each in DEVICES]


def image_type(device: int) -> int:
    """Each has its own, so that no row is in another's way."""
    return 0x0100 + device - FIRST


def image(device: int, version: int = NEW) -> bytes:
    return image_of(SIZE, version=version, image_type=image_type(device))


class Neighbourhood:
    """The services around a hub, each with its fault."""

    def __init__(self) -> None:
        self.faulty = {"html": IndexService(fault="html"), "limited": IndexService(fault="busy"), "refusing": IndexService(), "away": IndexService()}
        self.shops = {
            "shop": IndexService(files={"away.ota": image(AWAY)}),
            "kiosk": IndexService(files={"limited.ota": image(LIMITED)}),
            "one": IndexService(files={"twin.ota": image(TWIN)}),
            "other": IndexService(files={"twin.ota": image_of(SIZE + 1, image_type=image_type(TWIN))}),
        }
        self.iotaap = IotaapService(password="another one")

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[list[dict[str, Any]]]:
        """The configuration of the sources."""
        async with AsyncExitStack() as stack:
            urls = {name: await stack.enter_async_context(each.running()) for name, each in (self.faulty | self.shops).items()}
            account = await stack.enter_async_context(self.iotaap.running())
            paths = dict.fromkeys(urls, "/index.json") | {"refusing": "/nowhere.json"}
            urls["away"] = "http://127.0.0.1:9"
            for name in ("password", "device-token"):
                (folder / name).write_text("k3tC9xQ2m1Za")
                (folder / name).chmod(0o600)
            binding = {"iotaap_device": "5e1b57808711f904f5df4bad", "token_file": folder / "device-token", "device": device_id(PLAIN)}
            yield [
                *({"name": name, "type": "z2m-index", "url": url + paths[name]} for name, url in urls.items()),
                {"name": "account", "type": "iotaap", "api_url": f"{account}/v1", "ota_url": f"{account}/v1", "email": "operator@example.org"}
                | {"password_file": folder / "password", "bindings": [binding]},
            ]


@asynccontextmanager
async def house_of(folder: Path, specs: list[DeviceSpec]) -> AsyncIterator[tuple[House, Neighbourhood]]:
    """A hub, up, among everything that is wrong around it; every device has told what it runs."""
    around, state = Neighbourhood(), folder / "state"
    state.mkdir()
    StateFiles.of(state, "other").write_pin(FOREIGN)
    (folder / "reader").write_text(READER)
    (folder / "reader").chmod(0o600)
    air = AirSettings(speedup=None)
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(Rig(devices=specs, images=[image(each) for each in DEVICES], air=air, announce_after=None))
        other = await stack.enter_async_context(Rig(air=air))
        empty = await stack.enter_async_context(Rig(air=air, formed=False))
        _, line = await stack.enter_async_context(shared(ANSWER["znp"]))
        sources = await stack.enter_async_context(around.running(folder))
        sticks = {"zigbee0": rig.path, "gone": "/nowhere/stick", "other": other.path, "empty": empty.path, "shared": line}
        settings = HubSettings.model_validate(
            {
                "state_dir": state,
                "api": {"listen": ["127.0.0.1:0"], "tokens": [{"name": "reader", "file": folder / "reader", "scopes": ["read"]}]},
                "radios": [
                    *({"name": name, "type": "znp", "path": path, "parallel": 16} for name, path in sticks.items()),
                    {"name": "zwave0", "type": "zwave-js", "url": "ws://127.0.0.1:9"},
                ],
                "sources": sources,
                "http": {"allow_private": ["127.0.0.1"]},
                "images": {"max_bytes": MOST},
                "policy": {"retries": 1, "alive_for": "0d"},
            }
        )
        hub = await stack.enter_async_context(running(settings, pace=Pace.scaled(PACE)))
        headers = {"Authorization": f"Bearer {(state / 'api-token').read_text().strip()}"}
        client = await stack.enter_async_context(aiohttp.ClientSession(hub.server.addresses[0], headers=headers))
        house = House(hub=hub, rig=rig, client=client, folder=folder)
        await radio_is(hub.desk, "up", within=WITHIN)
        rig.announce()
        await stored(house)
        for spec in specs:
            await told(hub.desk, spec.ieee, within=WITHIN)
        for radio, state_of_it in {"gone": "retrying", "empty": "retrying", "other": "wrong_network", "shared": "in_use"}.items():
            await fact(hub.desk, partial(_tells, radio, state_of_it), within=WITHIN)
        for shop in around.shops:
            assert (await house.call("POST", f"sources/{shop}/refresh", json={}))[1]["releases"] == 1
        around.shops["shop"].fault, around.shops["kiosk"].fault = "broken", "busy"
        yield house, around


def _tells(radio: str, state: str, each: Fact) -> bool:
    return (each.subject_id, each.data.get("state")) == (radio, state)


async def stored(house: House) -> None:
    """Images by upload, but for those that a service has; one that is older too."""
    for device, version in [(CURRENT, OLD), *((each, NEW) for each in DEVICES if each not in (PLAIN, AWAY, LIMITED, TWIN))]:
        _, answer = await house.upload(image(device, version))
        house.images[device, version] = answer["sha256"]


async def seen_as(house: House, text: str) -> str | None:
    """What is wrong with what is seen; None where nothing is."""
    meet, says = SEEN[text]
    try:
        found = await meet(house)
    except (AssertionError, TimeoutError, ValueError) as error:
        return repr(error)
    return None if all(word in found for word in says) else found


async def outcome_of(house: House, slug: str) -> str | None:
    """What is wrong with what a row says; None where nothing is."""
    each = ROWS[slug]
    try:
        status, problem = await each.meet(house)
    except (AssertionError, TimeoutError, ValueError) as error:
        return repr(error)
    if (status, problem["type"]) != (KINDS[slug].status, f"/problems/{slug}"):
        return f"{status}: {problem}"
    missing = [word for word in each.says if word not in problem["detail"]]
    return f"{missing} not in {problem['detail']!r}" if missing else None


@pytest.mark.asyncio
async def test_everything_that_the_readme_says_can_go_wrong_is_met_and_told(tmp_path: Path, specs: list[DeviceSpec]) -> None:
    async with house_of(tmp_path, specs) as (house, _), asyncio.TaskGroup() as group:
        slow = {slug: group.create_task(outcome_of(house, slug)) for slug in SLOW}
        slow |= {text: group.create_task(seen_as(house, text)) for text in SEEN}
        wrong = {slug: await outcome_of(house, slug) for slug in ROWS if slug not in SLOW}
        wrong |= {slug: await task for slug, task in slow.items()}
    told = "\n".join(f"{what}: {why}" for what, why in wrong.items() if why is not None)
    assert not told, told


def test_every_problem_is_in_the_readme_and_every_one_there_can_be_met() -> None:
    named = [slug for title in ("problem", "error") for each in readme.table(title) for slug in readme.words(each[0])]
    assert sorted(named) == sorted(KINDS)
    met = [*ROWS, *ELSEWHERE, *AT_A_DISK, *sorted(IN_THE_ZOO - ROWS.keys() - ELSEWHERE.keys())]
    assert sorted(met) == sorted(KINDS)


def test_everything_that_the_readme_says_one_may_see_is_seen() -> None:
    ended_as = {f"update `failed`: `{slug}`" for slug in ("version-unchanged", "image-rejected-by-device")} | {"refused: `incompatible-image`"}
    assert {each[0] for each in readme.table("you see")} == {*SEEN, *SEEN_ELSEWHERE, *ended_as}


def test_every_test_that_meets_a_problem_elsewhere_exists() -> None:
    assert [test for test in sorted({*ELSEWHERE.values(), *SEEN_ELSEWHERE.values()}) if not readme.exists(test)] == []


# --- the disk -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_full_disk_and_a_damaged_store_are_told_while_the_hub_goes_on(tmp_path: Path) -> None:
    async with Daemon(tmp_path, None) as daemon:
        told = await daemon.upload(image(PLAIN))
        with daemon.files_of_at_most(500_000):
            status, problem = await daemon.problem("POST", "/images", data=form_of(image_of(600_000)))
            assert (status, problem["type"]) == (503, "/problems/store-unavailable")
            assert str(daemon.state / "images") in problem["detail"]
            assert (await daemon.get("/images"))["items"][0]["sha256"] == told["sha256"]
        await daemon.upload(image_of(600_000))
        await daemon.stop()
        with sqlite3.connect(daemon.state / "otagate.db") as database:
            database.execute("""UPDATE facts SET document = '{"subject": "hub", "subject_id": "hub"}' WHERE number = 1""")
            database.execute("ALTER TABLE receipts RENAME TO lost")
        database.close()
        await daemon.start()
        status, problem = await daemon.problem("GET", "/journal")
        assert (status, problem["type"]) == (500, "/problems/store-corrupt")
        assert "a stored fact cannot be read" in problem["detail"]
        order = {"json": {"devices": ["zigbee-0000000000000001"]}, "headers": {"Idempotency-Key": "1"}}
        status, problem = await daemon.problem("POST", "/updates", **order)
        assert (status, problem["type"]) == (503, "/problems/store-error")
        assert f"{daemon.state / 'otagate.db'}: no such table: receipts" in problem["detail"]


def form_of(data: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", data, filename="firmware.ota")
    return form


# --- the start ----------------------------------------------------------------------------------------------------------------------------------


def _misspelt(folder: Path) -> str:
    return "radioes: []\n"


def _no_port(folder: Path) -> str:
    return "api: {listen: '192.0.2.1:8377'}\n"


def _damaged(folder: Path) -> str:
    (folder / "state" / "otagate.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    return ""


def _newer(folder: Path) -> str:
    with sqlite3.connect(folder / "state" / "otagate.db") as database:
        database.execute("CREATE TABLE updates (id TEXT)")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("PRAGMA user_version = 999")
    database.close()
    return ""


def _held(folder: Path) -> str:
    lock = (folder / "state" / f"otagate.db{LOCK_SUFFIX}").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    HELD.append(lock)
    return ""


HELD: list[TextIO] = []

STARTS: Mapping[str, tuple[Callable[[Path], str], int, tuple[str, ...]]] = {
    "`FILE:LINE:COLUMN: KEY: …`": (_misspelt, 78, ("otagate.yaml:2:1: radioes: ",)),
    "`api.listen: cannot listen on …`": (_no_port, 78, ("api.listen: cannot listen on", "192.0.2.1:8377")),
    "`… is damaged …`": (_damaged, 1, ("otagate.db is damaged", "put the newest copy from the folder backups")),
    "`… was written by a newer otagate …`": (_newer, 1, ("its schema is 999", "install the newer otagate again")),
    "`two daemons on one store: …`": (_held, 1, ("two daemons on one store", "stop that one, or give this one a state_dir of its own")),
}
"""What keeps a hub from starting: how that comes about, the exit code, and what it says."""


async def start_of(folder: Path, spoil: Callable[[Path], str]) -> tuple[int | None, str]:
    """How `otagate run` ends."""
    (folder / "state").mkdir(parents=True)
    (folder / "otagate.yaml").write_text(f"state_dir: {folder / 'state'}\n{spoil(folder)}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "otagate", "run", "--config", str(folder / "otagate.yaml"),
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(WITHIN):
        _, said = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.asyncio
async def test_what_keeps_a_hub_from_starting_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        starts = {text: group.create_task(start_of(tmp_path / str(number), spoil)) for number, (text, (spoil, _, _)) in enumerate(STARTS.items())}
    ends = {text: task.result() for text, task in starts.items()}
    wrong = {text: end for text, end in ends.items() if end[0] != STARTS[text][1] or not all(word in end[1] for word in STARTS[text][2])}
    assert wrong == {}
    assert {(each[0], each[1]) for each in readme.table("`otagate run` says")} == {(text, str(code)) for text, (_, code, _) in STARTS.items()}
