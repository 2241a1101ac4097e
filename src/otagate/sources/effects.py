"""What a source wants done, as values: it yields an effect and is sent the answer. Whoever drives it owns the network.

Header names are lower case throughout. Nothing here opens anything, and no text made from these values shows a URL: some carry tokens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypeVar

from otagate.model.errors import SourceRefused, SourceUnintelligible
from otagate.model.ids import Sha256
from otagate.model.releases import Digest

METADATA_LIMIT = 8 << 20
"""Bytes of an answer that is no image, after decompression."""

IMAGE_LIMIT = 16 << 20
"""Bytes of the largest file that is fetched where nothing smaller was promised."""

_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_MAY_BE_NO_TEXT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|[\ud800-\udfff]")  # also whole pairs, which are harmless

Signer = Callable[[datetime, str], Mapping[str, str]]
"""Headers that prove who asks, made from the time and a nonce at the moment of sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `amount` `of` calls or bytes in any period of length `per`. `bucket`: only requests of this bucket count; None for all."""

    amount: int
    per: timedelta
    of: Literal["calls", "bytes"] = "calls"
    bucket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left of one limit."""

    limit: Limit
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One update service as the client must treat it; sources that share an account share its `name`, and so its limits and pauses.

    `pauses`: statuses that mean "not now", each with how long to stay away where the answer itself does not say; None: a minute at first, then
    doubling to an hour. `between_checks`: how far apart checks must be that people ask for, whatever is left of the limits.
    """

    name: str
    limits: tuple[Limit, ...] = ()
    pauses: tuple[tuple[int, timedelta | None], ...] = ((429, None), (503, None))
    between_checks: timedelta = timedelta()

    def pause_for(self, status: int) -> tuple[bool, timedelta | None]:
        """Whether this status means "not now", and the service's own length of it."""
        return next(((True, length) for each, length in self.pauses if each == status), (False, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `label` is what people are told instead of the URL: "the index", "the token".

    `query` goes behind the URL in this order. `idempotent`: may be sent again when nobody knows whether it arrived. `conditional`: a 200 with an
    ETag is kept, and the next equal request asks whether it has changed.
    """

    method: Literal["GET", "POST", "PUT"] = "GET"
    url: str
    label: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    bucket: str = ""
    idempotent: bool = True
    conditional: bool = False
    limit: int = METADATA_LIMIT
    sign: Signer | None = None

    @classmethod
    def with_json(cls, document: object, *, url: str, label: str, **more: Any) -> Request:
        """A POST of a JSON document, serialised once: a signature covers exactly these bytes."""
        headers = {"content-type": "application/json", "accept": "application/json", **more.pop("headers", {})}
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(method="POST", url=url, label=label, headers=headers, body=body, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, whole and decompressed. `at` is when it was given; `kept`: the service said that nothing has changed since then.

    Any status may be here but those that the client acts on itself: pauses, redirects, and 5xx that lasted.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    label: str = "the answer"
    kept: bool = False

    @property
    def fresh_for(self) -> timedelta | None:
        """How long the service says that the answer holds: `max-age` less `Age`, at most a day; None where it does not say (RFC 9111, 4.2)."""
        directives = (part.strip().lower() for part in self.headers.get("cache-control", "").split(","))
        seconds = next((part[8:] for part in directives if part.startswith("max-age=")), "").strip('"')
        if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 12):
            return None
        age = self.headers.get("age", "0")
        left = int(seconds) - (int(age) if age.isascii() and age.isdecimal() and len(age) < 12 else 0)
        return timedelta(seconds=min(max(left, 0), 86_400))

    def json(self) -> Any:
        """The body as JSON. Raises SourceUnintelligible for another content type (a login page of a hotel's network), and for what does not parse."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in _PAGES or self._is_page():
            raise self._page()
        if kind != "application/json" and not kind.endswith("+json"):
            raise SourceUnintelligible(f"{self.label}: the answer is {kind[:60] or 'of no type'!r}, not application/json")
        return self.json_of_any_type()

    def json_of_any_type(self) -> Any:
        """The body as JSON for services that do not name it so: files on code hosts come as text. Raises SourceUnintelligible.

        What no database and no UTF-8 can hold (half of a surrogate pair, U+0000) is U+FFFD in it.
        """
        try:
            text = self.body.decode(json.detect_encoding(self.body), "surrogatepass")
            document = json.loads(text, parse_constant=_refuse_constant)
            return _storable(document) if _MAY_BE_NO_TEXT.search(text) else document
        except RecursionError:
            raise SourceUnintelligible(f"{self.label}: the JSON of the answer is nested too deep") from None
        except ValueError as error:
            if self._is_page():
                raise self._page() from None
            raise SourceUnintelligible(f"{self.label}: the answer is no JSON: {error!s:.120}") from None

    def _is_page(self) -> bool:
        return self.body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))

    def _page(self) -> SourceUnintelligible:
        return SourceUnintelligible(
            f"{self.label}: the answer is a web page, not JSON: check the url, and whether this network wants a login first (a captive portal)"
        )


def _storable(node: Any) -> Any:
    """A document without characters that cannot be encoded or kept. Raises RecursionError."""
    if isinstance(node, str):
        return _NO_TEXT.sub("\ufffd", node)
    if isinstance(node, list):
        return [_storable(each) for each in node]
    if isinstance(node, dict):
        return {_storable(key): _storable(value) for key, value in node.items()}
    return node


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What a file must be. `size` in bytes where promised, `limit` in any case.

    `vouched`: something that did not come along with the file proves its bytes, now (`digests`) or once they are decoded; only then may it come
    over plain http.
    """

    size: int | None = None
    limit: int = IMAGE_LIMIT
    digests: tuple[Digest, ...] = ()
    vouched: bool = False

    def check(self, data: bytes, label: str) -> None:
        """Whether a whole file is what was promised. Raises SourceRefused."""
        if not data:
            raise SourceRefused(f"{label}: the file is empty")
        if self.size is not None and len(data) != self.size:
            raise SourceRefused(f"{label}: the file has {len(data)} bytes, {self.size} were promised")
        for digest in self.digests:
            found = hashlib.new(digest.algorithm, data, usedforsecurity=False).hexdigest()
            if found != digest.value.lower():
                raise SourceRefused(f"{label}: the file's {digest.algorithm} is {found[:16]}…, {digest.value[:16]}… was promised")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file that was fetched: in the image cache under its sha256, `size` bytes as served. `file_name` is what the server called it, no path."""

    sha256: Sha256
    size: int
    file_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Ask; answered with a Response."""

    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Fetch a file; answered with Stored."""

    request: Request
    expect: Expect


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Send a stored image as the file `field` of a multipart form beside `fields`; answered with a Response."""

    request: Request
    image: Sha256
    field: str
    file_name: str
    fields: tuple[tuple[str, str], ...] = ()


Effect: TypeAlias = Send | Download | Upload
T = TypeVar("T")
Conversation: TypeAlias = Generator[Effect, "Response | Stored", T]
"""A talk with a service: yields effects, is sent their answers or thrown SourceError, returns what it learnt."""


def send(request: Request) -> Conversation[Response]:
    """Ask, inside a conversation: `answer = yield from send(request)`. Raises whatever SourceError the driver throws."""
    answer = yield Send(request=request)
    return _expected(answer, Response)


def download(request: Request, expect: Expect) -> Conversation[Stored]:
    """Fetch a file, inside a conversation."""
    answer = yield Download(request=request, expect=expect)
    return _expected(answer, Stored)


def upload(effect: Upload) -> Conversation[Response]:
    """Send a stored image, inside a conversation."""
    answer = yield effect
    return _expected(answer, Response)


def _expected(answer: Response | Stored, kind: type[T]) -> T:
    if not isinstance(answer, kind):
        raise TypeError(f"the driver answered with {type(answer).__name__} where {kind.__name__} was due")
    return answer
