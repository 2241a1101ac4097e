"""Stores by their URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.model.errors import StoreError, StoreUnavailable
from otagate.stores import REGISTRY, open_store


@pytest.mark.parametrize("url", ["postgres://localhost/otagate", "otagate.db", "sqlite", "", "SQLITE:///otagate.db"])
def test_an_url_of_an_unknown_kind_is_refused_before_anything_is_opened_with_the_kinds_there_are(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match="names no store that exists: begin it with one of sqlite:, memory:"):
        open_store(url, tmp_path)


@pytest.mark.parametrize("url", ["memory:", "sqlite:///otagate.db"])
@pytest.mark.asyncio
async def test_a_store_can_be_awaited_and_closed_by_hand(tmp_path: Path, url: str) -> None:
    store = await open_store(url, tmp_path)
    assert await store.facts.last_number() == 0
    await store.close()


@pytest.mark.parametrize("url", ["memory:", "sqlite:///otagate.db"])
@pytest.mark.asyncio
async def test_a_context_closes_its_store_when_the_block_fails(tmp_path: Path, url: str) -> None:
    opening = open_store(url, tmp_path)
    store = await opening.__aenter__()
    await opening.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.facts.last_number()


def test_every_kind_of_store_sits_the_exam() -> None:
    exam = (Path(__file__).parent.parent / "contracts" / "test_store.py").read_text()
    assert [scheme for scheme in REGISTRY if f'"{scheme}:' not in exam] == []
