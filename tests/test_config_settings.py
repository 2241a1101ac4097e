"""The configuration as it is read: keys, defaults, the environment, the packaged file, and what is shown of it again."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
import yaml

from otagate.config import HubSettings, ScheduleSettings, SourceSettings, effective, effective_tree, load
from otagate.config.explain import section_at
from otagate.config.policies import RuleMatch
from otagate.config.section import Section, keys_of
from otagate.model.devices import Device, PolicyOverride
from otagate.model.errors import ConfigError
from otagate.model.ids import DeviceId, RadioName
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime, Window

PACKAGED = Path(__file__).parent.parent / "config" / "otagate.yaml"
STICK = "/dev/serial/by-id/usb-stick"


def read(folder: Path, text: str, **environ: str) -> HubSettings:
    path = folder / "hub.yaml"
    path.write_text(text)
    for number, name in enumerate(
        ("token", "screen.token", "panel-token", "iotaap-password", "iotaap-device", "tuya-secret", "mqtt-password", "hook-key", "ntfy-token")
    ):
        (folder / name).write_text(f"{number}" * 40 + "\n")
        (folder / name).chmod(0o600)
    return load(path, {"CREDENTIALS_DIRECTORY": str(folder), **environ})


# --- what is read ----------------------------------------------------------------------------------------------------------------------

EVERYTHING = """
state_dir: state
api:
  listen: ["127.0.0.1:0", "[::1]:8377", "localhost:8378", unix:/run/otagate/otagate.sock]
  token_file: token
  tokens:
    - {name: panel, file: "credential:panel-token", scopes: [read, operate]}
    - {name: screen, file: screen.token, scopes: read}
  hosts: hub.example.org
radios:
  - {name: zigbee0, type: znp, path: /dev/ttyUSB0, network: form, channel: 15, parallel: 16, air_share: 50, baudrate: 115200, flow_control: none}
  - name: zigbee1
    type: ezsp
    path: "socket://192.168.1.7:6638"
    hand_over:
      {take: [/usr/local/bin/let-go, "a word"], give_back: zigbee2mqtt.service, max_minutes: 45, to: zigbee2mqtt, adopt: {from: z2m, path: z2m}}
sources:
  - {type: directory, path: images}
  - {type: directory, path: /srv/firmware, name: more, refresh: 14d}
store: {url: "sqlite:////var/lib/other.db"}
schedule: {interrogate: 90s}
images: {max_bytes: 512KiB, path: cache}
policy:
  default: automatic
  retries: 0
  channel: beta
  cooldown: 0d
  battery_floor: 30
  lqi_floor: 40
  rssi_floor: -90
  load_limit: 60
  window: night
  spare_in_use: true
  interlocks: fire
  approval_expires: 7d
  rules:
    - match: {model: "LCT0*", manufacturer: "signify*"}
      use: {default: never, spare_in_use: false}
    - match: {radio: zigbee1}
      use: {retries: 7, battery_floor: 0, lqi_floor: 0, rssi_floor: -127, load_limit: 100, cooldown: 1d, channel: stable, window: [once, night]}
    - match: {device: zigbee-000d6f000a9069e7}
      use: {default: ask, retries: 1}
    - match: {group: "Hall*", radio: zigbee0}
      use: {retries: 9}
windows:
  - {name: night, days: [sat, mon], from: "22:30", to: "05:00", zone: Europe/Berlin, blackout: ["2026-12-24"], at_end: pause}
  - {name: once, when: "2026-05-01T01:00:00+02:00", until: "2026-05-02T01:00:00Z"}
