"""LEDVANCE's service: numbers as text in, numbers out, an ETag on everything, 204 where there is nothing newer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from otagate_rig.services.server import FakeService

_PARTS = ("major", "minor", "build", "revision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """One file of the service; its OTA header says the rest."""

    data: bytes
    name: str = "firmware.ota"

    @property
    def identity(self) -> tuple[int, int, int]:
        """Company, product and file version, as in the header's bytes 10 to 17 (ZCL 11.4.2)."""
        return (
            int.from_bytes(self.data[10:12], "little"),
            int.from_bytes(self.data[12:14], "little"),
            int.from_bytes(self.data[14:18], "little"),
        )

    def document(self) -> dict[str, Any]:
        """As the service lists it."""
        company, product, version = self.identity
        return {
            "blob": None,
            "identity": {"company": company, "product": product, "version": dict(zip(_PARTS, version.to_bytes(4, "big"), strict=True))},
            "releaseNotes": "- better\r\n",
            "shA256": hashlib.sha256(self.data).hexdigest(),
            "name": self.name,
            "productName": f"Product {product}",
            "fullName": f"Product {product}/{version:08x}/{self.name}",
            "extension": ".ota",
            "released": "2025-01-01T00:00:00",
            "salesRegion": "eu",
            "length": len(self.data),
        }


@dataclass(slots=True, kw_only=True)
class LedvanceService(FakeService):
    """The service with these files; `wrong_bytes` serves others than it lists; `withdrawn`: it lists files that it does not serve by version."""

    firmwares: list[Firmware] = field(default_factory=list)
    wrong_bytes: bool = False
    withdrawn: bool = False

    def routes(self) -> list[web.RouteDef]:
        """Every operation."""
        return [
            web.post("/v1/zigbee/difference", self._difference),
            web.get("/v1/zigbee/firmwares", self._index),
            web.get("/v1/zigbee/firmwares/newer", self._newer),
            web.get("/v1/zigbee/firmwares/download", self._download),
            web.get("/v1/zigbee/firmwares/download/{company}/{product}/latest", self._latest),
            web.get("/v1/zigbee/products", self._products),
            web.get("/v1/zigbee/products/details", self._details),
        ]

    async def _difference(self, request: web.Request) -> web.Response:
        try:
            asked = [(_number(each["company"]), _number(each["product"]), _version(each["version"])) for each in await request.json()]
        except (ValueError, KeyError, TypeError):
            return web.json_response({"statusCode": 400, "message": "Invalid request"}, status=400)
        if not asked or len(set(asked)) != len(asked):
            return web.json_response({"statusCode": 400, "message": "Invalid request"}, status=400)
        newest = [max(newer, key=lambda each: each.identity) for each in asked if (newer := self._newer_than(*each))]
        return self._tagged(request, [each.document() for each in newest]) if newest else web.Response(status=204)

    async def _index(self, request: web.Request) -> web.Response:
        return self._tagged(request, {"firmwares": [each.document() for each in self.firmwares]})

    async def _newer(self, request: web.Request) -> web.Response:
        numbers = [int(part) for part in request.query["version"].split(".")]
        version = int.from_bytes(bytes([*numbers, 0, 0][:4]), "big")
        found = self._newer_than(int(request.query["company"]), int(request.query["product"]), version)
        return self._tagged(request, {"firmwares": [each.document() for each in sorted(found, key=lambda each: each.identity, reverse=True)]})

    async def _download(self, request: web.Request) -> web.Response:
        numbers = request.query["version"].split(".")
        if len(numbers) != 4:  # with three the service has none
            return web.Response(status=204)
        version = int.from_bytes(bytes(int(part) for part in numbers), "big")
        wanted = (int(request.query["company"]), int(request.query["product"]), version)
        found = next((each for each in self.firmwares if each.identity == wanted), None)
        return self._file(None if self.withdrawn else found)

    async def _latest(self, request: web.Request) -> web.Response:
        kind = (int(request.match_info["company"]), int(request.match_info["product"]))
        return self._file(max(self._newer_than(*kind, -1), key=lambda each: each.identity, default=None))

    def _file(self, found: Firmware | None) -> web.Response:
        if found is None:
            return web.Response(status=204)
        data = found.data[:-1] + bytes([found.data[-1] ^ 1]) if self.wrong_bytes else found.data
        return web.Response(body=data, headers={"Content-Disposition": f'attachment; filename="{found.name}"'})

    async def _products(self, request: web.Request) -> web.Response:
        pairs = {each.identity[:2] for each in self.firmwares}
        return self._tagged(request, {"products": [{"id": {"company": company, "product": product}} for company, product in sorted(pairs)]})

    async def _details(self, request: web.Request) -> web.Response:
        """A product of which there is no firmware has neither `firmwares` nor `latest`."""
        products: list[dict[str, Any]] = [{"displayName": "Without firmware"}]
        for kind in sorted({each.identity[:2] for each in self.firmwares}):
            found = sorted((each for each in self.firmwares if each.identity[:2] == kind), key=lambda each: each.identity, reverse=True)
            documents = [each.document() for each in found]
            products.append({"displayName": f"Product {kind[1]}", "firmwares": documents, "latest": documents[0]})
        return self._tagged(request, {"products": products})

    def _newer_than(self, company: int, product: int, version: int) -> list[Firmware]:
        return [each for each in self.firmwares if each.identity[:2] == (company, product) and each.identity[2] > version]

    def _tagged(self, request: web.Request, document: Any) -> web.Response:
        body = json.dumps(document).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": tag})


def _number(value: Any) -> int:
    if not isinstance(value, str) or not value.isdecimal():
        raise TypeError("numbers are texts here")
    return int(value)


def _version(value: Any) -> int:
    if set(value) != set(_PARTS):
        raise ValueError("a version has four numbers")
    return int.from_bytes(bytes(_number(value[part]) for part in _PARTS), "big")
