"""A Z-Wave release is for products, for one firmware target, and for one radio region."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.ids import RadioName, zwave_component_id, zwave_device_id
from otagate.model.releases import Fingerprint, Release
from otagate.policy.judge import judge
from otagate.policy.match import concerns, match
from otagate.policy.plan import choose
from otagate.policy.settings import PolicySettings
from tests.policy.cases import DIGEST_A, DIGEST_B, component, device, release

MAIN = Component(id=zwave_component_id(0), version="1.6")
RADIO_CHIP = Component(id=zwave_component_id(1), version="7.18")
PLUG = Device(
    id=zwave_device_id(0xE1B2C3D4, 12),
    radio=RadioName("zwave0"),
    protocol="zwave",
    manufacturer_code=0x027A,
    components=(MAIN, RADIO_CHIP),
    node=ZwaveNode(product_type=0x8002, product_id=0x1000, region="Europe"),
)
PRINT = Fingerprint(manufacturer_id=0x027A, product_type=0x8002, product_id=0x1000)
OFFER = Release(source="service", protocol="zwave", file_version="1.10", size=1000, fingerprints=(PRINT,), target=0)
AUTOMATIC = PolicySettings(mode="automatic")


def offer(**changes: Any) -> Release:
    return replace(OFFER, **changes)


def plug(**changes: Any) -> Device:
    return replace(PLUG, node=replace(PLUG.node or ZwaveNode(), **changes))


@pytest.mark.parametrize(
    ("of_release", "sentence", "code"),
    [
        ({"fingerprints": (replace(PRINT, product_id=1),)}, "0x027a:0x8002:0x0001; the device is 0x027a:0x8002:0x1000", "incompatible-image"),
        ({"fingerprints": (replace(PRINT, min_version="1.7"),)}, "run 1.7 or newer, this one runs 1.6", "incompatible-image"),
        ({"fingerprints": (replace(PRINT, max_version="1.5.9"),)}, "run 1.5.9 or older, this one runs 1.6", "incompatible-image"),
        ({"target": 1}, "firmware target 1, the component is 0", "incompatible-image"),
        ({"region": "usa"}, "region 'usa', the network is in 'Europe'", "region-mismatch"),
        ({"min_file_version": "1.6.1"}, "run 1.6.1 or newer, this one runs 1.6", "incompatible-image"),
    ],
)
def test_a_contradiction_refuses(of_release: dict[str, Any], sentence: str, code: str) -> None:
    verdict = match(PLUG, MAIN, offer(**of_release))
    assert (verdict.decision, verdict.code) == ("refuse", code)
    assert sentence in verdict.sentence


@pytest.mark.parametrize(
    "of_release",
    [
        {},
        {"fingerprints": (replace(PRINT, product_id=1), PRINT)},
        {"fingerprints": (replace(PRINT, min_version="1.6.0", max_version="1.6"),)},
        {"fingerprints": (replace(PRINT, min_version="9"), PRINT)},
        {"region": "europe"},
        {"target": None},
    ],
)
def test_what_agrees_in_all_that_it_names_fits(of_release: dict[str, Any]) -> None:
    assert match(PLUG, MAIN, offer(**of_release)).allowed


@pytest.mark.parametrize(("told", "named"), [("USA (Long Range)", "usa"), ("usa", "USA (Long Range)")])
def test_long_range_makes_no_other_region(told: str, named: str) -> None:
    assert match(plug(region=told), MAIN, offer(region=named)).allowed


def test_a_region_that_the_controller_does_not_tell_is_asked_for() -> None:
    verdict = match(plug(region=None), MAIN, offer(region="europe"))
    assert (verdict.decision, verdict.reason) == ("ask", "awaiting_approval")
    assert "set `region` of the radio" in verdict.sentence


def test_a_file_without_ids_is_for_whom_an_operator_says() -> None:
    raw = offer(fingerprints=(), target=None, file_version=None)
    assert match(PLUG, MAIN, raw).decision == "ask"
    assert judge(PLUG, MAIN, raw, settings=AUTOMATIC).decision == "ask"
    assert judge(PLUG, MAIN, raw, settings=AUTOMATIC, operator=True).allowed


def test_no_image_crosses_from_one_protocol_to_the_other() -> None:
    assert "is for Zigbee, the device is Z-Wave" in match(PLUG, MAIN, release()).sentence
    assert not concerns(PLUG, MAIN, release())
    assert judge(PLUG, MAIN, release(), settings=AUTOMATIC, operator=True, force=True).decision == "refuse"


@pytest.mark.parametrize(
    "unknown",
    [plug(product_id=None), plug(product_type=None), replace(PLUG, manufacturer_code=None), replace(PLUG, node=None)],
    ids=["product id", "product type", "manufacturer", "everything"],
)
def test_a_device_whose_product_is_not_known_takes_nothing(unknown: Device) -> None:
    verdict = match(unknown, MAIN, OFFER)
    assert verdict.decision == "refuse"
    assert "of the device are not known yet" in verdict.sentence


def test_a_device_that_has_told_of_no_main_firmware_is_asked_about_where_that_counts() -> None:
    bound = offer(fingerprints=(replace(PRINT, min_version="1.0"),), target=1)
    verdict = match(replace(PLUG, components=(RADIO_CHIP,)), RADIO_CHIP, bound)
    assert verdict.decision == "ask"
    assert "the running version is not known" in verdict.sentence


def test_a_device_that_was_never_interviewed_is_in_no_region_yet() -> None:
    verdict = match(replace(PLUG, node=None), MAIN, offer(fingerprints=(), region="europe"))
    assert verdict.decision == "ask"
    assert "the controller does not tell its own" in verdict.sentence
    assert verdict.facts["region"] is None


def test_what_is_inside_of_an_image_says_nothing_of_a_node_that_took_none_before() -> None:
    assert match(PLUG, MAIN, offer(inner_format="silabs-gbl")).allowed


def test_a_release_for_another_product_or_target_does_not_concern_a_component() -> None:
    assert concerns(PLUG, MAIN, OFFER)
    assert not concerns(PLUG, RADIO_CHIP, OFFER)
    assert not concerns(PLUG, MAIN, offer(fingerprints=(replace(PRINT, product_id=1),)))


def test_a_release_of_the_other_protocol_concerns_nobody_though_it_names_no_product() -> None:
    assert not concerns(device(), component(), offer(fingerprints=(), target=None))


def test_versions_are_compared_as_versions_and_not_as_text() -> None:
    newest = choose(PLUG, MAIN, [offer(file_version="1.9"), OFFER, offer(file_version="1.6.1")], settings=AUTOMATIC)
    assert newest.chosen == OFFER
    assert [each.release.file_version for each in newest.trace] == ["1.10", "1.9", "1.6.1"]
    assert choose(PLUG, MAIN, [offer(file_version="1.6.0")], settings=AUTOMATIC).verdict.code == "already-current"
    assert choose(PLUG, MAIN, [offer(file_version="1.5")], settings=AUTOMATIC).verdict.code == "downgrade-refused"
    assert choose(PLUG, MAIN, [OFFER], settings=AUTOMATIC, version="1.10.0").chosen == OFFER


def test_the_same_version_for_two_targets_or_two_regions_is_not_ambiguous() -> None:
    other = offer(region="usa", sha256=DIGEST_B)
    assert choose(PLUG, MAIN, [offer(region="europe", sha256=DIGEST_A), other], settings=AUTOMATIC).chosen is not None
    rival = choose(PLUG, MAIN, [offer(sha256=DIGEST_A), offer(sha256=DIGEST_B)], settings=AUTOMATIC)
    assert rival.chosen is None
    assert rival.verdict.reason == "ambiguous"


def test_one_version_of_two_bundles_is_ambiguous_where_the_bytes_differ() -> None:
    rival = choose(PLUG, MAIN, [offer(bundle="a", sha256=DIGEST_A), offer(bundle="b", sha256=DIGEST_B)], settings=AUTOMATIC)
    assert (rival.chosen, rival.verdict.reason) == (None, "ambiguous")


@pytest.mark.parametrize("changes", [{"bundle": "b"}, {"file_version": None}], ids=["the first file of a bundle", "a file that tells no version"])
def test_what_is_no_further_file_of_a_release_is_taken_by_itself(changes: dict[str, Any]) -> None:
    assert choose(PLUG, MAIN, [offer(**changes)], settings=AUTOMATIC, operator=True).chosen == offer(**changes)


def test_the_facts_of_a_verdict_are_the_products_own() -> None:
    facts = match(PLUG, MAIN, offer(region="usa")).facts
    assert facts == {"manufacturer_code": 0x027A, "version": "1.6", "product_type": 0x8002, "product_id": 0x1000, "target": 0, "region": "Europe"}
