"""Tuya OpenAPI: who we are, the signature of every call, the token, and what its error codes ask for.

Signature: HMAC-SHA256 over client id, token, time, nonce and the request itself, in upper-case hex. The token lives two hours; a refresh token works
once. HTTP says 200 to everything: success or failure is in the envelope.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from otagate.model.errors import SourceBusy, SourceError, SourceMisconfigured, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.sources.delegated import OrderInDoubt
from otagate.sources.effects import Conversation, Limit, Request, Response, Service, send
from otagate.sources.entries import is_header_value, words

_NEVER = datetime.min.replace(tzinfo=UTC)
_RENEW_BEFORE = timedelta(seconds=60)
_QUOTA_PAUSE = timedelta(minutes=30)
_LONGEST_PAUSE = timedelta(hours=1)
_TOKEN = frozenset({1002, 1010, 1011, 1012, 1400})
_CLOCK = frozenset({1013})
_CREDENTIALS = frozenset({1001, 1004, 1005, 1007, 1008})
_PERMISSION = frozenset({1106, 2406, 28841001, 28841002, 28841003, 28841101, 28841102, 28841103, 28841105, 28841106})
_QUOTA = frozenset({28841004, 28841104})
_RATE = frozenset({1110, 1111, 1113, 1199, 429})
_PARAMETERS = frozenset({1100, 1101, 1102, 1104, 1109})
_DEVICE = frozenset({2001, 2007, 2009, 2010})


class TuyaRefused(SourceRefused):
    """The cloud refuses a call for what it asks, not for who asks; `number` is its error code."""

    def __init__(self, sentence: str, *, until: datetime | None = None, number: int = 0) -> None:
        super().__init__(sentence, until=until)
        self.number = number

    @property
    def parameters_missing(self) -> bool:
        """Whether the cloud did not find the parameters where they were put."""
        return self.number in _PARAMETERS

    @property
    def device(self) -> bool:
        """Whether it is the device's state that refuses: offline, gone, of another project."""
        return self.number in _DEVICE


class _NotTheCloud(SourceUnavailable):
    """Something in between says no: the cloud itself has 200 for everything, so it has not heard of the call."""


