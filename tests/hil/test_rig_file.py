"""The rig file: what it may say, and how its errors are told."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hil.rigfile import RigFileError, Section, load

from hil import rigfile
from otagate.config import load as load_hub
from otagate_rig.image import build_image

EXAMPLE = Path(rigfile.__file__).with_name("rig.example.yaml")
OF_ZIGBEE2MQTT = ("base_topic", "username", "password_file", "ca_file", "images_url")


def image(version: int, image_type: int = 0x0101) -> bytes:
    return build_image(0x1289, image_type, version, payload=bytes(64))


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    for name, version in (("plug-1.0.ota", 1), ("plug-1.1.ota", 2)):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(image(version))
    return tmp_path


def written(bench: Path, text: str) -> Path:
    file = bench / "rig.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def smallest(bench: Path, *devices: dict[str, Any], **stick: Any) -> Path:
    entry = {"name": "plug", "address": "00124b0024c0ffee", "images": {"a": "images/plug-1.0.ota", "b": "images/plug-1.1.ota"}}
    tree = {"stick": {"type": "znp", "path": "/dev/ttyACM0"} | stick, "devices": [entry | each for each in devices or ({},)]}
    return written(bench, json.dumps(tree, indent=1))


def test_the_example_is_a_rig_and_its_relay_bytes_are_those_of_the_board(bench: Path) -> None:
    found = load(written(bench, EXAMPLE.read_text()))
    (device,) = found.devices
    assert device.id == "zigbee-00124b0024c0ffee"
    assert found.allowed == {device.id}
    assert (device.component, device.images.a.version, device.images.b.version) == ("0x0101", 1, 2)
    assert (device.patience, device.off_for) == (timedelta(minutes=45), timedelta(seconds=10))
    assert device.power is not None
    assert (device.power.off, device.power.on) == ("\xa0\x01\x01\xa2", "\xa0\x01\x00\xa1")
    assert device.console is not None
    assert device.console.boots is not None
    assert re.search(device.console.boots.b, "boot: firmware 1.1")
    assert found.stick.power is not None
    assert found.stick.power.off[:2] == ("uhubctl", "--location")
    assert found.state_dir == bench / "otagate-rig-state"


def test_the_example_names_every_key_that_there_is() -> None:
    text = EXAMPLE.read_text()
    sections = [rigfile.Rig, rigfile.DeviceUnderTest, rigfile.ConsoleSettings, rigfile.ImagePair, rigfile.SerialSwitch, rigfile.CommandSwitch]
    keys = {key for section in sections for key in section.model_fields} | {
        key for key in rigfile.Stick.model_fields if key not in ("name", "parallel", "air_share", "hand_over", *OF_ZIGBEE2MQTT)
    }
    assert {key for key in keys if re.search(rf"\b{key}:", text) is None} == set()


def zwave_rig(bench: Path, stick: dict[str, Any] | None = None, **device: Any) -> Path:
    for version in ("1.6", "1.7"):
        (bench / "images" / f"plug-{version}.bin").write_bytes(f"firmware {version}".encode() * 50)
    pair = {key: {"file": f"images/plug-{version}.bin", "version": version} for key, version in (("a", "1.6"), ("b", "1.7"))}
    entry = {"name": "plug", "address": "zwave-e1b2c3d4-7", "images": pair} | device
    return written(bench, json.dumps({"stick": {"type": "zwave-js", "url": "ws://127.0.0.1:3000"} | (stick or {}), "devices": [entry]}, indent=1))


def test_the_zwave_half_of_the_example_is_a_rig_too(bench: Path) -> None:
    zwave_rig(bench)
    for version in ("1.6", "1.7"):
        (bench / "images" / f"plug-{version}.gbl").write_bytes(bytes.fromhex("eb17a603") + bytes(96))
    told = EXAMPLE.read_text().partition("# stick:\n")[2]
    found = load(written(bench, "stick:\n" + "\n".join(line.removeprefix("# ") for line in told.splitlines())))
    (device,) = found.devices
    assert found.allowed == {device.id} == {"zwave-e1b2c3d4-7"}
    assert (device.component, device.images.a.version, device.images.b.version) == ("0", "1.6", "1.7")
    config = written(bench, json.dumps({"state_dir": "state", "radios": [found.stick.as_radio()]}))
    (radio,) = load_hub(config, {}).radios
    assert (radio.type, radio.url, radio.parallel) == ("zwave-js", "ws://127.0.0.1:3000", 1)


@pytest.mark.parametrize(
    ("device", "stick", "sentence"),
    [
        ({"images": {"a": "images/plug-1.0.ota", "b": "images/plug-1.1.ota"}}, {}, "do not tell their version"),
        ({"images": {"a": "images/plug-1.6.bin", "b": "images/plug-1.7.bin"}}, {}, "does not say which version it is"),
        ({"images": {"a": {"file": "images/plug-1.6.bin", "version": 1.6}, "b": "images/plug-1.1.ota"}}, {}, "in quotes"),
        ({"images": {"a": {"file": "images/plug-1.6.bin", "version": "new"}, "b": "images/plug-1.1.ota"}}, {}, "no version of a Z-Wave node"),
        ({"images": {"a": {"file": "images/plug-1.6.bin", "version": "1.6"}, "b": "images/plug-1.1.ota"}}, {}, "a pair is for one device"),
        ({"images": {key: {"file": "images/plug-1.6.bin", "version": "1.10"} for key in "ab"}}, {}, "b (1.10) must be newer than a (1.10)"),
        ({"address": "00124b0024c0ffee"}, {}, "are for Z-Wave nodes"),
        ({"address": "zwave-e1b2c3d4"}, {}, "zwave-e1b2c3d4-7"),
        ({}, {"type": "zigbee2mqtt", "url": "mqtt://127.0.0.1"}, "name the stick that zigbee2mqtt drives, and stop zigbee2mqtt meanwhile"),
        ({}, {"type": "znp", "url": None, "path": "/dev/ttyACM0"}, "plug (zwave-e1b2c3d4-7) is in no network of a stick of type znp"),
        ({}, {"permit_join": True}, "include Z-Wave nodes with the program that runs the driver"),
    ],
)
def test_what_does_not_go_together_on_a_zwave_bench_is_told(bench: Path, device: dict[str, Any], stick: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RigFileError) as told:
        load(zwave_rig(bench, stick, **device))
    assert sentence in str(told.value)


def test_versions_of_nodes_are_compared_by_their_numbers(bench: Path) -> None:
    pair = {key: {"file": "images/plug-1.6.bin", "version": version} for key, version in (("a", "1.9"), ("b", "1.10"))}
    (device,) = load(zwave_rig(bench, images=pair)).devices
    assert device.images.b.is_newer_than(device.images.a)


@pytest.mark.parametrize("address", ["00:12:4B:00:24:C0:FF:EE", "00124b0024c0ffee", "zigbee-00124b0024c0ffee"])
def test_an_address_may_be_written_as_boxes_and_programs_write_it(bench: Path, address: str) -> None:
    assert load(smallest(bench, {"address": address})).allowed == {"zigbee-00124b0024c0ffee"}


def test_what_the_rig_file_says_of_its_stick_is_a_radio_of_a_hub(bench: Path) -> None:
    found = load(smallest(bench, network="form", channel=20, permit_join=True))
    config = written(bench, json.dumps({"state_dir": "state", "radios": [found.stick.as_radio()]}))
    (radio,) = load_hub(config, {}).radios
    assert (radio.path, radio.network, radio.channel) == ("/dev/ttyACM0", "form", 20)


@pytest.mark.parametrize(
    ("change", "key", "sentence"),
    [
        ({"address": "00:12:4b"}, "devices[0].address", "write 16 hex digits"),
        ({"address": 1234567812345678}, "devices[0].address", "in quotes"),
        ({"adress": "x"}, "devices[0].adress", "do you mean address?"),
        ({"images": {"a": "images/none.ota", "b": "images/plug-1.1.ota"}}, "devices[0].images.a", "none.ota cannot be read"),
        ({"images": {"a": "rig.yaml", "b": "images/plug-1.1.ota"}}, "devices[0].images.a", "is no image that a device takes"),
        ({"images": {"a": "images/plug-1.1.ota", "b": "images/plug-1.0.ota"}}, "devices[0].images", "must be newer than a"),
        ({"images": {"a": "images/plug-1.0.ota", "b": "images/other.ota"}}, "devices[0].images", "a pair is for one device"),
        ({"images": None}, "devices[0].images.a", "is missing"),
        ({"patience": "45"}, "devices[0].patience", "is not a duration"),
        ({"power": {"type": "serial", "path": "/dev/x", "off": "€", "on": "1"}}, "devices[0].power.off", "no bytes"),
        ({"power": {"type": "command", "off": "off", "on": ""}}, "devices[0].power.on", "is no command"),
        ({"power": {"type": "command", "off": "it's", "on": "on"}}, "devices[0].power.off", "No closing quotation"),
        ({"power": {"type": "magic"}}, "devices[0].power", "write type: command or type: serial"),
        ({"power": {"type": "command", "offf": "x", "off": "x", "on": "x"}}, "devices[0].power.offf", "do you mean off?"),
        ({"console": {"path": "/dev/x", "forbid": ["("]}}, "devices[0].console.forbid[0]", "no regular expression"),
        ({"console": {"path": "/dev/x", "forbid": [".*"]}}, "devices[0].console.forbid[0]", "fits an empty line"),
        ({"console": {"path": "ttyUSB0"}}, "devices[0].console.path", "is no serial port"),
    ],
)
def test_an_error_is_one_line_with_file_place_key_and_remedy(bench: Path, change: dict[str, Any], key: str, sentence: str) -> None:
    (bench / "images" / "other.ota").write_bytes(image(9, image_type=0x0102))
    with pytest.raises(RigFileError) as told:
        load(smallest(bench, change))
    line = next(line for line in str(told.value).splitlines() if f": {key}: " in line)
    assert re.match(rf"{re.escape(str(bench))}/rig\.yaml:\d+:\d+: ", line)
    assert sentence in line


def test_every_error_is_told_at_once(bench: Path) -> None:
    with pytest.raises(RigFileError) as told:
        load(smallest(bench, {"address": "1"}, {"name": "plug", "patience": "x"}, type="usb"))
    keys = [line.split(": ")[1] for line in str(told.value).splitlines()]
    assert keys == ["stick.type", "devices[0].address", "devices[1].name", "devices[1].patience"]


def test_a_device_listed_twice_is_told(bench: Path) -> None:
    with pytest.raises(RigFileError, match=r"devices\[1\].address: .* is that of devices\[0\] already"):
        load(smallest(bench, {}, {"name": "other", "address": "00:12:4b:00:24:c0:ff:ee"}))


@pytest.mark.parametrize("text", ["", "devices: []\nstick: {type: znp, path: /dev/ttyACM0}\n", "- stick\n", "stick: [\n"])
def test_a_file_without_a_list_of_devices_is_no_rig(bench: Path, text: str) -> None:
    with pytest.raises(RigFileError, match=r"rig\.yaml:\d+:\d+: "):
        load(written(bench, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RigFileError, match=r"none\.yaml: cannot be read"):
        load(tmp_path / "none.yaml")


def test_every_section_refuses_what_it_does_not_know() -> None:
    sections = [each for each in vars(rigfile).values() if isinstance(each, type) and issubclass(each, Section)]
    assert len(sections) > 7
    assert {each.model_config.get("extra") for each in sections} == {"forbid"}
