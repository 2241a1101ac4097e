"""What answers on a port is found out with a few bytes, in bounded time, and never on a port that somebody holds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tty
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otagate.radios import holders, probe
from otagate.radios.holders import Holder, holding
from otagate_rig.rig import Rig, Stack

STACKS = pytest.mark.parametrize("stack", ["znp", "ezsp"])
HOLD = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK); print('held', flush=True); sys.stdin.read()"
LOCK = "import fcntl, " + HOLD.removeprefix("import ").replace("print(", "fcntl.flock(fd, fcntl.LOCK_EX); print(")

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def held(path: str, program: str = HOLD) -> AsyncIterator[int]:
    """The port open in another process, whose number this is."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"held\n"
        yield process.pid
    finally:
        process.stdin.close()
        await process.wait()


MAKE = "import os, sys; master, slave = os.openpty(); os.symlink(os.ttyname(slave), sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@contextlib.asynccontextmanager
async def stick(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A pseudo-terminal that answers what it is asked by a script: it stands for sticks that the rig has no emulation of."""
    loop = asyncio.get_running_loop()
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)

    def heard() -> None:
        with contextlib.suppress(OSError):
            os.write(master, answer(os.read(master, 4_096)))

    loop.add_reader(master, heard)
    try:
        yield os.ttyname(slave)
    finally:
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)


@STACKS
@pytest.mark.parametrize("port", ["pty", "tcp"])
async def test_a_coordinator_is_known_by_its_answer(stack: Stack, port: str) -> None:
    async with Rig(stack=stack, devices=[], port=port) as rig:
        found = await probe.probe(rig.path)
        assert (found.asked, found.answers, found.baudrate, found.holders) == (True, stack, 115_200, ())
        again = await probe.probe(rig.path)
        assert again == found


async def test_who_makes_a_port_and_keeps_it_open_does_not_hold_it_but_another_does(tmp_path: Path) -> None:
    port = str(tmp_path / "stick")
    async with held(port, MAKE):
        assert holding(port).holders == ()
        async with held(port) as rival:
            assert [each.pid for each in holding(port).holders] == [rival]


@STACKS
@pytest.mark.parametrize("how", [HOLD, LOCK], ids=["open", "open and locked"])
async def test_a_port_that_somebody_holds_is_not_sent_a_byte(stack: Stack, how: str) -> None:
    async with Rig(stack=stack, devices=[]) as rig:
        before = rig.ncp.counters.bytes_in
        async with held(rig.path, how) as pid:
            found = await probe.probe(rig.path)
        assert (found.asked, found.answers) == (False, None)
        assert [each.pid for each in found.holders] == [pid]
        assert f"(process {pid}) holds it" in found.sentence
        assert rig.ncp.counters.bytes_in == before
        assert (await probe.probe(rig.path)).answers == stack


async def test_a_lock_alone_says_that_a_port_is_held_by_a_program_that_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user who is not root sees of a daemon of another user."""
    monkeypatch.setattr(holders, "_openers", lambda _: (set(), True))
    async with stick(lambda _: b"") as path, held(path, LOCK) as pid:
        found = holding(path)
        assert ([each.pid for each in found.holders], found.blind) == ([pid], True)
    assert holding(path).holders == ()


async def test_a_lock_that_is_seen_only_when_the_port_is_opened_keeps_us_off_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "holding", lambda _: holders.Holding(holders=(), blind=True))
    heard: list[bytes] = []

    def listen(data: bytes) -> bytes:
        heard.append(data)
        return b""

    async with stick(listen) as path, held(path, LOCK):
        found = await probe.probe(path)
        assert (found.asked, found.answers) == (False, None)
        assert "locked" in found.sentence
    assert heard == []


async def test_an_old_programs_lock_file_counts_while_its_process_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(holders, "UUCP_LOCKS", tmp_path)
    async with stick(lambda _: b"") as path:
        lock = tmp_path / f"LCK..{Path(path).name}"
        lock.write_text(f"{os.getppid():10d}\n")
        assert [each.pid for each in holding(path).holders] == [os.getppid()]
        for stale in ("99999999\n", "nonsense", ""):
            lock.write_text(stale)
            assert holding(path).holders == ()


