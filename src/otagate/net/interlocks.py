"""Interlocks that answer over HTTP: a status of 200 to 299 is a yes, and everything else is a no."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from otagate.model.errors import SourceError
from otagate.ports import HttpClient
from otagate.sources.effects import Request, Service

PATIENCE = 5.0
"""Seconds after which no answer is a no: somebody waits in front of a window that closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpInterlock:
    """Asks with GET; implements `ports.Interlock`. What it may reach is what sources may reach."""

    name: str
    url: str = field(repr=False)  # of many services it is the secret
    http: HttpClient
    patience: float = PATIENCE

    async def ask(self) -> str | None:
        """See `ports.Interlock.ask`."""
        request = Request(url=self.url, label="the question", idempotent=False)  # asked again soon anyway
        try:
            async with asyncio.timeout(self.patience):
                response = await self.http.send(Service(name=f"interlock {self.name}", pauses=()), request)
        except TimeoutError:
            return f"no answer within {self.patience:.0f} s"
        except SourceError as error:
            return f"it cannot be asked ({error})"
        return None if 200 <= response.status < 300 else f"it answers with status {response.status}"
