"""The unit that operators install."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otagate.cli.session import DEFAULT_SOCKET
from otagate.config import load

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "otagate.service"


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package systemd)")
    return found


def service() -> configparser.SectionProxy:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit["Service"]


def test_the_unit_exposes_no_more_than_1_5() -> None:
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=15", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    level = re.search(r"exposure level for otagate\.service: ([0-9.]+)", done.stdout)
    assert level is not None
    assert float(level[1]) <= 1.5


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "otagate"
    program.touch(mode=0o755)
    unit = tmp_path / "otagate.service"
    unit.write_text(UNIT.read_text().replace("/opt/otagate/bin/otagate", str(program)))
    command = [tool("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "otagate" in line] == []
    assert done.returncode == 0


def test_a_wrong_configuration_is_not_tried_again_and_a_hanging_hub_is() -> None:
    unit = service()
    assert unit["Type"] == "notify"
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"] == "78"
    assert int(unit["WatchdogSec"]) > 0


def test_only_the_hub_reads_its_state_and_its_group_reaches_its_socket() -> None:
    unit = service()
    assert (unit["StateDirectory"], unit["StateDirectoryMode"], unit["UMask"]) == ("otagate", "0700", "0077")
    assert (unit["RuntimeDirectory"], unit["RuntimeDirectoryMode"]) == ("otagate", "0750")
    assert (unit["User"], unit["Group"], unit["SupplementaryGroups"]) == ("otagate", "otagate", "dialout")
    assert unit["Environment"] == f"OTAGATE_SOCKET={DEFAULT_SOCKET}"


def test_the_hub_takes_what_the_unit_sets_in_its_environment(tmp_path: Path) -> None:
    (tmp_path / "otagate.yaml").touch()
    environ = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.+)$", UNIT.read_text(), re.MULTILINE))
    settings = load(tmp_path / "otagate.yaml", environ)
    assert settings.api.listen == ("127.0.0.1:8377", "unix:/run/otagate/otagate.sock")
    assert settings.state_dir == Path("/var/lib") / service()["StateDirectory"]
    for listen in ("192.168.1.5:8377", '["0.0.0.0:8377", "[::]:8377"]', "unix:/run/otagate/otagate.sock"):
        (tmp_path / "otagate.yaml").write_text(f"api: {{listen: {listen}}}\n")
        alone, under_systemd = (load(tmp_path / "otagate.yaml", each).api.listen for each in ({}, environ))
        assert tuple(dict.fromkeys((*alone, "unix:/run/otagate/otagate.sock"))) == under_systemd, "what the file says counts"


def test_the_credential_that_the_unit_shows_is_the_one_that_the_configuration_shows() -> None:
    (name, file) = re.findall(r"LoadCredential=([\w-]+):(\S+)", UNIT.read_text())[0]
    packaged = (SYSTEMD.parent / "config" / "otagate.yaml").read_text()
    assert f"credential:{name}" in packaged
    assert f"LoadCredential={name}:{file}" in packaged


def test_the_user_of_the_unit_is_made_without_a_shell_and_may_use_serial_ports(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    command = [tool("systemd-sysusers"), f"--root={root}", str(SYSTEMD / "otagate.sysusers.conf")]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    (user,) = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("otagate:")]
    assert user[5] == "/var/lib/otagate"
    assert user[6].endswith("nologin")
    members = {line.split(":")[0]: line.split(":")[3] for line in (root / "etc/group").read_text().splitlines()}
    assert members["dialout"] == "otagate"
    assert "otagate" in members


def test_udev_understands_the_rules_and_they_touch_nothing_but_serial_ports_on_usb() -> None:
    rules = [line for line in (SYSTEMD / "60-otagate.rules").read_text().splitlines() if line and not line.startswith("#")]
    for rule in rules:
        assert re.fullmatch(r'(?:[A-Z]+(?:\{\w+\})?(?:==|!=|\+=|=)"[^"]*"(?:, |$))+', rule), rule
        assert 'SUBSYSTEM=="tty"' in rule
        assert '=="usb"' in rule
    names = [each for rule in rules for each in re.findall(r'SYMLINK\+="([^"]+)"', rule)]
    assert names == ["otagate/$env{ID_SERIAL_SHORT}-if$env{ID_USB_INTERFACE_NUM}"]
