"""The sections of the configuration and their defaults. A field here is a key there; what is not here does not exist.

The sentence below a field is what editors show beside its key.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from otagate.config.broker import MqttSettings, RadioUrl, Topic, UserName, broker_url
from otagate.config.hand_over import HandOverSettings
from otagate.config.kinds import (
    Bytes,
    CloudWord,
    Device,
    Duration,
    Email,
    Folder,
    HostName,
    IotaapDevice,
    Listen,
    LocalPath,
    Name,
    OneOrMore,
    RadioPath,
    SecretFile,
    Some,
    StoreUrl,
    TokenFile,
    WebUrl,
    Whole,
    is_loopback,
    server_url,
)
from otagate.config.notices import NotifySettings
from otagate.config.policies import InterlockSettings, PolicyRules
from otagate.config.section import Section
from otagate.config.windows import WindowSettings
from otagate.model.devices import Device as KnownDevice
from otagate.policy.settings import PolicySettings
from otagate.sources.registry import DELEGATES, REGISTRY

RadioType = Literal["znp", "ezsp", "deconz", "xbee", "zigate", "zwave-js", "zigbee2mqtt"]
Region = Literal["europe", "usa", "australia/new zealand", "hong kong", "india", "israel", "russia", "china", "japan", "korea"]
ZWAVE_JS = "zwave-js"
ZIGBEE2MQTT = "zigbee2mqtt"
Scope = Literal["read", "operate", "approve", "downgrade", "admin"]


class TokenSettings(Section):
    """A further token of the API: its name is the actor in the journal, its file holds it, its scopes say what it may do."""

    name: Name
    """Who the token stands for: the actor in the journal."""
    file: TokenFile
    """The file that holds the token, of mode 0600, or `credential:NAME` for a credential of systemd."""
    scopes: Annotated[tuple[Scope, ...], OneOrMore, Field(min_length=1, max_length=5)]
    """What the token may do; admin may do everything."""


class ApiSettings(Section):
    """Where the API listens and who may call it. What `token_file` comes to, `HubSettings.token_file` says."""

    listen: Annotated[tuple[Listen, ...], OneOrMore, Field(min_length=1, max_length=16)] = ("127.0.0.1:8377",)
    """`host:port`, `[v6]:port` or `unix:/path`, or a list of them."""
    token_file: TokenFile | None = None
    """The admin token, made on the first start where it is missing; without this key `api-token` in the state directory."""
    tokens: Annotated[tuple[TokenSettings, ...], Some, Field(max_length=64)] = ()
    """Further tokens, each with what it may do."""
    hosts: Annotated[tuple[HostName, ...], OneOrMore, Field(max_length=64)] = ()
    """Names by which the API may be called, beside loopback and its own addresses, and that of public_url."""
    public_url: WebUrl | None = None
    """Where people reach the page, as in http://hub.example.org:8377: what leads there from Home Assistant."""


_OF_ZIGBEE = ("path", "baudrate", "flow_control", "channel", "air_share", "hand_over")
_OF_ZWAVE = ("url", "region")
_OF_ZIGBEE2MQTT = ("url", "base_topic", "username", "password_file", "ca_file", "images_url")


