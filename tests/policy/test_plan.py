from __future__ import annotations

from typing import Any

import pytest

from otagate.model.releases import Digest, Release
from otagate.policy.plan import Choice, choose
from otagate.policy.settings import PolicySettings
from tests.policy.cases import DIGEST_A, DIGEST_B, component, device, release

AUTOMATIC = PolicySettings(mode="automatic")
V9, V10, V20, V30 = (release(file_version=version) for version in (9, 10, 20, 30))


def pick(*releases: Release, settings: PolicySettings = AUTOMATIC, **order: Any) -> Choice:
    return choose(device(), component(), releases, settings=settings, **order)


def test_the_newest_release_that_fits_is_chosen() -> None:
    choice = pick(V20, V30, V10)
    assert choice.chosen == V30
    assert choice.verdict.allowed


def test_every_release_has_its_verdict_newest_first() -> None:
    choice = pick(V20, V9, release(file_version=40, image_type=1), V10)
    assert [(each.release.file_version, each.verdict.code) for each in choice.trace] == [
        (40, "incompatible-image"),
        (20, "policy-refused"),
        (10, "already-current"),
        (9, "downgrade-refused"),
    ]
    assert [each.verdict.decision for each in choice.trace] == ["refuse", "allow", "refuse", "refuse"]


def test_what_must_be_approved_is_chosen_with_its_question() -> None:
    choice = pick(V20, V30, settings=PolicySettings(mode="ask"))
    assert choice.chosen == V30
    assert (choice.verdict.decision, choice.verdict.reason) == ("ask", "awaiting_approval")


def test_what_is_allowed_goes_before_something_newer_that_leaves_a_doubt() -> None:
    assert pick(V20, release(file_version=30, manufacturer_code=0xFFFF)).chosen == V20


def test_of_equal_bytes_from_two_sources_one_is_chosen() -> None:
    assert pick(release(source="b"), release(source="a")).chosen == release(source="a")


# --- nothing to choose -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("releases", "code", "reason"),
    [
        pytest.param((), "no-release", None, id="no source offers anything"),
        pytest.param((release(image_type=1),), "no-release", None, id="only for other kinds of component"),
        pytest.param((V10, V9), "already-current", None, id="the newest runs"),
        pytest.param((V10, release(file_version=30, hardware_min=9)), "already-current", None, id="something newer for other hardware"),
        pytest.param((V9,), "downgrade-refused", "below_floor", id="only older"),
        pytest.param((release(hardware_min=9),), "incompatible-image", "image_mismatch", id="only for other hardware"),
    ],
)
def test_where_nothing_can_be_chosen_the_verdict_says_why(releases: tuple[Release, ...], code: str, reason: str | None) -> None:
    choice = pick(*releases)
    assert choice.chosen is None
    assert (choice.verdict.decision, choice.verdict.code, choice.verdict.reason) == ("refuse", code, reason)
    assert len(choice.trace) == len(releases)


def test_a_pin_is_told_though_the_running_version_is_offered_too() -> None:
    choice = choose(device(pin=10), component(), (V10, V20), settings=AUTOMATIC)
    assert (choice.chosen, choice.verdict.reason) == (None, "pinned")


def test_an_image_named_by_its_order_is_refused_for_what_it_is() -> None:
    choice = pick(release(image_type=1), named=True, operator=True)
    assert (choice.chosen, choice.verdict.code) == (None, "incompatible-image")
    assert pick(V20, named=True, operator=True).chosen == V20
    assert pick(named=True, operator=True).verdict.code == "no-release"


def test_that_nobody_offers_anything_is_told_without_a_version() -> None:
    assert pick().verdict.sentence == "No source offers a release for this component."


# --- a named version ---------------------------------------------------------------------------------------------------------------------


def test_only_a_named_version_is_chosen() -> None:
    assert pick(V20, V30, version=20).chosen == V20


def test_a_named_version_that_nobody_offers_is_no_release() -> None:
    choice = pick(V20, release(file_version=25, image_type=1), version=25)
    assert (choice.chosen, choice.verdict.code) == (None, "no-release")
    assert "0x00000019" in choice.verdict.sentence


def test_a_named_version_that_runs_already_is_refused_as_current() -> None:
    assert pick(V10, V20, version=10).verdict.code == "already-current"


