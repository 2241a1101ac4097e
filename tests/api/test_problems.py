"""The table of problems."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from otagate.api.problems import KINDS, RequestError, headers_of, kind_of, problem_of, problem_of_failure
from otagate.engine import ledger
from otagate.model.errors import OtagateError, RadioUnavailable, Refused, StoreUnavailable, UnknownDevice
from otagate.model.updates import Failure
from otagate.sessions import zwave_outcomes as outcomes


def family(root: type[OtagateError]) -> Iterator[type[OtagateError]]:
    yield root
    for each in root.__subclasses__():
        if each.__module__ == "otagate.model.errors":
            yield from family(each)


@pytest.mark.parametrize("kind", list(family(OtagateError)))
def test_every_error_of_the_domain_is_a_problem_of_the_table(kind: type[OtagateError]) -> None:
    error = Refused("a sentence", code="update-loop", reason="quarantined") if kind is Refused else kind("a sentence")
    document = problem_of(error)
    assert document.type == f"/problems/{error.code}"
    assert (document.detail, document.retry, document.status) == ("a sentence", kind.retry, KINDS[error.code].status)


def test_what_can_end_an_update_has_a_line_of_the_table() -> None:
    """Codes of the sessions and of the ledger are words, not classes."""
    told = {*ledger._CODES.values(), *(each.code for each in outcomes.STATUS.values() if each.code)}
    assert told <= set(KINDS)


@pytest.mark.parametrize("slug", KINDS)
def test_a_slug_is_short_and_url_safe(slug: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)
    assert len(slug) <= 40


def test_a_leaf_that_the_table_lacks_keeps_its_own_slug_and_its_familys_status() -> None:
    class Lost(UnknownDevice):
        code = "lost-device"

    document = problem_of(Lost("it left"))
    assert (document.type, document.status) == ("/problems/lost-device", 404)


def test_a_verdict_carries_its_reason_word() -> None:
    document = problem_of(Refused("two days old; policy waits fourteen", code="policy-refused", reason="cooldown"))
    assert (document.type, document.status, document.reason) == ("/problems/policy-refused", 409, "cooldown")


def test_a_foreign_error_is_internal() -> None:
    class Odd(OtagateError):
        code = "odd"

    assert kind_of(Odd("?")).status == 500


def test_the_cause_of_a_failure_is_a_problem_even_where_the_table_lacks_it() -> None:
    assert problem_of_failure(Failure(code="version-unchanged", detail="twice")).status == 409
    assert problem_of_failure(Failure(code="device-unreachable", detail="gone")).status == 504


def test_retry_after_goes_with_what_is_known() -> None:
    assert headers_of(RequestError("shutting-down", "soon"))["Retry-After"] == "10"
    assert headers_of(RequestError("unauthorized", "no", headers={"WWW-Authenticate": "Bearer"})) == {"WWW-Authenticate": "Bearer"}
    assert headers_of(RadioUnavailable("unplugged")) == headers_of(StoreUnavailable("full")) == {}
