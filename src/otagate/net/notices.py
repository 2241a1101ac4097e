"""Notifications over HTTP: a signed POST of JSON, or the publish call of an ntfy server.

Which addresses may be reached is what `http.allow_private` says, as for sources.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otagate.model.errors import SourceUnavailable
from otagate.policy.notices import Severity
from otagate.ports import HttpClient, Outgoing
from otagate.sources.effects import Request, Service

_ANSWER_LIMIT = 64 << 10
_NTFY: Mapping[Severity, tuple[str, str]] = {"info": ("2", "information_source"), "warning": ("3", "warning"), "problem": ("4", "rotating_light")}
"""Priority (1 to 5) and tag of a message, by how much it matters."""

_NTFY_ROOM = 4_000
"""Bytes: a server makes an attachment of more than 4,096."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Implements `ports.Courier`. `secret` is the key of the signature; without one nothing is signed."""

    name: str
    url: str = field(repr=False)  # of many services it is the secret
    secret: str | None = field(default=None, repr=False)
    http: HttpClient

    async def deliver(self, outgoing: Outgoing) -> None:
        """See `ports.Courier.deliver`. 200 to 299 is a yes."""
        body = outgoing.document()
        request = Request(
            method="POST",
            url=self.url,
            label="the notification",
            headers={"content-type": "application/json", "idempotency-key": outgoing.id},
            body=body,
            limit=_ANSWER_LIMIT,
            sign=lambda now, _: signature(self.secret, now, body),
        )
        await _send(self.http, self.name, request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ntfy:
    """Implements `ports.Courier`: ntfy's publish call, whose topic is the last part of the path. `token` is an access token of that server.

    ntfy 2.16 and newer show what is repeated under one sequence id once.
    """

    name: str
    url: str = field(repr=False)  # who knows the topic reads along
    token: str | None = field(default=None, repr=False)
    http: HttpClient

    async def deliver(self, outgoing: Outgoing) -> None:
        """See `ports.Courier.deliver`. 200 to 299 is a yes."""
        priority, tag = _NTFY[outgoing.severity]
        request = Request(
            method="POST",
            url=self.url,
            label="the notification",
            headers={
                "content-type": "text/plain; charset=utf-8",
                "x-title": f"otagate: {outgoing.severity}",
                "x-priority": priority,
                "x-tags": tag,
                "x-sequence-id": outgoing.id,
            },
            body=_message(outgoing),
            limit=_ANSWER_LIMIT,
            sign=lambda *_: {} if self.token is None else {"authorization": f"Bearer {self.token}"},
        )
        await _send(self.http, self.name, request)


def _message(outgoing: Outgoing) -> bytes:
    """A line for each notice: as many as the server shows as a message."""
    lines, room, more = [], _NTFY_ROOM, outgoing.more
    for each in outgoing.notices:
        line = each.text.encode(errors="replace")
        room -= len(line) + 1
        if room < 0:
            more += 1
        else:
            lines.append(line)
    if more:
        lines.append(f"… and {more} more".encode())
    return b"\n".join(lines)


async def _send(http: HttpClient, name: str, request: Request) -> None:
    response = await http.send(Service(name=f"notify {name}"), request)
    if not 200 <= response.status < 300:
        raise SourceUnavailable(f"notify {name}: the receiver answers {response.status}")


def signature(secret: str | None, now: datetime, body: bytes) -> Mapping[str, str]:
    """The headers that prove who sends: seconds since 1970, and HMAC-SHA256 (RFC 2104) in hex over these digits, a full stop and the body."""
    timestamp = str(int(now.timestamp()))
    stamped = {"x-otagate-timestamp": timestamp}
    if secret is None:
        return stamped
    seal = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {**stamped, "x-otagate-signature": f"sha256={seal}"}
