"""An operator without a mouse, from the token to the history, on the page of a whole hub with simulated hardware."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from otagate.engine.patches import DevicePatch
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, IMAGE_TYPE, MANUFACTURER, OLD, OTHER_IEEE, WITHIN, assert_updated, device_id, image_of, journey, told

MOST_TABS = 120
IMAGE = image_of()
INDEX = [
    {
        "fileVersion": OLD - 1,
        "manufacturerCode": MANUFACTURER,
        "imageType": IMAGE_TYPE,
        "fileSize": 1000,
        "sha512": "ab" * 64,
        "url": "https://firmware.example.org/old.ota",
        "releaseNotes": "It dims better.",
    }
]
_FOCUSED = """() => {
  const at = document.activeElement;
  if (at === document.body) return "";
  return [at.getAttribute("aria-label"), at.labels?.[0]?.innerText, at.innerText].filter(Boolean).join(" ").trim();
}"""


class Keyboard:
    """All that an operator without a mouse has."""

    def __init__(self, page: Any) -> None:
        self.page = page

    async def tab_to(self, words: str) -> None:
        """Press the tabulator until the focus is on what is called so; whatever it stops at has a name."""
        passed = []
        for _ in range(MOST_TABS):
            await self.page.keyboard.press("Tab")
            passed.append(await self.page.evaluate(_FOCUSED))
            if passed[-1].startswith(words):
                return
        raise AssertionError(f"{words!r} is not reached: {passed}")

    async def press(self, words: str, key: str = "Enter") -> None:
        """Go to what is called so and press it."""
        await self.tab_to(words)
        await self.page.keyboard.press(key)

    async def visit(self, name: str) -> None:
        """Go to a view by the navigation: its heading then has the focus."""
        await self.press(name)
        await self.page.locator("h1:focus").wait_for()

    async def choose_file(self, name: str, data: bytes) -> None:
        """Open the browser's own dialog for files, and choose one there."""
        async with self.page.expect_file_chooser() as opened:
            await self.press("A firmware file")
        await (await opened.value).set_files({"name": name, "mimeType": "application/octet-stream", "buffer": data})


@pytest.mark.asyncio
async def test_everything_is_done_by_keyboard_on_the_page_of_a_whole_hub(tmp_path: Path, browser: Any) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps(INDEX))
    policy = {"default": "ask", "approval_expires": "7d", "cooldown": "0d"}
    radio = {"sources": [{"type": "z2m-index", "path": str(index)}]}
    specs = (DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE, turnaround=2.0))
    async with journey(tmp_path, *specs, images=[IMAGE], stored=[], policy=policy, radio=radio) as run:
        for ieee, name in ((IEEE, "Fast lamp"), (OTHER_IEEE, "Slow lamp")):
            await told(run.desk, ieee)
            await run.desk.amend(device_id(ieee), DevicePatch(name=name), actor="test")
        page = await browser.new_page()
        page.set_default_timeout(WITHIN * 1000)
        said: list[str] = []
        page.on("pageerror", lambda each: said.append(str(each)))
        await page.goto(run.hub.server.addresses[0])
        keys = Keyboard(page)
        await keys.tab_to("Token")
        await page.keyboard.type((tmp_path / "state" / "api-token").read_text().strip())
        await page.keyboard.press("Enter")
        await page.locator("h1").get_by_text("Nothing moves now").wait_for()

        # a corrupt file is refused, a good one told and stored
        await keys.visit("Images")
        await keys.choose_file("bad.ota", IMAGE[:-10])
        await page.get_by_text("bad.ota cannot be used").wait_for()
        await keys.choose_file("lamp.ota", IMAGE)
        await page.get_by_text("Nothing is stored yet.").wait_for()
        assert await run.desk.images() == []
        await keys.press("Store this image")
        await page.get_by_role("button", name="Delete: lamp.ota").wait_for()

        # see what it makes of that, and plan
        await keys.visit("Plan")
        await page.get_by_role("heading", name="Waits").or_(page.get_by_role("heading", name="Held back")).first.wait_for()
        await keys.visit("Devices")
        await page.locator("h1").get_by_text("2 need you").wait_for()

        # approve both, cancel the slow one while it runs, and watch the other to its end
        await keys.press("Approve: Slow lamp")
        await page.locator("h1").get_by_text("1 needs you").wait_for()
        await run.device(OTHER_IEEE).wait_until(lambda it: it.counters.blocks > 0, WITHIN)
        await keys.press("Cancel: Slow lamp")
        await page.get_by_text("Nothing is on the air.").wait_for()
        await keys.press("Approve: Fast lamp")
        await page.get_by_role("status").get_by_text("Fast lamp: Succeeded").wait_for(state="attached")
        assert_updated(run.device(), IMAGE)
        assert run.device(OTHER_IEEE).file_version == OLD

        # ask a source, read what is new, and filter the history
        await keys.visit("Sources")
        await keys.press("Ask now: z2m-index")
        await page.get_by_text("1 release").first.wait_for()
        await keys.visit("Devices")
        await keys.press("Fast lamp")
        await keys.press("What is new")
        await page.get_by_text("It dims better.").wait_for()
        await keys.visit("History")
        await keys.tab_to("About")
        await page.keyboard.type("Im")
        await page.locator("ol", has_not=page.get_by_role("link")).wait_for()  # no line about a device or an update
        assert hashlib.sha256(IMAGE).hexdigest()[:16] in await page.locator("ol").inner_text()
        assert said == []
