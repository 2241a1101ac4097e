"""Radio libraries by name. Everything that differs between them stands in this table and in the modules that it names."""

from __future__ import annotations

import asyncio
import enum
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from otagate.model.errors import RadioUnavailable
from otagate.radios.library import to_its_end
from otagate.radios.listening import Judge, judge_any, judge_ash, judge_mt
from otagate.radios.zigpy_schema import lay_out

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication


class FastPathUnavailable(Exception):
    """The fast path cannot be used here, and why, as the end of a sentence after "because": use zigpy's public API."""


class Busy(Exception):
    """The coordinator has no buffer for the frame now."""


class Fate(enum.Enum):
    """How a frame that the coordinator had taken ended."""

    DELIVERED = "delivered"
    LOST = "lost"
    NO_ROUTE = "no route"
    TOO_LONG = "too long"


Take = Callable[[int, int, int, int, bytes], bool]
"""(source network address, source endpoint, destination endpoint, LQI, ZCL frame) → whether it was taken. Must not raise."""


Ended = Callable[[Fate], None]
"""Told once how a frame that was handed over has ended."""


Told = Callable[[Exception | None], None]
"""Told once, later, how handing over went: None, or what `FastPath.send` would have raised."""


class FastPath(Protocol):
    """OTA frames in and out beside the radio library's own packet pipeline; one object, made by a `Tap`, serves one life of one radio."""

    def detach(self) -> None:
        """Leave everything as it was; idempotent. What is sent afterwards raises DeviceUnreachable."""

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended) -> None:
        """Hand one ZCL frame of cluster 0x0019 to the coordinator; `ended` is told later how it went.

        Raises Busy, DeviceUnreachable, or FastPathUnavailable when the library has changed underneath; then `ended` is not called.
        """

    def is_free(self) -> bool:
        """Whether `send_now` would send."""

    def is_waiting(self) -> bool:
        """Whether a frame is being handed over, so that the line is ours and not free."""

    def send_now(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended, told: Told) -> bool:
        """The same from a callback, without a task and without waiting; False, with nothing done, where the line is not free at this moment."""


class Tap(Protocol):
    """Begins a fast path: its class."""

    def __call__(self, app: ControllerApplication, *, take: Take) -> FastPath:
        """For a started application. Raises FastPathUnavailable, with nothing changed."""


WatchResets = Callable[["ControllerApplication", Callable[[], None]], None]
"""Call back when the coordinator restarts by itself, which the library does not tell. Does nothing where the library has changed."""


def _never(_: BaseException | None) -> bool:
    return False


