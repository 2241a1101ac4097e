"""The pytest plugin: the bench of a rig file as fixtures. Without a rig file every test that wants one is skipped.

`--rig FILE`, or OTAGATE_RIG in the environment, names the bench; `--soak ROUNDS` asks for the long tests.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from hil import rigfile
from hil.console import Console, open_console
from hil.hub import Hub, open_hub
from hil.record import recorded
from hil.relay import Relay, open_relay
from hil.rigfile import DeviceUnderTest, Rig, RigFileError
from hil.tap import TAPS

NO_RIG = "no rig: name one with --rig FILE or OTAGATE_RIG"
_RIG = pytest.StashKey[Rig | None]()
_LOG = pytest.StashKey[Path]()
_CONSOLE = pytest.StashKey[Console]()
_LOG_LINES = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("otagate", "firmware updates on real hardware")
    group.addoption("--rig", metavar="FILE", default=os.environ.get("OTAGATE_RIG") or None, help="the bench; default: OTAGATE_RIG")
    group.addoption("--record", metavar="FOLDER", type=Path, help="write what is said about firmware in each test to a trace in this folder")
    group.addoption(
        "--record-without-firmware", action="store_true", help="the same with zeros for the bytes of images, for traces that others may have"
    )
    group.addoption("--soak", metavar="ROUNDS", type=int, default=0, help="also run the tests marked soak, with so many round trips each")


def pytest_configure(config: pytest.Config) -> None:
    """Read the rig file; one that is wrong ends the run before anything is opened."""
    config.addinivalue_line("markers", "soak: round trip after round trip; run with --soak ROUNDS only")
    named = config.getoption("rig")
    try:
        config.stash[_RIG] = None if named is None else rigfile.load(Path(named))
    except RigFileError as error:
        raise pytest.UsageError(f"the rig file cannot be used:\n{error}") from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is about to be updated."""
    rig = config.stash[_RIG]
    if rig is None:
        return None
    return f"rig: {rig.stick.type} on {rig.stick.where}; may update {', '.join(f'{each.name} ({each.id})' for each in rig.devices)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a `device` runs once for each device of the rig file."""
    if "device" not in metafunc.fixturenames:
        return
    rig = metafunc.config.stash[_RIG]
    if rig is None:
        metafunc.parametrize("device", [pytest.param(None, id="no-rig", marks=pytest.mark.skip(reason=NO_RIG))], indirect=True)
    else:
        metafunc.parametrize("device", rig.devices, ids=[each.name for each in rig.devices], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip soak tests that nobody asked for, and lift the time limit of unit tests: here every wait has the bound of the rig file."""
    unasked = pytest.mark.skip(reason="long: ask for it with --soak ROUNDS")
    for item in items:
        if "hub" in getattr(item, "fixturenames", ()) and config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(0))
        if item.get_closest_marker("soak") is not None and not config.getoption("soak"):
            item.add_marker(unasked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Show what the hub logged and what the device printed beside a failure, and in a JUnit file that takes logs."""
    if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
        return
    if _LOG in item.stash and item.stash[_LOG].exists():
        tail = item.stash[_LOG].read_text(errors="replace").splitlines()[-_LOG_LINES:]
        item.add_report_section(call.when, f"log of the hub, the end of {item.stash[_LOG]}, at", "\n".join(tail))
    if _CONSOLE in item.stash:
        item.add_report_section(call.when, "log of the device's console at", "\n".join(item.stash[_CONSOLE].transcript.splitlines()[-_LOG_LINES:]))


# --- fixtures -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rig(pytestconfig: pytest.Config) -> Rig:
    """What the rig file says."""
    found = pytestconfig.stash[_RIG]
    if found is None:
        pytest.skip(NO_RIG)
    return found


@pytest.fixture
def device(request: pytest.FixtureRequest) -> DeviceUnderTest:
    """One device of the rig file; the test runs once for each."""
    found: DeviceUnderTest = request.param
    return found


@pytest.fixture
def soak_rounds(pytestconfig: pytest.Config) -> int:
    """How many round trips a soak test makes."""
    return int(pytestconfig.getoption("soak"))


@pytest_asyncio.fixture
async def hub(rig: Rig, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Hub]:
    """A daemon on the rig's stick with an empty store, up and running; only devices of the rig file can be ordered to update."""
    request.node.stash[_LOG] = tmp_path / "daemon.log"
    folder: Path | None = request.config.getoption("record")
    async with AsyncExitStack() as opened:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            firmware = not request.config.getoption("record_without_firmware")
            rig = await opened.enter_async_context(_recording(rig, folder / f"{request.node.name}.jsonl", firmware=firmware))
        yield await opened.enter_async_context(open_hub(rig, tmp_path))


@asynccontextmanager
async def _recording(rig: Rig, trace: Path, *, firmware: bool) -> AsyncIterator[Rig]:
    """The rig with a recorder in the line of its stick."""
    stick = rig.stick
    if stick.type not in TAPS:
        pytest.skip(f"nothing is known here that listens on a stick of type {stick.type}")
    with TemporaryDirectory(prefix="otagate-hil-") as folder:
        link = Path(folder, "stick")
        async with recorded(stick.type, stick.path or "", link=link, trace=trace, baudrate=stick.baudrate or 115_200, firmware=firmware):
            yield rig.model_copy(update={"stick": stick.model_copy(update={"path": str(link)})})


@pytest_asyncio.fixture
async def any_console(device: DeviceUnderTest, request: pytest.FixtureRequest) -> AsyncIterator[Console | None]:
    """The console of the device, or None where the rig file names none. What it must not print fails the test."""
    if device.console is None:
        yield None
        return
    async with open_console(device.name, device.console) as console:
        request.node.stash[_CONSOLE] = console
        yield console


@pytest.fixture
def console(any_console: Console | None, device: DeviceUnderTest) -> Console:
    """The console of the device; the test is skipped where the rig file names none."""
    if any_console is None:
        pytest.skip(f"the rig file names no console of {device.name}")
    return any_console


@pytest_asyncio.fixture
async def relay(device: DeviceUnderTest) -> AsyncIterator[Relay]:
    """The power of the device; the test is skipped where the rig file names none."""
    if device.power is None:
        pytest.skip(f"the rig file names no power of {device.name}")
    async with open_relay(device.power) as found:
        yield found


@pytest_asyncio.fixture
async def plug(rig: Rig, pytestconfig: pytest.Config) -> AsyncIterator[Relay]:
    """The plug of the coordinator; the test is skipped where the rig file names none."""
    if rig.stick.power is None:
        pytest.skip("the rig file names no power of the stick")
    if pytestconfig.getoption("record") is not None:
        pytest.skip("the recorder ends with the stick: run this test without --record")
    async with open_relay(rig.stick.power) as found:
        yield found
