"""Conversations with update services, driven: what a source yields is done over the HTTP client, and the answer sent back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from otagate.model.errors import SourceError, SourceUnintelligible
from otagate.ports import HttpClient
from otagate.sources.effects import Conversation, Download, Effect, Left, Response, Send, Service, Stored

T = TypeVar("T")
_MOST_EFFECTS = 5_000
"""No conversation goes on for longer: a service that always has another page is left."""


class Talks:
    """Holds conversations; one at a time with each service, so that an account's token is renewed by one of them alone."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._turns: dict[str, asyncio.Lock] = {}

    async def check(self, service: Service) -> datetime | None:
        """See `ports.HttpClient.check`. Raises StoreUnavailable."""
        return await self._http.check(service)

    def left(self, service: Service) -> Sequence[Left]:
        """What is left of the limits of a service."""
        return self._http.left(service)

    async def hold(self, service: Service, conversation: Conversation[T]) -> T:
        """Hold it to its end. Raises SourceError; StoreUnavailable and UnknownImage where files are concerned."""
        async with self._turns.setdefault(service.name, asyncio.Lock()):
            try:
                return await self._drive(service, conversation)
            finally:
                conversation.close()

    async def _drive(self, service: Service, conversation: Conversation[T]) -> T:
        try:
            effect = next(conversation)
            for _ in range(_MOST_EFFECTS):
                try:
                    answer = await self._perform(service, effect)
                except SourceError as error:
                    effect = conversation.throw(error)
                else:
                    effect = conversation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        raise SourceUnintelligible(f"{service.name}: the conversation does not come to an end")

    async def _perform(self, service: Service, effect: Effect) -> Response | Stored:
        if isinstance(effect, Send):
            return await self._http.send(service, effect.request)
        if isinstance(effect, Download):
            return await self._http.download(service, effect.request, effect.expect)
        return await self._http.upload(service, effect)
