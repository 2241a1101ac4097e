"""Who is told what happens."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from otagate.config.broker import Topic
from otagate.config.kinds import Minute, Name, SecretFile, WebUrl, Zone
from otagate.config.section import Section
from otagate.config.windows import minutes_of
from otagate.policy.notices import Severity
from otagate.policy.window import Window


class QuietSettings(Section):
    """Hours in which only problems are told."""

    from_: Minute = Field(alias="from")
    """When they begin, by the clock on the wall of their zone, as in 22:00."""
    to: Minute
    """When they end, and the rest is told together; a time no later than from is on the next day."""
    zone: Zone
    """The time zone that is meant, as in Europe/Berlin."""

    @model_validator(mode="after")
    def _ends(self) -> QuietSettings:
        if self.from_ == self.to or self.from_ == "24:00":
            raise ValueError("is never quiet or always: give from and to that differ, or severity: problem to be told of nothing else")
        return self

    def window(self) -> Window:
        """What policy reckons with."""
        return Window(name="quiet", zone=ZoneInfo(self.zone), start=minutes_of(self.from_), end=minutes_of(self.to))


class NotifySettings(Section):
    """A receiver of notifications."""

    name: Name
    """What it is called in the log and in what it is sent."""
    type: Literal["webhook", "ntfy", "mqtt"]
    """How it is told: webhook is a POST of JSON, ntfy the publish call of an ntfy server, mqtt a topic of the broker."""
    url: WebUrl | None = None
    """Of webhook and ntfy: where it is, with the topic of ntfy; a host on a private address must be named in http.allow_private."""
    secret_file: SecretFile | None = None
    """Of webhook: the file that holds the key by which everything is signed, or `credential:NAME`; without it nothing is."""
    token_file: SecretFile | None = None
    """Of ntfy: the file that holds the access token, or `credential:NAME`; without it none is shown."""
    topic: Topic | None = None
    """Of mqtt: where it is told; without it notices/NAME below mqtt.base_topic."""
    severity: Severity = "warning"
    """The least that it is told: problem, warning or info."""
    quiet: QuietSettings | None = None
    """Hours in which only problems are told; the rest comes together when they end."""
