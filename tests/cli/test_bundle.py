"""`otagate doctor --bundle`: what a helper needs, and nothing that must not leave the hub."""

from __future__ import annotations

import json
import stat
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otagate.cli.redaction import CONFIGURATION, DEVICES, FACTS, Redaction
from otagate.model.facts import Fact
from otagate.stores import open_store
from tests.api.conftest import Hall
from tests.api.counter import LAMP, device
from tests.cli.conftest import otagate
from tests.cli.test_doctor import Home, _sound_machine, home

__all__ = ["_sound_machine", "home"]
KEY = bytes.fromhex("c0ffeecafe5eedfacade0ddba115ca1e")
CANARIES = (
    "a-token-of-this-hub-and-no-other",
    "canary-password",
    "canary-mail@aviary.example",
    "canaryOfTheDevice6canaryOfTheDevice6",
    KEY.hex(),
    KEY.hex(":"),
    KEY.hex(" "),
    str(list(KEY)),
    repr(KEY)[2:-1],
    KEY[:8].hex(":"),
)


SPOKEN = CANARIES[3:9]
"""What a library might say in a sentence: all but half a key, which is told from an address by the other half alone."""


def opened(path: Path) -> dict[str, Any]:
    """The files of a bundle, by name."""
    with tarfile.open(path) as archive:
        texts = {each.name.removeprefix("otagate-bundle/"): archive.extractfile(each) for each in archive}
        return {name: stream.read().decode() for name, stream in texts.items() if stream is not None}


async def bundled(home: Home, *arguments: str, url: str = "http://127.0.0.1:1") -> dict[str, Any]:
    home.config.write_text("\n".join([f"state_dir: {home.state}", *home.lines]))
    path = home.folder / f"bundle{len(list(home.folder.iterdir()))}.tar.gz"
    outcome = await otagate("doctor", "--bundle", str(path), "--config", str(home.config), "--url", url, *arguments)
    assert outcome.code == 0, outcome.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return opened(path)


@pytest.mark.asyncio
async def test_a_bundle_of_a_running_hub_holds_what_a_helper_asks_for(hall: Hall, home: Home) -> None:
    found = await bundled(home, "--token-file", str(hall.settings.token_file), url=hall.base)
    assert json.loads(found["missing.json"]) == {}
    parts = {"configuration", "devices", "facts", "findings", "halt", "health", "missing", "notifiers", "radios", "sources", "versions"}
    assert set(found) == {f"{each}.json" for each in parts} | {"metrics.txt"}
    versions = json.loads(found["versions.json"])
    assert {"zigpy", "bellows", "aiohttp"} <= set(versions["libraries"])
    assert json.loads(found["radios.json"])[0]["state"] == "up"
    assert json.loads(found["health.json"])["ready"] is True
    assert json.loads(found["notifiers.json"])[0]["waiting"] == 2
    assert not any(hall.token in each for each in found.values())


@pytest.mark.asyncio
async def test_devices_have_the_same_pseudonym_throughout_unless_their_names_are_wanted(hall: Hall, home: Home) -> None:
    lamp = "zigbee-000d6f000a9069e7"
    hall.desk.known[LAMP] = replace(device(LAMP, "Grandma's lamp"), id=LAMP)
    token = ("--token-file", str(hall.settings.token_file))
    hidden, shown = await bundled(home, *token, url=hall.base), await bundled(home, "--names", *token, url=hall.base)
    assert not any("Grandma" in each or LAMP.removeprefix("zigbee-") in each for each in hidden.values())
    assert "Grandma's lamp" in shown["devices.json"]
    assert LAMP in shown["devices.json"]
    clean = Redaction([(lamp, "Grandma's lamp"), ("zwave-de300001-2", "Plug")])
    said = f"{lamp} 0x000D6F000A9069E7 00:0d:6f:00:0a:90:69:e7 grandma's lamp; zwave-de300001-2, Plug, zigbee-00124b0000000001"
    assert clean.text(said) == "device-1 device-1 device-1 device-1-name; device-2, device-2-name, device-3"


