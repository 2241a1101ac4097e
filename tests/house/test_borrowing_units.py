"""The units by which a stick is borrowed, in the hands of a real systemd: the one of a user, in namespaces of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from otagate.config import load
from tests.journeys.readme import block

SYSTEMD = Path(__file__).parents[2] / "systemd"
MANAGER = Path("/lib/systemd/systemd")
HEADING = "A stick that zigbee2mqtt or ZHA keeps, and lends"
STORY = """
set -e
mount -t tmpfs none /run && mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
{manager} --user >/dev/null 2>&1 &
until systemctl --user is-system-running --wait >/dev/null 2>&1; do sleep 0.1; done
look() {{ echo "$(systemctl --user is-active {owner} || true) $(systemctl --user is-active {borrows} || true)"; }}
for unit in {owner} {borrows} {borrows} {owner} {owner} {borrows} {owner}; do systemctl --user start $unit && look; done
"""


def take_and_give_back() -> tuple[str, str]:
    """What the README's example runs: the last words are units of this folder and of the other program."""
    lines = "\n".join(block(HEADING))
    assert "take: otagate-borrows-zigbee2mqtt.service" in lines
    return "otagate-borrows-zigbee2mqtt.service", "zigbee2mqtt.service"


def test_the_readmes_example_is_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "otagate.yaml"
    config.write_text("\n".join(block(HEADING)) + f"\nstate_dir: {tmp_path}/state\n")
    (radio,) = load(config, {}).radios
    borrows, owner = take_and_give_back()
    assert radio.hand_over is not None
    assert (radio.hand_over.take, radio.hand_over.give_back) == (("systemctl", "start", borrows), ("systemctl", "start", owner))
    assert radio.hand_over.adopt is not None


@pytest.mark.parametrize("number", range(1, 4))
def test_so_are_its_other_ways_to_stop_a_program_and_start_it_again(tmp_path: Path, number: int) -> None:
    config = tmp_path / "otagate.yaml"
    radio = "radios:\n  - {name: zigbee0, type: znp, path: /dev/ttyACM0, hand_over: {"
    config.write_text(f"{radio}{', '.join(block(HEADING, number))}}}}}\nstate_dir: {tmp_path}/state\n")
    hand_over = load(config, {}).radios[0].hand_over
    assert hand_over is not None
    assert hand_over.take[0] == hand_over.give_back[0]
    assert hand_over.take != hand_over.give_back


@pytest.mark.night
@pytest.mark.parametrize("program", ["zigbee2mqtt", "home-assistant"])
def test_who_takes_the_stick_stops_its_owner_and_whoever_starts_that_ends_the_loan(tmp_path: Path, program: str) -> None:
    if os.geteuid() != 0 or not MANAGER.exists() or shutil.which("unshare") is None:
        pytest.skip("needs root, systemd and unshare (Debian packages systemd and util-linux)")
    borrows = SYSTEMD / f"otagate-borrows-{program}.service"
    owner = next(line.partition("=")[2] for line in borrows.read_text().splitlines() if line.startswith("Conflicts="))
    units = tmp_path / "config" / "systemd" / "user"
    units.mkdir(parents=True)
    shutil.copy(borrows, units)
    (units / owner).write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    story = STORY.format(manager=MANAGER, owner=owner, borrows=borrows.name)
    environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": "/run/user/0", "XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", story]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if "permission denied" in done.stderr.lower() or "not permitted" in done.stderr.lower():
        pytest.skip("may not make namespaces here")
    owners, borrowed = "active inactive", "inactive active"
    assert done.stdout.splitlines() == [owners, borrowed, borrowed, owners, owners, borrowed, owners], done.stderr
