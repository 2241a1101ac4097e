"""A new release of a radio library may slow OTA down, never stop it: its private names are broken here on purpose."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bellows.ezsp.protocol
import bellows.uart
import bellows.zigbee.application
import pytest
import zigpy.datastructures
import zigpy_znp.api
import zigpy_znp.zigbee.application

from otagate_rig.aps import DeviceKind
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, assert_updated, ended, fact, image_of, journey, last_number, radio_is, reached

IMAGE = image_of(20_000)
SMALL = image_of(2_000)


def _another_release(original: type[Any], **renamed: str) -> type[Any]:
    """The class as the library's next release may have it: private names are others."""
    source = textwrap.dedent(inspect.getsource(original))
    for old, new in renamed.items():
        source = re.sub(rf"\b{old}\b", new, source)
    module = vars(inspect.getmodule(original))
    made: dict[str, Any] = {}
    exec(
        compile(source, f"<another {original.__name__}>", "exec", dont_inherit=True, flags=_annotations()),
        module | {"__builtins__": __builtins__},
        made,
    )
    return made[original.__name__]  # type: ignore[no-any-return]


def _annotations() -> int:
    import __future__

    return __future__.annotations.compiler_flag


CHANGES = [
    ("znp", "_uart"),
    ("znp", "_sync_request_lock"),
    ("znp", "ReschedulableTimeout"),
    ("ezsp", "_ezsp"),
    ("ezsp", "_obj"),
    ("ezsp", "_rx_seq"),
    ("ezsp", "_send_data_frame_semaphore"),
    ("ezsp", "ReschedulableTimeout"),
]


def _install(monkeypatch: pytest.MonkeyPatch, stack: str, which: str) -> None:
    if which == "ReschedulableTimeout":
        monkeypatch.delattr(zigpy.datastructures, which)
    elif stack == "znp":
        monkeypatch.setattr(zigpy_znp.zigbee.application, "ZNP", _another_release(zigpy_znp.api.ZNP, **{which: "_renamed"}))
    else:
        module, name = {"_ezsp": (bellows.zigbee.application, "ControllerApplication"), "_obj": (bellows.uart, "ThreadsafeProxy")}.get(
            which, (bellows.uart, "AshProtocol")
        )
        monkeypatch.setattr(module, name, _another_release(getattr(module, name), **{which: "_renamed"}))


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "name"), CHANGES)
async def test_a_library_without_the_names_that_we_use_serves_ota_through_its_public_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, name: str
) -> None:
    _install(monkeypatch, stack, name)
    async with journey(tmp_path, images=[IMAGE], stack=stack) as run:
        up = await radio_is(run.desk, "up")
        assert "public interface, because its inside has changed" in str(up.data["sentence"])
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), IMAGE)


@pytest.mark.asyncio
async def test_a_connection_under_another_name_is_found_and_its_resets_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    application = zigpy_znp.zigbee.application
    monkeypatch.setattr(application, "ControllerApplication", _another_release(application.ControllerApplication, _znp="_radio"))
    async with journey(tmp_path, images=[IMAGE]) as run:
        up = await radio_is(run.desk, "up")
        assert "public" not in str(up.data["sentence"])
        update = await run.order()
        await reached(run.device(), 0.2)
        run.rig.ncp.reset_unexpectedly()
        lost = await radio_is(run.desk, "retrying", after=up.number)
        assert "reset itself" in str(lost.data["sentence"])
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "name"), [("znp", "_uart"), ("ezsp", "_rx_seq")])
async def test_a_sleeping_device_is_served_through_the_public_interface_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, name: str
) -> None:
    _install(monkeypatch, stack, name)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, kind=DeviceKind.SLEEPY, poll_interval=1.0), images=[SMALL], stack=stack) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), SMALL)


def _break_later(monkeypatch: pytest.MonkeyPatch, stack: str) -> Callable[[], None]:
    """The library's lock around its requests has a new name, and the old one as well until what is returned is called."""
    owner, old = {"znp": (zigpy_znp.api.ZNP, "_sync_request_lock"), "ezsp": (bellows.ezsp.protocol.ProtocolHandler, "_send_semaphore")}[stack]
    changed = _another_release(owner, **{old: "_renamed"})
    made: list[Any] = []

    def init(self: Any, *args: Any) -> None:
        changed.__init__(self, *args)
        setattr(self, old, self._renamed)
        made.append(self)

    for name, method in vars(changed).items():
        if inspect.isfunction(method) and name in vars(owner):
            monkeypatch.setattr(owner, name, init if name == "__init__" else method)
    return lambda: delattr(made[-1], old)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_fast_path_that_breaks_in_mid_transfer_is_given_up_and_the_update_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    break_now = _break_later(monkeypatch, stack)
    async with journey(tmp_path, images=[IMAGE], stack=stack) as run:
        up = await radio_is(run.desk, "up")
        assert "public" not in str(up.data["sentence"])
        update = await run.order()
        await reached(run.device(), 0.4)
        now = await last_number(run.hub)
        break_now()
        said = await fact(run.desk, lambda each: each.subject == "radio", after=now)
        assert said.data["state"] == "up"
        assert "public interface, because its inside has changed" in str(said.data["sentence"])
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert run.device().counters.downloads_completed == 1