async def test_one_port_under_two_names_has_one_holder(tmp_path: Path) -> None:
    async with stick(lambda _: b"") as path, held(path) as pid:
        (tmp_path / "by-id").symlink_to(path)
        (holder,) = holding(str(tmp_path / "by-id")).holders
        assert holder == Holder(pid=pid, program=holder.program)
        assert "python" in str(holder.program)


ZWAVE = b"\x06\x01\x10\x01\x15Z-Wave 7.18\0\x01\x9b"


def _deconz(request: bytes) -> bytes:
    frame = bytes.fromhex("0d0100090000077826")
    total = (~sum(frame) + 1) & 0xFFFF
    return b"\xc0" + frame + total.to_bytes(2, "little") + b"\xc0" if request.startswith(b"\xc0\x0d") else b""


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (_deconz, "deconz", "firmware 0x26780700"),
        (lambda request: ZWAVE if request == bytes.fromhex("01030015e9") else b"", "zwave", "Z-Wave 7.18"),
    ],
)
async def test_other_sticks_are_known_by_their_answers(answer: Callable[[bytes], bytes], kind: str, words: str) -> None:
    async with stick(answer) as path:
        found = await probe.probe(path)
    assert (found.answers, found.asked) == (kind, True)
    assert words in found.sentence


@pytest.mark.parametrize(
    "noise",
    [b"", b"\xfe\x02\x61\x01\x00\x00\x00", b"\x7e" * 300, b"\xc1\x02\x02\x00\x00\x7e", b"\xc0\x0d\xc0" * 99, bytes(range(256)) * 16, b"login: "],
)
async def test_whatever_else_talks_proves_nothing_and_is_heard_in_bounds(monkeypatch: pytest.MonkeyPatch, noise: bytes) -> None:
    monkeypatch.setattr(probe, "QUESTIONS", tuple(replace(each, seconds=0.05) for each in probe.QUESTIONS))
    async with stick(lambda _: noise) as path, asyncio.timeout(60):
        found = await probe.probe(path)
    assert (found.asked, found.answers) == (True, None)


async def test_a_coordinator_behind_a_socket_that_another_host_drives_is_left_alone() -> None:
    heard = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(bytes.fromhex("fe026101590663"))  # the answer to somebody else's ping
        heard += await reader.read()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        found = await probe.probe(f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert (found.asked, found.answers) == (False, None)
    assert "another program drives" in found.sentence
    assert heard == b""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev/serial/by-id/none", "does not exist"),
        ("socket://127.0.0.1:1", "cannot be reached"),
        ("/dev/null", ""),
        ("socket://127.0.0.1:99999", "is no address: write socket://host:port"),
        ("socket://127.0.0..1:6638", "is no address"),
        ("socket://[::1:6638", "is no address"),
        ("socket://bridge", "is no address"),
        ("gopher://bridge:70", "gopher"),
    ],
)
async def test_a_path_that_cannot_be_asked_says_why(path: str, words: str) -> None:
    async with asyncio.timeout(60):
        found = await probe.probe(path)
    assert (found.asked, found.answers) == (False, None)
    assert words in found.sentence


async def test_a_user_outside_of_the_group_is_told_which() -> None:
    assert "dialout" in probe._unopened(PermissionError(13, "Permission denied"))


async def test_what_was_found_is_a_line_of_the_configuration_where_the_hub_drives_it() -> None:
    found = probe.Finding(asked=True, sentence="", answers="ezsp", baudrate=460_800)
    assert probe.configuration("/dev/x", found, name="zigbee1") == "  - name: zigbee1\n    type: ezsp\n    path: /dev/x\n    baudrate: 460800"
    assert probe.configuration("/dev/x", probe.Finding(asked=True, sentence="", answers="zwave")) is None
    assert probe.configuration("/dev/x", probe.Finding(asked=True, sentence="")) is None
