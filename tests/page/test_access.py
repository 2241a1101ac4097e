"""The page for people who do not see it, or not well, and for those without a mouse: axe-core finds nothing in any view."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Hall
from tests.page.browsing import EVERYWHERE, axe, go, sign_in, violations
from tests.page.house import furnish

PHONE = {"width": 390, "height": 800}
DESK = {"width": 1100, "height": 800}


@pytest.mark.asyncio
@pytest.mark.parametrize(("scheme", "viewport"), [("light", PHONE), ("dark", DESK)], ids=["light on a phone", "dark on a desk"])
async def test_nobody_is_shut_out_of_any_view(hall: Hall, browser: Any, scheme: str, viewport: dict[str, int]) -> None:
    furnish(hall.desk)
    context = await browser.new_context(color_scheme=scheme, viewport=viewport)
    await context.add_init_script(path=axe())
    page = await context.new_page()
    contrast_only = scheme == "dark"
    await page.goto(hall.base)
    await page.get_by_label("Token").wait_for()
    found = {"sign in": await violations(page, contrast_only=contrast_only)}
    await sign_in(page, hall)
    for name in EVERYWHERE:
        await go(page, name)
        found[name] = await violations(page, contrast_only=contrast_only)
    await go(page, "home")
    await page.get_by_role("button", name="Halt everything").click()
    await page.get_by_role("dialog").wait_for()
    found["dialog"] = await violations(page, contrast_only=contrast_only)
    await page.keyboard.press("Escape")
    await page.get_by_label("Select all").check()
    found["selection"] = await violations(page, contrast_only=contrast_only)
    for order, looked in (("Update …", "would be made"), ("Roll out in waves …", "Wave 1")):
        await page.get_by_role("region", name="Selection").get_by_role("button", name=order).click()
        if order != "Update …":
            await page.get_by_role("button", name="Show the waves").click()
        await page.get_by_role("dialog").get_by_text(looked).first.wait_for()
        await page.evaluate("document.querySelectorAll('dialog details').forEach(each => { each.open = true; })")
        found[order] = await violations(page, contrast_only=contrast_only)
        await page.keyboard.press("Escape")
    assert not any(found.values()), found
