"""What an operator sees of settings over an update and of notifications, and says of a device. The counter stands in for the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otagate.engine.foresight import DevicePlan
from otagate.engine.patches import DevicePatch
from otagate.model.ids import ComponentId, DeviceId
from otagate.model.lifecycle import State
from tests.api.conftest import Hall
from tests.api.counter import LAMP, NOON, update, view
from tests.page.browsing import go, sign_in
from tests.page.house import FORGETFUL, HALL, KITCHEN, PORCH, furnish

pytestmark = pytest.mark.asyncio


async def test_what_was_recorded_before_an_update_is_told_while_it_runs_and_what_became_of_it_at_its_end(hall: Hall, tab: Any) -> None:
    furnish(hall.desk)
    await sign_in(tab, hall, "/update/u0002")
    settings = tab.locator("section").filter(has=tab.get_by_role("heading", name="Settings of the device"))
    await settings.get_by_text("3 settings were recorded before it").wait_for()
    await settings.get_by_text("Groups · 2").click()
    await settings.get_by_text("group 1/0x0005, group 1/0x0009").wait_for()
    await tab.evaluate("location.hash = '#/update/u0006'")
    await settings.get_by_text("could not be given back").wait_for()
    assert await settings.locator("dt, dd").all_inner_texts() == [
        "Lost",
        "group 1/0x0005",
        "Given back",
        "binding 1/0x0006",
        "Not compared: the device told nothing of them afterwards",
        "reporting 1/0x0402/0x0000",
        "As before",
        "3 settings",
    ]
    await settings.get_by_text("What you can do: Set them again").wait_for()


async def test_an_update_that_lost_settings_today_needs_a_person_though_it_succeeded(hall: Hall, tab: Any) -> None:
    lost = update(1, HALL, State.SUCCEEDED, finished=NOON, behaviour=FORGETFUL)
    hall.desk.jobs = {lost.id: lost, "u0002": replace(lost, id="u0002", device=PORCH, behaviour=replace(FORGETFUL, lost=()))}
    await tab.clock.set_fixed_time(NOON)
    await sign_in(tab, hall)
    needs = tab.locator("section").filter(has=tab.get_by_role("heading", name="Needs you"))
    assert await needs.get_by_role("listitem").count() == 1
    await needs.get_by_text("It lost a setting: group 1/0x0005.").wait_for()


async def test_who_is_told_what_happens_is_shown_and_a_test_is_sent_to_them(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, "/notices")
    row = tab.get_by_role("listitem").filter(has=tab.get_by_role("heading", name="office"))
    assert await row.locator("dd").all_inner_texts() == ["Webhook", "warnings and problems", await row.locator("dd").nth(2).inner_text(), "2"]
    await row.get_by_role("button", name="Send a test").click()
    await row.get_by_text("The test has reached office.").wait_for()
    assert ("test_notifier", "office", "token:admin") in hall.desk.orders


async def test_a_receiver_that_is_not_reached_needs_a_person_and_says_why_and_what_helps(hall: Hall, browser: Any) -> None:
    hall.desk.receiver = "hooks.example.org answered with 500"
    tab = await browser.new_page()  # whose console tells of the refused test
    await sign_in(tab, hall)
    await tab.get_by_text("Notifications to office").wait_for()
    await go(tab, "notices")
    row = tab.get_by_role("listitem").filter(has=tab.get_by_role("heading", name="office"))
    await row.get_by_text("Does not get through").wait_for()
    await row.get_by_text("What you can do: Is its address right").wait_for()
    await row.get_by_role("button", name="Send a test").click()
    await row.get_by_text("That was refused: hooks.example.org answered with 500").wait_for()


async def test_a_device_is_named_moved_pinned_and_given_a_rule_of_its_own_and_only_what_changed_is_sent(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Change …").click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("Ceiling")
    await dialog.get_by_label("Groups").fill(" hall,, upstairs ")
    await dialog.get_by_label("Stay at version").select_option("1.2.5.9")
    await dialog.get_by_label("New releases").select_option("are taken by themselves")
    await dialog.get_by_label("Why").fill("the newer one flickers")
    await dialog.get_by_role("button", name="Keep it so").click()
    await tab.locator("h1").get_by_text("Ceiling").wait_for()
    (patch,) = [request for verb, request, _ in hall.desk.orders if verb == "amend"]
    assert isinstance(patch, DevicePatch)
    assert (patch.name, patch.groups, patch.pin, patch.because) == ("Ceiling", ("hall", "upstairs"), 0x0102_0509, "the newer one flickers")
    assert patch.room == DevicePatch().room, "it was not touched"
    facts = tab.locator(".card").first
    await facts.get_by_text("hall, upstairs").wait_for()
    await facts.get_by_text("are taken by themselves").wait_for()


async def test_a_version_is_skipped_and_skipped_no_more(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Skip 1.2.6.0").click()
    await tab.get_by_role("button", name="Skip 1.2.6.0 no more").wait_for()
    assert hall.desk.known[LAMP].skipped == (0x0102_0600,)
    await tab.get_by_role("button", name="Skip 1.2.6.0 no more").click()
    await tab.get_by_role("button", name="Skip 1.2.6.0", exact=True).wait_for()
    assert hall.desk.known[LAMP].skipped == ()


async def test_a_device_is_asked_what_it_runs(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Ask it what it runs").click()
    await tab.get_by_text("The device has told what it runs.").wait_for()


async def test_in_the_picture_of_the_plan_times_stand_right_of_names_and_below_one_another(hall: Hall, tab: Any) -> None:
    furnish(hall.desk)
    await tab.clock.install(time=NOON)
    await sign_in(tab, hall, "/plan")
    lanes = tab.get_by_role("img", name="Timeline of the next").locator(".lane")
    await lanes.nth(3).wait_for()
    boxes = [(await lanes.nth(at).locator(".label").bounding_box(), await lanes.nth(at).locator(".track").bounding_box()) for at in range(1, 4)]
    assert all(label["x"] + label["width"] <= track["x"] and abs(label["y"] - track["y"]) < label["height"] for label, track in boxes)
    assert len({round(track["x"]) for _, track in boxes}) == 1


async def test_before_an_order_is_made_it_says_what_comes_from_where_and_what_is_new(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Update …", exact=True).click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_text("1.2.5.9 → 1.2.6.0 · from directory").wait_for()
    await dialog.get_by_text("What is new").click()
    await dialog.get_by_text("Dims better.").wait_for()
    assert [request.dry_run for verb, request, _ in hall.desk.orders if verb == "order"] == [True]


async def test_what_has_ended_since_the_plan_was_read_runs_no_more_there(hall: Hall, tab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    running = update(1, LAMP, State.CONFIRMING)
    hall.desk.jobs = {running.id: running}
    read = hall.desk.plan

    async def plan(device: DeviceId) -> DevicePlan:
        found = await read(device)
        runs = replace(found.components[0], outcome="runs", reason=None, update=running) if device == LAMP else found.components[0]
        return replace(found, components=[runs])

    monkeypatch.setattr(hall.desk, "plan", plan)
    await tab.clock.set_fixed_time(NOON)
    await sign_in(tab, hall, "/plan")
    lanes = tab.get_by_role("img", name="Timeline of the next").locator(".label")
    assert await lanes.all_inner_texts() == ["Window night", "Lamp", "Plug"]
    hall.desk.jobs[running.id] = replace(running, state=State.SUCCEEDED, finished=NOON)
    await hall.desk.record("update", running.id, "version_matches", {"state": "succeeded"})
    await tab.get_by_role("link", name="Succeeded", exact=True).wait_for()
    assert await lanes.all_inner_texts() == ["Window night", "Plug"]


async def test_steps_of_one_job_stand_together_and_say_of_which_component_each_is(hall: Hall, tab: Any) -> None:
    first = update(1, LAMP, State.TRANSFERRING, job="j1", step=1, steps=2)
    second = update(2, LAMP, State.QUEUED, job="j1", step=2, steps=2, component=ComponentId("1"), reason="predecessor")
    hall.desk.jobs = {each.id: each for each in (first, second)}
    await sign_in(tab, hall, f"/update/{first.id}")
    steps = tab.locator("section").filter(has=tab.get_by_role("heading", name="Steps")).get_by_role("listitem")
    assert await steps.all_inner_texts() == [
        "This update Component 0x1409 · 1.2.5.9 → 1.2.6.0 · Transferring",
        "Step 2 Component 1 · 1.2.5.9 → 1.2.6.0 · Queued",
    ]


async def test_while_nobody_knows_how_fast_one_of_them_will_go_no_end_is_promised(hall: Hall, tab: Any) -> None:
    furnish(hall.desk)
    rows = (update(1, HALL, State.TRANSFERRING), update(2, PORCH, State.OFFERING), update(3, KITCHEN, State.QUEUED, reason="asleep"))
    hall.desk.jobs = {each.id: each for each in rows}
    hall.desk.source_views = []
    await sign_in(tab, hall)
    hall.desk.live_views.put_nowait(view(rows[0], sent=1000, rate=10.0))
    await tab.get_by_text("10 B/s").wait_for()
    assert await tab.locator("h1").inner_text() == "2 devices are updating; 1 waits"
    await tab.get_by_text("Why: Asleep (1).").wait_for()


async def test_a_change_that_the_hub_refuses_is_told(hall: Hall, browser: Any) -> None:
    tab = await browser.new_page()  # whose console tells of the refusal
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.route("**/api/v1/devices/*", lambda route: route.fulfill(status=503, json={"title": "Not now", "detail": "the disk is full"}))
    await tab.get_by_role("button", name="Skip 1.2.6.0").click()
    await tab.get_by_text("That was refused: the disk is full").wait_for()
    await tab.get_by_role("button", name="Change …").click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_label("Room").fill("Attic")
    await dialog.get_by_role("button", name="Keep it so").click()
    await dialog.get_by_text("That was refused: the disk is full").wait_for()