interlocks: [{name: fire, url: "http://bms.example.org:8080"}]
logging: {level: debug, format: json}
"""
NIGHT = Window(
    name="night",
    zone=ZoneInfo("Europe/Berlin"),
    days=frozenset({0, 5}),
    start=22 * 60 + 30,
    end=5 * 60,
    blackout=frozenset({date(2026, 12, 24)}),
    at_end="pause",
)
ONCE = OneTime(name="once", begins=datetime(2026, 4, 30, 23, tzinfo=UTC), ends=datetime(2026, 5, 2, 1, tzinfo=UTC))
GENERAL = PolicySettings(
    mode="automatic",
    retries=0,
    channel="beta",
    cooldown=timedelta(0),
    battery_floor=30,
    lqi_floor=40,
    rssi_floor=-90,
    load_limit=60,
    windows=(NIGHT,),
    spare_in_use=True,
    interlocks=("fire",),
    approval_expires=timedelta(days=7),
    alive_for=timedelta(seconds=30),
)
NEVER = replace(GENERAL, mode="never", spare_in_use=False)
SECOND_RADIO = replace(
    GENERAL,
    retries=7,
    battery_floor=0,
    lqi_floor=0,
    rssi_floor=-127,
    load_limit=100,
    cooldown=timedelta(days=1),
    channel="stable",
    windows=(NIGHT, ONCE),
)


def test_every_key_is_read_and_relative_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    hub = read(tmp_path, EVERYTHING)
    assert hub.state_dir == tmp_path / "state"
    assert hub.api.listen == ("127.0.0.1:0", "[::1]:8377", "localhost:8378", "unix:/run/otagate/otagate.sock")
    assert hub.token_file == tmp_path / "token"
    assert [(each.name, each.file, each.scopes) for each in hub.api.tokens] == [
        ("panel", tmp_path / "panel-token", ("read", "operate")),
        ("screen", tmp_path / "screen.token", ("read",)),
    ]
    assert hub.api.hosts == ("hub.example.org",)
    first, second = hub.radios
    assert first.model_dump() == {
        "name": "zigbee0",
        "type": "znp",
        "path": "/dev/ttyUSB0",
        "url": None,
        "region": None,
        "network": "form",
        "channel": 15,
        "parallel": 16,
        "air_share": 50,
        "baudrate": 115200,
        "flow_control": "none",
        "hand_over": None,
        **dict.fromkeys(("base_topic", "username", "password_file", "ca_file", "images_url")),
    }
    assert second.hand_over is not None
    assert second.hand_over.model_dump() == {
        "take": ("/usr/local/bin/let-go", "a word"),
        "give_back": ("systemctl", "start", "zigbee2mqtt.service"),
        "max_minutes": 45,
        "to": "zigbee2mqtt",
        "adopt": {"from_": "z2m", "path": str(tmp_path / "z2m")},
    }
    assert (second.path, second.network, second.parallel, second.baudrate) == ("socket://192.168.1.7:6638", "existing", 2, None)
    assert [(each.name, each.path, each.every) for each in hub.sources] == [
        ("directory", tmp_path / "images", timedelta(seconds=60)),
        ("more", Path("/srv/firmware"), timedelta(days=14)),
    ]
    assert (hub.store.url, hub.schedule.interrogate) == ("sqlite:////var/lib/other.db", timedelta(seconds=90))
    assert (hub.images.max_bytes, hub.image_dir) == (512 * 1024, tmp_path / "cache")
    assert (hub.logging.level, hub.logging.format) == ("debug", "json")


def test_an_empty_file_is_a_hub_of_defaults_that_only_keeps_images(tmp_path: Path) -> None:
    for text in ("", "# nothing but this\n", "---\n", "{}"):
        hub = read(tmp_path, text)
        assert hub == HubSettings()
    assert hub.token_file == Path("/var/lib/otagate/api-token")
    assert hub.image_dir == Path("/var/lib/otagate/images-cache")
    assert (hub.radios, hub.sources, hub.policy.default, hub.policy.retries, hub.images.max_bytes) == ((), (), "ask", 3, 16 * 1024 * 1024)


def test_sections_and_lists_whose_entries_are_all_commented_out_have_their_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "api:\nradios:\nsources:\npolicy:\n  rules:\nimages:\n") == HubSettings()


def test_one_listen_address_needs_no_list(tmp_path: Path) -> None:
    assert read(tmp_path, "api: {listen: unix:/run/o.sock}").api.listen == ("unix:/run/o.sock",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", timedelta(seconds=1)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("366d", timedelta(366)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(tmp_path: Path, text: str, expected: timedelta) -> None:
    assert read(tmp_path, f"schedule: {{interrogate: {text}}}").schedule.interrogate == expected


@pytest.mark.parametrize(("text", "expected"), [("16MiB", 16 << 20), ("1024", 1024), ('"1 KiB"', 1024), ("256MiB", 256 << 20)])
def test_a_size_is_bytes_or_has_a_unit(tmp_path: Path, text: str, expected: int) -> None:
    assert read(tmp_path, f"images: {{max_bytes: {text}}}").images.max_bytes == expected


def test_settings_can_be_made_without_a_file() -> None:
    hub = HubSettings(
        state_dir=Path("/srv/hub"),
        sources=(SourceSettings(type="directory", path=Path("images"), refresh=timedelta(seconds=5)),),
        schedule=ScheduleSettings(interrogate=timedelta(minutes=1)),
    )
    assert (hub.sources[0].name, hub.sources[0].path, hub.sources[0].refresh) == ("directory", Path("images"), timedelta(seconds=5))
    assert hub.schedule.interrogate == timedelta(minutes=1)


def test_a_folder_that_cannot_be_looked_at_is_left_for_the_daemon_to_judge(tmp_path: Path) -> None:
    endless = "/" + "x" * 300
    assert read(tmp_path, f"state_dir: {endless}").state_dir == Path(endless)


def test_settings_cannot_be_changed_once_they_are_read(tmp_path: Path) -> None:
    hub = read(tmp_path, EVERYTHING)
    with pytest.raises(ValueError, match="frozen"):
        hub.radios[0].parallel = 1  # type: ignore[misc]


# --- policy ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"model": "LCT015", "manufacturer": "Signify Netherlands"}, NEVER),
        ({"model": "lct015", "manufacturer": "SIGNIFY"}, NEVER),
        ({"model": "LCT015"}, GENERAL),
        ({"model": "LCT015", "radio": RadioName("zigbee1")}, SECOND_RADIO),
        ({"id": DeviceId("zigbee-000d6f000a9069e7")}, replace(GENERAL, mode="ask", retries=1)),
        ({"id": DeviceId("zigbee-000d6f000a9069e7"), "radio": RadioName("zigbee1")}, SECOND_RADIO),
        ({"groups": ("lights", "hallway")}, replace(GENERAL, mode="automatic", retries=9)),
        ({"groups": ("lights",)}, GENERAL),
        ({"policy": PolicyOverride(default="ask"), "groups": ("hall",)}, replace(GENERAL, mode="ask", retries=9)),
        ({}, GENERAL),
    ],
    ids=[
        "all keys fit",
        "whatever the capitals",
        "one key does not fit",
        "a radio",
        "a device",
        "the first rule wins",
        "one of its groups",
        "none of its groups",
        "an operator's word counts more",
        "no rule",
    ],
)
def test_a_device_gets_the_settings_of_the_first_rule_that_fits_it(tmp_path: Path, device: dict[str, Any], expected: PolicySettings) -> None:
    hub = read(tmp_path, EVERYTHING)
    known = Device(**{"id": DeviceId("zigbee-0000000000000001"), "radio": RadioName("zigbee0"), **device})
    assert hub.policy_of(known) == expected


def test_a_rule_may_let_devices_be_updated_at_any_time(tmp_path: Path) -> None:
    window = "windows: [{name: night, from: '01:00', to: '05:00', zone: UTC}]\n"
    hub = read(tmp_path, f"{window}policy: {{window: night, rules: [{{match: {{model: a}}, use: {{window: []}}}}]}}")
    named, other = (hub.policy_of(Device(id=DeviceId("zigbee-0000000000000001"), radio=None, model=model)) for model in "ab")
    assert (named.windows, [each.name for each in other.windows]) == ((), ["night"])


def test_times_and_dates_need_no_quotes(tmp_path: Path) -> None:
    text = "{name: late, from: 22:30, to: 01:00, zone: UTC, blackout: 2026-12-24}"
    late, once = read(tmp_path, f"windows: [{text}, {{name: o, when: 2026-05-01 01:00:00Z, until: 2026-05-02T01:00Z}}]").windows
    assert (late.from_, late.to, late.blackout) == ("22:30", "01:00", ("2026-12-24",))
    assert once.window() == OneTime(name="o", begins=datetime(2026, 5, 1, 1, tzinfo=UTC), ends=datetime(2026, 5, 2, 1, tzinfo=UTC))


def test_a_pattern_stays_quick_against_a_name_made_to_slow_it_down() -> None:
    match = RuleMatch(model="*a" * 60)
    assert not match.fits(Device(id=DeviceId("zigbee-0000000000000001"), radio=None, model="a" * 59 + "b" * 10_000))


# --- the environment -------------------------------------------------------------------------------------------------------------------


def test_every_scalar_can_be_set_from_the_environment(tmp_path: Path) -> None:
    hub = read(
        tmp_path,
        f"radios: [{{name: z, type: znp, path: {STICK}}}]\napi: {{listen: 127.0.0.1:1}}\nschedule: {{interrogate: 1h}}",
        OTAGATE_STATE_DIR="/srv/hub",
        OTAGATE_API__LISTEN="127.0.0.1:9000",
        OTAGATE_API__TOKEN_FILE="/run/token",
        OTAGATE_RADIOS__0__PATH="socket://stick:6638",
        OTAGATE_RADIOS__0__PARALLEL="4",
        OTAGATE_RADIOS__0__BAUDRATE="57600",
        OTAGATE_SCHEDULE__INTERROGATE="2d",
        OTAGATE_IMAGES__MAX_BYTES="1MiB",
        OTAGATE_POLICY__DEFAULT="never",
        OTAGATE_LOGGING__LEVEL="error",
    )
    assert (hub.state_dir, hub.token_file, hub.api.listen) == (Path("/srv/hub"), Path("/run/token"), ("127.0.0.1:9000",))
    assert (hub.radios[0].path, hub.radios[0].parallel, hub.radios[0].baudrate) == ("socket://stick:6638", 4, 57600)
    assert (hub.schedule.interrogate, hub.images.max_bytes) == (timedelta(days=2), 1 << 20)
    assert (hub.policy.default, hub.logging.level) == ("never", "error")


def test_a_whole_configuration_can_come_from_the_environment(tmp_path: Path) -> None:
    """Every scalar there is, at every depth."""
    hub = read(tmp_path, EVERYTHING)

    def flat(value: Any, name: str) -> dict[str, str]:
        if isinstance(value, dict):
            return {each: text for key, inner in value.items() for each, text in flat(inner, f"{name}__{key.upper()}").items()}
        if isinstance(value, list):
            return {each: text for index, inner in enumerate(value) for each, text in flat(inner, f"{name}__{index}").items()}
        return {name: str(value)}

    environ = {f"OTAGATE_{key.removeprefix('__')}": text for key, text in flat(yaml.safe_load(effective(hub)), "").items()}
    assert len(environ) >= 50
    assert read(tmp_path, "", **environ) == hub


def test_lists_grow_from_the_environment_entry_by_entry(tmp_path: Path) -> None:
    listens = {f"OTAGATE_API__LISTEN__{index}": f"127.0.0.1:{9000 + index}" for index in range(12)}
    hub = read(
        tmp_path,
        "",
        **listens,
        OTAGATE_RADIOS__0__NAME="123",
        OTAGATE_RADIOS__0__TYPE="znp",
        OTAGATE_RADIOS__0__PATH=STICK,
        OTAGATE_POLICY__RULES__0__MATCH__MODEL="LCT*",
        OTAGATE_POLICY__RULES__0__USE__RETRIES="1",
    )
    assert hub.api.listen == tuple(listens.values())
    assert hub.radios[0].name == "123"
    assert hub.policy.rules[0].use.retries == 1


def test_an_entry_can_be_added_to_a_list_that_was_written_as_one_value(tmp_path: Path) -> None:
    hub = read(tmp_path, "api: {listen: 127.0.0.1:1}", OTAGATE_API__LISTEN__1="unix:/run/o.sock")
    assert hub.api.listen == ("127.0.0.1:1", "unix:/run/o.sock")


@pytest.mark.parametrize(
    ("written", "socket", "said"),
    [
        ("api: {listen: 127.0.0.1:1}", "run/o.sock", "environment OTAGATE_SOCKET: api.listen[1]: "),
        ("api: {listen: nowhere}", "/run/o.sock", "1:15: api.listen[0]: "),
        ("api: {listen: []}", "/run/o.sock", "1:15: api.listen: is empty"),
        ("api: {listen: 5}", "/run/o.sock", "1:15: api.listen[0]: '5' is no address"),
        ("api: 5", "/run/o.sock", "1:6: api: "),
    ],
)
def test_beside_a_socket_of_the_unit_every_error_has_its_place(tmp_path: Path, written: str, socket: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, written, OTAGATE_SOCKET=socket)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_variables_of_others_and_empty_ones_change_nothing(tmp_path: Path) -> None:
    environ = {
        "OTAGATE_TEST_DATA": "/data",
        "OTAGATE_URL": "http://x",
        "OTAGATE_API": "x",
        "OTAGATE_API__LISTEN": "",
        "PATH": "/bin",
        "otagate_x__y": "1",
    }
    assert read(tmp_path, "", **environ) == HubSettings()


# --- what is shown ---------------------------------------------------------------------------------------------------------------------


def test_the_effective_configuration_reads_back_as_the_same_hub(tmp_path: Path) -> None:
    hub = read(tmp_path, EVERYTHING)
    again = read(tmp_path, effective(hub))
    assert again == hub
    assert effective(again) == effective(hub)


def test_the_effective_configuration_shows_what_defaults_came_to() -> None:
    tree = yaml.safe_load(effective(HubSettings(state_dir=Path("/srv/hub"))))
    assert tree["api"] == {"listen": ["127.0.0.1:8377"], "token_file": "/srv/hub/api-token", "tokens": [], "hosts": []}
    assert tree["images"] == {"max_bytes": "16MiB", "path": "/srv/hub/images-cache", "keep_good": 2}
    assert tree["schedule"] == {"interrogate": "6h"}


def test_what_is_allowed_but_should_be_known_is_warned_of(tmp_path: Path) -> None:
    text = """
    api: {listen: [0.0.0.0:8377, 127.0.0.1:1, "[::1]:2", localhost:3, unix:/run/o, hub.local:4]}
    store: {url: "memory:"}
    radios:
      - {name: a, type: znp, path: "socket://stick:1", baudrate: 115200, flow_control: software}
      - {name: b, type: znp, path: /dev/ttyUSB0, channel: 11}
      - {name: c, type: znp, path: /dev/serial/by-id/x, channel: 11, network: form, baudrate: 115200}
    """
    assert read(tmp_path, text).warnings == (
        "api.listen: 0.0.0.0:8377 is open to other machines, in clear text: whoever knows the token in /var/lib/otagate/api-token commands this hub",
        "api.listen: hub.local:4 is open to other machines, in clear text: whoever knows the token in /var/lib/otagate/api-token commands this hub",
        "store.url: memory: forgets everything when the daemon ends, updates under way included",
        "radios[0].baudrate: has no effect on a socket",
        "radios[0].flow_control: has no effect on a socket",
        "radios[1].channel: has no effect on an existing network: it is for network: form",
        "radios[1].path: /dev/ttyUSB0 may be another stick after a restart: use its name under /dev/serial/by-id",
    )


def test_a_z_wave_controller_updates_one_node_at_a_time_unless_told_otherwise(tmp_path: Path) -> None:
    hub = read(tmp_path, "radios: [{name: a, type: zwave-js, url: 'ws://x:1'}, {name: b, type: zwave-js, url: 'wss://x:2', parallel: 4}]")
    assert [each.parallel for each in hub.radios] == [1, 4]
    assert read(tmp_path, effective(hub)).radios == hub.radios


def test_a_hub_of_defaults_warns_of_nothing() -> None:
    assert HubSettings().warnings == ()


# --- the packaged file -----------------------------------------------------------------------------------------------------------------


def test_the_packaged_configuration_says_what_the_code_does_without_one() -> None:
    assert load(PACKAGED, {}) == HubSettings()


def test_the_packaged_configuration_shows_every_key_there_is() -> None:
    text = PACKAGED.read_text()
    shown = set(re.findall(r"(?:^|[\s{,#-])([a-z_]+):(?=\s)", text))
    assert {key for section in every_section() for key in keys_of(section)} - shown == set()


def test_the_examples_of_the_packaged_configuration_are_right_once_they_are_no_comments(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^( *)#  ( *(?:- |\w+:).*)$", r"\1  \2", PACKAGED.read_text())  # the examples in lists
    text = re.sub(r"(?m)^( *)# (token_file|path|approval_expires|url|public_url|username|password_file|ca_file): ", r"\1\2: ", text)
    text = re.sub(r"(?m)^( *)(tokens|hosts|radios|sources|allow_private|rules|windows|interlocks|notify): \[\]$", r"\1\2:", text)
    hub = read(tmp_path, text)
    radio, source, rule = hub.radios[0], hub.sources[0], hub.policy.rules[0]
    zwave = hub.radios[1]
    assert (zwave.name, zwave.type, zwave.url, zwave.region, zwave.parallel) == ("zwave0", "zwave-js", "ws://127.0.0.1:3000", "europe", 1)
    beside = hub.radios[2]
    assert (beside.type, beside.url, beside.base_topic, beside.parallel) == ("zigbee2mqtt", "mqtt://127.0.0.1:1883", "zigbee2mqtt", 1)
    assert (radio.name, radio.type, radio.baudrate, radio.flow_control, radio.channel) == ("zigbee0", "znp", 115200, "none", 15)
    assert (source.type, source.name, source.every) == ("directory", "directory", timedelta(seconds=60))
    assert (rule.match.model, rule.match.radio, rule.use.default, rule.use.retries) == ("LCT0*", "zigbee0", "automatic", 5)
    assert (rule.use.channel, rule.use.window, hub.policy.approval_expires) == ("beta", ("night", "holidays"), timedelta(days=14))
    night, holidays = hub.windows
    assert (night.days, night.from_, night.to, night.blackout) == (("mon", "tue", "wed", "thu", "fri"), "01:00", "05:00", ("2026-12-24",))
    assert (holidays.when, holidays.at_end) == ("2026-12-25T08:00:00+01:00", "pause")
    assert (hub.token_file, hub.image_dir) == (HubSettings().token_file, HubSettings().image_dir)
    (iotaap,) = (each for each in hub.sources if each.type == "iotaap")
    assert (iotaap.every, iotaap.bindings and iotaap.bindings[0].device) == (timedelta(hours=1), "zigbee-000d6f000a9069e7")
    illume, thing = (each for each in hub.sources if each.type in ("tuya-illume", "tuya-thing"))
    assert (illume.every, illume.project_id, thing.device_ids) == (timedelta(minutes=15), "1451224591564378112", ("vdev1243432",))
    assert (hub.api.tokens[0].scopes, hub.api.hosts) == (("read", "operate"), ("hub.example.org",))
    assert (hub.mqtt.host, hub.mqtt.port, hub.mqtt.tls, hub.mqtt.username) == ("127.0.0.1", 1883, False, "otagate")
    assert (hub.interlocks[1].topic, hub.interlocks[1].allow, hub.interlocks[1].max_age) == ("building/flat-3/away", ("ON",), timedelta(minutes=15))
    assert (hub.notify[0].severity, hub.notify[0].quiet and hub.notify[0].quiet.window().end) == ("warning", 7 * 60)
    assert [each.type for each in hub.notify] == ["webhook", "ntfy", "mqtt"]
    shown = ["https://hooks.example.org/***", "https://ntfy.example.org/***", None]
    assert [each.get("url") for each in effective_tree(hub)["notify"]] == shown
    assert [each.get("url") for each in yaml.safe_load(effective(hub))["notify"]] == shown


def test_neither_what_stands_behind_the_question_mark_of_an_address_nor_the_path_of_an_interlock_is_ever_shown(tmp_path: Path) -> None:
    text = (
        "radios: [{name: w, type: zwave-js, url: 'wss://proxy.local/zwave?key=hunter2'}]\n"
        "sources: [{type: z2m-index, url: 'https://example.org/index.json?token=hunter2'}]\n"
        "interlocks: [{name: door, url: 'http://ha.local/api/webhook/hunter2?key=hunter2&x=1'}, {name: gate, url: 'http://ha.local:8123'}]\n"
    )
    hub = read(tmp_path, text)
    for tree in (yaml.safe_load(effective(hub)), effective_tree(hub)):
        assert "hunter2" not in str(tree)
        assert tree["radios"][0]["url"] == "wss://proxy.local/zwave?***"
        assert tree["sources"][0]["url"] == "https://example.org/index.json?***"
        assert [each["url"] for each in tree["interlocks"]] == ["http://ha.local/***", "http://ha.local:8123"]


def test_the_api_does_not_tell_the_words_of_commands(tmp_path: Path) -> None:
    hand_over = "{take: [curl, -H, 'Authorization: Bearer hunter2', 'http://h'], give_back: zigbee2mqtt.service}"
    tree = effective_tree(read(tmp_path, f"radios: [{{name: z, type: znp, path: /dev/z, hand_over: {hand_over}}}]"))
    assert "hunter2" not in str(tree)
    assert (tree["radios"][0]["hand_over"]["take"], tree["radios"][0]["hand_over"]["give_back"]) == (
        ["curl", "***"],
        ["systemctl", "start", "zigbee2mqtt.service"],
    )


def every_section(section: type[Section] = HubSettings) -> list[type[Section]]:
    found = [section]
    for key in section.model_fields:
        inner = section_at_key(section, key)
        if inner is not None:
            found += every_section(inner)
    return found


def section_at_key(section: type[Section], key: str) -> type[Section] | None:
    def within(annotation: Any) -> type[Section] | None:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            return annotation
        return next((found for each in get_args(annotation) if (found := within(each)) is not None), None)

    return within(section.model_fields[key].annotation)


def test_every_section_can_be_found_by_its_place() -> None:
    assert {section_at(()), section_at(("api",)), section_at(("radios", 3)), section_at(("policy", "rules", 0, "match"))} <= set(every_section())
    assert section_at(("nothing", "there")) is None
