"""The packages of Node.js that the rig installs: what their licences allow, and that nothing of them runs at installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import otagate_rig.zwave
from otagate_rig.node_packages import NodeMissingError, install_packages

COMPATIBLE = {"MIT", "Apache-2.0", "ISC", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "0BSD", "GPL-3.0-or-later", "(MIT OR GPL-2.0)"}
"""Licences whose programs may be driven, and copied together, with what is under GPL-3.0-or-later."""

SOURCES = {
    "zwave": Path(otagate_rig.zwave.__file__).parent,
    "herdsman": Path(__file__).parents[1] / "herdsman",
}


def locked(name: str) -> dict[str, dict[str, object]]:
    packages: dict[str, dict[str, object]] = json.loads((SOURCES[name] / "package-lock.json").read_text())["packages"]
    return {place: package for place, package in packages.items() if place}


@pytest.mark.parametrize("name", SOURCES)
def test_every_package_down_to_the_last_has_a_licence_that_goes_with_ours(name: str) -> None:
    packages = locked(name)
    assert len(packages) > 10
    assert {place: package.get("license") for place, package in packages.items() if package.get("license") not in COMPATIBLE} == {}


@pytest.mark.parametrize("name", SOURCES)
def test_every_package_is_pinned_to_its_bytes(name: str) -> None:
    for place, package in locked(name).items():
        assert str(package["integrity"]).startswith("sha512-"), place
    wanted = json.loads((SOURCES[name] / "package.json").read_text())["dependencies"]
    assert all(version[0].isdigit() for version in wanted.values()), wanted


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_installed_says_the_same_of_its_licence_as_the_lock_file(name: str) -> None:
    try:
        folder = install_packages(SOURCES[name], name)
    except NodeMissingError as error:
        pytest.skip(str(error))
    installed = {place: folder / place / "package.json" for place in locked(name)}
    told = {place: json.loads(file.read_text()).get("license") for place, file in installed.items() if file.exists()}
    assert len(told) > 10  # those for other machines are not installed
    assert {place: licence for place, licence in told.items() if licence not in COMPATIBLE} == {}
