"""Indexes of images: the real one of the community, and every kind with what is wrong in it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import SourceError, SourceRefused, SourceUnintelligible
from otagate.model.releases import Release
from otagate.sources.effects import Download
from otagate.sources.index import KINDS, Index
from otagate.sources.source import Findings, ZigbeeQuestion
from tests.formats.real_images import DATA
from tests.sources.talk import reply, stored, talk

URL = "https://example.org/index/index.json"
Z2M: dict[str, Any] = {
    "fileName": "a.ota",
    "fileVersion": 10,
    "fileSize": 1000,
    "url": "https://example.org/a.ota",
    "imageType": 1,
    "manufacturerCode": 0x117C,
    "sha512": "ab" * 64,
    "otaHeaderString": "",
}
ZIGPY: dict[str, Any] = {
    "binary_url": "https://example.org/a.ota",
    "file_version": 10,
    "manufacturer_id": 0x117C,
    "image_type": 1,
    "checksum": f"sha3-256:{'ab' * 32}",
    "file_size": 1000,
}
IKEA: dict[str, Any] = {"fw_image_type": 4545, "fw_binary_url": "https://e.org/10043101-1.0_v16777223_x.ota", "fw_sha3_256": "cd" * 32, "fw_type": 2}
OLD_IKEA: dict[str, Any] = {
    "fw_image_type": 4545,
    "fw_binary_url": "http://e.org/a.ota.ota.signed",
    "fw_type": 2,
    "fw_manufacturer_id": 0x117C,
    "fw_file_version_MSB": 2,
    "fw_file_version_LSB": 5,
    "fw_filesize": 200_000,
}
SONOFF: dict[str, Any] = {
    "fw_manufacturer_id": 0x1286,
    "fw_image_type": 1,
    "fw_file_version": 4096,
    "fw_filesize": 99,
    "fw_binary_url": "https://e.org/s.ota",
    "model_id": "ZBMINI",
}
ENTRIES = {"z2m-index": Z2M, "zigpy-index": ZIGPY, "ikea": IKEA, "sonoff": SONOFF}
ASKED = [ZigbeeQuestion(manufacturer_code=0x117C, image_type=1)]


def _index(kind: str) -> Index:
    return Index(kind=KINDS[kind], url=URL, name=kind)


def _read(kind: str, *entries: Any) -> Findings:
    document: Any = list(entries)
    key = KINDS[kind].list_key
    return talk(_index(kind).consult(ASKED), [reply(document if key is None else {key: document})]).result


def _releases(kind: str, *entries: Any) -> list[Release]:
    return [offer.release for offer in _read(kind, *entries).offers]


def test_the_real_index_is_read_whole() -> None:
    path = DATA / "zigbee-images" / "index.json"
    if not path.is_file():
        pytest.skip("no real index: set OTAGATE_TEST_DATA")
    entries = json.loads(path.read_text())
    found = _read("z2m-index", *entries)
    assert found.skipped == ()
    told = {(each.release.manufacturer_code, each.release.image_type, each.release.file_version) for each in found.offers}
    assert told == {(each["manufacturerCode"], each["imageType"], each["fileVersion"]) for each in entries}


def test_a_hundred_devices_cost_one_conditional_call() -> None:
    asked = talk(_index("z2m-index").consult([ZigbeeQuestion(manufacturer_code=1, image_type=number) for number in range(100)]), [reply([])])
    assert [each.conditional for each in asked.requests] == [True]
    assert talk(_index("z2m-index").consult([]), []).result.offers == ()


def test_every_bound_and_name_of_an_entry_is_kept() -> None:
    entry = Z2M | {
        "minFileVersion": 2,
        "maxFileVersion": 9,
        "hardwareVersionMin": 0,
        "hardwareVersionMax": 6,
        "modelId": "Lamp",
        "manufacturerName": ["A", "B"],
        "releaseNotes": "better",
    }
    release = _releases("z2m-index", entry)[0]
    assert (release.min_file_version, release.max_file_version, release.hardware_min, release.hardware_max) == (2, 9, 0, 6)
    assert (release.models, release.manufacturers, release.notes) == (("Lamp",), ("A", "B"), "better")
    assert release.digests[0].algorithm == "sha512"
    assert release.source == "z2m-index"


def test_a_file_may_be_named_relative_to_its_index() -> None:
    assert _releases("z2m-index", Z2M | {"url": "images/a.ota"})[0].location == "https://example.org/index/images/a.ota"


def test_an_index_of_zigpy_names_its_algorithm() -> None:
    entry = ZIGPY | {"model_names": ["Lamp"], "manufacturer_names": ["A"], "min_current_file_version": 3, "max_hardware_version": 2}
    release = _releases("zigpy-index", entry)[0]
    assert (release.digests[0].algorithm, release.models, release.min_file_version, release.hardware_max) == ("sha3_256", ("Lamp",), 3, 2)


def test_an_index_behind_a_pointer_costs_two_calls() -> None:
    pointer = {"schemas": {"zigpy_v2": {"version": "1", "url": "https://example.org/v2.json"}}}
    asked = talk(_index("zigpy-ota").consult(ASKED), [reply(pointer), reply({"firmwares": [ZIGPY]})])
    assert [each.url for each in asked.requests] == [URL, "https://example.org/v2.json"]
    assert len(asked.result.offers) == 1
    with pytest.raises(SourceUnintelligible, match="https"):
        talk(_index("zigpy-ota").consult(ASKED), [reply({"schemas": {"zigpy_v2": {"url": "http://e.org"}}})])


def test_ikeas_list_is_read_in_both_of_its_forms_and_the_gateway_left_out() -> None:
    new, old = _releases("ikea", IKEA, OLD_IKEA, {"fw_type": 3, "fw_binary_url": "https://e.org/gateway"})
    assert (new.file_version, new.digests[0].value) == (16777223, "cd" * 32)
    assert (old.file_version, old.location) == (0x0002_0005, "https://e.org/a.ota.ota.signed")


def test_ikeas_files_that_brick_devices_are_left_out_and_named() -> None:
    found = _read("ikea", IKEA | {"fw_image_type": 8704})
    assert found.offers == ()
    assert "bricks" in found.skipped[0].why


@pytest.mark.parametrize(("kind", "entry"), [("ikea", OLD_IKEA), ("ikea", IKEA | {"fw_filesize": 1000}), ("z2m-index", Z2M), ("zigpy-index", ZIGPY)])
def test_the_size_of_an_image_inside_a_container_does_not_bound_the_file(kind: str, entry: dict[str, Any]) -> None:
    """Of every sixteenth file of zigbee2mqtt's index the size is told that its OTA header names: what is served has a wrapper around it."""
    (release,) = _releases(kind, entry)
    (effect,) = talk(_index(kind).fetch(release), [stored()]).effects
    assert isinstance(effect, Download)
    assert effect.expect.size is None
    assert effect.expect.digests == release.digests


