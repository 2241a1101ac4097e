"""How tests go about the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from otagate.api.page import FOLDER
from otagate_rig.node_packages import NodeMissingError, install_packages
from tests.api.conftest import Hall
from tests.page.house import HALL

VIEWS = re.findall(r"^  (\w+): \{.*load:", (FOLDER / "router.js").read_text(), re.MULTILINE)
"""Every view that the router knows."""

_OF = {"device": HALL, "update": "u0002"}
"""Of what a view shows one, and which one the tests look at."""

EVERYWHERE = (*VIEWS, "rollouts/r000001")
"""Every view, and those that show one thing of a list."""

_READING = re.compile("Reading what the hub knows|Asking the hub what it would do")

_RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}, "resultTypes": ["violations"]}


def axe() -> Path:
    """The program that looks for what people with disabilities could not use; skips the test where it cannot be had."""
    try:
        return install_packages(Path(__file__).parent, "page") / "node_modules" / "axe-core" / "axe.min.js"
    except NodeMissingError as error:
        pytest.skip(f"axe-core: {error}")


async def sign_in(page: Any, hall: Hall, to: str = "/") -> None:
    """Open the page with the admin's token, and wait until it shows what the hub told."""
    await page.goto(f"{hall.base}/#token={hall.token}&to={to}")
    await page.get_by_role("navigation").wait_for()


async def go(page: Any, name: str) -> None:
    """Go to a view, and wait until it shows what it reads."""
    await page.evaluate("to => { document.activeElement.blur(); location.hash = to; }", f"#/{name}" + (f"/{_OF[name]}" if name in _OF else ""))
    await page.locator("h1:focus").wait_for()
    await page.locator("main").filter(has_not_text=_READING).wait_for()


async def violations(page: Any, *, contrast_only: bool = False) -> list[str]:
    """What axe finds on the page as it is now: rule, element, and what is wrong with it."""
    found = await page.evaluate("rules => axe.run(document, rules)", _CONTRAST if contrast_only else _RULES)
    assert found["passes"], "axe looked at nothing"
    return [f"{each['id']}: {node['html'][:200]}: {node['failureSummary']}" for each in found["violations"] for node in each["nodes"]]
