"""Which network is ours: pinned, compared, and never formed by accident."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zigpy.types as t
from zigpy.exceptions import NetworkNotFormed

from otagate.model.errors import RadioUnavailable, WrongNetwork
from otagate.radios.attach import Pin, StateFiles, Trace, check_network, form_where_empty, moved, pin_of

KEY = bytes.fromhex("8c6b1e0f3d5a7294b1c0e2f4a6d8907b")


class _App:
    """A connected application: what it holds, and whether it was told to form."""

    def __init__(
        self, *, formed: bool = True, epid: str = "00:12:4b:00:29:a1:c3:d5", ieee: str = "00:12:4b:00:29:a1:c3:d5", key: bytes = KEY
    ) -> None:
        network = SimpleNamespace(extended_pan_id=t.ExtendedPanId.convert(epid), network_key=SimpleNamespace(key=t.KeyData(key)))
        self.state = SimpleNamespace(network_info=network, node_info=SimpleNamespace(ieee=t.EUI64.convert(ieee)))
        self.devices: dict[Any, Any] = {}
        self.backups = SimpleNamespace(backups=[])
        self.formations = 0
        self._formed = formed

    async def load_network_info(self, *, load_devices: bool) -> None:
        if not self._formed:
            raise NetworkNotFormed

    async def form_network(self) -> None:
        self.formations += 1
        self._formed = True


async def _check(app: _App, files: StateFiles) -> None:
    await check_network(app, files)  # type: ignore[arg-type]


async def _form(app: _App, files: StateFiles) -> bool:
    return await form_where_empty(app, files)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return StateFiles.of(tmp_path, "zigbee0")


@pytest.mark.asyncio
async def test_a_network_is_pinned_at_the_first_attach_and_known_again(files: StateFiles) -> None:
    await _check(_App(), files)
    pin = files.read_pin()
    assert pin == pin_of(_App())  # type: ignore[arg-type]
    assert stat.S_IMODE(files.pin.stat().st_mode) == 0o600
    await _check(_App(), files)
    assert files.read_pin() == pin


@pytest.mark.asyncio
async def test_a_pin_does_not_tell_the_key(files: StateFiles) -> None:
    await _check(_App(), files)
    assert KEY.hex() not in files.pin.read_text().lower().replace(":", "")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"epid": "11:22:33:44:55:66:77:88"}, ["extended PAN id is 11:22:33:44:55:66:77:88 and was 00:12:4b:00:29:a1:c3:d5"]),
        ({"ieee": "11:22:33:44:55:66:77:88"}, ["coordinator address is 11:22:33:44:55:66:77:88"]),
        ({"key": bytes(16)}, ["the network key changed"]),
    ],
    ids=["extended PAN id", "coordinator", "key"],
)
async def test_any_other_network_is_refused_in_words_and_the_pin_stays(files: StateFiles, other: dict[str, Any], words: list[str]) -> None:
    await _check(_App(), files)
    pin = files.read_pin()
    with pytest.raises(WrongNetwork) as refused:
        await _check(_App(**other), files)
    assert all(each in str(refused.value) for each in words)
    assert KEY.hex() not in str(refused.value)
    assert files.read_pin() == pin


@pytest.mark.asyncio
async def test_an_empty_stick_is_formed_only_on_demand(files: StateFiles) -> None:
    app = _App(formed=False)
    with pytest.raises(RadioUnavailable, match="`network: form`"):
        await _check(app, files)
    assert app.formations == 0
    assert await _form(app, files)
    assert app.formations == 1
    await _check(app, files)
    assert files.read_pin() is not None


@pytest.mark.asyncio
async def test_a_network_that_is_there_is_never_formed_anew(files: StateFiles) -> None:
    app = _App()
    assert not await _form(app, files)
    assert app.formations == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("memory", ["pin", "device", "backup"])
async def test_an_empty_stick_is_never_formed_where_we_know_a_network(files: StateFiles, memory: str) -> None:
    app = _App(formed=False)
    if memory == "pin":
        files.write_pin(pin_of(_App()))  # type: ignore[arg-type]
    elif memory == "device":
        app.devices = {0: SimpleNamespace(nwk=0), 1: SimpleNamespace(nwk=0x1234)}
    else:
        app.backups.backups.append(object())
    for way in (_form, _check):
        with pytest.raises(WrongNetwork, match="the coordinator is empty, but"):
            await way(app, files)
    assert app.formations == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"extended_pan_id": "x"}', '{"coordinator": 1, "unknown": 2}', "\x00"])
async def test_a_pin_that_cannot_be_read_is_not_taken_for_none(files: StateFiles, text: str) -> None:
    files.pin.write_text(text)
    with pytest.raises(WrongNetwork, match="is damaged"):
        await _check(_App(), files)
    assert files.pin.read_text() == text


def test_a_pin_survives_the_way_to_disk_and_back(files: StateFiles) -> None:
    pin = Pin(extended_pan_id="a", coordinator="b", key_fingerprint="c")
    files.write_pin(pin)
    assert files.read_pin() == pin
    assert json.loads(files.pin.read_text()) == dataclasses.asdict(pin)
    assert [each.name for each in files.pin.parent.iterdir()] == [files.pin.name], "nothing is left beside it"


def test_a_state_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    files = StateFiles.of(tmp_path / "missing", "zigbee0")
    with pytest.raises(RadioUnavailable, match="cannot be written"):
        files.prepare()
    with pytest.raises(RadioUnavailable, match="cannot be written"):
        files.mark_running()
    with pytest.raises(RadioUnavailable, match="cannot be written"):
        files.write_pin(Pin(extended_pan_id="a", coordinator="b", key_fingerprint="c"))
    files.mark_stopped()


def test_the_database_is_closed_to_others_before_it_holds_anything(files: StateFiles) -> None:
    files.database.touch(mode=0o644)
    files.prepare()
    assert stat.S_IMODE(files.database.stat().st_mode) == 0o600


WAS = Trace(pan_id=0x1A62, channel=15, frame_counter=1_000)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"frame_counter": 5_000}, ""),
        ({"frame_counter": 7}, "its frame counter went back by 993, so devices ignore the coordinator until it has caught up"),
        ({"channel": 20, "pan_id": 0x2222}, "its channel is 20 and was 15, its PAN id is 0x2222 and was 0x1a62"),
    ],
)
def test_what_has_changed_of_the_same_network_is_told(changes: dict[str, int], told: str) -> None:
    assert moved(WAS, dataclasses.replace(WAS, **changes)) == told


def test_where_a_network_was_is_known_over_restarts_and_to_its_owner_only(files: StateFiles) -> None:
    assert files.read_trace() is None
    files.write_trace(WAS)
    assert files.read_trace() == WAS
    assert stat.S_IMODE(files.trace.stat().st_mode) == 0o600
    for damaged in ("", "[]", '{"pan_id": "x"}', '{"pan_id": 1}'):
        files.trace.write_text(damaged)
        assert files.read_trace() is None