def test_the_size_of_a_file_bounds_it_where_an_index_tells_that_one() -> None:
    (effect,) = talk(_index("sonoff").fetch(_releases("sonoff", SONOFF)[0]), [stored()]).effects
    assert isinstance(effect, Download)
    assert effect.expect.size == 99


def test_the_wild_card_is_no_version_in_two_halves_either() -> None:
    found = _read("ikea", OLD_IKEA | {"fw_file_version_MSB": 0xFFFF, "fw_file_version_LSB": 0xFFFF}, OLD_IKEA)
    assert [each.release.file_version for each in found.offers] == [0x0002_0005]
    assert "version" in found.skipped[0].why


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("spoilt", ["missing", "text", "huge"])
def test_one_bad_entry_is_skipped_and_named_and_the_rest_serve(kind: str, spoilt: str) -> None:
    good = ENTRIES[kind]
    key = next(each for each in good if "ersion" in each or each == "fw_sha3_256")
    bad = {name: value for name, value in good.items() if name != key} | ({} if spoilt == "missing" else {key: "x" if spoilt == "text" else 2**40})
    if spoilt == "missing" and key == "fw_sha3_256":
        bad["fw_type"] = "x"
    found = _read(kind, bad, "no entry", good)
    assert len(found.offers) == 1
    location = next(value for name, value in good.items() if name in ("url", "binary_url", "fw_binary_url"))
    name = good.get("fileName") or location.rpartition("/")[2]
    assert [each.what for each in found.skipped] == [f"entry 1 ({name})", "entry 2"]


