"""The console of a device: what it prints is waited for, and what it must never print is never missed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hil.console import MOST_KEPT, Console, ConsoleError, ConsoleGone, Forbidden, open_console
from hil.emulated import FakePort, fake_port
from hil.rigfile import ConsoleSettings

BOUND = 60.0


@pytest.fixture
def device() -> Iterator[FakePort]:
    with fake_port() as port:
        yield port


def settings(device: FakePort, **more: object) -> ConsoleSettings:
    return ConsoleSettings.model_validate({"path": device.path, **more})


@pytest.mark.asyncio
async def test_what_is_expected_may_come_in_pieces_and_each_expect_goes_on_after_the_last(device: FakePort) -> None:
    async with open_console("plug", settings(device)) as console:
        device.says(b"boot 1\r\nfirm")
        assert (await console.expect(r"boot (\d)", BOUND))[1] == "1"
        device.says(b"ware \xe2\x82")
        device.says(b"\xac 7\r\nboot 2\r\n")
        assert (await console.expect(r"firmware € (\d)", BOUND))[1] == "7"
        assert (await console.expect(r"^boot (\d)", BOUND))[1] == "2"
        with pytest.raises(ConsoleError, match=r"plug did not print 'boot' within 0 s"):
            await console.expect("boot", 0)


@pytest.mark.asyncio
async def test_the_error_shows_what_was_printed_instead(device: FakePort) -> None:
    async with open_console("plug", settings(device)) as console:
        device.says(b"waiting in the boot loader\r\n")
        await console.expect("waiting", BOUND)
        with pytest.raises(ConsoleError, match="in the boot loader"):
            await console.expect("firmware", 0)


@pytest.mark.asyncio
async def test_what_is_forgotten_is_not_expected_again(device: FakePort) -> None:
    async with open_console("plug", settings(device)) as console:
        device.says(b"firmware 1\r\nend\r\n")
        await console.expect("firmware 1", BOUND)
        device.says(b"firmware 1 again\r\nlast\r\n")
        while "last" not in console.transcript:
            await console.expect("\n", BOUND)
        console.forget()
        with pytest.raises(ConsoleError):
            await console.expect("firmware", 0)


@pytest.mark.asyncio
async def test_a_forbidden_line_ends_an_expect_at_once_even_without_its_end(device: FakePort) -> None:
    async def story() -> None:
        async with asyncio.timeout(BOUND), open_console("plug", settings(device, forbid=["Hard.ault"])) as console:
            device.says(b"ok\r\nHard")
            await console.expect("Hard", BOUND)
            device.says(b"Fault at 0")
            await console.expect("never", 3600)

    with pytest.raises(Forbidden, match=r"plug printed 'HardFault at 0', which 'Hard\.ault' forbids"):
        await story()


@pytest.mark.asyncio
async def test_a_forbidden_line_breaks_off_whatever_is_watched(device: FakePort) -> None:
    async def story() -> None:
        async with asyncio.timeout(BOUND), open_console("plug", settings(device)) as console:
            console.forbid("HardFault")
            async with console.watched():
                device.says(b"HardFault\r\n")
                await asyncio.Event().wait()

    with pytest.raises(Forbidden):
        await story()


@pytest.mark.asyncio
async def test_a_forbidden_line_that_nobody_waited_for_fails_at_the_end(device: FakePort) -> None:
    async def story() -> None:
        async with asyncio.timeout(BOUND), open_console("plug", settings(device, forbid=["HardFault"])) as console:
            device.says(b"HardFault\r\nend\r\n")
            while "end" not in console.transcript:
                await asyncio.sleep(0)

    with pytest.raises(Forbidden):
        await story()


@pytest.mark.asyncio
async def test_forbidding_looks_back_at_what_is_kept(device: FakePort) -> None:
    async def story() -> None:
        async with asyncio.timeout(BOUND), open_console("plug", settings(device)) as console:
            device.says(b"assert failed\r\nready\r\n")
            while "ready" not in console.transcript:
                await asyncio.sleep(0)
            console.forbid("assert")

    with pytest.raises(Forbidden):
        await story()


@pytest.mark.asyncio
async def test_a_watch_ends_with_its_block_and_other_timeouts_stay_what_they_are(device: FakePort) -> None:
    async with open_console("plug", settings(device)) as console:
        async with console.watched():
            pass
        with pytest.raises(TimeoutError):
            async with console.watched(), asyncio.timeout(0):
                await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_a_console_that_is_pulled_out_is_told(device: FakePort) -> None:
    async def story() -> None:
        async with asyncio.timeout(BOUND), open_console("plug", settings(device)) as console:
            device.says(b"boot")
            await console.expect("boot", BOUND)
            device.vanish()
            await console.expect("never", 3600)

    with pytest.raises(ConsoleGone, match="the console of plug has gone"):
        await story()


@pytest.mark.asyncio
async def test_a_console_that_is_not_there_and_one_that_another_has_are_told(device: FakePort) -> None:
    with pytest.raises(ConsoleGone, match="cannot be opened"):
        async with open_console("plug", ConsoleSettings(path="/dev/none-such")):
            pass
    async with open_console("plug", settings(device)):
        with pytest.raises(ConsoleGone, match="cannot be opened"):
            async with open_console("plug", settings(device)):
                pass


@pytest.mark.asyncio
async def test_what_a_test_types_reaches_the_device(device: FakePort) -> None:
    heard = asyncio.Event()
    device.hear(lambda received: heard.set() if received == b"reset\r\n" else None)
    async with asyncio.timeout(BOUND), open_console("plug", settings(device)) as console:
        console.write("reset\r\n")
        await heard.wait()


@pytest.mark.asyncio
async def test_a_console_over_the_network_is_a_console_too() -> None:
    async def printing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"boot " + await reader.readline())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(printing, "127.0.0.1", 0)
    async with server, asyncio.timeout(BOUND):
        port = server.sockets[0].getsockname()[1]
        async with open_console("plug", ConsoleSettings(path=f"socket://127.0.0.1:{port}")) as console:
            console.write("now\n")
            await console.expect("boot now", BOUND)


def test_a_device_that_prints_without_end_costs_no_more_than_what_is_kept_and_nothing_forbidden_is_missed() -> None:
    console = Console("plug", ["HardFault"])
    noise = os.urandom(1 << 12).translate(bytes(range(0x41, 0x5B)) * 9 + bytes(range(0x41, 0x57)))
    for _ in range(2 * MOST_KEPT // len(noise)):
        console.data_received(noise)
    assert len(console.transcript) == MOST_KEPT
    console.data_received(b"Hard")
    console.data_received(b"Fault")
    with pytest.raises(Forbidden):
        console.check()
