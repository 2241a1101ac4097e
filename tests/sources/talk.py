"""Drives a conversation of a source by hand: what it asks is written down, what it is told stands in the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from otagate.model.errors import SourceError
from otagate.model.ids import Sha256
from otagate.sources.effects import Conversation, Download, Effect, Request, Response, Stored

T = TypeVar("T")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Answering = Callable[[Effect], "Response | Stored | SourceError"]


@dataclass(slots=True)
class Talk(Generic[T]):
    """A conversation that has ended: its result and the effects that it wanted."""

    result: T
    effects: list[Effect] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        """Every request, in order."""
        return [each.request for each in self.effects]


def reply(document: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Response:
    """An answer as the client gives it."""
    data = body if body is not None else b"" if document is None else json.dumps(document).encode()
    return Response(status=status, headers={"content-type": "application/json", **(headers or {})}, body=data, at=NOW)


def stored(size: int = 100, name: str = "file.ota") -> Stored:
    """A file as the client gives it."""
    return Stored(sha256=Sha256("ab" * 32), size=size, file_name=name)


def talk(conversation: Conversation[T], answers: Sequence[Response | Stored | SourceError] | Answering) -> Talk[T]:
    """Run it to its end: with these answers, every one of which must be asked for, or with a service that answers by itself."""
    script = list(answers) if not callable(answers) else None
    effects: list[Effect] = []
    try:
        effect = next(conversation)
        while True:
            effects.append(effect)
            answer = answers(effect) if callable(answers) else _next(script, effect)
            effect = conversation.throw(answer) if isinstance(answer, SourceError) else conversation.send(answer)
    except StopIteration as end:
        if script:
            raise AssertionError(f"{len(script)} answers were not asked for") from None
        return Talk(end.value, effects)


def _next(script: list[Any] | None, effect: Effect) -> Response | Stored | SourceError:
    if not script:
        raise AssertionError(f"nothing was to be asked any more, but {effect}")
    answer = script.pop(0)
    if not isinstance(answer, SourceError) and isinstance(answer, Stored) != isinstance(effect, Download):
        raise AssertionError(f"{effect} was not what comes next")
    return answer


def body_of(request: Request) -> Any:
    """The JSON of a request."""
    return json.loads(request.body or b"null")
