"""The one HTTP client: every limit, pause, retry and address rule of every source is here, and no text made here shows a URL.

What a source may rely on: a Response is whole and within its limit; a Stored file is exactly what was expected; everything else is a SourceError.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from aiohttp.client_reqrep import ClientResponse
from yarl import URL

from otagate import __version__
from otagate.model.errors import FileGone, SourceBusy, SourceError, SourceRefused, SourceUnavailable, SourceUnintelligible, TooLarge
from otagate.net.addresses import GuardedResolver, host_of, url_of
from otagate.net.answers import Answer, Answers
from otagate.net.bodies import ACCEPTED, decoder
from otagate.net.fetching import Fetch, file_name_of
from otagate.net.quotas import Account
from otagate.net.replies import retry_after
from otagate.net.trust import Anchors, Trust
from otagate.ports import Clock, ImageCache, Quotas
from otagate.sources.effects import Expect, Left, Request, Response, Service, Stored, Upload

T = TypeVar("T")
_NO_BODY = frozenset({204, 304})
_RETRY_WAITS = (1.0, 4.0, 16.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({204, 404, 410})
_MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How patient the client is, in seconds; `slowest` is in bytes a second, measured from `stall` seconds on."""

    connect: float = 10.0
    whole: float = 30.0
    stall: float = 30.0
    slowest: float = 1024.0
    in_line: float = 120.0
    retries: tuple[float, ...] = _RETRY_WAITS


class _Passing(SourceUnavailable):
    """The network or the server failed in a way that another try may mend."""


