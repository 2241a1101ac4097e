"""The policy of the configuration: which releases are taken, how, and when, in general and by rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field, model_validator

from otagate.config.broker import Topic
from otagate.config.kinds import AnyDevice, Duration, Glob, LocalPath, Name, OneOrMore, Some, Span, WebUrl, Whole
from otagate.config.section import Section
from otagate.config.windows import WindowSettings
from otagate.model.devices import Device as KnownDevice
from otagate.model.devices import Mode, PolicyOverride
from otagate.model.portraits import Care
from otagate.policy.settings import Channel, PolicySettings

_Seen = tuple[str | None, str | None, tuple[str, ...], str | None, PolicyOverride | None]
"""What `RuleMatch.fits` and `PolicySettings.overridden` see of a device beside its id, which stays."""

Percent = Annotated[Whole, Field(ge=0, le=100)]
Lqi = Annotated[Whole, Field(ge=0, le=255)]
Decibels = Annotated[Whole, Field(ge=-127, le=0)]
Payload = Annotated[str, Field(min_length=1, max_length=256)]
Names = Annotated[tuple[Name, ...], OneOrMore, Field(max_length=16)]


class InterlockSettings(Section):
    """Something that says yes or no before an update begins: a `url` that is asked, or a `topic` of the MQTT broker that tells."""

    name: Name
    """What rules call it."""
    url: WebUrl | None = None
    """What is asked, with GET: status 200 to 299 is a yes, anything else a no, and so is no answer within five seconds."""
    topic: Topic | None = None
    """The topic of the MQTT broker whose last message says it."""
    allow: Annotated[tuple[Payload, ...], OneOrMore, Field(max_length=16)] = ()
    """The messages of the topic that are a yes; every other one is a no, and so is none at all."""
    max_age: Duration | None = None
    """How long a message of the topic counts; without this it counts until the next one."""

    @model_validator(mode="after")
    def _is_one_of_the_two_kinds(self) -> InterlockSettings:
        if (self.url is None) == (self.topic is None):
            raise ValueError("is asked at a url or told by a topic: give one of the two")
        if self.topic is None and (self.allow or self.max_age is not None):
            raise ValueError("is asked at a url: allow and max_age belong to a topic")
        if self.topic is not None and not self.allow:
            raise ValueError('is told by a topic, so it needs allow: the message that is a yes, as in allow: "ON"')
        return self


class RuleMatch(Section):
    """Which devices a rule is for: all keys that are given must fit; patterns do not tell capitals apart."""

    model: Glob | None = None
    """The model; `*` is any text, `?` one character."""
    manufacturer: Glob | None = None
    """The manufacturer's name; `*` is any text, `?` one character."""
    group: Glob | None = None
    """A group that an operator put the device in; `*` is any text, `?` one character."""
    radio: Name | None = None
    """The name of a radio."""
    device: AnyDevice | None = None
    """The id of one device."""

    @model_validator(mode="after")
    def _says_something(self) -> RuleMatch:
        if all(value is None for _, value in self):
            raise ValueError("matches every device: give model, manufacturer, group, radio or device, or set policy.default instead")
        return self

    def fits(self, device: KnownDevice) -> bool:
        """Whether the device is meant."""
        return (
            (self.model is None or _fits(device.model, self.model))
            and (self.manufacturer is None or _fits(device.manufacturer, self.manufacturer))
            and (self.group is None or any(_fits(each, self.group) for each in device.groups))
            and (self.radio is None or device.radio == self.radio)
            and (self.device is None or device.id == self.device)
        )


class RuleUse(Section):
    """What a rule changes; None leaves it as it is in general."""

    default: Mode | None = None
    """How releases are taken that nobody ordered."""
    channel: Channel | None = None
    """Which releases are taken that nobody named."""
    cooldown: Span | None = None
    """How old a release must be before it is taken by itself."""
    battery_floor: Percent | None = None
    """The charge in percent below which a battery is left alone."""
    lqi_floor: Lqi | None = None
    """The link quality below which a device is left alone."""
    rssi_floor: Decibels | None = None
    """The strength of the signal in dBm below which a device is left alone whose link quality nobody knows."""
    load_limit: Percent | None = None
    """The load of its radio in percent above which no update begins."""
    retries: Annotated[Whole, Field(ge=0, le=20)] | None = None
    """Attempts without progress before an update has failed."""
    window: Names | None = None
    """The windows in which these devices are updated; an empty list is any time."""
    approval_expires: Duration | None = None
    """With `default: ask`, so long an update waits for approval."""
    spare_in_use: bool | None = None
    """Whether a lamp that is on is left alone."""
    interlocks: Names | None = None
    """The interlocks that are asked."""
    alive_for: Span | None = None
    """So long a device must be alive with its new firmware."""
    silent_for: Duration | None = None
    """So long it may be silent meanwhile."""
    asleep_for: Span | None = None
    """So long an update waits for a device that sleeps."""
    behaviour: Care | None = None
    """What becomes of settings that an update loses."""

    @model_validator(mode="after")
    def _changes_something(self) -> RuleUse:
        if all(value is None for _, value in self):
            raise ValueError("changes nothing: give default, window, retries or another key of it, or take the rule away")
        return self


