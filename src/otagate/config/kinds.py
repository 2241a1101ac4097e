"""What one scalar of the configuration may be. Every ValueError here becomes the end of a line that an operator reads."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema
from pydantic.fields import FieldInfo

from otagate.config.problems import shown

MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path: `sun_path` holds 108 with the zero at its end (unix(7))."""

CREDENTIAL = "credential:"
"""Before the name of a secret that systemd hands over: `credential:panel-token` for `LoadCredential=panel-token:FILE` in the unit."""

UNIT_CREDENTIALS = Path("/run/credentials/otagate.service")
"""Where systemd puts the credentials of the unit; the environment of the service names the folder too."""

LONGEST = timedelta(days=366)
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(\d{1,9})([smhd])")
SMALLEST_BYTES, LARGEST_BYTES = 1 << 10, 256 << 20
_SIZES = {"MiB": 1 << 20, "KiB": 1 << 10}
_SIZE = re.compile(r"(\d{1,9}) ?(KiB|MiB)?")
_MINUTE = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*")
_DEVICE = re.compile(r"(zigbee-[0-9a-f]{16}|zwave-[0-9a-f]{8}-[1-9][0-9]{0,3})")
_CLOUD_DEVICE = re.compile(r"tuya-[A-Za-z0-9_-]{1,64}|iotaap-[0-9a-f]{24}")
_CLOUD_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,253}")
_IOTAAP_DEVICE = re.compile(r"[0-9a-f]{24}")
_CREDENTIAL_NAME = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,255}")
_REGULAR_EXPRESSION = re.compile(r"^\^|\.\*|\.\+|\\|\$$")
_CHARACTER_SET = re.compile(r"\[!?\]?[^\]]*\]")


class EnvironmentText(str):
    """A value from the environment: always text there, so a number is read out of it where a number belongs."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Marks the path of a secret: at least so many characters, and whether no two may be the same."""

    at_least: int = 1
    unique: bool = False


TOKEN = Secret(at_least=16, unique=True)