class _TokenSpent(SourceError):
    """The token must be renewed before this call may be signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the service gave us; it is worth nothing from `until` on."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    until: datetime


@dataclass(slots=True, kw_only=True)
class Account:
    """One client of one data centre, shared by every source that uses it; one conversation at a time changes its token.

    `quiet_until`: no call of any of them leaves before, because the cloud said that there were too many. `heard`: when it answered last.

    `pace`: a simulated cloud may be asked so many times as often.
    """

    url: str
    client_id: str
    secret: str = field(repr=False)
    token: Token | None = field(default=None, repr=False)
    offset: timedelta = timedelta()
    pace: float = 1.0
    quiet_until: datetime | None = None
    heard: datetime = _NEVER
    _refused_in_a_row: int = 0

    @property
    def service(self) -> Service:
        """Limits and pauses are per account: a call a second, five at once."""
        host = urlsplit(self.url).hostname or "tuya"
        mark = hashlib.sha256(self.client_id.encode()).hexdigest()[:8]
        return Service(name=f"tuya {host} {mark}", limits=(Limit(amount=5, per=timedelta(seconds=5) / self.pace),))

    def sign(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        body: bytes,
        now: datetime,
        nonce: str,
        token: str,
        headers: Mapping[str, str],
    ) -> Mapping[str, str]:
        """The headers of a signed call; `headers` are those that the signature covers besides."""
        when = str(int((now + self.offset).timestamp() * 1000))
        tail = "&".join(f"{key}={value}" for key, value in sorted(query))
        covered = "".join(f"{name}:{value}\n" for name, value in headers.items())
        text = "\n".join((method, hashlib.sha256(body).hexdigest(), covered, path + ("?" + tail if tail else "")))
        whole = self.client_id + token + when + nonce + text
        sign = hmac.new(self.secret.encode(), whole.encode(), hashlib.sha256).hexdigest().upper()
        signed = {"client_id": self.client_id, "sign": sign, "sign_method": "HMAC-SHA256", "t": when, "nonce": nonce, **headers}
        if headers:
            signed["Signature-Headers"] = ":".join(headers)
        return signed | ({"access_token": token} if token else {})

    # --- calls ----------------------------------------------------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, *, label: str, query: Sequence[tuple[str, str]] = (), document: object = None, idempotent: bool = True
    ) -> Conversation[Any]:
        """One call with a token, renewed where it must be; the envelope's `result`, or None where it has none.

        Raises TuyaRefused, SourceBusy, SourceMisconfigured, SourceUnavailable, SourceUnintelligible; for a call that is not `idempotent` and may
        have been heeded OrderInDoubt.
        """
        body = b"" if document is None else json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        renewed = resynced = spent = False
        while True:
            if self.token is None:
                yield from self._renew()
                renewed = True
            try:
                response = yield from send(self._request(method, path, label=label, query=query, body=body, idempotent=idempotent))
                envelope = self._envelope(response)
            except _TokenSpent:
                if spent:
                    raise SourceUnintelligible(f"{label}: every token that the cloud gives has ended before it is used") from None
                spent = True
                yield from self._renew()
                continue
            except (SourceUnavailable, SourceUnintelligible) as error:
                if idempotent or isinstance(error, _NotTheCloud):
                    raise
                raise OrderInDoubt(str(error)) from error
            if envelope.get("success") is True:
                return envelope.get("result")
            number, message = _error_of(envelope)
            if number in _TOKEN and not renewed:
                self.token, renewed = None, True
                yield from self._renew()
            elif number in _CLOCK and not resynced:
                resynced = True
                self._resync(envelope, response)
            else:
                told = self._heeded(_told(label, number, message, response.at), response.at)
                raise OrderInDoubt(str(told)) if isinstance(told, SourceUnavailable) and not idempotent else told

    def _renew(self) -> Conversation[None]:
        """A new token: with the refresh token where we have one, which works once, else with the secret."""
        if self.token is not None:
            path, self_token = f"/v1.0/token/{self.token.refresh}", self.token
            self.token = None
            try:
                self.token = yield from self._ask_token(path, ())
            except (SourceUnavailable, SourceBusy):
                self.token = self_token
                raise
            except SourceError:
                self.token = None
        if self.token is None:
            self.token = yield from self._ask_token("/v1.0/token", (("grant_type", "1"),))

    def _ask_token(self, path: str, query: tuple[tuple[str, str], ...]) -> Conversation[Token]:
        resynced = False
        while True:
            response = yield from send(self._request("GET", path, label="the token", query=query, with_token=False))
            envelope = self._envelope(response)
            result = envelope.get("result")
            if envelope.get("success") is True and isinstance(result, dict):
                return _token_of(result, response.at)
            number, message = _error_of(envelope)
            if number not in _CLOCK or resynced:
                raise self._heeded(_told("the token", number, message, response.at), response.at)
            resynced = True
            self._resync(envelope, response)

    def _request(
        self,
        method: str,
        path: str,
        *,
        label: str,
        query: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        idempotent: bool = True,
        with_token: bool = True,
    ) -> Request:
        def sign(now: datetime, nonce: str) -> Mapping[str, str]:
            if self.quiet_until is not None and timedelta() < self.quiet_until - now <= _LONGEST_PAUSE:
                sentence = f"the cloud was asked too often, and is left alone until {self.quiet_until:%Y-%m-%d %H:%M:%S} UTC"
                raise SourceBusy(sentence, until=self.quiet_until)
            token = ""
            if with_token:
                if self.token is None or now >= self.token.until - _RENEW_BEFORE:
                    raise _TokenSpent("the token has ended")
                token = self.token.access
            return self.sign(method, path, query=query, body=body, now=now, nonce=nonce, token=token, headers={})

        return Request(
            method="POST" if method == "POST" else "GET",
            url=self.url.rstrip("/") + path,
            label=label,
            query=tuple(sorted(query)),
            headers={"content-type": "application/json"} if body else {},
            body=body or None,
            idempotent=idempotent,
            sign=sign,
        )

    def _envelope(self, response: Response) -> Mapping[str, Any]:
        self.heard = response.at
        if 400 <= response.status < 500:
            sentence = f"{response.label}: the answer is {response.status}, which the cloud never gives: check the url, and what lies in between"
            raise _NotTheCloud(sentence)
        if response.status != 200:
            raise SourceUnintelligible(f"{response.label}: the cloud answers {response.status}, which says neither yes nor no")
        envelope = response.json()
        if not isinstance(envelope, dict) or not isinstance(envelope.get("success"), bool):
            raise SourceUnintelligible(f"{response.label}: the answer does not say whether it is a success")
        if envelope["success"]:
            self.quiet_until, self._refused_in_a_row = None, 0
            self._resync(envelope, response)
        return envelope

    def _heeded(self, told: SourceError, at: datetime) -> SourceError:
        """The same, after which the whole account keeps away: for longer each time until a call succeeds, at most an hour."""
        if not isinstance(told, SourceBusy) or told.until is None:
            return told
        self.quiet_until = at + min((told.until - at) * 2 ** min(self._refused_in_a_row, 6), _LONGEST_PAUSE)
        self._refused_in_a_row += 1
        return SourceBusy(str(told), until=self.quiet_until)

    def _resync(self, envelope: Mapping[str, Any], response: Response) -> None:
        """Follow the cloud's clock where ours is minutes off: it takes no call that is."""
        value = envelope.get("t")
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**14:
            theirs = datetime.fromtimestamp(value / (1000 if value >= 10**11 else 1), UTC)
            drift = theirs - response.at
            self.offset = drift if abs(drift) > timedelta(seconds=30) else timedelta()