def test_only_an_operator_who_tells_the_version_takes_it_of_another_channel() -> None:
    beta = release(channel="beta")
    assert pick(beta, operator=True, version=20).chosen == beta
    assert pick(beta, operator=True).chosen is None
    assert pick(beta, version=20).chosen is None


# --- going back --------------------------------------------------------------------------------------------------------------------------


def test_going_back_needs_the_flag_even_for_a_named_version() -> None:
    assert pick(V9, V10, operator=True, force=True, version=9).verdict.code == "downgrade-refused"
    assert pick(V9, V10, operator=True, allow_downgrade=True, version=9).chosen == V9


def test_a_device_with_the_newest_release_is_not_sent_back_because_somebody_may() -> None:
    choice = pick(V9, V10, operator=True, allow_downgrade=True)
    assert (choice.chosen, choice.verdict.code) == (None, "already-current")


def test_a_device_with_a_version_that_nobody_offers_goes_back_where_allowed() -> None:
    assert pick(release(file_version=8), V9, operator=True, allow_downgrade=True).chosen == V9


# --- ambiguity ---------------------------------------------------------------------------------------------------------------------------


def test_two_files_of_one_version_are_ambiguous_and_both_are_named() -> None:
    choice = pick(release(file_name="one.ota"), release(sha256=DIGEST_B, file_name="two.ota"), operator=True, force=True)
    assert choice.chosen is None
    assert (choice.verdict.decision, choice.verdict.reason) == ("refuse", "ambiguous")
    for part in ("'one.ota'", "'two.ota'", "'folder'", DIGEST_A, DIGEST_B):
        assert part in choice.verdict.sentence
    assert [each.verdict.reason for each in choice.trace] == ["ambiguous", "ambiguous"]


def test_sources_that_contradict_each_other_are_quarantined_and_both_are_named() -> None:
    choice = pick(release(), release(sha256=DIGEST_B, source="index"), operator=True, force=True)
    assert (choice.verdict.decision, choice.verdict.reason) == ("refuse", "quarantined")
    for part in ("'folder'", "'index'", DIGEST_A, DIGEST_B):
        assert part in choice.verdict.sentence


def test_an_ambiguous_version_leaves_an_older_clear_one_to_choose() -> None:
    assert pick(V20, V30, release(file_version=30, sha256=DIGEST_B)).chosen == V20


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(release(source="index"), id="the same bytes"),
        pytest.param(release(source="index", sha256=None), id="no digest, the same length"),
        pytest.param(release(source="index", sha256=DIGEST_B, hardware_min=9), id="other bytes for other hardware"),
        pytest.param(release(source="index", sha256=DIGEST_B, models=("Lamp 2",)), id="other bytes for another model"),
    ],
)
def test_what_cannot_be_mistaken_is_not_ambiguous(other: Release) -> None:
    assert pick(release(), other).chosen is not None


def test_what_is_refused_anyway_is_told_for_what_it_is_and_not_as_ambiguous() -> None:
    other = release(source="index", sha256=DIGEST_B, hardware_min=9)
    verdicts = {each.release.source: each.verdict for each in pick(release(), other).trace}
    assert (verdicts["folder"].decision, verdicts["index"].reason) == ("allow", "image_mismatch")


LISTED = {"sha256": None, "location": "https://x/y"}
MD5, OTHER_MD5 = Digest(algorithm="md5", value="1" * 32), Digest(algorithm="md5", value="2" * 32)
SHA512 = Digest(algorithm="sha512", value="3" * 128)


