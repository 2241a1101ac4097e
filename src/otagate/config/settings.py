"""The sections of the configuration and their defaults. A field here is a key there; what is not here does not exist."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from otagate.config.kinds import (
    Bytes,
    Device,
    Duration,
    Folder,
    Glob,
    HostName,
    Listen,
    Name,
    OneOrMore,
    RadioPath,
    Some,
    StoreUrl,
    TokenFile,
    Whole,
    is_loopback,
)
from otagate.model.devices import Device as KnownDevice
from otagate.policy.settings import Mode, PolicySettings

RadioType = Literal["znp", "ezsp", "deconz", "xbee", "zigate"]
Scope = Literal["read", "operate", "approve", "downgrade", "admin"]


class Section(BaseModel):
    """A frozen section that knows all its keys. Errors never carry what was written there: it may have been a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _all_commented_out(cls, data: Any) -> Any:
        return {} if data is None else data


class TokenSettings(Section):
    """A further token of the API: its name is the actor in the journal, its file holds it, its scopes say what it may do."""

    name: Name
    file: TokenFile
    scopes: Annotated[tuple[Scope, ...], OneOrMore, Field(min_length=1, max_length=5)]


class ApiSettings(Section):
    """Where the API listens: `host:port`, `[v6]:port` or `unix:/path`. `hosts` are further names by which it may be called.

    `token_file` is None for `api-token` in the state directory: see `HubSettings.token_file`.
    """

    listen: Annotated[tuple[Listen, ...], OneOrMore, Field(min_length=1, max_length=16)] = ("127.0.0.1:8377",)
    token_file: TokenFile | None = None
    tokens: Annotated[tuple[TokenSettings, ...], Some, Field(max_length=64)] = ()
    hosts: Annotated[tuple[HostName, ...], OneOrMore, Field(max_length=64)] = ()


class RadioSettings(Section):
    """One coordinator. `baudrate` and `flow_control` are None for what the stick's library takes by itself; `channel` is for forming only."""

    name: Name
    type: RadioType
    path: RadioPath
    network: Literal["existing", "form"] = "existing"
    baudrate: Annotated[Whole, Field(ge=1200, le=4_000_000)] | None = None
    flow_control: Literal["none", "hardware", "software"] | None = None
    parallel: Annotated[Whole, Field(ge=1, le=16)] = 2
    channel: Annotated[Whole, Field(ge=11, le=26)] | None = None

    @property
    def over_network(self) -> bool:
        """Whether the path leads through a socket."""
        return "://" in self.path


class SourceSettings(Section):
    """A watched folder of images, looked at every `refresh`. Without a name it is called by its type."""

    type: Literal["directory"]
    path: Folder
    name: Name = ""
    refresh: Duration = timedelta(seconds=60)

    @model_validator(mode="before")
    @classmethod
    def _called_by_its_type(cls, data: Any) -> Any:
        return {"name": data["type"], **data} if isinstance(data, dict) and isinstance(data.get("type"), str) else data


class StoreSettings(Section):
    """Where the status store is; a path after three slashes is relative to the state directory."""

    url: StoreUrl = "sqlite:///otagate.db"


class ScheduleSettings(Section):
    """How often devices are asked for their versions."""

    interrogate: Duration = timedelta(hours=6)


class ImageSettings(Section):
    """The largest image that is accepted, in bytes, and where images are kept: None for `images-cache` in the state directory."""

    max_bytes: Bytes = 16 << 20
    path: Folder | None = None


class RuleMatch(Section):
    """Which devices a rule is for: all keys that are given must fit; patterns do not tell capitals apart."""

    model: Glob | None = None
    manufacturer: Glob | None = None
    radio: Name | None = None
    device: Device | None = None

    @model_validator(mode="after")
    def _says_something(self) -> RuleMatch:
        if all(value is None for _, value in self):
            raise ValueError("matches every device: give model, manufacturer, radio or device, or set policy.default instead")
        return self

    def fits(self, device: KnownDevice) -> bool:
        """Whether the device is meant."""
        return (
            (self.model is None or _fits(device.model, self.model))
            and (self.manufacturer is None or _fits(device.manufacturer, self.manufacturer))
            and (self.radio is None or device.radio == self.radio)
            and (self.device is None or device.id == self.device)
        )


class RuleUse(Section):
    """What a rule changes; None leaves it as it is in general."""

    default: Mode | None = None
    retries: Annotated[Whole, Field(ge=0, le=20)] | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> RuleUse:
        if all(value is None for _, value in self):
            raise ValueError("changes nothing: give default or retries, or take the rule away")
        return self


class Rule(Section):
    """Other settings for some devices."""

    match: RuleMatch
    use: RuleUse


class PolicyRules(Section):
    """How releases are taken without an order, in general and by rules, of which the first that fits wins."""

    default: Mode = "ask"
    retries: Annotated[Whole, Field(ge=0, le=20)] = 3
    rules: Annotated[tuple[Rule, ...], Some, Field(max_length=1000)] = ()

    def for_device(self, device: KnownDevice) -> PolicySettings:
        """What policy is told about this device: an operator's word about it alone counts more than any rule."""
        use = next((rule.use for rule in self.rules if rule.match.fits(device)), RuleUse.model_construct())
        ruled = PolicySettings(
            mode=self.default if use.default is None else use.default,
            retries=self.retries if use.retries is None else use.retries,
        )
        return ruled.overridden(device.policy)


class LoggingSettings(Section):
    """What is logged and how: `auto` is console on a terminal and json elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class HubSettings(Section):
    """The whole configuration. Made by `otagate.config.load`, which makes every path absolute."""

    state_dir: Folder = Path("/var/lib/otagate")
    api: ApiSettings = ApiSettings()
    radios: Annotated[tuple[RadioSettings, ...], Some, Field(max_length=32)] = ()
    sources: Annotated[tuple[SourceSettings, ...], Some, Field(max_length=64)] = ()
    store: StoreSettings = StoreSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    images: ImageSettings = ImageSettings()
    policy: PolicyRules = PolicyRules()
    logging: LoggingSettings = LoggingSettings()

    @property
    def token_file(self) -> Path:
        """Where the admin token of the API is."""
        return self.api.token_file or self.state_dir / "api-token"

    @property
    def image_dir(self) -> Path:
        """Where images are kept."""
        return self.images.path or self.state_dir / "images-cache"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and should be known, each one sentence."""
        return tuple(_warnings(self))


def _fits(value: str | None, pattern: str) -> bool:
    return value is not None and fnmatchcase(value.casefold(), pattern.casefold())


def _warnings(settings: HubSettings) -> list[str]:
    found = [
        f"api.listen: {each} is open to other machines, in clear text: whoever knows the token in {settings.token_file} commands this hub"
        for each in settings.api.listen
        if not is_loopback(each)
    ]
    if settings.store.url == "memory:":
        found.append("store.url: memory: forgets everything when the daemon ends, updates under way included")
    for number, radio in enumerate(settings.radios):
        key = f"radios[{number}]"
        if radio.over_network:
            found += [f"{key}.{each}: has no effect on a socket" for each in ("baudrate", "flow_control") if getattr(radio, each) is not None]
        if radio.channel is not None and radio.network == "existing":
            found.append(f"{key}.channel: has no effect on an existing network: it is for network: form")
        if radio.path.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
            found.append(f"{key}.path: {radio.path} may be another stick after a restart: use its name under /dev/serial/by-id")
    return found
