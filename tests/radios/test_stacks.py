"""The table of radio libraries."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest

from otagate.config.settings import RadioType
from otagate.model.errors import RadioUnavailable
from otagate.radios import stacks

INSTALLED = [name for name, stack in stacks.STACKS.items() if importlib.util.find_spec(stack.module.partition(".")[0]) is not None]


def test_every_type_of_the_configuration_has_a_library() -> None:
    assert set(stacks.STACKS) == set(get_args(RadioType))


@pytest.mark.parametrize("name", INSTALLED)
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


@pytest.mark.parametrize("name", sorted(set(stacks.STACKS) - set(INSTALLED)))
def test_a_library_that_is_not_installed_is_told_with_the_remedy(name: str) -> None:
    with pytest.raises(RadioUnavailable, match=rf"otagate\[{name}\]"):
        stacks.application_class(name)


@pytest.mark.parametrize("name", stacks.STACKS)
def test_what_the_table_names_exists(name: str) -> None:
    stack = stacks.STACKS[name]
    for each in (stack.fast_path, stack.watch_resets, stack.let_go):
        if each is not None:
            module, _, attribute = each.partition(":")
            assert callable(getattr(importlib.import_module(module), attribute))
