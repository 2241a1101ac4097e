"""IoTaaP: a login, two addresses, and tokens that nobody may see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import BadFilter, SourceBusy, SourceError, SourceMisconfigured, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.model.ids import Sha256
from otagate.sources.delegated import OrderInDoubt
from otagate.sources.effects import Request, Response, Upload
from otagate.sources.iotaap import Account, Iotaap
from otagate.sources.records import RecordQuery
from tests.sources.talk import body_of, reply, stored, talk

DEVICE = "5e1b57808711f904f5df4bad"
TOKEN = "k3tC9xQ2m1Za"
IMAGE = Sha256("cd" * 32)


def _source(token: str | None = "jwt-1") -> Iotaap:
    account = Account(api_url="https://api.iotaap.io/v1", email="operator@example.org", password="hunter2", token=token)
    return Iotaap(account=account, tokens={DEVICE: TOKEN})


def _bearer(request: Request) -> str:
    return request.headers["authorization"]


def _row(device: str = DEVICE, version: str = "1.0.1") -> dict[str, Any]:
    return {"_id": "a" * 24, "device": device, "owner": "b" * 24, "__v": 0, "version": version, "path": f"ota/device/{device}{TOKEN}/firmware.bin"}


def _page(rows: list[Any], total: int | None = None) -> Response:
    return reply({"otas": rows, "recordsTotal": 999, "recordsFiltered": len(rows) if total is None else total, "draw": "1"})


def test_the_first_list_logs_in_and_asks_with_the_token() -> None:
    asked = talk(_source(None).listed(), [reply({"user": {"id": "1", "role": "user"}, "token": "jwt-2"}), _page([_row()])])
    assert body_of(asked.requests[0]) == {"email": "operator@example.org", "password": "hunter2"}
    assert _bearer(asked.requests[1]) == "Bearer jwt-2"
    assert [(each.device_id, each.version) for each in asked.result] == [(DEVICE, "1.0.1")]


def test_a_token_that_has_ended_is_replaced_once() -> None:
    ended = reply(status=401, body=b"Unauthorized", headers={"content-type": "text/plain"})
    asked = talk(_source().listed(), [ended, reply({"token": "jwt-2"}), _page([])])
    assert [_bearer(each) for each in (asked.requests[0], asked.requests[2])] == ["Bearer jwt-1", "Bearer jwt-2"]
    with pytest.raises(SourceMisconfigured):
        talk(_source().listed(), [ended, reply({"token": "jwt-2"}), ended])


def test_a_wrong_password_is_the_operators_to_mend() -> None:
    with pytest.raises(SourceMisconfigured, match="password_file") as caught:
        talk(_source(None).listed(), [reply({"error": "Login or password is wrong"}, status=401)])
    assert "hunter2" not in str(caught.value)


def test_a_list_is_read_to_the_end_of_what_was_filtered() -> None:
    rows = [_row(f"{number:024x}") for number in range(150)]
    asked = talk(_source().listed("x"), [_page(rows[:100], 150), _page(rows[100:], 150)])
    assert len(asked.result) == 150
    assert [dict(each.query)["offset"] for each in asked.requests] == ["0", "100"]
    assert dict(asked.requests[0].query)["search_value"] == "x"


def test_the_token_in_a_row_is_not_in_what_is_learnt() -> None:
    assert TOKEN not in repr(talk(_source().listed(), [_page([_row(), {"device": "no"}, 7])]).result)
    assert TOKEN not in repr(_source())


def test_the_latest_version_needs_no_login() -> None:
    asked = talk(_source(None).latest(DEVICE), [reply({"ver": "1.0.1"})])
    assert asked.requests[0].url == f"https://ota.iotaap.io/v1/ota/device/latest/{DEVICE}"
    assert not asked.requests[0].headers


def test_a_file_is_fetched_between_two_looks_at_its_version() -> None:
    asked = talk(_source().fetch_file(DEVICE, "1.0.1"), [reply({"ver": "1.0.1"}), stored(), reply({"ver": "1.0.1"})])
    assert asked.requests[1].url == f"https://ota.iotaap.io/v1/ota/device/download/{DEVICE}{TOKEN}"
    assert TOKEN not in asked.requests[1].label


def test_the_token_in_the_name_of_a_file_is_not_in_what_is_kept() -> None:
    version = reply({"ver": "1.0.1"})
    asked = talk(_source().fetch_file(DEVICE, "1.0.1"), [version, stored(name=f"{DEVICE}{TOKEN}.hex"), version])
    assert asked.result.file_name == f"{DEVICE}.hex"


def test_a_file_that_became_another_version_meanwhile_is_not_taken() -> None:
    with pytest.raises(SourceRefused, match=r"1\.0\.2 is served now"):
        talk(_source().fetch_file(DEVICE, "1.0.1"), [reply({"ver": "1.0.2"})])
    with pytest.raises(SourceBusy, match=r"1\.0\.2"):
        talk(_source().fetch_file(DEVICE, "1.0.1"), [reply({"ver": "1.0.1"}), stored(), reply({"ver": "1.0.2"})])


def test_an_image_is_published_once_with_every_field() -> None:
    asked = talk(_source().create(DEVICE, image=IMAGE, version="1.0.2"), [reply({"message": "Firmware successfully deployed"}, status=201)])
    effect = asked.effects[0]
    assert isinstance(effect, Upload)
    assert (effect.field, effect.image, dict(effect.fields)) == ("firmware", IMAGE, {"device": DEVICE, "token": TOKEN, "version": "1.0.2"})
    assert not effect.request.idempotent
    assert len(asked.effects) == 1


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (400, {"message": "Device ID is not valid"}, "Device ID is not valid"),
        (404, {"message": "No such device"}, "no such device"),
        (400, {"message": "See https://ota.example.org/v1?token=secret first"}, r"See \(an address\) first"),
        (413, {}, "413"),
    ],
)
def test_a_refused_publication_says_why(status: int, document: Any, words: str) -> None:
    with pytest.raises(SourceRefused, match=words):
        talk(_source().create(DEVICE, image=IMAGE, version="1.0.2"), [reply(document, status=status)])


@pytest.mark.parametrize(
    "answer",
    [
        reply(body=b"<!doctype html>", headers={"content-type": "text/html"}),
        reply({"message": "Firmware successfully deployed"}),
        reply({}, status=500),
        SourceUnavailable("the connection broke"),
        SourceUnintelligible("the answer is longer than it may be"),
    ],
    ids=["page", "another success", "500", "broken", "unintelligible"],
)
def test_a_publication_that_is_answered_with_neither_yes_nor_no_is_in_doubt(answer: Any) -> None:
    with pytest.raises(OrderInDoubt):
        talk(_source().publish(DEVICE, image=IMAGE, version="1.0.2"), [answer])


def test_a_publication_is_not_in_doubt_where_only_the_login_went_wrong() -> None:
    ended = reply(status=401, body=b"Unauthorized", headers={"content-type": "text/plain"})
    for source, before in ((_source(None), []), (_source(), [ended])):
        with pytest.raises(SourceUnintelligible):
            talk(source.publish(DEVICE, image=IMAGE, version="1.0.2"), [*before, reply({"token": "a\r\nb"})])


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        (5, None),
    ],
)
def test_when_something_was_deployed_is_a_time_in_utc_or_not_known(told: Any, known: datetime | None) -> None:
    (row,) = talk(_source().listed(), [_page([_row() | {"last_updated": told}])]).result
    assert row.last_updated == known
    assert known is None or (row.last_updated is not None and row.last_updated.tzinfo is UTC)


def test_what_cannot_be_published_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(SourceRefused, match="semantic"):
        talk(_source().create(DEVICE, image=IMAGE, version="newest"), [])
    with pytest.raises(SourceMisconfigured):
        talk(_source().create("f" * 24, image=IMAGE, version="1.0.0"), [])
    with pytest.raises(SourceMisconfigured):
        talk(_source().latest("../x"), [])


@pytest.mark.parametrize("document", [[], {}, {"ver": 1}, {"ver": "<html>"}])
def test_a_version_that_is_none_is_unintelligible(document: Any) -> None:
    with pytest.raises(SourceUnintelligible):
        talk(_source().latest(DEVICE), [reply(document)])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["otas", "recordsFiltered", "device", "version", "token", "ver"]), inner)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_whatever_the_service_says_only_a_source_error_escapes(answer: Any) -> None:
    for conversation in (_source(None).listed(), _source().listed(), _source().latest(DEVICE)):
        rounds = iter(range(5))
        try:
            talk(conversation, lambda _, rounds=rounds: reply(answer) if next(rounds, None) is not None else _page([]))
        except SourceError:
            continue


def test_records_are_told_by_our_ids_page_by_page_and_show_no_token() -> None:
    asked = talk(_source().records(RecordQuery(limit=2, offset=2, filters={"device": DEVICE, "order": "desc"})), [_page([_row(), "junk"], total=5)])
    assert asked.requests[0].query == (("offset", "2"), ("limit", "2"), ("order_dir", "desc"), ("search_value", DEVICE))
    assert [(each.device, each.version) for each in asked.result.items] == [(f"iotaap-{DEVICE}", "1.0.1")]
    assert asked.result.after == 4
    assert TOKEN not in repr(asked.result)
    assert talk(_source().records(RecordQuery()), [_page([])]).result.after is None


@pytest.mark.parametrize("filters", [{"search": "x"}, {"order": "up"}, {"device": TOKEN}])
def test_records_are_narrowed_by_what_the_service_knows_and_never_searched_for_tokens(filters: dict[str, str]) -> None:
    with pytest.raises(BadFilter):
        talk(_source().records(RecordQuery(filters=filters)), [])
