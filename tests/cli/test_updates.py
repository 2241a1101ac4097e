"""Commands about updates."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from otagate.engine.views import OrderKey, OrderRequest, OrderResult
from otagate.model.errors import Refused, StoreUnavailable
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour
from otagate.model.rollouts import Selection
from otagate.model.updates import Failure
from tests.api.conftest import Hall
from tests.api.counter import LAMP, PLUG, device, failed, update, view
from tests.cli.conftest import at

pytestmark = pytest.mark.asyncio


async def test_an_update_is_ordered_with_every_switch(hall: Hall) -> None:
    outcome = await at(
        hall, "update", LAMP, "--version", "0x01020600", "--component", "0x1409", "--image", "ab" * 32, "--allow-downgrade", "--force", "--json"
    )
    assert outcome.code == 0
    assert [each["device"] for each in outcome.document["updates"]] == [LAMP]
    ((_, order, _),) = hall.desk.orders
    assert (order.version, order.component, order.image, order.allow_downgrade, order.force, order.dry_run, order.when) == (
        "0x01020600",
        "0x1409",
        "ab" * 32,
        True,
        True,
        False,
        "now",
    )


async def test_a_refusal_by_policy_is_exit_4(hall: Hall) -> None:
    hall.desk.known[PLUG] = device(PLUG, "Young")
    outcome = await at(hall, "update", LAMP, PLUG)
    assert outcome.code == 4
    assert outcome.err == f"otagate: {PLUG}: Policy refuses this: the release is two days old; policy waits fourteen\n"
    assert LAMP in outcome.out


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("incompatible-image", 4), ("downgrade-refused", 4), ("no-release", 4), ("update-loop", 4), ("battery-low", 4), ("already-current", 0)],
)
async def test_each_refusal_has_its_exit_code(hall: Hall, monkeypatch: pytest.MonkeyPatch, code: str, exit_code: int) -> None:
    monkeypatch.setattr(hall.desk, "_objection", lambda _: Refused("because", code=code, reason=None))
    assert (await at(hall, "update", LAMP)).code == exit_code


async def test_an_unknown_device_is_exit_2(hall: Hall) -> None:
    assert (await at(hall, "update", "zigbee-0000000000000001")).code == 2


async def test_a_hub_that_cannot_write_is_exit_1(hall: Hall) -> None:
    hall.desk.trouble["order"] = StoreUnavailable("the disk is full")
    outcome = await at(hall, "update", LAMP)
    assert (outcome.code, outcome.err) == (1, "otagate: The status store cannot be written now: the disk is full\n")


async def test_a_version_that_is_none_is_exit_2(hall: Hall) -> None:
    outcome = await at(hall, "update", LAMP, "--version", "")
    assert outcome.code == 2
    assert "version" in outcome.err


async def test_a_rehearsal_changes_nothing(hall: Hall) -> None:
    for arguments in (("plan", "--force"), ("plan", LAMP, "--version", "16909824"), ("update", LAMP, "--dry-run")):
        outcome = await at(hall, *arguments)
        assert outcome.code == 0
        assert LAMP in outcome.out
    assert all(order.dry_run for _, order, _ in hall.desk.orders)
    assert hall.desk.jobs == {}


async def test_a_rehearsal_without_anything_to_do_says_so(hall: Hall) -> None:
    hall.desk.known.clear()
    outcome = await at(hall, "plan", "--force")
    assert (outcome.code, outcome.out) == (0, "Nothing to update.\n")


async def test_more_devices_than_one_order_takes_are_ordered_in_portions(hall: Hall) -> None:
    for number in range(700):
        key = f"zigbee-{number:016x}"
        hall.desk.known[key] = device(key)
    outcome = await at(hall, "plan", "--force", "--json")
    assert len(outcome.document["updates"]) == 702
    assert [len(order.devices) for _, order, _ in hall.desk.orders] == [500, 202]


@pytest.mark.parametrize("mode", [(), ("--json",), ("--wait", "--json")])
async def test_what_was_ordered_is_told_when_a_later_portion_of_the_order_fails(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, mode: tuple[str, ...]
) -> None:
    many = [f"zigbee-{number:016x}" for number in range(700)]
    hall.desk.known.update({each: device(each) for each in many})
    order = hall.desk.order

    async def once(request: OrderRequest, *, actor: str, key: OrderKey | None = None) -> OrderResult:
        if hall.desk.orders:
            raise StoreUnavailable("the disk is full")
        result = await order(request, actor=actor, key=key)
        hall.desk.jobs.update({each: replace(job, state=State.SUCCEEDED) for each, job in hall.desk.jobs.items()})
        return result

    monkeypatch.setattr(hall.desk, "order", once)
    outcome = await at(hall, "update", *many, "--force", *mode)
    assert outcome.code == 1
    assert outcome.err == (
        f"otagate: The status store cannot be written now: the disk is full: the last 200 of the devices, from {many[500]} on, got no answer\n"
    )
    if not mode:
        assert many[499] in outcome.out
        return
    told = outcome.lines if "--wait" in mode else [outcome.document]
    (cut,) = (each for each in told if "unanswered" in each)
    assert (cut["unanswered"], cut["problem"]["type"].rpartition("/")[2]) == (many[500:], "store-unavailable")
    made = [each["device"] for each in (cut["updates"] if "--wait" not in mode else told) if "device" in each]
    assert set(made) == set(many[:500])


async def test_updates_are_listed_and_filtered(hall: Hall) -> None:
    for each in (update(1, state=State.SUCCEEDED), update(2, PLUG, reason="asleep"), failed(3)):
        hall.desk.jobs[each.id] = each
    outcome = await at(hall, "updates")
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["u0003", "u0002", "u0001"]
    assert "no block was asked for in 15 minutes" in lines[1]
    assert "asleep: starts when the device wakes" in lines[2]
    assert [each["id"] for each in (await at(hall, "updates", "--state", "failed,queued", "--device", PLUG, "--json")).document["items"]] == ["u0002"]
    assert len((await at(hall, "updates", "--limit", "2", "--json")).document["items"]) == 2


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("cancel", State.QUEUED, "cancelled"),
        ("pause", State.QUEUED, "queued"),
        ("resume", State.QUEUED, "queued"),
        ("retry", State.FAILED, "queued"),
        ("approve", State.PLANNED, "queued"),
        ("activate", State.STAGED, "activating"),
    ],
)
async def test_an_act_shows_the_update(hall: Hall, verb: str, before: State, after: str) -> None:
    hall.desk.jobs["u0001"] = update(1, state=before)
    outcome = await at(hall, verb, "u0001", "--json")
    assert (outcome.code, outcome.document["state"]) == (0, after)
    assert [each[:2] for each in hall.desk.orders] == [(verb, "u0001")]


async def test_one_word_reaches_many_and_each_is_told(hall: Hall) -> None:
    hall.desk.jobs |= {"u0001": update(1, state=State.STAGED), "u0002": update(2, PLUG, state=State.STAGED)}
    outcome = await at(hall, "activate", "u0001", "u0002", "u0009")
    assert outcome.out.splitlines() == [
        f"u0001 {LAMP}: The device is told to use the image.",
        f"u0002 {PLUG}: The word is given. It sleeps.",
        "u0009: no update has the id 'u0009'",
    ]
    assert outcome.code == 2  # what is partly wrong is not done
    assert (await at(hall, "activate", "--group", "hall")).code == 0
    assert [request.group for _, request, _ in hall.desk.orders] == [None, "hall"]


async def test_a_word_may_overrule_what_spares_a_device(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.STAGED)
    assert (await at(hall, "activate", "u0001", "--override", "in_use", "--because", "the hall is empty")).code == 0
    ((verb, request, _),) = hall.desk.orders
    assert (verb, request.updates, request.override, request.because) == ("activate_all", ("u0001",), ("in_use",), "the hall is empty")


async def test_a_word_for_nobody_says_why(hall: Hall) -> None:
    outcome = await at(hall, "activate", "--group", "cellar")
    assert (outcome.code, outcome.err) == (4, "otagate: No device would get an update: No device is in the group 'cellar'.\n")
    assert (await at(hall, "activate")).code == 2
    assert (await at(hall, "activate", "u0001", "--group", "hall")).code == 2


async def test_too_late_to_cancel_is_exit_4(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.ACTIVATING)
    outcome = await at(hall, "cancel", "u0001")
    assert (outcome.code, outcome.err) == (4, "otagate: It is too late to cancel: the device has the order to use the image\n")


async def test_what_an_update_cost_its_device_is_shown(hall: Hall) -> None:
    told = Behaviour(kept=12, restored=("group 1/0x0005",), lost=("StartUpOnOff endpoint 1 = 0",))
    hall.desk.jobs["u0001"] = replace(update(1, state=State.SUCCEEDED), behaviour=told)
    outcome = await at(hall, "show", "u0001")
    said = {line.strip() for line in outcome.out.splitlines()}
    assert {"settings kept  12", "restored       group 1/0x0005", "lost           StartUpOnOff endpoint 1 = 0"} <= said
    assert "lost: StartUpOnOff" in (await at(hall, "updates")).out
    shown = {"kept": 12, "restored": ["group 1/0x0005"], "lost": ["StartUpOnOff endpoint 1 = 0"], "not_compared": []}
    assert (await at(hall, "show", "u0001", "--json")).document["behaviour"] == shown


async def test_the_log_is_shown(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    await hall.desk.record("update", "u0001", "admitted", data={"detail": "a slot is free"})
    outcome = await at(hall, "log", "u0001")
    assert "admitted" in outcome.out
    assert "a slot is free" in outcome.out


async def play(hall: Hall, *, end: State) -> None:
    """Carry the first update through its states once somebody listens and has read where it stands."""
    async with asyncio.timeout(60):
        while not (hall.desk.readers and hall.desk.reads):
            await asyncio.sleep(0.01)
        job = next(iter(hall.desk.jobs.values()))
        for state, sent in ((State.TRANSFERRING, 500), (State.CONFIRMING, 2000), (end, 2000)):
            error = Failure(code="version-unchanged", detail="it still runs 0x01020509") if end is state is State.FAILED else None
            hall.desk.jobs[job.id] = replace(job, state=state, bytes_sent=sent, error=error)
            if state is State.TRANSFERRING:
                hall.desk.live_views.put_nowait(view(hall.desk.jobs[job.id], sent=700, rate=350.0))
            await hall.desk.record("update", job.id, "moved", data={"state": str(state), "bytes_sent": sent, "reason": None})


@pytest.mark.parametrize(("end", "code"), [(State.SUCCEEDED, 0), (State.FAILED, 1), (State.CANCELLED, 1)])
async def test_waiting_ends_with_the_update_and_its_outcome(hall: Hall, end: State, code: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(play(hall, end=end))
        outcome = await at(hall, "update", LAMP, "--wait")
    assert outcome.code == code
    lines = outcome.out.splitlines()
    assert lines[0] == "u0001 Lamp 0x1409 to 0x01020600: queued"
    assert any("transferring" in line for line in lines)
    assert f"1 {end}" in lines
    assert ("it still runs 0x01020509" in outcome.out) == (end is State.FAILED)


async def test_waiting_as_json_is_one_update_a_line(hall: Hall) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(play(hall, end=State.SUCCEEDED))
        outcome = await at(hall, "update", LAMP, "--wait", "--json")
    assert outcome.code == 0
    states = [each["state"] for each in outcome.lines]
    assert (states[0], states[-1]) == ("queued", "succeeded")
    assert {each["id"] for each in outcome.lines} == {"u0001"}


async def test_waiting_for_what_was_refused_ends_at_once(hall: Hall) -> None:
    hall.desk.known[LAMP] = device(LAMP, "Young")
    assert (await at(hall, "update", LAMP, "--wait")).code == 4


async def test_an_order_overrules_single_guards_holds_the_image_and_has_its_key(hall: Hall) -> None:
    arguments = ("--override", "pinned", "--override", "battery_low", "--because", "the vendor asked", "--hold", "--key", "7f3c")
    assert (await at(hall, "update", LAMP, *arguments)).code == 0
    ((_, order, _),) = hall.desk.orders
    assert (order.override, order.because, order.activate) == (("pinned", "battery_low"), "the vendor asked", "held")
    assert [each.key for each in hall.desk.keys if each is not None] == ["7f3c"]
    assert (await at(hall, "update", LAMP, "--override", "pinned")).code == 2
    assert (await at(hall, "update", LAMP, "--override", "image_mismatch", "--because", "x")).code == 2


async def test_an_order_of_more_devices_than_one_call_takes_has_a_key_for_each_part(hall: Hall) -> None:
    await at(hall, "update", *(f"zigbee-{number:016x}" for number in range(1_100)), "--key", "k")
    assert [each.key for each in hall.desk.keys if each is not None] == ["k", "k.500", "k.1000"]


async def test_an_order_has_a_priority_which_can_be_changed_later(hall: Hall) -> None:
    assert (await at(hall, "update", LAMP, "--priority", "high")).code == 0
    ((_, order, _),) = hall.desk.orders
    assert order.priority == "high"
    hall.desk.jobs["u0001"] = update(1)
    assert (await at(hall, "prioritize", "u0001", "low", "--json")).document["priority"] == "low"
    assert (await at(hall, "prioritize", "u0001", "urgent")).code == 2


async def test_one_order_is_for_everybody_and_those_that_there_is_nothing_for_are_counted(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {LAMP: "already-current", PLUG: "already-updating"}
    monkeypatch.setattr(hall.desk, "_objection", lambda each: Refused("because", code=code[each], reason=None))
    outcome = await at(hall, "update", "--all")
    assert (outcome.code, outcome.out) == (4, "There is nothing for 1 of the devices.\n")
    assert LAMP not in outcome.err
    assert PLUG in outcome.err
    monkeypatch.setattr(hall.desk, "_objection", lambda _: Refused("because", code="no-release", reason=None))
    for more in ([], ["--json"], ["--wait"], ["--dry-run"]):
        assert (await at(hall, "update", "--all", *more)).code == 0
    assert [order.select for _, order, _ in hall.desk.orders] == [Selection()] * 5


async def test_an_order_is_for_named_devices_or_for_those_that_fit_never_both(hall: Hall) -> None:
    assert (await at(hall, "update", "--model", "LCT*", "--group", "hall", "--radio", "zigbee0")).code == 0
    ((_, order, _),) = hall.desk.orders
    assert order.select == Selection(model="LCT*", group="hall", radio="zigbee0")
    for wrong in ([], [LAMP, "--all"], ["--all", "--model", "x"], [LAMP, "--radio", "zigbee0"]):
        assert (await at(hall, "update", *wrong)).code == 2
