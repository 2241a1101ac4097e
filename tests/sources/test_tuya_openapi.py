"""Tuya's envelope, token and signature, against the vendor's own worked example and every class of its error codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otagate.model.errors import SourceBusy, SourceError, SourceMisconfigured, SourceUnavailable, SourceUnintelligible
from otagate.sources.effects import Effect, Response, Stored
from otagate.sources.tuya_openapi import Account, Token, TuyaRefused
from tests.sources.talk import NOW, reply, talk

MARKS = {"area_id": "29a33e8796834b1efa6", "call_id": "8afdb70ab2ed11eb85290242ac130003"}
WORKED = datetime.fromtimestamp(1588925778, UTC)
NONCE = "5138cc3a9033d69856923fd07b491173"


def _account(**more: Any) -> Account:
    return Account(url="https://openapi.tuyaeu.com", client_id="1KAD46OrT9HafiKdsXeg", secret="4OHBOnWOqaEC1mWXOpVL3yV50s0qGSRC", **more)


def _token(until: datetime = NOW + timedelta(hours=2)) -> Token:
    return Token(access="held", refresh="again", until=until)


def _granted(access: Any = "new") -> Response:
    return reply(
        {"success": True, "t": int(NOW.timestamp() * 1000), "result": {"access_token": access, "refresh_token": "next", "expire_time": 7200}}
    )


def _failed(code: Any, **more: Any) -> Response:
    return reply({"success": False, "code": code, "msg": "no", "t": int(NOW.timestamp() * 1000)} | more)


def test_the_vendors_example_of_a_token_call_is_signed_as_the_vendor_says() -> None:
    signed = _account().sign("GET", "/v1.0/token", query=[("grant_type", "1")], body=b"", now=WORKED, nonce=NONCE, token="", headers=MARKS)
    assert signed["sign"] == "9E48A3E93B302EEECC803C7241985D0A34EB944F40FB573C7B5C2A82158AF13E"
    assert "access_token" not in signed


def test_the_vendors_example_of_a_business_call_is_signed_as_the_vendor_says() -> None:
    query = [("page_size", "50"), ("page_no", "1")]
    token = "3f4eda2bdec17232f67c0b188af3eec1"
    signed = _account().sign("GET", "/v2.0/apps/schema/users", query=query, body=b"", now=WORKED, nonce=NONCE, token=token, headers=MARKS)
    assert signed["sign"] == "AE4481C692AA80B25F3A7E12C3A5FD9BBF6251539DD78E565A1A72A508A88784"
    assert signed["t"] == "1588925778000"


def test_the_first_call_fetches_a_token_and_the_next_uses_it() -> None:
    account = _account()
    asked = talk(account.call("GET", "/v1.0/x", label="x"), [_granted(), reply({"success": True, "result": 7})])
    assert asked.result == 7
    assert [each.url.removeprefix(account.url) for each in asked.requests] == ["/v1.0/token", "/v1.0/x"]
    assert asked.requests[1].sign is not None
    assert asked.requests[1].sign(NOW, "n")["access_token"] == "new"
    assert len(talk(account.call("GET", "/v1.0/x", label="x"), [reply({"success": True})]).requests) == 1


@pytest.mark.parametrize("access", ["a\r\nb: c", "a\x00", "\u0142", "", "x" * 5_000, 7, None])
def test_a_token_that_fits_into_no_header_is_none(access: Any) -> None:
    with pytest.raises(SourceUnintelligible, match="holds none"):
        talk(_account().call("GET", "/v1.0/x", label="x"), [_granted(access)])


def test_a_code_of_thousands_of_digits_is_not_told() -> None:
    with pytest.raises(SourceError) as caught:
        talk(_account(token=_token()).call("GET", "/v1.0/x", label="x"), [_failed(10**4_000)])
    assert len(str(caught.value)) < 100


def test_a_token_near_its_end_is_renewed_with_the_refresh_token_before_the_call_is_made() -> None:
    account = _account(token=_token(NOW + timedelta(seconds=30)))
    urls: list[str] = []

    def service(effect: Effect) -> Response | Stored | SourceError:
        assert effect.request.sign is not None
        try:
            effect.request.sign(NOW, "n")
        except SourceError as spent:
            return spent
        urls.append(effect.request.url.removeprefix(account.url))
        return _granted() if "token" in effect.request.url else reply({"success": True, "result": True})

    assert talk(account.call("GET", "/v1.0/x", label="x"), service).result is True
    assert urls == ["/v1.0/token/again", "/v1.0/x"]


def test_a_refresh_token_that_is_spent_is_no_reason_to_give_up() -> None:
    account = _account(token=_token())
    asked = talk(account._renew(), [_failed(1011), _granted("fresh")])
    assert [dict(each.query) for each in asked.requests] == [{}, {"grant_type": "1"}]
    assert account.token is not None
    assert account.token.access == "fresh"


@pytest.mark.parametrize("code", [1002, 1010, 1011, 1012, 1400, "1010"])
def test_a_revoked_token_is_replaced_once_and_the_call_repeated_once(code: Any) -> None:
    account = _account(token=_token())
    asked = talk(account.call("GET", "/v1.0/x", label="x"), [_failed(code), _granted(), reply({"success": True, "result": 1})])
    assert asked.result == 1
    account = _account(token=_token())
    with pytest.raises(SourceMisconfigured):
        talk(account.call("GET", "/v1.0/x", label="x"), [_failed(code), _granted(), _failed(code)])


def test_a_clock_that_is_an_hour_off_is_corrected_from_the_answer() -> None:
    account = _account(token=_token())
    theirs = NOW + timedelta(hours=1)
    wrong = _failed(1013, t=int(theirs.timestamp() * 1000))
    asked = talk(account.call("GET", "/v1.0/x", label="x"), [wrong, reply({"success": True, "result": 1, "t": int(theirs.timestamp())})])
    assert asked.requests[1].sign is not None
    assert asked.requests[1].sign(NOW, "n")["t"] == str(int(theirs.timestamp() * 1000))
    with pytest.raises(SourceMisconfigured, match="clock"):
        talk(account.call("GET", "/v1.0/x", label="x"), [wrong, wrong])


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (1004, SourceMisconfigured, "secret"),
        (1005, SourceMisconfigured, "client_id"),
        (1106, SourceMisconfigured, "data centre"),
        (28841002, SourceMisconfigured, "subscription"),
        (28841105, SourceMisconfigured, "project"),
        (28841004, SourceBusy, "quota"),
        (1110, SourceBusy, "too many"),
        (500, SourceUnavailable, "500"),
        (1109, TuyaRefused, "1109"),
        (2001, TuyaRefused, "2001"),
        (None, TuyaRefused, "no"),
    ],
)
def test_every_class_of_error_says_what_to_do(code: Any, kind: type[SourceError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        talk(_account(token=_token()).call("GET", "/v1.0/x", label="x"), [_failed(code)])
    assert "4OHB" not in str(caught.value)


def test_a_spent_quota_says_until_when() -> None:
    with pytest.raises(SourceBusy) as caught:
        talk(_account(token=_token()).call("GET", "/v1.0/x", label="x"), [_failed(28841104)])
    assert caught.value.until == NOW + timedelta(minutes=30)


@pytest.mark.parametrize("document", [[], {}, {"success": "yes"}, None])
def test_an_answer_without_an_envelope_is_unintelligible(document: Any) -> None:
    with pytest.raises(SourceUnintelligible):
        talk(_account(token=_token()).call("GET", "/v1.0/x", label="x"), [reply(document)])


def test_secrets_are_in_no_text_of_an_account() -> None:
    shown = repr(_account(token=_token()))
    assert "4OHB" not in shown
    assert "held" not in shown


def test_a_token_that_ends_at_once_is_not_renewed_for_ever() -> None:
    account = _account(token=_token(NOW))

    def service(effect: Effect) -> Response | Stored | SourceError:
        if "token" in effect.request.url:
            return reply({"success": True, "result": {"access_token": "a", "refresh_token": "b", "expire_time": 1}})
        assert effect.request.sign is not None
        with pytest.raises(SourceError) as spent:
            effect.request.sign(NOW, "n")
        return spent.value

    with pytest.raises(SourceUnintelligible, match="before it is used"):
        talk(account.call("GET", "/v1.0/x", label="x"), service)
