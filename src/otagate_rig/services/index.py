"""Indexes of images, each in the format of who keeps it, with the files beside them, as code hosts serve them: JSON called text, an ETag."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from otagate_rig.services.server import FakeService

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file that an index lists; its OTA header says what it is (ZCL 11.4.2)."""

    name: str
    url: str
    data: bytes

    @property
    def identity(self) -> tuple[int, int, int]:
        """Manufacturer code, image type and file version."""
        return (
            int.from_bytes(self.data[10:12], "little"),
            int.from_bytes(self.data[12:14], "little"),
            int.from_bytes(self.data[14:18], "little"),
        )


def _zigbee2mqtt(file: Listed) -> Entry:
    code, image_type, version = file.identity
    return {
        "fileName": file.name,
        "fileVersion": version,
        "fileSize": len(file.data),
        "url": file.url,
        "imageType": image_type,
        "manufacturerCode": code,
        "sha512": hashlib.sha512(file.data).hexdigest(),
        "otaHeaderString": "",
    }


def _zigpy(file: Listed) -> Entry:
    code, image_type, version = file.identity
    return {
        "binary_url": file.url,
        "path": file.name,
        "file_version": version,
        "file_size": len(file.data),
        "image_type": image_type,
        "manufacturer_id": code,
        "manufacturer_names": [],
        "model_names": [],
        "checksum": f"sha3-256:{hashlib.sha3_256(file.data).hexdigest()}",
    }


def _ikea(file: Listed) -> Entry:
    """The newer kind of entry, whose version stands in the name of the file alone."""
    _, image_type, version = file.identity
    stem, _, ending = file.name.rpartition(".")
    return {
        "fw_image_type": image_type,
        "fw_type": 2,
        "fw_sha3_256": hashlib.sha3_256(file.data).hexdigest(),
        "fw_binary_url": file.url.replace(file.name, f"{stem}_v{version}_release.{ending}"),
    }


def _sonoff(file: Listed) -> Entry:
    code, image_type, version = file.identity
    return {
        "fw_binary_url": file.url,
        "fw_file_version": version,
        "fw_filesize": len(file.data),
        "fw_image_type": image_type,
        "fw_manufacturer_id": code,
        "model_id": "TRVZB",
    }


DIALECTS: Mapping[str, Callable[[Listed], Entry]] = {
    "z2m-index": _zigbee2mqtt,
    "zigpy-index": _zigpy,
    "zigpy-ota": _zigpy,
    "ikea": _ikea,
    "sonoff": _sonoff,
}


@dataclass(slots=True, kw_only=True)
class IndexService(FakeService):
    """Files by name, listed in a dialect; `more` is added to the entry of a file, and `junk` are entries that are none."""

    dialect: str = "z2m-index"
    files: dict[str, bytes] = field(default_factory=dict)
    more: dict[str, Entry] = field(default_factory=dict)
    junk: list[Any] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        """The index, what points to it, and its files."""
        return [web.get("/index.json", self._index), web.get("/stable.json", self._pointer), web.get("/images/{name}", self._file)]

    async def _index(self, request: web.Request) -> web.Response:
        write = DIALECTS[self.dialect]
        entries = [write(self._listed(name, data)) | self.more.get(name, {}) for name, data in self.files.items()]
        listed = [*self.junk, *entries]
        return self._tagged(request, {"firmwares": listed} if write is _zigpy else listed)

    async def _pointer(self, request: web.Request) -> web.Response:
        return self._tagged(request, {"schemas": {"zigpy_v2": {"version": "2026-01-01", "url": f"{self.url}/index.json"}}})

    def _tagged(self, request: web.Request, document: Any) -> web.Response:
        body = json.dumps(document).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, content_type="text/plain", headers={"ETag": tag})

    def _listed(self, name: str, data: bytes) -> Listed:
        return Listed(name=name, url=f"{self.url}/images/{name}", data=data)

    async def _file(self, request: web.Request) -> web.Response:
        asked = request.match_info["name"]
        names = {_ikea(self._listed(name, data))["fw_binary_url"].rpartition("/")[2]: name for name, data in self.files.items()}
        data = self.files.get(names.get(asked, asked))
        return web.Response(status=404) if data is None else web.Response(body=data)
