"""What the API answers: one pydantic model per noun."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from otagate.api.auth import Scope
from otagate.api.problems import Problem
from otagate.engine import views
from otagate.model import devices as nouns
from otagate.model import facts, portraits
from otagate.model.lifecycle import State
from otagate.model.updates import Priority
from otagate.model.verdicts import Decision, Guard
from otagate.model.versions import Version

T = TypeVar("T")


class Document(BaseModel):
    """An answer; pydantic builds what it needs of one when it is first given: most hubs never give most of them."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class Page(Document, Generic[T]):
    """A list; `next_cursor` asks for the page after this one and is null at the end."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class Release(Document):
    """One firmware version that one source offers for one kind of component. `size` is in bytes; `downgrade` is seen from the component."""

    version: Version | None = Field(description="a 32-bit number for Zigbee, dotted text for Z-Wave, null where a file does not say")
    display_version: str
    source: str
    channel: str
    region: str | None = None
    size: int
    digests: Mapping[str, str]
    downgrade: bool
    changelog: str | None
    url: str | None = None
    manufacturer_code: int | None
    image_type: int | None
    target: int | None = Field(default=None, description="the firmware target of a Z-Wave node")
    hardware_min: int | None
    hardware_max: int | None
    file_name: str | None


class Rollback(Document):
    """Where an order with `rollback` would lead now: the last good image before the one that runs, or the sentence why there is none."""

    version: Version | None
    display_version: str | None
    image: str | None
    sentence: str


class Component(Document):
    """One separately updatable firmware inside a device."""

    id: str
    version: Version | None
    display_version: str | None
    available: Release | None
    update: str | None
    manufacturer_code: int | None
    image_type: int | None
    hardware_version: int | None
    updatable: bool | None = Field(description="whether the device says that this firmware can be updated; null where it does not say")
    activation: nouns.Activation | None = Field(description="what has it use an image that its device holds, as it says; null where it does not")
    applies_unasked: bool | None = Field(
        description="whether it uses an image that it holds when it hears nothing for long; null where it does not say"
    )
    rollback: Rollback | None = Field(description="where it could go back to; null in lists of devices")


class PolicyOverride(Document):
    """How releases for one device are taken, whatever the rules say; null leaves it to them."""

    default: nouns.Mode | None
    retries: int | None
    channel: nouns.Channel | None
    cooldown: str | None = Field(description="how old a release must be before it is taken by itself, as in 14d")
    battery_floor: int | None = Field(description="in percent")


class ZwaveNode(Document):
    """What only a Z-Wave node tells of itself."""

    product_type: int | None
    product_id: int | None
    listening: nouns.Listening
    long_range: bool
    security: str | None
    region: str | None
    controller: bool
    status: str | None


class Link(Document):
    """How well a device was heard last: the link quality of the last hop, the signal of the weakest known one, and the repeaters on the way."""

    lqi: int | None = Field(description="0 to 255")
    rssi: int | None = Field(description="in dBm")
    repeaters: int | None
    heard: datetime


class Device(Document):
    """One device with its components."""

    id: str
    radio: str | None
    protocol: nouns.Protocol
    name: str
    room: str | None
    groups: tuple[str, ...]
    pin: Version | None = Field(description="the only version that policy takes")
    skipped: tuple[Version, ...] = Field(description="versions that policy does not take")
    policy: PolicyOverride | None
    manufacturer: str | None
    model: str | None
    power: nouns.Power
    online: bool
    last_seen: datetime | None
    last_checked: datetime | None
    battery_percent: int | None
    link: Link | None = Field(description="null until it was heard since the hub began, or where its radio does not tell")
    update_status: views.UpdateStatus
    components: tuple[Component, ...]
    node: ZwaveNode | None = None


class CheckedDevice(Device):
    """A device that was asked to be interrogated: `pending` where that still goes on."""

    check: Literal["done", "pending"]


class Progress(Document):
    """How far a transfer is. Rate and time left are null while nothing moves."""

    bytes_sent: int
    bytes_total: int
    percent: float
    bytes_per_second: float | None
    eta_seconds: float | None
    fragments_sent: int | None = None
    fragments_total: int | None = None


class Behaviour(Document):
    """What an update did to the settings of its device: how many it kept, and the names of the others."""

    kept: int
    restored: tuple[str, ...] = Field(description="lost, and given back")
    lost: tuple[str, ...] = Field(description="lost, and not to be given back: a canary that lost any has failed")
    not_compared: tuple[str, ...] = Field(description="known before; the device told nothing of them afterwards")


class RecordedSetting(Document):
    """One thing that a device was set to before its update. `at`: where, as in `1/0x0005`, group 5 of endpoint 1; `name`: all of it for people."""

    kind: portraits.SettingKind
    at: str
    value: str = Field(description="empty where being there is all")
    name: str


class UpdateBehaviour(Document):
    """How the device of an update was set before it, and what became of that."""

    recorded: tuple[RecordedSetting, ...] = Field(description="until the update has ended")
    behaviour: Behaviour | None = Field(description="what became of it; null before it is compared, and where nothing was known before")


class Update(Document):
    """One attempt to bring one component of one device to one release."""

    id: str
    device: str
    component: str
    radio: str | None = Field(description="null for a device that its own cloud updates")
    from_version: Version | None
    from_display_version: str | None
    to_version: Version | None
    to_display_version: str | None
    source: str
    image: str | None
    state: State
    progress: Progress
    created: datetime
    started: datetime | None
    finished: datetime | None
    not_before: datetime | None
    error: Problem | None
    reason: str | None
    sentence: str | None = Field(description="for what it waits, in words; for a plan, for what it would wait if it were ordered now")
    expires: datetime | None = Field(description="when a planned update is given up that nobody has approved")
    approved_by: str | None
    in_window: bool = Field(description="it was ordered for a window")
    attempts: int
    actor: str
    allow_downgrade: bool
    force: bool
    override: tuple[Guard, ...]
    because: str | None
    hold_activation: bool
    activate: Literal["now", "window", "held"] | datetime = Field(description="when the device uses the image that was brought to it")
    released_by: str | None = Field(description="who gave the word to use an image that was held back")
    job: str | None
    step: int
    steps: int
    rollout: str | None
    wave: int | None = Field(description="the number of its wave there, from 1")
    foreign: bool = Field(description="another program began it; it is watched, and cannot be cancelled here")
    priority: Priority = Field(description="who goes first of those that could begin; it counts as a day of waiting, so nobody waits for ever")
    behaviour: Behaviour | None = Field(description="what became of groups, bindings, reporting and other settings; null where none was known before")


class Activation(Document):
    """What the word to use an image came to: the device is told now, or `waiting` (for `reason`, where there is a word for that) when it can be."""

    update: str
    device: str
    outcome: Literal["activating", "waiting"]
    reason: str | None
    sentence: str


class ActivationRefusal(Document):
    """An update that the word was not for, and why."""

    update: str
    problem: Problem


class Activations(Document):
    """What the word came to for every update that it was for."""

    items: tuple[Activation, ...]
    refused: tuple[ActivationRefusal, ...]


class Refusal(Document):
    """A device that gets no update, and why."""

    device: str
    problem: Problem


class Ordered(Document):
    """What an order made; for a dry run, what it would make."""

    updates: tuple[Update, ...]
    refused: tuple[Refusal, ...]
    dry_run: bool


class Fact(Document):
    """One line of the journal."""

    number: int
    at: datetime
    subject: facts.Subject
    subject_id: str
    kind: str
    actor: str
    data: Mapping[str, str | int | float | bool | None]


class Chain(Document):
    """Whether the journal is as it was written."""

    holds: bool
    sentence: str
    first: int
    last: int = Field(description="the last fact up to which it holds")
    chain: str = Field(description="the link of that fact: SHA-256 over the link before and the fact")
    broken: int | None = Field(description="the first fact that is not what was written")


class ReportKey(Document):
    """What reports are sealed with."""

    key: str = Field(description="the public Ed25519 key: `ed25519:` and base64")


class AuditLine(Document):
    """One update that ended; the columns of the CSV have the same names in the same order."""

    update: str
    finished: datetime | None
    created: datetime
    started: datetime | None
    seconds: float | None = Field(description="from its start to its end")
    actor: str = Field(description="who ordered it: token:NAME, uid:NUMBER, policy, otagate")
    approved_by: str | None
    ended_by: str | None
    because: str | None
    override: str = Field(description="the guards that its order overruled, separated by spaces; force for all")
    device: str
    component: str
    from_version: Version | None
    to_version: Version | None
    image: str | None = Field(description="its sha256")
    source: str
    rollout: str | None
    allow_downgrade: bool
    foreign: bool
    outcome: State
    retries: int
    error: str | None
    detail: str | None
    fact: int | None = Field(description="the number of the line of the journal that tells its end; null where that is forgotten")
    chain: str | None = Field(description="the link of that line")


class Verdict(Document):
    """What policy says of a release."""

    decision: Decision
    reason: str | None
    sentence: str
    problem: str | None = Field(description="the slug that an order would be refused with")
    facts: Mapping[str, str | int | float | bool | None]


class Offer(Document):
    """A release for one component of the device, and why it would or would not be taken."""

    component: str
    release: Release
    verdict: Verdict


class Notifier(Document):
    """Who is told what happens on the hub."""

    name: str
    type: str
    severity: Literal["info", "warning", "problem"] = Field(description="the least that it is told")
    state: Literal["ok", "failing"]
    sentence: str
    waiting: int = Field(description="notices that are not told yet: held in quiet hours, or on their way")
    last_delivered: datetime | None = Field(default=None, description="since the hub began")


class Opening(Document):
    """A period in which updates may use the air: from `begins` until just before `ends`. `at_end`: what becomes of a transfer that runs then."""

    begins: datetime
    ends: datetime
    at_end: Literal["finish", "pause"]


class Window(Document):
    """A window of the configuration. One that recurs tells the next few of its openings."""

    name: str
    open: bool
    openings: tuple[Opening, ...]


class Halt(Document):
    """Whether everything stands still: since when, who said so and why."""

    halted: bool
    since: datetime | None
    actor: str | None
    because: str | None


class Caller(Document):
    """Who asks, as the journal would keep it, and what they may do: `admin` holds every scope."""

    actor: str
    scopes: tuple[Scope, ...]


class Settings(Document):
    """The configuration in force with every default filled in, as `otagate check-config` prints it: secrets are in files, and passwords masked."""

    settings: Mapping[str, Any] = Field(description="nested as in the configuration file, with the same keys")
