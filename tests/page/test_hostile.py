"""Names, notes and files of people who mean harm: on every view they are text, cut to a length, and turn no line around."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from otagate.engine.views import Offer
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour, Portrait, Setting
from otagate.model.updates import Failure
from otagate.model.verdicts import Verdict
from tests.api.conftest import Hall
from tests.api.counter import NOON, TYPE, Counterfoil, release
from tests.page.browsing import EVERYWHERE, go, sign_in
from tests.page.house import HALL, HOSTILE, furnish

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_HANDLERS = "[...document.querySelectorAll('*')].filter(each => [...each.attributes].some(({ name }) => name.startsWith('on'))).length"
_TOO_WIDE = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  const over = (each) => each.getBoundingClientRect().right > clientWidth + 1;
  return scrollWidth <= clientWidth ? [] : [...document.querySelectorAll("main *")].filter(over).map((each) => each.outerHTML.slice(0, 200));
}"""


def poison(desk: Counterfoil) -> None:
    """Say the worst in every place where others have a say."""
    furnish(desk)
    words = {"name": HOSTILE, "room": HOSTILE, "model": HOSTILE, "manufacturer": HOSTILE, "groups": (HOSTILE,)}
    desk.known = {key: replace(each, **words) for key, each in desk.known.items()}
    failure = Failure(code="transfer-stalled", detail=HOSTILE)
    desk.jobs = {
        key: replace(each, actor=HOSTILE, because=HOSTILE, source=HOSTILE, error=failure if each.state is State.FAILED else None)
        for key, each in desk.jobs.items()
    }
    forgetful = Behaviour(kept=1, restored=(HOSTILE,), lost=(HOSTILE,), not_compared=(HOSTILE,))
    desk.jobs["u0006"] = replace(desk.jobs["u0006"], behaviour=forgetful, device=HALL)
    desk.portraits[UpdateId("u0002")] = Portrait(settings=(Setting(kind="binding", question="", at=HOSTILE, value=HOSTILE),))
    desk.receiver = HOSTILE
    desk.stored = {
        key: replace(each, file_name=HOSTILE, source=HOSTILE, facts=replace(each.facts, header_string=HOSTILE)) for key, each in desk.stored.items()
    }
    desk.source_views = [
        replace(each, sentence=HOSTILE, name=HOSTILE, skipped=tuple(replace(entry, what=HOSTILE, why=HOSTILE) for entry in each.skipped))
        for each in desk.source_views
    ]
    desk.campaigns = {key: replace(each, rollout=replace(each.rollout, name=HOSTILE, sentence=HOSTILE)) for key, each in desk.campaigns.items()}
    verdict = Verdict(decision="refuse", sentence=HOSTILE)
    offer = Offer(component=TYPE, release=replace(release(), notes=HOSTILE[:300] * 40, source=HOSTILE, region=HOSTILE), verdict=verdict)

    async def offers(_device: object) -> list[Offer]:
        return [offer]

    desk.offers = offers  # type: ignore[method-assign]


@pytest.mark.asyncio
async def test_what_others_say_is_text_on_every_view_and_turns_no_line_around(hall: Hall, browser: Any) -> None:
    poison(hall.desk)
    for subject in ("device", "update"):
        await hall.desk.record(subject, HALL, HOSTILE[:60], {"name": HOSTILE, "because": HOSTILE}, actor=HOSTILE)
    context = await browser.new_context(viewport={"width": 390, "height": 800})
    page = await context.new_page()
    await page.clock.set_fixed_time(NOON)
    said: list[str] = []
    page.on("dialog", lambda each: said.append(each.message))
    page.on("console", lambda each: said.append(each.text))
    page.on("pageerror", lambda each: said.append(str(each)))
    await sign_in(page, hall)
    for name in (*EVERYWHERE, "update/u0006"):
        await go(page, name)
        for closed in await page.locator("summary").all():
            await closed.click()
        content = await page.content()
        assert _UNSEEN.search(content) is None, (name, content[max(0, _UNSEEN.search(content).start() - 80) :][:160])  # type: ignore[union-attr]
        assert "x" * 500 not in content, name
        assert await page.locator("body script, body img, body iframe, body object").count() == 0, name
        assert await page.evaluate(_HANDLERS) == 0, name
        assert await page.evaluate(_TOO_WIDE) == [], name
    await go(page, "device")
    assert "<script>alert(1)</script>" in await page.locator("main").inner_text()
    assert said == []
