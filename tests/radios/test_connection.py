"""When a line that somebody else wants is left to them."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zigpy.types as t

from otagate.model.errors import PortHeld, RadioError, RadioInUse, RadioUnavailable
from otagate.model.ids import RadioName
from otagate.radios import attach
from otagate.radios import connection as connections
from otagate.radios.attach import StateFiles, pin_of
from otagate.radios.connection import Connection, ZigbeeSettings
from otagate.radios.listening import LineCut


class _Clock:
    """Goes on by `step` seconds with every look."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds


async def _ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch, found: RadioError, *, count: int, path: str, step: float = 1.0
) -> list[type[RadioError]]:
    """How a radio's first look ends so many times, each time with what was found."""

    async def require_free(*_: object, **__: object) -> None:
        raise found

    monkeypatch.setattr(connections, "require_free", require_free)
    settings = ZigbeeSettings(name=RadioName("zigbee0"), type="znp", path=path)
    connection = Connection(settings, StateFiles.of(folder, "zigbee0"), _Clock(step), lambda _: None)  # type: ignore[arg-type]
    ends = []
    for _ in range(count):
        with pytest.raises(RadioError) as ended:
            await connection.listen()
        ends.append(type(ended.value))
    return ends


@pytest.mark.asyncio
async def test_a_bridge_that_turns_us_away_is_tried_ten_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = await _ends(tmp_path, monkeypatch, PortHeld("turns us away"), count=20, path="socket://bridge:6638")
    assert ends == [*[PortHeld] * 9, RadioInUse] * 2


@pytest.mark.asyncio
async def test_a_serial_port_that_somebody_holds_is_looked_at_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(await _ends(tmp_path, monkeypatch, PortHeld("held"), count=50, path="/dev/ttyACM0")) == {PortHeld}


@pytest.mark.asyncio
@pytest.mark.parametrize(("step", "ends"), [(20.0, [LineCut, LineCut, RadioInUse, LineCut]), (40.0, [LineCut] * 4)])
async def test_a_line_that_is_cut_three_times_in_a_minute_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float, ends: list[type[RadioError]]
) -> None:
    assert await _ends(tmp_path, monkeypatch, LineCut("was closed"), count=4, path="socket://bridge:6638", step=step) == ends


@pytest.mark.asyncio
async def test_a_bridge_that_is_not_there_is_none_that_somebody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = RadioUnavailable("no route to the bridge")
    assert set(await _ends(tmp_path, monkeypatch, found, count=50, path="socket://bridge:6638")) == {RadioUnavailable}


class _App:
    """A coordinator that holds a network."""

    def __init__(self) -> None:
        key = SimpleNamespace(key=t.KeyData(bytes(16)), tx_counter=5)
        network = SimpleNamespace(extended_pan_id=t.ExtendedPanId(bytes(8)), network_key=key, pan_id=0x1A62, channel=15)
        self.state = SimpleNamespace(network_info=network, node_info=SimpleNamespace(ieee=t.EUI64(bytes(8))))
        self.backups = SimpleNamespace(backups=[])
        self.devices: dict[Any, Any] = {}
        self.runs = False

    async def connect(self) -> None:
        """There is nothing to open."""

    async def load_network_info(self, *, load_devices: bool) -> None:
        """It is known."""

    async def initialize(self, *, auto_form: bool) -> None:
        self.runs = True

    async def shutdown(self) -> None:
        self.runs = False


async def _started(folder: Path, monkeypatch: pytest.MonkeyPatch, app: _App, *, lent: bool = False) -> Connection:
    files = StateFiles.of(folder, "zigbee0")

    async def load(*_: object) -> _App:
        return app

    monkeypatch.setattr(connections.stacks, "load", load)
    for where, name in ((connections, "silence"), (connections, "bound_floods"), (connections.stacks, "watch_resets")):
        monkeypatch.setattr(where, name, lambda *_: None)
    files.prepare()
    if files.read_pin() is None:
        files.write_pin(pin_of(app))  # type: ignore[arg-type]
    settings = ZigbeeSettings(name=RadioName("zigbee0"), type="deconz", path="/nowhere", lent=lent)
    connection = Connection(settings, files, _Clock(1.0), lambda _: None)  # type: ignore[arg-type]
    await connection.load()
    await connection.start()
    return connection


@pytest.mark.asyncio
async def test_a_disk_that_does_not_take_where_the_network_was_keeps_no_radio_from_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _App()
    StateFiles.of(tmp_path, "zigbee0").write_pin(pin_of(app))  # type: ignore[arg-type]
    monkeypatch.setattr(attach, "write_durably", _full)
    await _started(tmp_path, monkeypatch, app)
    assert app.runs


@pytest.mark.asyncio
async def test_a_borrowed_line_is_closed_though_the_file_of_its_network_was_damaged_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _App()
    connection = await _started(tmp_path, monkeypatch, app, lent=True)
    StateFiles.of(tmp_path, "zigbee0").pin.write_text("{")
    await connection.close()
    assert not app.runs


@pytest.mark.asyncio
async def test_a_line_that_cannot_be_let_go_of_quietly_is_closed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def let_go(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    app = _App()
    connection = await _started(tmp_path, monkeypatch, app)
    monkeypatch.setattr(connections.stacks, "let_go", let_go)
    connection.lose(OSError(errno.EIO, "Input/output error"))
    await connection.close()
    assert not app.runs


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.asyncio
@pytest.mark.parametrize("stop", [True, False])
async def test_a_line_that_does_not_close_keeps_neither_the_database_open_nor_the_process_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: bool
) -> None:
    """A bridge whose cable was pulled takes no byte any more, so what is still to be written never leaves."""
    monkeypatch.setattr(connections, "_CLOSE_BOUND", 0.2)
    before = set(threading.enumerate())
    files = StateFiles.of(tmp_path, "zigbee0")
    app = await connections.stacks.load("ezsp", connections.stacks.zigpy_config("ezsp", path="/nowhere", database=files.database))
    database = [each for each in threading.enumerate() if each not in before and not each.name.startswith("asyncio_")]
    assert database, "zigpy keeps its database in a thread of its own"
    monkeypatch.setattr(app, "disconnect", asyncio.Event().wait)
    settings = ZigbeeSettings(name=RadioName("zigbee0"), type="ezsp", path="/nowhere")
    connection = Connection(settings, files, _Clock(1.0), lambda _: None)  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        assert not await connection._shut(app, stop=stop), "it was not stopped in time"
        while any(each.is_alive() for each in database):
            await asyncio.sleep(0.01)