@pytest.mark.asyncio
async def test_no_secret_is_in_a_bundle_wherever_it_came_to_lie(home: Home) -> None:
    home.lines += [
        "radios: [{name: zwave0, type: zwave-js, url: 'ws://127.0.0.1:9'}]",
        "mqtt: {url: 'mqtt://127.0.0.1:1883', username: canary-user}",
        f"notify: [{{name: phone, type: ntfy, url: 'https://ntfy.example.org/{CANARIES[3]}'}}]",
    ]
    async with open_store("sqlite:///otagate.db", home.state) as store, store.transaction():
        for at, canary in enumerate(CANARIES):
            data = {"sentence": f"the service at https://u:{CANARIES[1]}@host/{canary}?k={canary} says no", "because": canary, "network_key": canary}
            await store.facts.append(
                Fact(at=datetime(2026, 5, 6, 7, at, tzinfo=UTC), subject="radio", subject_id="zwave0", kind="state", actor=canary, data=data)
            )
        for key in SPOKEN:
            data = {"detail": f"the library said {key}"}
            await store.facts.append(Fact(at=datetime(2026, 5, 6, 8, tzinfo=UTC), subject="radio", subject_id="zwave0", kind="state", data=data))
    for arguments in ((), ("--names",)):
        found = await bundled(home, *arguments)
        assert len(json.loads(found["facts.json"])) == len(CANARIES) + len(SPOKEN)
        assert "the service at https://host/ says no" in found["facts.json"]
        assert json.loads(found["configuration.json"])["notify"][0]["url"] == "https://ntfy.example.org/"
        hits = {(name, canary) for name, text in found.items() for canary in (*CANARIES, "canary-user") if canary in text}
        assert hits == set()


@pytest.mark.asyncio
async def test_a_hub_that_is_down_and_has_no_configuration_has_a_bundle_too(tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    outcome = await otagate("doctor", "--bundle", str(path), "--config", str(tmp_path / "none.yaml"), "--url", "http://127.0.0.1:1", "--json")
    assert outcome.code == 0
    assert outcome.document["bundle"] == str(path)
    found = opened(path)
    assert "is it running?" in json.loads(found["missing.json"])["facts"]
    assert "none.yaml does not exist" in found["findings.json"]


@pytest.mark.asyncio
async def test_a_bundle_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("mine")
    outcome = await otagate("doctor", "--bundle", str(path), "--config", str(tmp_path / "none.yaml"), "--url", "http://127.0.0.1:1")
    assert (outcome.code, path.read_text()) == (2, "mine")
    assert "overwrites nothing" in outcome.err
    assert (await otagate("doctor", str(path))).code == 2


def test_a_field_that_nobody_allowed_is_dropped_however_deep_it_lies() -> None:
    clean = Redaction([])
    tree = {
        "state_dir": "/srv",
        "api": {"listen": ["[::1]:1"], "token_file": "/x", "tokens": [{"name": "n", "scopes": ["read"], "file": "/y"}]},
        "new": 1,
    }
    assert clean.allowed(tree, CONFIGURATION) == {"state_dir": "/srv", "api": {"listen": ["[::1]:1"], "tokens": [{"scopes": ["read"]}]}}
    assert clean.allowed({"id": {"secret": "x"}, "room": "Bedroom"}, DEVICES) == {"id": None}
    digest = "ab" * 32
    assert clean.allowed({"subject_id": digest, "kind": digest, "data": {"image": digest, "name": "x"}}, FACTS) == {
        "subject_id": digest,
        "kind": "[hidden]",
        "data": {"image": digest},
    }


def test_metrics_keep_their_numbers_and_lose_labels_that_nobody_allowed() -> None:
    text = '# TYPE otagate_radio_up gauge\notagate_radio_up{radio="zigbee0",token="x"} 1.0\n# TYPE other gauge\nother 2.0\n'
    assert Redaction([]).metrics(text) == 'otagate_radio_up{radio="zigbee0"} 1.0\n'
