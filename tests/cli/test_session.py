"""Where the daemon is, the token, exit codes, and how quickly a command starts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from otagate.cli import session
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP, PLUG, device
from tests.cli.conftest import at, otagate


@pytest.mark.asyncio
async def test_a_daemon_that_is_not_there_is_exit_3() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        outcome = await otagate("devices", "--url", url)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err == f"otagate: cannot reach the daemon at {url}: Connection refused; is it running?\n"


def test_a_daemon_that_nobody_named_is_looked_for_at_the_socket_of_its_unit_and_then_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTAGATE_TOKEN_FILE", raising=False)
    monkeypatch.setattr(session, "DEFAULT_SOCKET", tmp_path / "otagate.sock")
    assert session.usual_url(None) == "http://127.0.0.1:8377"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "otagate.sock"))
        assert session.usual_url(None) == f"unix:{tmp_path}/otagate.sock"
        assert session.usual_url(tmp_path / "panel.token") == "http://127.0.0.1:8377", "whoever gives a token wants to be known by it"
        monkeypatch.setenv("OTAGATE_TOKEN_FILE", "panel.token")
        assert session.usual_url(None) == "http://127.0.0.1:8377"


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://127.0.0.1:8377", True), ("http://[::1]:8377", True), ("http://localhost", True), ("unix:/run/x.sock", True)]
    + [(each, False) for each in ("http://hub.example.org:8377", "https://192.168.1.5:8377", "http://127.0.0.1.example.org", "http://[::1", "x")],
)
def test_the_token_of_this_machine_is_shown_to_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, shown: bool) -> None:
    monkeypatch.delenv("OTAGATE_TOKEN_FILE", raising=False)
    file = tmp_path / "api-token"
    file.write_text("the-token-of-this-machine")
    monkeypatch.setattr(session, "DEFAULT_TOKEN_FILE", file)
    assert session.read_token(None, url=url) == ("the-token-of-this-machine" if shown else None)
    assert session.read_token(file, url=url) == "the-token-of-this-machine"


@pytest.mark.asyncio
async def test_a_socket_that_is_not_there_is_exit_3(tmp_path: Path) -> None:
    outcome = await otagate("devices", "--url", f"unix:{tmp_path}/none.sock")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["ftp://hub", "hub:8377", "http://", "unix:", "", "http://hub:port"])
async def test_an_address_that_is_none_is_exit_2(url: str) -> None:
    outcome = await otagate("--url", url or "?", "devices")
    assert outcome.code == 2
    assert outcome.err.startswith("otagate: ")


@contextlib.asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[str]:
    """Something else on a port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    ],
)
async def test_something_else_on_the_port_is_exit_3(raw: bytes) -> None:
    async with answering(raw) as url:
        outcome = await otagate("devices", "--url", url)
    assert outcome.code == 3, outcome
    assert outcome.err.startswith("otagate: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.asyncio
async def test_an_answer_of_another_version_is_one_line() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}") as url:
        outcome = await otagate("devices", "--url", url)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1


