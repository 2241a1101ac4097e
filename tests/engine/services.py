"""`ports.HttpClient` without a network: answers by a table of paths, for tests of what the engine does with answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from otagate.model.errors import SourceError, SourceUnavailable
from otagate.model.ids import Sha256
from otagate.net.quotas import Account
from otagate.ports import ImageCache
from otagate.sources.effects import Expect, Left, Request, Response, Service, Stored, Upload
from tests.virtual_time import VirtualClock


@dataclass(slots=True)
class Services:
    """Documents and files by URL; what is an error is raised, and `hangs` never answers. `asked` is every request, in order."""

    documents: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes | SourceError] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    cache: ImageCache | None = None
    hangs: frozenset[str] = frozenset()
    accounts: dict[str, Account] = field(default_factory=dict)

    async def send(self, service: Service, request: Request) -> Response:
        self.asked.append(request)
        if request.url in self.hangs:
            await asyncio.Event().wait()
        document = self.documents.get(request.url, SourceUnavailable(f"{service.name}: {request.label}: nothing is there"))
        if isinstance(document, SourceError):
            raise document
        headers = {"content-type": "application/json"}
        return Response(status=200, headers=headers, body=json.dumps(document).encode(), at=datetime(2026, 1, 1, tzinfo=UTC), label=request.label)

    async def download(self, service: Service, request: Request, expect: Expect) -> Stored:
        self.asked.append(request)
        data = self.files.get(request.url, SourceUnavailable(f"{service.name}: {request.label}: nothing is there"))
        if isinstance(data, SourceError):
            raise data
        if self.cache is None:
            raise TypeError("these services have no cache to bring files to")
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        await self.cache.add(data)
        return Stored(sha256=sha256, size=len(data), file_name=request.url.rpartition("/")[2])

    async def upload(self, service: Service, effect: Upload) -> Response:
        raise TypeError(f"{service.name} takes no {effect.file_name}")

    async def check(self, service: Service) -> datetime | None:
        account = self.accounts.setdefault(service.name, Account(service))
        return account.check(VirtualClock().now()) if service.between_checks else None

    def left(self, service: Service) -> list[Left]:
        return [Left(limit=each, amount=max(0, each.amount - len(self.asked))) for each in service.limits]
