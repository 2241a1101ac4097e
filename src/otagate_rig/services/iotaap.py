"""IoTaaP at its two addresses: an account with tokens that end, a list in pages, a device's token in the path of its file, publication by form."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from otagate_rig.services.server import FakeService

_ID = re.compile(r"[0-9a-f]{24}")
_SEMANTIC = re.compile(r"\d+\.\d+\.\d+([-+].+)?")
_OWNER = "5dd1ce2d3a3f0c1f9c2b7a11"


@dataclass(slots=True, kw_only=True)
class Firmware:
    """What is deployed to one device. `updated` counts its publications."""

    version: str
    data: bytes
    updated: int = 1


@dataclass(slots=True, kw_only=True)
class IotaapService(FakeService):
    """The service with these devices, each with its token, and what is deployed to them.

    `uses`: so many calls a token lives. `loses`: what of a publication is lost on its way.
    """

    devices: dict[str, str] = field(default_factory=dict)
    firmware: dict[str, Firmware] = field(default_factory=dict)
    email: str = "operator@example.org"
    password: str = "not-a-secret"  # noqa: S105 - of a service that is none
    uses: int = 1000
    wrong_bytes: bool = False
    loses: Literal["the answer", "the order"] | None = None
    published: list[tuple[str, str, bytes]] = field(default_factory=list)
    _tokens: dict[str, int] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """The five operations; everything else is a page that says that there is none."""
        return [
            web.post("/v1/auth/login", self._login),
            web.get("/v1/ota/device", self._list),
            web.post("/v1/ota/device", self._create),
            web.get("/v1/ota/device/latest/{device}", self._latest),
            web.get("/v1/ota/device/download/{device_and_token}", self._download),
            web.route("*", "/{path:.*}", self._nothing),
        ]

    def deploy(self, device: str, version: str, data: bytes) -> None:
        """Publish as the device's owner would, through the service's own page."""
        before = self.firmware.get(device)
        self.firmware[device] = Firmware(version=version, data=data, updated=1 if before is None else before.updated + 1)

    def revoke(self) -> None:
        """No token that was given is worth anything from now on."""
        self._tokens.clear()

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=404, text=f"<!DOCTYPE html><pre>Cannot {request.method}</pre>", content_type="text/html")

    async def _login(self, request: web.Request) -> web.Response:
        try:
            document = await request.json()
            known = (document["email"], document["password"]) == (self.email, self.password)
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            return web.json_response({"error": "Login or password is wrong"}, status=401)
        token = secrets.token_urlsafe(48)
        self._tokens[token] = self.uses
        return web.json_response({"user": {"id": _OWNER, "role": "user"}, "token": token})

    def _knows(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        left = self._tokens.get(token, 0)
        if left:
            self._tokens[token] = left - 1
        return bool(left)

    async def _list(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return web.Response(status=401, text="Unauthorized")
        offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "10"))
        rows = sorted(self.firmware, reverse=request.query.get("order_dir") == "desc")
        rows = [each for each in rows if request.query.get("search_value", "") in self._path(each)]
        page = [self._row(each) for each in rows[offset : offset + limit]]
        return web.json_response(
            {"otas": page, "recordsTotal": len(self.firmware), "recordsFiltered": len(rows), "draw": request.query.get("draw", "")}
        )

    def _path(self, device: str) -> str:
        return f"ota/device/{device}{self.devices[device]}/firmware.bin"

    def _row(self, device: str) -> dict[str, Any]:
        held = self.firmware[device]
        moment = f"2026-01-01T00:{held.updated // 60:02d}:{held.updated % 60:02d}.000Z"
        return {
            "_id": device[::-1],
            "device": device,
            "owner": _OWNER,
            "__v": 0,
            "last_updated": moment,
            "path": self._path(device),
            "version": held.version,
        }

    async def _create(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return web.Response(status=401, text="Unauthorized")
        form = await request.post()
        for name in ("device", "token", "version"):
            if not form.get(name):
                return web.json_response({"message": f"{name} is a mandatory field"}, status=400)
        device, token, version = (str(form[name]) for name in ("device", "token", "version"))
        file = form.get("firmware")
        if not isinstance(file, web.FileField):
            return web.json_response({"message": "No file uploaded"}, status=400)
        if _ID.fullmatch(device) is None:
            return web.json_response({"message": "Device ID is not valid"}, status=400)
        if self.devices.get(device) != token:
            return web.json_response({"message": "No such device"}, status=404)
        if _SEMANTIC.fullmatch(version) is None:
            return web.json_response({"message": "version must be a semantic version"}, status=400)
        if self.loses == "the order":
            return await self._hang_up(request)
        data = file.file.read()
        self.published.append((device, version, data))
        self.deploy(device, version, data)
        if self.loses == "the answer":
            return await self._hang_up(request)
        return web.json_response({"message": "Firmware successfully deployed"}, status=201)

    async def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)

    async def _latest(self, request: web.Request) -> web.Response:
        held = self.firmware.get(request.match_info["device"])
        if held is None:
            return web.json_response({"message": "No such device", "error": {}}, status=404)
        return web.json_response({"ver": held.version})

    async def _download(self, request: web.Request) -> web.Response:
        named = request.match_info["device_and_token"]
        device, token = named[:24], named[24:]  # an id is always 24 digits long, and nothing stands between the two
        held = self.firmware.get(device)
        if held is None or self.devices.get(device) != token:
            return web.json_response({"message": "No such device", "error": {}}, status=404)
        data = held.data[:-1] + bytes([held.data[-1] ^ 1]) if self.wrong_bytes else held.data
        return web.Response(body=data, content_type="application/octet-stream")