def _says_reset(error: BaseException | None) -> bool:
    """bellows: a failure with one of EmberZNet's reset codes."""
    return str(getattr(getattr(error, "code", None), "name", "")).startswith("RESET_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One radio library: where its application class is, and the extra that installs it.

    `fast_path` (`Tap`), `watch_resets` (`WatchResets`), `let_go` and `leave_settings` are named as `module:attribute`, imported with the library.
    `let_go` makes the next `shutdown()` send nothing to a coordinator that another program drives, or whose network is not ours; `leave_settings`
    makes the network start without writing what the library prefers. `judge` reads what is heard on a line.
    `is_reset` knows a lost connection by its error for a restart of the coordinator; `stops`: a `shutdown()` stops the coordinator's network.
    `room` is how many frames of ours it may have under way; what the library wants for itself comes on top. `too_long` are the statuses of a frame
    that does not fit, as the library tells them: by default those of APS and MAC themselves (ASDU too long, frame too long).
    `counters` is the group of zigpy's counters that the library keeps of the coordinator's own: of what it `sent`, `failed` to send in the end and
    `repeated` on the way, and what it could not send because the channel was not clear or no buffer was free (`refused`).
    """

    module: str
    extra: str | None = None
    fast_path: str | None = None
    watch_resets: str | None = None
    let_go: str | None = None
    leave_settings: str | None = None
    judge: Judge = judge_any
    is_reset: Callable[[BaseException | None], bool] = _never
    stops: bool = False
    room: int = 6
    too_long: frozenset[int] = frozenset({0xA0, 0xE5})
    config: dict[str, Any] | None = None
    counters: str | None = None
    sent: str = ""
    failed: str = ""
    repeated: str = ""
    refused: tuple[str, ...] = ()


STACKS: dict[str, Stack] = {
    "znp": Stack(
        module="zigpy_znp.zigbee.application",
        fast_path="otagate.radios.znp_path:ZnpPath",
        watch_resets="otagate.radios.znp_line:watch_resets",
        let_go="otagate.radios.znp_line:let_go",
        leave_settings="otagate.radios.znp_line:leave_settings",
        judge=judge_mt,
        stops=True,
        room=10,
    ),
    "ezsp": Stack(
        module="bellows.zigbee.application",
        fast_path="otagate.radios.ezsp_path:EzspPath",
        judge=judge_ash,
        is_reset=_says_reset,
        room=8,
        too_long=frozenset({0x38}),  # bellows speaks sl_status, whatever the coordinator does
        config={"use_thread": False},
        counters="ezsp_counters",  # read with each beat of its watchdog
        sent="MAC_TX_UNICAST_SUCCESS",
        failed="MAC_TX_UNICAST_FAILED",
        repeated="MAC_TX_UNICAST_RETRY",
        refused=("PHY_CCA_FAIL_COUNT", "PHY_TO_MAC_QUEUE_LIMIT_REACHED"),
    ),
    "deconz": Stack(module="zigpy_deconz.zigbee.application", extra="deconz"),
    "xbee": Stack(module="zigpy_xbee.zigbee.application", extra="xbee"),
    "zigate": Stack(module="zigpy_zigate.zigbee.application", extra="zigate"),
}
"""Radio type of the configuration → library."""


def application_class(radio_type: str) -> type[ControllerApplication]:
    """The library's application class, imported only now (a radio library costs a second). Raises RadioUnavailable naming the extra."""
    stack = STACKS[radio_type]
    try:
        module = importlib.import_module(stack.module)
    except ImportError as error:
        how = f"install otagate[{stack.extra}]" if stack.extra else "install otagate again"
        raise RadioUnavailable(f"radio type {radio_type!r} needs the library {stack.module.split('.')[0]}: {how} ({error})") from None
    chosen: type[ControllerApplication] = module.ControllerApplication
    return chosen


async def load(radio_type: str, config: dict[str, Any]) -> ControllerApplication:
    """The application with the devices of its database; the line stays closed. The library's own errors pass through.

    As its `new` does without starting the radio, and with tables that are made in one piece; but `new` leaves a database open that it cannot read, or
    whose reading is cancelled, and its thread keeps the process alive.
    """
    await to_its_end(asyncio.to_thread(lay_out, Path(config["database_path"])))
    app = application_class(radio_type)(config)
    loaded = False
    try:
        await to_its_end(app._load_db())
        loaded = True
    finally:
        if not loaded:
            await let_go(radio_type, app)
            await app.shutdown()
    return app


def tap(radio_type: str, app: ControllerApplication, *, take: Take) -> FastPath | None:
    """Begin the fast path of a started application, or None where its library has none. Raises FastPathUnavailable, with nothing changed."""
    name = STACKS[radio_type].fast_path
    if name is None:
        return None
    begin: Tap = _named(name)
    return begin(app, take=take)


def watch_resets(radio_type: str, app: ControllerApplication, restarted: Callable[[], None]) -> None:
    """See `WatchResets`; for an application that is connected."""
    name = STACKS[radio_type].watch_resets
    if name is not None:
        _named(name)(app, restarted)


async def let_go(radio_type: str, app: ControllerApplication) -> None:
    """Close the line without a further byte, where the library lets us."""
    name = STACKS[radio_type].let_go
    if name is not None:
        await _named(name)(app)


def leave_settings(radio_type: str, app: ControllerApplication) -> None:
    """Before it starts a network that another program owns: nothing is to be written to the coordinator. The others write nothing that stays."""
    name = STACKS[radio_type].leave_settings
    if name is not None:
        _named(name)(app)


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def zigpy_config(
    radio_type: str, *, path: str, database: Path, baudrate: int | None = None, flow_control: str | None = None, channel: int | None = None
) -> dict[str, Any]:
    """The plain configuration for the application's constructor: OTA answers, providers, broadcasts and topology scans of zigpy are off."""
    device: dict[str, Any] = {"path": path}
    if baudrate is not None:
        device["baudrate"] = baudrate
    if flow_control is not None:
        device["flow_control"] = None if flow_control == "none" else flow_control
    config: dict[str, Any] = {
        "device": device,
        "database_path": str(database),
        "ota": {"enabled": False, "broadcast_enabled": False, "providers": []},
        "topology_scan_enabled": False,
    }
    if channel is not None:
        config["network"] = {"channel": channel}
    return config | (STACKS[radio_type].config or {})