@pytest.mark.asyncio
async def test_a_wrong_token_is_exit_2_and_says_what_to_do(hall: Hall, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-token-of-this-hub")
    outcome = await otagate("devices", "--url", hall.base, "--token-file", str(wrong))
    assert outcome.code == 2
    assert "does not know the token that it was shown: name the file with --token-file" in outcome.err
    assert "not-the-token" not in outcome.err


@pytest.mark.asyncio
async def test_a_missing_token_is_asked_for(hall: Hall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(session, "DEFAULT_TOKEN_FILE", tmp_path / "none")
    outcome = await otagate("devices", "--url", hall.base)
    assert (outcome.code, "the daemon wants its token: name the file with --token-file" in outcome.err) == (2, True)


@pytest.mark.asyncio
async def test_a_daemon_that_is_asked_for_tls_is_said_to_be_at_http(hall: Hall) -> None:
    url = hall.base.replace("http:", "https:")
    outcome = await otagate("devices", "--url", url)
    assert outcome.code == 3
    assert outcome.err.startswith(f"otagate: no TLS with what answers at {url} (")
    assert outcome.err.endswith("): the daemon itself is at http://\n")


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"two\nlines"])
async def test_an_unusable_token_file_is_exit_2(hall: Hall, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    outcome = await otagate("devices", "--url", hall.base, "--token-file", str(file))
    assert outcome.code == 2
    assert str(file) in outcome.err


@pytest.mark.asyncio
async def test_the_environment_tells_where_the_hub_is(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTAGATE_URL", hall.base)
    monkeypatch.setenv("OTAGATE_TOKEN_FILE", str(hall.settings.token_file))
    assert (await otagate("devices")).code == 0
    assert (await otagate("devices", "--url", "http://127.0.0.1:1")).code == 3


@pytest.mark.asyncio
async def test_options_stand_before_or_after_the_command(hall: Hall) -> None:
    where = ("--url", hall.base, "--token-file", str(hall.settings.token_file))
    assert (await otagate(*where, "--json", "images", "list")).document == {"items": [], "next_cursor": None}
    assert (await otagate("images", "list", *where, "--json")).document == {"items": [], "next_cursor": None}


@pytest.mark.asyncio
async def test_the_unix_socket_needs_no_token(open_hall: Open, tmp_path: Path) -> None:
    await open_hall(listen=(f"unix:{tmp_path}/otagate.sock",))
    outcome = await otagate("check", LAMP, "--json", "--url", f"unix:{tmp_path}/otagate.sock")
    assert outcome.code == 0


@pytest.mark.asyncio
async def test_a_stopping_hub_is_exit_3(hall: Hall) -> None:
    hall.server.drain()
    assert (await at(hall, "update", LAMP)).code == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("arguments", [("nonsense",), ("devices", "--colour"), ("update",), ("device",), ("images",), ("updates", "--limit", "0")])
async def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert (await otagate(*arguments)).code == 2


@pytest.mark.asyncio
async def test_the_version_is_told() -> None:
    outcome = await otagate("--version")
    assert (outcome.code, outcome.out.split()[0]) == (0, "otagate")


def test_a_client_command_loads_no_radio_library_and_no_server() -> None:
    script = "import sys\nfrom otagate.__main__ import main\ntry:\n main()\nexcept SystemExit:\n print(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script, "devices", "--url", "http://127.0.0.1:1"], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "aiohttp" in loaded
    assert loaded.isdisjoint({"zigpy", "bellows", "zigpy_znp", "aiosqlite", "apscheduler", "prometheus_client", "otagate_rig"})
    assert not {name for name in ran.stdout.split() if name.startswith(("otagate.api", "otagate.engine", "otagate.daemon"))}


def test_the_daemon_loads_no_command_beside_those_of_this_machine(tmp_path: Path) -> None:
    script = "import sys\nfrom otagate.__main__ import main\ntry:\n main()\nexcept SystemExit:\n print(*sorted(sys.modules))"
    nowhere = str(tmp_path / "otagate.yaml")
    ran = subprocess.run([sys.executable, "-c", script, "run", "--config", nowhere], capture_output=True, text=True, check=True, timeout=60)
    assert {name for name in ran.stdout.split() if name.startswith("otagate.cli.")} == {
        f"otagate.cli.{each}" for each in ("session", "stops", "system", "words")
    }
    assert f"{nowhere}: cannot be read" in ran.stderr


def test_help_needs_no_http() -> None:
    script = "import sys\nfrom otagate.__main__ import main\ntry:\n main()\nexcept SystemExit:\n print('aiohttp' in sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stderr.strip() == "False"
    assert "permit-join" in ran.stdout


HEEDS_INTERRUPTS = ("env", "--default-signal=INT", sys.executable)
"""A shell makes what it runs in the background deaf to SIGINT, and the tests may run there."""


async def start(hall: Hall, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
    where = ("--url", hall.base, "--token-file", str(hall.settings.token_file))
    pipe = asyncio.subprocess.PIPE
    command = (*HEEDS_INTERRUPTS, "-m", "otagate", *arguments, *where)
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=os.environ | environ)


@pytest.mark.asyncio
async def test_an_interrupted_watch_ends_without_a_traceback(hall: Hall) -> None:
    process = await start(hall, "watch")
    async with asyncio.timeout(60):
        while not hall.desk.readers:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")


@pytest.mark.asyncio
async def test_a_reader_that_has_enough_is_no_error(hall: Hall) -> None:
    for number in range(2000):
        key = f"zigbee-{number:016x}"
        hall.desk.known[key] = device(key)
    read, write = os.pipe()
    where = ("--url", hall.base, "--token-file", str(hall.settings.token_file))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "otagate", "devices", *where, stdout=write, stderr=asyncio.subprocess.PIPE)
    os.close(write)
    os.close(read)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("arguments", [("check-config", "{}"), ("check-config", "{}", "--json")])
def test_output_that_a_full_disk_does_not_take_is_one_line_and_exit_1(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "otagate.yaml"
    file.write_text("state_dir: ./state\n")
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "otagate", *(each.format(file) for each in arguments)]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "otagate: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_an_exit_code_is_the_same_where_nobody_can_be_told_why(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "otagate.yaml"
    file.write_text("state_dir: 5\n")
    command = f"{sys.executable} -m otagate check-config {file} {closed}"
    assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == 78


@pytest.mark.asyncio
async def test_a_terminal_of_another_encoding_shows_a_mark_for_what_it_has_no_sign_for(hall: Hall) -> None:
    hall.desk.known[LAMP] = device(LAMP, "廊下 lamp")
    process = await start(hall, "devices", PYTHONIOENCODING="ascii")
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, err, b"?? lamp" in out) == (0, b"", True)


def test_an_interrupt_while_a_command_is_read_in_ends_it_silently_and_is_never_lost() -> None:
    script = """
import contextlib, os, signal, sys
class Swallows:  # as callbacks of the import system do
    def find_spec(self, name, *_):
        if name == "otagate.cli.app":
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Swallows())
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["otagate", "devices"]
from otagate.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.asyncio
async def test_a_real_process_prints_json_alone(hall: Hall) -> None:
    process = await start(hall, "devices", "--json")
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert {each["id"] for each in json.loads(out)["items"]} == {LAMP, PLUG}


def test_shells_complete_commands() -> None:
    typed = {"_OTAGATE_COMPLETE": "complete_bash", "COMP_WORDS": "otagate h", "COMP_CWORD": "1"}
    words = subprocess.run([sys.executable, "-m", "otagate"], env=os.environ | typed, capture_output=True, text=True, check=False, timeout=60).stdout
    assert sorted(words.split()) == ["halt", "history"]
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # no shell started this one
    command = [sys.executable, "-m", "otagate", "--show-completion", "bash"]
    script = subprocess.run(command, env=os.environ | named, capture_output=True, text=True, check=False, timeout=60).stdout
    assert "_OTAGATE_COMPLETE=complete_bash" in script
