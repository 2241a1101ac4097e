"""A new release of a radio library may slow OTA down, never stop it: its private names are broken here on purpose."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

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


def _install(monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    application = zigpy_znp.zigbee.application
    if which == "_znp":
        monkeypatch.setattr(application, "ControllerApplication", _another_release(application.ControllerApplication, _znp="_radio"))
    elif which == "ReschedulableTimeout":
        monkeypatch.delattr(zigpy.datastructures, which)
    else:
        monkeypatch.setattr(application, "ZNP", _another_release(zigpy_znp.api.ZNP, **{which: "_renamed"}))


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["_znp", "_uart", "_sync_request_lock", "ReschedulableTimeout"])
async def test_a_library_without_the_names_that_we_use_serves_ota_through_its_public_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _install(monkeypatch, name)
    async with journey(tmp_path, images=[IMAGE]) as run:
        up = await radio_is(run.desk, "up")
        assert "public interface, because its inside has changed" in str(up.data["sentence"])
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), IMAGE)


@pytest.mark.asyncio
async def test_a_sleeping_device_is_served_through_the_public_interface_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, "_uart")
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, kind=DeviceKind.SLEEPY, poll_interval=1.0), images=[SMALL]) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), SMALL)


@pytest.mark.asyncio
async def test_a_fast_path_that_breaks_in_mid_transfer_is_given_up_and_the_update_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    changed = _another_release(zigpy_znp.api.ZNP, _sync_request_lock="_renamed")

    def make(*args: Any) -> Any:
        made.append(changed(*args))
        made[-1]._sync_request_lock = made[-1]._renamed  # still there, for now
        return made[-1]

    monkeypatch.setattr(zigpy_znp.zigbee.application, "ZNP", make)
    async with journey(tmp_path, images=[IMAGE]) as run:
        up = await radio_is(run.desk, "up")
        assert "public" not in str(up.data["sentence"])
        update = await run.order()
        await reached(run.device(), 0.4)
        now = await last_number(run.hub)
        del made[-1]._sync_request_lock
        said = await fact(run.desk, lambda each: each.subject == "radio", after=now)
        assert said.data["state"] == "up"
        assert "public interface, because its inside has changed" in str(said.data["sentence"])
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert run.device().counters.downloads_completed == 1