def secret_of(info: FieldInfo) -> Secret | None:
    """What is wanted of the secret whose path this field holds, or None where it holds none."""
    marks = [*info.metadata, *(mark for each in get_args(info.annotation) for mark in getattr(each, "__metadata__", ()))]
    return next((mark for mark in marks if isinstance(mark, Secret)), None)


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `30m`, `6h` or `14d`; raises ValueError with a sentence."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a duration: write a whole number and its unit, as in 90s, 30m, 6h or 14d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def format_duration(duration: timedelta) -> str:
    """The text that `parse_duration` reads, in the largest unit that keeps it whole."""
    seconds = int(duration.total_seconds())
    unit, length = next((unit, length) for unit, length in _UNITS.items() if seconds % length == 0)
    return f"{seconds // length}{unit}"


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches the address."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def at_home(url: str) -> str:
    """The same address for who asks on this machine: what listens everywhere is called by loopback, and by no name at all."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError(f"{shown(value)} is not a duration: write a whole number and its unit, as in 90s, 30m, 6h or 14d")


def _bounded_duration(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= LONGEST:
        raise ValueError(f"{format_duration(value)} is out of range: give 1s to {LONGEST.days}d")
    return value


def _bounded_span(value: timedelta) -> timedelta:
    return value if value == timedelta(0) else _bounded_duration(value)


def _minute(value: str) -> str:
    if _MINUTE.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no time of day: write hours and minutes, as in 01:00 or 23:30")
    return value


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(f"{shown(value)} is no date: write it as in 2026-12-24") from None


def _moment(value: str) -> str:
    try:
        zoned = datetime.fromisoformat(value).utcoffset() is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise ValueError(f"{shown(value)} is no time with its zone: write it as in 2026-05-01T01:00:00+02:00")
    return value


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"{shown(value)} is no time zone: write it as in Europe/Berlin, or UTC") from None


def _number(value: object) -> object:
    if isinstance(value, EnvironmentText) and re.fullmatch(r"-?\d{1,15}", value):
        return int(value)
    return value


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{shown(value)} is not a size: write it as in 16MiB or 512KiB, or in bytes")
    return int(match[1]) * _SIZES.get(match[2], 1)


def _bounded_size(value: int) -> int:
    if not SMALLEST_BYTES <= value <= LARGEST_BYTES:
        raise ValueError(f"{_format_size(value)} is out of range: give {_format_size(SMALLEST_BYTES)} to {_format_size(LARGEST_BYTES)}")
    return value


def _format_size(value: int) -> int | str:
    return next((f"{value // size}{unit}" for unit, size in _SIZES.items() if value % size == 0), value)


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) or type(value) is int else _some(value)


def _some(value: object) -> object:
    return () if value is None else value  # all entries commented out


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is not a name: use 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit")
    return value


def _local_path(value: object) -> object:
    if isinstance(value, str):
        if not value or "\0" in value:
            raise ValueError(f"{shown(value)} is no path: write where it lies, as in /var/lib/otagate")
        if value.startswith("~"):
            raise ValueError(f"{shown(value)}: ~ is not expanded, because the daemon has no home: write the whole path")
        return str(value)
    return value


def _credential(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or not value.startswith(CREDENTIAL):
        return value
    name = value.removeprefix(CREDENTIAL)
    if _CREDENTIAL_NAME.fullmatch(name) is None:
        raise ValueError("is no name of a credential: write credential:panel-token, and LoadCredential=panel-token:FILE in the unit")
    context: dict[str, Any] = info.context or {}
    return str(context.get("credentials", UNIT_CREDENTIALS) / name)


def _resolved(value: Path, info: ValidationInfo) -> Path:
    context: dict[str, Any] = info.context or {}
    folder = context.get("folder")
    return Path(os.path.normpath(folder / value)) if folder is not None else value


def _directory(value: Path) -> Path:
    try:
        misplaced = value.exists() and not value.is_dir()
    except OSError:
        misplaced = False  # who uses the folder will tell what is wrong with it
    if misplaced:
        raise ValueError("is a file, and a folder belongs here")
    return value


def _port_alone(value: object) -> object:
    return str(value) if type(value) is int else value  # told as the address that it is not


def _listen(value: str) -> str:
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{shown(value)}: the path of a unix socket begins with /, as in unix:/run/otagate/otagate.sock")
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise ValueError(
                f"the path of a unix socket has at most {MAX_SOCKET_PATH} bytes, and this one has {len(os.fsencode(path))}: choose a shorter one"
            )
        return value
    host, colon, port = value.rpartition(":")
    if not colon or not _is_host(host) or re.fullmatch(r"\d{1,5}", port) is None or int(port) > 65535:
        raise ValueError(f"{shown(value)} is no address: write host:port as in 127.0.0.1:8377 or [::1]:8377, or unix:/run/otagate/otagate.sock")
    return value


def _is_host(text: str) -> bool:
    if text.startswith("[") and text.endswith("]"):
        try:
            return ipaddress.ip_address(text[1:-1]).version == 6
        except ValueError:
            return False
    return _HOST.fullmatch(text) is not None


def _host_name(value: str) -> str:
    if not _is_host(value):
        raise ValueError(f"{shown(value)} is no host name: write it without scheme and port, as in hub.example.org")
    return value


def _radio_path(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if not separator:
        if not value.startswith("/") or "\0" in value:
            raise ValueError(f"{shown(value)} is no serial port: write /dev/serial/by-id/…, or socket://host:port")
        return value
    try:
        parts = urlsplit(value)
        whole = (
            scheme == "socket" and parts.hostname and parts.port and parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
        )
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"{shown(value)} is no serial port over the network: write socket://host:port")
    return value


def _store_url(value: str) -> str:
    rest = value.removeprefix("sqlite:///")
    if value != "memory:" and (rest == value or not rest or rest.endswith("/") or re.search(r"[?#%\0]", rest)):
        raise ValueError(
            f"{shown(value)} names no store: write sqlite:///otagate.db (relative to state_dir), sqlite:////an/absolute/path.db or memory:"
        )
    return value


def _web_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not (parts.username or parts.password or parts.fragment)
    except ValueError:
        whole = False
    if not whole or len(value) > 2000 or any(char.isspace() for char in value):
        raise ValueError(f"{shown(value)} is no address of a service: write https://host/path, without a user or password in it")
    return value.rstrip("/")


def server_url(value: str) -> str:
    """Where zwave-js-server listens. Raises ValueError with a sentence."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0 and not parts.fragment and parts.username is None
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{shown(value)} is no address of zwave-js-server: write ws://host:port, as in ws://127.0.0.1:3000")
    return value


def _glob(value: str) -> str:
    if not 1 <= len(value) <= 128:
        raise ValueError("is no pattern: give 1 to 128 characters, where * stands for any text and ? for one character")
    if "[" in _CHARACTER_SET.sub("", value):
        raise ValueError(f"{shown(value)} has a [ without its ]: write [[] for the character itself")
    if _REGULAR_EXPRESSION.search(value):
        raise ValueError(f"{shown(value)} looks like a regular expression: write LCT0*, where * is any text and ? one character ([.] is a dot)")
    return value


def _device(value: str) -> str:
    if _DEVICE.fullmatch(value) is None:
        raise ValueError(
            f"{shown(value)} is no device id: write zigbee- and 16 hex digits in lower case, as in zigbee-000d6f000a9069e7, "
            "or zwave-, home id and node id, as in zwave-e1b2c3d4-12"
        )
    return value


