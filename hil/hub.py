"""A hub on the stick of a rig: the daemon as a process of its own, and the one door through which tests order anything from it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from hil.firmware import Firmware
from hil.rigfile import DeviceUnderTest, Rig
from otagate.cli.client import Client, Json
from otagate.cli.stops import ProblemStop, Stop, slug_of
from otagate.model.ids import DeviceId
from otagate.model.lifecycle import State
from otagate.model.versions import Version

T = TypeVar("T")

_START_BOUND = 60.0
_STOP_BOUND = 30.0
_LOOK_EVERY = 0.2
_JOIN_SECONDS = 120
_TAIL = 30
_FINAL = {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUPERSEDED}


class HubError(AssertionError):
    """The hub or the device did not do what it should have done; the message says what was seen last."""


class NotOnTheList(Exception):
    """An order for a device that the rig file does not list. Nothing was sent to anybody."""


class OrderRefused(HubError):
    """The hub refused an order; `slug` is the stable word of the problem."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{problem.get('title')}: {problem.get('detail')}")
        self.slug = slug_of(problem)


class AllowListClient(Client):
    """A client of the API that can order nothing for a device that is not on the list, in whatever call an order hides."""

    def __init__(self, url: str, allowed: frozenset[DeviceId]) -> None:
        super().__init__(url, None)
        self._allowed = allowed

    async def post(self, *path: str, body: Json | None = None, key: str | None = None) -> Json:
        """Order something. Raises NotOnTheList before anything is sent."""
        match path:
            case ("updates",):
                self._check(*(body or {}).get("devices", ()))
            case ("updates", update, _):
                self._check((await self.get("updates", update))["device"])
            case ("rollouts", *_):
                raise NotOnTheList("a rollout chooses its devices by itself, so no rig orders one")
        return await super().post(*path, body=body, key=key)

    async def patch(self, *path: str, body: Json) -> Json:
        """Change what is said of a device: to make it automatic is an order too. Raises NotOnTheList before anything is sent."""
        self._check(*path[1:2])
        return await super().patch(*path, body=body)

    def _check(self, *devices: object) -> None:
        foreign = [str(each) for each in devices if each not in self._allowed]
        if foreign:
            raise NotOnTheList(f"{', '.join(foreign)} is not in the rig file, so it is never updated; listed are {', '.join(sorted(self._allowed))}")


class Hub:
    """What a test does with a hub. `client` reads everything and orders only what the allow-list allows."""

    def __init__(self, rig: Rig, client: AllowListClient, check_alive: Callable[[], None]) -> None:
        self.client = client
        self._rig = rig
        self._check_alive = check_alive

    # --- the stick ----------------------------------------------------------------------------------------------------------------------

    async def radio_is(self, state: str, within: float | None = None) -> Json:
        """Wait until the coordinator is `up`, `retrying` …; at most the stick's patience. Raises HubError."""
        told: Json = {}

        async def look() -> Json | None:
            told.update((await self.client.items("radios"))[0])
            if told["state"] in {"wrong_network", "in_use"} and state == "up":
                raise HubError(f"the coordinator is {told['state']}: {told['sentence']}")
            return told if told["state"] == state else None

        bound = self._rig.stick.patience.total_seconds() if within is None else within
        return await self._until(look, bound, lambda: f"the coordinator did not become {state}: it is {told.get('state')}: {told.get('sentence')}")

    # --- devices ------------------------------------------------------------------------------------------------------------------------

    async def known(self, device: DeviceUnderTest) -> Json:
        """Wait until the hub knows which firmware the device runs; the network is opened meanwhile where the rig file allows it."""
        told: list[str] = []
        clock = asyncio.get_running_loop().time
        open_until = clock() if self._rig.stick.permit_join else float("inf")

        async def look() -> Json | None:
            nonlocal open_until
            found = {each["id"]: each for each in await self.client.items("devices")}
            told[:] = found
            mine = found.get(device.id)
            if mine is None and clock() >= open_until:
                await self.client.post("radios", self._rig.stick.name, "permit-join", body={"seconds": _JOIN_SECONDS})
                open_until = clock() + _JOIN_SECONDS
            return None if mine is None or _version(mine, device) is None else mine

        bound = device.patience.total_seconds()
        return await self._until(look, bound, lambda: f"{device.name} ({device.id}) has not told its firmware; known are {', '.join(told) or 'none'}")

    async def version(self, device: DeviceUnderTest) -> Version:
        """The version that the device itself tells now, never one that the hub remembers."""
        why = ["it did not answer"]

        async def look() -> Version | None:
            try:
                found = await self.client.post("devices", device.id, "check")
            except ProblemStop as stop:
                why[0] = str(stop)
                return None
            return _version(found, device) if found["check"] == "done" else None

        return await self._until(look, device.patience.total_seconds(), lambda: f"{device.name} does not tell its version: {why[0]}")

    # --- updates ------------------------------------------------------------------------------------------------------------------------

    async def order(self, device: DeviceUnderTest, firmware: Firmware, *, allow_downgrade: bool = False) -> str:
        """Order one update; its id. Raises NotOnTheList before anything is sent, OrderRefused, also for a file that is no whole image."""
        try:
            image = await self.client.upload(firmware.path)
        except ProblemStop as stop:
            raise OrderRefused(stop.problem) from None
        body: Json = {"devices": [device.id], "component": device.component, "image": image["sha256"], "allow_downgrade": allow_downgrade}
        if firmware.is_zwave:
            body["version"] = firmware.version
        answer = await self.client.post("updates", body=body)
        if answer["refused"]:
            raise OrderRefused(answer["refused"][0]["problem"])
        return str(answer["updates"][0]["id"])

    async def cancel(self, update: str) -> Json:
        """Stop an update on its way; the update. Raises NotOnTheList, OrderRefused where it is too late for that."""
        try:
            return await self.client.post("updates", update, "cancel")
        except ProblemStop as stop:
            raise OrderRefused(stop.problem) from None

    async def update(self, update: str) -> Json:
        """One update as it is now."""
        return await self.client.get("updates", update)

    async def reaches(self, device: DeviceUnderTest, update: str, percent: float) -> Json:
        """Wait until so much of the image has gone over the air; at most the device's patience. Raises HubError, also where it ends before."""
        last: Json = {}

        async def look() -> Json | None:
            last.update(await self.update(update))
            if last["state"] in _FINAL:
                raise HubError(f"the update ended before {percent:g} % were seen: {_told(last)}")
            return last if last["state"] == State.TRANSFERRING and last["progress"]["percent"] >= percent else None

        return await self._until(look, device.patience.total_seconds(), lambda: f"{device.name} has not got {percent:g} %: {_told(last)}")

    async def succeeds(self, device: DeviceUnderTest, update: str) -> Json:
        """Wait until the update has succeeded; at most the device's patience. Raises HubError with its journal where it has not."""
        last: Json = {}

        async def look() -> Json | None:
            last.update(await self.update(update))
            return last if last["state"] in _FINAL else None

        await self._until(look, device.patience.total_seconds(), lambda: f"{device.name} is not done: {_told(last)}")
        if last["state"] != State.SUCCEEDED:
            log = await self.client.items("updates", update, "log")
            raise HubError(f"{device.name}: {_told(last)}\n" + "\n".join(f"  {each['at']} {each['kind']} {json.dumps(each['data'])}" for each in log))
        return last

    async def bring(self, device: DeviceUnderTest, firmware: Firmware, *, allow_downgrade: bool = False) -> Json:
        """Update the device, and read back from it that it runs this version. Raises NotOnTheList, OrderRefused, HubError."""
        update = await self.succeeds(device, await self.order(device, firmware, allow_downgrade=allow_downgrade))
        runs = await self.version(device)
        if runs != firmware.version:
            raise HubError(f"{device.name} was updated to {firmware.display_version} and tells {runs if isinstance(runs, str) else f'0x{runs:08x}'}")
        return update

    async def begin_with(self, device: DeviceUnderTest, firmware: Firmware) -> None:
        """Wait until the device is known, and bring it to this version from whatever it runs, older or newer."""
        await self.known(device)
        if await self.version(device) != firmware.version:
            await self.bring(device, firmware, allow_downgrade=True)

    async def _until(self, look: Callable[[], Awaitable[T | None]], within: float, otherwise: Callable[[], str]) -> T:
        try:
            async with asyncio.timeout(within):
                while (found := await look()) is None:
                    self._check_alive()
                    await asyncio.sleep(_LOOK_EVERY)
                return found
        except TimeoutError:
            raise HubError(f"within {within:.0f} s {otherwise()}") from None


