"""Where the HTTP client would stand for sources, on a hub that asks nobody outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from otagate.model.errors import SourceUnavailable
from otagate.sources.effects import Expect, Left, Request, Service, Upload

SENTENCE = "no source outside is asked (policy.offline): what is stored here is offered"


class Offline:
    """Implements `ports.HttpClient`; nothing leaves the machine."""

    async def send(self, service: Service, request: Request) -> NoReturn:
        """Refuse. Raises SourceUnavailable."""
        raise SourceUnavailable(f"{service.name}: {request.label}: {SENTENCE}")

    async def download(self, service: Service, request: Request, expect: Expect) -> NoReturn:
        """Refuse. Raises SourceUnavailable."""
        del expect
        raise SourceUnavailable(f"{service.name}: {request.label}: {SENTENCE}")

    async def upload(self, service: Service, effect: Upload) -> NoReturn:
        """Refuse. Raises SourceUnavailable."""
        raise SourceUnavailable(f"{service.name}: {effect.request.label}: {SENTENCE}")

    async def check(self, service: Service) -> None:
        """Nothing may be asked, so nothing is counted."""
        del service

    def left(self, service: Service) -> Sequence[Left]:
        """Nothing may be asked, so nothing is left to tell."""
        del service
        return ()
