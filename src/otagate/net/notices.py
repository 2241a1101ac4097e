"""Notifications over HTTP: a signed POST of JSON. Which addresses may be reached is what `http.allow_private` says, as for sources."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from otagate.model.errors import SourceUnavailable
from otagate.ports import HttpClient, Outgoing
from otagate.sources.effects import Request, Service

_ANSWER_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Implements `ports.Courier`. `secret` is the key of the signature; without one nothing is signed."""

    name: str
    url: str = field(repr=False)  # of many services it is the secret
    secret: str | None = field(default=None, repr=False)
    http: HttpClient

    async def deliver(self, outgoing: Outgoing) -> None:
        """See `ports.Courier.deliver`. 200 to 299 is a yes."""
        request = Request(
            method="POST",
            url=self.url,
            label="the notification",
            headers={"content-type": "application/json", "idempotency-key": outgoing.id},
            body=outgoing.body,
            limit=_ANSWER_LIMIT,
            sign=lambda now, _: signature(self.secret, now, outgoing.body),
        )
        response = await self.http.send(Service(name=f"notify {self.name}"), request)
        if not 200 <= response.status < 300:
            raise SourceUnavailable(f"notify {self.name}: the receiver answers {response.status}")


def signature(secret: str | None, now: datetime, body: bytes) -> Mapping[str, str]:
    """The headers that prove who sends: seconds since 1970, and HMAC-SHA256 (RFC 2104) in hex over these digits, a full stop and the body."""
    timestamp = str(int(now.timestamp()))
    stamped = {"x-otagate-timestamp": timestamp}
    if secret is None:
        return stamped
    seal = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {**stamped, "x-otagate-signature": f"sha256={seal}"}
