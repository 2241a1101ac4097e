"""The configuration that is promised to operators, key by key as they write it, is taken by `otagate check-config`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from otagate.config import load
from tests.cli.conftest import otagate

SECRETS = ("api-token", "panel.token", "zwave-js.key", "tuya.secret", "iotaap.password", "d1.token")
PROMISED = """
state_dir: {folder}
api:
  listen: [127.0.0.1:8377, "unix:/run/otagate/otagate.sock"]
  token_file: {folder}/api-token
  tokens: [{{name: panel, file: {folder}/panel.token, scopes: [read, operate, approve, downgrade, admin]}}]
radios:
  - name: zigbee0
    type: ezsp
    path: /dev/serial/by-id/usb-stick
    network: existing
    baudrate: 115200
    flow_control: hardware
    parallel: 2
  - name: zwave0
    type: zwave-js
    url: ws://127.0.0.1:3000
    region: europe
sources:
  - type: directory
    path: {folder}/images
  - type: zwave-js
    url: https://firmware.zwave-js.io
    api: auto
    refresh: 24h
    api_key_file: {folder}/zwave-js.key
  - type: ledvance
    url: https://api.update.ledvance.com/v1/zigbee
  - type: tuya-illume
    url: https://openapi.tuyaeu.com
    client_id: p1234567890
    client_secret_file: {folder}/tuya.secret
    project_id: "1451224591564378112"
  - type: tuya-thing
    url: https://openapi.tuyaeu.com
    client_id: p1234567890
    client_secret_file: {folder}/tuya.secret
    device_ids: [vdev1243432]
    same_as: [{{cloud_device: vdev1243432, device: zigbee-000d6f000a9069e7}}]
  - type: iotaap
    api_url: https://api.iotaap.io/v1
    ota_url: https://ota.iotaap.io/v1
    email: operator@example.org
    password_file: {folder}/iotaap.password
    bindings: [{{iotaap_device: 5e1b57808711f904f5df4bad, token_file: {folder}/d1.token, device: zigbee-000d6f000a9069e7}}]
  - type: z2m-index
    url: https://index.example.org/index.json
  - type: z2m-index
    name: own
    path: {folder}/index.json
http:
  allow_private: [127.0.0.1]
store:
  url: sqlite:///otagate.db
schedule:
  interrogate: 6h
policy:
  default: ask
  channel: stable
  cooldown: 14d
  battery_floor: 70
  retries: 3
  rules:
    - match: {{model: "LCT0*", group: hall, radio: zigbee0, device: zigbee-000d6f000a9069e7}}
      use: {{default: automatic, window: night}}
windows:
  - {{name: night, days: [mon, tue, wed, thu, fri], from: "01:00", to: "05:00", zone: Europe/Berlin, blackout: ["2026-12-24"], at_end: finish}}
"""


@pytest.fixture
def promised(tmp_path: Path) -> Path:
    """The whole of it, with its secrets, folder and index."""
    for number, name in enumerate(SECRETS):
        (tmp_path / name).write_text(f"{number}" * 40 + "\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "images").mkdir()
    (tmp_path / "index.json").write_text("[]")
    file = tmp_path / "otagate.yaml"
    file.write_text(PROMISED.format(folder=tmp_path))
    return file


@pytest.mark.asyncio
async def test_every_promised_key_is_taken_and_stands_in_what_is_printed(promised: Path) -> None:
    outcome = await otagate("check-config", str(promised))
    assert (outcome.code, outcome.err) == (0, "")
    missing = [key for key in _keys(yaml.safe_load(promised.read_text())) if f"{key}:" not in outcome.out]
    assert missing == []


@pytest.mark.asyncio
async def test_no_secret_is_printed(promised: Path) -> None:
    outcome = await otagate("check-config", str(promised))
    assert outcome.code == 0
    assert [name for number, name in enumerate(SECRETS) if f"{number}" * 40 in outcome.out] == []


@pytest.mark.parametrize(("key", "given"), [("at_end: finish", "at_end: pause"), ("network: existing", "network: form"), ("api: auto", "api: v4")])
def test_the_other_promised_words_are_taken_too(promised: Path, key: str, given: str) -> None:
    promised.write_text(promised.read_text().replace(key, given))
    load(promised, {})


@pytest.mark.parametrize("radio_type", ["znp", "ezsp"])
@pytest.mark.parametrize("path", ["/dev/serial/by-id/usb-stick", "socket://10.0.0.7:6638", "/dev/pts/3"])
def test_a_stick_a_socket_and_a_pty_are_written_alike(promised: Path, radio_type: str, path: str) -> None:
    text = promised.read_text().replace("type: ezsp", f"type: {radio_type}").replace("/dev/serial/by-id/usb-stick", path)
    promised.write_text(text)
    assert load(promised, {}).radios[0].path == path


def test_settings_of_policy_come_from_the_environment_and_windows_by_index(promised: Path) -> None:
    hub = load(
        promised,
        {
            "OTAGATE_POLICY__COOLDOWN": "3d",
            "OTAGATE_POLICY__CHANNEL": "beta",
            "OTAGATE_POLICY__BATTERY_FLOOR": "40",
            "OTAGATE_POLICY__RULES__0__USE__DEFAULT": "never",
            "OTAGATE_WINDOWS__0__TO": "04:00",
            "OTAGATE_WINDOWS__0__AT_END": "pause",
            "OTAGATE_SOURCES__1__REFRESH": "12h",
            "OTAGATE_HTTP__ALLOW_PRIVATE": "10.0.0.9",
            "OTAGATE_STORE__URL": "memory:",
        },
    )
    assert (hub.policy.cooldown.days, hub.policy.channel, hub.policy.battery_floor) == (3, "beta", 40)
    assert (hub.policy.rules[0].use.default, hub.windows[0].to, hub.windows[0].at_end) == ("never", "04:00", "pause")
    assert (hub.sources[1].every.total_seconds(), hub.http.allow_private, hub.store.url) == (43200, ("10.0.0.9",), "memory:")


@pytest.mark.asyncio
async def test_a_zigbee2mqtt_is_a_radio_at_its_broker(promised: Path) -> None:
    stick = "path: /dev/serial/by-id/usb-stick\n    network: existing\n    baudrate: 115200\n    flow_control: hardware\n    parallel: 2"
    text = promised.read_text().replace("type: ezsp", "type: zigbee2mqtt").replace(stick, "url: mqtt://127.0.0.1:1883\n    base_topic: house/z2m")
    promised.write_text(text)
    outcome = await otagate("check-config", str(promised))
    assert (outcome.code, outcome.err) == (0, "")
    radio = load(promised, {}).radios[0]
    assert (radio.url, radio.base_topic, radio.parallel) == ("mqtt://127.0.0.1:1883", "house/z2m", 1)


@pytest.mark.asyncio
async def test_what_is_for_a_stick_is_not_for_zigbee2mqtt(promised: Path) -> None:
    promised.write_text(promised.read_text().replace("type: ezsp", "type: zigbee2mqtt"))
    outcome = await otagate("check-config", str(promised))
    assert (outcome.code, outcome.out) == (78, "")
    assert "radios[0].path: is not for type zigbee2mqtt: zigbee2mqtt has no path" in outcome.err
    assert "radios[0].url: is missing: this key must be given" in outcome.err


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value}.union(*(_keys(each) for each in value.values()))
    return set().union(*(_keys(each) for each in value)) if isinstance(value, list) else set()
