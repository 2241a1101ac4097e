from __future__ import annotations

import pytest

from otagate.engine.views import RolloutRequest
from otagate.model.rollouts import DEFAULT_WAVES, WavePlan
from tests.api.conftest import Hall
from tests.api.counter import LAMP, PLUG, rollout, update

PATH = "/api/v1/rollouts"
ORDER = {"name": "lamps of the hall", "select": {"model": "LCT*", "group": "hall"}}


async def known(hall: Hall, count: int = 1) -> None:
    for number in range(1, count + 1):
        view = rollout(number)
        hall.desk.campaigns[view.rollout.id] = view


@pytest.mark.asyncio
async def test_a_rollout_is_ordered_in_the_words_of_the_contract(hall: Hall) -> None:
    waves = [{"share": 0.05, "success": 0.95, "error": 0.02, "soak": "24h", "gate": "auto"}, {"share": 0.5, "soak": "0", "gate": "manual"}]
    body = ORDER | {"waves": waves, "version": "0x01020003", "when": "now"}
    async with hall.client.post(hall.base + PATH, json=body) as answer:
        document = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (202, f"{PATH}/{document['id']}")
    assert (document["state"], document["refused"], document["dry_run"]) == ("running", [], False)
    wave = document["waves"][0]
    assert (wave["number"], wave["state"], wave["devices"], wave["pending"], wave["soak"]) == (1, "running", [LAMP, PLUG], 2, "1d")
    ((_, request, actor),) = hall.desk.orders
    assert isinstance(request, RolloutRequest)
    assert (request.name, request.select.model, request.select.group, request.version) == (ORDER["name"], "LCT*", "hall", "0x01020003")
    assert request.waves[0] == WavePlan(share=0.05)
    assert (request.waves[1].soak.total_seconds(), request.waves[1].gate) == (0, "manual")
    assert actor == "token:admin"


@pytest.mark.asyncio
async def test_without_waves_one_device_goes_first(hall: Hall) -> None:
    await hall.json("POST", PATH, json=ORDER, status=202)
    assert hall.desk.orders[0][1].waves == DEFAULT_WAVES  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_a_plan_of_a_rollout_is_answered_with_200_and_names_who_is_left_out(hall: Hall) -> None:
    select = {"devices": [LAMP, "zigbee-00000000000000ff"]}
    document = await hall.json("POST", PATH, json={"name": "x", "select": select, "dry_run": True})
    assert (document["dry_run"], hall.desk.campaigns) == (True, {})
    assert [(each["device"], each["problem"]["type"].rpartition("/")[2]) for each in document["refused"]] == [
        ("zigbee-00000000000000ff", "unknown-device")
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"select": None}, "select"),
        ({"select": {"kind": "lamp"}}, "select.kind"),
        ({"select": {"devices": []}}, "select.devices"),
        ({"waves": []}, "waves"),
        ({"waves": [{"success": 1}]}, "waves.0.share"),
        ({"waves": [{"share": 0}]}, "waves.0.share"),
        ({"waves": [{"share": 1.1}]}, "waves.0.share"),
        ({"waves": [{"share": 0.5, "soak": "1 day"}]}, "waves.0.soak"),
        ({"waves": [{"share": 0.5, "soak": "31d"}]}, "waves.0.soak"),
        ({"waves": [{"share": 0.5, "gate": "open"}]}, "waves.0.gate"),
        ({"waves": [{"share": 0.01}] * 20}, "waves"),
        ({"when": "tomorrow"}, "when"),
    ],
)
async def test_a_wrong_order_names_its_field(hall: Hall, change: dict[str, object], field: str) -> None:
    document = await hall.problem("POST", PATH, json=ORDER | change, status=422, slug="invalid-request")
    assert field in [each["field"] for each in document["errors"]]
    assert hall.desk.orders == []


@pytest.mark.asyncio
async def test_rollouts_are_listed_newest_first_page_by_page(hall: Hall) -> None:
    await known(hall, 3)
    first = await hall.json("GET", f"{PATH}?limit=2")
    second = await hall.json("GET", f"{PATH}?limit=2&cursor={first['next_cursor']}")
    assert [each["id"] for each in first["items"] + second["items"]] == ["r000003", "r000002", "r000001"]
    assert second["next_cursor"] is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "paused"), ("resume", "running"), ("halt", "halted"), ("approve", "running"), ("cancel", "stopped")]
)
async def test_a_rollout_is_steered(hall: Hall, verb: str, state: str) -> None:
    await known(hall)
    document = await hall.json("POST", f"{PATH}/r000001/{verb}")
    assert document["state"] == state
    assert hall.desk.orders == [(f"{verb}_rollout", "r000001", "token:admin")]
    await hall.problem("POST", f"{PATH}/r9/{verb}", status=404, slug="unknown-rollout")
    await known(hall)
    await hall.json("POST", f"{PATH}/r000001/cancel")
    await hall.problem("POST", f"{PATH}/r000001/pause", status=409, slug="wrong-state")


@pytest.mark.asyncio
async def test_updates_tell_their_rollout_and_are_found_by_it(hall: Hall) -> None:
    mine = update(1, rollout="r000001", wave=1)
    hall.desk.jobs = {each.id: each for each in (mine, update(2, PLUG))}
    document = await hall.json("GET", "/api/v1/updates?rollout=r000001")
    assert [(each["id"], each["rollout"], each["wave"]) for each in document["items"]] == [(mine.id, "r000001", 2)]