def _email(value: str) -> str:
    if _EMAIL.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no e-mail address: write it as in operator@example.org")
    return value


def _iotaap_device(value: str) -> str:
    if _IOTAAP_DEVICE.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no device of IoTaaP: write its 24 hex digits in lower case, as in 5e1b57808711f904f5df4bad")
    return value


def text_schema(pattern: str | None = None, example: str | None = None) -> WithJsonSchema:
    """What an editor may check of a text while it is typed; the whole truth is in the validators."""
    return WithJsonSchema({"type": "string", **({"pattern": pattern} if pattern else {}), **({"examples": [example]} if example else {})})


def _any_device(value: str) -> str:
    if value.startswith(("tuya-", "iotaap-")) and _CLOUD_DEVICE.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no device id: behind tuya- stand 1 to 64 letters, digits, - and _, behind iotaap- 24 hex digits")
    return value if value.startswith(("tuya-", "iotaap-")) else _device(value)


def _cloud_word(value: str) -> str:
    if _CLOUD_WORD.fullmatch(value) is None:
        raise ValueError("is no id of a cloud: give 1 to 64 letters, digits, - and _, as the cloud's console shows it")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_bounded_duration),
    PlainSerializer(format_duration, return_type=str),
    text_schema(r"^[0-9]{1,9}[smhd]$", "6h"),
]
Span = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_bounded_span),
    PlainSerializer(format_duration, return_type=str),
    text_schema(r"^[0-9]{1,9}[smhd]$", "14d"),
]
"""A duration that may be none at all: 0d."""
Minute = Annotated[str, AfterValidator(_minute), text_schema(f"^({_MINUTE.pattern})$", "01:00")]
Day = Annotated[str, AfterValidator(_day), text_schema(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-12-24")]
Moment = Annotated[str, AfterValidator(_moment), text_schema(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T", "2026-05-01T01:00:00+02:00")]
Zone = Annotated[str, AfterValidator(_zone), text_schema(r"^[A-Za-z0-9_+/-]{1,64}$", "Europe/Berlin")]
Whole = Annotated[int, Field(strict=True), BeforeValidator(_number)]
Bytes = Annotated[
    int,
    Field(strict=True),
    BeforeValidator(_size),
    AfterValidator(_bounded_size),
    PlainSerializer(_format_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": SMALLEST_BYTES, "maximum": LARGEST_BYTES},
                {"type": "string", "pattern": r"^[0-9]{1,9} ?(KiB|MiB)?$"},
            ]
        }
    ),
]
Name = Annotated[str, AfterValidator(_name), text_schema(f"^{_NAME.pattern}$")]
LocalPath = Annotated[Path, BeforeValidator(_local_path), AfterValidator(_resolved), PlainSerializer(str, return_type=str), text_schema(r"^[^~]")]
SecretFile = Annotated[LocalPath, BeforeValidator(_credential), Secret()]
TokenFile = Annotated[LocalPath, BeforeValidator(_credential), TOKEN]
Folder = Annotated[LocalPath, AfterValidator(_directory)]
Listen = Annotated[str, BeforeValidator(_port_alone), AfterValidator(_listen), text_schema(r"^(unix:/.+|[^/]+:[0-9]{1,5})$", "127.0.0.1:8377")]
HostName = Annotated[str, AfterValidator(_host_name), text_schema(r"^[^/]+$")]
RadioPath = Annotated[str, AfterValidator(_radio_path), text_schema(r"^(/|socket://).+$")]
WebUrl = Annotated[str, AfterValidator(_web_url), text_schema(r"^https?://[^/]+.*$")]
StoreUrl = Annotated[str, AfterValidator(_store_url), text_schema(r"^(sqlite:///.+|memory:)$")]
CloudWord = Annotated[str, AfterValidator(_cloud_word), text_schema(f"^{_CLOUD_WORD.pattern}$")]
Glob = Annotated[str, AfterValidator(_glob), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128})]
Device = Annotated[str, AfterValidator(_device), text_schema(f"^{_DEVICE.pattern}$")]
Email = Annotated[str, AfterValidator(_email), text_schema("^[^@ ]+@[^@ ]+$", "operator@example.org")]
IotaapDevice = Annotated[str, AfterValidator(_iotaap_device), text_schema(f"^{_IOTAAP_DEVICE.pattern}$", "5e1b57808711f904f5df4bad")]
AnyDevice = Annotated[str, AfterValidator(_any_device), text_schema(f"^({_DEVICE.pattern}|{_CLOUD_DEVICE.pattern})$")]
"""A device behind a radio, or one that its own cloud updates."""
OneOrMore = BeforeValidator(_one_or_more)
"""A list, or one entry alone."""
Some = BeforeValidator(_some)
"""A list, or nothing."""
