"""`otagate demo`: a whole hub on this machine. The coordinator and the devices are simulated; everything from the serial port up is the daemon.

The daemon is a process of its own, started with a configuration file and driven through its API, as an operator would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from otagate.cli.client import Client, Json
from otagate.cli.live import follow
from otagate.cli.session import refusals, terminal
from otagate.cli.stops import Exit, Stop
from otagate.cli.tables import cell, table
from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import Behaviours, DeviceSpec

MAKER = 0x1289
LAMP, SOCKET, SENSOR, DIMMER = 0x0101, 0x0102, 0x0103, 0x0104
OLD, NEW = 0x01000000, 0x01020003
SPEED = 5.0
"""Simulated air and devices live this much faster than real ones."""

COORDINATORS = {"znp": "Z-Stack", "ezsp": "EmberZNet"}
USUAL_PORT = 8377
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A device of the demo, what is special about it, and whether it should end with the new version."""

    spec: DeviceSpec
    story: str
    succeeds: bool = True


def _actor(number: int, model: str, image_type: int, story: str, *, succeeds: bool = True, **fields: Any) -> Actor:
    values: dict[str, Any] = {"manufacturer": "Demo Works", "manufacturer_code": MAKER, "file_version": OLD, "hardware_version": 2} | fields
    spec = DeviceSpec(ieee=0x00124B00_0DE30000 + number, model=model, image_type=image_type, **values)
    return Actor(spec=spec, story=story, succeeds=succeeds)


CAST = (
    _actor(1, "Hall lamp", LAMP, "an ordinary router"),
    _actor(2, "Kitchen lamp", LAMP, "two hops away", hops=2),
    _actor(
        3,
        "Desk socket",
        SOCKET,
        "loses power half-way and resumes",
        behaviours=Behaviours(power_cut_at=(0.5,), power_cut_seconds=8.0),
    ),
    _actor(4, "Window sensor", SENSOR, "a sleepy end device on battery", kind=DeviceKind.SLEEPY, poll_interval=2.0, power_source=3),
    _actor(5, "Old dimmer", DIMMER, "hardware 1: the image is for hardware 2 to 4", hardware_version=1, succeeds=False),
    _actor(6, "New dimmer", DIMMER, "hardware 3: the image fits", hardware_version=3),
)


def make_images() -> dict[str, bytes]:
    """The demo's own firmware, by file name."""
    return {
        "lamp.zigbee": build_image(MAKER, LAMP, NEW, payload=make_payload(49_152, 1), header_string="Demo lamp"),
        "socket.zigbee": build_image(MAKER, SOCKET, NEW, payload=make_payload(32_768, 2), header_string="Demo socket"),
        "sensor.zigbee": build_image(MAKER, SENSOR, NEW, payload=make_payload(8_192, 3), header_string="Demo sensor"),
        "dimmer.zigbee": build_image(MAKER, DIMMER, NEW, payload=make_payload(24_576, 4), header_string="Demo dimmer", hardware_range=(2, 4)),
    }


async def perform(stack: Stack = "znp", *, stay: bool = False) -> Exit:
    """Play the whole demo; DONE when every update that should succeed did, and nothing else."""
    console = terminal()
    images = make_images()
    with tempfile.TemporaryDirectory(prefix="otagate-demo-") as folder:
        home = Path(folder)
        specs = [actor.spec for actor in CAST]
        async with Rig(stack=stack, port="pty", devices=specs, formed=False, air=AirSettings(speedup=SPEED), images=images.values()) as rig:
            config, url = write_config(home, rig.path, images, stack=stack)
            simulated = f"A simulated {COORDINATORS[stack]} coordinator on {rig.path}, {len(CAST)} simulated devices"
            console.print(Text(f"{simulated}; air and devices run {SPEED:.0f} x real time."))
            async with daemon(home, config), open_client(home, url) as client:
                return await _play(console, client, rig, home, url, stay=stay)


async def _play(console: Console, client: Client, rig: Rig, home: Path, url: str, *, stay: bool) -> Exit:
    console.print(Text(f"The daemon runs. API: {url}/api/v1, token: {home / 'state' / 'api-token'}"))
    await until(client, "radios", _is_up, "the coordinator came up")
    console.print(Text("The coordinator was empty, so a network was formed (network: form). Opening it: devices join and are interviewed ..."))
    await client.post("radios", "zigbee0", "permit-join", body={"seconds": 180})
    rig.start_joining()
    devices = await until(client, "devices", _all_known, "every device told its firmware")
    console.print(_cast_table(console, devices))
    result = await client.post("updates", body={"devices": [device["id"] for device in devices]})
    refusals(result["refused"])
    finals = await follow(client, [each["id"] for each in result["updates"]], console)
    exit_code = verdict(console, rig, finals)
    if stay:
        console.print(Text("The hub goes on; Ctrl-C ends it."))
        await asyncio.Event().wait()
    return exit_code


