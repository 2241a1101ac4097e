"""The rig in its own process: what a test or a demonstration steers over its standard input and output."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otagate_rig.control import BadScenarioError, build_rig
from otagate_rig.image import build_image, make_payload
from otagate_rig.spec import DeviceSpec

PLUG = {"ieee": "00158d0000000001", "file_version": 1}
SENSOR = {"ieee": "00158d0000000002", "kind": "sleepy", "behaviours": {"power_cut_at": [0.5], "same_tsn": True}}


class Process:
    """One rig process and its lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.count = 0

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(10):
            return json.loads(await self.process.stdout.readline())

    def put(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")

    async def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        self.count += 1
        self.put(json.dumps({"id": self.count, "command": command, **fields}))
        answer = await self.line()
        assert answer.pop("id") == self.count
        return answer

    async def finished(self) -> int:
        async with asyncio.timeout(10):
            return await self.process.wait()


@asynccontextmanager
async def rig(folder: Path, **scenario: Any) -> AsyncIterator[Process]:
    path = folder / "scenario.json"
    path.write_text(json.dumps({"air": {"speedup": None}, **scenario}))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "otagate_rig", str(path), stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.asyncio
async def test_a_rig_says_where_it_is_and_ends_when_told_to(tmp_path: Path) -> None:
    async with rig(tmp_path, port="tcp", devices=[PLUG]) as process:
        ready = await process.line()
        assert ready["ready"] is True
        host, port = ready["path"].removeprefix("socket://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        assert await process.ask("stop") == {"ok": True}
        assert await process.finished() == 0


@pytest.mark.asyncio
async def test_a_rig_ends_when_its_input_closes(tmp_path: Path) -> None:
    async with rig(tmp_path) as process:
        assert Path((await process.line())["path"]).exists()
        assert process.process.stdin is not None
        process.process.stdin.close()
        assert await process.finished() == 0


@pytest.mark.asyncio
async def test_the_state_tells_of_every_device_and_the_coordinator(tmp_path: Path) -> None:
    async with rig(tmp_path, devices=[PLUG, SENSOR]) as process:
        await process.line()
        state = await process.ask("state")
        assert state["ok"]
        plug = state["devices"]["00158d0000000001"]
        assert (plug["file_version"], plug["phase"], plug["powered"], plug["joined"]) == (1, "idle", True, True)
        assert (plug["violations"], plug["sha256"], plug["offset"]) == ([], None, None)
        assert (plug["counters"]["queries"], plug["commands"]) == (0, 0)
        assert await process.ask("commands", ieee="00158d0000000001") == {"ok": True, "commands": []}
        assert set(state["devices"]) == {"00158d0000000001", "00158d0000000002"}
        assert state["ncp"]["resets"] >= 1
        assert state["port"]["plugged"]
        assert await process.ask("power", ieee="00158d0000000001", on=False) == {"ok": True}
        assert not (await process.ask("state"))["devices"]["00158d0000000001"]["powered"]
        await process.ask("power", ieee="00158d0000000001", on=True)
        assert (await process.ask("state"))["devices"]["00158d0000000001"]["powered"]


@pytest.mark.asyncio
async def test_one_is_told_when_a_device_reaches_something(tmp_path: Path) -> None:
    async with rig(tmp_path, devices=[{**PLUG, "request_retries": 1}]) as process:
        await process.line()
        ieee = PLUG["ieee"]
        assert await process.ask("notify_me", ieee=ieee, phase="querying") == {"ok": True}
        process.put(json.dumps({"command": "query", "ieee": ieee}))
        lines = [await process.line(), await process.line()]
        assert {"event": "reached", "id": 1, "ieee": ieee, "phase": "querying"} in lines
        await process.ask("notify_me", ieee=ieee, file_version=2, timeout=0.05)
        assert await process.line() == {"event": "timeout", "id": 2, "ieee": ieee, "file_version": 2}


@pytest.mark.asyncio
async def test_faults_of_port_and_coordinator(tmp_path: Path) -> None:
    async with rig(tmp_path, link=str(tmp_path / "stick")) as process:
        path = (await process.line())["path"]
        assert path == str(tmp_path / "stick")
        assert (await process.ask("fault", kind="unplug"))["ok"]
        assert not Path(path).exists()
        assert await process.ask("fault", kind="plug") == {"ok": True, "path": path}
        assert Path(path).exists()
        before = (await process.ask("state"))["ncp"]["resets"]
        for kind in ("reset", "hang", "resume", "corrupt"):
            assert (await process.ask("fault", kind=kind))["ok"]
        assert (await process.ask("state"))["ncp"]["resets"] == before + 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "line",
    ["not json", "[]", '{"command": "fly"}', '{"command": "power"}', '{"command": "power", "ieee": "1", "on": true}', '{"command": 7}'],
)
async def test_a_line_that_makes_no_sense_is_refused_and_the_rig_lives_on(tmp_path: Path, line: str) -> None:
    async with rig(tmp_path, devices=[PLUG]) as process:
        await process.line()
        process.put(line)
        answer = await process.line()
        assert answer["ok"] is False
        assert answer["error"]
        assert (await process.ask("state"))["ok"]


@pytest.mark.asyncio
async def test_a_wrong_scenario_is_told_on_stderr(tmp_path: Path) -> None:
    async with rig(tmp_path, stack="zwave") as process:
        _, errors = await process.process.communicate()
        assert process.process.returncode == 1
        assert "zwave" in errors.decode()


@pytest.mark.parametrize(
    ("scenario", "named"),
    [
        ({"radio": "x"}, "radio"),
        ({"devices": [{"ieee": "1", "colour": 1}]}, "colour"),
        ({"devices": [{"ieee": "1", "behaviours": {"sings": True}}]}, "sings"),
        ({"devices": [{}]}, "ieee"),
        ({"air": {"wind": 1}}, "wind"),
        ({"port": "usb"}, "usb"),
        ({"images": ["/nowhere/at/all"]}, "nowhere"),
    ],
)
def test_a_scenario_with_something_unknown_is_refused_by_name(scenario: dict[str, Any], named: str) -> None:
    with pytest.raises(BadScenarioError, match=named):
        build_rig(scenario)


def test_an_image_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "not.ota").write_bytes(make_payload(100))
    with pytest.raises(BadScenarioError, match="magic"):
        build_rig({"images": [str(tmp_path / "not.ota")]})


def test_an_image_of_a_scenario_is_known_to_the_devices(tmp_path: Path) -> None:
    image = build_image(0x1189, 0x83, 2, payload=make_payload(100))
    (tmp_path / "new.ota").write_bytes(image)
    rig = build_rig({"images": [str(tmp_path / "new.ota")], "devices": [PLUG]})
    assert [hashlib.sha256(data).digest() for data in rig._known.values()] == [hashlib.sha256(image).digest()]


def test_a_device_description_survives_json() -> None:
    spec = DeviceSpec.from_json(SENSOR)
    assert spec.behaviours.power_cut_at == (0.5,)
    assert DeviceSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    full = DeviceSpec(ieee=1, digests=((2, "ab"),), more_images=((3, 4),), groups=(1, 2))
    assert DeviceSpec.from_json(json.loads(json.dumps(full.to_json()))) == full
