"""The first thing a newcomer types."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("radio", "coordinator"), [((), "Z-Stack"), (("--radio", "ezsp"), "EmberZNet")])
def test_the_demo_updates_every_device_that_it_should_refuses_one_with_its_reason_and_exits_with_0(radio: tuple[str, ...], coordinator: str) -> None:
    command = [sys.executable, "-m", "otagate", "demo", *radio]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    for device in ("Hall lamp", "Kitchen lamp", "Desk socket", "Window sensor", "New dimmer"):
        assert re.search(rf"{device} 0x010\d to 0x01020003: succeeded", done.stdout)
    assert (
        "zigbee-00124b000de30005: The image is for another device: The release is for hardware versions 2 to 4, the component has 1." in done.stderr
    )
    assert f"A simulated {coordinator} coordinator" in done.stdout
    assert re.search(r"API: http://127\.0\.0\.1:\d+/api/v1", done.stdout)
    assert "no device saw a protocol error" in done.stdout
