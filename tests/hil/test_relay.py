"""Relays: by a program and by bytes on a serial port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hil.emulated import fake_port
from hil.relay import RelayError, open_relay
from hil.rigfile import CommandSwitch, SerialSwitch

from hil import relay as relays

BOUND = 60.0


def by_command(off: str, on: str = "pass") -> CommandSwitch:
    return CommandSwitch(type="command", off=(sys.executable, "-c", off), on=(sys.executable, "-c", on))


@pytest.mark.asyncio
async def test_a_relay_board_gets_exactly_its_bytes_and_the_power_is_back_at_the_end() -> None:
    with fake_port() as board:
        told: asyncio.Queue[bytes] = asyncio.Queue()
        board.hear(told.put_nowait)
        async with asyncio.timeout(BOUND), open_relay(SerialSwitch(type="serial", path=board.path, off="\xa0\x00\n", on="\xff\r")) as relay:
            await relay.off()
            assert relay.is_off
            while await told.get() != b"\xa0\x00\n":
                pass
        async with asyncio.timeout(BOUND):
            while await told.get() != b"\xa0\x00\n\xff\r":
                pass


@pytest.mark.asyncio
async def test_a_program_switches_and_is_not_read_by_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "a b; $HOME"
    switch = CommandSwitch(type="command", off=("touch", str(mark)), on=("rm", str(mark)))
    async with open_relay(switch) as relay:
        await relay.cut(0)
        assert not mark.exists()
        await relay.off()
        assert mark.exists()
    assert not mark.exists()


@pytest.mark.asyncio
async def test_a_relay_that_was_not_used_is_left_as_it_was() -> None:
    async with open_relay(by_command("pass", on="raise SystemExit('should not run')")):
        pass


@pytest.mark.asyncio
async def test_a_program_that_fails_is_told_with_what_it_said() -> None:
    async with open_relay(by_command("raise SystemExit('no such port')")) as relay:
        with pytest.raises(RelayError, match="ended with 1: no such port"):
            await relay.off()


@pytest.mark.asyncio
async def test_a_program_that_is_missing_or_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_relay(CommandSwitch(type="command", off=("none-such",), on=("true",))) as relay:
        with pytest.raises(RelayError, match="none-such cannot be run"):
            await relay.off()
    async with open_relay(by_command("import time; time.sleep(600)")) as relay:
        monkeypatch.setattr(relays, "COMMAND_BOUND", 0.1)
        async with asyncio.timeout(BOUND):
            with pytest.raises(RelayError, match="did not end within"):
                await relay.off()
        monkeypatch.undo()


@pytest.mark.asyncio
async def test_a_board_that_is_not_there_or_was_pulled_out_is_told() -> None:
    with pytest.raises(RelayError, match="cannot be opened"):
        async with open_relay(SerialSwitch(type="serial", path="/dev/none-such", off="0", on="1")):
            pass

    async def story() -> None:
        with fake_port() as board:
            async with asyncio.timeout(BOUND), open_relay(SerialSwitch(type="serial", path=board.path, off="0", on="1")) as relay:
                board.vanish()
                while True:
                    await relay.off()
                    await asyncio.sleep(0)

    with pytest.raises(RelayError, match="has gone"):
        await story()
