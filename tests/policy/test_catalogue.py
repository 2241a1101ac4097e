from __future__ import annotations

from dataclasses import replace

import pytest

from otagate.model.releases import Digest, Release
from otagate.policy.catalogue import is_of, merge
from tests.policy.cases import DIGEST_A, DIGEST_B, release
from tests.policy.test_plan import pick

STORED = release(source="index", file_name="lamp.ota", inner_format="telink")
OFFER = release(source="index", sha256=None, size=0, location="https://x/y", file_name=None)


@pytest.mark.parametrize(
    ("offer", "same"),
    [
        (OFFER, True),
        (release(source="other"), True),  # the same bytes, whoever has them
        (release(source="index", sha256=DIGEST_B), False),
        (release(source="other", sha256=None), False),
        (release(source="index", sha256=None, file_version=21), False),
        (release(source="index", sha256=None, image_type=1), False),
    ],
)
def test_a_stored_image_is_the_file_of_an_offer_by_its_bytes_or_else_by_its_kind(offer: Release, same: bool) -> None:
    assert is_of(STORED, offer) is same


def test_an_offer_whose_file_is_here_is_offered_once_with_all_that_is_known_of_it() -> None:
    (merged,) = merge([OFFER], [STORED])
    assert (merged.location, merged.sha256, merged.size, merged.inner_format, merged.file_name) == (
        "https://x/y", DIGEST_A, 1000, "telink", "lamp.ota",
    )  # fmt: skip


def test_what_is_stored_and_offered_by_nobody_is_offered_as_it_is() -> None:
    other = release(source="index", file_version=9, sha256=DIGEST_B)
    assert merge([OFFER], [STORED, other])[1:] == [other]
    assert merge([release(source="elsewhere")], [STORED]) == [release(source="elsewhere")]
    assert merge([], [STORED]) == [STORED]


ONE, TWO = ("Lamp 1",), ("Lamp 2",)


@pytest.mark.parametrize(
    ("here", "wanted", "same"),
    [((), (), True), (ONE, ONE, True), ((*ONE, *TWO), TWO, True), (ONE, TWO, False), (ONE, (*ONE, *TWO), False), ((), ONE, False), (ONE, (), False)],
)
@pytest.mark.parametrize("key", ["models", "manufacturers"])
def test_a_file_that_was_offered_for_some_is_nobody_elses(key: str, here: tuple[str, ...], wanted: tuple[str, ...], same: bool) -> None:
    stored, offer = release(source="index", **{key: here}), release(source="index", sha256=None, location="x", **{key: wanted})
    assert is_of(stored, offer) is same
    assert (merge([offer], [stored])[0].sha256 is not None) is same


ONCE, NOW = Digest(algorithm="sha512", value="1" * 128), Digest(algorithm="sha512", value="2" * 128)
OTHERWISE = Digest(algorithm="md5", value="3" * 32)


@pytest.mark.parametrize(
    ("then", "promised", "same"),
    [((ONCE,), (ONCE,), True), ((ONCE,), (NOW,), False), ((), (NOW,), True), ((ONCE,), (), True), ((ONCE,), (OTHERWISE,), True)],
)
def test_a_file_that_its_source_replaced_under_the_same_version_is_not_the_one_that_is_here(
    then: tuple[Digest, ...], promised: tuple[Digest, ...], same: bool
) -> None:
    stored, offer = release(source="index", digests=then), release(source="index", sha256=None, location="x", digests=promised)
    assert is_of(stored, offer) is same
    merged = merge([offer], [stored])
    assert (merged[0].sha256 is not None) is same
    assert [each.alarm for each in merged[1:]] == ([] if same else ["index serves another file under this version now."])


def test_what_another_source_promises_of_a_version_speaks_against_no_file_that_is_here() -> None:
    stored = release(source="index", digests=(ONCE,))
    others = [release(source="other", sha256=None, digests=(NOW,)), release(source="index", sha256=None, digests=(NOW,), models=ONE)]
    assert merge(others, [stored])[2:] == [stored]


SERVED, AS_SHA3 = Digest(algorithm="sha512", value="4" * 128), Digest(algorithm="sha3_256", value="5" * 64)


@pytest.mark.parametrize(
    ("promised", "proven"),
    [
        ((AS_SHA3,), True),
        ((AS_SHA3, OTHERWISE), True),
        ((SERVED, AS_SHA3), True),
        ((NOW, AS_SHA3), False),
        ((NOW,), False),
        ((OTHERWISE,), False),
        ((), False),
    ],
)
def test_a_file_that_is_here_settles_which_of_the_offers_with_digests_of_other_kinds_are_the_same(promised: tuple[Digest, ...], proven: bool) -> None:
    stored = release(source="index", digests=(SERVED,), proofs=(SERVED, AS_SHA3, OTHERWISE))
    first = release(source="index", sha256=None, location="x", digests=(SERVED,), size=1088)
    other = release(source="other", sha256=None, location="y", digests=promised, size=999)
    assert [each.verdict.reason for each in pick(first, other).trace] == ([None, None] if SERVED in promised else ["quarantined", "quarantined"])
    merged = merge([first, other], [stored])
    assert [each.sha256 is not None for each in merged] == [True, proven]
    assert [each.verdict.reason for each in pick(*merged).trace] == ([None, None] if proven else ["quarantined", "quarantined"])


def test_a_file_that_an_operator_put_here_settles_a_contradiction_and_is_offered_on_to_every_model() -> None:
    stored = release(source="upload", proofs=(SERVED, AS_SHA3))
    offers = [
        release(source=each, sha256=None, location="x", digests=(of,), size=size) for each, of, size in (("a", SERVED, 999), ("b", AS_SHA3, 1088))
    ]
    merged = merge(offers, [stored])
    assert {each.sha256 for each in merged} == {stored.sha256}
    assert merged[2:] == [stored]
    for otherwise, models in (({"image_type": 1}, ()), ({"file_version": 21}, ()), ({"models": ONE}, TWO)):
        another = replace(offers[0], **otherwise)
        assert merge([another], [replace(stored, models=models)])[0].sha256 is None
