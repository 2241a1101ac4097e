"""IoTaaP: one latest version a device, a file behind a URL that holds the device's token, and an upload that the device then takes by itself.

The service names no digest and no size. A version is asked for before and after its file, and what the file's sha256 was is the caller's to pin:
the same version with other bytes is an alarm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from otagate.model.clouds import CloudChannel, CloudDevice, Started
from otagate.model.errors import BadFilter, SourceBusy, SourceMisconfigured, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.model.ids import Sha256, iotaap_device_id
from otagate.sources.delegated import Looked, OrderInDoubt
from otagate.sources.effects import Conversation, Expect, Limit, Request, Response, Service, Stored, Upload, download, send, upload
from otagate.sources.entries import BadEntry, is_header_value, maybe_whole, moment, read_each, text, words
from otagate.sources.records import Record, RecordPage, RecordQuery

API = "https://api.iotaap.io/v1"
OTA = "https://ota.iotaap.io/v1"
_ID = re.compile(r"[0-9a-f]{24}")
_VERSION = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}([-+][0-9A-Za-z.+-]{1,40})?")
_TOKEN = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PAGE = 100
_MOST_PAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What the service holds for one device."""

    device_id: str
    version: str
    last_updated: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Account:
    """One operator's login; its token lives thirty days, and there is no way to renew it but to log in again."""

    api_url: str
    email: str = field(repr=False)
    password: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Iotaap:
    """The service at its two addresses. `tokens` are the devices' own, by device id."""

    account: Account
    ota_url: str = OTA
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = "iotaap"

    @property
    def service(self) -> Service:
        """A call a second, five at once."""
        host = urlsplit(self.account.api_url).hostname or "iotaap"
        return Service(name=f"iotaap {host}", limits=(Limit(amount=5, per=timedelta(seconds=5)),))

    @property
    def most_at_once(self) -> int:
        """See `Delegate.most_at_once`."""
        return 1

    # --- the five operations --------------------------------------------------------------------------------------------------------------

    def login(self) -> Conversation[None]:
        """Get a token. Raises SourceMisconfigured where e-mail or password is wrong, SourceError."""
        document = {"email": self.account.email, "password": self.account.password}
        response = yield from send(Request.with_json(document, url=f"{self.account.api_url}/auth/login", label="the login"))
        if response.status in (400, 401, 403):
            raise SourceMisconfigured("the login: the service does not take this e-mail and password: check email and password_file")
        _expect(response, 200)
        answer = response.json()
        token = answer.get("token") if isinstance(answer, dict) else None
        if not is_header_value(token):
            raise SourceUnintelligible("the login: the answer holds no token")
        self.account.token = token

    def listed(self, search: str = "") -> Conversation[tuple[Deployed, ...]]:
        """What is deployed to every device, page by page; one that cannot be read is left out. Raises SourceError."""
        found: dict[str, Deployed] = {}
        offset = 0
        for _ in range(_MOST_PAGES):
            searched = (("search_value", search),) if search else ()
            rows, total = yield from self._page((("offset", str(offset)), ("limit", str(_PAGE)), ("order_dir", "asc"), *searched))
            read, _ = read_each(rows, _deployed, what="firmware")
            found |= {each.device_id: each for each in read}
            offset += len(rows)
            if not rows or total is None or offset >= total:
                break
        return tuple(found.values())

    def _page(self, query: tuple[tuple[str, str], ...]) -> Conversation[tuple[Sequence[Any], int | None]]:
        """The rows of one page, and how many there are in all. Raises SourceError."""
        response = yield from self._authorised(Request(url=f"{self.account.api_url}/ota/device", label="the list", query=query))
        _expect(response, 200)
        answer = response.json()
        rows = answer.get("otas") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise SourceUnintelligible("the list: the answer has no list of firmware")
        try:
            return rows, maybe_whole(answer, "recordsFiltered", most=1 << 31)
        except BadEntry as error:
            raise SourceUnintelligible(f"the list: {error}") from error

    def records(self, query: RecordQuery) -> Conversation[RecordPage]:
        """One page of what is deployed; filters are `device`, the service's id of one, and `order`. Raises BadFilter, SourceError."""
        given = dict(query.filters)
        device, order = given.pop("device", None), given.pop("order", "asc")
        if given or order not in ("asc", "desc"):
            raise BadFilter("the list can be narrowed by device, and its order is asc or desc")
        if device is not None and _ID.fullmatch(device) is None:  # the service searches in a text that holds tokens
            raise BadFilter(f"{device!r:.60} is no device id: it has 24 hex digits")
        searched = () if device is None else (("search_value", device),)
        asked = (("offset", str(query.offset)), ("limit", str(query.limit)), ("order_dir", order), *searched)
        rows, total = yield from self._page(asked)
        read, _ = read_each(rows, _deployed, what="firmware")
        after = query.offset + len(rows)
        items = tuple(Record(device=iotaap_device_id(each.device_id), version=each.version, at=each.last_updated) for each in read)
        return RecordPage(items=items, after=after if rows and total is not None and after < total else None)

    def latest(self, device_id: str) -> Conversation[str]:
        """The version that the device would take. Raises SourceError."""
        response = yield from self._asked_for_latest(device_id)
        if response.status == 404:
            raise SourceRefused("the latest version: the service knows no such device")
        return _version(response)

    def _asked_for_latest(self, device_id: str) -> Conversation[Response]:
        return (yield from send(Request(url=f"{self.ota_url}/ota/device/latest/{_checked(device_id)}", label="the latest version")))

    def fetch_file(self, device_id: str, version: str) -> Conversation[Stored]:
        """The file of a version; told to be another one before or after it came, it is not taken. Raises SourceError."""
        token = self.tokens.get(device_id)
        if token is None or _TOKEN.fullmatch(token) is None:
            raise SourceMisconfigured(f"device {device_id}: its token is missing or is none: check token_file")
        before = yield from self.latest(device_id)
        if before != version:
            raise SourceRefused(f"the firmware of device {device_id}: version {before} is served now, {version} was wanted")
        # The token stands in the path, without a separator: nothing may show this URL.
        request = Request(url=f"{self.ota_url}/ota/device/download/{_checked(device_id)}{token}", label=f"the firmware of device {device_id}")
        file = yield from download(request, Expect())
        after = yield from self.latest(device_id)
        if after != version:
            raise SourceBusy(f"the firmware of device {device_id}: it became version {after} while {version} was being fetched")
        return replace(file, file_name=file.file_name.replace(token, ""))  # the service may name a file as it names its path

    def create(self, device_id: str, *, image: Sha256, version: str) -> Conversation[None]:
        """Publish an image to a device, which then takes it by itself: once, and only because an operator said so.

        Raises OrderInDoubt where it may have been carried out, any other SourceError where it was not.
        """
        token = self.tokens.get(device_id)
        if token is None:
            raise SourceMisconfigured(f"device {device_id}: its token is missing: check token_file")
        if _VERSION.fullmatch(version) is None:
            raise SourceRefused(f"{version!r:.60} is no semantic version: write it as in 1.0.1")
        if self.account.token is None:
            yield from self.login()
        fields = (("device", _checked(device_id)), ("token", token), ("version", version))
        response = yield from self._publish(image, fields)
        if response.status == 401:  # it was refused before anything was done, so once more with a new token does no harm
            yield from self.login()
            response = yield from self._publish(image, fields)
        if response.status == 404:
            raise SourceRefused(f"device {device_id}: the service knows no such device")
        if response.status == 400:
            raise SourceRefused(f"device {device_id}: the service does not take it: {_message(response)}")
        if response.status != 201 and not 400 <= response.status < 500:  # a page of some network's, or a success that is not documented
            raise OrderInDoubt(f"{response.label}: the service answers {response.status}, which says neither yes nor no")
        _expect(response, 201)

    # --- its devices, as devices of a cloud -------------------------------------------------------------------------------------------

    def look(self) -> Conversation[Looked]:
        """Every device whose token is known, with what is deployed to it. Raises SourceError."""
        return Looked(devices=self.devices((yield from self.listed())))

    def devices(self, listed: Sequence[Deployed]) -> tuple[CloudDevice, ...]:
        """What a list says of the devices whose token is known."""
        versions = {each.device_id: each.version for each in listed}
        return tuple(_device(each, versions.get(each)) for each in self.tokens)

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        """One device, read anew. Raises SourceError."""
        response = yield from self._asked_for_latest(device_id)
        return _device(device_id, None if response.status == 404 else _version(response))

    def start(self, device_ids: Sequence[str], channel: str) -> Conversation[Mapping[str, Started]]:
        """The service offers nothing by itself. Raises SourceRefused."""
        del device_ids, channel
        yield from ()
        raise SourceRefused("nothing is offered to the device: order an image and a version, which are published to it")

    def publish(self, device_id: str, *, image: Sha256, version: str) -> Conversation[None]:
        """See `create`. Raises OrderInDoubt, SourceError."""
        yield from self.create(device_id, image=image, version=version)

    def _publish(self, image: Sha256, fields: tuple[tuple[str, str], ...]) -> Conversation[Response]:
        request = Request(method="POST", url=f"{self.account.api_url}/ota/device", label="the publication", headers=self._bearer(), idempotent=False)
        try:
            return (yield from upload(Upload(request=request, image=image, field="firmware", file_name="firmware.bin", fields=fields)))
        except (SourceUnavailable, SourceUnintelligible) as error:
            raise OrderInDoubt(str(error)) from error

    def _authorised(self, request: Request) -> Conversation[Response]:
        """Ask with a token; with a new one where the service does not take ours any more."""
        fresh = self.account.token is None
        if fresh:
            yield from self.login()
        response = yield from send(_with_headers(request, self._bearer()))
        if response.status == 401 and not fresh:
            yield from self.login()
            response = yield from send(_with_headers(request, self._bearer()))
        if response.status == 401:
            raise SourceMisconfigured(f"{request.label}: the service does not take the token that it gave: check the account")
        return response

    def _bearer(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.account.token}"}


