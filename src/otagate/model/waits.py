"""Waits that are given in seconds, and the same ones where simulated hardware lives faster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    W = TypeVar("W", bound=DataclassInstance)


def shorter(waits: W, factor: float, *, keep: Collection[str] = ()) -> W:
    """The same waits, each `factor` times shorter but for those to `keep`."""
    short: dict[str, Any] = {each.name: getattr(waits, each.name) / factor for each in fields(waits) if each.name not in keep}
    return replace(waits, **short)
