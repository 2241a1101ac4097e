"""An index that is a file on this machine, with its images beside it: for the source it is one more place to ask.

Stands where the HTTP client stands: `file:` URLs are answered from one folder, bounded, and never from outside it; everything else goes on to the
client, because an index here may name files out there.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from otagate.model.errors import SourceRefused, SourceUnavailable
from otagate.ports import Clock, HttpClient, ImageCache
from otagate.sources.effects import Expect, Left, Request, Response, Service, Stored, Upload


class LocalFiles:
    """Implements `ports.HttpClient` for one folder."""

    def __init__(self, *, folder: Path, http: HttpClient, cache: ImageCache, clock: Clock) -> None:
        self._folder = folder
        self._http = http
        self._cache = cache
        self._clock = clock

    async def send(self, service: Service, request: Request) -> Response:
        """The document of a file. Raises SourceError."""
        if not request.url.startswith("file:"):
            return await self._http.send(service, request)
        body = await asyncio.to_thread(self._read, request.url, request.limit)
        return Response(status=200, headers={"content-type": "application/json"}, body=body, at=self._clock.now(), label=request.label)

    async def download(self, service: Service, request: Request, expect: Expect) -> Stored:
        """A file beside the index, checked as one from elsewhere is. Raises SourceError, StoreUnavailable."""
        if not request.url.startswith("file:"):
            return await self._http.download(service, request, expect)
        data = await asyncio.to_thread(self._read, request.url, expect.limit)
        expect.check(data, f"{service.name}: {request.label}")
        return Stored(sha256=await self._cache.add(data), size=len(data), file_name=Path(unquote(urlsplit(request.url).path)).name)

    async def upload(self, service: Service, effect: Upload) -> Response:
        """Never to a file. Raises SourceError."""
        return await self._http.upload(service, effect)

    async def check(self, service: Service) -> datetime | None:
        """Of what lies elsewhere."""
        return await self._http.check(service)

    def left(self, service: Service) -> Sequence[Left]:
        """Of what lies elsewhere."""
        return self._http.left(service)

    def _read(self, url: str, limit: int) -> bytes:
        path = Path(unquote(urlsplit(url).path))
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._folder.resolve()):
                raise SourceRefused(f"{path.name!r:.100} is not in the folder of its index")
            descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise SourceRefused(f"{path.name!r:.100} is no plain file")
                data = file.read(limit + 1)
        except OSError as error:
            raise SourceUnavailable(f"{path.name!r:.100} cannot be read: {error.strerror}") from error
        except (RuntimeError, ValueError) as error:  # a loop of links in Python 3.11 and 3.12; a zero byte in the name
            raise SourceRefused(f"{path.name!r:.100} is no name of a file") from error
        if len(data) > limit:
            raise SourceRefused(f"{path.name!r:.100} has more than {limit} bytes")
        return data
