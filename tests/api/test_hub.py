"""Calls about radios, sources, health, the journal and the halt, over a real connection."""

from __future__ import annotations

import pytest

from otagate.model.errors import RadioUnavailable, StoreUnavailable
from tests.api.conftest import Hall
from tests.api.counter import LAMP

pytestmark = pytest.mark.asyncio


async def test_radios_are_listed(hall: Hall) -> None:
    assert (await hall.json("GET", "/api/v1/radios"))["items"] == [
        {
            "name": "zigbee0",
            "type": "ezsp",
            "state": "up",
            "sentence": "ready for 2 devices",
            "devices": 2,
            "transfers": 0,
            "parallel": 2,
            "load": None,
            "error": None,
            "paused": None,
            "borrowed_from": None,
        }
    ]


@pytest.mark.parametrize(("body", "seconds"), [({"seconds": 0}, 0), ({"seconds": 254}, 254), ({}, 60), (None, 60)])
async def test_a_network_is_opened_for_the_asked_time(hall: Hall, body: dict[str, int] | None, seconds: int) -> None:
    answer = await hall.json("POST", "/api/v1/radios/zigbee0/permit-join", json=body)
    assert answer == {"radio": "zigbee0", "seconds": seconds}
    assert hall.desk.orders == [("permit_join", ("zigbee0", seconds), "token:admin")]


@pytest.mark.parametrize("body", [{"seconds": 255}, {"seconds": -1}, {"seconds": "60"}, {"seconds": 1.5}, {"second": 60}, {"seconds": True}])
async def test_a_time_that_zigbee_does_not_know_is_refused(hall: Hall, body: dict[str, object]) -> None:
    await hall.problem("POST", "/api/v1/radios/zigbee0/permit-join", status=422, slug="invalid-request", json=body)


async def test_an_unknown_radio_is_a_problem(hall: Hall) -> None:
    await hall.problem("POST", "/api/v1/radios/other/permit-join", status=404, slug="unknown-radio")
    await hall.problem("POST", "/api/v1/radios/other/reattach", status=404, slug="unknown-radio")


async def test_a_radio_that_is_down_opens_nothing(hall: Hall) -> None:
    hall.desk.ready = False
    document = await hall.problem("POST", "/api/v1/radios/zigbee0/permit-join", status=503, slug="radio-unavailable")
    assert document["retry"] == "later"


async def test_a_radio_is_tried_again_at_the_operators_word(hall: Hall) -> None:
    answer = await hall.json("POST", "/api/v1/radios/zigbee0/reattach", status=202)
    assert answer["name"] == "zigbee0"
    assert hall.desk.orders == [("reattach", "zigbee0", "token:admin")]


async def test_sources_are_listed_and_refreshed(hall: Hall) -> None:
    (listed,) = (await hall.json("GET", "/api/v1/sources"))["items"]
    assert listed == {
        "name": "directory",
        "type": "directory",
        "state": "ok",
        "sentence": "12 images",
        "last_success": "2026-05-01T12:00:00Z",
        "next_refresh": None,
        "quota_left": None,
        "quotas": [],
        "skipped_count": 0,
        "skipped": [],
        "releases": 12,
        "error": None,
    }
    assert await hall.json("POST", "/api/v1/sources/directory/refresh") == listed
    await hall.problem("POST", "/api/v1/sources/other/refresh", status=404, slug="unknown-source")


async def test_readiness_says_what_is_missing(hall: Hall) -> None:
    radios = [{"name": "zigbee0", "state": "up", "sentence": "ready for 2 devices"}]
    assert await hall.json("GET", "/readyz") == {"ready": True, "store": "open", "radios": radios, "mqtt": None}
    hall.desk.ready = False
    document = await hall.problem("GET", "/readyz", status=503, slug="not-ready")
    assert (document["ready"], document["store"], document["radios"][0]["state"]) == (False, "open", "in_use")


