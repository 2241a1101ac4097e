"""The MQTT broker of the configuration, and what a topic may be."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from otagate.config.kinds import LocalPath, OneOrMore, SecretFile, text_schema
from otagate.config.problems import shown
from otagate.config.section import Section

_LEVELS = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")
_LONGEST_TOPIC = 256
_PORTS = {"mqtt": 1883, "mqtts": 8883}


def broker_url(value: str) -> str:
    """Where a broker is. Raises ValueError with a sentence."""
    try:
        parts = urlsplit(value)
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
        whole = parts.scheme in _PORTS and parts.hostname and bare and parts.port != 0 and not any(char.isspace() for char in value)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"{shown(value)} is no address of a broker: write mqtt://host:1883, or mqtts://host:8883, without a user or password in it")
    return value.rstrip("/")


def broker_at(url: str | None) -> tuple[str, int, bool]:
    """The broker's name or address, its port, and whether the line is encrypted and that name checked."""
    parts = urlsplit(url or "")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0), parts.scheme == "mqtts"


def _levels(value: str) -> str:
    if _LEVELS.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no topic to begin with: write letters, digits, - and _, with / between levels, as in otagate")
    return value


def _topic(value: str) -> str:
    if not 1 <= len(value.encode(errors="replace")) <= _LONGEST_TOPIC or not value.isprintable() or set(value) & set("+#") or value.startswith("$"):
        raise ValueError(f"{shown(value)} is no topic: write it whole, without + and #, as in building/fire-test/updates")
    return value


def _user_name(value: str) -> str:
    if not 1 <= len(value) <= 256 or not value.isprintable():
        raise ValueError("is no user name: give 1 to 256 printable characters")
    return value


BrokerUrl = Annotated[str, AfterValidator(broker_url), text_schema(r"^mqtts?://[^/@]+/?$", "mqtt://127.0.0.1:1883")]
RadioUrl = Annotated[str, text_schema(r"^(wss?|mqtts?)://[^/].*$", "ws://127.0.0.1:3000")]
"""An address that a radio's type says how to read."""
Levels = Annotated[str, AfterValidator(_levels), text_schema(f"^{_LEVELS.pattern}$", "otagate")]
Topic = Annotated[str, AfterValidator(_topic), text_schema(r"^[^+#$][^+#]*$", "building/fire-test/updates")]
UserName = Annotated[str, AfterValidator(_user_name)]


MqttScope = Literal["operate", "approve", "downgrade"]


class MqttSettings(Section):
    """The MQTT broker: without a `url` there is none."""

    url: BrokerUrl | None = None
    """Where the broker is, as in mqtt://127.0.0.1:1883, or mqtts://host:8883 for TLS; it must speak MQTT 5."""
    username: UserName | None = None
    """Who the hub is to the broker, where it wants to know."""
    password_file: SecretFile | None = None
    """The file that holds the password, or `credential:NAME`."""
    ca_file: LocalPath | None = None
    """The authorities whose certificates count for mqtts, where those of the machine do not."""
    base_topic: Levels = "otagate"
    """What the hub's topics begin with; two hubs on one broker have one each."""

    home_assistant: bool = True
    """Whether Home Assistant finds the devices by discovery; with false what it was told before is taken back."""
    discovery: Levels = "homeassistant"
    """What the topics begin with on which Home Assistant looks for devices."""
    scopes: Annotated[tuple[MqttScope, ...], OneOrMore, Field(max_length=3)] = ("operate",)
    """What everybody may do whom the broker lets publish: operate (order, cancel, check, automatic updates), approve, downgrade; [] for nothing."""

    @property
    def host(self) -> str:
        """The broker's name or address."""
        return broker_at(self.url)[0]

    @property
    def port(self) -> int:
        """Its port."""
        return broker_at(self.url)[1]

    @property
    def tls(self) -> bool:
        """Whether the line is encrypted, and the broker's name checked."""
        return broker_at(self.url)[2]
