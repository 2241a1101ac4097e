"""Calls about radios, sources and health, over a real connection."""

from __future__ import annotations

import pytest

from tests.api.conftest import Hall

pytestmark = pytest.mark.asyncio


async def test_radios_are_listed(hall: Hall) -> None:
    assert (await hall.json("GET", "/api/v1/radios"))["items"] == [
        {"name": "zigbee0", "type": "ezsp", "state": "up", "sentence": "ready for 2 devices", "devices": 2, "transfers": 0, "parallel": 2}
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
        "releases": 12,
    }
    assert await hall.json("POST", "/api/v1/sources/directory/refresh") == listed
    await hall.problem("POST", "/api/v1/sources/other/refresh", status=404, slug="not-found")


async def test_readiness_says_what_is_missing(hall: Hall) -> None:
    radios = [{"name": "zigbee0", "state": "up", "sentence": "ready for 2 devices"}]
    assert await hall.json("GET", "/readyz") == {"ready": True, "store": "open", "radios": radios}
    hall.desk.ready = False
    document = await hall.problem("GET", "/readyz", status=503, slug="not-ready")
    assert (document["ready"], document["store"], document["radios"][0]["state"]) == (False, "open", "in_use")


async def test_metrics_are_prometheus_text(hall: Hall) -> None:
    async with hall.client.get(f"{hall.base}/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "otagate_updates_finished_total 3.0" in await response.text()