async def test_metrics_are_prometheus_text(hall: Hall) -> None:
    async with hall.client.get(f"{hall.base}/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "otagate_updates_finished_total 3.0" in await response.text()


# --- the halt ---------------------------------------------------------------------------------------------------------------------------------


async def test_everything_is_halted_until_that_is_lifted(hall: Hall) -> None:
    nothing = {"halted": False, "since": None, "actor": None, "because": None}
    assert await hall.json("GET", "/api/v1/halt") == nothing
    halted = await hall.json("POST", "/api/v1/halt", json={"because": "a lamp smells"})
    assert halted == {"halted": True, "since": "2026-05-01T12:00:00Z", "actor": "token:admin", "because": "a lamp smells"}
    assert await hall.json("POST", "/api/v1/halt") == halted
    assert await hall.json("GET", "/api/v1/halt") == halted
    await hall.json("DELETE", "/api/v1/halt", status=204)
    await hall.json("DELETE", "/api/v1/halt", status=204)
    assert await hall.json("GET", "/api/v1/halt") == nothing
    assert [(what, actor) for what, _, actor in hall.desk.orders] == [("halt", "token:admin")] * 2 + [("lift_halt", "token:admin")] * 2


@pytest.mark.parametrize("body", [{"because": ""}, {"because": "two\nlines"}, {"because": "x" * 501}, {"reason": "x"}, {"because": 7}])
async def test_a_reason_that_is_none_halts_nothing(hall: Hall, body: dict[str, object]) -> None:
    await hall.problem("POST", "/api/v1/halt", status=422, slug="invalid-request", json=body)
    assert hall.desk.orders == []


async def test_a_halt_that_a_restart_would_forget_says_so(hall: Hall) -> None:
    hall.desk.trouble["halt"] = StoreUnavailable("everything is halted, but that could not be written down")
    document = await hall.problem("POST", "/api/v1/halt", status=503, slug="store-unavailable")
    assert "everything is halted" in document["detail"]


# --- the journal ------------------------------------------------------------------------------------------------------------------------------


async def test_the_journal_is_read_backwards_in_pages_and_filtered(hall: Hall) -> None:
    for number in range(1, 6):
        await hall.desk.record("update", f"u{number:04d}", "created", actor="token:panel" if number % 2 else "policy")
    await hall.desk.record("device", LAMP, "amended", {"name": "Desk"}, actor="uid:1000")

    async def numbers(query: str) -> list[int]:
        return [each["number"] for each in (await hall.json("GET", f"/api/v1/journal?{query}"))["items"]]

    assert await numbers("") == [6, 5, 4, 3, 2, 1]
    first = await hall.json("GET", "/api/v1/journal?limit=4")
    assert await numbers(f"limit=4&cursor={first['next_cursor']}") == [2, 1]
    assert await numbers("subject=device") == [6]
    assert await numbers("id=u0002") == [2]
    assert await numbers("kind=created&actor=token:panel") == [5, 3, 1]
    assert await numbers("since=2026-05-01T12:00:00Z") == [6, 5, 4, 3, 2, 1]
    assert await numbers("since=2026-05-01T12:00:01Z") == await numbers("until=2026-05-01T11:59:59Z") == []
    (line,) = (await hall.json("GET", "/api/v1/journal?subject=device"))["items"]
    assert (line["actor"], line["kind"], line["data"]) == ("uid:1000", "amended", {"name": "Desk"})


@pytest.mark.parametrize("query", ["subject=lamp", "since=yesterday", "since=2026-05-01T12:00:00", "limit=501", "cursor=j", "cursor=u31", "actor="])
async def test_a_bad_filter_of_the_journal_is_refused_by_name(hall: Hall, query: str) -> None:
    document = await hall.problem("GET", f"/api/v1/journal?{query}", status=422, slug="invalid-request")
    assert [each["field"] for each in document["errors"]] == [query.partition("=")[0]]


# --- backups ----------------------------------------------------------------------------------------------------------------------------------


async def test_a_backup_answers_where_it_is_and_not_what_is_in_it(hall: Hall) -> None:
    answer = await hall.json("POST", "/api/v1/radios/zigbee0/backup", status=201)
    assert answer == {
        "radio": "zigbee0",
        "path": str(hall.desk.folder / "backups" / "zigbee0-20260501T120000Z.json"),
        "format": "open-coordinator-backup",
        "sha256": "cd" * 32,
        "bytes": 2000,
        "devices": 2,
        "created": "2026-05-01T12:00:00Z",
    }
    await hall.problem("POST", "/api/v1/radios/other/backup", status=404, slug="unknown-radio")
    hall.desk.trouble["back_up"] = RadioUnavailable("the coordinator did not tell all of its network")
    await hall.problem("POST", "/api/v1/radios/zigbee0/backup", status=503, slug="radio-unavailable")


async def test_windows_tell_their_openings_to_come(hall: Hall) -> None:
    (window,) = (await hall.json("GET", "/api/v1/windows"))["items"]
    opening = {"begins": "2026-05-01T12:00:00Z", "ends": "2026-05-01T16:00:00Z", "at_end": "pause"}
    assert window == {"name": "night", "open": True, "openings": [opening]}


async def test_a_radio_is_paused_with_a_reason_and_goes_on(hall: Hall) -> None:
    path = "/api/v1/radios/zigbee0"
    paused = await hall.json("POST", f"{path}/pause", json={"because": "guests sleep"})
    assert paused["paused"] == {"since": "2026-05-01T12:00:00Z", "actor": "token:admin", "because": "guests sleep"}
    assert (await hall.json("GET", "/api/v1/radios"))["items"][0]["paused"] == paused["paused"]
    assert (await hall.json("POST", f"{path}/resume"))["paused"] is None
    for verb in ("pause", "resume"):
        await hall.problem("POST", f"/api/v1/radios/other/{verb}", status=404, slug="unknown-radio", json={} if verb == "pause" else None)
