"""How soon the page shows every device of a hub, and what a browser fetches for that."""

from __future__ import annotations

import shutil
import socket
import statistics
from pathlib import Path
from typing import Any

from hil.bench.children import ChildError
from hil.bench.upkeep import Extent, daemon, live_in
from hil.bench.verdicts import Figures, Reach

_BOUND = 60_000.0
"""Milliseconds for one opening of the page."""

REACHES = (
    Reach(figure="drawn_seconds", text="until the page shows every one of 500 devices, s", most=1.0),
    Reach(figure="transferred_kilobytes", text="fetched of the page for that, kB", most=150),
)

_WATCH = """(count) => { new MutationObserver((_, watch) => {
  if (document.querySelectorAll("main li").length < count) return;
  watch.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { document.documentElement.dataset.drawn = performance.now(); }));
}).observe(document, { subtree: true, childList: true }); }"""
"""Notes when the frame was drawn that has every row, in milliseconds since the address was entered."""


async def opened(browser: Any, address: str, count: int) -> dict[str, float]:
    """One opening with an empty cache: until every row is drawn, the processor's share of that on the page's thread, and bytes of the page itself."""
    context = await browser.new_context()
    page = await context.new_page()
    fetched: list[Any] = []
    page.on("requestfinished", lambda each: fetched.append(each))
    await page.add_init_script(f"({_WATCH})({count})")
    inside = await context.new_cdp_session(page)
    await inside.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.goto(address)
    shown = page.locator("html[data-drawn]")
    await shown.wait_for(state="attached", timeout=_BOUND)
    drawn = float(await shown.get_attribute("data-drawn")) / 1000
    spent = {each["name"]: each["value"] for each in (await inside.send("Performance.getMetrics"))["metrics"]}
    sizes = [(await each.sizes())["responseBodySize"] for each in fetched if "/api/v1/" not in each.url]
    await context.close()
    return {"drawn_seconds": drawn, "cpu_seconds": spent["TaskDuration"], "transferred_kilobytes": sum(sizes) / 1000}


async def measure(extent: Extent, scratch: Path) -> Figures:
    """Every figure (the medians). Raises ChildError where there is no browser."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise ChildError("Playwright is not installed: pip install -e '.[dev]'") from None
    program = shutil.which("chromium")
    if program is None:
        raise ChildError("Chromium is not installed (Debian package chromium)")
    (scratch / "state").mkdir()
    await live_in(scratch, extent)
    listen = _free_address()
    async with daemon(scratch, [], listen=[listen]), async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        token = (scratch / "state" / "api-token").read_text().strip()
        openings = [await opened(browser, f"http://{listen}/#token={token}", extent.known) for _ in range(extent.starts)]
        await browser.close()
    return {name: statistics.median(each[name] for each in openings) for name in openings[0]}


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
