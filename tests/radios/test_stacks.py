"""The table of radio libraries."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from pathlib import Path
from typing import get_args

import pytest
from zigpy.appdb import PersistingListener

from otagate.config.settings import ZIGBEE2MQTT, ZWAVE_JS, RadioType
from otagate.model.errors import RadioUnavailable
from otagate.radios import stacks


def test_every_zigbee_type_of_the_configuration_has_a_library() -> None:
    assert set(stacks.STACKS) == set(get_args(RadioType)) - {ZWAVE_JS, ZIGBEE2MQTT}


@pytest.mark.parametrize("name", stacks.STACKS)
def test_a_library_takes_its_configuration_and_its_own_ota_is_off(name: str, tmp_path: Path) -> None:
    config = stacks.zigpy_config(name, path="/dev/null", database=tmp_path / "x.db", baudrate=115_200, flow_control="none", channel=20)
    understood = stacks.application_class(name).SCHEMA(config)
    assert understood["ota"]["enabled"] is False
    assert understood["ota"]["broadcast_enabled"] is False
    assert understood["ota"]["providers"] == []
    assert understood["topology_scan_enabled"] is False
    assert understood["device"]["baudrate"] == 115_200
    assert understood["device"]["flow_control"] is None
    assert understood["network"]["channel"] == 20


@pytest.mark.parametrize("name", stacks.STACKS)
def test_a_library_that_is_not_installed_is_told_with_the_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = stacks.STACKS[name].module.partition(".")[0]
    for module in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(RadioUnavailable) as told:
        stacks.application_class(name)
    assert f"needs the library {library}: " in str(told.value)
    extra = stacks.STACKS[name].extra
    assert (f"install otagate[{extra}]" if extra else "install otagate again") in str(told.value)


@pytest.mark.parametrize("name", stacks.STACKS)
def test_what_the_table_names_exists(name: str) -> None:
    stack = stacks.STACKS[name]
    for each in (stack.fast_path, stack.watch_resets, stack.let_go):
        if each is not None:
            module, _, attribute = each.partition(":")
            assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.asyncio
async def test_a_hub_that_is_stopped_while_a_database_is_opened_leaves_no_thread_that_would_keep_it_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, opened = _threads(), asyncio.Event()
    prepare = PersistingListener.initialize_tables

    async def told(self: PersistingListener) -> None:
        opened.set()
        await prepare(self)

    monkeypatch.setattr(PersistingListener, "initialize_tables", told)
    config = stacks.zigpy_config("znp", path="/dev/null", database=tmp_path / "x.db", baudrate=None, flow_control=None, channel=None)
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(stacks.load("znp", config))
        await opened.wait()
        assert _threads() != before
        loading.cancel()
    assert loading.cancelled()
    assert _threads() == before


def _threads() -> set[str]:
    """Without the loop's own helpers."""
    return {each.name for each in threading.enumerate() if not each.name.startswith("asyncio_")}
