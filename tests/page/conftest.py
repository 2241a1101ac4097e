"""The API's hall, and one headless browser a test; without Chromium these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.conftest import hall, open_hall

__all__ = ["hall", "open_hall"]
playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[playwright.Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    async with playwright.async_playwright() as driver:
        made = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        await made.close()
