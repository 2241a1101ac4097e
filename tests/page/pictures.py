"""`make pictures`: the pictures of the README, of the real page and the real terminal, while a demo runs. Look at them before they are committed."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import shutil
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fcntl import ioctl
from io import StringIO
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).parents[2] / "docs"
_COLUMNS, _ROWS = 150, 44
_BOUND = 240.0
_WATCHED = 8.0
_DESK = {"width": 1000, "height": 800}
_LOOKS: dict[str, tuple[dict[str, Any], str]] = {
    "page-light": ({"color_scheme": "light", "viewport": _DESK}, ""),
    "page-phone": ({"color_scheme": "light", "viewport": {"width": 390, "height": 800}}, ""),
    "page-dark": ({"color_scheme": "dark", "viewport": _DESK}, "Transferring"),
}
"""How each picture of the page looks, and the link that is followed before it is made."""


class Terminal:
    """What a program writes to a terminal of its own."""

    def __init__(self) -> None:
        self.text = ""
        self.news = asyncio.Condition()
        self.ended = asyncio.Event()

    async def shows(self, pattern: str) -> re.Match[str]:
        """Wait until the text holds it."""
        async with asyncio.timeout(_BOUND), self.news:
            await self.news.wait_for(lambda: re.search(pattern, self.text) is not None)
        found = re.search(pattern, self.text)
        assert found is not None
        return found


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Terminal]:
    """A program on a terminal, until the block ends."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    process = await asyncio.create_subprocess_exec(*command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True)
    os.close(theirs)
    terminal = Terminal()
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(ours, terminal))
        try:
            yield terminal
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await process.wait()
    os.close(ours)


async def _read(descriptor: int, terminal: Terminal) -> None:
    while True:
        try:
            data = await asyncio.to_thread(os.read, descriptor, 65536)
        except OSError:  # the other side is closed
            terminal.ended.set()
            return
        async with terminal.news:
            terminal.text += data.decode(errors="replace")
            terminal.news.notify_all()


async def photograph(browser: Any, address: str) -> None:
    """The first screen while updates run, in every look."""
    for name, (look, link) in _LOOKS.items():
        context = await browser.new_context(**look)
        page = await context.new_page()
        await page.goto(address)
        if link:
            await page.get_by_role("link", name=link).first.click(timeout=_BOUND * 1000)
            await page.get_by_text("What happened").wait_for()
            await asyncio.sleep(_WATCHED)  # so that there is a curve to see
        await page.get_by_text(re.compile(r"\d+ (s|min) left")).first.wait_for(timeout=_BOUND * 1000)
        await page.screenshot(path=DOCS / f"{name}.png")
        await context.close()


async def said(command: str, url: str, token_file: str) -> str:
    """A command as a person types it, and what it answers."""
    async with running(sys.executable, "-m", "otagate", command, "--url", url, "--token-file", token_file) as terminal:
        await terminal.ended.wait()
        return f"$ otagate {command}\n{terminal.text}".replace("\r", "")


async def photograph_terminal(browser: Any, text: str) -> None:
    """What stands in a terminal, drawn with the fonts that this machine has."""
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="otagate demo"), flags=re.DOTALL)
    context = await browser.new_context(viewport={"width": 1300, "height": 800})
    page = await context.new_page()
    await page.set_content(drawn.replace("Fira Code", "DejaVu Sans Mono"))
    await page.locator("svg").first.screenshot(path=DOCS / "terminal.png")
    await context.close()


async def main() -> None:
    """All of them, from one demo."""
    DOCS.mkdir(exist_ok=True)
    program = shutil.which("chromium")
    if program is None:
        sys.exit("Chromium is not installed (Debian package chromium)")
    async with running(sys.executable, "-m", "otagate", "demo", "--seed", "1", "--stay") as demo, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        address = await demo.shows(r"The page: (\S+)")
        token = await demo.shows(r"token: (/\S+)")
        await demo.shows("transferring")
        await photograph(browser, address[1])
        told = [await said(command, address[1].partition("/#")[0], token[1]) for command in ("devices", "updates")]
        await photograph_terminal(browser, "\n".join(told))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
