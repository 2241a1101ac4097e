"""Commercial lighting: lists in pages, values as text, and an order whose answer says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import SourceError, SourceUnintelligible
from otagate.sources.effects import Conversation, Effect, Response
from otagate.sources.tuya_illume import Filters, TuyaIllume
from otagate.sources.tuya_openapi import Account, Token, TuyaRefused
from tests.sources.talk import NOW, body_of, reply, talk

T = TypeVar("T")
LISTED, DETAIL, ORDER = "the list to-be-updated", "the detail of a device", "the order"


def _source() -> TuyaIllume:
    token = Token(access="a", refresh="r", until=NOW + timedelta(hours=2))
    return TuyaIllume(account=Account(url="https://openapi.tuyaeu.com", client_id="c", secret="s", token=token), project_id="145")


def _ok(result: Any = None) -> Response:
    return reply({"success": True, "t": int(NOW.timestamp()), "result": result})


def _row(number: int, status: Any = 1, **more: Any) -> dict[str, Any]:
    return {
        "device_id": f"d{number}",
        "device_name": f"lamp {number}",
        "online": True,
        "upgrade_status": status,
        "version": "1.2",
        "group_type": [2],
    } | more


def _detail(status: int = 3, current: str = "1.2") -> dict[str, Any]:
    return {"device_id": "d1", "current_version": current, "upgrade_status": status, "device": {"device_name": "lamp", "online": "true"}}


@pytest.mark.parametrize(
    ("which", "path"), [("to-be-updated", "/ota/open/tobeupgraded"), ("updating", "/ota/open/upgrading"), ("record", "/ota/open/upgrade/record")]
)
def test_a_list_is_read_page_by_page_to_its_end(which: str, path: str) -> None:
    pages = [_ok({"list": [_row(number) for number in range(start, start + 100)], "total": 250}) for start in (0, 100)]
    asked = talk(_source().listed(which), [*pages, _ok({"list": [_row(number) for number in range(200, 250)], "total": 250})])
    assert len(asked.result) == 250
    assert [dict(each.query)["page"] for each in asked.requests] == ["1", "2", "3"]
    assert {each.url for each in asked.requests} == {f"https://openapi.tuyaeu.com/v1.0/cloud/illume/devices{path}"}
    assert dict(asked.requests[0].query)["page_size"] == "100"


def test_a_total_that_shrinks_and_a_page_without_rows_end_the_list() -> None:
    assert len(talk(_source().listed("record"), [_ok({"list": [_row(1)], "total": 500}), _ok({"list": [], "total": 500})]).result) == 1
    assert len(talk(_source().listed("record"), [_ok({"list": [_row(1)], "total": 500}), _ok({"list": [_row(2)], "total": 150})]).result) == 2


@pytest.mark.parametrize(
    ("status", "word"), [(0, "none"), (1, "available"), (2, "updating"), (3, "updated"), (4, "failed"), ("5", "waiting"), (17, "unknown")]
)
def test_every_state_has_its_word_and_an_unknown_one_keeps_its_number(status: Any, word: str) -> None:
    channel = talk(_source().listed("record"), [_ok({"list": [_row(1, status)], "total": 1})]).result[0].channels[0]
    assert (channel.status, channel.raw_status) == (word, int(status))


@pytest.mark.parametrize(
    ("kind", "protocol"), [(2, "zigbee"), ("2", "zigbee"), (9, None), ("9" * 5_000, None), (True, None), ("\u0662", None), ("", None)]
)
def test_a_kind_of_radio_that_nobody_knows_is_no_fact(kind: Any, protocol: str | None) -> None:
    (device,) = talk(_source().listed("record"), [_ok({"list": [_row(1, group_type=[kind])], "total": 1})]).result
    assert device.facts.get("protocol") == protocol


def test_a_row_that_cannot_be_read_is_left_out_and_the_rest_serve() -> None:
    rows = [_row(1, "two"), _row(2, online="maybe"), {"upgrade_status": 1}, _row(4)]
    assert [each.device_id for each in talk(_source().listed("record"), [_ok({"list": rows, "total": 4})]).result] == ["d4"]


def test_parameters_go_into_a_body_where_the_cloud_does_not_find_them_and_stay_there() -> None:
    source = _source()
    missing = reply({"success": False, "code": 1102, "msg": "project_id is null"})
    asked = talk(source.listed("record", Filters(online=True, upgrade_status=(1, 2))), [missing, _ok({"list": [], "total": 0})])
    assert dict(asked.requests[0].query)["upgrade_status"] == "1,2"
    assert asked.requests[1].query == ()
    assert body_of(asked.requests[1])["upgrade_status"] == [1, 2]
    assert body_of(asked.requests[1])["online"] is True
    again = talk(source.sync_room("r1"), [_ok()])
    assert json.loads(again.requests[0].body or b"") == {"project_id": "145", "room_id": "r1"}
    with pytest.raises(TuyaRefused):
        talk(source.listed("record"), [missing])


def test_an_order_that_the_cloud_accepts_is_started() -> None:
    asked = talk(_source().start(["d1", "d2"]), [_ok(True)])
    assert asked.result == {"d1": "started", "d2": "started"}
    assert body_of(asked.requests[0]) == {"project_id": "145", "device_ids": ["d1", "d2"]}
    assert not asked.requests[0].idempotent


def test_an_order_whose_answer_says_false_is_read_back_before_anybody_is_told() -> None:
    running = _ok({"list": [_row(1, 2)], "total": 1})
    asked = talk(_source().start(["d1", "d2"]), [_ok(False), running, _ok(_detail(status=1) | {"device_id": "d2"})])
    assert asked.result == {"d1": "started", "d2": "not-started"}
    assert [each.label for each in asked.requests] == ["the order", "the list updating", "the detail of a device"]


def test_a_hundred_devices_are_one_order_and_no_more() -> None:
    hundred = [f"d{number}" for number in range(100)]
    asked = talk(_source().start(hundred), [_ok(True)])
    assert [len(body_of(each)["device_ids"]) for each in asked.requests] == [_source().most_at_once]
    with pytest.raises(ValueError, match="100 devices"):
        talk(_source().start([*hundred, "d100"]), [])


def test_the_detail_names_the_running_version() -> None:
    device = talk(_source().detail("d1"), [_ok(_detail())]).result
    assert (device.channels[0].current_version, device.channels[0].status, device.online) == ("1.2", "updated", True)


def test_a_look_takes_from_each_list_what_says_most_about_now() -> None:
    answers = [_ok({"list": [_row(1, 3), _row(2, 4)], "total": 2}), _ok({"list": [_row(1, 1)], "total": 1}), _ok({"list": [_row(2, 2)], "total": 1})]
    found = {each.device_id: each.channels[0].status for each in talk(_source().look(), answers).result.devices}
    assert found == {"d1": "available", "d2": "updating"}


# --- what is offered in a room is read once a minute ------------------------------------------------------------------------------------


class _Room:
    """A cloud whose devices `offered` could be updated, and are in `rooms` (r1); `after` seconds have passed since NOW. `asked` is every label."""

    def __init__(self, *offered: str) -> None:
        self.source = _source()
        self.offered = dict.fromkeys(offered, "1.2")
        self.rooms: dict[str, str] = {}
        self.after = 0.0
        self.asked: list[str] = []
        self.rooms_asked: list[str | None] = []

    def holds(self, conversation: Conversation[T]) -> T:
        self.asked.clear()
        return talk(conversation, self._answer).result

    def offered_to(self, device_id: str) -> str | None:
        return self.holds(self.source.look_at(device_id)).channels[0].offered_version

    def _answer(self, effect: Effect) -> Response:
        request = effect.request
        self.asked.append(request.label)
        result: Any = True
        if request.label == DETAIL:
            device_id = dict(request.query)["device_id"]
            result = _detail(1) | {"device_id": device_id, "device": {"room_id": self.rooms.get(device_id, "r1")}}
        elif "list" in request.label:
            listed = self.offered if request.label == LISTED else {}
            room = dict(request.query).get("room_id")
            listed = {each: version for each, version in listed.items() if room in (None, self.rooms.get(each, "r1"))}
            self.rooms_asked.append(room)
            result = {"list": [_row(0, device_id=each, version=version) for each, version in listed.items()], "total": len(listed)}
        return replace(_ok(result), at=NOW + timedelta(seconds=self.after))


def test_two_looks_within_a_minute_cost_one_reading_of_what_their_room_is_offered() -> None:
    room = _Room("d1", "d2")
    assert (room.offered_to("d1"), room.asked) == ("1.2", [DETAIL, LISTED])
    room.after = 59.9
    assert (room.offered_to("d2"), room.asked) == ("1.2", [DETAIL])
    room.after = 60.0
    room.offered["d2"] = "1.3"
    assert (room.offered_to("d2"), room.asked) == ("1.3", [DETAIL, LISTED])


def test_each_room_is_read_for_itself() -> None:
    room = _Room("d1", "d2")
    room.rooms["d2"] = "r2"
    assert (room.offered_to("d1"), room.offered_to("d2"), room.offered_to("d1")) == ("1.2", "1.2", "1.2")
    assert room.rooms_asked == ["r1", "r2"]


def test_a_clock_that_goes_back_makes_nothing_last_longer() -> None:
    room = _Room("d1")
    room.offered_to("d1")
    room.after = -3_600.0
    room.offered["d1"] = "1.3"
    assert room.offered_to("d1") == "1.3"


def test_a_device_that_was_not_offered_anything_a_moment_ago_has_the_list_read_anew() -> None:
    room = _Room("d1")
    room.offered_to("d1")
    room.offered["d2"] = "1.3"
    assert (room.offered_to("d2"), room.asked) == ("1.3", [DETAIL, LISTED])


def test_after_an_order_a_sync_and_a_look_at_everything_the_next_look_asks() -> None:
    room = _Room("d1", "d2")
    conversations: list[Callable[[], Conversation[object]]] = [
        lambda: room.source.start(["d2"]),
        lambda: room.source.sync_room("r1"),
        room.source.look,
    ]
    for conversation in conversations:
        room.offered_to("d1")
        room.holds(conversation())
        room.offered_to("d1")
        assert room.asked == [DETAIL, LISTED]


def test_what_an_order_came_to_is_never_read_from_what_was_kept() -> None:
    room = _Room("d1")
    room.offered_to("d1")
    source = room.source
    answers = [_ok(False), _ok({"list": [], "total": 0}), _ok(_detail(status=1))]
    assert [each.label for each in talk(source.start(["d1"]), answers).requests] == [ORDER, "the list updating", DETAIL]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"colour": "red"}, "colour"), ({"online": "yes"}, "online"), ({"upgrade_status": "6"}, "upgrade_status"), ({"top_categories": "zm,x"}, "x")],
)
def test_a_filter_that_the_service_does_not_have_is_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Filters.parse(given)


def test_filters_are_read_from_text() -> None:
    read = Filters.parse({"device_status": "Online,Offline", "device_types": "-1,4", "online": "false", "room_id": "7"})
    assert read.parameters() == {"device_status": ["Online", "Offline"], "device_types": [-1, 4], "room_id": "7", "online": False}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["list", "total", "device_id", "upgrade_status", "device"]), inner),
    max_leaves=12,
)


@given(_JSON)
def test_whatever_the_cloud_says_only_a_source_error_escapes(result: Any) -> None:
    for conversation in (_source().detail("d"), _source().start(["d"])):
        try:
            talk(conversation, lambda _: _ok(result))
        except SourceError:
            continue


def test_an_answer_that_is_no_detail_is_unintelligible() -> None:
    with pytest.raises(SourceUnintelligible, match="upgrade_status"):
        talk(_source().detail("d"), [_ok({"device_id": "d"})])
