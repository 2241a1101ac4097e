"""What README.md tells its reader to type does what it says: every line is taken from there and run against a hub on simulated hardware."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import otagate
from tests.journeys import readme
from tests.journeys.hub import Journey, image_of, journey, told

IMAGE = image_of(2_000)
WITHIN = 60.0
WATCHED = "cli/test_session.py::test_an_interrupted_watch_ends_without_a_traceback"


@asynccontextmanager
async def hub_of_the_reader(folder: Path) -> AsyncIterator[Journey]:
    """The radio and the lamp that the README speaks of, and its image in the folder where the reader types."""
    (folder / "lamp.zigbee").write_bytes(IMAGE)
    async with journey(folder, images=[IMAGE], stored=[]) as run:
        await told(run.desk)
        yield run


def _curl() -> str:
    """Why curl's lines cannot be run here, or nothing."""
    if shutil.which("curl") is None:
        return "there is no curl"
    said = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(each) for each in re.findall(r"\d+", said)[:2])
    return "" if version >= (7, 82) else f"curl {version} does not know --json"


@pytest.mark.asyncio
@pytest.mark.skipif(bool(_curl()), reason=_curl())
async def test_every_line_of_the_api_section_is_answered(tmp_path: Path) -> None:
    first, *lines = readme.block("The API")
    assert first.startswith("TOKEN=")
    assert all(line.startswith("curl ") for line in lines)
    async with hub_of_the_reader(tmp_path) as run:
        base, token = run.hub.server.addresses[0], tmp_path / "state" / "api-token"
        here = first.replace("sudo cat /var/lib/otagate/api-token", f"cat {token}").replace("http://127.0.0.1:8377", base)
        assert here.count(base) == here.count(str(token)) == 1
        answers = {}
        for line in lines:
            endless = line.startswith("curl -sN")
            typed = line.replace("http://127.0.0.1:8377", base).replace("curl ", "curl --max-time 2 " if endless else "curl -w '\\n%{http_code}' ", 1)
            answers[line] = await typed_in(tmp_path, f"{here}; {typed}", ends=28 if endless else 0)
    wrong = {}
    for line, said in answers.items():
        body, _, status = said.rpartition("\n")
        if line.startswith("curl -sN"):
            if "event: update" not in said:
                wrong[line] = said
        elif "format=csv" in line:
            if (status, said.partition(",")[0]) != ("200", "update"):
                wrong[line] = said
        elif not status.startswith("2") or (status != "204" and not isinstance(json.loads(body), dict)):
            wrong[line] = said
    assert wrong == {}
    bodies = {line: said.rpartition("\n")[0] for line, said in answers.items()}
    made = {
        word: len(json.loads(body)["updates"])
        for line, body in bodies.items()
        for word in ("dry_run", "7f3c")
        if word in line and line.endswith("/updates")
    }
    assert made == {"dry_run": 1, "7f3c": 1}


