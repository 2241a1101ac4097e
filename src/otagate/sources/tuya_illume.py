"""Tuya commercial lighting ("illume"): lists of devices to be updated, updating and updated, the detail of one, and the order to update.

The document calls its GET parameters "body"; clouds take them from the query, and where one does not, from a JSON body: the first refusal for
missing parameters switches, once. It types values as text in its samples, and its only sample of an accepted order says `false`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from otagate.model.clouds import UNDER_WAY, CloudChannel, CloudDevice, CloudStatus, Started
from otagate.model.errors import BadFilter, SourceError, SourceUnintelligible
from otagate.model.ids import tuya_device_id
from otagate.sources.delegated import Looked, OrderInDoubt, cloud_id
from otagate.sources.effects import Conversation, Service
from otagate.sources.entries import BadEntry, mapping, maybe_flag, maybe_text, maybe_whole, read_each, whole
from otagate.sources.records import Record, RecordPage, RecordQuery
from otagate.sources.source import Skipped
from otagate.sources.tuya_openapi import Account, TuyaRefused

PREFIX = "/v1.0/cloud/illume/devices"
STATUSES: Mapping[int, CloudStatus] = {0: "none", 1: "available", 2: "updating", 3: "updated", 4: "failed", 5: "waiting"}
LISTS: Mapping[str, str] = {"to-be-updated": "/ota/open/tobeupgraded", "updating": "/ota/open/upgrading", "record": "/ota/open/upgrade/record"}
"""The record lists, by the name that operators use."""

CHANNEL = "0"
BATCH = 100
"""Devices of one order."""

LISTS_HOLD = timedelta(seconds=60)
"""So long the list of what could be updated in a room serves for all of its devices."""

_PAGE = 100
_MOST_PAGES = 1000
_PROTOCOLS = {"1": "wifi", "2": "zigbee", "3": "sigmesh"}
_DEVICE_STATUSES = ("Expiring", "Exception", "Online", "Offline")
_CATEGORIES = ("dgzm", "zm", "xjd", "jjaf", "wgzk", "qt")
_DEVICE_TYPES = range(-1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list may be narrowed by, each as the service names it."""

    device_status: tuple[str, ...] = ()
    device_types: tuple[int, ...] = ()
    top_categories: tuple[str, ...] = ()
    room_id: str | None = None
    device_name: str | None = None
    online: bool | None = None
    upgrade_status: tuple[int, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Filters:
        """Read them from text, lists with commas between. Raises ValueError with a sentence that names the filter."""
        unknown = sorted(set(given) - set(cls.__slots__))
        if unknown:
            raise ValueError(f"there is no filter {unknown[0]!r:.40}: use {', '.join(cls.__slots__)}")
        online = given.get("online", "").lower()
        if online not in ("", "true", "false"):
            raise ValueError("online is true or false")
        return cls(
            device_status=_words(given, "device_status", _DEVICE_STATUSES),
            device_types=_numbers(given, "device_types", _DEVICE_TYPES),
            top_categories=_words(given, "top_categories", _CATEGORIES),
            room_id=given.get("room_id", "")[:100] or None,
            device_name=given.get("device_name", "")[:100] or None,
            online=None if not online else online == "true",
            upgrade_status=_numbers(given, "upgrade_status", range(6)),
        )

    def parameters(self) -> dict[str, Any]:
        """Those that are set."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None and value != ()}


def _words(given: Mapping[str, str], name: str, known: Sequence[str]) -> tuple[str, ...]:
    words = tuple(word for word in given.get(name, "").split(",") if word)
    wrong = next((word for word in words if word not in known), None)
    if wrong is not None:
        raise ValueError(f"{name} has no value {wrong!r:.40}: use {', '.join(known)}")
    return words


def _numbers(given: Mapping[str, str], name: str, known: range) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(given, name, [str(number) for number in known]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page of a list, and how many rows the list has in all."""

    devices: Sequence[CloudDevice]
    skipped: Sequence[Skipped]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offered:
    """The versions that the devices of a room were offered, and when that was read."""

    read: datetime
    versions: Mapping[str, str | None]

    def holds(self, now: datetime) -> bool:
        return timedelta() <= now - self.read < LISTS_HOLD


@dataclass(slots=True, kw_only=True)
class TuyaIllume:
    """One project of the cloud. `parameters` is where GET parameters go, as far as is known by now."""

    account: Account
    project_id: str
    name: str = "tuya-illume"
    parameters: Literal["query", "body"] = "query"
    _switched: bool = field(default=False, init=False)
    _offered: dict[str | None, _Offered] = field(default_factory=dict, init=False)  # by room

    @property
    def service(self) -> Service:
        """The account's."""
        return self.account.service

    @property
    def most_at_once(self) -> int:
        """See `Delegate.most_at_once`."""
        return BATCH

    # --- the six operations ---------------------------------------------------------------------------------------------------------------

    def detail(self, device_id: str) -> Conversation[CloudDevice]:
        """One device in full. Raises SourceError."""
        result = yield from self._get("/device/ota/open/detail", {"device_id": device_id}, label="the detail of a device")
        try:
            return _detail(mapping(result, "the detail"))
        except BadEntry as error:
            raise SourceUnintelligible(f"the detail of a device: {error}") from error

    def listed(self, which: str, filters: Filters | None = None) -> Conversation[tuple[CloudDevice, ...]]:
        """All pages of one of the three lists; rows that cannot be read are left out. Raises SourceError, KeyError for a list that is none."""
        return (yield from self._all(which, filters or Filters())).devices

    def _all(self, which: str, filters: Filters) -> Conversation[Looked]:
        """All pages of a list. Raises SourceError."""
        found: dict[str, CloudDevice] = {}
        skipped: list[Skipped] = []
        for number in range(1, _MOST_PAGES + 1):
            page = yield from self._page(which, number, _PAGE, filters)
            found |= {device.device_id: device for device in page.devices}
            skipped += page.skipped
            if number * _PAGE >= page.total or not (page.devices or page.skipped):
                break
        return Looked(devices=tuple(found.values()), skipped=tuple(skipped))

    def _page(self, which: str, page: int, size: int, filters: Filters) -> Conversation[_Page]:
        """The rows of one page. Raises SourceError."""
        label = f"the list {which}"
        parameters = {"page": page, "project_id": self.project_id, "page_size": size, **filters.parameters()}
        result = yield from self._get(LISTS[which], parameters, label=label)
        try:
            total = whole(mapping(result, "the answer"), "total", most=1 << 31)
        except BadEntry as error:
            raise SourceUnintelligible(f"{label}: {error}") from error
        rows = result.get("list")
        devices, skipped = read_each(rows if isinstance(rows, list) else (), _row, what=f"{which} row")
        return _Page(devices=devices, skipped=skipped, total=total)

    def records(self, query: RecordQuery) -> Conversation[RecordPage]:
        """One page of the list that the filter `list` names (record, where none is named). Raises BadFilter, SourceError."""
        given = dict(query.filters)
        which = given.pop("list", "record")
        if which not in LISTS:
            raise BadFilter(f"there is no list {which!r:.40}: use {', '.join(LISTS)}")
        if query.offset % query.limit:
            raise BadFilter("the service counts pages: keep the limit with which the list was begun")
        try:
            filters = Filters.parse(given)
        except ValueError as error:
            raise BadFilter(str(error)) from None
        number, after = query.offset // query.limit + 1, query.offset + query.limit
        page = yield from self._page(which, number, query.limit, filters)
        more = (page.devices or page.skipped) and after < page.total and number < _MOST_PAGES
        return RecordPage(items=tuple(map(_record, page.devices)), after=after if more else None)

    def upgrade(self, device_ids: Sequence[str]) -> Conversation[bool]:
        """Order the update of at most 100 devices, once. False is not yet a no: see `start`. Raises SourceError, ValueError for more."""
        if len(device_ids) > BATCH:
            raise ValueError(f"one order takes {BATCH} devices, and not {len(device_ids)}")
        self._offered.clear()
        document = {"project_id": self.project_id, "device_ids": list(device_ids)}
        result = yield from self.account.call("POST", f"{PREFIX}/ota/open/upgrade", label="the order", document=document, idempotent=False)
        return result is True or (isinstance(result, str) and result.lower() == "true")

    def sync_room(self, room_id: str) -> Conversation[None]:
        """Have the cloud look again at what a room's devices could take. Raises SourceError."""
        self._offered.clear()
        yield from self._get("/ota/tobeupgraded/roomid", {"project_id": self.project_id, "room_id": room_id}, label="the sync of a room")

    # --- as a delegate --------------------------------------------------------------------------------------------------------------------

    def look(self) -> Conversation[Looked]:
        """Every device of the project that is in one of the lists; the one that says most about now wins. Raises SourceError."""
        self._offered.clear()
        found: dict[str, CloudDevice] = {}
        skipped: list[Skipped] = []
        for which in ("record", "to-be-updated", "updating"):
            looked = yield from self._all(which, Filters())
            found |= {device.device_id: device for device in looked.devices}
            skipped += looked.skipped
        return Looked(devices=tuple(found.values()), skipped=tuple(skipped))

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        """One device, read anew; what is offered to it stands only in the list of those to be updated, so that of its room is read too, once a
        minute for all of its devices.

        Raises SourceError.
        """
        device = yield from self.detail(device_id)
        channel = device.channels[0]
        if channel.status != "available":
            return device
        room = device.facts.get("room_id")
        offered = yield from self._offered_to(device_id, room if isinstance(room, str) else None)
        return replace(device, channels=(replace(channel, offered_version=offered),))

    def _offered_to(self, device_id: str, room: str | None) -> Conversation[str | None]:
        """The version, which the cloud need not name; of a device that a kept list does not know the list is read anew. Raises SourceError."""
        now = self.account.heard
        self._offered = {key: each for key, each in self._offered.items() if each.holds(now)}
        kept = self._offered.get(room)
        if kept is None or device_id not in kept.versions:
            rows = yield from self.listed("to-be-updated", Filters(room_id=room))
            kept = _Offered(read=self.account.heard, versions={each.device_id: each.channels[0].offered_version for each in rows})
            self._offered[room] = kept
        return kept.versions.get(device_id)

    def start(self, device_ids: Sequence[str], channel: str = CHANNEL) -> Conversation[Mapping[str, Started]]:
        """Order updates in one call; where the cloud's answer says no, what it does is read back once, device by device. Raises SourceError."""
        if (yield from self.upgrade(device_ids)):
            return dict.fromkeys(device_ids, "started")
        try:
            return (yield from self._read_back(device_ids))
        except SourceError as error:
            raise OrderInDoubt(str(error)) from error

    def _read_back(self, device_ids: Sequence[str]) -> Conversation[Mapping[str, Started]]:
        """What became of an order that was answered with no. Raises SourceError."""
        outcome: dict[str, Started] = {}
        running = {device.device_id for device in (yield from self.listed("updating"))}
        for device_id in device_ids:
            moves = device_id in running
            if not moves:
                device = yield from self.detail(device_id)
                moves = device.channels[0].status in UNDER_WAY
            outcome[device_id] = "started" if moves else "not-started"
        return outcome

    def _get(self, path: str, parameters: Mapping[str, Any], *, label: str) -> Conversation[Any]:
        while True:
            in_query = self.parameters == "query"
            query = tuple((key, _in_query(value)) for key, value in parameters.items()) if in_query else ()
            document = None if in_query else parameters
            try:
                return (yield from self.account.call("GET", PREFIX + path, label=label, query=query, document=document))
            except TuyaRefused as refusal:
                if not refusal.parameters_missing or self._switched:
                    raise
                self._switched = True
                self.parameters = "body" if in_query else "query"


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _channel(status: int, *, current: str | None, offered: str | None) -> CloudChannel:
    known = STATUSES.get(status, "unknown")
    return CloudChannel(channel=CHANNEL, status=known, raw_status=status, current_version=current, offered_version=offered)


def _row(entry: Mapping[str, Any]) -> CloudDevice:
    status = whole(entry, "upgrade_status", least=-1000, most=1000)
    kinds = entry.get("group_type")
    facts = {
        "protocol": maybe_text(entry, "custom_capability") or _protocol(kinds),
        "category": maybe_text(entry, "top_category_name") or maybe_text(entry, "top_category"),
    }
    return CloudDevice(
        device_id=cloud_id(entry),
        name=maybe_text(entry, "device_name", longest=100) or "",
        online=maybe_flag(entry, "online"),
        room=maybe_text(entry, "room_name", longest=100),
        channels=(_channel(status, current=None, offered=maybe_text(entry, "version", longest=64)),),
        facts={key: value for key, value in facts.items() if value is not None},
    )


def _protocol(kinds: Any) -> str | None:
    first = kinds[0] if isinstance(kinds, list) and kinds else None
    return _PROTOCOLS.get(str(first).strip()) if isinstance(first, (int, str)) else None


def _record(device: CloudDevice) -> Record:
    channel = device.channels[0]
    details = {"upgrade_status": channel.raw_status, "online": device.online, "room": device.room, **device.facts}
    return Record(
        device=tuya_device_id(device.device_id),
        name=device.name or None,
        status=channel.status,
        version=channel.offered_version,
        details={key: value for key, value in details.items() if value is not None},
    )


def _detail(entry: Mapping[str, Any]) -> CloudDevice:
    status = whole(entry, "upgrade_status", least=-1000, most=1000)
    device = entry.get("device")
    device = device if isinstance(device, dict) else {}
    extra = entry.get("device_ext")
    extra = extra if isinstance(extra, dict) else {}
    facts = {
        "category": maybe_text(device, "category"),
        "room_id": maybe_text(device, "room_id", longest=64),
        "mcu_version": maybe_text(extra, "mcu_version"),
        "gateway": maybe_text(extra, "gateway_name"),
        "device_type": maybe_whole(device, "device_type_value", least=-1, most=1000),
    }
    current = maybe_text(entry, "current_version", longest=64) or maybe_text(extra, "firmware_version", longest=64)
    return CloudDevice(
        device_id=cloud_id(entry),
        name=maybe_text(device, "device_name", longest=100) or "",
        online=maybe_flag(device, "online"),
        product=maybe_text(device, "product_id", longest=64),
        channels=(_channel(status, current=current, offered=None),),
        facts={key: value for key, value in facts.items() if value is not None},
    )
