"""The commands that take a stick and give it back: real processes, bounded in every way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otagate.model.errors import RadioUnavailable
from otagate.radios.handover import LeasedStick, _settle, run_command
from tests.virtual_time import NOON

KEY = "hand_over.take"
LONG = 60.0


async def refusal(*command: str, within: float = LONG) -> str:
    with pytest.raises(RadioUnavailable) as refused:
        await run_command(command, key=KEY, within=within)
    return str(refused.value)


@pytest.mark.asyncio
async def test_a_command_runs_without_a_shell_and_with_little_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTAGATE_SECRET_OF_OURS", "hush")
    there = tmp_path / "$(id); there"
    code = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(repr(sorted(os.environ)))"
    await run_command([sys.executable, "-c", code, str(there)], key=KEY, within=LONG)
    assert "PATH" in there.read_text()
    assert "OTAGATE" not in there.read_text()


@pytest.mark.asyncio
async def test_a_command_that_fails_is_told_with_its_last_complaint_and_without_itself() -> None:
    assert await refusal("sh", "-c", "echo nothing; exit 3", "token=hush") == "hand_over.take failed with status 3"
    told = await refusal("sh", "-c", "echo first >&2; printf 'Access\\tdenied\\n' >&2; exit 1", "token=hush")
    assert told == "hand_over.take failed with status 1: Access denied"


@pytest.mark.asyncio
async def test_a_command_that_does_not_exist_is_told() -> None:
    assert await refusal("/nowhere/stop-it", "token=hush") == "hand_over.take cannot be run: No such file or directory"


@pytest.mark.asyncio
async def test_a_command_may_write_without_end_and_little_of_it_is_kept() -> None:
    code = "import sys\nfor _ in range(40): sys.stderr.write('x' * 100_000); sys.stdout.write('y' * 100_000)\nsys.exit(1)"
    assert await refusal(sys.executable, "-c", code) == f"hand_over.take failed with status 1: {'x' * 160}"


@pytest.mark.asyncio
async def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    assert await refusal("sh", "-c", f"sleep 1000 & echo $! > {pid}; wait", within=1.0) == "hand_over.take was not done within 1 s"
    await _ended(int(pid.read_text()))


@pytest.mark.asyncio
async def test_a_command_is_killed_with_its_children_when_the_hub_stops(tmp_path: Path) -> None:
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_command(["sh", "-c", f"sleep 1000 & echo $! > {pipe}; wait"], key=KEY, within=LONG))
        child = int(await asyncio.to_thread(pipe.read_text))
        running.cancel()
    await _ended(child)


async def _ended(pid: int) -> None:
    """A process is gone, or waits for its parent to take note."""
    async with asyncio.timeout(LONG):
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stick(folder: Path, *, take: str = "true", give_back: str = "true") -> LeasedStick:
    return LeasedStick(take=["sh", "-c", take], give_back=["sh", "-c", give_back], lease=folder / "lease.json", now=lambda: NOON)


@pytest.mark.asyncio
async def test_the_lease_is_on_disk_before_the_stick_is_taken_and_until_it_was_given_back(tmp_path: Path) -> None:
    there = f"test -s {tmp_path / 'lease.json'}"
    shared = stick(tmp_path, take=there, give_back=there)
    assert not shared.owed
    await shared.take()
    assert shared.owed
    assert stick(tmp_path).owed, "the next life of the hub must know"
    assert (tmp_path / "lease.json").stat().st_mode & 0o777 == 0o600
    await shared.give_back()
    assert not shared.owed


@pytest.mark.asyncio
async def test_what_was_perhaps_taken_and_what_was_not_given_back_is_owed(tmp_path: Path) -> None:
    failing = stick(tmp_path, take="false", give_back="false")
    for deed in (failing.take, failing.give_back):
        with pytest.raises(RadioUnavailable, match="failed with status 1"):
            await deed()
        assert failing.owed


@pytest.mark.asyncio
async def test_nothing_is_taken_where_no_lease_can_be_written(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    shared = LeasedStick(take=["touch", str(taken)], give_back=["true"], lease=tmp_path / "gone" / "lease.json", now=lambda: NOON)
    with pytest.raises(RadioUnavailable, match="without it nobody would know whose stick it is"):
        await shared.take()
    assert not taken.exists()


class _Hanging:
    """Stands for a process that hangs in the kernel (a stick that does not answer): SIGKILL ends it when the kernel lets go of it, if ever."""

    pid = 2**22 + 1  # above what Linux gives, so nobody is killed

    def poll(self) -> None:
        """It runs."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            raise AssertionError("the hub would stand still for ever")
        raise subprocess.TimeoutExpired("take", timeout)


def test_a_command_that_hangs_in_the_kernel_does_not_hold_the_hub_up() -> None:
    assert _settle(_Hanging()) == -signal.SIGKILL  # type: ignore[arg-type]
