"""Waits where everything lives faster."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.waits import shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patience:
    block: float = 300.0
    limit: int = 5


def test_all_waits_are_shorter_but_those_to_keep() -> None:
    assert shorter(_Patience(), 10.0, keep={"limit"}) == _Patience(block=30.0, limit=5)
    assert shorter(_Patience(block=60.0), 2.0) == _Patience(block=30.0, limit=2.5)  # type: ignore[arg-type]