def _is_up(radios: list[Json]) -> bool:
    return bool(radios) and radios[0]["state"] == "up"


def _all_known(devices: list[Json]) -> bool:
    told = [device for device in devices if device["components"] and all(map(_is_known, device["components"]))]
    return len(told) == len(CAST)


def _is_known(component: Json) -> bool:
    """Whether a component has told its version and, where an image asks for it, its hardware."""
    return component["version"] is not None and (component["image_type"] != DIMMER or component["hardware_version"] is not None)


def _cast_table(console: Console, devices: list[Json]) -> Any:
    stories = {f"zigbee-{actor.spec.ieee:016x}": actor.story for actor in CAST}
    made = table(console, "Device", "Model", "Runs", "Newest", "Note")
    for device in devices:
        component = device["components"][0]
        newest = component["available"]["display_version"] if component["available"] else "-"
        made.add_row(cell(device["id"]), cell(device["model"]), cell(component["display_version"]), cell(newest), cell(stories.get(device["id"], "")))
    return made


def verdict(console: Console, rig: Rig, finals: list[Json]) -> Exit:
    """Compare what the daemon says with what the devices run and with what should have been."""
    states = {each["device"]: each["state"] for each in finals}
    wrong = []
    for actor in CAST:
        name, device = f"zigbee-{actor.spec.ieee:016x}", rig.device(actor.spec.ieee)
        runs_new = device.file_version == NEW
        if actor.succeeds != (states.get(name) == "succeeded") or actor.succeeds != runs_new:
            wrong.append(f"{actor.spec.model} ({actor.story}) runs 0x{device.file_version:08x}")
        wrong += [f"{actor.spec.model}: the server broke the protocol: {violation}" for violation in device.violations]
    if wrong:
        console.print(Text("Not as it should be: " + "; ".join(wrong)))
        return Exit.FAILED
    good = sum(actor.succeeds for actor in CAST)
    summary = (
        f"{good} devices run 0x{NEW:08x}, read back from each; {len(CAST) - good} got no image, with the reason; no device saw a protocol error."
    )
    console.print(Text(summary))
    return Exit.DONE


# --- the daemon as a process --------------------------------------------------------------------------------------------------------------


def write_config(home: Path, radio: str, images: dict[str, bytes], *, stack: Stack) -> tuple[Path, str]:
    """An ordinary configuration file, and the address of the API in it."""
    folder = home / "images"
    folder.mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    port = free_port()
    config = home / "otagate.yaml"
    config.write_text(
        f"state_dir: {home / 'state'}\n"
        f"api:\n  listen: 127.0.0.1:{port}\n"
        f"radios:\n  - name: zigbee0\n    type: {stack}\n    path: {radio}\n    network: form\n    channel: 15\n    parallel: 3\n"
        f"sources:\n  - type: directory\n    path: {folder}\n",
        encoding="utf-8",
    )
    return config, f"http://127.0.0.1:{port}"


def free_port() -> int:
    """The usual port where nobody has it, else any."""
    for port in (USUAL_PORT, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Stop("no free port on 127.0.0.1", Exit.FAILED)


@asynccontextmanager
async def daemon(home: Path, config: Path) -> AsyncIterator[None]:
    """The daemon, from start to a clean stop; its log is a file."""
    log = home / "daemon.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "run", "--config", str(config), stdout=out, stderr=out, env=os.environ | {"NO_COLOR": "1"}
        )
    try:
        yield
    except Stop:
        sys.stderr.write("".join(f"daemon: {line}\n" for line in log.read_text(errors="replace").splitlines()[-20:]))
        raise
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_client(home: Path, url: str) -> AsyncIterator[Client]:
    """A client as soon as the daemon answers."""
    async with Client(url, await _ready(home / "state" / "api-token", url)) as client:
        yield client


async def _ready(token_file: Path, url: str) -> str:
    """The token, once the daemon takes it."""
    for _ in range(int(PATIENCE * 10)):
        with contextlib.suppress(OSError, Stop):
            token = token_file.read_text().strip()
            async with Client(url, token) as client:
                await client.get("radios")
                return token
        await asyncio.sleep(0.1)
    raise Stop("the daemon did not start", Exit.FAILED)


async def until(client: Client, noun: str, true: Callable[[list[Json]], bool], what: str) -> list[Json]:
    """Read a list until something is true of it. Raises Stop after a bounded wait."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                items = await client.items(noun)
                if true(items):
                    return items
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise Stop(f"it did not happen within {PATIENCE:.0f} s that {what}", Exit.FAILED) from None
