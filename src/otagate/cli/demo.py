"""`otagate demo`: a whole hub on this machine. Radios and devices are simulated; the daemon is not, nor the Z-Wave driver."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from otagate.cli.client import Client, Json
from otagate.cli.demo_hub import chosen_port, daemon, open_client, until, write_config
from otagate.cli.demo_side import Side
from otagate.cli.demo_zigbee import zigbee_side
from otagate.cli.demo_zwave import zwave_side
from otagate.cli.live import follow
from otagate.cli.session import print_json, refusals, terminal
from otagate.cli.stops import Exit, slug_of
from otagate.cli.tables import cell, table
from otagate.engine.timers import SystemClock
from otagate_rig.rig import Stack

OPENING = (
    "A hub with simulated radios and devices, everything else as it is: it forms a network, lets the devices join, orders new firmware for them and",
    "reads back what they run. That takes about a minute; open the page below to watch and to press, and nothing that is plugged in is touched.",
)
NEXT = (
    "Next: otagate init          a configuration from the sticks that are plugged in, with the reason beside every line",
    "      otagate doctor        what is wrong with a hub, and the command that mends it",
    "      otagate run           a hub of your own; README.md has it as a service in ten lines",
)


async def perform(stack: Stack = "znp", *, stay: bool = False, seed: int = 1, as_json: bool = False) -> Exit:
    """Play the whole demo; DONE when every update that should succeed did, and nothing else.

    `seed` is what chance in the simulated air and devices is drawn from. As JSON, one document about the end is all that stands on standard output.
    Told to end (SIGTERM) it stops its hub and removes its folder, as at Ctrl-C. Raises CancelledError then.
    """
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console = terminal(stderr=as_json)
    missing: list[str] = []
    for line in OPENING:
        console.print(Text(line), soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="otagate-demo-") as folder:
        home = Path(folder)
        async with AsyncExitStack() as house:
            sides: list[Side] = [await house.enter_async_context(zigbee_side(stack, home, seed=seed))]
            zwave = await house.enter_async_context(zwave_side(partial(_say, console, missing)))
            if zwave is not None:
                sides.append(zwave)
            for side in sides:
                console.print(Text(side.told))
            port = house.enter_context(chosen_port())
            config, url = write_config(home, port, [side.radio for side in sides], [source for side in sides for source in side.sources])
            began = SystemClock().now()
            client = await _hub(house, home, config, url)
            token = (home / "state" / "api-token").read_text(encoding="utf-8").strip()
            console.print(Text(f"The page: {url}/#token={token}"), soft_wrap=True)
            console.print(Text(f"The daemon runs. API: {url}/api/v1, token: {home / 'state' / 'api-token'}"))
            document = {"seed": seed, "radio": stack, "missing": missing} if as_json else None
            return await _play(console, client, sides, began=began, stay=stay, document=document)


def _say(console: Console, said: list[str], told: str) -> None:
    said += [told] if told.startswith("Without") else []
    console.print(Text(told), soft_wrap=True)


async def _hub(house: AsyncExitStack, home: Path, config: Path, url: str) -> Client:
    process = await house.enter_async_context(daemon(home, config))
    return await house.enter_async_context(open_client(process, home, url))


async def _play(console: Console, client: Client, sides: Sequence[Side], *, began: datetime, stay: bool, document: Json | None) -> Exit:
    await until(client, "radios", lambda radios: all(each["state"] == "up" for each in radios), "every radio came up")
    console.print(Text("The coordinator was empty, so a network was formed (network: form). Opening it: devices join and are interviewed ..."))
    for side in sides:
        await side.begin(client)
    devices = await until(client, "devices", lambda items: len(_ready(items, sides)) == _count(sides), "every device told its firmware")
    console.print(_cast_table(console, devices, sides))
    result = await client.post("updates", body={"devices": [device["id"] for device in _ready(devices, sides)]})
    refusals(result["refused"])
    finals = await follow(client, [each["id"] for each in result["updates"]], console)
    await _tell_first_block(console, client, [each["id"] for each in finals], began)
    exit_code = await verdict(console, sides, finals)
    if document is not None:
        print_json(document | {"good": exit_code is Exit.DONE, "devices": _outcomes(sides, finals, result["refused"])})
    for line in NEXT:
        console.print(Text(line), soft_wrap=True)
    if stay:
        console.print(Text("The hub goes on; Ctrl-C ends it."))
        await asyncio.Event().wait()
    return exit_code


async def _tell_first_block(console: Console, client: Client, updates: Sequence[str], began: datetime) -> None:
    """How long after the daemon's start, by its own journal, the first device asked for its image."""
    facts = [fact for update in updates for fact in await client.items("updates", update, "log", query={})]
    asked = [datetime.fromisoformat(each["at"]) for each in facts if each["kind"] == "accepted"]
    if asked:
        console.print(Text(f"The first block left {(min(asked) - began).total_seconds():.1f} s after the daemon was started."))