def _token_of(result: Mapping[str, Any], at: datetime) -> Token:
    access, refresh = result.get("access_token"), result.get("refresh_token")
    seconds = result.get("expire_time", result.get("expire"))
    if not (is_header_value(access) and is_header_value(refresh) and refresh.isalnum()):
        raise SourceUnintelligible("the token: the answer holds none")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        seconds = 7200
    return Token(access=access, refresh=refresh, until=at + timedelta(seconds=min(seconds, 7 * 86_400)))


def _error_of(envelope: Mapping[str, Any]) -> tuple[int, str]:
    code, message = envelope.get("code", envelope.get("error_code")), envelope.get("msg", envelope.get("error_msg"))
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 12:
        code = int(code)
    number = code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 10**12 else 0
    return number, words(message)


def _told(label: str, number: int, message: str, at: datetime) -> SourceError:
    """The error of an answer that says no, with what an operator can do."""
    said = f"{label}: the cloud says {number}, {message!r}"
    if number in _CREDENTIALS or number in _TOKEN:
        return SourceMisconfigured(f"{said}: check client_id, the secret and the data centre in the url")
    if number in _PERMISSION:
        return SourceMisconfigured(f"{said}: the project may not do this here: check its data centre, its subscription of this API and its devices")
    if number in _QUOTA:
        return SourceBusy(f"{said}: the project's quota is used up: extend its plan in the cloud's console if that goes on", until=at + _QUOTA_PAUSE)
    if number in _RATE:
        return SourceBusy(f"{said}: too many calls", until=at + timedelta(minutes=1))
    if number in _CLOCK:
        return SourceMisconfigured(f"{said}: this machine's clock is wrong")
    if number == 500:
        return SourceUnavailable(said)
    return TuyaRefused(said, number=number)
