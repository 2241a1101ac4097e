"""What the hub has and is made of, as the page shows it: images, radios, sources, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otagate.api.auth import TokenFile
from tests.api.conftest import Hall, Open
from tests.api.counter import IMAGE_MAGIC
from tests.page.browsing import go, sign_in
from tests.page.house import HOSTILE, furnish

PANEL = "panel-token-of-the-hall"


def file(data: bytes, name: str = "A19.ota") -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


async def opened(hall: Hall, browser: Any, name: str) -> Any:
    """A page at a view."""
    page = await browser.new_page()
    await sign_in(page, hall)
    await go(page, name)
    return page


@pytest.mark.asyncio
async def test_a_file_is_told_before_it_is_stored_and_stored_only_when_somebody_agrees(hall: Hall, browser: Any) -> None:
    page = await opened(hall, browser, "images")
    await page.get_by_label("A firmware file").set_input_files(file(IMAGE_MAGIC + b"one"))
    told = page.get_by_role("status").filter(has_text="Nothing is stored yet.")
    await told.wait_for()
    assert "A19 RGBW" in await told.inner_text()
    assert "0x1189" in await told.inner_text()
    assert (hall.desk.stored, hall.desk.orders) == ({}, [])
    await page.get_by_role("button", name="Leave it").click()
    await told.wait_for(state="detached")
    await page.get_by_label("A firmware file").set_input_files(file(IMAGE_MAGIC + b"one"))
    await page.get_by_role("button", name="Store this image").click()
    await page.get_by_role("button", name="Delete: A19.ota").wait_for()
    assert [(what, name) for what, name, _ in hall.desk.orders] == [("add_image", "A19.ota")]
    assert await page.get_by_role("button", name="Store this image").count() == 0
    async with page.expect_download() as saved:
        await page.get_by_role("button", name="Save the file: A19.ota").click()
    assert Path(await (await saved.value).path()).read_bytes() == IMAGE_MAGIC + b"one"


@pytest.mark.asyncio
async def test_a_corrupt_file_is_refused_with_the_sentence_that_says_what_is_wrong(hall: Hall, browser: Any) -> None:
    page = await opened(hall, browser, "images")
    await page.get_by_label("A firmware file").set_input_files(file(b"hello", HOSTILE[:200]))
    refused = page.get_by_role("status").filter(has_text="upgrade file identifier at byte 0 is not 0x0BEEF11E")
    await refused.wait_for()
    assert "\u202e" not in await refused.inner_text()
    assert await page.get_by_role("button", name="Store this image").count() == 0
    await page.get_by_label("A firmware file").set_input_files(file(IMAGE_MAGIC))
    await page.get_by_role("button", name="Store this image").wait_for()
    await refused.wait_for(state="detached")


@pytest.mark.asyncio
async def test_an_image_is_deleted_only_after_a_question_and_the_hub_may_refuse_it(hall: Hall, browser: Any) -> None:
    furnish(hall.desk)
    page = await opened(hall, browser, "images")
    await page.get_by_text("4 updates need it.").wait_for()
    delete = page.get_by_role("button", name="Delete: plug.zigbee")
    await delete.click()
    await page.get_by_role("dialog", name="Delete plug.zigbee?").wait_for()
    await page.keyboard.press("Enter")  # the focus is on the button that leaves everything as it is
    assert "cd" * 32 in hall.desk.stored
    await delete.click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await delete.wait_for(state="detached")
    assert list(hall.desk.stored) == ["ab" * 32]


@pytest.mark.asyncio
async def test_a_radio_that_is_in_use_says_what_helps_and_is_tried_again_at_a_word(hall: Hall, browser: Any) -> None:
    hall.desk.ready = False
    page = await opened(hall, browser, "radios")
    await page.get_by_text("Stop the other program that drives the stick, then try again.").wait_for()
    assert await page.get_by_role("button", name="Back up the network: zigbee0").is_disabled()
    async with page.expect_response("**/zigbee0/reattach"):
        await page.get_by_role("button", name="Try again: zigbee0").click()
    assert [what for what, _, _ in hall.desk.orders] == ["reattach"]


@pytest.mark.asyncio
async def test_a_radio_stands_still_at_a_word_and_goes_on_at_another(hall: Hall, browser: Any) -> None:
    page = await opened(hall, browser, "radios")
    await page.get_by_role("button", name="Pause: zigbee0").click()
    await page.get_by_text("Paused: nothing moves on it (token:admin").wait_for()
    await page.get_by_role("button", name="Resume: zigbee0").click()
    await page.get_by_role("button", name="Pause: zigbee0").wait_for()
    await page.get_by_role("button", name="Let devices join").click()
    await page.get_by_text("The network is open for 60 seconds.").wait_for(state="attached")
    assert [what for what, _, _ in hall.desk.orders] == ["pause_radio", "resume_radio", "permit_join"]


@pytest.mark.asyncio
async def test_devices_stand_under_their_radio_the_weakest_link_first(hall: Hall, browser: Any) -> None:
    furnish(hall.desk)
    page = await opened(hall, browser, "radios")
    await page.get_by_text("4 % of the air in the last 5 min").wait_for()
    rows = await page.get_by_role("listitem").all_inner_texts()
    assert [each.split("\n")[0] for each in rows] == ["Porch switch", "Desk socket", "Window sensor", "Kitchen lamp", "Hall lamp", "Old dimmer"]
    assert "link quality 18 of 255 · -96 dBm" in rows[0]


@pytest.mark.asyncio
async def test_a_network_is_copied_after_a_question_and_the_page_says_where_the_copy_lies(hall: Hall, browser: Any) -> None:
    page = await opened(hall, browser, "radios")
    await page.get_by_role("button", name="Back up the network: zigbee0").click()
    assert hall.desk.orders == []
    await page.get_by_role("dialog").get_by_role("button", name="Back up the network").click()
    await page.get_by_role("dialog").get_by_text("backups/zigbee0-20260501T120000Z.json").wait_for()
    assert hall.desk.orders == [("back_up", "zigbee0", "token:admin")]


@pytest.mark.asyncio
async def test_a_token_that_may_only_read_is_offered_nothing_that_it_may_not_do(open_hall: Open, browser: Any, tmp_path: Path) -> None:
    kept = tmp_path / "panel"
    kept.write_text(PANEL)
    kept.chmod(0o600)
    hall = await open_hall(tokens=(TokenFile(name="panel", file=kept, scopes=frozenset({"read"})),))
    hall.token = PANEL
    furnish(hall.desk)
    page = await opened(hall, browser, "settings")
    await page.get_by_text("token:panel").wait_for()
    for name, kept_buttons in (("radios", 0), ("sources", 0), ("images", 2)):
        await go(page, name)
        assert await page.locator("main").get_by_role("button").count() == kept_buttons, name
    assert await page.get_by_label("A firmware file").count() == 0


@pytest.mark.asyncio
async def test_a_source_that_is_not_reached_says_what_helps_and_what_may_still_be_asked(hall: Hall, browser: Any) -> None:
    furnish(hall.desk)
    page = await opened(hall, browser, "sources")
    ledvance = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="ledvance"))
    text = await ledvance.inner_text()
    assert "api.update.ledvance.com did not answer within 30 s" in text
    assert "Can this hub reach the internet?" in text
    assert "120 of 1,000 calls left; the limit is for 1 d" in text
    await ledvance.get_by_text("1 entry of no use, and why").click()
    await ledvance.get_by_text("it names no file").wait_for()
    async with page.expect_response("**/ledvance/refresh"):
        await ledvance.get_by_role("button", name="Ask now: ledvance").click()
    assert hall.desk.orders == [("refresh", "ledvance", "token:admin")]


@pytest.mark.asyncio
async def test_every_setting_is_found_by_the_key_that_stands_in_the_file(open_hall: Open, browser: Any) -> None:
    windows = [{"name": "night", "days": ["mon", "tue"], "to": None}]
    hall = await open_hall(effective={"state_dir": "/srv", "policy": {"cooldown": "14d", "rules": []}, "windows": windows})
    page = await opened(hall, browser, "settings")
    shown = dict(zip(await page.locator(".keys dt").all_inner_texts(), await page.locator(".keys dd").all_inner_texts(), strict=True))
    assert shown == {
        "state_dir": "/srv",
        "policy.cooldown": "14d",
        "policy.rules": "none",
        "windows[0].name": "night",
        "windows[0].days": "mon and tue",
        "windows[0].to": "not set",
    }
    await page.get_by_role("searchbox").fill("COOLdown")
    await page.get_by_text("state_dir").wait_for(state="detached")
    assert await page.locator(".keys dt").all_inner_texts() == ["policy.cooldown"]
