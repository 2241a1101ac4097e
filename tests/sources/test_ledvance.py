"""LEDVANCE, by what its service was seen to say and by what nobody knows of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import BadFilter, FileGone, SourceBusy, SourceError, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.sources.effects import Download
from otagate.sources.ledvance import Ledvance, version_numbers
from otagate.sources.records import Recorder, RecordQuery
from otagate.sources.source import ZigbeeQuestion
from tests.sources.talk import body_of, reply, stored, talk

SOURCE = Ledvance()


def _entry(product: int = 13, version: tuple[int, int, int, int] = (3, 72, 55, 18), **more: Any) -> dict[str, Any]:
    numbers = dict(zip(("major", "minor", "build", "revision"), version, strict=True))
    file_version = int.from_bytes(bytes(version), "big")
    return {
        "blob": None,
        "identity": {"company": 4489, "product": product, "version": numbers},
        "releaseNotes": "- one\r\n- two",
        "shA256": "ab" * 32,
        "name": "A60 TW.ota",
        "productName": "A60 TW",
        "fullName": f"A60 TW/{file_version:08x}/A60 TW.ota",
        "extension": ".ota",
        "released": "2024-02-01T10:00:00",
        "salesRegion": "eu",
        "length": 160_000,
    } | more


def _question(image_type: int = 13, file_version: int | None = 0x01020404, code: int = 4489) -> ZigbeeQuestion:
    return ZigbeeQuestion(manufacturer_code=code, image_type=image_type, file_version=file_version)


def test_a_file_version_is_four_numbers_most_significant_first() -> None:
    assert version_numbers(0x03483712) == (3, 72, 55, 18)


def test_only_their_own_manufacturer_codes_concern_them() -> None:
    assert SOURCE.concerns(_question())
    assert SOURCE.concerns(_question(code=0x110C))
    assert not SOURCE.concerns(_question(code=0x117C))


def test_the_difference_is_asked_with_numbers_as_texts_and_each_kind_once() -> None:
    asked = talk(SOURCE.consult([_question(), _question(), _question(14)]), [reply(status=204)])
    request = asked.requests[0]
    assert (request.method, request.url, request.query) == ("POST", "https://api.update.ledvance.com/v1/zigbee/difference", ())
    version = {"major": "1", "minor": "2", "build": "4", "revision": "4"}
    assert body_of(request) == [{"company": "4489", "product": str(product), "version": version} for product in (13, 14)]
    assert asked.result.offers == ()


def test_a_hundred_and_one_kinds_are_three_calls() -> None:
    asked = talk(SOURCE.consult([_question(number) for number in range(101)]), [reply(status=204)] * 3)
    assert [len(body_of(each)) for each in asked.requests] == [50, 50, 1]


def test_equal_questions_in_another_order_are_the_same_body_for_the_etag() -> None:
    one = talk(SOURCE.consult([_question(1), _question(2)]), [reply(status=204)]).requests
    other = talk(SOURCE.consult([_question(2), _question(1)]), [reply(status=204)]).requests
    assert one == other


@pytest.mark.parametrize(
    "shape",
    [lambda e: [e], lambda e: {"firmwares": [e]}, lambda e: [{"device": {"company": 1}, "newest": e}], lambda e: e, lambda e: {"a": {"b": {"c": e}}}],
    ids=["list", "index", "inside", "alone", "deep"],
)
def test_an_entry_is_found_in_whatever_shape_the_difference_has(shape: Any) -> None:
    found = talk(SOURCE.consult([_question()]), [reply(shape(_entry()))]).result
    release = found.offers[0].release
    assert (release.manufacturer_code, release.image_type, release.file_version, release.size) == (4489, 13, 0x03483712, 160_000)
    assert release.released == datetime(2024, 2, 1, 10, tzinfo=UTC)
    assert release.digests[0].value == "ab" * 32


def test_a_difference_that_nobody_can_read_is_answered_by_the_index() -> None:
    asked = talk(SOURCE.consult([_question()]), [reply({"something": "else"}), reply({"firmwares": [_entry()]})])
    assert [each.label for each in asked.requests] == ["the difference", "the index"]
    assert len(asked.result.offers) == 1


@pytest.mark.parametrize("missing", ["shA256", "length"])
def test_an_entry_without_digest_or_length_is_completed_from_what_is_newer(missing: str) -> None:
    partial = {key: value for key, value in _entry().items() if key != missing}
    asked = talk(SOURCE.consult([_question()]), [reply([partial]), reply({"firmwares": [_entry()]})])
    assert dict(asked.requests[1].query) == {"company": "4489", "product": "13", "version": "0.0.0"}
    assert [each.release.size for each in asked.result.offers] == [160_000]


def test_products_that_nobody_asked_about_are_not_looked_up() -> None:
    strangers = [{"identity": {"company": 4489, "product": product, "version": {}}} for product in range(14, 1_000)]
    partial = {key: value for key, value in _entry().items() if key != "shA256"}
    asked = talk(SOURCE.consult([_question()]), [reply([*strangers, partial]), reply({"firmwares": [_entry()]})])
    assert [each.label for each in asked.requests] == ["the difference", "newer firmware"]


def test_a_component_of_unknown_version_is_not_in_the_difference() -> None:
    asked = talk(SOURCE.consult([_question(file_version=None), _question(14, 0)]), [reply({"firmwares": []})] * 2)
    assert {each.label for each in asked.requests} == {"newer firmware"}


@pytest.mark.parametrize("key", ["sha_256", "sha256", "SHA256", "shA256"])
def test_the_digest_may_be_spelled_as_the_vendor_says(key: str) -> None:
    entry = {key: value for key, value in _entry().items() if key != "shA256"} | {key: "CD" * 32}
    assert talk(SOURCE.index(), [reply({"firmwares": [entry]})]).result.offers[0].release.digests[0].value == "cd" * 32


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"length": "many"}, "length"),
        ({"length": 0}, "length"),
        ({"shA256": "xyz"}, "shA256"),
        ({"identity": {"company": 4489, "product": 13, "version": {"major": 256, "minor": 0, "build": 0, "revision": 0}}}, "major"),
        (_entry(13, (255, 255, 255, 255)), "wild card"),
        ({"identity": None}, "identity"),
        ({"fullName": "A60/01020304/a.ota"}, "fullName"),
    ],
)
def test_one_bad_entry_is_skipped_and_named_and_the_rest_serve(wrong: dict[str, Any], names: str) -> None:
    found = talk(SOURCE.index(), [reply({"firmwares": [_entry(**wrong), _entry(14)]})]).result
    assert [each.release.image_type for each in found.offers] == [14]
    assert names in found.skipped[0].why
    assert found.skipped[0].what.startswith("firmware 1 (")


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_question_is_told(status: int) -> None:
    with pytest.raises(SourceRefused, match=str(status)):
        talk(SOURCE.consult([_question()]), [reply({"message": "no"}, status=status)])


def test_an_index_that_is_none_is_unintelligible() -> None:
    with pytest.raises(SourceUnintelligible):
        talk(SOURCE.index(), [reply([])])


def test_a_file_is_asked_for_with_all_four_numbers_and_must_be_what_was_promised() -> None:
    release = talk(SOURCE.index(), [reply({"firmwares": [_entry()]})]).result.offers[0].release
    effect = talk(SOURCE.fetch(release), [stored()]).effects[0]
    assert isinstance(effect, Download)
    assert dict(effect.request.query)["version"] == "3.72.55.18"
    assert (effect.expect.size, effect.expect.digests) == (160_000, release.digests)


def test_a_file_that_is_served_no_more_by_its_version_may_come_as_the_latest_if_it_is_the_very_same() -> None:
    release = talk(SOURCE.index(), [reply({"firmwares": [_entry()]})]).result.offers[0].release
    fetched = talk(SOURCE.fetch(release), [FileGone("no such file any more (204)"), stored()])
    by_version, latest = fetched.effects
    assert isinstance(latest, Download)
    assert isinstance(by_version, Download)
    assert latest.request.url == "https://api.update.ledvance.com/v1/zigbee/firmwares/download/4489/13/latest"
    assert latest.expect == by_version.expect


@pytest.mark.parametrize("answer", [FileGone("no such file (204)"), SourceRefused("the file's sha256 is another")])
def test_a_latest_that_is_another_file_leaves_the_offered_one_gone(answer: SourceRefused) -> None:
    release = talk(SOURCE.index(), [reply({"firmwares": [_entry()]})]).result.offers[0].release
    with pytest.raises(FileGone, match=r"any more \(204\).*not what was offered"):
        talk(SOURCE.fetch(release), [FileGone("no such file any more (204)"), answer])


@pytest.mark.parametrize("error", [SourceRefused("the file's sha256 is another"), SourceBusy("later"), SourceUnavailable("away")])
def test_the_latest_is_not_asked_for_where_the_file_itself_is_there(error: SourceError) -> None:
    release = talk(SOURCE.index(), [reply({"firmwares": [_entry()]})]).result.offers[0].release
    with pytest.raises(type(error), match=str(error)):
        talk(SOURCE.fetch(release), [error])


def test_the_latest_is_not_asked_for_where_nothing_vouches_for_its_bytes() -> None:
    release = talk(SOURCE.index(), [reply({"firmwares": [_entry()]})]).result.offers[0].release
    with pytest.raises(FileGone):
        talk(SOURCE.fetch(replace(release, digests=())), [FileGone("no such file any more (204)")])


def test_products_are_listed_even_without_firmware() -> None:
    pairs = talk(SOURCE.products(), [reply({"products": [{"id": {"company": 4489, "product": 13}}]})]).result
    assert pairs == ((4489, 13),)
    details = talk(
        SOURCE.product_details(), [reply({"products": [{"displayName": "A"}, {"displayName": "B", "firmwares": [_entry()], "latest": _entry()}]})]
    )
    assert [(each.display_name, len(each.releases), each.latest is not None) for each in details.result] == [("A", 0, False), ("B", 1, True)]


def test_products_are_records_read_a_part_at_a_time() -> None:
    assert isinstance(SOURCE, Recorder)
    products = {"products": [{"id": {"company": 4489, "product": number}} for number in range(3)]}
    first = talk(SOURCE.records(RecordQuery(limit=2)), [reply(products)]).result
    assert [dict(each.details) for each in first.items] == [{"company": 4489, "product": 0}, {"company": 4489, "product": 1}]
    assert first.after == 2
    rest = talk(SOURCE.records(RecordQuery(filters={"list": "products"}, limit=2, offset=2)), [reply(products)]).result
    assert ([each.details["product"] for each in rest.items], rest.after) == ([2], None)


def test_details_tell_the_name_and_the_latest_version_of_a_product() -> None:
    told = {"products": [{"displayName": "A"}, {"displayName": "B", "firmwares": [_entry(), _entry(version=(1, 0, 0, 0))], "latest": _entry()}]}
    asked = talk(SOURCE.records(RecordQuery(filters={"list": "details"})), [reply(told)])
    assert asked.requests[0].url.endswith("/v1/zigbee/products/details")
    bare, full = asked.result.items
    assert (bare.name, bare.version, dict(bare.details)) == ("A", None, {"firmwares": 0})
    assert (full.name, full.version, dict(full.details)) == ("B", "0x03483712", {"company": 4489, "product": 13, "firmwares": 2})


@pytest.mark.parametrize("filters", [{"list": "firmwares"}, {"device": "x"}])
def test_what_the_service_has_no_list_of_is_told_before_it_is_asked(filters: dict[str, str]) -> None:
    with pytest.raises(BadFilter, match="products, or details"):
        talk(SOURCE.records(RecordQuery(filters=filters)), [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*_entry(), "company", "version", "major", "firmwares"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_JSON, _JSON)
def test_whatever_the_service_says_only_a_source_error_escapes(first: Any, rest: Any) -> None:
    answers = iter([reply(first)])
    try:
        talk(SOURCE.consult([_question()]), lambda _: next(answers, reply(rest)))
        talk(SOURCE.product_details(), lambda _: reply({"products": [first, rest]}))
        talk(SOURCE.records(RecordQuery(filters={"list": "details"})), lambda _: reply({"products": [first, rest]}))
    except SourceError:
        pass
