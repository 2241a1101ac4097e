"""zigbee2mqtt's YAML: names as they are written there, whatever YAML would make of them."""

from __future__ import annotations

from typing import Any

import pytest

from otagate.adoption.zigbee2mqtt_settings import Settings, files_of, read_settings, read_yaml
from otagate.model.errors import AdoptionError
from tests.adoption.foreign import CONFIGURATION, KEY, LAMP, PLUG, hexed


def read(text: str, *further: dict[str, Any]) -> Settings:
    return read_settings(read_yaml(text.encode(), "configuration.yaml"), list(further), [])


def test_names_pan_id_and_key_are_read() -> None:
    settings = read(CONFIGURATION)
    assert dict(settings.devices) == {LAMP: "kitchen/lamp", PLUG: "on"}
    assert dict(settings.groups) == {7: "hall"}
    assert (settings.pan_id, settings.key) == (0x1A62, KEY)


@pytest.mark.parametrize("name", ["on", "12:30:45", "0x12", "1e3", "2024-01-01", "null", "~", "007"])
def test_a_name_is_the_text_that_stands_there(name: str) -> None:
    assert read(f"devices: {{ {hexed(LAMP)}: {{friendly_name: {name}}} }}").devices[LAMP] == name


@pytest.mark.parametrize("key", [hexed(LAMP), f"'{hexed(LAMP)}'", hexed(LAMP).upper().replace("0X", "0x")])
def test_an_address_is_no_number_however_it_is_written(key: str) -> None:
    assert read(f"devices:\n  {key}:\n    friendly_name: lamp").devices == {LAMP: "lamp"}


def test_sections_may_stand_in_files_of_their_own() -> None:
    document = read_yaml(b"devices: devices.yaml\ngroups: [groups.yaml, more.yaml]", "configuration.yaml")
    assert files_of(document, "devices") == ("devices.yaml",)
    assert files_of(document, "groups") == ("groups.yaml", "more.yaml")
    assert files_of(document, "mqtt") == ()
    assert read("devices: devices.yaml", read_yaml(f"{hexed(LAMP)}: {{friendly_name: lamp}}".encode(), "devices.yaml")).devices == {LAMP: "lamp"}


@pytest.mark.parametrize(
    "advanced",
    ["{network_key: GENERATE, pan_id: GENERATE}", "{network_key: '!secret network_key'}", "{network_key: !secret network_key}", "{}", "[]", "5"],
)
def test_what_is_not_written_in_clear_is_not_compared(advanced: str) -> None:
    settings = read(f"advanced: {advanced}")
    assert (settings.key, settings.pan_id) == (None, None)


@pytest.mark.parametrize("key", [[1] * 15, [1] * 17, [256] + [1] * 15, ["x"] * 16, [-1] * 16])
def test_a_key_that_is_none_is_not_compared(key: list[object]) -> None:
    assert read(f"advanced: {{network_key: {key}}}").key is None


def test_a_key_is_never_shown() -> None:
    assert str(KEY) not in repr(read(CONFIGURATION))
    assert "16" not in repr(Settings(key=KEY))


@pytest.mark.parametrize("text", ["", "# nothing", "devices:", "devices: [1, 2]", "devices: {x: 5}", f"devices: {{'{hexed(LAMP)}': {{}}}}"])
def test_where_no_names_are_there_are_none(text: str) -> None:
    assert read(text).devices == {}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"devices: {", "configuration.yaml:1:"),
        (b"a: *b", "configuration.yaml:1:4: found undefined alias"),
        (b"- 1", "holds no keys"),
        (b"just words", "holds no keys"),
        (b"\xff\xfe\x00", "no UTF-8"),
        (b"a: \x00", "no YAML that can be read"),
        (b"[" * 20_000, "no YAML that can be read"),
        (b"? [a, b]\n: 1", "configuration.yaml:1:3"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(AdoptionError) as refused:
        read_yaml(data, "configuration.yaml")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
