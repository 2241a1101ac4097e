"""Calls about updates, over a real connection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from otagate.engine.views import ActivationRequest, OrderRequest
from otagate.model.errors import KeyReused
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour, Portrait, Setting
from otagate.model.rollouts import Selection
from tests.api.conftest import Hall
from tests.api.counter import LAMP, PLUG, device, failed, update

pytestmark = pytest.mark.asyncio
PATH = "/api/v1/updates"


NOT_MOVING = dict.fromkeys(("bytes_per_second", "eta_seconds", "fragments_sent", "fragments_total"))


async def test_an_order_is_accepted_with_the_updates_it_made(hall: Hall) -> None:
    answer = await hall.json("POST", PATH, status=202, json={"devices": [LAMP, PLUG]})
    assert [each["device"] for each in answer["updates"]] == [LAMP, PLUG]
    assert answer["refused"] == []
    assert hall.desk.orders == [("order", OrderRequest(devices=(LAMP, PLUG)), "token:admin")]


async def test_an_update_has_exactly_the_promised_shape(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.TRANSFERRING, started=datetime(2026, 5, 1, 12, 1, tzinfo=UTC), bytes_sent=500)
    assert await hall.json("GET", f"{PATH}/u0001") == {
        "id": "u0001",
        "device": LAMP,
        "component": "0x1409",
        "radio": "zigbee0",
        "from_version": 0x0102_0509,
        "from_display_version": "0x01020509",
        "to_version": 0x0102_0600,
        "to_display_version": "0x01020600",
        "source": "directory",
        "image": "ab" * 32,
        "state": "transferring",
        "progress": {"bytes_sent": 500, "bytes_total": 2000, "percent": 25.0} | NOT_MOVING,
        "created": "2026-05-01T12:00:01Z",
        "started": "2026-05-01T12:01:00Z",
        "finished": None,
        "not_before": None,
        "error": None,
        "reason": None,
        "sentence": None,
        "expires": None,
        "approved_by": None,
        "in_window": False,
        "attempts": 0,
        "actor": "token:admin",
        "allow_downgrade": False,
        "force": False,
        "override": [],
        "because": None,
        "hold_activation": False,
        "activate": "now",
        "released_by": None,
        "job": None,
        "step": 1,
        "steps": 1,
        "foreign": False,
        "priority": "normal",
        "behaviour": None,
        "rollout": None,
        "wave": None,
    }


async def test_an_order_carries_every_switch_to_the_hub(hall: Hall) -> None:
    body = {
        "devices": [LAMP, LAMP],
        "version": "0x01020600",
        "component": "0x140A",
        "image": "cd" * 32,
        "when": "2026-06-01T03:00:00+02:00",
        "allow_downgrade": True,
        "force": True,
        "override": ["battery_low", "pinned", "battery_low"],
        "because": "Anna changed the battery.",
        "hold_activation": True,
        "dry_run": True,
    }
    await hall.json("POST", PATH, json=body)
    ((_, order, _),) = hall.desk.orders
    assert order == OrderRequest(
        devices=(LAMP,),
        version="0x01020600",
        component="0x140a",
        image="cd" * 32,
        when=datetime(2026, 6, 1, 1, 0, tzinfo=UTC),
        allow_downgrade=True,
        force=True,
        override=("battery_low", "pinned"),
        because="Anna changed the battery.",
        activate="held",
        dry_run=True,
    )


async def test_an_order_under_a_key_carries_the_key_and_what_is_ordered_however_it_is_written(hall: Hall) -> None:
    headers = {"Idempotency-Key": "7f3c-1"}
    plain = f'{{"devices":["{LAMP}"],"when":"2026-06-01T03:00:00+02:00"}}'.encode()
    wordy = f'{{ "when": "2026-06-01T03:00:00+02:00", "dry_run": false, "devices": ["{LAMP}"] }}'.encode()
    other = f'{{"devices":["{LAMP}"],"when":"2026-06-01T03:00:01+02:00"}}'.encode()
    for data in (plain, wordy, other):
        await hall.json("POST", PATH, status=202, data=data, headers=headers | {"Content-Type": "application/json"})
    keys = [each for each in hall.desk.keys if each is not None]
    assert [each.key for each in keys] == ["7f3c-1"] * 3
    assert keys[0].digest == keys[1].digest != keys[2].digest
    await hall.json("POST", PATH, status=202, json={"devices": [LAMP]})
    assert hall.desk.keys[-1] is None


@pytest.mark.parametrize("key", ["two words", "x" * 256, "schlüssel", "tab\tkey"])
async def test_a_key_that_is_none_is_refused(hall: Hall, key: str) -> None:
    document = await hall.problem("POST", PATH, status=422, slug="invalid-request", json={"devices": [LAMP]}, headers={"Idempotency-Key": key})
    assert [(each["field"], each["in"]) for each in document["errors"]] == [("Idempotency-Key", "header")]
    assert hall.desk.orders == []


async def test_an_order_that_was_made_before_says_so(hall: Hall) -> None:
    hall.desk.replay = True
    async with hall.client.post(hall.base + PATH, json={"devices": [LAMP]}, headers={"Idempotency-Key": "k"}) as response:
        assert (response.status, response.headers["Idempotency-Replayed"]) == (202, "true")
    hall.desk.trouble["order"] = KeyReused("the key 'k' was given with another order")
    await hall.problem("POST", PATH, status=422, slug="idempotency-key-reused", json={"devices": [PLUG]}, headers={"Idempotency-Key": "k"})


async def test_a_dry_run_plans_and_changes_nothing(hall: Hall) -> None:
    answer = await hall.json("POST", PATH, status=200, json={"devices": [LAMP], "dry_run": True})
    assert (len(answer["updates"]), answer["dry_run"]) == (1, True)
    assert (await hall.json("GET", PATH))["items"] == []


async def test_what_is_wrong_with_one_device_does_not_stop_the_others(hall: Hall) -> None:
    hall.desk.known[PLUG] = device(PLUG, "Young")
    answer = await hall.json("POST", PATH, status=202, json={"devices": [LAMP, PLUG, "zigbee-0000000000000001"]})
    assert [each["device"] for each in answer["updates"]] == [LAMP]
    refused = {each["device"]: each["problem"] for each in answer["refused"]}
    assert (refused[PLUG]["type"], refused[PLUG]["reason"], refused[PLUG]["status"]) == ("/problems/policy-refused", "cooldown", 409)
    assert refused["zigbee-0000000000000001"]["type"] == "/problems/unknown-device"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"devices": []}, "devices"),
        ({"devices": LAMP}, "devices"),
        ({"devices": ["x" * 129]}, "devices.0"),
        ({"devices": [7]}, "devices.0"),
        ({"devices": [LAMP] * 501}, "devices"),
        ({"devices": [LAMP], "forse": True}, "forse"),
        ({"devices": [LAMP], "force": "yes"}, "force"),
        ({"devices": [LAMP], "dry_run": 1}, "dry_run"),
        ({"devices": [LAMP], "version": ""}, "version"),
        ({"devices": [LAMP], "version": 1.5}, "version"),
        ({"devices": [LAMP], "version": -1}, "version"),
        ({"devices": [LAMP], "version": 0xFFFF_FFFF}, "version"),
        ({"devices": [LAMP], "image": "../../etc/passwd"}, "image"),
        ({"devices": [LAMP], "image": "AB" * 32}, "image"),
        ({"devices": [LAMP], "component": ""}, "component"),
        ({"devices": [LAMP], "override": ["pinned"]}, ""),
        ({"devices": [LAMP], "override": ["pinned"], "because": " "}, "because"),
        ({"devices": [LAMP], "override": ["image_mismatch"], "because": "x"}, "override.0"),
        ({"devices": [LAMP], "override": "pinned", "because": "x"}, "override"),
        ({"devices": [LAMP], "when": "tomorrow"}, "when"),
        ({"devices": [LAMP], "when": "2026-06-01T03:00:00"}, "when"),
        ({"devices": [LAMP], "when": 7}, "when"),
    ],
)
async def test_a_bad_order_is_refused_by_field(hall: Hall, body: dict[str, Any], field: str) -> None:
    document = await hall.problem("POST", PATH, status=422, slug="invalid-request", json=body)
    assert [(each["field"], each["in"]) for each in document["errors"]] == [(field, "body")]
    assert hall.desk.orders == []


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[" * 5000])
async def test_a_body_that_is_no_json_is_a_problem(hall: Hall, data: bytes) -> None:
    await hall.problem("POST", PATH, status=400, slug="malformed-request", data=data, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("data", [b"[]", b'"text"', b"7", b"null"])
async def test_a_body_that_is_no_object_is_a_problem(hall: Hall, data: bytes) -> None:
    await hall.problem("POST", PATH, status=422, slug="invalid-request", data=data, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_only_json_is_taken_as_an_order(hall: Hall, kind: str) -> None:
    body = f'{{"devices": ["{LAMP}"]}}'.encode()
    await hall.problem("POST", PATH, status=415, slug="unsupported-media-type", data=body, headers={"Content-Type": kind})
    assert hall.desk.orders == []


async def test_a_body_over_the_limit_is_refused(hall: Hall) -> None:
    body = b'{"devices": ["' + b"x" * 70_000 + b'"]}'
    await hall.problem("POST", PATH, status=413, slug="body-too-large", data=body, headers={"Content-Type": "application/json"})


async def test_updates_come_newest_first_in_pages_and_filtered(hall: Hall) -> None:
    for each in (update(1, state=State.SUCCEEDED), update(2, PLUG), failed(3)):
        hall.desk.jobs[each.id] = each
    assert [each["id"] for each in (await hall.json("GET", PATH))["items"]] == ["u0003", "u0002", "u0001"]
    page = await hall.json("GET", f"{PATH}?limit=2")
    rest = await hall.json("GET", f"{PATH}?limit=2&cursor={page['next_cursor']}")
    assert [each["id"] for each in rest["items"]] == ["u0001"]
    assert [each["id"] for each in (await hall.json("GET", f"{PATH}?state=failed,queued"))["items"]] == ["u0003", "u0002"]
    assert [each["id"] for each in (await hall.json("GET", f"{PATH}?device={PLUG}"))["items"]] == ["u0002"]


@pytest.mark.parametrize("state", ["done", "failed,", ""])
async def test_an_invented_state_is_refused(hall: Hall, state: str) -> None:
    document = await hall.problem("GET", f"{PATH}?state={state}", status=422, slug="invalid-request")
    assert document["errors"][0]["field"] == "state"
    assert document["detail"].startswith("state: write one of planned, queued, ")
    assert document["detail"].endswith(", superseded, or several joined by commas")


async def test_a_failed_update_carries_its_problem(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = failed(1)
    error = (await hall.json("GET", f"{PATH}/u0001"))["error"]
    assert (error["type"], error["detail"]) == ("/problems/transfer-stalled", "no block was asked for in 15 minutes")


async def test_the_log_tells_what_happened(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    await hall.desk.record("update", "u0001", "created")
    await hall.desk.record("device", LAMP, "interrogated")
    await hall.desk.record("update", "u0001", "admitted")
    items = (await hall.json("GET", f"{PATH}/u0001/log"))["items"]
    assert [(each["number"], each["kind"], each["actor"]) for each in items] == [(1, "created", "otagate"), (3, "admitted", "otagate")]


async def test_how_the_device_was_set_before_is_told_until_the_end_and_then_what_became_of_it(hall: Hall) -> None:
    recorded = Setting(kind="parameter", question="configuration", at="3/1", value="20")
    hall.desk.jobs["u0001"] = update(1)
    hall.desk.portraits[UpdateId("u0001")] = Portrait(answered=("configuration",), settings=(recorded,))
    assert await hall.json("GET", f"{PATH}/u0001/behaviour") == {
        "recorded": [{"kind": "parameter", "at": "3/1", "value": "20", "name": "parameter 3/1 = 20"}],
        "behaviour": None,
    }
    hall.desk.jobs["u0001"] = update(1, state=State.SUCCEEDED, behaviour=Behaviour(kept=1, lost=("group 1/0x0005",)))
    told = await hall.json("GET", f"{PATH}/u0001/behaviour")
    assert told["behaviour"] == {"kept": 1, "restored": [], "lost": ["group 1/0x0005"], "not_compared": []}
    assert (await hall.json("GET", f"{PATH}/u0009/behaviour", status=404))["type"].endswith("unknown-update")


@pytest.mark.parametrize(
    ("verb", "before", "status", "after"),
    [
        ("cancel", State.QUEUED, 200, {"state": "cancelled"}),
        ("pause", State.TRANSFERRING, 200, {"reason": "paused", "state": "transferring"}),
        ("resume", State.TRANSFERRING, 200, {"reason": None}),
        ("retry", State.FAILED, 202, {"id": "u0002", "state": "queued"}),
        ("approve", State.PLANNED, 200, {"state": "queued"}),
        ("activate", State.STAGED, 200, {"state": "activating"}),
    ],
)
async def test_an_act_answers_with_the_update(hall: Hall, verb: str, before: State, status: int, after: dict[str, Any]) -> None:
    hall.desk.jobs["u0001"] = update(1, state=before)
    answer = await hall.json("POST", f"{PATH}/u0001/{verb}", status=status)
    assert {key: answer[key] for key in after} == after
    assert hall.desk.orders == [(verb, "u0001", "token:admin")]


async def test_one_word_reaches_many_and_says_of_each_what_it_comes_to(hall: Hall) -> None:
    hall.desk.jobs |= {"u0001": update(1, state=State.STAGED), "u0002": update(2, PLUG, state=State.STAGED)}
    answer = await hall.json("POST", "/api/v1/activations", json={"updates": ["u0001", "u0002", "u0009"]})
    assert [(each["update"], each["device"], each["outcome"], each["reason"]) for each in answer["items"]] == [
        ("u0001", LAMP, "activating", None),
        ("u0002", PLUG, "waiting", "asleep"),
    ]
    assert [(each["update"], each["problem"]["type"]) for each in answer["refused"]] == [("u0009", "/problems/unknown-update")]
    ((verb, request, actor),) = hall.desk.orders
    assert (verb, request, actor) == ("activate_all", ActivationRequest(updates=("u0001", "u0002", "u0009")), "token:admin")  # type: ignore[arg-type]


async def test_a_word_for_a_group_that_nobody_knows_is_a_problem(hall: Hall) -> None:
    assert (await hall.json("POST", "/api/v1/activations", json={"group": "hall"}))["items"] == []
    document = await hall.problem("POST", "/api/v1/activations", status=409, slug="nothing-to-do", json={"group": "cellar"})
    assert document["detail"] == "No device is in the group 'cellar'."


async def test_a_word_that_overrules_a_guard_says_why(hall: Hall) -> None:
    body = {"updates": ["u0001"], "override": ["in_use"], "because": "the hall is empty"}
    await hall.json("POST", "/api/v1/activations", json=body)
    ((_, request, _),) = hall.desk.orders
    assert request == ActivationRequest(updates=("u0001",), override=("in_use",), because="the hall is empty")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"override": ["in_use"]}, {"override": ["battery_low"], "because": "why not"}, {"override": "in_use", "because": "x"}]
)
async def test_a_word_overrules_only_what_spares_a_device_and_for_a_reason(hall: Hall, wrong: dict[str, Any]) -> None:
    await hall.problem("POST", "/api/v1/activations", status=422, slug="invalid-request", json={"updates": ["u0001"]} | wrong)
    assert hall.desk.orders == []


@pytest.mark.parametrize(
    "body", [{}, {"group": "hall", "job": "j1"}, {"updates": []}, {"updates": "u0001"}, {"everything": True}, {"updates": ["u1"] * 501}]
)
async def test_a_word_is_for_some_updates_or_one_set_of_them(hall: Hall, body: dict[str, Any]) -> None:
    await hall.problem("POST", "/api/v1/activations", status=422, slug="invalid-request", json=body)
    assert hall.desk.orders == []


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", "approve", "activate"])
async def test_an_act_on_an_unknown_update_is_a_problem(hall: Hall, verb: str) -> None:
    await hall.problem("POST", f"{PATH}/nonsense/{verb}", status=404, slug="unknown-update")


async def test_too_late_to_cancel_is_said(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.ACTIVATING)
    document = await hall.problem("POST", f"{PATH}/u0001/cancel", status=409, slug="not-cancellable")
    assert document["detail"] == "the device has the order to use the image"


async def test_an_act_takes_no_body_but_an_empty_object(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    await hall.json("POST", f"{PATH}/u0001/pause", json={})
    await hall.problem("POST", f"{PATH}/u0001/pause", status=422, slug="invalid-request", json={"until": "noon"})


@pytest.mark.parametrize("cursor", ["nonsense", "", "u", "u00", "ud3", "U7a", "u7", f"u{'7a' * 129}", "d7a696762"])
async def test_what_is_no_cursor_of_this_list_is_refused(hall: Hall, cursor: str) -> None:
    document = await hall.problem("GET", f"{PATH}?cursor={cursor}", status=422, slug="invalid-request")
    assert document["detail"] == "cursor: give the next_cursor of the page before as it is"


async def test_a_field_that_there_is_not_is_refused_by_name(hall: Hall) -> None:
    told = "there is no such field here: the OpenAPI document lists those that there are"
    asked = await hall.problem("GET", f"{PATH}?stat=failed", status=422, slug="invalid-request")
    ordered = await hall.problem("POST", PATH, status=422, slug="invalid-request", json={"devices": [LAMP], "dryrun": True})
    assert [asked["detail"], ordered["detail"]] == [f"stat: {told}", f"dryrun: {told}"]


@pytest.mark.parametrize("query", ["limit=501", "limit=0", "since=yesterday", "device="])
async def test_a_bad_filter_of_updates_is_refused_by_name(hall: Hall, query: str) -> None:
    document = await hall.problem("GET", f"{PATH}?{query}", status=422, slug="invalid-request")
    assert [each["field"] for each in document["errors"]] == [query.partition("=")[0]]


async def test_a_call_without_filters_takes_no_query_string(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    document = await hall.problem("GET", f"{PATH}/u0001?verbose=1", status=422, slug="invalid-request")
    assert document["detail"] == "verbose: this call takes no query string"


async def test_a_long_log_comes_in_pages(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    for _ in range(5):
        await hall.desk.record("update", "u0001", "progress")
    page = await hall.json("GET", f"{PATH}/u0001/log?limit=3")
    rest = await hall.json("GET", f"{PATH}/u0001/log?limit=3&cursor={page['next_cursor']}")
    assert [each["number"] for each in (*page["items"], *rest["items"])] == [1, 2, 3, 4, 5]
    assert rest["next_cursor"] is None


async def test_a_whole_number_may_be_written_with_a_point(hall: Hall) -> None:
    """JSON Schema 2020-12, 6.1.1: 2.0 is an integer."""
    await hall.json("POST", PATH, status=202, data=f'{{"devices": ["{LAMP}"], "version": 2.0}}', headers={"Content-Type": "application/json"})
    ((_, order, _),) = hall.desk.orders
    assert order == OrderRequest(devices=(LAMP,), version=2)


@pytest.mark.parametrize("when", ["0.5", "1777600800", "2026-06-01", "2026-06-01 03:00:00+02:00", "2026-06-01T03:00+02:00"])
async def test_a_time_is_written_as_rfc_3339_writes_it(hall: Hall, when: str) -> None:
    document = await hall.problem("POST", PATH, status=422, slug="invalid-request", json={"devices": [LAMP], "when": when})
    assert "2026-05-01T03:00:00+02:00" in document["detail"]


async def test_an_order_says_who_goes_first(hall: Hall) -> None:
    await hall.json("POST", PATH, status=202, json={"devices": [LAMP], "priority": "high"})
    assert hall.desk.orders == [("order", OrderRequest(devices=(LAMP,), priority="high"), "token:admin")]


async def test_the_priority_of_an_update_is_changed_and_nothing_else_of_it(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    assert (await hall.json("PATCH", f"{PATH}/u0001", json={"priority": "low"}))["priority"] == "low"
    assert hall.desk.orders == [("prioritize", "u0001", "token:admin")]
    for body in ({}, {"priority": "urgent"}, {"priority": None}, {"priority": "low", "state": "succeeded"}):
        await hall.problem("PATCH", f"{PATH}/u0001", status=422, slug="invalid-request", json=body)


@pytest.mark.parametrize(
    ("select", "meant"),
    [
        ({"all": True}, Selection()),
        ({"model": "LCT*", "group": "hall"}, Selection(model="LCT*", group="hall")),
        ({"radio": "zigbee0"}, Selection(radio="zigbee0")),
    ],
)
async def test_an_order_means_devices_by_what_they_are(hall: Hall, select: dict[str, Any], meant: Selection) -> None:
    await hall.json("POST", PATH, status=202, json={"select": select})
    assert hall.desk.orders == [("order", OrderRequest(select=meant), "token:admin")]


@pytest.mark.parametrize(
    "whom",
    [
        {},
        {"select": {}},
        {"select": None},
        {"select": {"all": False}},
        {"select": {"model": None}},
        {"select": {"all": True, "model": "LCT*"}},
        {"select": {"devices": [LAMP]}},
        {"select": {"all": True}, "devices": [LAMP]},
        {"select": {"all": True}, "devices": None},
        {"select": None, "devices": [LAMP]},
    ],
)
async def test_an_order_that_does_not_say_whom_it_is_for_is_refused(hall: Hall, whom: dict[str, Any]) -> None:
    await hall.problem("POST", PATH, status=422, slug="invalid-request", json=whom)
    assert hall.desk.orders == []
