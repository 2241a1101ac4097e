"""The page as the hub sends it, and as a browser shows it over a counter that stands in for the engine (what runs behind it has journeys)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otagate.api.page import POLICY, assets
from otagate.model.ids import ComponentId
from otagate.model.lifecycle import State
from tests.api.conftest import Hall
from tests.api.counter import LAMP, NOON, PLUG, failed, update


@pytest.mark.asyncio
async def test_the_page_and_its_files_need_no_token_and_are_kept(hall: Hall) -> None:
    for path, asset in assets().items():
        async with hall.client.get(hall.base + path, headers={"Authorization": ""}) as response:
            assert response.status == 200, path
            assert response.headers["Content-Security-Policy"] == POLICY
            assert response.headers["Content-Encoding"] == "gzip"
            assert ("immutable" in response.headers["Cache-Control"]) == (path != "/")
            assert await response.read() == asset.body
            tag = response.headers["ETag"]
        async with hall.client.get(hall.base + path, headers={"If-None-Match": tag}) as response:
            assert response.status == 304
    assert sum(len(each.packed) for each in assets().values()) < 150_000


@pytest.mark.asyncio
async def test_a_link_from_another_site_opens_the_page_and_nothing_else(hall: Hall) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path, status in (("/", 200), ("/api/v1/devices", 403)):
        async with hall.client.get(hall.base + path, headers=followed) as response:
            assert response.status == status


@pytest.mark.asyncio
async def test_an_operator_sees_devices_and_cancels_an_update_by_keyboard_and_the_token_is_in_no_address(hall: Hall, browser: Any) -> None:
    hostile = "<script>alert(1)</script>\u202egpj" + "x" * 4096
    hall.desk.known[LAMP] = replace(hall.desk.known[LAMP], name=hostile)
    hall.desk.jobs["u0001"] = update(1, state=State.QUEUED)
    page = await browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda each: asked.append(each.url))
    page.on("console", lambda each: said.append(each.text))
    page.on("pageerror", lambda each: said.append(str(each)))
    await page.goto(f"{hall.base}/#token={hall.token}")
    await page.locator("h1").get_by_text("1 waits").wait_for()
    assert await page.locator("main script").count() == 0
    text = await page.locator("main").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "\u202e" not in text
    await page.get_by_role("button", name="Cancel:").focus()
    async with page.expect_response("**/cancel"):
        await page.keyboard.press("Enter")
    assert ("cancel", "u0001", "token:admin") in hall.desk.orders
    assert hall.token not in page.url
    assert not [each for each in asked if hall.token in each.partition("#")[0]]
    assert said == []


@pytest.mark.asyncio
async def test_without_a_token_the_page_says_where_it_is(hall: Hall, browser: Any) -> None:
    page = await browser.new_page()
    await page.goto(hall.base)
    await page.get_by_label("Token").fill(hall.token)
    await page.keyboard.press("Enter")
    await page.get_by_text("Plug", exact=True).wait_for()


@pytest.mark.asyncio
async def test_halting_everything_is_asked_about_first_and_escape_or_enter_leave_it(hall: Hall, browser: Any) -> None:
    page = await browser.new_page()
    await page.goto(f"{hall.base}/#token={hall.token}")
    for key in ("Escape", "Enter"):
        await page.get_by_role("button", name="Halt everything").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("dialog", name="Halt everything?").wait_for()
        await page.keyboard.press(key)
        await page.get_by_role("dialog").wait_for(state="detached")
    assert not [each for each in hall.desk.orders if each[0] == "halt"]
    await page.get_by_role("button", name="Halt everything").click()
    await page.get_by_role("button", name="Halt now").click()
    await page.get_by_role("button", name="Let everything go on").click()
    await page.get_by_role("button", name="Go on", exact=True).click()
    await page.get_by_role("button", name="Halt everything").wait_for()
    assert [what for what, _, _ in hall.desk.orders] == ["halt", "lift_halt"]


@pytest.mark.asyncio
async def test_what_failed_today_and_a_radio_that_is_in_use_need_a_person_and_what_was_tried_again_does_not(hall: Hall, browser: Any) -> None:
    ended = NOON - timedelta(hours=23)
    hall.desk.ready = False
    hall.desk.jobs["u0001"] = replace(failed(1), device=PLUG, finished=ended)
    hall.desk.jobs["u0002"] = update(2, PLUG, state=State.SUCCEEDED, finished=ended)
    hall.desk.jobs["u0003"] = replace(failed(3), finished=ended)
    hall.desk.jobs["u0004"] = replace(failed(4), component=ComponentId("0x1410"), finished=NOON - timedelta(hours=25))
    page = await browser.new_page()
    await page.clock.set_fixed_time(NOON)
    await page.goto(f"{hall.base}/#token={hall.token}")
    await page.locator("h1").get_by_text("2 need you").wait_for()
    needs = page.locator("section").filter(has=page.get_by_role("heading", name="Needs you"))
    assert await needs.locator("li").count() == 2
    await needs.get_by_text("Radio zigbee0").wait_for()
    await needs.get_by_text("no block was asked for in 15 minutes").wait_for()
    async with page.expect_response("**/u0003/retry"):
        await needs.get_by_role("button", name="Try again: Lamp").click()
    assert ("retry", "u0003", "token:admin") in hall.desk.orders


@pytest.mark.asyncio
async def test_the_list_of_devices_is_searched_and_filtered_and_the_address_keeps_what_was_asked(hall: Hall, browser: Any) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.QUEUED)
    page = await browser.new_page()
    await page.goto(f"{hall.base}/#token={hall.token}")
    rows = page.locator("section", has=page.get_by_role("heading", name="Devices")).locator("li")
    await page.get_by_role("searchbox").fill(" pLuG ")
    await page.get_by_text("1 of 2").wait_for()
    assert await rows.get_by_role("link").all_inner_texts() == ["Plug"]
    await page.reload()
    await page.get_by_text("1 of 2").wait_for()
    await page.get_by_label("Which devices").select_option("Updating")
    await page.get_by_text("No device fits.").wait_for()
    await page.get_by_role("searchbox").fill("")
    await page.get_by_text("1 of 2").wait_for()
    assert await rows.get_by_role("link").all_inner_texts() == ["Lamp", "Updating"]


@pytest.mark.asyncio
async def test_a_device_is_updated_from_its_page_only_after_the_hub_has_said_what_would_happen(hall: Hall, browser: Any) -> None:
    hall.desk.jobs["u0001"] = replace(failed(1), finished=NOON)
    page = await browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda each: said.append(str(each)))
    await page.goto(f"{hall.base}/#token={hall.token}")
    await page.get_by_role("link", name="Lamp", exact=True).last.click()
    await page.locator("h1").get_by_text("Lamp").wait_for()
    await page.get_by_text("Would be taken: newer and fitting").wait_for()
    await page.get_by_text("Would not be taken: older than what the device runs").wait_for()
    await page.get_by_text("What is new").first.click()
    await page.get_by_text("Dims better.").first.wait_for()
    assert "no block was asked for in 15 minutes" in await page.get_by_role("list").last.inner_text()
    await page.get_by_role("button", name="Update …", exact=True).click()
    await page.get_by_role("button", name="Order the update").wait_for()
    assert [request.dry_run for what, request, _ in hall.desk.orders if what == "order"] == [True]
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Update to 1.2.6.0 …").click()
    await page.get_by_role("button", name="Order the update").click()
    await page.get_by_role("dialog").wait_for(state="detached")
    await page.get_by_text("1.2.5.9 → 1.2.6.0 · Queued").wait_for()
    ordered = [request for what, request, _ in hall.desk.orders if what == "order"]
    assert [each.dry_run for each in ordered] == [True, True, False]
    assert (ordered[-1].devices, ordered[-1].version) == ((LAMP,), 0x0102_0600)
    assert said == []


@pytest.mark.asyncio
async def test_an_order_that_policy_refuses_is_told_with_its_reason_and_cannot_be_sent(hall: Hall, browser: Any) -> None:
    hall.desk.known[LAMP] = replace(hall.desk.known[LAMP], name="Young")
    page = await browser.new_page()
    await page.goto(f"{hall.base}/#token={hall.token}&to=/device/{LAMP}")
    await page.get_by_role("button", name="Update …", exact=True).click()
    await page.get_by_role("dialog").get_by_text("the release is two days old; policy waits fourteen").wait_for()
    assert await page.get_by_role("dialog").get_by_role("button").all_inner_texts() == ["Back"]
