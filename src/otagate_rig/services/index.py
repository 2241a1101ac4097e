"""An index of images in zigbee2mqtt's format, with its files beside it, as a code host serves them: JSON called text, with an ETag."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from otagate_rig.services.server import FakeService


@dataclass(slots=True, kw_only=True)
class IndexService(FakeService):
    """Files by name; `more` is added to the entry of a file."""

    files: dict[str, bytes] = field(default_factory=dict)
    more: dict[str, dict[str, Any]] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """The index and its files."""
        return [web.get("/index.json", self._index), web.get("/images/{name}", self._file)]

    async def _index(self, request: web.Request) -> web.Response:
        body = json.dumps([self._entry(name, data) for name, data in self.files.items()]).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, content_type="text/plain", headers={"ETag": tag})

    def _entry(self, name: str, data: bytes) -> dict[str, Any]:
        return {
            "fileName": name,
            "fileVersion": int.from_bytes(data[14:18], "little"),
            "fileSize": len(data),
            "url": f"{self.url}/images/{name}",
            "imageType": int.from_bytes(data[12:14], "little"),
            "manufacturerCode": int.from_bytes(data[10:12], "little"),
            "sha512": hashlib.sha512(data).hexdigest(),
            "otaHeaderString": "",
        } | self.more.get(name, {})

    async def _file(self, request: web.Request) -> web.Response:
        data = self.files.get(request.match_info["name"])
        return web.Response(status=404) if data is None else web.Response(body=data)
