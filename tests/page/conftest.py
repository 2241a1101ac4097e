"""One headless browser a module, and in it a hall of the API a test; without Chromium these tests are skipped."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.api.conftest import Hall, Open, opener

playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser lives in the loop that it was started in: the tests of a module share it."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Any]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    async with playwright.async_playwright() as driver:
        made = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: Any) -> AsyncIterator[Any]:
    """The module's browser, with nothing of the tests before in it."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser: Any) -> AsyncIterator[Any]:
    """An empty tab. At the end it is asserted that nothing in it went wrong, nor was anything said to the console."""
    page = await browser.new_page()
    said: list[str] = []
    page.on("console", lambda each: said.append(each.text))
    page.on("pageerror", lambda each: said.append(str(each)))
    yield page
    assert said == []


@pytest_asyncio.fixture(loop_scope="module")
async def open_hall(tmp_path: Path) -> AsyncIterator[Open]:
    async with opener(tmp_path) as build:
        yield build


@pytest_asyncio.fixture(loop_scope="module")
async def hall(open_hall: Open) -> Hall:
    made: Hall = await open_hall()
    return made
