"""Answers that came with an ETag, kept on disk so that the next question costs the service nothing. Disposable: a damaged one was never there."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from otagate.sources.effects import Request
from otagate.sources.entries import is_header_value

_MOST_FILES = 256
_MOST_BYTES = 64 << 20
_KEPT_HEADERS = ("content-type", "cache-control", "etag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A kept answer."""

    etag: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


class Answers:
    """One directory of mode 0700; a file an answer, named by a digest of the request, so that no URL is on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, service: str, request: Request) -> Answer | None:
        """The kept answer to an equal request, or None."""
        try:
            head, _, body = (self._directory / _name(service, request)).read_bytes().partition(b"\n")
            facts = json.loads(head)
            if hashlib.sha256(body).hexdigest() != facts["sha256"] or not is_header_value(facts["etag"]):
                return None
            return Answer(etag=facts["etag"], headers=dict(facts["headers"]), body=body, at=datetime.fromisoformat(facts["at"]).astimezone(UTC))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, service: str, request: Request, *, headers: Mapping[str, str], body: bytes, at: datetime) -> None:
        """Keep an answer in the place of the one before; a disk that refuses costs only the saving."""
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        head = json.dumps({"etag": headers["etag"], "headers": kept, "at": at.isoformat(), "sha256": hashlib.sha256(body).hexdigest()})
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(prefix=".new-", dir=self._directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(head.encode() + b"\n" + body)
                Path(aside).replace(self._directory / _name(service, request))
            finally:
                Path(aside).unlink(missing_ok=True)
            self._prune()

    def _prune(self) -> None:
        """Drop the oldest above the bounds, and what an interrupted write left."""
        files = sorted(((each.stat(), each) for each in self._directory.iterdir()), key=lambda pair: pair[0].st_mtime, reverse=True)
        total = 0
        for number, (facts, file) in enumerate(files):
            total += facts.st_size
            if number >= _MOST_FILES or total > _MOST_BYTES or file.name.startswith(".new-"):
                file.unlink(missing_ok=True)


def _name(service: str, request: Request) -> str:
    parts = (service, request.method, request.url, json.dumps(request.query), (request.body or b"").hex())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
