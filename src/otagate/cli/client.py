"""The HTTP client of the command line: JSON in and out, Server-Sent Events, and every failure as a `Stop` with one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp

from otagate.cli.stops import Exit, ProblemStop, Stop
from otagate.cli.words import plain

Json = dict[str, Any]

CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT = 150.0
UPLOAD_TIMEOUT = 600.0
SILENCE = 60.0
"""Seconds without even a heartbeat after which an event stream counts as lost."""

PAGE = 500
"""Items that one page holds at most."""

MAX_ANSWER = 64 * 1024 * 1024
MAX_LINE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One Server-Sent Event; `id` is None for live progress."""

    id: str | None
    event: str
    data: Json


class Client:
    """One connection to one daemon. `url` is `http://host:port`, `https://…` or `unix:/path`."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self._socket = url.removeprefix("unix:").removeprefix("//") if url.startswith("unix:") else None
        self._base = "http://localhost" if self._socket is not None else url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        parts = urlsplit(self._base)
        if parts.scheme not in {"http", "https"} or not parts.hostname or self._socket == "":
            raise Stop(f"{url!r} is not the address of a daemon: give http://host:port or unix:/path", Exit.USAGE)

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._socket) if self._socket is not None else aiohttp.TCPConnector()
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=timeout, read_bufsize=MAX_LINE)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def get(self, *path: str, query: Mapping[str, str | int | None] | None = None) -> Json:
        """Read one object."""
        return await self._call("GET", path, params={name: value for name, value in (query or {}).items() if value is not None})

    async def post(self, *path: str, body: Json | None = None, key: str | None = None) -> Json:
        """Order something, under an idempotency key where one is given; the answer."""
        headers = {} if key is None else {"headers": {"Idempotency-Key": key}}
        return await self._call("POST", path, **headers, **({} if body is None else {"json": body}))

    async def patch(self, *path: str, body: Json) -> Json:
        """Change part of one object; the object."""
        return await self._call("PATCH", path, json=body)

    async def delete(self, *path: str) -> None:
        """Delete one object."""
        await self._call("DELETE", path)

    async def upload(self, file: Path) -> Json:
        """Send a file as the multipart field `file`."""
        try:
            stream = file.open("rb")
        except OSError as error:
            raise Stop(f"cannot read {file}: {error.strerror}", Exit.USAGE) from None
        with stream:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field("file", stream, filename=plain(file.name), content_type="application/octet-stream")
            return await self._call("POST", ("images",), data=form, timeout=aiohttp.ClientTimeout(total=UPLOAD_TIMEOUT, connect=CONNECT_TIMEOUT))

    async def items(self, *path: str, query: Mapping[str, str | int | None] | None = None, most: int | None = None, page: int = PAGE) -> list[Json]:
        """A whole list, `page` items a call; at most `most` items. A list that takes no `query` is told whole."""
        if query is None:
            items: list[Json] = (await self.get(*path))["items"]
            return items
        found: list[Json] = []
        async for each in self.each(*path, query=query, limit=min(most or page, page)):
            found.append(each)
            if len(found) == most:
                break
        return found

    async def each(self, *path: str, query: Mapping[str, str | int | None], limit: int = PAGE) -> AsyncIterator[Json]:
        """The items of a list, page by page as they are wanted."""
        cursor: str | None = None
        while True:
            page = await self.get(*path, query={**query, "limit": limit, "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def stream(self, *path: str, query: Mapping[str, str | None]) -> AsyncIterator[bytes]:
        """A long answer, as it comes. Raises Stop where it is not whole."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=SILENCE)
        wanted = {name: value for name, value in query.items() if value is not None}
        with self._told():
            async with self._session.get(self._address(path), params=wanted, timeout=timeout, allow_redirects=False) as response:
                if response.status != 200:
                    raise await self._problem(response)
                async for chunk in response.content.iter_any():
                    yield chunk

    async def health(self) -> Json:
        """Whether the daemon is ready, and what of it is not."""
        with self._told():
            async with self._session.get(f"{self._base}/readyz", allow_redirects=False) as response:
                return self._object(await self._text(response))

    async def metrics(self) -> str:
        """Counters and gauges, as Prometheus text."""
        with self._told():
            async with self._session.get(f"{self._base}/metrics", allow_redirects=False) as response:
                if response.status != 200:
                    raise await self._problem(response)
                return await self._text(response)

    @asynccontextmanager
    async def events(self, *, after: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """The event stream, open once the block begins; it ends when the daemon closes it."""
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": after})
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=SILENCE)
        with self._told():
            response = await self._session.get(self._address(("events",)), headers=headers, timeout=timeout, allow_redirects=False)
        async with response:
            if response.status != 200:
                raise await self._problem(response)
            yield self._read_events(response)

    async def _read_events(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        fields: dict[str, str] = {}
        while True:
            with self._told():
                line = await response.content.readline()
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if text:
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "data" in fields:
                yield Event(id=fields.get("id"), event=fields.get("event", "message"), data=self._object(fields["data"]))
            fields.clear()

    def _address(self, path: tuple[str, ...]) -> str:
        return "/".join((self._base, "api", "v1", *(quote(part, safe="") for part in path)))

    async def _call(self, method: str, path: tuple[str, ...], **options: Any) -> Json:
        with self._told():
            async with self._session.request(method, self._address(path), allow_redirects=False, **options) as response:
                if response.status >= 300:
                    raise await self._problem(response)
                return {} if response.status == 204 else self._object(await self._text(response))

    async def _text(self, response: aiohttp.ClientResponse) -> str:
        data = await response.content.read(MAX_ANSWER)
        while chunk := await response.content.read(MAX_ANSWER):
            data += chunk
            if len(data) > MAX_ANSWER:
                raise self._stranger()
        return data.decode("utf-8", "replace")

    def _object(self, text: str) -> Json:
        try:
            found = json.loads(text)
        except ValueError:
            raise self._stranger() from None
        if not isinstance(found, dict):
            raise self._stranger()
        return found

    async def _problem(self, response: aiohttp.ClientResponse) -> Stop:
        if response.content_type != "application/problem+json":
            return self._stranger()
        return ProblemStop(self._object(await self._text(response)), with_token=bool(self._headers))

    def _stranger(self) -> Stop:
        return Stop(f"what answers at {self.url} is not otagate", Exit.UNREACHABLE)

    def _told(self) -> _Told:
        return _Told(self.url)


class _Told:
    """Turns what aiohttp raises into one sentence."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, aiohttp.InvalidURL | UnicodeError):
            raise Stop(f"{self._url!r} is not the address of a daemon: give http://host:port or unix:/path", Exit.USAGE) from None
        if isinstance(error, TimeoutError):
            raise Stop(f"the daemon at {self._url} does not answer", Exit.UNREACHABLE) from None
        if isinstance(error, aiohttp.ClientSSLError):
            why = getattr(error.os_error, "reason", None) or error.os_error
            raise Stop(f"no TLS with what answers at {self._url} ({why}): the daemon itself is at http://", Exit.UNREACHABLE) from None
        if isinstance(error, aiohttp.ClientConnectorError):
            number = error.os_error.errno
            why = os.strerror(number) if number is not None and number > 0 else str(error.os_error)
            raise Stop(f"cannot reach the daemon at {self._url}: {why}; is it running?", Exit.UNREACHABLE) from None
        if isinstance(error, aiohttp.ClientError | OSError):
            raise Stop(f"the connection to the daemon at {self._url} broke: {error}", Exit.UNREACHABLE) from None