class HttpClient:
    """Implements `ports.HttpClient`; an async context manager that owns its connections."""

    def __init__(
        self,
        *,
        cache: ImageCache,
        quotas: Quotas,
        clock: Clock,
        answers: Path,
        allow_private: Collection[str] = (),
        terms: Terms | None = None,
        anchors: Anchors = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - spreads calls, guards nothing
    ) -> None:
        self._cache = cache
        self._quotas = quotas
        self._clock = clock
        self._answers = Answers(answers)
        self._terms = terms or Terms()
        self._sleep = sleep
        self._jitter = jitter
        self._trust = Trust(anchors)
        self._resolver = GuardedResolver(allow_private)
        self._accounts: dict[str, Account] = {}
        self._doors: dict[str, asyncio.Lock] = {}
        self._downloads = asyncio.Semaphore(8)  # each holds in memory what has come of its file; more than one that hang delay no other
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        # A connection is used once: calls are rare, and aiohttp repeats a GET by itself on a kept one that the server dropped.
        connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, force_close=True, limit=16)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": f"otagate/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._terms.connect),
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    # --- what sources may do --------------------------------------------------------------------------------------------------------------

    async def send(self, service: Service, request: Request) -> Response:
        """Ask once, or more often where that is safe. Raises SourceError."""
        kept = await asyncio.to_thread(self._answers.find, service.name, request) if request.conditional else None
        response = await self._with_retries(service, request, lambda: self._ask(service, request, kept))
        if response.status == 304:
            if kept is not None:
                return Response(status=200, headers=kept.headers, body=kept.body, at=self._clock.now(), label=request.label, kept=True)
            raise SourceUnintelligible(f"{service.name}: {request.label}: the service says that nothing has changed, and nothing was asked before")
        if request.conditional and response.status == 200 and response.headers.get("etag"):
            await asyncio.to_thread(self._answers.keep, service.name, request, headers=response.headers, body=response.body, at=response.at)
        return response

    async def download(self, service: Service, request: Request, expect: Expect) -> Stored:
        """Fetch a file into the image cache, going on where a dropped connection left off. Raises SourceError, StoreUnavailable."""
        if expect.size is not None and expect.size > expect.limit:
            raise SourceRefused(f"{service.name}: {request.label}: {expect.size} bytes are promised, and at most {expect.limit} are taken")
        async with self._downloads:
            fetch = Fetch(expect=expect, label=f"{service.name}: {request.label}")
            await self._with_retries(service, request, lambda: self._fetch(service, request, fetch))
            data = await asyncio.to_thread(fetch.whole)
            return Stored(sha256=await self._cache.add(data), size=len(data), file_name=fetch.file_name)

    async def upload(self, service: Service, effect: Upload) -> Response:
        """Send a stored image as a form's file, once and never again by itself. Raises SourceError, UnknownImage."""
        data = await asyncio.to_thread(lambda: bytes(self._cache.open(effect.image)))
        form = aiohttp.FormData()
        for name, value in effect.fields:
            form.add_field(name, value)
        form.add_field(effect.field, data, filename=effect.file_name, content_type="application/octet-stream")
        return await self._with_retries(service, effect.request, lambda: self._ask(service, effect.request, None, form=form), most=0)

    async def check(self, service: Service) -> datetime | None:
        """See `ports.HttpClient.check`; counted on disk before anything is asked. Raises StoreUnavailable."""
        if not service.between_checks:
            return None
        async with self._doors.setdefault(service.name, asyncio.Lock()):
            account = await self._account(service)
            until = account.check(self._clock.now())
            await self._save(account)
            return until

    def left(self, service: Service) -> list[Left]:
        """What is left of the service's limits, as far as this life of the hub has asked it anything."""
        account = self._accounts.get(service.name)
        return Account(service).left(self._clock.now()) if account is None else account.left(self._clock.now())

    # --- turns ----------------------------------------------------------------------------------------------------------------------------

    async def _with_retries(self, service: Service, request: Request, act: Callable[[], Awaitable[T]], *, most: int | None = None) -> T:
        """Act when the service's limits allow it; again after a passing failure where a second time does no harm."""
        waits = self._terms.retries[: None if request.idempotent else 0][:most]
        for wait in (*waits, None):
            try:
                await self._take_turn(service, request)
                return await act()
            except _Passing as error:
                if wait is None:
                    raise SourceUnavailable(f"{service.name}: {request.label}: {error}") from error
                await self._sleep(wait * (1 + self._jitter() / 5))
            except SourceError as error:
                if str(error).startswith(f"{service.name}: "):
                    raise
                raise type(error)(f"{service.name}: {request.label}: {error}", until=error.until) from error
        raise RuntimeError("the last turn returns or raises")

    async def _take_turn(self, service: Service, request: Request) -> None:
        """Wait in line for a short limit or pause, refuse for a long one; the call is counted on disk before it is made."""
        host = host_of(url_of(request.url))
        while True:
            async with self._doors.setdefault(service.name, asyncio.Lock()):
                account = await self._account(service)
                while not (pause := account.pause_of(host, self._clock.now())):
                    wait = account.wait_for(request.bucket, self._clock.now())
                    if not wait:
                        account.spend_call(request.bucket, self._clock.now())
                        await self._save(account)
                        return
                    await self._stay_away(wait)
            await self._stay_away(pause)  # outside, so that the service's other hosts go on

    async def _stay_away(self, wait: timedelta) -> None:
        """Let so much time pass. Raises SourceBusy where that is too much to wait for."""
        if wait.total_seconds() > self._terms.in_line:
            until = self._clock.now() + wait
            raise SourceBusy(f"not to be asked again before {until:%Y-%m-%d %H:%M:%S} UTC", until=until)
        await self._sleep(wait.total_seconds())

    async def _account(self, service: Service) -> Account:
        account = self._accounts.get(service.name)
        if account is None:
            account = Account(service)
            text = await self._quotas.read(service.name)
            if text is not None:
                try:
                    account.load(text)
                except (ValueError, TypeError, KeyError, AttributeError):  # of a version that counted otherwise
                    account = Account(service)
            self._accounts[service.name] = account
        return account

    async def _save(self, account: Account) -> None:
        if account.dirty:
            account.dirty = False
            await self._quotas.write(account.service.name, account.dump())

    # --- one exchange ---------------------------------------------------------------------------------------------------------------------

    async def _ask(self, service: Service, request: Request, kept: Answer | None, *, form: aiohttp.FormData | None = None) -> Response:
        headers = {"accept-encoding": ACCEPTED, **request.headers}
        if kept is not None:
            headers["if-none-match"] = kept.etag
        async with self._open(request, headers, form=form) as reply:
            body = await self._read(service, request, reply, request.limit)
            await self._heed(service, reply)
            return Response(status=reply.status, headers=_plain(reply), body=body, at=self._clock.now(), label=request.label)

    @asynccontextmanager
    async def _open(
        self, request: Request, headers: Mapping[str, str], *, url: URL | None = None, form: aiohttp.FormData | None = None
    ) -> AsyncIterator[ClientResponse]:
        """Connect, ask, and give the reply with its headers. Raises _Passing, SourceError."""
        if self._session is None:
            raise SourceUnavailable("the client is closed")
        target = url if url is not None else url_of(request.url, request.query)
        self._resolver.check_literal(target)
        signed = {} if request.sign is None else dict(request.sign(self._clock.now(), secrets.token_hex(16)))
        data: Any = form if form is not None else request.body
        trusted = await self._trust.for_url(target)
        try:
            async with asyncio.timeout(self._terms.whole) as deadline:
                headers = {**headers, **signed}
                async with self._session.request(request.method, target, headers=headers, data=data, allow_redirects=False, ssl=trusted) as reply:
                    if url is not None:
                        deadline.reschedule(None)  # a file has bounds of its own
                    yield reply
        except TimeoutError as error:
            raise _Passing(f"no whole answer within {self._terms.whole:g} seconds") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _in_words(error) from error

    async def _read(self, service: Service, request: Request, reply: ClientResponse, limit: int) -> bytes:
        """The body, whole and decompressed; what arrived is counted even where it is of no use."""
        arrived = 0
        try:
            if reply.status in _NO_BODY or reply.status == 429:  # the latter may claim an encoding and be empty
                return b""
            body = decoder(reply.headers.get("content-encoding", ""), limit)
            pieces: list[bytes] = []
            async for chunk in reply.content.iter_chunked(64 << 10):
                arrived += len(chunk)
                pieces.append(body.feed(chunk))
            body.end()
            return b"".join(pieces)
        except TooLarge as error:
            raise SourceUnintelligible(f"{error}: more than {limit} bytes") from error
        finally:
            account = await self._account(service)
            account.spend_bytes(arrived, request.bucket, self._clock.now())

    async def _heed(self, service: Service, reply: ClientResponse) -> None:
        """Act on what the status says of the host that answers. Raises SourceBusy, SourceRefused, _Passing."""
        account, host = await self._account(service), host_of(reply.url)
        paused, own = service.pause_for(reply.status)
        if paused:
            asked = retry_after(reply.headers.get("retry-after"), self._clock.now())
            until = account.refused(host, self._clock.now(), asked=asked, own=own, jitter=self._jitter())
            await self._save(account)
            sentence = f"{reply.url.host} answers {reply.status}, to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
            raise SourceBusy(sentence, until=until)
        if reply.status >= 500:
            await self._save(account)
            raise _Passing(f"the service answers {reply.status}")
        if reply.status in _REDIRECTS:
            raise SourceRefused(f"the service answers {reply.status} and points elsewhere, where a source never goes by itself")
        account.answered(host, self._clock.now())
        await self._save(account)

    # --- files ----------------------------------------------------------------------------------------------------------------------------

    async def _fetch(self, service: Service, request: Request, fetch: Fetch) -> None:
        """One try at a file, behind its redirects, taking up what an earlier try brought. Raises _Passing, SourceError."""
        first = url_of(request.url, request.query)
        url, hops = first, 0
        while True:
            fetch.check(url)
            asked = request if url.origin() == first.origin() else replace(request, headers={}, sign=None)  # what proves who asks stays at home
            async with self._open(asked, {"accept-encoding": "identity", **asked.headers, **fetch.resume_headers()}, url=url) as reply:
                if reply.status not in _REDIRECTS:
                    fetch.file_name = file_name_of(reply.headers.get("content-disposition"), url, first)
                    await self._receive(service, request, reply, fetch)
                    return
                hops += 1
                if hops > _MOST_REDIRECTS:
                    raise SourceRefused(f"the file is behind more than {_MOST_REDIRECTS} redirects")
                url = fetch.follow(url, reply.headers.get("location"))
            account = await self._account(service)
            await self._stay_away(account.pause_of(host_of(url), self._clock.now()))

    async def _receive(self, service: Service, request: Request, reply: ClientResponse, fetch: Fetch) -> None:
        await self._heed(service, reply)
        if reply.status in _GONE:
            raise FileGone(f"the service has no such file any more ({reply.status})")
        if reply.status == 416:
            fetch.forget()
            raise _Passing("the server cannot give the rest of the file")
        if reply.status not in (200, 206):
            raise SourceRefused(f"the service answers {reply.status}")
        account = await self._account(service)
        begun, arrived = self._clock.monotonic(), 0
        fetch.begin(reply.status, _plain(reply))
        try:
            while True:
                async with asyncio.timeout(self._terms.stall):
                    chunk = await reply.content.readany()
                if not chunk:
                    break
                arrived += len(chunk)
                fetch.feed(chunk)
                lasted = self._clock.monotonic() - begun
                if lasted > self._terms.stall and arrived < self._terms.slowest * lasted:
                    raise _Passing(f"the file came at {arrived / lasted:.0f} bytes a second")
        except TimeoutError as error:
            raise _Passing(f"nothing came for {self._terms.stall:g} seconds") from error
        finally:
            account.spend_bytes(arrived, request.bucket, self._clock.now())
            await self._save(account)
        if not fetch.complete:
            raise _Passing(f"the file ended after {fetch.received} bytes")


def _plain(reply: ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers.items()}


def _in_words(error: Exception) -> SourceError:
    """What went wrong below HTTP, without the library's own text: that may hold a URL, or a body."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return SourceRefused(f"the certificate of {error.host} is not valid")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return _Passing(f"no TLS connection to {error.host}:{error.port}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _Passing(f"no connection to {error.host}:{error.port}: {error.strerror or 'it failed'}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return _Passing("the connection was dropped in the middle of the answer")
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        return _Passing("the connection was dropped before an answer came")
    if isinstance(error, aiohttp.InvalidURL):
        return SourceRefused("the address is no URL")
    if isinstance(error, aiohttp.ClientResponseError):
        return SourceUnintelligible("the answer is no HTTP")
    return _Passing(f"the request failed ({type(error).__name__})")