def _with_headers(request: Request, headers: Mapping[str, str]) -> Request:
    return Request(method=request.method, url=request.url, label=request.label, query=request.query, headers=headers)


def _checked(device_id: str) -> str:
    if _ID.fullmatch(device_id) is None:
        raise SourceMisconfigured(f"{device_id!r:.60} is no device id: it has 24 hex digits")
    return device_id


def _expect(response: Response, status: int) -> None:
    if response.status != status:
        raise SourceRefused(f"{response.label}: the service answers {response.status}")


def _version(response: Response) -> str:
    _expect(response, 200)
    answer = response.json()
    version = answer.get("ver") if isinstance(answer, dict) else None
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        raise SourceUnintelligible("the latest version: the answer names no semantic version")
    return version


def _device(device_id: str, version: str | None) -> CloudDevice:
    """The service knows what is deployed, and not what runs: a device takes what is deployed by itself."""
    channel = CloudChannel(channel="0", status="none", raw_status=0, current_version=version)
    return CloudDevice(device_id=device_id, cloud="iotaap", name=f"IoTaaP {device_id}", channels=(channel,))


def _message(response: Response) -> str:
    try:
        answer = response.json()
    except SourceUnintelligible:
        return "no reason"
    return words(answer.get("message") if isinstance(answer, dict) else None)


def _deployed(entry: Mapping[str, Any]) -> Deployed:
    """One row. Its `path` holds the device's token and is not looked at."""
    device_id = text(entry, "device", longest=64)
    version = text(entry, "version", longest=64)
    if _ID.fullmatch(device_id) is None:
        raise BadEntry("device is no device id")
    return Deployed(device_id=device_id, version=version, last_updated=moment(entry.get("last_updated")))