class Rule(Section):
    """Other settings for some devices."""

    match: RuleMatch
    """All keys that are given must fit."""
    use: RuleUse
    """What is different for these devices."""


class PolicyRules(Section):
    """How releases are taken without an order, in general and by rules, of which the first that fits wins."""

    default: Mode = "ask"
    """How releases are taken that nobody ordered: automatic, ask (an operator approves each) or never."""
    channel: Channel = "stable"
    """Which releases are taken that nobody named: stable, or beta (both kinds)."""
    cooldown: Span = timedelta(days=14)
    """How old a release of a service must be before it is taken by itself; what somebody orders, uploads or puts in a folder is not held back."""
    battery_floor: Percent = 70
    """The charge in percent below which a battery is left alone. One whose charge nobody knows waits until an operator orders or approves it."""
    lqi_floor: Lqi = 20
    """The link quality (0 to 255) of its last frames below which a device is left alone until it is heard better; 0 is never."""
    rssi_floor: Decibels = -94
    """The same in dBm, for Z-Wave nodes; those of Long Range may be 12 dB weaker. -127 is never."""
    load_limit: Percent = 50
    """So much of a radio's air, in percent, other traffic may use, or of its frames it may refuse, before new updates wait; 100 is never."""
    retries: Annotated[Whole, Field(ge=0, le=20)] = 3
    """Attempts without progress before an update has failed. A device that heeds no notification is served for two weeks when it asks by itself."""
    window: Names = ()
    """The windows in which devices are updated; without one they are updated at any time."""
    approval_expires: Duration | None = None
    """With `default: ask`, make an update of every release that fits, waiting for approval so long; without it only orders make updates."""
    spare_in_use: bool = False
    """Whether a lamp that is on is left alone: it is asked just before its update would begin, and before an image that it held is used."""
    interlocks: Names = ()
    """The interlocks that are asked before an update begins, and before an image that its device held is used."""
    alive_for: Span = timedelta(seconds=30)
    """So long a device must be alive with its new firmware before its update has succeeded; 0d is as soon as it tells its version."""
    silent_for: Duration = timedelta(hours=25)
    """So long it may be silent meanwhile, as one behind a switched-off breaker is; then its update has failed."""
    asleep_for: Span = timedelta(days=30)
    """So long an ordered update waits for a device that sleeps and is not heard; then it is given up. 0d is for ever."""
    behaviour: Care = "restore"
    """What becomes of groups, bindings, reporting and start-up settings that an update loses: restore them, only report it, or ignore them."""
    quarantine_after: Annotated[Whole, Field(ge=0, le=100)] = 2
    """An image that failed on so many devices is given to no other, until an order that overrules that has succeeded; 0 is never."""
    advisories: LocalPath | None = None
    """A file with your own advisories: releases and devices that are refused. It is read again when it changes."""
    offline: bool = False
    """Whether no source outside of this machine is asked for anything: only what is stored here, or comes from folders and uploads, is offered."""
    rules: Annotated[tuple[Rule, ...], Some, Field(max_length=1000)] = ()
    """Other settings for some devices; the first rule that fits wins."""

    def for_device(self, device: KnownDevice, windows: Iterable[WindowSettings] = ()) -> PolicySettings:
        """What policy is told about this device: an operator's word about it alone counts more than any rule. `windows` are those that there are."""
        use = next((rule.use for rule in self.rules if rule.match.fits(device)), RuleUse.model_construct())
        wanted: dict[str, Any] = {name: getattr(self, name) if (given := getattr(use, name)) is None else given for name in RuleUse.model_fields}
        named = wanted.pop("window")
        ruled = PolicySettings(mode=wanted.pop("default"), windows=tuple(each.window() for each in windows if each.name in named), **wanted)
        return ruled.overridden(device.policy)


class PolicyBook:
    """What policy is told about each device, worked out anew only where the device is another one to the rules.

    The queue asks for it at every look, and a house has hundreds of devices.
    """

    def __init__(self, rules: Callable[[KnownDevice], PolicySettings]) -> None:
        self._rules = rules
        self._told: dict[str, tuple[_Seen, PolicySettings]] = {}

    def __call__(self, device: KnownDevice) -> PolicySettings:
        """See `policy.guards.PolicyOf`."""
        seen = (device.model, device.manufacturer, device.groups, device.radio, device.policy)
        told = self._told.get(device.id)
        if told is None or told[0] != seen:
            told = self._told[device.id] = (seen, self._rules(device))
        return told[1]


def _fits(value: str | None, pattern: str) -> bool:
    return value is not None and fnmatchcase(value.casefold(), pattern.casefold())
