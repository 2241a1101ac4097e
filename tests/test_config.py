"""Wrong configurations, each with exactly the lines that its author gets."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otagate.config import crosscheck, load
from otagate.config.absent import RADIO_LIBRARIES
from otagate.model.errors import ConfigError
from otagate.radios.stacks import STACKS

STICK = "/dev/serial/by-id/usb-stick"
SOURCES = "directory, ledvance, zwave-js, z2m-index, zigpy-index, zigpy-ota, ikea, sonoff, iotaap, tuya-illume, tuya-thing"
SECTIONS = "state_dir, api, radios, sources, http, store, schedule, images, policy, windows, interlocks, notify, mqtt, logging"
POLICY = (
    "default, channel, cooldown, battery_floor, lqi_floor, rssi_floor, load_limit, retries, window, approval_expires, spare_in_use, interlocks,"
    " alive_for, silent_for, asleep_for, behaviour"
)
UNKNOWN_USE = f"unknown key (do you mean window?): known here are {POLICY}"
DURATION = "is not a duration: write a whole number and its unit, as in 90s, 30m, 6h or 14d"
ADDRESS = "is no address: write host:port as in 127.0.0.1:8377 or [::1]:8377, or unix:/run/otagate/otagate.sock"
NAME = "is not a name: use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit"
STORE = "names no store: write sqlite:///otagate.db (relative to state_dir), sqlite:////an/absolute/path.db or memory:"
SECTION = "is not a section: write its keys below it, each on a line of its own, indented"


CANARY = "hunter2-hunter2-hunter2"


def refusal(folder: Path, text: str, **environ: str) -> str:
    """What the author is told, with the folder of the file taken out."""
    path = folder / "hub.yaml"
    path.write_text(text)
    write_secret(folder / "good")
    with pytest.raises(ConfigError) as refused:
        load(path, environ)
    assert CANARY not in str(refused.value)
    return str(refused.value).replace(f"{folder}/", "")


def write_secret(file: Path, content: bytes = b"x" * 40 + b"\n", *, mode: int = 0o600) -> Path:
    file.write_bytes(content)
    file.chmod(mode)
    return file


def radio(keys: str = "parallel: 2") -> str:
    """One radio that is right but for the keys given."""
    return f"radios: [{{{keys}, name: z, type: znp, path: {STICK}}}]"


def window(keys: str) -> str:
    """One window that is right but for the keys given."""
    return f"windows: [{{name: night, {keys}}}]"


WHOLE = "from: '01:00', to: '05:00', zone: UTC"
MINUTE = "is no time of day: write hours and minutes, as in 01:00 or 23:30"
ZONE = "is no time zone: write it as in Europe/Berlin, or UTC"
MOMENT = "is no time with its zone: write it as in 2026-05-01T01:00:00+02:00"
NOT_WHOLE = 'is not whole: give from, to and zone, as in from: "01:00", to: "05:00", zone: Europe/Berlin'
NEVER = "is never open or always: write from: 00:00 and to: 24:00 for a whole day"
TWO_KINDS = "opens once (when, until) or recurs (days, from, to, zone, blackout): give the keys of one kind"
ONCE = "opens once, so it needs both when and until, as in 2026-05-01T01:00:00+02:00"
TWICE = "{}: {} is the name of {} already: give this one a name of its own"
SERVICE = "is no address of a service: write https://host/path, without a user or password in it"
LONG_SOCKET = "/" + "s" * 107

BROKER = "mqtt: {url: 'mqtt://127.0.0.1'}"
BROKER_URL = "is no address of a broker: write mqtt://host:1883, or mqtts://host:8883, without a user or password in it"
TOPIC = "is no topic: write it whole, without + and #, as in building/fire-test/updates"

WRONG: list[tuple[str, str]] = [
    # unknown keys, among them those of features that are not there
    (
        "http: {allow_private: ['http://x']}",
        "1:24: http.allow_private[0]: 'http://x' is no host name: write it without scheme and port, as in hub.example.org",
    ),
    ("sources: [{type: zigpy-index}]", "1:11: sources[0].url: is missing: this key must be given"),
    (
        "sources: [{type: z2m-index, url: 'https://me:pw@x'}]",
        "1:34: sources[0].url: 'https://***@x' is no address of a service: write https://host/path, without a user or password in it",
    ),
    ("sources: [{type: z2m-index, url: 'https://x:99999'}]", f"1:34: sources[0].url: 'https://x:99999' {SERVICE}"),
    ("state_dri: /x", f"1:1: state_dri: unknown key (do you mean state_dir?): known here are {SECTIONS}"),
    (
        "policy: {retrys: 3}",
        f"1:10: policy.retrys: unknown key (do you mean retries?): known here are {POLICY}, quarantine_after, advisories, offline, rules",
    ),
    ("policy: {rules: [{match: {model: a}, use: {windows: night}}]}", f"1:44: policy.rules[0].use.windows: {UNKNOWN_USE}"),
    ("<<: {}", f"1:1: <<: unknown key: known here are {SECTIONS}"),
    ("1: x", f"1:1: 1: unknown key: known here are {SECTIONS}"),
    (
        "radios: [{name: z, type: zwave-js, path: /dev/x, url: 'ws://x'}]",
        "1:42: radios[0].path: is not for type zwave-js: a Z-Wave radio has no path",
    ),
    ("radios: [{name: z, type: zigbee2mqtt}]", "1:10: radios[0].url: is missing: this key must be given"),
    (
        "radios: [{name: z, type: zigbee2mqtt, url: 'ws://x'}]",
        "1:44: radios[0].url: 'ws://x' is no address of a broker: write mqtt://host:1883, or mqtts://host:8883, without a user or password in it",
    ),
    (
        "radios: [{name: z, type: zigbee2mqtt, url: 'mqtt://x', region: europe}]",
        "1:64: radios[0].region: is not for type zigbee2mqtt: zigbee2mqtt has no region",
    ),
    (radio("base_topic: a"), "1:23: radios[0].base_topic: is not for type znp: a Zigbee radio has no base_topic"),
    (
        "radios: [{name: a, type: zigbee2mqtt, url: 'mqtt://x'}, {name: b, type: zigbee2mqtt, url: 'mqtt://x'}]",
        "1:91: radios[1].url: 'mqtt://x' is the address of radios[0] already: take one of them away",
    ),
    (
        "radios: [{name: a, type: zigbee2mqtt, url: 'mqtt://x/'}, {name: b, type: zigbee2mqtt, url: 'mqtt://x', base_topic: zigbee2mqtt}]",
        "1:92: radios[1].url: 'mqtt://x' is the address of radios[0] already: take one of them away",
    ),
    (
        "radios: [{name: z, type: zpn}]",
        "1:26: radios[0].type: 'zpn' is not known here: write one of znp, ezsp, deconz, xbee, zigate, zwave-js, zigbee2mqtt",
    ),
    (radio("url: 'ws://x'"), "1:16: radios[0].url: is not for type znp: a Zigbee radio has no url"),
    (radio("region: europe"), "1:19: radios[0].region: is not for type znp: a Zigbee radio has no region"),
    ("radios: [{name: z, type: zwave-js}]", "1:10: radios[0].url: is missing: this key must be given"),
    (
        "radios: [{name: z, type: zwave-js, url: 'http://x:3000'}]",
        "1:41: radios[0].url: 'http://x:3000' is no address of zwave-js-server: write ws://host:port, as in ws://127.0.0.1:3000",
    ),
    (
        "radios: [{name: z, type: zwave-js, url: 'ws://joe:hunter2@x:3000'}]",
        "1:41: radios[0].url: 'ws://***@x:3000' is no address of zwave-js-server: write ws://host:port, as in ws://127.0.0.1:3000",
    ),
    (
        "radios: [{name: z, type: zwave-js, url: 'ws://x:3000', region: mars}]",
        (
            "1:64: radios[0].region: 'mars' is not known here: write one of europe, usa, australia/new zealand, hong kong, india, israel, russia, "
            "china, japan, korea"
        ),
    ),
    (
        "radios:\n- {name: a, type: zwave-js, url: 'ws://x:1'}\n- {name: b, type: zwave-js, url: 'ws://x:1'}",
        "3:34: radios[1].url: 'ws://x:1' is the address of radios[0] already: take one of them away",
    ),
    (
        "sources: [{type: iotaap, url: 'https://x'}]",
        (
            "1:11: sources[0].email: is missing: this key must be given\n"
            "1:11: sources[0].password_file: is missing: this key must be given\n"
            "1:26: sources[0].url: does not belong to a source of type iotaap: take it away"
        ),
    ),
    (
        f"sources: [{{type: iotaap, email: a, password_file: good, bindings: [{{iotaap_device: {'ab' * 11}, token_file: good, device: lamp}}]}}]",
        (
            "1:33: sources[0].email: 'a' is no e-mail address: write it as in operator@example.org\n"
            f"1:84: sources[0].bindings[0].iotaap_device: '{'ab' * 11}' is no device of IoTaaP: write its 24 hex digits in lower case, "
            "as in 5e1b57808711f904f5df4bad\n"
            "1:134: sources[0].bindings[0].device: 'lamp' is no device id: write zigbee- and 16 hex digits in lower case, "
            "as in zigbee-000d6f000a9069e7, or zwave-, home id and node id, as in zwave-e1b2c3d4-12"
        ),
    ),
    (
        (
            "sources:\n- {type: ledvance, email: a@b}\n- type: iotaap\n  email: a@b\n  password_file: good\n  bindings:\n"
            f"  - {{iotaap_device: {'a' * 24}, token_file: good, device: zigbee-000d6f000a9069e7}}\n"
            f"  - {{iotaap_device: {'b' * 24}, token_file: none, device: zigbee-000d6f000a9069e7}}"
        ),
        (
            "2:20: sources[0].email: does not belong to a source of type ledvance: take it away\n"
            "8:59: sources[1].bindings[1].token_file: there is no such file: write the secret into it, on one line, and chmod 0600\n"
            "8:73: sources[1].bindings[1].device: 'zigbee-000d6f000a9069e7' is the device of sources[1].bindings[0] already: bind each once"
        ),
    ),
    (
        "sources: [{type: tuya-illume, url: 'https://x', client_id: a, project_id: 1451224591564378112, device_ids: [v]}]",
        (
            "1:11: sources[0].client_secret_file: is missing: this key must be given\n"
            "1:75: sources[0].project_id: 1451224591564378112 is not text: put it in quotes\n"
            "1:96: sources[0].device_ids: does not belong to a source of type tuya-illume: take it away"
        ),
    ),
    (
        "sources: [{type: tuya-thing, url: 'https://x', client_id: 'a b', client_secret_file: good, device_ids: []}]",
        (
            "1:59: sources[0].client_id: is no id of a cloud: give 1 to 64 letters, digits, - and _, as the cloud's console shows it\n"
            "1:104: sources[0].device_ids: is empty: give at least one"
        ),
    ),
    (
        "sources: [{type: ledvance, same_as: []}]",
        "1:28: sources[0].same_as: does not belong to a source of type ledvance: take it away",
    ),
    (
        "policy: {rules: [{match: {device: 'tuya-../x'}, use: {default: ask}}]}",
        (
            "1:35: policy.rules[0].match.device: 'tuya-../x' is no device id: behind tuya- stand 1 to 6"
            "4 letters, digits, - and _, behind iotaap- 24 hex digits"
        ),
    ),
    (
        "sources: [{type: directory, path: /x, url: https://y}]",
        "1:39: sources[0].url: does not belong to a source of type directory: take it away",
    ),
    # receivers of notifications
    (
        "notify:\n- {name: a, type: webhook, topic: x}\n- {name: b, type: ntfy, url: 'https://ntfy.sh/'}\n- {name: c, type: mqtt, url: 'https://x'}",
        (
            "2:3: notify[0].url: is missing: this key must be given\n"
            "2:28: notify[0].topic: does not belong to a receiver of type webhook: take it away\n"
            "3:30: notify[1].url: names no topic: write it behind the server, as in https://ntfy.sh/my-topic\n"
            "4:19: notify[2].type: needs a broker: give its address under mqtt.url\n"
            "4:25: notify[2].url: does not belong to a receiver of type mqtt: take it away"
        ),
    ),
    # windows, interlocks, and who names them
    (
        "policy: {rules: [{match: {model: a}, use: {window: night}}]}",
        "1:52: policy.rules[0].use.window: no window is called 'night': known are none",
    ),
    (
        window("from: '01:00', to: '05:00', zone: UTC") + "\npolicy: {window: [night, nihgt]}",
        "2:26: policy.window[1]: no window is called 'nihgt' (do you mean night?): known are night",
    ),
    (
        "policy: {interlocks: fire, rules: [{match: {model: a}, use: {interlocks: [rain]}}]}",
        (
            "1:22: policy.interlocks: no interlock is called 'fire': known are none\n"
            "1:75: policy.rules[0].use.interlocks[0]: no interlock is called 'rain': known are none"
        ),
    ),
    ("interlocks: [{name: a, url: 'https://x'}, {name: a, url: 'https://y'}]", TWICE.format("1:50: interlocks[1].name", "'a'", "interlocks[0]")),
    ("interlocks: [{name: a, url: mqtt://x}]", f"1:29: interlocks[0].url: 'mqtt://x' {SERVICE}"),
    ("interlocks: [{name: a}]", "1:14: interlocks[0]: is asked at a url or told by a topic: give one of the two"),
    (
        "interlocks: [{name: a, url: 'https://x', allow: ok}]",
        "1:14: interlocks[0]: is asked at a url: allow and max_age belong to a topic",
    ),
    (
        f"{BROKER}\ninterlocks: [{{name: a, topic: t}}]",
        '2:14: interlocks[0]: is told by a topic, so it needs allow: the message that is a yes, as in allow: "ON"',
    ),
    ("interlocks: [{name: a, topic: t, allow: ok}]", "1:31: interlocks[0].topic: needs a broker: give its address under mqtt.url"),
    (f"{BROKER}\ninterlocks: [{{name: a, topic: a/+, allow: ok}}]", f"2:31: interlocks[0].topic: 'a/+' {TOPIC}"),
    (
        f"{BROKER}\ninterlocks: [{{name: a, topic: t, allow: on}}]",
        "2:41: interlocks[0].allow: true is not a list: begin each entry on a line of its own with '- '",
    ),
    # the broker
    ("mqtt: {url: 'http://x'}", f"1:13: mqtt.url: 'http://x' {BROKER_URL}"),
    ("mqtt: {url: 'mqtt://user:hunter2-hunter2-hunter2@x'}", f"1:13: mqtt.url: 'mqtt://***@x' {BROKER_URL}"),
    (
        "mqtt: {base_topic: a/#}",
        "1:20: mqtt.base_topic: 'a/#' is no topic to begin with: write letters, digits, - and _, with / between levels, as in otagate",
    ),
    (
        "mqtt: {password: hunter2-hunter2-hunter2}",
        "1:8: mqtt.password: a secret has no place in this file: put it in a file of mode 0600, and its path under password_file",
    ),
    ("mqtt: {username: ''}", "1:18: mqtt.username: is no user name: give 1 to 256 printable characters"),
    (
        f"{window(WHOLE)}\n  - {{name: night, {WHOLE}}}".replace("[", "\n  - ", 1).replace("]", "", 1),
        TWICE.format("3:12: windows[1].name", "'night'", "windows[0]"),
    ),
    (window("from: '25:00', to: '05:00', zone: UTC"), f"1:31: windows[0].from: '25:00' {MINUTE}"),
    (window("from: 1am, to: '05:00', zone: UTC"), f"1:31: windows[0].from: '1am' {MINUTE}"),
    (window("from: 60, to: '05:00', zone: UTC"), "1:31: windows[0].from: 60 is not text: put it in quotes"),
    (window("from: 01:00, to: 05:00, zone: Mars/Base"), f"1:55: windows[0].zone: 'Mars/Base' {ZONE}"),
    (window("from: 01:00, to: 05:00, zone: ../../etc/passwd"), f"1:55: windows[0].zone: '../../etc/passwd' {ZONE}"),
    (window("from: 01:00, to: 05:00"), f"1:11: windows[0]: {NOT_WHOLE}"),
    (window("from: 01:00, zone: UTC"), f"1:11: windows[0]: {NOT_WHOLE}"),
    (window("days: mon"), f"1:11: windows[0]: {NOT_WHOLE}"),
    (window("from: 05:00, to: 05:00, zone: UTC"), f"1:11: windows[0]: {NEVER}"),
    (window("from: 24:00, to: 05:00, zone: UTC"), f"1:11: windows[0]: {NEVER}"),
    (window(f"{WHOLE}, days: monday"), "1:70: windows[0].days[0]: 'monday' is not known here: write one of mon, tue, wed, thu, fri, sat, sun"),
    (window(f"{WHOLE}, blackout: [2026-02-30]"), "1:75: windows[0].blackout[0]: '2026-02-30' is no date: write it as in 2026-12-24"),
    (window(f"{WHOLE}, at_end: stop"), "1:72: windows[0].at_end: 'stop' is not known here: write one of finish, pause"),
    (
        window(f"{WHOLE}, zoen: UTC"),
        "1:64: windows[0].zoen: unknown key (do you mean zone?): known here are name, days, from, to, zone, blackout, when, until, at_end",
    ),
    (
        window(f"{WHOLE}, from_: 01:00"),
        "1:64: windows[0].from_: unknown key (do you mean from?): known here are name, days, from, to, zone, blackout, when, until, at_end",
    ),
    (window(f"{WHOLE}, when: 2026-05-01T01:00:00Z"), f"1:11: windows[0]: {TWO_KINDS}"),
    (window("when: 2026-05-01T01:00:00Z"), f"1:11: windows[0]: {ONCE}"),
    (window("when: 2026-05-01T01:00:00, until: 2026-05-01T02:00:00Z"), f"1:31: windows[0].when: '2026-05-01T01:00:00' {MOMENT}"),
    (window("when: 2026-05-01T02:00:00Z, until: 2026-05-01T02:00:00Z"), "1:11: windows[0]: never opens: until is not later than when"),
    ("policy: {battery_floor: 101}", "1:25: policy.battery_floor: 101 is too large: at most 100"),
    ("policy: {channel: nightly}", "1:19: policy.channel: 'nightly' is not known here: write one of stable, beta"),
    ("policy: {cooldown: 2 weeks}", f"1:20: policy.cooldown: '2 weeks' {DURATION}"),
    ("policy: {cooldown: 400d}", "1:20: policy.cooldown: 400d is out of range: give 1s to 366d"),
    ("policy: {approval_expires: 0d}", "1:28: policy.approval_expires: 0d is out of range: give 1s to 366d"),
    ("policy: {spare_in_use: maybe}", "1:24: policy.spare_in_use: 'maybe' is neither true nor false"),
    # secrets in clear
    (
        f"api: {{token: {CANARY}}}",
        "1:7: api.token: a secret has no place in this file: put it in a file of mode 0600, and its path under token_file",
    ),
    (
        f"api: {{tokens: [{{name: a, token: {CANARY}, scopes: read}}]}}",
        (
            "1:16: api.tokens[0].file: is missing: this key must be given\n"
            "1:26: api.tokens[0].token: a secret has no place in this file: put it in a file of mode 0600, and its path under file"
        ),
    ),
    (radio(f"network_key: {CANARY}"), "1:11: radios[0].network_key: a secret has no place in this file: take it away"),
    (
        "api: {tokens: [{name: a, file: 'credential:../x', scopes: read}]}",
        ("1:32: api.tokens[0].file: is no name of a credential: write credential:panel-token, and LoadCredential=panel-token:FILE in the unit"),
    ),
    # wrong types
    ("state_dir: 5", "1:12: state_dir: 5 is not text: put it in quotes"),
    ("state_dir: [a]", "1:12: state_dir: a list stands where text belongs"),
    ("state_dir:", "1:11: state_dir: nothing stands where text belongs"),
    ("api: 8377", f"1:6: api: 8377 {SECTION}"),
    ("radios: {name: z}", "1:9: radios: a section is not a list: begin each entry on a line of its own with '- '"),
    ("radios: [z]", f"1:10: radios[0]: 'z' {SECTION}"),
    (radio("parallel: '2'"), "1:21: radios[0].parallel: '2' is not a whole number: write digits, without quotes"),
    (radio("parallel: 2.5"), "1:21: radios[0].parallel: 2.5 is not a whole number: write digits, without quotes"),
    (radio("parallel: yes"), "1:21: radios[0].parallel: true is not a whole number: write digits, without quotes"),
    ("radios: [{name: 5, type: znp, path: /dev/x}]", "1:17: radios[0].name: 5 is not text: put it in quotes"),
    ("logging: {level: [info]}", "1:18: logging.level: a list is not known here: write one of debug, info, warning, error"),
    ("- state_dir: /x", "1:1: the file is not a section of keys: write them as in `state_dir: /var/lib/otagate`, each on a line of its own"),
    # missing
    ("radios: [{name: z, type: znp}]", "1:10: radios[0].path: is missing: this key must be given"),
    ("sources: [{type: directory}]", "1:11: sources[0].path: is missing: this key must be given"),
    ("policy:\n  rules:\n    - match: {model: a}", "3:7: policy.rules[0].use: is missing: this key must be given"),
    ("api: {listen: []}", "1:15: api.listen: is empty: give at least one"),
    ("api: {tokens: [{name: a, file: b, scopes: []}]}", "1:43: api.tokens[0].scopes: is empty: give at least one"),
    # impossible values
    ("state_dir: ''", "1:12: state_dir: '' is no path: write where it lies, as in /var/lib/otagate"),
    ("state_dir: ~/hub", "1:12: state_dir: '~/hub': ~ is not expanded, because the daemon has no home: write the whole path"),
    ("state_dir: hub.yaml", "1:12: state_dir: is a file, and a folder belongs here"),
    ("sources: [{type: directory, path: hub.yaml}]", "1:35: sources[0].path: is a file, and a folder belongs here"),
    ("api: {listen: 8377}", f"1:15: api.listen[0]: '8377' {ADDRESS}"),
    ("api: {listen: [8377]}", f"1:16: api.listen[0]: '8377' {ADDRESS}"),
    ("api: {listen: localhost}", f"1:15: api.listen[0]: 'localhost' {ADDRESS}"),
    ("api: {listen: '127.0.0.1:65536'}", f"1:15: api.listen[0]: '127.0.0.1:65536' {ADDRESS}"),
    ("api: {listen: '::1:8377'}", f"1:15: api.listen[0]: '::1:8377' {ADDRESS}"),
    ("api: {listen: 'http://localhost:8377'}", f"1:15: api.listen[0]: 'http://localhost:8377' {ADDRESS}"),
    ("api: {listen: '[127.0.0.1]:8377'}", f"1:15: api.listen[0]: '[127.0.0.1]:8377' {ADDRESS}"),
    ("api: {listen: '[::x]:8377'}", f"1:15: api.listen[0]: '[::x]:8377' {ADDRESS}"),
    ("api: {listen: ':8377'}", f"1:15: api.listen[0]: ':8377' {ADDRESS}"),
    (
        "api: {listen: 'unix:otagate.sock'}",
        "1:15: api.listen[0]: 'unix:otagate.sock': the path of a unix socket begins with /, as in unix:/run/otagate/otagate.sock",
    ),
    (
        f"api: {{listen: 'unix:{LONG_SOCKET}'}}",
        "1:15: api.listen[0]: the path of a unix socket has at most 107 bytes, and this one has 108: choose a shorter one",
    ),
    (
        "api: {hosts: ['https://hub']}",
        "1:15: api.hosts[0]: 'https://hub' is no host name: write it without scheme and port, as in hub.example.org",
    ),
    (
        "api: {tokens: [{name: a, file: b, scopes: [root]}]}",
        "1:44: api.tokens[0].scopes[0]: 'root' is not known here: write one of read, operate, approve, downgrade, admin",
    ),
    ("radios: [{name: Zig Bee, type: znp, path: /dev/x}]", f"1:17: radios[0].name: 'Zig Bee' {NAME}"),
    ("radios: [{name: ../z, type: znp, path: /dev/x}]", f"1:17: radios[0].name: '../z' {NAME}"),
    (
        "radios: [{name: z, type: znp, path: ttyUSB0}]",
        "1:37: radios[0].path: 'ttyUSB0' is no serial port: write /dev/serial/by-id/…, or socket://host:port",
    ),
    (
        "radios: [{name: z, type: znp, path: 'socket://stick'}]",
        "1:37: radios[0].path: 'socket://stick' is no serial port over the network: write socket://host:port",
    ),
    (
        "radios: [{name: z, type: znp, path: 'socket://stick:99999'}]",
        "1:37: radios[0].path: 'socket://stick:99999' is no serial port over the network: write socket://host:port",
    ),
    (
        "radios: [{name: z, type: znp, path: 'socket://[stick:1'}]",
        "1:37: radios[0].path: 'socket://[stick:1' is no serial port over the network: write socket://host:port",
    ),
    (
        "radios: [{name: z, type: znp, path: 'tcp://stick:1'}]",
        "1:37: radios[0].path: 'tcp://stick:1' is no serial port over the network: write socket://host:port",
    ),
    (
        "radios: [{name: z, type: znp, path: 'socket://joe:hunter2@stick:1'}]",
        "1:37: radios[0].path: 'socket://***@stick:1' is no serial port over the network: write socket://host:port",
    ),
    (radio("parallel: 0"), "1:21: radios[0].parallel: 0 is too small: at least 1"),
    (radio("baudrate: 300"), "1:21: radios[0].baudrate: 300 is too small: at least 1200"),
    (radio("channel: 27"), "1:20: radios[0].channel: 27 is too large: at most 26"),
    (radio("flow_control: no"), "1:25: radios[0].flow_control: false is not known here: write one of none, hardware, software"),
    ("schedule: {interrogate: 6}", f"1:25: schedule.interrogate: 6 {DURATION}"),
    ("schedule: {interrogate: 6 h}", f"1:25: schedule.interrogate: '6 h' {DURATION}"),
    ("schedule: {interrogate: -6h}", f"1:25: schedule.interrogate: '-6h' {DURATION}"),
    ("schedule: {interrogate: 1h30m}", f"1:25: schedule.interrogate: '1h30m' {DURATION}"),
    ("schedule: {interrogate: 0s}", "1:25: schedule.interrogate: 0d is out of range: give 1s to 366d"),
    ("sources: [{type: directory, path: /x, refresh: 999999999d}]", "1:48: sources[0].refresh: 999999999d is out of range: give 1s to 366d"),
    ("images: {max_bytes: 16 MB}", "1:21: images.max_bytes: '16 MB' is not a size: write it as in 16MiB or 512KiB, or in bytes"),
    ("images: {max_bytes: 0}", "1:21: images.max_bytes: 0MiB is out of range: give 1KiB to 256MiB"),
    ("images: {max_bytes: 1025MiB}", "1:21: images.max_bytes: 1025MiB is out of range: give 1KiB to 256MiB"),
    ("store: {url: otagate.db}", f"1:14: store.url: 'otagate.db' {STORE}"),
    ("store: {url: 'postgres://x/y'}", f"1:14: store.url: 'postgres://x/y' {STORE}"),
    ("store: {url: 'sqlite:///'}", f"1:14: store.url: 'sqlite:///' {STORE}"),
    ("store: {url: 'sqlite:///a?mode=ro'}", f"1:14: store.url: 'sqlite:///a?mode=ro' {STORE}"),
    ("policy: {default: always}", "1:19: policy.default: 'always' is not known here: write one of automatic, ask, never"),
    ("store: {keep_facts: 10}", "1:21: store.keep_facts: 10 is too small: at least 1000"),
    ("store: {keep_copies: 101}", "1:22: store.keep_copies: 101 is too large: at most 100"),
    ("store: {copy_every: daily}", "1:21: store.copy_every: 'daily' is not a duration: write a whole number and its unit, as in 90s, 30m, 6h or 14d"),
    ("policy: {retries: -1}", "1:19: policy.retries: -1 is too small: at least 0"),
    (
        "policy: {rules: [{match: {model: 'LCT.*'}, use: {default: ask}}]}",
        (
            "1:34: policy.rules[0].match.model: 'LCT.*' looks like a regular expression: "
            "write LCT0*, where * is any text and ? one character ([.] is a dot)"
        ),
    ),
    (
        "policy: {rules: [{match: {model: 'LCT[01'}, use: {default: ask}}]}",
        "1:34: policy.rules[0].match.model: 'LCT[01' has a [ without its ]: write [[] for the character itself",
    ),
    (
        "policy: {rules: [{match: {model: ''}, use: {default: ask}}]}",
        "1:34: policy.rules[0].match.model: is no pattern: give 1 to 128 characters, where * stands for any text and ? for one character",
    ),
    (
        "policy: {rules: [{match: {device: zwave-E1B2C3D4-12}, use: {default: ask}}]}",
        (
            "1:35: policy.rules[0].match.device: 'zwave-E1B2C3D4-12' is no device id: write zigbee- and 16 hex digits in lower case, "
            "as in zigbee-000d6f000a9069e7, or zwave-, home id and node id, as in zwave-e1b2c3d4-12"
        ),
    ),
    (
        "policy: {rules: [{match: {}, use: {default: ask}}]}",
        "1:26: policy.rules[0].match: matches every device: give model, manufacturer, group, radio or device, or set policy.default instead",
    ),
    (
        "policy: {rules: [{match: {model: a}, use: {}}]}",
        "1:43: policy.rules[0].use: changes nothing: give default, window, retries or another key of it, or take the rule away",
    ),
    # what two places must agree on
    (
        "radios:\n- {name: a, type: znp, path: /dev/x}\n- {name: a, type: znp, path: /dev/y}",
        "3:10: radios[1].name: 'a' is the name of radios[0] already: give this one a name of its own",
    ),
    (
        "radios:\n- {name: a, type: znp, path: /dev/x}\n- {name: b, type: znp, path: /dev/x}",
        "3:30: radios[1].path: '/dev/x' is the path of radios[0] already: give each its own",
    ),
    (
        "sources:\n- {type: directory, path: /a}\n- {type: directory, path: /b}",
        "3:10: sources[1].type: 'directory' is the name of sources[0] already: give this one a name of its own",
    ),
    (
        "sources:\n- {type: directory, path: /a, name: x}\n- {type: directory, path: /a/}",
        "3:27: sources[1].path: '/a' is the path of sources[0] already: give each its own",
    ),
    (
        "api: {listen: ['127.0.0.1:1', '127.0.0.1:1']}",
        "1:31: api.listen[1]: '127.0.0.1:1' is the address of api.listen[0] already: take one of them away",
    ),
    (
        "api: {tokens: [{name: a, file: good, scopes: read}, {name: a, file: good, scopes: read}]}",
        (
            "1:60: api.tokens[1].name: 'a' is the name of api.tokens[0] already: give this one a name of its own\n"
            "1:69: api.tokens[1].file: the file holds the token of api.tokens[0].file too: give each its own"
        ),
    ),
    (
        "api: {tokens: [{name: admin, file: good, scopes: read}]}",
        "1:23: api.tokens[0].name: 'admin' is the name of the token in token_file: give this one a name of its own",
    ),
    (
        "policy: {rules: [{match: {radio: zigbe0}, use: {default: ask}}]}\nradios: [{name: zigbee0, type: znp, path: /dev/x}]",
        "1:34: policy.rules[0].match.radio: no radio is called 'zigbe0' (do you mean zigbee0?): known are zigbee0",
    ),
    (
        "policy: {rules: [{match: {radio: a}, use: {default: ask}}]}",
        "1:34: policy.rules[0].match.radio: no radio is called 'a': known are none",
    ),
    # YAML itself
    ("api: {}\nlogging: {}\napi: {}", "3:1: api: is given twice, first at line 1: keep one of them"),
    ("api: &a {}\nstore: *a", "1:6: anchors (&name) are not read here: write the value where it is needed"),
    ("store: *a", "1:8: aliases (*name) are not read here: write the value again"),
    (
        "state_dir: !!python/object/apply:os.system [reboot]",
        "1:12: state_dir: tags (!!python/object/apply:os.system) are not read here: write the plain value",
    ),
    ("state_dir: !secret x", "1:12: state_dir: tags (!secret) are not read here: write the plain value"),
    ("state_dir: !!int many", "1:12: state_dir: 'many' cannot be read as int: put it in quotes if it is text"),
    ("? [a]\n: b", "1:3: a key is a word, and here stands a list or a section"),
    (
        "api:\n\tlisten: x",
        "2:1: is not YAML: while scanning for the next token, found character '\\t' that cannot start any token: write spaces instead of the tab",
    ),
    (
        "api: {listen: [",
        (
            "1:16: is not YAML: while parsing a flow node, expected the node content, but found '<stream end>': "
            "look at the indentation, colons and quotes here and on the line before"
        ),
    ),
    (
        "a: 1\n---\nb: 2",
        (
            "2:1: is not YAML: expected a single document in the stream, but found another document: "
            "look at the indentation, colons and quotes here and on the line before"
        ),
    ),
    ("state_dir: /x\nstore: \x07", "2:1: holds a control character: write text only"),
    ("[" * 21 + "]" * 21, "1:21: nests deeper than 20 levels, or holds more than 20000 values"),
]


@pytest.mark.parametrize(("text", "lines"), WRONG, ids=[text[:60].replace("\n", " ") for text, _ in WRONG])
def test_a_wrong_configuration_gets_exactly_this_line(tmp_path: Path, text: str, lines: str) -> None:
    expected = "\n".join(f"hub.yaml:{line}" for line in lines.split("\n"))
    assert refusal(tmp_path, text) == expected


def test_all_errors_are_told_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    text = "logging: {level: loud}\napi:\n  listen: nowhere\n  listen: again\nradios:\n- {name: A, type: znp, path: x, parallel: 0}\nfoo: 1\n"
    lines = refusal(tmp_path, text, OTAGATE_POLICY__RETRIES="many").split("\n")
    assert [re.match(r"hub\.yaml:\d+|environment \w+", line)[0] for line in lines] == [  # type: ignore[index]
        "hub.yaml:1",
        "hub.yaml:3",
        "hub.yaml:4",
        "hub.yaml:6",
        "hub.yaml:6",
        "hub.yaml:6",
        "hub.yaml:7",
        "environment OTAGATE_POLICY__RETRIES",
    ]


HINT = "give the file of the hub, or have one written: otagate init"


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "none.yaml", {})
    assert str(refused.value) == f"{tmp_path}/none.yaml: cannot be read: No such file or directory: {HINT}"


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_bytes(b"state_dir: /x\nstore: \xff\n")
    with pytest.raises(ConfigError, match=r"hub\.yaml:2:1: is not UTF-8 text: .*: save the file as UTF-8$"):
        load(path, {})


@pytest.mark.parametrize("text", ["#" * (1 << 20) + "\n", "a: 1\n" * 250_000], ids=["comment", "keys"])
def test_a_file_larger_than_any_configuration_is_refused_unread(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text) == "hub.yaml:1:1: is larger than 1024 KiB, which no configuration is"


def test_a_file_of_very_many_values_is_refused_where_it_becomes_too_much(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[" + "a," * 30_000 + "]").endswith("nests deeper than 20 levels, or holds more than 20000 values")


def test_very_many_errors_are_cut_short(tmp_path: Path) -> None:
    lines = refusal(tmp_path, "".join(f"k{number}: 1\n" for number in range(500))).split("\n")
    assert (len(lines), lines[-1]) == (101, "… and 400 more")


def test_no_error_shows_what_stands_behind_an_unknown_key(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, "api: {token: hunter2}\nsources: [{type: tuya-illume, client_secret: hunter2}]")


@pytest.mark.parametrize("password", ["hunter2", "h@hunter2", "h/hunter2", "h hunter2"])
def test_no_error_shows_the_password_in_an_address_whatever_characters_it_has(tmp_path: Path, password: str) -> None:
    said = refusal(tmp_path, f"sources: [{{type: ikea, url: 'https://joe:{password}@x/'}}]")
    assert "https://***@x/" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("notify: [{name: a, type: webhook, url: 'https://hooks.example.org/T0/hunter2#x'}]", "'https://hooks.example.org/…' is no address"),
        ("interlocks: [{name: a, url: 'http://ha.local?key=hunter2 x'}]", "'http://ha.local?…' is no address"),
        ("radios: [{name: w, type: zwave-js, url: 'ws://proxy/hunter2#x'}]", "'ws://proxy/…' is no address"),
        ("mqtt: {url: 'mqtt://broker/hunter2'}", "'mqtt://broker/…' is no address"),
    ],
)
def test_no_error_shows_the_path_or_the_query_of_an_address_which_may_be_a_secret(tmp_path: Path, entry: str, shown: str) -> None:
    said = refusal(tmp_path, entry)
    assert shown in said
    assert "hunter2" not in said


# --- secrets ---------------------------------------------------------------------------------------------------------------------------

ONE_TOKEN = "api:\n  tokens:\n  - {name: panel, file: token, scopes: read}\n"
NO_LINE = "the file does not hold one line of plain text of 16 to 4096 characters"
BY_OTHERS = "the file can be read or changed by others (mode {}): chmod 0600, or 0640 for a group of its own"


@pytest.mark.parametrize(
    ("content", "mode", "text"),
    [
        (b"", 0o600, NO_LINE),
        (b"short\n", 0o600, NO_LINE),
        (b"x" * 5000, 0o600, NO_LINE),
        (b"\xff" * 40, 0o600, NO_LINE),
        (CANARY.encode() + b"\n" + CANARY.encode(), 0o600, NO_LINE),
        (CANARY.encode(), 0o644, BY_OTHERS.format("0644")),
        (CANARY.encode(), 0o620, BY_OTHERS.format("0620")),
        (CANARY.encode(), 0o606, BY_OTHERS.format("0606")),
    ],
    ids=["empty", "short", "long", "no text", "two lines", "read by all", "written by the group", "written by all"],
)
def test_a_secret_that_cannot_be_used_is_told_by_its_key_and_not_by_what_it_is(tmp_path: Path, content: bytes, mode: int, text: str) -> None:
    write_secret(tmp_path / "token", content, mode=mode)
    assert refusal(tmp_path, ONE_TOKEN) == f"hub.yaml:3:25: api.tokens[0].file: {text}"
    assert refusal(tmp_path, "api: {token_file: token}") == f"hub.yaml:1:19: api.token_file: {text}"


def test_a_key_of_a_service_may_be_as_short_as_the_service_makes_it_and_be_used_twice(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"k3y\n")
    (tmp_path / "hub.yaml").write_text("sources: [{type: zwave-js, api_key_file: key}, {type: zwave-js, name: b, api_key_file: key}]")
    assert [each.api_key_file for each in load(tmp_path / "hub.yaml", {}).sources] == [tmp_path / "key"] * 2
    write_secret(tmp_path / "key", b"\n")
    assert "api_key_file: the file does not hold one line of plain text of 1 to 4096 characters" in refusal(
        tmp_path, "sources: [{type: zwave-js, api_key_file: key}]"
    )


def test_a_file_that_its_group_may_read_holds_a_secret_still(tmp_path: Path) -> None:
    write_secret(tmp_path / "token", mode=0o640)
    (tmp_path / "hub.yaml").write_text(ONE_TOKEN)
    assert load(tmp_path / "hub.yaml", {}).api.tokens[0].file == tmp_path / "token"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_only_a_plain_file_holds_a_secret(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "token")
    text = "is no plain file: give a file that holds the secret and nothing else"
    assert refusal(tmp_path, ONE_TOKEN) == f"hub.yaml:3:25: api.tokens[0].file: {text}"


def test_a_secret_that_is_not_there_is_told_and_an_admin_token_that_is_not_there_will_be_made(tmp_path: Path) -> None:
    text = "there is no such file: write the secret into it, on one line, and chmod 0600"
    assert refusal(tmp_path, ONE_TOKEN) == f"hub.yaml:3:25: api.tokens[0].file: {text}"
    assert refusal(tmp_path, "api: {token_file: no/such/folder}") == f"hub.yaml:1:19: api.token_file: {text}"
    (tmp_path / "hub.yaml").write_text("api: {token_file: api-token}")
    assert load(tmp_path / "hub.yaml", {}).token_file == tmp_path / "api-token"
    assert not (tmp_path / "api-token").exists()


def test_the_admin_token_where_the_hub_keeps_it_is_judged_too(tmp_path: Path) -> None:
    write_secret(tmp_path / "api-token", mode=0o604)
    assert refusal(tmp_path, f"state_dir: {tmp_path}") == f"hub.yaml:1:1: api.token_file: {BY_OTHERS.format('0604')}"


def test_a_credential_comes_from_the_folder_that_systemd_names(tmp_path: Path) -> None:
    text = "api: {tokens: [{name: panel, file: 'credential:panel-token', scopes: read}]}"
    write_secret(tmp_path / "panel-token", mode=0o400)
    (tmp_path / "hub.yaml").write_text(text)
    assert load(tmp_path / "hub.yaml", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).api.tokens[0].file == tmp_path / "panel-token"
    remedy = "start the hub by its unit, with LoadCredential=, or give a file"
    assert refusal(tmp_path, text) == f"hub.yaml:1:36: api.tokens[0].file: systemd has handed over no credentials: {remedy}"
    admin = refusal(tmp_path, "api: {token_file: 'credential:admin-token'}", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert admin.startswith("hub.yaml:1:19: api.token_file: there is no such file"), "a credential is never made by the hub"
    elsewhere = refusal(tmp_path, text.replace("panel-token", "other"), CREDENTIALS_DIRECTORY=str(tmp_path))
    assert elsewhere.startswith("hub.yaml:1:36: api.tokens[0].file: there is no such file")


def test_who_checks_a_configuration_by_hand_takes_on_trust_what_only_the_service_sees(tmp_path: Path) -> None:
    (tmp_path / "hub.yaml").write_text("api: {tokens: [{name: panel, file: 'credential:panel-token', scopes: read}]}")
    found = load(tmp_path / "hub.yaml", {}, by_hand=True)
    assert found.api.tokens[0].file == Path("/run/credentials/otagate.service/panel-token")
    (tmp_path / "hub.yaml").write_text(ONE_TOKEN)
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "hub.yaml", {}, by_hand=True)


def test_a_secret_that_its_reader_may_not_open_is_told_by_the_service_and_trusted_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may open everything, so the refusal itself is played, for whatever lies in the folder of a hub on this machine too
    write_secret(tmp_path / "token")
    text = f"{ONE_TOKEN}state_dir: {tmp_path}"

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(tmp_path, text) == "hub.yaml:3:25: api.tokens[0].file: the file cannot be read: Permission denied"
    assert load(tmp_path / "hub.yaml", {}, by_hand=True).api.tokens[0].name == "panel"


# --- what is installed -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radio_type", RADIO_LIBRARIES)
def test_a_radio_whose_library_is_not_installed_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, radio_type: str) -> None:
    text = f"radios: [{{name: z, type: {radio_type}, path: {STICK}}}]"
    with monkeypatch.context() as nowhere:
        nowhere.setattr(sys, "path", [])
        nowhere.setattr(sys, "meta_path", sys.meta_path[:3])  # without what editable installations add
        nowhere.delitem(sys.modules, RADIO_LIBRARIES[radio_type], raising=False)
        told = refusal(tmp_path, text)
    assert told == f"hub.yaml:1:26: radios[0].type: '{radio_type}' needs a library that is not installed: pip install 'otagate[{radio_type}]'"
    (tmp_path / f"{RADIO_LIBRARIES[radio_type]}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert load(tmp_path / "hub.yaml", {}).radios[0].type == radio_type


def test_every_library_that_is_not_always_there_has_its_extra() -> None:
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, library in RADIO_LIBRARIES.items():
        assert [re.split(r"[<>=~]", each)[0].replace("-", "_") for each in extras[extra]] == [library]
    named = {name: stack.module.partition(".")[0] for name, stack in STACKS.items() if stack.extra is not None}
    assert (named, {stack.extra for stack in STACKS.values() if stack.extra is not None}) == (dict(RADIO_LIBRARIES), set(RADIO_LIBRARIES))


FRAGMENTS = [
    "api",
    "radios",
    "state_dir",
    "listen",
    "policy",
    "rules",
    "match",
    ":",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    '"',
    "&a",
    "*a",
    "!x",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=30).map("".join))
@example(text="state_dir: 0x")
@example(text="state_dir: 1_000:99999999999999999999")
@example(text="a: 2026-13-45")
def test_no_text_does_anything_but_be_read_or_be_refused_in_lines_that_name_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hub.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path, {})
    except ConfigError as refused:
        assert all(re.match(rf"{re.escape(str(path))}:\d+:\d+: .", line) for line in str(refused).split("\n"))  # noqa: PT017 - either is right


# --- the environment -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "environ", "line"),
    [
        ("", {"OTAGATE_FOO__BAR": "1"}, f"environment OTAGATE_FOO__BAR: foo: unknown key: known here are {SECTIONS}"),
        (
            "",
            {"OTAGATE_API__LISTNE": "x"},
            (
                "environment OTAGATE_API__LISTNE: api.listne: unknown key (do you mean listen?): "
                "known here are listen, token_file, tokens, hosts, public_url"
            ),
        ),
        (
            radio(),
            {"OTAGATE_RADIOS__0__PARALLEL": "17"},
            "environment OTAGATE_RADIOS__0__PARALLEL: radios[0].parallel: '17' is too large: at most 16",
        ),
        (
            radio(),
            {"OTAGATE_RADIOS__0__PARALLEL": "two"},
            "environment OTAGATE_RADIOS__0__PARALLEL: radios[0].parallel: 'two' is not a whole number: write digits, without quotes",
        ),
        (
            radio(),
            {"OTAGATE_RADIOS__2__PATH": STICK},
            "environment OTAGATE_RADIOS__2__PATH: radios[2]: leaves a gap: the next entry of this list is 1",
        ),
        (
            radio(),
            {"OTAGATE_RADIOS__PATH": STICK},
            "environment OTAGATE_RADIOS__PATH: radios: is no section, so it has no key path: give the index of an entry, or the value itself",
        ),
        ("api: {hosts: [a]}", {"OTAGATE_API__0": "x"}, "environment OTAGATE_API__0: api: is a section, and is given by index"),
        (
            "",
            {"OTAGATE_API__": "x"},
            "environment OTAGATE_API__: names no key: write OTAGATE_SECTION__KEY, and lists by index as in OTAGATE_RADIOS__0__PATH",
        ),
        ("api: {listen: [nonsense]}", {"OTAGATE_API__LISTEN": "wrong"}, f"environment OTAGATE_API__LISTEN: api.listen[0]: 'wrong' {ADDRESS}"),
        ("", {"OTAGATE_STATE_DIR": "x" * 5000}, "environment OTAGATE_STATE_DIR: is longer than 4096 characters, which no value is"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, text: str, environ: dict[str, str], line: str) -> None:
    assert refusal(tmp_path, text, **environ) == line


def test_a_broker_without_its_library_is_told_with_the_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosscheck, "find_spec", lambda _: None)
    told = refusal(tmp_path, "mqtt: {url: 'mqtt://127.0.0.1'}")
    assert told == "hub.yaml:1:13: mqtt.url: needs a library that is not installed: pip install 'otagate[mqtt]'"
