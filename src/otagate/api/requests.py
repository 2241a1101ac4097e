"""What the API is asked: query strings and bodies. An unknown key is an error: a misspelt filter or switch must not pass in silence."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from otagate.api import paging
from otagate.api.fields import FileVersion, Version, told_as, whole
from otagate.config.kinds import Span
from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.views import ActivationRequest, OrderRequest, UpdateStatus
from otagate.model.devices import Channel, Mode, Protocol
from otagate.model.facts import Subject
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.lifecycle import State
from otagate.model.rollouts import RolloutId, Selection
from otagate.model.updates import Priority
from otagate.model.verdicts import Guard
from otagate.model.versions import parse_version
from otagate.sources.records import RecordQuery

MAX_PAGE = 500
MAX_RECORDS = 100
"""Records of a service in one page: what the services give at most."""

MAX_ORDER = 500
"""Devices in one order."""

MAX_GROUPS = 32
"""Groups of one device."""

MAX_SKIPPED = 64
"""Versions that one device skips."""

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
_UNSAFE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""What no text may hold: it moves a cursor or turns a line around."""

_ONE_LINE = told_as("write one line of text, without control characters")
Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64, pattern=rf"^[^{_UNSAFE}]*$"), _ONE_LINE]
Sentence = Annotated[str, StringConstraints(max_length=500, pattern=rf"^[^{_UNSAFE}]*[^\s{_UNSAFE}][^{_UNSAFE}]*$"), _ONE_LINE]
_OVERRIDE_NEEDS_BECAUSE: dict[str, Any] = {
    "if": {"required": ["override"], "properties": {"override": {"minItems": 1}}},
    "then": {"required": ["because"], "properties": {"because": {"type": "string"}}},
}


def _never_null(schema: dict[str, Any], *names: str) -> None:
    for name in names:
        told = schema["properties"][name]
        (given,) = (each for each in told.pop("anyOf") if each.get("type") != "null")
        told.pop("default", None)
        told |= given


def _says_whom(schema: dict[str, Any]) -> None:
    """Everybody, or by one key or more; none that is null."""
    _never_null(schema, *schema["properties"])
    narrower = [{"required": [name]} for name in schema["properties"] if name != "all"]
    schema["oneOf"] = [{"required": ["all"]}, {"anyOf": narrower}]


def _orders(schema: dict[str, Any]) -> None:
    """Devices by their ids, or by what they are."""
    _never_null(schema, "devices", "select")
    schema |= _OVERRIDE_NEEDS_BECAUSE | {"oneOf": [{"required": ["devices"]}, {"required": ["select"]}]}


def _rfc3339(value: object) -> object:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError("write a time with its zone, as in 2026-05-01T03:00:00+02:00")
    return value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_rfc3339)]
"""A time as RFC 3339 writes it."""


Activate = Literal["now", "window", "held"] | Moment
"""When a device uses the image that was brought to it."""


class Query(BaseModel):
    """A query string: everything is text, so numbers are read from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Body(BaseModel):
    """A JSON body: types are taken as they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


_STATES = "|".join(State)
_SEVERAL_STATES = told_as(f"write one of {', '.join(State)}, or several joined by commas")
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
_CURSOR = told_as("give the next_cursor of the page before as it is")
DeviceCursor = Annotated[str, StringConstraints(pattern=paging.DEVICES.pattern), _CURSOR]
UpdateCursor = Annotated[str, StringConstraints(pattern=paging.UPDATES.pattern), _CURSOR]
ImageCursor = Annotated[str, StringConstraints(pattern=paging.IMAGES.pattern), _CURSOR]
LogCursor = Annotated[str, StringConstraints(pattern=paging.LOG.pattern), _CURSOR]
RecordCursor = Annotated[str, StringConstraints(pattern=paging.RECORDS.pattern), _CURSOR]
JournalCursor = Annotated[str, StringConstraints(pattern=paging.JOURNAL.pattern), _CURSOR]


class PlanFilters(Query):
    """Which page of the plan, and how many openings of windows its first page tells."""

    limit: Limit = 100
    cursor: DeviceCursor | None = None
    openings: Annotated[int, Field(ge=1, le=31)] = 7


class DeviceFilters(Query):
    """Which devices. `q` is looked for in id, name, manufacturer, model, room and groups."""

    radio: Name | None = None
    protocol: Protocol | None = None
    update_status: UpdateStatus | None = None
    q: Name | None = None
    limit: Limit = 100
    cursor: DeviceCursor | None = None


class ImageFilters(Query):
    """Which part of the stored images."""

    limit: Limit = MAX_PAGE
    cursor: ImageCursor | None = None


class ImageUpload(Query):
    """Whether a file is stored, or only read."""

    dry_run: bool = False


class LogFilters(Query):
    """Which part of the log of an update."""

    limit: Limit = MAX_PAGE
    cursor: LogCursor | None = None