def _version(device: Json, wanted: DeviceUnderTest) -> Version | None:
    return next((each["version"] for each in device["components"] if each["id"] == wanted.component), None)


def _told(update: Json) -> str:
    error = (update.get("error") or {}).get("detail") or update.get("reason") or ""
    percent = (update.get("progress") or {}).get("percent")
    return f"it is {update.get('state')} at {percent} %{f', {error}' if error else ''}"


# --- the process ----------------------------------------------------------------------------------------------------------------------------


def settings(rig: Rig, run: Path, socket: Path) -> dict[str, Any]:
    """The configuration of the hub: it takes no release by itself, and only what it knows of the network outlives the test."""
    return {
        "state_dir": str(rig.state_dir),
        "store": {"url": f"sqlite:///{run / 'otagate.db'}"},
        "images": {"path": str(run / "images")},
        "api": {"listen": f"unix:{socket}"},
        "radios": [rig.stick.as_radio()],
        "policy": {"default": "never", "alive_for": "0d"},
        "logging": {"format": "json"},
    }


@asynccontextmanager
async def open_hub(rig: Rig, run: Path) -> AsyncIterator[Hub]:
    """A hub with an empty store on the rig's stick, until the block ends; its log is `daemon.log` in `run`. Raises HubError."""
    run = run.absolute()
    with tempfile.TemporaryDirectory(prefix="otagate-hil-") as short:  # the path of a unix socket must be short
        socket = Path(short, "api.sock")
        config = run / "otagate.json"  # JSON is YAML
        config.write_text(json.dumps(settings(rig, run, socket), indent=2), encoding="utf-8")
        async with _daemon(config, run / "daemon.log") as check_alive, AllowListClient(f"unix:{socket}", rig.allowed) as client:
            hub = Hub(rig, client, check_alive)
            await hub._until(_answering(client), _START_BOUND, lambda: "the daemon did not answer")
            await hub.radio_is("up")
            yield hub


def _answering(client: Client) -> Callable[[], Awaitable[bool | None]]:
    async def answers() -> bool | None:
        try:
            await client.get("radios")
        except Stop:
            return None
        return True

    return answers


@asynccontextmanager
async def _daemon(config: Path, log: Path) -> AsyncIterator[Callable[[], None]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTAGATE_")}  # they would override the file
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "run", "--config", str(config), stdout=out, stderr=out, env=environment
        )

    def check_alive() -> None:
        if process.returncode is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
            raise HubError(f"the daemon ended with status {process.returncode}:\n{tail}")

    try:
        yield check_alive
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_BOUND):
                await process.wait()
        except TimeoutError:
            raise HubError(f"the daemon did not end within {_STOP_BOUND:.0f} s and was killed; its log is {log}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
