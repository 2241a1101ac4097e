"""What services recorded themselves, as the sources that know them tell it."""

from __future__ import annotations

from typing import Any

import pytest

from otagate.model.errors import BadFilter
from otagate.sources.records import Recorder, RecordPage, RecordQuery, RoomSync
from otagate.sources.tuya_illume import TuyaIllume
from otagate.sources.tuya_openapi import Account
from tests.sources.talk import Talk, reply, talk

TOKEN = {"success": True, "t": 1_772_366_400_000, "result": {"access_token": "a1", "refresh_token": "r1", "expire_time": 7200, "uid": "u"}}


def illume() -> TuyaIllume:
    return TuyaIllume(account=Account(url="https://openapi.tuyaeu.com", client_id="id", secret="very-secret"), project_id="p1")


def row(number: int) -> dict[str, Any]:
    return {
        "device_id": f"vdev{number}",
        "device_name": f"Lamp {number}",
        "online": "true",
        "room_name": "Hall",
        "upgrade_status": "3",
        "version": "1.0.1",
    }


def asked(query: RecordQuery, rows: list[dict[str, Any]], total: int) -> Talk[RecordPage]:
    answer = {"success": True, "result": {"list": rows, "total": total}, "t": 1_772_366_400}
    return talk(illume().records(query), [reply(TOKEN), reply(answer)])


def test_illume_keeps_records_and_knows_rooms() -> None:
    assert isinstance(illume(), Recorder)
    assert isinstance(illume(), RoomSync)


def test_a_page_of_records_is_one_call_with_the_services_filters() -> None:
    query = RecordQuery(filters={"list": "updating", "room_id": "r1", "upgrade_status": "2,5"}, limit=2, offset=4)
    told = asked(query, [row(5), row(6)], total=7)
    request = told.requests[-1]
    assert request.url.endswith("/ota/open/upgrading")
    assert dict(request.query) == {"page": "3", "page_size": "2", "project_id": "p1", "room_id": "r1", "upgrade_status": "2,5"}
    assert [(each.device, each.name, each.status, each.version) for each in told.result.items] == [
        ("tuya-vdev5", "Lamp 5", "updated", "1.0.1"),
        ("tuya-vdev6", "Lamp 6", "updated", "1.0.1"),
    ]
    assert told.result.items[0].details == {"upgrade_status": 3, "online": True, "room": "Hall"}
    assert told.result.after == 6


def test_the_last_page_says_that_it_is_the_last() -> None:
    assert asked(RecordQuery(limit=2, offset=2), [row(3)], total=3).result.after is None
    assert asked(RecordQuery(limit=2), [], total=3).result.after is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (RecordQuery(filters={"list": "all"}), "to-be-updated, updating, record"),
        (RecordQuery(filters={"search_value": "x"}), "there is no filter 'search_value'"),
        (RecordQuery(filters={"upgrade_status": "9"}), "upgrade_status has no value '9'"),
        (RecordQuery(limit=10, offset=5), "keep the limit"),
    ],
)
def test_what_the_service_cannot_narrow_by_is_told_before_it_is_asked(query: RecordQuery, said: str) -> None:
    with pytest.raises(BadFilter, match=said):
        next(illume().records(query))


def test_a_device_whose_id_would_not_fit_into_ours_is_left_out() -> None:
    told = asked(RecordQuery(), [row(1) | {"device_id": "../../etc"}, row(2)], total=2)
    assert [each.device for each in told.result.items] == ["tuya-vdev2"]