class JournalFilters(Query):
    """Which lines of the journal. `since` and `until` are inclusive times."""

    subject: Subject | None = None
    id: Name | None = None
    kind: Name | None = None
    actor: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 100
    cursor: JournalCursor | None = None


class AuditFilters(Query):
    """Which updates that ended, and in which form. `since` and `until` are inclusive times of their end; `actor` is who ordered or approved them."""

    format: Literal["csv", "jsonl"] = "jsonl"
    device: Name | None = None
    actor: Name | None = None
    since: Moment | None = None
    until: Moment | None = None


class ReportFilters(Query):
    """Which month, and in which form."""

    month: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$"), told_as("write year and month, as in 2026-05")]
    format: Literal["html", "csv"] = "html"


class UpdateFilters(Query):
    """Which updates. `state` is one state or several, separated by commas."""

    state: Annotated[str, StringConstraints(pattern=rf"^(?:{_STATES})(?:,(?:{_STATES})){{0,{len(State) - 1}}}$"), _SEVERAL_STATES] | None = None
    device: Name | None = None
    rollout: Name | None = None
    limit: Limit = 100
    cursor: UpdateCursor | None = None

    @property
    def states(self) -> frozenset[State] | None:
        """The states asked for, or None for all."""
        return None if self.state is None else frozenset(State(word) for word in self.state.split(","))


class RecordFilters(Query):
    """Which records of a service, by the service's own filters: each kind of source has some of them, and says which. Several values have commas
    between.

    Tuya illume: `list` (to-be-updated, updating, record), `room_id`, `device_name`, `online`, `device_status`, `device_types`, `top_categories`,
    `upgrade_status`. IoTaaP: `device` (the service's id of one), `order` (asc, desc).
    LEDVANCE: `list` (products, details).
    """

    list: Name | None = None
    room_id: Name | None = None
    device_name: Name | None = None
    online: Name | None = None
    device_status: Name | None = None
    device_types: Name | None = None
    top_categories: Name | None = None
    upgrade_status: Name | None = None
    device: Name | None = None
    order: Name | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_RECORDS)] = MAX_RECORDS
    cursor: RecordCursor | None = None

    def query(self) -> RecordQuery:
        """The same in the hub's words."""
        filters = {name: value for name, value in self.model_dump(exclude={"limit", "cursor"}).items() if value is not None}
        return RecordQuery(filters=filters, limit=self.limit, offset=int(paging.RECORDS.read(self.cursor) or 0))


class RefreshBody(Body):
    """What a source is asked again: everything, or what its service knows of one room, for services that know rooms."""

    room_id: Name | None = None


class WhomBody(Body):
    """Whom an order is for: `all` devices, or those that fit every key that is given. `model` may hold `*`."""

    model_config = ConfigDict(json_schema_extra=_says_whom)

    all: Literal[True] | None = None
    model: Name | None = None
    group: Name | None = None
    radio: Name | None = None

    @model_validator(mode="after")
    def _says_something(self) -> WhomBody:
        if not self.model_fields_set or any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("say whom it is for: all, or model, group and radio")
        if self.all and len(self.model_fields_set) > 1:
            raise ValueError("`all` stands alone: narrow it by model, group and radio instead")
        return self


class OrderBody(Body):
    """An order to update devices: those named in `devices`, or those that `select` means at that moment, all in one.

    `version` is an integer, `0x…` or the display text (dotted for Z-Wave and clouds); null takes the newest that policy allows.

    `override` overrules guards one by one, and needs `because`; `force` overrules them all. `activate` says when the device uses the image
    that was brought to it: `now`; `held`, when the update is activated; `window`, in the device's window, whenever it was brought; or at a time. A
    device that cannot wait with an image is refused `held`, and for the others brought it only then. `hold_activation` is the same as `held`.
    `rollback` goes back to the last good image before the one that runs. `priority` says who goes first of those that could begin.
    """

    model_config = ConfigDict(json_schema_extra=_orders)

    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_ORDER, strict=False)] | None = None
    select: WhomBody | None = None
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)] | FileVersion | None = None
    component: Annotated[str, StringConstraints(min_length=1, max_length=32)] | None = None
    image: (
        Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), told_as("write the SHA-256 of a stored image, 64 lower-case hex digits")] | None
    ) = None
    when: Literal["now", "window"] | Moment = "now"
    allow_downgrade: bool = False
    force: bool = False
    override: Annotated[tuple[Guard, ...], Field(max_length=len(get_args(Guard)), strict=False)] = ()
    because: Sentence | None = None
    activate: Activate = "now"
    hold_activation: bool = False
    priority: Priority = "normal"
    rollback: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _says_why(self) -> OrderBody:
        if (self.devices is None) is (self.select is None) or {"devices", "select"} <= self.model_fields_set:
            raise ValueError("say which devices: by their ids in `devices`, or by what they are in `select`")
        if self.hold_activation and self.activate not in ("now", "held"):
            raise ValueError("`hold_activation` is the same as `activate: held`: give one of them")
        if self.override and self.because is None:
            raise ValueError("an override needs a reason: say it in `because`")
        return self

    @property
    def digest(self) -> str:
        """What is ordered, in 64 hex digits: the same for two bodies that mean the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def order(self) -> OrderRequest:
        """The same in the hub's words; a device named twice counts once."""
        return OrderRequest(
            devices=tuple(DeviceId(each) for each in dict.fromkeys(self.devices or ())),
            select=None if self.select is None else Selection(model=self.select.model, group=self.select.group, radio=self.select.radio),
            version=self.version,
            component=None if self.component is None else ComponentId(self.component.lower()),
            image=None if self.image is None else Sha256(self.image),
            when=self.when,
            allow_downgrade=self.allow_downgrade,
            force=self.force,
            override=tuple(dict.fromkeys(self.override)),
            because=self.because,
            activate="held" if self.hold_activation else self.activate,
            priority=self.priority,
            rollback=self.rollback,
            dry_run=self.dry_run,
        )


