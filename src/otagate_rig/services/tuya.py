"""Tuya's OpenAPI: 200 to everything and the truth in the envelope; signatures, tokens and clocks are really checked.

Commercial lighting ("illume", six operations) and Thing firmware v2.0 (three) over the same devices.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from otagate_rig.services.server import FakeService
from otagate_rig.services.tuya_devices import DONE, FAILED, NONE, READY, RUNNING, WAITING, TuyaDevice

ILLUME = "/v1.0/cloud/illume/devices"
_SKEW = 300.0
_WORDS = {
    "device_status": {"Expiring", "Exception", "Online", "Offline"},
    "top_categories": {"dgzm", "zm", "xjd", "jjaf", "wgzk", "qt"},
    "device_types": {str(each) for each in range(-1, 5)},
    "upgrade_status": {str(each) for each in range(6)},
}
_LISTS = {"tobeupgraded": {READY}, "upgrading": {RUNNING, WAITING}, "upgrade/record": {DONE, FAILED}}


class _No(Exception):
    """The cloud refuses, with one of its numbers."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(slots=True, kw_only=True)
class TuyaService(FakeService):
    """A data centre with one project and its devices.

    `token_life` in seconds; `ahead`: its clock is so many seconds before ours. `quota`: calls until it is used up, None for no end.
    `refusal`: the number that every call with a token is refused with, as 1110 where it came too often. `parameters`: where GET parameters are
    looked for. `as_text`: every value of an answer is text, as in the document's samples. `shape`: of the firmware of a
    device. `orders` are the devices of every order that came, and `ordered` is set by the first. `order`: what becomes of one: `ok` (true), `false`
    (begun, and told false), `ignored` (not begun, and told false), `dropped` (begun, and the connection is lost), `lost` (the connection is lost
    before it is read), `held` (begun, and never answered), `some` (every other device of it begun, and told false). `refuses`: devices that are in a
    state of their own; an order that names one of them is refused for all.
    """

    client_id: str = "client1"
    secret: str = "a-secret-of-a-project"  # noqa: S105 - it guards nothing
    project_id: str = "1451224591564378112"
    devices: list[TuyaDevice] = field(default_factory=lambda: [TuyaDevice(device_id="vdev1")])
    token_life: int = 7_200
    ahead: float = 0.0
    quota: int | None = None
    refusal: int | None = None
    parameters: Literal["query", "body"] = "query"
    as_text: bool = False
    shape: Literal["list", "one", "envelope"] = "list"
    order: Literal["ok", "false", "ignored", "dropped", "lost", "held", "some"] = "ok"
    refuses: frozenset[str] = frozenset()
    orders: list[str] = field(default_factory=list)
    ordered: asyncio.Event = field(default_factory=asyncio.Event)
    synced: list[str] = field(default_factory=list)
    signed: int = 0
    _tokens: dict[str, float] = field(default_factory=dict)
    _refresh: set[str] = field(default_factory=set)

    def routes(self) -> list[web.RouteDef]:
        """Every operation."""
        thing = "/v2.0/cloud/thing/{device}/firmware"
        return [
            web.get("/v1.0/token", self._wrapped(self._token, token=False)),
            web.get("/v1.0/token/{refresh}", self._wrapped(self._token_again, token=False)),
            web.get(f"{ILLUME}/device/ota/open/detail", self._wrapped(self._detail)),
            *(web.get(f"{ILLUME}/ota/open/{each}", self._wrapped(self._list)) for each in _LISTS),
            web.post(f"{ILLUME}/ota/open/upgrade", self._wrapped(self._upgrade)),
            web.get(f"{ILLUME}/ota/tobeupgraded/roomid", self._wrapped(self._sync)),
            web.get(thing, self._wrapped(self._firmware)),
            web.post(thing + "/{channel}", self._wrapped(self._confirm)),
            web.get(thing + "/{channel}/progress", self._wrapped(self._progress)),
        ]

    def device(self, device_id: str = "vdev1") -> TuyaDevice:
        """One device of the project."""
        return next(each for each in self.devices if each.device_id == device_id)

    def _now(self) -> float:
        """Seconds since 1970 by the cloud's own clock."""
        return time.time() + self.ahead  # noqa: TID251 - it is another machine's

    def revoke(self) -> None:
        """No token is worth anything any more."""
        self._tokens.clear()
        self._refresh.clear()

    # --- envelope, signature, token ---------------------------------------------------------------------------------------------------

    def _wrapped(
        self, answer: Callable[[web.Request, bytes], Awaitable[Any]], *, token: bool = True
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            now = self._now()
            try:
                self._check(request, body, now, with_token=token)
                result = await answer(request, body)
            except _No as no:
                return web.json_response({"success": False, "code": no.number, "msg": str(no), "t": int(now * 1000), "tid": "x"})
            if isinstance(result, web.StreamResponse):
                return result
            result = _texts(result) if self.as_text and token else result
            told = {"success": True, "t": int(now * 1000) if not token else int(now), "tid": "x"}
            return web.json_response(told if result is None else told | {"result": result})

        return handle

    def _check(self, request: web.Request, body: bytes, now: float, *, with_token: bool) -> None:
        headers = request.headers
        when, given = headers.get("t", ""), headers.get("access_token", "")
        if headers.get("client_id") != self.client_id:
            raise _No(1005, "client_id is invalid")
        if len(when) != 13 or not when.isdecimal() or headers.get("sign_method") != "HMAC-SHA256":
            raise _No(1105, "the request header is invalid")
        if abs(int(when) / 1000 - now) > _SKEW:
            raise _No(1013, "request time is invalid")
        if not hmac.compare_digest(headers.get("sign", ""), self._sign(request, body, when, given if with_token else "")):
            raise _No(1004, "sign invalid")
        if body and request.content_type != "application/json":
            raise _No(1006, "content type is not supported")
        self.signed += 1
        if with_token and not given:
            raise _No(1002, "access_token is null")
        if with_token and self._tokens.get(given, 0.0) <= now:
            raise _No(1010, "token invalid")
        if with_token:
            self._ration()

    def _ration(self) -> None:
        if self.refusal is not None:
            raise _No(self.refusal, "refused")
        if self.quota is not None:
            if self.quota <= 0:
                raise _No(28841004, "the quota of the trial edition is used up")
            self.quota -= 1

    def _sign(self, request: web.Request, body: bytes, when: str, token: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in sorted(request.query.items()))
        path = request.path + (f"?{query}" if query else "")
        text = f"{request.method}\n{hashlib.sha256(body).hexdigest()}\n\n{path}"
        whole = self.client_id + token + when + request.headers.get("nonce", "") + text
        return hmac.new(self.secret.encode(), whole.encode(), hashlib.sha256).hexdigest().upper()

    async def _token(self, request: web.Request, _: bytes) -> Any:
        if request.query.get("grant_type") != "1":
            raise _No(1003, "grant type invalid")
        return self._new_token()

    async def _token_again(self, request: web.Request, _: bytes) -> Any:
        refresh = request.match_info["refresh"]
        if refresh not in self._refresh:
            raise _No(1010, "token invalid")
        self._refresh.discard(refresh)
        self._tokens.clear()
        return self._new_token()

    def _new_token(self) -> dict[str, Any]:
        access, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self._tokens[access] = self._now() + self.token_life
        self._refresh.add(refresh)
        return {"access_token": access, "refresh_token": refresh, "expire_time": self.token_life, "uid": "bay1"}

    # --- commercial lighting ----------------------------------------------------------------------------------------------------------

    def _given(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        """The parameters of a GET, from where this data centre looks for them; all as text."""
        if self.parameters == "query":
            return dict(request.query)
        document = json.loads(body or b"{}")
        return {key: ",".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in document.items()}

    def _own(self, given: Mapping[str, Any]) -> None:
        if "project_id" not in given:
            raise _No(1102, "project_id is null")
        if given["project_id"] != self.project_id:
            raise _No(1106, "permission deny")

    def _find(self, device_id: Any) -> TuyaDevice:
        found = next((each for each in self.devices if each.device_id == device_id), None)
        if found is None:
            raise _No(2009, "not support this device")
        return found

    async def _detail(self, request: web.Request, body: bytes) -> Any:
        given = self._given(request, body)
        if not given.get("device_id"):
            raise _No(1102, "device_id is null")
        device = self._find(given["device_id"])
        device.main.step()
        return device.detail()

    async def _list(self, request: web.Request, body: bytes) -> Any:
        given = self._given(request, body)
        self._own(given)
        page, size = _number(given, "page"), _number(given, "page_size")
        if page < 1 or not 1 <= size <= 100:
            raise _No(1101, "page is out of range")
        for key, words in _WORDS.items():
            if not set(given.get(key, "").split(",")) - {""} <= words:
                raise _No(1109, f"{key} is illegal")
        states = _LISTS[request.path.removeprefix(f"{ILLUME}/ota/open/")]
        rows = [each.row() for each in self.devices if each.main.status in states and _fits(each, given)]
        return {"list": rows[(page - 1) * size : page * size], "total": len(rows)}

    async def _upgrade(self, request: web.Request, body: bytes) -> Any:
        document = json.loads(body or b"{}")
        self._own(document)
        wanted = document.get("device_ids")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 100:
            raise _No(1101, "device_ids is out of range")
        devices = [self._find(each) for each in wanted]
        if self.refuses.intersection(wanted):
            raise _No(2007, "the device is in another state")
        self.orders += [each.device_id for each in devices]
        return await self._carry_out(request, [each for each in devices if each.main.status == READY], 0)

    async def _sync(self, request: web.Request, body: bytes) -> Any:
        given = self._given(request, body)
        self._own(given)
        if not given.get("room_id"):
            raise _No(1102, "room_id is null")
        self.synced.append(given["room_id"])
        return None  # the answer has no result

    # --- thing ------------------------------------------------------------------------------------------------------------------------

    async def _firmware(self, request: web.Request, _: bytes) -> Any:
        channels = self._find(request.match_info["device"]).channels()
        if self.shape == "one":
            return channels[0] | {"channel": channels[0]["type"], "type": None}
        return channels if self.shape == "list" else {"success": True, "error_code": None, "error_msg": None, "result": channels}

    async def _confirm(self, request: web.Request, _: bytes) -> Any:
        device, channel = self._find(request.match_info["device"]), int(request.match_info["channel"])
        if channel not in device.firmwares:
            raise _No(1109, "the channel is illegal")
        if not device.online and not device.sleepy:
            raise _No(2001, "device is offline")
        self.orders.append(device.device_id)
        return await self._carry_out(request, [device] if device.firmwares[channel].status in (READY, FAILED) else [], channel)

    async def _progress(self, request: web.Request, _: bytes) -> Any:
        firmware = self._find(request.match_info["device"]).firmwares[int(request.match_info["channel"])]
        firmware.step()
        return {"upgrade_status": firmware.status if firmware.status != NONE else DONE, "progress": firmware.progress}

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    async def _carry_out(self, request: web.Request, devices: list[TuyaDevice], channel: int) -> Any:
        if self.order not in ("ignored", "lost"):
            for each in devices[:: 2 if self.order == "some" else 1]:
                each.firmwares[channel].begin()
        self.ordered.set()
        if self.order == "held":
            await self._over.wait()
        if self.order in ("dropped", "lost"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return self.order == "ok" and bool(devices)


def _number(given: Mapping[str, Any], key: str) -> int:
    if key not in given:
        raise _No(1102, f"{key} is null")
    try:
        return int(given[key])
    except ValueError:
        raise _No(1104, f"{key} is of the wrong type") from None


def _fits(device: TuyaDevice, given: Mapping[str, Any]) -> bool:
    states = given.get("upgrade_status", "")
    return (
        given.get("room_id") in (None, device.room_id)
        and given.get("device_name", "") in device.name
        and given.get("online", str(device.online).lower()) == str(device.online).lower()
        and (not states or str(device.main.status) in states.split(","))
    )


def _texts(value: Any) -> Any:
    """Every number and truth as text: how the document's samples show them."""
    if isinstance(value, dict):
        return {key: _texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return json.dumps(value) if isinstance(value, (bool, int)) else value