def _outcomes(sides: Sequence[Side], finals: Sequence[Json], refused: Sequence[Json]) -> list[Json]:
    """How it ended for each device of the cast, by id: nothing that differs from one run to the next."""
    problems = {each["device"]: slug_of(each["problem"]) for each in refused}
    found = []
    for role in sorted((role for side in sides for role in side.roles), key=lambda role: role.device):
        own = sorted((each for each in finals if each["device"] == role.device), key=lambda each: str(each["component"]))
        updates = [{name: each[name] for name in ("component", "from_display_version", "to_display_version", "image", "state")} for each in own]
        found.append({"device": role.device, "name": role.name, "story": role.story, "refused": problems.get(role.device), "updates": updates})
    return found


def _count(sides: Sequence[Side]) -> int:
    return sum(len(side.roles) for side in sides)


def _ready(devices: Sequence[Json], sides: Sequence[Side]) -> list[Json]:
    """The devices of the cast of which all is known that an order needs."""
    known = {role.device: side for side in sides for role in side.roles}
    return [device for device in devices if device["id"] in known and known[device["id"]].knows(device)]


def _cast_table(console: Console, devices: Sequence[Json], sides: Sequence[Side]) -> Any:
    stories = {role.device: role.story for side in sides for role in side.roles}
    made = table(console, "Device", "Name", "Runs", "Newest", "Note")
    for device in devices:
        parts = device["components"]
        newest = [each["available"]["display_version"] or "?" for each in parts if each["available"]]
        runs = [each["display_version"] for each in parts if each["display_version"]]
        story = stories.get(device["id"], "the controller: it is never updated by itself")
        name = device["name"] or device["model"]
        made.add_row(cell(device["id"]), cell(name), cell(", ".join(runs)), cell(", ".join(newest) or "-"), cell(story))
    return made


async def verdict(console: Console, sides: Sequence[Side], finals: Sequence[Json]) -> Exit:
    """Compare what the daemon says with what the devices run and with what should have been."""
    states: dict[str, set[str]] = {}
    for each in finals:
        states.setdefault(each["device"], set()).add(each["state"])
    wrong = []
    for side in sides:
        for role in side.roles:
            if role.succeeds != (states.get(role.device) == {"succeeded"}):
                wrong.append(f"{role.name} ({role.story}) ended {', '.join(sorted(states.get(role.device, {'without an update'})))}")
            wrong += [f"{role.name} ({role.story}): {found}" for found in await side.wrong(role)]
    if wrong:
        console.print(Text("Not as it should be: " + "; ".join(wrong)))
        return Exit.FAILED
    good = sum(role.succeeds for side in sides for role in side.roles)
    summary = (
        f"{good} devices run their new firmware, read back from each; {_count(sides) - good} got no image, with the reason; "
        "no device saw a protocol error."
    )
    console.print(Text(summary))
    return Exit.DONE