class UpdateBody(Body):
    """What an operator changes about an update that has not ended."""

    priority: Priority


_WHOM = ("updates", "job", "rollout", "group")


def _names_one(schema: dict[str, Any]) -> None:
    """Exactly one way to say whom, and none that is null."""
    schema |= {"oneOf": [{"required": [each]} for each in _WHOM], **_OVERRIDE_NEEDS_BECAUSE}
    _never_null(schema, *_WHOM)


class ActivationBody(Body):
    """Whom the word to use an image is for: some updates, or everything of a job, a rollout or a group of devices that holds one back.

    It counts more than windows and times. `override` overrules what spares a device (`in_use`, `interlock`), and needs `because`.
    """

    model_config = ConfigDict(json_schema_extra=_names_one)

    updates: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_ORDER, strict=False)] | None = None
    job: Name | None = None
    rollout: Name | None = None
    group: Label | None = None
    override: Annotated[tuple[Literal["in_use", "interlock"], ...], Field(max_length=2, strict=False)] = ()
    because: Sentence | None = None

    @model_validator(mode="after")
    def _names_one(self) -> ActivationBody:
        if sum(getattr(self, each) is not None for each in _WHOM) != 1:
            raise ValueError("give one of updates, job, rollout and group")
        if self.override and self.because is None:
            raise ValueError("an override needs a reason: say it in `because`")
        return self

    def request(self) -> ActivationRequest:
        """The same in the hub's words."""
        return ActivationRequest(
            updates=tuple(UpdateId(each) for each in self.updates or ()),
            job=self.job,
            rollout=None if self.rollout is None else RolloutId(self.rollout),
            group=self.group,
            override=tuple(dict.fromkeys(self.override)),
            because=self.because,
        )


class PermitJoinBody(Body):
    """How long the network stays open, in seconds; 0 closes it."""

    seconds: Annotated[int, Field(ge=0, le=254), BeforeValidator(whole)] = 60


Cooldown = Annotated[
    Span, WithJsonSchema({"type": "string", "pattern": "^([0-9]{1,7}s|[0-9]{1,5}m|[0-7]?[0-9]{1,3}h|([0-2]?[0-9]{1,2}|3[0-5][0-9]|36[0-6])d)$"})
]
"""As in the configuration, 0d to 366d; what the document's pattern takes is within these."""


class PolicyBody(Body):
    """How releases for one device are taken, whatever the rules say; null leaves it to them."""

    default: Mode | None = None
    retries: Annotated[int, Field(ge=0, le=20), BeforeValidator(whole)] | None = None
    channel: Channel | None = None
    cooldown: Cooldown | None = None
    battery_floor: Annotated[int, Field(ge=0, le=100), BeforeValidator(whole)] | None = None


class DeviceBody(Body):
    """What an operator says of a device, as a merge patch (RFC 7396): what is not given stays, null clears.

    `pin` is the only version that policy takes; `skipped` are versions that it does not take. Without a name the device is called by its model.
    `because` says why, for the journal and the report.
    """

    name: Label | None = None
    room: Label | None = None
    groups: Annotated[tuple[Label, ...], Field(max_length=MAX_GROUPS, strict=False)] | None = None
    pin: Version | None = None
    skipped: Annotated[tuple[Version, ...], Field(max_length=MAX_SKIPPED, strict=False)] | None = None
    policy: PolicyBody | None = None
    because: Sentence | None = None

    def patch(self) -> DevicePatch:
        """The same in the hub's words."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if self.room is not None:
            given["room"] = self.room or None
        if self.groups is not None:
            given["groups"] = tuple(each for each in self.groups if each)
        if self.pin is not None:
            given["pin"] = parse_version(self.pin)
        if self.skipped is not None:
            given["skipped"] = tuple(parse_version(each) for each in self.skipped)
        if self.policy is not None:
            given["policy"] = PolicyPatch(**{name: getattr(self.policy, name) for name in self.policy.model_fields_set})
        return DevicePatch(**given)


class HaltBody(Body):
    """Why everything, or a radio, is to stand still."""

    because: Sentence | None = None