async def typed_in(folder: Path, line: str, *, ends: int) -> str:
    """What a line prints that is typed into a shell."""
    process = await asyncio.create_subprocess_exec("bash", "-uc", line, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(WITHIN):
        out, err = await process.communicate()
    assert process.returncode == ends, (line, out, err)
    return out.decode()


@pytest.mark.asyncio
async def test_every_command_for_a_real_stick_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = readme.block("With a real stick", 3)
    assert all(line.startswith("otagate ") for line in lines)
    lines.remove("otagate watch")  # it has no end: `WATCHED` interrupts it
    assert readme.exists(WATCHED)
    async with hub_of_the_reader(tmp_path) as run:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OTAGATE_URL", run.hub.server.addresses[0])
        monkeypatch.setenv("OTAGATE_TOKEN_FILE", str(tmp_path / "state" / "api-token"))
        said = {}
        for line in lines:
            outcome = await otagate(*shlex.split(line)[1:])
            assert outcome.code == 0 or line == "otagate doctor", (line, outcome)
            said[line] = outcome.out
    for line, words in {
        "otagate radios": "channel 15",
        "otagate permit-join zigbee0": "zigbee0 takes new devices",
        "otagate devices": "0x01000000",
        "otagate plan": "0x01000001",
        "otagate update zigbee-000d6f000a9069e7 --wait": "succeeded",
        "otagate history --since 7d": "Hall lamp",
        "otagate verify-report otagate-report-2026-05.html": "as it was signed",
        'otagate halt --because "a lamp smells"': "a lamp smells",
        "otagate backup zigbee0": "state/backups/zigbee0-",
        "otagate doctor": "zigbee0",
    }.items():
        assert words in said[line], (line, said[line])


@pytest.mark.asyncio
async def test_the_configuration_for_a_real_stick_is_right(tmp_path: Path) -> None:
    (tmp_path / "otagate.yaml").write_text("\n".join(readme.block("With a real stick", 1)) + "\n")
    outcome = await otagate("check-config", str(tmp_path / "otagate.yaml"))
    assert (outcome.code, outcome.err) == (0, "")
    assert "usb-YOUR_STICK-if00" in outcome.out


def test_every_file_that_the_service_needs_is_there() -> None:
    named = set(re.findall(r"(?<=\s)(?:systemd|config)/[\w.-]+", "\n".join(readme.block("As a service on Raspberry Pi OS (64-bit)"))))
    assert len(named) == 3
    assert [each for each in named if not (readme.ROOT / each).is_file()] == []


ROOT_ALONE = "it changes the system for all users: the files that it names are checked by tests/house/test_systemd.py"
ELSEWHERE = {
    "make demo": "cli/test_demo.py::test_the_demo_updates_zigbee_and_zwave_devices_side_by_side_refuses_one_with_its_reason_and_exits_with_0",
    "make test": "it is what runs this",
    "python3 -m venv ~/otagate && ~/otagate/bin/pip install .": "make itself does the same in .venv, before any test",
    "~/otagate/bin/otagate check-config otagate.yaml": "journeys/test_readme_commands.py::test_the_configuration_for_a_real_stick_is_right",
    "~/otagate/bin/otagate run --config otagate.yaml": "cli/test_system.py::test_the_daemon_serves_until_it_is_told_to_stop",
    "otagate watch": WATCHED,
    "otagate adopt zigbee0 /opt/zigbee2mqtt/data --from z2m --config otagate.yaml --dry-run": (
        "cli/test_adopt.py::test_a_dry_run_tells_the_same_and_changes_nothing"
    ),
    "otagate adopt zigbee0 /opt/zigbee2mqtt/data --from z2m --config otagate.yaml": (
        "cli/test_adopt.py::test_what_was_taken_over_is_shown_with_what_was_not"
    ),
    "otagate adopt zigbee0 /config/zigbee.db --from zha --config otagate.yaml": (
        "cli/test_adopt.py::test_zha_is_read_with_what_stands_in_its_log_only"
    ),
    "otagate mirror serve --listen 0.0.0.0:8380 --address http://hub.local:8380": (
        "journeys/test_mirror.py::test_what_policy_allows_is_offered_by_the_command_in_another_programs_format"
    ),
    "otagate reattach zigbee0": "journeys/test_lent.py::test_the_stick_is_borrowed_for_an_update_and_its_owner_finds_its_network_as_it_was",
    "sudo install -m 0644 systemd/otagate-borrows-*.service /etc/systemd/system/ && sudo systemctl daemon-reload": ROOT_ALONE,
    "sudo /opt/otagate/bin/pip install --upgrade . && sudo otagate check-config /etc/otagate/otagate.yaml && "
    "sudo systemctl restart otagate": ROOT_ALONE,
    "sudo install -m 0644 systemd/50-otagate-borrows.rules /etc/polkit-1/rules.d/": ROOT_ALONE,
    "pip install 'otagate[mqtt]'": "it needs a published package: the extra is one of those of .[dev]",
}
"""Lines of the README that are typed by another test, or the reason why none types them."""


def test_every_command_of_the_readme_is_typed_by_a_test_or_says_why_not() -> None:
    lines = [line for section in readme.sections() for line in section if re.match(r"(otagate |make |curl |python3? |pip |sudo |~/|TOKEN=)", line)]
    assert len(lines) > 50
    typed = {*readme.block("The API"), *readme.block("With a real stick", 3)}
    as_service = set(readme.block("As a service on Raspberry Pi OS (64-bit)"))
    excused = {line for line in as_service if line.startswith("sudo ")} | {'sudo install -d -o "$USER" -m 0700 /var/lib/otagate'}
    assert set(lines) - typed - excused - ELSEWHERE.keys() == set(), f"type it in a test, or name in ELSEWHERE why not ({ROOT_ALONE})"
    assert ELSEWHERE.keys() - set(lines) == set(), "the README does not say this any more"
    for named in (each for each in ELSEWHERE.values() if "::" in each):
        assert readme.exists(named), named