@pytest.mark.parametrize("url", ["ftp://e.org/a", "file:///etc/passwd", ""])
def test_a_file_that_is_not_on_the_web_is_not_offered(url: str) -> None:
    assert _releases("z2m-index", Z2M | {"url": url}) == []


@pytest.mark.parametrize("url", ["http://[", "https://[::1", "https://example.org:99999/a.ota"])
def test_an_address_that_is_none_costs_its_own_entry_only(url: str) -> None:
    found = _read("z2m-index", Z2M | {"url": url, "fileName": "bad.ota"}, Z2M)
    assert (len(found.offers), [each.what for each in found.skipped]) == (1, ["entry 1 (bad.ota)"])


@pytest.mark.parametrize("url", ["https://[", "https://example.org:99999/", "https://"])
def test_a_pointer_that_leads_nowhere_is_unintelligible(url: str) -> None:
    with pytest.raises(SourceUnintelligible, match="no https address"):
        talk(_index("zigpy-ota").consult(ASKED), [reply({"schemas": {"zigpy_v2": {"url": url}}})])


def test_a_number_of_thousands_of_digits_is_not_told_with_all_of_them() -> None:
    (skipped,) = _read("z2m-index", Z2M | {"fileVersion": 10**4_000}).skipped
    assert skipped.why == "fileVersion is a number of more than 18 digits, outside 0 to 4294967294"


@pytest.mark.parametrize("half", [b"\\ud800", b"\\uDFFF", b"\\u0000", b"\xed\xa0\x80"], ids=["high", "low", "nul", "raw"])
def test_what_no_database_can_keep_is_replaced_when_it_is_read(half: bytes) -> None:
    written = json.dumps([Z2M | {"fileName": "NAME", "releaseNotes": "\U0001f4a1 NOTES", "modelId": ["NAME"]}]).encode()
    body = written.replace(b"NAME", b"a" + half).replace(b"NOTES", half)
    (offer,) = talk(_index("z2m-index").consult(ASKED), [reply(body=body)]).result.offers
    shown = (offer.release.notes or "", offer.release.file_name or "", *offer.release.models)
    assert [each.encode().decode().rstrip("\ufffd") for each in shown] == ["\U0001f4a1 ", "a", "a"]
    assert all(each.endswith("\ufffd") for each in shown)


def test_a_code_hosts_text_is_json_all_the_same() -> None:
    answer = reply([Z2M], headers={"content-type": "text/plain; charset=utf-8"})
    assert len(talk(_index("z2m-index").consult(ASKED), [answer]).result.offers) == 1


@pytest.mark.parametrize("document", [{}, "x", None, {"firmwares": {}}])
@pytest.mark.parametrize("kind", [each for each in KINDS if not KINDS[each].pointer])
def test_a_document_without_a_list_is_unintelligible(kind: str, document: Any) -> None:
    with pytest.raises(SourceUnintelligible):
        talk(_index(kind).consult(ASKED), [reply(document)])


def test_a_missing_index_is_told() -> None:
    with pytest.raises(SourceRefused, match="404"):
        talk(_index("ikea").consult(ASKED), [reply({}, status=404)])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([key for each in (Z2M, ZIGPY, OLD_IKEA, SONOFF, IKEA) for key in each] + ["firmwares", "schemas"]), inner)
    ),
    max_leaves=16,
)


@given(st.sampled_from(sorted(ENTRIES)), st.data())
def test_whatever_stands_in_one_field_of_an_entry_the_others_serve(kind: str, data: st.DataObject) -> None:
    good = ENTRIES[kind]
    bad = good | {data.draw(st.sampled_from(sorted(good))): data.draw(_JSON)}
    found = _read(kind, bad, good)
    assert found.offers[-1].release == _read(kind, good).offers[0].release


@given(_JSON, st.sampled_from(sorted(KINDS)))
def test_whatever_an_index_says_only_a_source_error_escapes(answer: Any, kind: str) -> None:
    with suppress(SourceError):
        talk(_index(kind).consult(ASKED), lambda _: reply(answer))
