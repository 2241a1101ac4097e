from __future__ import annotations

import inspect
import re

import pytest

from otagate.model import errors
from otagate.model.errors import OtagateError, PolicyRefused, Refused

EVERY = sorted(
    (each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, OtagateError)),
    key=lambda each: each.__name__,
)


UNTOLD = {
    *("ConfigError", "AdoptionError", "StoreInUse", "SchemaTooNew"),  # a sentence of a command that ends with it
    *("SessionError", "LocalProtocolError", "RemoteProtocolError", "IllegalTransition"),  # settled where they are raised, or a fault of ours
    *("SourceError", "UpdateError"),  # only their kinds are raised
    "BrokerUnavailable",  # its sentence is another's: of an interlock, of the log
}
"""Errors that no answer, journal or metric ever carries: they have no word of their own."""


@pytest.mark.parametrize("name", sorted(UNTOLD))
def test_an_error_that_nobody_is_told_of_has_no_word_of_its_own(name: str) -> None:
    error = getattr(errors, name)
    assert error.code == error.__bases__[0].code


@pytest.mark.parametrize("error", EVERY)
def test_every_error_has_a_code_that_fits_a_url_and_says_when_to_try_again(error: type[OtagateError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)
    assert error.retry in ("never", "later", "now")


@pytest.mark.parametrize("error", [each for each in EVERY if each is not OtagateError])
def test_every_error_is_named_apart_from_its_family(error: type[OtagateError]) -> None:
    parent = error.__bases__[0]
    same_word = {
        "Malformed",
        "IntegrityMismatch",
        "Refused",
        "FileGone",
        "PortHeld",
    }  # two ways to be corrupt are one; a refusal carries its verdict's code
    assert error.code != parent.code or error.__name__ in same_word | UNTOLD


def test_what_a_stick_that_is_not_ours_says_is_not_tried_again() -> None:
    never = {each.__name__ for each in EVERY if issubclass(each, errors.RadioError) and each.retry == "never"}
    assert never == {"WrongNetwork", "RadioInUse", "NotOnThisRadio"}


def test_a_refusal_carries_the_code_and_reason_of_its_verdict_and_leaves_its_class_alone() -> None:
    refusal = Refused("It runs that version already.", code="already-current", reason="same-version")
    assert (refusal.code, refusal.reason, str(refusal)) == ("already-current", "same-version", "It runs that version already.")
    assert Refused.code == PolicyRefused.code == "policy-refused"
    assert Refused("No.", code="downgrade", reason=None).code == "downgrade"
    assert refusal.code == "already-current"
