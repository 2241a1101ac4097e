"""Values of `model` to JSON text and back, exactly.

A value that cannot come back as it was is refused when it is written, not when it is read: naive times, NaN, text that is no Unicode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from otagate.model.devices import Device
from otagate.model.errors import StoreCorrupt, StoreError
from otagate.model.facts import Fact
from otagate.model.images import Image
from otagate.model.portraits import Portrait
from otagate.model.receipts import Receipt
from otagate.model.rollouts import Rollout
from otagate.model.updates import Update

T = TypeVar("T")

MAX_DOCUMENT = 1 << 20
"""Characters of one document: what devices and services say ends up in facts, and nothing that they say may be endless."""


class Codec(Generic[T]):
    """Text of one kind of value. `what` names the kind in errors."""

    def __init__(self, kind: type[T], what: str) -> None:
        self._adapter = TypeAdapter(kind)
        self._what = what

    def encode(self, value: T) -> str:
        """The document of a value; raises StoreError, having changed nothing, where the value could not come back equal."""
        try:
            text = json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise StoreError(f"this {self._what} cannot be stored: {error}") from error
        return storable(text, self._what)

    def decode(self, text: str) -> T:
        """The value of a document; raises StoreCorrupt where the text does not make one."""
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(each) for each in first["loc"]) or "document"
            raise StoreCorrupt(f"a stored {self._what} cannot be read: {where}: {first['msg']}") from error


def storable(text: str, what: str) -> str:
    """The text itself; raises StoreError where it is no Unicode (a lone surrogate) or endless."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"this {what} cannot be stored: {error}") from error
    if len(text) > MAX_DOCUMENT:
        raise StoreError(f"this {what} cannot be stored: {len(text)} characters, and at most {MAX_DOCUMENT} are kept")
    return text


def _plain(value: object) -> object:
    """What JSON has no form for, one level down."""
    if isinstance(value, datetime):
        return stored_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no stored form")


def stored_time(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds, so that text sorts as time does."""
    if value.tzinfo is None:
        raise ValueError(f"the time {value} has no zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


UPDATES = Codec(Update, "update")
DEVICES = Codec(Device, "device")
IMAGES = Codec(Image, "image")
FACTS = Codec(Fact, "fact")
RECEIPTS = Codec(Receipt, "receipt")
ROLLOUTS = Codec(Rollout, "rollout")
PORTRAITS = Codec(Portrait, "portrait")
