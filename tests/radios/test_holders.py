"""Which open file is which port."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from otagate.radios import holders

HERE, ELSEWHERE = 26, 43


def _port(major: int, minor: int, device: int) -> os.stat_result:
    return SimpleNamespace(st_mode=stat.S_IFCHR | 0o600, st_rdev=os.makedev(major, minor), st_dev=device, st_ino=3)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("opened", "port", "same"),
    [
        (_port(188, 0, ELSEWHERE), _port(188, 0, HERE), True),
        (_port(188, 1, HERE), _port(188, 0, HERE), False),
        (_port(136, 0, HERE), _port(136, 0, HERE), True),
        (_port(136, 0, ELSEWHERE), _port(136, 0, HERE), False),
    ],
    ids=["a serial port as a container sees it", "another serial port", "a pseudo-terminal", "the pseudo-terminal of a container"],
)
def test_a_serial_port_is_one_in_every_container_and_a_pseudo_terminal_is_not(
    opened: os.stat_result, port: os.stat_result, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "stat", lambda _: opened)
    assert holders._is_port(Path("/proc/1/fd/3"), port) is same
