"""What a user installs: all that the program reads beside its own code is in the wheel, and what only tests use is not."""

from __future__ import annotations

from pathlib import Path

import pytest

wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"


def test_the_wheel_holds_every_file_of_both_packages_and_nothing_else() -> None:
    held = {each.distribution_path for each in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    wanted = {path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert held == {each for each in wanted if ".egg-info/" not in each}
    for needed in ("page/index.html", "page/views/home.js", "page/style.css", "page/icon.svg", "api/openapi.json", "quirks/zigbee.toml"):
        assert f"otagate/{needed}" in held
    assert not [each for each in held if "axe" in each]
