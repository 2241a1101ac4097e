"""What an operator does on the page: order for many at once, look ahead, watch, steer a rollout, look back. The counter stands in for the engine."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from otagate.api.auth import TokenFile
from otagate.engine.views import WaveView
from otagate.model.lifecycle import State
from otagate.model.rollouts import DEFAULT_WAVES, RolloutId, RolloutState, Tally, Wave
from otagate.reports.seal import check
from tests.api.conftest import Hall
from tests.api.counter import LAMP, NOON, PLUG, failed, rollout, update, view
from tests.page.browsing import go, sign_in
from tests.page.house import DESK, DIMMER, HALL, IDS, KITCHEN, PORCH, WINDOW, furnish
from tests.reports.samples import sample_report

pytestmark = pytest.mark.asyncio


def ordered(hall: Hall, what: str = "order") -> list[Any]:
    return [request for verb, request, _ in hall.desk.orders if verb == what]


async def test_many_are_chosen_by_keyboard_and_ordered_only_as_the_dry_run_showed_it(hall: Hall, tab: Any) -> None:
    furnish(hall.desk)
    hall.desk.jobs = {"u0001": update(1, KITCHEN, State.QUEUED)}
    hall.desk.known[DIMMER] = replace(hall.desk.known[DIMMER], name="Young")
    await sign_in(tab, hall)
    await tab.get_by_label("Select Desk socket").focus()
    await tab.keyboard.press("Space")
    await tab.get_by_text("1 device selected").wait_for()
    assert await tab.get_by_label("Select all 6 shown").evaluate("box => box.indeterminate")
    await tab.get_by_label("Select all 6 shown").focus()
    await tab.keyboard.press("Space")
    await tab.get_by_text("6 devices selected").wait_for()
    await tab.get_by_role("region", name="Selection").get_by_role("button", name="Update …").focus()
    await tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog", name="Update 6 devices?")
    await dialog.get_by_text("4 updates would be made, 2 devices would be left out").wait_for()
    assert await dialog.locator("summary").all_inner_texts() == [
        "Overrule what is in the way",
        "Begins at once: 4 devices",
        "1 device left out: An update is under way already",
        "1 device left out: Release is new",
    ]
    await dialog.get_by_text("1 device left out: Release is new").click()
    await dialog.get_by_text("the release is two days old; policy waits fourteen").wait_for()
    assert [each.dry_run for each in ordered(hall)] == [True]
    await dialog.get_by_role("button", name="Order 4 updates").click()
    await dialog.wait_for(state="detached")
    assert [each.dry_run for each in ordered(hall)] == [True, False]
    assert set(ordered(hall)[-1].devices) == set(IDS)
    assert hall.desk.keys[-1] is not None
    await tab.get_by_text("devices selected").wait_for(state="detached")
    await tab.locator("h1").get_by_text("5 wait").wait_for()


async def test_a_guard_is_overruled_only_with_a_reason_and_after_another_dry_run(hall: Hall, tab: Any) -> None:
    hall.desk.known[LAMP] = replace(hall.desk.known[LAMP], name="Young")
    await sign_in(tab, hall)
    await tab.get_by_label("Select all 2 shown").check()
    await tab.get_by_role("region", name="Selection").get_by_role("button", name="Update …").click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_text("Overrule what is in the way").click()
    await dialog.get_by_label("Overrule: Release is new").check()
    await dialog.get_by_text("Say why you overrule it.").wait_for()
    assert await dialog.get_by_role("button", name="Order").count() == 0
    await dialog.get_by_label("Why (the history keeps it)").fill(" seen it at home ")
    await dialog.get_by_label("When").select_option("In the next window")
    await dialog.get_by_role("button", name="Order the update").click()
    await dialog.wait_for(state="detached")
    last = ordered(hall)[-1]
    assert (last.override, last.because, last.when, last.dry_run) == (("cooldown",), "seen it at home", "window", False)
    assert [(each.dry_run, each.override, each.when) for each in ordered(hall)][-2] == (True, ("cooldown",), "window")


async def test_an_order_that_did_not_arrive_is_sent_again_under_the_same_key(hall: Hall, browser: Any) -> None:
    tab = await browser.new_page()
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Update …", exact=True).click()
    await tab.get_by_role("button", name="Order the update").wait_for()
    answered: list[str] = []

    async def lose(route: Any) -> None:
        answered.append(route.request.headers["idempotency-key"])
        await (route.fetch() if len(answered) == 1 else route.continue_())
        if len(answered) == 1:
            await route.abort()

    await tab.route("**/api/v1/updates", lose)
    await tab.get_by_role("button", name="Order the update").click()
    await tab.get_by_text("That was refused").wait_for()
    async with tab.expect_response("**/api/v1/updates"):
        await tab.get_by_role("button", name="Order the update").click()
    assert len(set(answered)) == 1


async def test_the_plan_tells_what_begins_in_which_window_and_every_rule_that_says_so(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, "/plan")
    await tab.locator("h1").get_by_text("2 wait").wait_for()
    picture = tab.get_by_role("img", name="Timeline of the next")
    assert await picture.locator(".label").all_inner_texts() == ["Window night", "Lamp", "Plug"]
    windows = tab.locator("section").filter(has=tab.get_by_role("heading", name="Windows"))
    await windows.get_by_text("2 updates would begin · 2 s of airtime").wait_for()
    waits = tab.locator("section").filter(has=tab.get_by_role("heading", name="Waits")).get_by_role("listitem").first
    await waits.get_by_text("No window is open for it. When the window night opens, ").wait_for()
    await waits.get_by_text("about 5 min 12 s").wait_for()
    await waits.get_by_text("Every rule, and what it says").click()
    assert await waits.locator(".rules li").all_inner_texts() == [
        "Yes. The device is pinned to no other version.",
        "Not now. No window is open for it.",
    ]


async def test_a_plan_that_cannot_be_read_any_more_says_of_when_it_is(hall: Hall, browser: Any) -> None:
    tab = await browser.new_page()
    await tab.clock.install()
    await sign_in(tab, hall, "/plan")
    await tab.locator("h1").get_by_text("2 wait").wait_for()
    await tab.route("**/api/v1/plan*", lambda route: route.abort())
    await tab.clock.fast_forward("02:00")
    await tab.get_by_role("alert").get_by_text("What you see is of").wait_for()
    await tab.unroute("**/api/v1/plan*")
    await tab.clock.fast_forward("00:30")
    await tab.get_by_text("What you see is of").wait_for(state="detached")


async def test_a_running_update_is_watched_live_with_its_rate_and_what_helps_when_it_stalls(hall: Hall, tab: Any) -> None:
    running = update(1, LAMP, State.TRANSFERRING, bytes_sent=100)
    hall.desk.jobs["u0001"] = running
    await hall.desk.record("update", "u0001", "created", {"state": "queued"}, actor="token:admin")
    await hall.desk.record("update", "u0001", "accepted", {"state": "transferring", "detail": "it asked for the first block"})
    await tab.clock.install(time=NOON)
    await sign_in(tab, hall)
    await tab.get_by_role("link", name="Transferring: the update of Lamp").click()
    await tab.locator("h1").get_by_text("Update of Lamp").wait_for()
    happened = tab.locator("section").filter(has=tab.get_by_role("heading", name="What happened"))
    await happened.get_by_text("it asked for the first block").wait_for()
    for sent, rate in ((1000, 90.0), (1200, 50.0)):
        hall.desk.live_views.put_nowait(view(running, sent=sent, rate=rate))
        await tab.get_by_text(f"{sent / 1000:.1f} kB of 2.0 kB · {rate:.0f} B/s · {(2000 - sent) / rate:.0f} s left").wait_for()
    assert await tab.get_by_role("progressbar", name="Progress of Lamp").get_attribute("value") == "60"
    await tab.get_by_role("img", name="now 50 B/s, at most 90 B/s").wait_for()
    assert await tab.locator("#said").inner_text() == "Lamp: 60 %"
    await tab.clock.set_system_time(NOON + timedelta(minutes=3))
    hall.desk.live_views.put_nowait(view(update(2, PLUG)))
    await tab.get_by_text("The device has asked for nothing more for").wait_for()
    await tab.get_by_text("What you can do: Is it switched on, and near enough?").wait_for()


async def test_an_update_is_paused_resumed_and_cancelled_from_its_page_and_tried_again(hall: Hall, tab: Any) -> None:
    hall.desk.jobs["u0001"] = update(1, LAMP, State.TRANSFERRING, bytes_sent=100)
    await sign_in(tab, hall, "/update/u0001")

    async def press(verb: str, *, kind: str) -> None:
        async with tab.expect_response(lambda answer: answer.request.method == "POST"):
            await tab.get_by_role("button", name=f"{verb}: Lamp").click()
        await hall.desk.record("update", "u0001", kind)

    await press("Pause", kind="paused")
    await tab.get_by_text("What you can do: Press Resume to go on.").wait_for()
    await tab.locator("button:focus", has_text="Resume").wait_for()
    await press("Resume", kind="resumed")
    await press("Cancel", kind="cancelled")
    await tab.get_by_text("Somebody ended it.").wait_for()
    await tab.locator("h1:focus").wait_for()
    await tab.get_by_role("button", name="Try again: Lamp").click()
    await hall.desk.record("update", "u0002", "created")
    await tab.get_by_role("link", name="A newer update of it: Queued").click()
    await tab.locator(".big").get_by_text("Queued").wait_for()
    assert [what for what, _, _ in hall.desk.orders] == ["pause", "resume", "cancel", "retry"]


async def test_trying_again_what_meanwhile_runs_is_refused_in_words(hall: Hall, browser: Any) -> None:
    tab = await browser.new_page()
    hall.desk.jobs["u0001"] = failed(1)
    await sign_in(tab, hall, "/update/u0001")
    await tab.locator(".bad").get_by_text("Failed").wait_for()
    await tab.get_by_text("What you can do: Is it switched on and near enough? Then try again.").wait_for()
    hall.desk.jobs["u0001"] = update(1, LAMP, State.QUEUED)
    await tab.get_by_role("button", name="Try again: Lamp").click()
    await tab.get_by_role("alert").get_by_text("only an update that ended can be tried again").wait_for()


async def test_a_rollout_is_shown_by_its_waves_and_steered(hall: Hall, tab: Any) -> None:
    furnish(hall.desk)
    waves = tuple(
        Wave(plan=plan, devices=devices) for plan, devices in zip(DEFAULT_WAVES, ((HALL,), (KITCHEN, DESK), (WINDOW, DIMMER, PORCH)), strict=True)
    )
    tallies = (Tally(succeeded=1), Tally(succeeded=1, failed=1), Tally(pending=3))
    made = rollout(1, state=RolloutState.WAITING_FOR_APPROVAL, sentence="Wave 2 waits for somebody.", waves=waves)
    views = tuple(
        WaveView(wave=wave, state=state, tally=tally) for wave, state, tally in zip(waves, ("finished", "running", "scheduled"), tallies, strict=True)
    )
    hall.desk.campaigns[RolloutId("r000001")] = replace(made, waves=views)
    await sign_in(tab, hall, "/rollouts")
    await tab.get_by_role("img", name="Wave 1: 1 done; Wave 2: 1 done, 1 failed; Wave 3: 3 to come").wait_for()
    await tab.get_by_role("link", name="lamps 1").click()
    await tab.locator("h1").get_by_text("lamps 1").wait_for()
    second = tab.locator(".waves > li").nth(1)
    await second.get_by_text("2 devices: 1 done, 1 failed").wait_for()
    await second.get_by_text("Which devices").click()
    await second.get_by_text("Kitchen lamp, Desk socket").wait_for()
    for verb in ("Open the next wave", "Pause", "Go on", "Halt", "End it"):
        await tab.get_by_role("button", name=f"{verb}: lamps 1").click()
        if verb in ("Go on", "End it"):
            await tab.get_by_role("dialog").get_by_role("button", name=verb).click()
        await hall.desk.record("rollout", "r000001", "state")
    await tab.locator(".big").get_by_text("Ended").wait_for()
    assert [what.removesuffix("_rollout") for what, _, _ in hall.desk.orders] == ["approve", "pause", "resume", "halt", "cancel"]


async def test_a_rollout_of_a_model_begins_only_after_its_waves_were_shown(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, "/rollouts")
    await tab.get_by_role("button", name="Roll out in waves …").click()
    dialog = tab.get_by_role("dialog", name="Roll out in waves")
    await dialog.get_by_label("Name").fill("lamps")
    await dialog.get_by_label("For").select_option("Model LCT001")
    await dialog.get_by_label("I open each wave myself").check()
    await dialog.get_by_role("button", name="Show the waves").click()
    await dialog.get_by_text("2 devices: 2 to come").wait_for()
    await dialog.get_by_role("button", name="Start the rollout").click()
    await tab.locator("h1").get_by_text("lamps").wait_for()
    looked, begun = ordered(hall, "order_rollout")
    assert replace(looked, dry_run=False) == begun
    assert (begun.name, begun.select.model, {each.gate for each in begun.waves}) == ("lamps", "LCT001", {"manual"})


async def test_the_history_is_filtered_goes_back_and_is_live(hall: Hall, tab: Any) -> None:
    for number in range(120):
        await hall.desk.record("device", LAMP, "interrogated", {"detail": f"line {number}"})
    await hall.desk.record("device", PLUG, "amended", {"because": "it hums"}, actor="token:panel")
    await sign_in(tab, hall, "/history")
    lines = tab.locator(".lines li")
    await lines.first.get_by_text("reason given: it hums").wait_for()
    assert await lines.count() == 100
    await tab.get_by_role("button", name="Older lines").click()
    await tab.get_by_text("line 0", exact=True).wait_for()
    await tab.get_by_label("Who").fill("token:panel")  # what is typed stays, whatever happens meanwhile
    await hall.desk.record("radio", "zigbee0", "state", {"sentence": "it is back"})
    await lines.first.get_by_text("it is back").wait_for()
    assert await lines.count() == 122
    await tab.keyboard.press("Enter")
    await tab.get_by_text("it is back").wait_for(state="detached")
    await lines.first.get_by_text("reason given: it hums").wait_for()
    assert await lines.count() == 1
    await tab.reload()
    await lines.first.get_by_text("Changed Plug by token:panel").wait_for()
    await tab.get_by_label("From").fill("2030-01-01")
    await tab.get_by_text("Nothing fits.").wait_for()


async def test_what_ended_is_kept_as_a_file_and_the_journal_checked(hall: Hall, tab: Any, tmp_path: Path) -> None:
    hall.desk.jobs = {"u0001": update(1, LAMP, State.SUCCEEDED), "u0002": update(2, PLUG, State.SUCCEEDED)}
    await sign_in(tab, hall, f"/history?id={PLUG}")
    async with tab.expect_download() as coming:
        await tab.get_by_role("button", name="Ended updates as CSV").click()
    await (await coming.value).save_as(tmp_path / "audit.csv")
    with (tmp_path / "audit.csv").open(newline="") as text:
        assert [each["device"] for each in csv.DictReader(text)] == [PLUG]
    await tab.get_by_role("button", name="Was anything changed?").click()
    await tab.get_by_text("The chain holds.").wait_for()
    hall.desk.trouble["verify"] = ValueError()
    await tab.get_by_role("button", name="Was anything changed?").click()
    await tab.locator(".bad").get_by_text("The chain breaks at fact 2.").wait_for()


async def test_the_report_of_a_month_is_kept_as_a_file_whose_seal_holds_and_a_month_to_come_has_none(
    hall: Hall, browser: Any, tmp_path: Path
) -> None:
    tab = await browser.new_page()  # whose console tells of the refusal
    await sign_in(tab, hall, "/history")
    month = str(sample_report().month)
    await tab.get_by_text("Report of a month").click()
    await tab.get_by_label("Month").fill(month)
    async with tab.expect_download() as coming:
        await tab.get_by_role("button", name="Report to print").click()
    file = tmp_path / (await coming.value).suggested_filename
    assert file.name == f"otagate-report-{month}.html"
    await (await coming.value).save_as(file)
    assert check(file.read_bytes(), key=await hall.desk.report_key()).holds
    await tab.get_by_text(await hall.desk.report_key()).wait_for()
    await tab.get_by_label("Month").fill("2099-01")
    await tab.get_by_role("button", name="Report as CSV").click()
    await tab.get_by_text("the month 2099-01 has not begun").wait_for()


async def test_events_are_taken_as_they_come_and_nothing_else_is_read_anew(hall: Hall, browser: Any) -> None:
    hall.desk.jobs["u0001"] = running = update(1, LAMP, State.TRANSFERRING, bytes_sent=100)
    tab = await browser.new_page()
    asked: list[str] = []
    tab.on("request", lambda each: asked.append(each.url.partition("/api/v1/")[2].partition("?")[0]))
    await sign_in(tab, hall)
    for sent in (200, 400, 600):
        hall.desk.live_views.put_nowait(view(running, sent=sent))
        await tab.get_by_role("link", name=f"Updating, {sent // 20} %").wait_for()
    assert asked.count("devices") == 1


async def test_what_happens_between_the_reading_of_the_lists_and_the_opening_of_the_line_is_not_missed(hall: Hall, browser: Any) -> None:
    hall.desk.jobs["u0001"] = update(1, LAMP, State.TRANSFERRING)
    tab = await browser.new_page()

    async def later(route: Any) -> None:
        if not hall.desk.facts:
            hall.desk.jobs["u0001"] = update(1, LAMP, State.SUCCEEDED, finished=NOON)
            await hall.desk.record("update", "u0001", "version_matches", {"state": "succeeded"})
        await route.continue_()

    await tab.route("**/api/v1/events", later)
    await sign_in(tab, hall)
    await tab.locator("h1").get_by_text("Nothing moves now").wait_for()


async def test_what_happened_while_the_line_was_down_is_told_when_it_is_back_and_until_then_the_page_says_so(hall: Hall, browser: Any) -> None:
    hall.desk.jobs["u0001"] = update(1, LAMP, State.QUEUED)
    tab = await browser.new_page()
    await sign_in(tab, hall)
    await hall.desk.record("device", LAMP, "found")
    await tab.route("**/api/v1/events", lambda route: route.abort())
    async with hall.desk.changed:
        hall.desk.stopped = True
        hall.desk.changed.notify_all()
    await tab.get_by_role("alert").get_by_text("Connection lost").wait_for()
    hall.desk.stopped = False
    hall.desk.jobs["u0001"] = update(1, LAMP, State.SUCCEEDED, finished=NOON)
    await hall.desk.record("update", "u0001", "version_matches", {"state": "succeeded"})
    await tab.unroute("**/api/v1/events")
    await tab.get_by_text("Connection lost").wait_for(state="detached")
    await tab.locator("h1").get_by_text("Nothing moves now").wait_for()


async def test_who_may_only_look_is_offered_nothing_to_press(open_hall: Any, browser: Any, tmp_path: Path) -> None:
    kept = tmp_path / "panel"
    kept.write_text("p" * 43)
    kept.chmod(0o600)
    hall = await open_hall(tokens=(TokenFile(name="panel", file=kept, scopes=frozenset({"read"})),))
    hall.token = kept.read_text()
    furnish(hall.desk)
    tab = await browser.new_page()
    await sign_in(tab, hall)
    for name in ("home", "plan", "rollouts", "device", "update", "notices"):
        await go(tab, name)
        assert await tab.locator("main button, main [type=checkbox]").count() == 0, name


async def test_going_back_and_going_first_are_wished_for(hall: Hall, tab: Any) -> None:
    await sign_in(tab, hall, f"/device/{LAMP}")
    await tab.get_by_role("button", name="Go back to 1.1.0.0 …").click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_label("Priority").select_option("High")
    await dialog.get_by_role("button", name="Order the update").click()
    await dialog.wait_for(state="detached")
    last = ordered(hall)[-1]
    assert (last.allow_downgrade, last.version, last.priority) == (True, 0x0101_0000, "high")


async def test_what_another_program_began_is_watched_and_not_steered(hall: Hall, tab: Any) -> None:
    hall.desk.jobs["u0001"] = update(1, LAMP, State.TRANSFERRING, foreign=True)
    await sign_in(tab, hall, "/update/u0001")
    await tab.get_by_text("Another program began it; it is watched, and cannot be cancelled here.").wait_for()
    assert await tab.locator("main").get_by_role("button").count() == 0
