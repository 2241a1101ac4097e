"""What the page costs whoever opens it: bytes, calls, and elements made. How long that takes is measured by `hil.bench.page`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hil.bench.page import opened

from otagate.model.ids import DeviceId
from tests.api.conftest import Hall
from tests.api.counter import NOON, device
from tests.page.browsing import sign_in

COUNT = 500
_TOUCHED = """() => {
  window.touched = new Set();
  const note = ({ target }) => window.touched.add((target.closest ? target : target.parentElement).closest("main li")?.innerText || "elsewhere");
  new MutationObserver((all) => all.forEach(note)).observe(document.querySelector("main section:last-of-type ul"),
    { subtree: true, childList: true, attributes: true, characterData: true });
}"""


@pytest.mark.asyncio
async def test_five_hundred_devices_are_drawn_from_few_calls_and_a_change_of_one_draws_that_one_alone(hall: Hall, browser: Any) -> None:
    ids = [DeviceId(f"zigbee-{number:016x}") for number in range(1, COUNT + 1)]
    hall.desk.known = {each: device(each, f"Lamp {each[-4:]}") for each in ids}
    page = await browser.new_page()
    await page.clock.set_fixed_time(NOON)
    asked: list[Any] = []
    page.on("requestfinished", lambda each: asked.append(each))
    await sign_in(page, hall)
    await page.get_by_text("Lamp 01f4").wait_for()

    assert await page.locator("main li").count() == COUNT
    assert await page.evaluate("document.getElementsByTagName('*').length") < 16 * COUNT
    assert len([each for each in asked if "/api/v1/" in each.url]) <= 12
    files = [each for each in asked if "/api/v1/" not in each.url]
    assert sum([(await each.sizes())["responseBodySize"] for each in files]) < 150_000
    assert len({each.url for each in files}) == len(files) < 35

    await page.evaluate(_TOUCHED)
    hall.desk.known[ids[7]] = replace(hall.desk.known[ids[7]], name="Hall lamp")
    await hall.desk.record("device", ids[7], "amended")
    await page.get_by_text("Hall lamp").wait_for()
    touched = await page.evaluate("[...window.touched]")
    assert len(touched) == 1
    assert touched[0].startswith("Hall lamp")


@pytest.mark.asyncio
async def test_the_bench_tells_when_the_last_row_was_drawn_and_what_was_fetched(hall: Hall, browser: Any) -> None:
    figures = await opened(browser, f"{hall.base}/#token={hall.token}", count=2)
    assert 0 < figures["cpu_seconds"] < 60
    assert 0 < figures["drawn_seconds"] < 60
    assert 10 < figures["transferred_kilobytes"] < 150