def _only_for(radio_type: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """The part of the schema for one type of radio: an address is needed, and what is only for the others is not given."""
    others = dict.fromkeys((*_OF_ZIGBEE, *_OF_ZWAVE, *_OF_ZIGBEE2MQTT))
    return {
        "if": {"properties": {"type": {"const": radio_type}}, "required": ["type"]},
        "then": {"required": ["url"], "properties": {key: {"type": "null"} for key in others if key not in keys}},
    }


class RadioSettings(Section):
    """One coordinator of Zigbee at a `path`, one controller of Z-Wave behind a `url`, or one zigbee2mqtt at the broker of its `url`."""

    model_config = ConfigDict(
        json_schema_extra={
            **_only_for(ZWAVE_JS, _OF_ZWAVE),
            "else": {
                **_only_for(ZIGBEE2MQTT, _OF_ZIGBEE2MQTT),
                "else": {
                    "required": ["path"],
                    "properties": {key: {"type": "null"} for key in dict.fromkeys((*_OF_ZWAVE, *_OF_ZIGBEE2MQTT))},
                },
            },
        }
    )

    name: Name
    """What devices, rules and the command line call it."""
    type: RadioType
    """The kind of coordinator (deconz, xbee and zigate need the extra of that name), zwave-js, or a running zigbee2mqtt (it needs the extra mqtt)."""
    path: Annotated[RadioPath | None, Field(validate_default=True)] = None
    """A serial port, best by its name under /dev/serial/by-id, or `socket://host:port`; not for zwave-js and zigbee2mqtt."""
    url: Annotated[RadioUrl | None, Field(validate_default=True)] = None
    """Where zwave-js-server listens, as in ws://127.0.0.1:3000, or the broker of zigbee2mqtt, as in mqtt://127.0.0.1:1883; for these alone."""
    base_topic: Topic | None = None
    """What the topics of zigbee2mqtt begin with: zigbee2mqtt without being given."""
    username: UserName | None = None
    """Who the hub is to the broker of zigbee2mqtt, where that wants to know."""
    password_file: SecretFile | None = None
    """The file that holds the password, or `credential:NAME`."""
    ca_file: LocalPath | None = None
    """The authorities whose certificates count for mqtts, where those of the machine do not."""
    images_url: WebUrl | None = None
    """Where zigbee2mqtt reaches the API of this hub, as in http://192.168.1.5:8377, where it runs on another machine or in a container."""
    region: Region | None = None
    """The region of a Z-Wave controller that cannot tell it (500 series)."""
    network: Literal["existing", "form"] = "existing"
    """`form` makes a new network, only on an empty stick with an empty database."""
    baudrate: Annotated[Whole, Field(ge=1200, le=4_000_000)] | None = None
    """Where the default of the stick's library is wrong."""
    flow_control: Literal["none", "hardware", "software"] | None = None
    """Where the default of the stick's library is wrong."""
    parallel: Annotated[Whole, Field(ge=1, le=16)] = 2
    """Transfers at once on this radio; 1 without being given for zwave-js and zigbee2mqtt."""
    air_share: Annotated[Whole, Field(ge=10, le=100)] | None = None
    """How much of a Zigbee channel firmware may hold, in percent: 66 without being given, 100 is all of it."""
    channel: Annotated[Whole, Field(ge=11, le=26)] | None = None
    """The Zigbee channel of a network that is formed."""
    hand_over: HandOverSettings | None = None
    """Where another program has the stick most of the time: how it is borrowed from that, and given back."""

    @model_validator(mode="before")
    @classmethod
    def _one_at_a_time(cls, data: Any) -> Any:
        return {"parallel": 1, **data} if isinstance(data, dict) and data.get("type") in (ZWAVE_JS, ZIGBEE2MQTT) else data

    @field_validator("path", "url")
    @classmethod
    def _needed_by_its_type(cls, value: str | None, info: ValidationInfo) -> str | None:
        wanted = "url" if info.data.get("type") in (ZWAVE_JS, ZIGBEE2MQTT) else "path"
        if value is None and "type" in info.data and info.field_name == wanted:
            raise PydanticCustomError("missing", "Field required")
        return value

    @field_validator("url")
    @classmethod
    def _address_of_its_type(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or info.data.get("type") not in (ZWAVE_JS, ZIGBEE2MQTT):
            return value
        return broker_url(value) if info.data["type"] == ZIGBEE2MQTT else server_url(value)

    @field_validator(*dict.fromkeys((*_OF_ZIGBEE, "network", *_OF_ZWAVE, *_OF_ZIGBEE2MQTT)))
    @classmethod
    def _meant_for_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or value == "existing" or "type" not in info.data:
            return value
        keys, what = _TERMS.get(info.data["type"], ((*_OF_ZIGBEE, "network"), "a Zigbee radio"))
        if info.field_name not in keys:
            raise ValueError(f"is not for type {info.data['type']}: {what} has no {info.field_name}")
        return value

    @field_validator("hand_over")
    @classmethod
    def _never_formed(cls, value: HandOverSettings | None, info: ValidationInfo) -> HandOverSettings | None:
        if value is not None and info.data.get("network") == "form":
            raise ValueError("goes with network: existing alone: nothing is formed on a stick that belongs to another program")
        return value

    @property
    def over_network(self) -> bool:
        """Whether the path leads through a socket."""
        return self.path is not None and "://" in self.path


_TERMS = {ZWAVE_JS: (_OF_ZWAVE, "a Z-Wave radio"), ZIGBEE2MQTT: (_OF_ZIGBEE2MQTT, "zigbee2mqtt")}

IOTAAP = "iotaap"
_SOURCES = ("directory", *REGISTRY, IOTAAP, *DELEGATES)
if TYPE_CHECKING:
    SourceType = str
else:
    SourceType = Literal[_SOURCES]  # a line of the registry is a word here


class IotaapBinding(Section):
    """One device that IoTaaP knows, and the device here that its firmware is for."""

    iotaap_device: IotaapDevice
    """The device's id at IoTaaP: 24 hex digits."""
    token_file: SecretFile
    """The file that holds the device's token at IoTaaP, or `credential:NAME`."""
    device: Device | None = None
    """The Zigbee or Z-Wave device here that takes the firmware; without it the device updates itself, and images are only published to it."""


class CloudTwin(Section):
    """One device that a cloud updates, and the same device as a radio here knows it."""

    cloud_device: CloudWord
    """The cloud's id of the device."""
    device: Device
    """The same device as it is known here: never is it updated from both sides at once."""


_EVERY = {"directory": timedelta(seconds=60), IOTAAP: timedelta(hours=1), **dict.fromkeys(("tuya-illume", "tuya-thing"), timedelta(minutes=15))}


class SourceSettings(Section):
    """Where firmware comes from: a watched folder, or an update service. Which keys belong to which type is told in `crosscheck`."""

    type: SourceType
    """The kind of source."""
    path: LocalPath | None = None
    """The folder that is watched, for a directory; or an index that is a file here."""
    url: WebUrl | None = None
    """Where the service is, where it is not at its usual place."""
    api: Literal["auto", "v1", "v2", "v3", "v4"] | None = None
    """The version of the Z-Wave service's API; auto takes the newest that it has."""
    api_key_file: SecretFile | None = None
    """The file that holds the Z-Wave service's key, only where one is needed, or `credential:NAME`."""
    api_url: WebUrl | None = None
    """IoTaaP's first address, for the account; where it is not at its usual place."""
    ota_url: WebUrl | None = None
    """IoTaaP's second address, for the files; where it is not at its usual place."""
    email: Email | None = None
    """The name of the account at IoTaaP."""
    password_file: SecretFile | None = None
    """The file that holds the password of that account, or `credential:NAME`."""
    bindings: Annotated[tuple[IotaapBinding, ...], Field(max_length=256)] | None = None
    """Which of IoTaaP's devices is which device here."""
    client_id: CloudWord | None = None
    """Who we are to Tuya's cloud: the Access ID of the cloud project."""
    client_secret_file: SecretFile | None = None
    """The file that holds its Access Secret, or `credential:NAME`."""
    project_id: CloudWord | None = None
    """The project of Tuya's commercial lighting whose devices are ours."""
    device_ids: Annotated[tuple[CloudWord, ...], Field(min_length=1, max_length=500)] | None = None
    """The devices of Tuya's cloud that are ours, by its ids of them."""
    same_as: Annotated[tuple[CloudTwin, ...], Field(max_length=500)] | None = None
    """Which of Tuya's devices are known here by a radio too."""
    name: Name = ""
    """What it is called; without a name it is called by its type."""
    refresh: Duration | None = None
    """How often it is looked at: 60s for a folder, 15m for Tuya, 1h for IoTaaP, 24h for another service."""

    @field_validator("path")
    @classmethod
    def _of_its_kind(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        try:
            misplaced = value is not None and value.exists() and value.is_dir() != (info.data.get("type") == "directory")
        except OSError:
            misplaced = False  # it is where this user may not look: who reads it will tell what is wrong with it
        if misplaced:
            raise ValueError(
                "is a file, and a folder belongs here" if info.data.get("type") == "directory" else "is a folder, and a file belongs here"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _called_by_its_type(cls, data: Any) -> Any:
        return {"name": data["type"], **data} if isinstance(data, dict) and isinstance(data.get("type"), str) else data

    @property
    def is_outside(self) -> bool:
        """Whether it is a service, and neither a folder nor an index on this machine."""
        return self.path is None

    @property
    def every(self) -> timedelta:
        """How often it is looked at."""
        return self.refresh or _EVERY.get(self.type, timedelta(hours=24))


class HttpSettings(Section):
    """What sources may reach."""

    allow_private: Annotated[tuple[HostName, ...], OneOrMore, Field(max_length=64)] = ()
    """Hosts on private or loopback addresses that sources may reach."""


class StoreSettings(Section):
    """Where the status store is; a path after three slashes is relative to the state directory."""

    url: StoreUrl = "sqlite:///otagate.db"
    """`sqlite:///FILE` relative to the state directory, `sqlite:////FILE` absolute, or `memory:`."""
    keep_facts: Annotated[Whole, Field(ge=1_000, le=10_000_000)] = 20_000
    """How many facts the journal keeps; the history of updates is kept without end."""
    copy_every: Duration = timedelta(hours=24)
    """How often the store is copied to the folder `backups` in the state directory, if something has happened."""
    keep_copies: Annotated[Whole, Field(ge=0, le=100)] = 3
    """How many of these copies stay; 0 makes none."""

    @property
    def in_memory(self) -> bool:
        """Whether nothing survives the daemon."""
        return self.url == "memory:"


class ScheduleSettings(Section):
    """How often devices are asked for their versions."""

    interrogate: Duration = timedelta(hours=6)
    """How often devices are asked which firmware they run."""


class ImageSettings(Section):
    """The images that are kept. What `path` comes to, `HubSettings.image_dir` says."""

    max_bytes: Bytes = 16 << 20
    """The largest image that is accepted."""
    path: Folder | None = None
    """Where images are kept; without this key `images-cache` in the state directory."""
    keep_good: Annotated[Whole, Field(ge=0, le=20)] = 2
    """How many images that a component proved last are kept to go back to, though their source has them no more; the one that runs is one."""


class LoggingSettings(Section):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is console on a terminal and json elsewhere."""


class HubSettings(Section):
    """The whole configuration. Made by `otagate.config.load`, which makes every path absolute."""

    state_dir: Folder = Path("/var/lib/otagate")
    """What must survive a restart: the status store, the state of each radio's network, images, the API's token."""
    api: ApiSettings = ApiSettings()
    """The HTTP API."""
    radios: Annotated[tuple[RadioSettings, ...], Some, Field(max_length=32)] = ()
    """The coordinators; none is a hub that only keeps images."""
    sources: Annotated[tuple[SourceSettings, ...], Some, Field(max_length=64)] = ()
    """Where firmware comes from; what is uploaded over the API needs no entry."""
    http: HttpSettings = HttpSettings()
    """What sources may reach."""
    store: StoreSettings = StoreSettings()
    """The status store."""
    schedule: ScheduleSettings = ScheduleSettings()
    """How often things are looked at."""
    images: ImageSettings = ImageSettings()
    """The images that are kept."""
    policy: PolicyRules = PolicyRules()
    """Which releases are taken, and how."""
    windows: Annotated[tuple[WindowSettings, ...], Some, Field(max_length=100)] = ()
    """When updates may use the air; they hold for the devices that policy.window, or the use of a rule, names them for."""
    interlocks: Annotated[tuple[InterlockSettings, ...], Some, Field(max_length=32)] = ()
    """Who is asked before an update begins, and may say no."""
    notify: Annotated[tuple[NotifySettings, ...], Some, Field(max_length=16)] = ()
    """Who is told what happens."""
    mqtt: MqttSettings = MqttSettings()
    """The MQTT broker, and Home Assistant behind it."""
    logging: LoggingSettings = LoggingSettings()
    """What is logged."""

    @property
    def token_file(self) -> Path:
        """Where the admin token of the API is."""
        return self.api.token_file or self.state_dir / "api-token"

    @property
    def image_dir(self) -> Path:
        """Where images are kept."""
        return self.images.path or self.state_dir / "images-cache"

    def policy_of(self, device: KnownDevice) -> PolicySettings:
        """What policy is told about this device."""
        return self.policy.for_device(device, self.windows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and should be known, each one sentence."""
        return tuple(_warnings(self))


def _warnings(settings: HubSettings) -> list[str]:
    found = [
        f"api.listen: {each} is open to other machines, in clear text: whoever knows the token in {settings.token_file} commands this hub"
        for each in settings.api.listen
        if not is_loopback(each)
    ]
    if settings.store.in_memory:
        found.append("store.url: memory: forgets everything when the daemon ends, updates under way included")
    if settings.mqtt.url is not None and not settings.mqtt.tls and not is_loopback(f"{settings.mqtt.host}:0"):
        found.append(f"mqtt.url: {settings.mqtt.host} is reached in clear text: who listens on the way can read the password, and give orders")
    for number, radio in enumerate(settings.radios):
        key = f"radios[{number}]"
        if radio.over_network:
            found += [f"{key}.{each}: has no effect on a socket" for each in ("baudrate", "flow_control") if getattr(radio, each) is not None]
        if radio.channel is not None and radio.network == "existing":
            found.append(f"{key}.channel: has no effect on an existing network: it is for network: form")
        if radio.path is not None and radio.path.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
            found.append(f"{key}.path: {radio.path} may be another stick after a restart: use its name under /dev/serial/by-id")
    return found
