"""The Z-Wave JS firmware update service in its four versions: strict about what it is asked, and its integrity covers the decoded image.

It offers everything but the version that runs, and leaves the choice to whoever asks; an update for one region is told only to who names that region.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from otagate_rig.services.server import FakeService

_REGIONS = ("europe", "usa", "australia/new zealand", "hong kong", "india", "israel", "russia", "china", "japan", "korea")
_IDS = ("manufacturerId", "productType", "productId")
_ID = re.compile(r"0x[a-f0-9]{4}")
_PART = r"(?:0|[1-9]\d{0,2})"
_VERSION = re.compile(rf"{_PART}\.{_PART}(?:\.{_PART})?")
_TARGET = re.compile(r"[1-9]\d*")
_FRESH = "public, s-maxage=86400, max-age=3600, stale-while-revalidate"

Kind = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveFile:
    """The file for one firmware target. `image` is what its integrity covers; `served` is what the file holds, where that is not the image itself."""

    image: bytes
    target: int = 0
    served: bytes | None = None
    name: str = "firmware.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveUpdate:
    """One update of one kind of node; `files` in the order of their installation. `only_from`: offered to none that runs another version."""

    version: str
    files: tuple[ZwaveFile, ...]
    product_id: int
    product_type: int = 0x0003
    manufacturer_id: int = 0x027A
    channel: Literal["stable", "beta"] = "stable"
    region: str | None = None
    only_from: str | None = None

    @property
    def kind(self) -> Kind:
        """Manufacturer id, product type and product id, as the service writes them."""
        return tuple(f"0x{each:04x}" for each in (self.manufacturer_id, self.product_type, self.product_id))

    @property
    def rank(self) -> tuple[tuple[int, ...], bool, bool]:
        """In what order updates are listed: by version, a beta before the same version, a regional one before the general one."""
        return _numbers(self.version), self.channel == "stable", self.region is None


@dataclass(slots=True, kw_only=True)
class ZwaveService(FakeService):
    """The service with these updates. `questions` are the bodies that it was sent.

    `api_key`: it wants this one. `batch`: it has v4. `careless`: it tells updates of every region to everybody, which the real one never does.
    """

    updates: list[ZwaveUpdate] = field(default_factory=list)
    api_key: str | None = None
    batch: bool = True
    careless: bool = False
    calls_per_minute: int = 2000
    questions: list[dict[str, Any]] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        """Every version, the files beside them, and one answer for everything else."""
        return [
            *(web.post(f"/api/{version}/updates", self._singly) for version in ("v1", "v2", "v3")),
            *([web.post("/api/v4/updates", self._batch)] if self.batch else []),
            web.get("/files/{update}/{target}/{name}", self._file),
            web.route("*", "/{path:.*}", self._nothing),
        ]

    async def _singly(self, request: web.Request) -> web.Response:
        version = request.path.split("/")[2]
        body, refused = await self._read(request)
        if refused is not None:
            return refused
        wrong = _wrong_device(body) | (_wrong_region(body) if version == "v3" else {})
        if wrong:
            return _refusal(wrong)
        self.questions.append(body)
        region = body.get("region") if version == "v3" else None
        return self._answer([self._document(each, body, version) for each in self._offered(body, region, version)])

    async def _batch(self, request: web.Request) -> web.Response:
        body, refused = await self._read(request)
        if refused is not None:
            return refused
        wrong = _wrong_region(body) | _wrong_devices(body.get("devices"))
        if wrong:
            return _refusal(wrong)
        self.questions.append(body)
        distinct = {json.dumps(_padded_device(each), sort_keys=True): each for each in body["devices"]}
        known = {each.kind for each in self.updates}
        answers = [
            _padded_device(each) | {"updates": [self._document(one, each, "v4") for one in self._offered(each, body.get("region"), "v4")]}
            for each in distinct.values()
            if _kind(each) in known
        ]
        return self._answer(sorted(answers, key=lambda each: (*_kind(each), each["firmwareVersion"])))

    async def _read(self, request: web.Request) -> tuple[dict[str, Any], web.Response | None]:
        """The body, or the answer to a call that the service does not read."""
        if not request.headers.get("User-Agent", "").strip():
            return {}, _error(400, "User-Agent header is required")
        if self.api_key is not None and (given := request.headers.get("X-API-Key")) != self.api_key:
            return {}, _error(401, "API key not provided" if given is None else "Invalid API key")
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = ""
        return (body, None) if isinstance(body, dict) else ({}, _refusal({"_errors": ["Expected object"]}))

    def _offered(self, device: Mapping[str, Any], region: str | None, version: str) -> list[ZwaveUpdate]:
        runs = _numbers(device["firmwareVersion"])
        told = [
            each
            for each in self.updates
            if each.kind == _kind(device)
            and _numbers(each.version) != runs
            and (each.only_from is None or _numbers(each.only_from) == runs)
            and (self.careless or each.region in (None, region))
            and (version != "v1" or each.channel == "stable")
        ]
        if version in ("v1", "v2"):
            return told
        return list({_normalized(each): each for each in sorted(told, key=lambda each: each.rank, reverse=True)}.values())[::-1]

    def _document(self, update: ZwaveUpdate, device: Mapping[str, Any], version: str) -> dict[str, Any]:
        number = self.updates.index(update)
        told: dict[str, Any] = {"version": update.version, "changelog": "* better"}
        if version != "v1":
            told["channel"] = update.channel
        if update.region is not None:
            told["region"] = update.region
        told["files"] = [
            {
                "target": each.target,
                "url": f"{self.url}/files/{number}/{each.target}/{each.name}",
                "integrity": f"sha256:{hashlib.sha256(each.image).hexdigest()}",
            }
            for each in update.files
        ]
        normalized = _padded(update.version) if version == "v1" else _normalized(update)
        return told | {"downgrade": _numbers(update.version) < _numbers(device["firmwareVersion"]), "normalizedVersion": normalized}

    async def _file(self, request: web.Request) -> web.Response:
        number, target = int(request.match_info["update"]), int(request.match_info["target"])
        found = next(each for each in self.updates[number].files if each.target == target)
        return web.Response(body=found.image if found.served is None else found.served, content_type="application/octet-stream")

    async def _nothing(self, _: web.Request) -> web.Response:
        return _error(404, "Not Found")

    def _answer(self, document: list[Any]) -> web.Response:
        body = json.dumps(document).encode()
        headers = {"Cache-Control": _FRESH, "ETag": hashlib.sha256(body).hexdigest()}  # without quotes, and no 304 for whoever names it
        return web.Response(body=body, content_type="application/json", charset="utf-8", headers=headers)

    def slow_down(self, seconds: int) -> web.Response:
        """An empty answer that says a minute, whenever the limit would end."""
        del seconds
        return web.Response(status=429, headers={"Retry-After": "60"})


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in [*version.split("."), "0"][:3])


def _padded(version: str) -> str:
    return ".".join(str(each) for each in _numbers(version))


def _normalized(update: ZwaveUpdate) -> str:
    return _padded(update.version) + ("-beta" if update.channel == "beta" else "")


def _kind(device: Mapping[str, Any]) -> Kind:
    return tuple(device[each] for each in _IDS)


def _padded_device(device: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: device[key] for key in (*_IDS, "firmwareVersion", "additionalFirmwareVersions") if key in device}
    return told | {"firmwareVersion": _padded(device["firmwareVersion"])}


# --- what is wrong with a question --------------------------------------------------------------------------------------------------------


def _is_version(told: object) -> bool:
    return isinstance(told, str) and _VERSION.fullmatch(told) is not None and all(int(each) <= 255 for each in told.split("."))


def _wrong_device(device: Mapping[str, Any]) -> dict[str, Any]:
    wrong: dict[str, Any] = {}
    for key in _IDS:
        if not (isinstance(device.get(key), str) and _ID.fullmatch(device[key])):
            wrong[key] = {"_errors": ["Is not a valid id" if key in device else "Required"]}
    if not _is_version(device.get("firmwareVersion")):
        wrong["firmwareVersion"] = {"_errors": ["Is not a valid firmware version" if "firmwareVersion" in device else "Required"]}
    others = device.get("additionalFirmwareVersions", {})
    if not isinstance(others, dict) or not all(_TARGET.fullmatch(target) and _is_version(version) for target, version in others.items()):
        wrong["additionalFirmwareVersions"] = {"_errors": ["Is not a valid firmware version"]}
    return wrong


def _wrong_region(body: Mapping[str, Any]) -> dict[str, Any]:
    if "region" not in body or body["region"] in _REGIONS:
        return {}
    expected = " | ".join(f"'{each}'" for each in _REGIONS)
    return {"region": {"_errors": [f"Invalid enum value. Expected {expected}, received '{body['region']}'"]}}


def _wrong_devices(devices: object) -> dict[str, Any]:
    if not isinstance(devices, list):
        return {"devices": {"_errors": ["Required"]}}
    if not devices:
        return {"devices": {"_errors": ["Array must contain at least 1 element(s)"]}}
    wrong: dict[str, Any] = {
        str(number): {"_errors": []} | found
        for number, each in enumerate(devices)
        if (found := _wrong_device(each) if isinstance(each, dict) else {"_errors": ["Expected object"]})
    }
    return {"devices": wrong | {"_errors": []}} if wrong else {}


def _refusal(wrong: dict[str, Any]) -> web.Response:
    return web.json_response({"status": 400, "_errors": []} | wrong, status=400)


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"status": status, "error": text}, status=status)
