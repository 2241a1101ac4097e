"""Receipts: what an order with an idempotency key made, so that the same order sent twice is one order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otagate.model.errors import Retry
from otagate.model.ids import DeviceId, UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalNote:
    """A device that got no update: the problem's slug, its sentence, and the word that an update would wait with."""

    device: DeviceId
    code: str
    detail: str
    retry: Retry = "never"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One order of one actor under one key. `digest` is the SHA-256 of what was ordered, in hex."""

    actor: str
    key: str
    digest: str
    at: datetime
    updates: tuple[UpdateId, ...]
    refused: tuple[RefusalNote, ...]
