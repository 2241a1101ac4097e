"""The page for people who do not see it, or not well, and for those without a mouse: axe-core finds nothing in any view."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Hall
from tests.page.browsing import EVERYWHERE, axe, go, sign_in, violations
from tests.page.house import furnish


@pytest.mark.asyncio
async def test_nobody_is_shut_out_of_any_view_light_or_dark(hall: Hall, browser: Any) -> None:
    furnish(hall.desk)
    context = await browser.new_context(color_scheme="light", viewport={"width": 390, "height": 800})
    await context.add_init_script(path=axe())
    page = await context.new_page()
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        found[name] = await violations(page)
        await page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = await violations(page, contrast_only=True)
        await page.emulate_media(color_scheme="light")

    await page.goto(hall.base)
    await page.get_by_label("Token").wait_for()
    await look("sign in")
    await sign_in(page, hall)
    for name in EVERYWHERE:
        await go(page, name)
        await look(name)
    await go(page, "home")
    await page.get_by_role("button", name="Halt everything").click()
    await page.get_by_role("dialog").wait_for()
    await look("dialog")
    assert not any(found.values()), {name: each for name, each in found.items() if each}
