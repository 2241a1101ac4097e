"""The page of a whole hub that drives simulated devices: an operator looks ahead, orders, watches and looks back, by keyboard alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, NEW, OTHER_IEEE, assert_updated, device_id, image_of, journey, told

WITHIN = 100_000
"""Milliseconds that the page may take to show what the hub does, on a machine that is busy."""


@pytest.mark.asyncio
async def test_an_operator_updates_two_devices_by_keyboard_cancels_one_and_finds_it_all_in_the_history(tmp_path: Path, browser: Any) -> None:
    image = image_of(30_000)
    devices = (DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE, turnaround=2.0))
    async with journey(tmp_path, *devices, images=[image]) as run:
        for each in (IEEE, OTHER_IEEE):
            await told(run.desk, each)
        tab = await browser.new_page()
        tab.set_default_timeout(WITHIN)

        async def press(name: str, role: str = "button") -> None:
            await tab.get_by_role(role, name=name).first.focus()
            await tab.keyboard.press("Space" if role == "checkbox" else "Enter")

        token = (tmp_path / "state" / "api-token").read_text().strip()
        base = next(each for each in run.hub.server.addresses if each.startswith("http"))
        await tab.goto(f"{base}/#token={token}&to=/plan")
        await tab.locator("h1").get_by_text("2 ask you").wait_for()
        await press("Devices", "link")
        await press("Select all 2 shown", "checkbox")
        await press("Update …")
        await tab.get_by_text("2 updates would be made").wait_for()
        await press("Order 2 updates")
        running = tab.locator("section").filter(has=tab.get_by_role("heading", name="Running now"))
        second = running.get_by_role("listitem").filter(has=tab.locator(f'a[href$="{device_id(OTHER_IEEE)}"]'))
        await second.get_by_role("button", name="Cancel").focus()
        await tab.keyboard.press("Enter")
        await second.wait_for(state="detached")
        await tab.locator("h1").get_by_text("Nothing moves now").wait_for()
        assert_updated(run.device(), image, version=NEW)
        assert run.device(OTHER_IEEE).file_version != NEW
        await press("History", "link")
        await tab.locator(".lines li", has_text="New version read back").first.get_by_role("link").focus()
        await tab.keyboard.press("Enter")
        await tab.locator(".big", has_text="Succeeded").wait_for()