@pytest.mark.parametrize(
    ("one", "other", "clear"),
    [
        pytest.param({}, {"sha256": None}, True, id="one without a digest, the same length"),
        pytest.param(LISTED | {"digests": (MD5,)}, LISTED | {"digests": (MD5,), "size": 999}, True, id="one digest, whatever the lengths"),
        pytest.param(LISTED | {"digests": (MD5,)}, LISTED | {"digests": (OTHER_MD5,)}, False, id="two digests, the same length"),
        pytest.param(LISTED | {"digests": (MD5, SHA512)}, LISTED | {"digests": (OTHER_MD5, SHA512)}, False, id="one of two digests differs"),
        pytest.param(LISTED | {"digests": (MD5,)}, LISTED | {"digests": (SHA512,)}, True, id="digests of two kinds, the same length"),
        pytest.param(LISTED | {"digests": (MD5,)}, LISTED | {"digests": (SHA512,), "size": 999}, False, id="digests of two kinds, two lengths"),
        pytest.param({}, LISTED | {"size": 1088}, True, id="the length of a container and that of what is in it"),
        pytest.param(LISTED, LISTED | {"size": 0}, True, id="a source that tells no length"),
    ],
)
def test_offers_of_one_version_are_one_file_unless_their_digests_or_lengths_say_otherwise(
    one: dict[str, Any], other: dict[str, Any], clear: bool
) -> None:
    offers = release(**one), release(**{"source": "index"} | other)
    for order in (offers, offers[::-1]):
        assert [each.verdict.reason for each in pick(*order).trace] == ([None, None] if clear else ["quarantined", "quarantined"])


def test_what_is_here_and_what_is_listed_of_one_source_can_be_compared() -> None:
    assert {each.verdict.decision for each in pick(release(), release(**LISTED)).trace} == {"allow"}


def test_files_that_nobody_can_name_by_a_digest_are_to_be_put_here_first() -> None:
    sentence = pick(release(**LISTED), release(**LISTED, size=999)).verdict.sentence
    assert sentence.startswith("Two different files claim to be 0x00000014: ")
    assert " more" not in sentence
    assert sentence.endswith("Put the one that is meant on the hub (otagate images add FILE) and order it by its sha256.")


def test_without_a_digest_another_length_is_another_file() -> None:
    assert pick(release(), release(source="index", sha256=None, size=999)).verdict.reason == "quarantined"


# --- ambiguity by model --------------------------------------------------------------------------------------------------------------------

ONE = {"sha256": DIGEST_A, "models": ("Lamp 1",)}
TWO = {"sha256": DIGEST_B, "models": ("Lamp 2",)}
BOTH = {"sha256": DIGEST_B, "models": ("Lamp 1", "Lamp 2")}
ANY = {"sha256": DIGEST_B}


@pytest.mark.parametrize(
    ("model", "offers", "reason"),
    [
        pytest.param("Lamp 1", (ONE, TWO), None, id="one names the model, one another"),
        pytest.param("Lamp 3", (ONE, TWO), "image_mismatch", id="each names another model"),
        pytest.param(None, (ONE, TWO), "ambiguous", id="the model is not known"),
        pytest.param("Lamp 1", (ONE, ANY), "ambiguous", id="one names the model, one nobody"),
        pytest.param("Lamp 1", (ONE, BOTH), "ambiguous", id="both name the model"),
        pytest.param("Lamp 2", (ONE, BOTH), None, id="one names this model among others"),
        pytest.param("Lamp 2", (ONE, ANY), None, id="one names another model, one nobody"),
        pytest.param("Lamp 1", (ONE, ANY | {"sha256": DIGEST_A}), None, id="the same bytes, for the model and for everybody"),
        pytest.param("Lamp 1", (ONE, ANY | {"source": "index"}), "ambiguous", id="two sources, of which one names nobody"),
        pytest.param("Lamp 1", (ONE, ONE | {"sha256": DIGEST_B, "source": "index"}), "quarantined", id="two sources, which both name the model"),
    ],
)
def test_of_files_for_several_models_one_is_taken_only_where_nobody_can_mistake_it(
    model: str | None, offers: tuple[dict[str, Any], ...], reason: str | None
) -> None:
    choice = choose(device(model=model), component(), [release(**each) for each in offers], settings=AUTOMATIC, operator=True)
    assert choice.verdict.reason == reason
    assert (choice.chosen is None) is (reason is not None)


def test_an_ambiguity_names_its_candidates_with_their_models_and_counts_the_rest() -> None:
    offers = [release(sha256=str(number) * 64, models=(f"Lamp {number}",)) for number in range(6)]
    sentence = choose(device(model=None), component(), offers, settings=AUTOMATIC, operator=True).verdict.sentence
    assert sentence.startswith("6 different files claim to be 0x00000014: for model 'Lamp 0' of source 'folder'")
    assert "for model 'Lamp 3'" in sentence
    assert "and 2 more. Order one of them by its sha256." in sentence
