from __future__ import annotations

from typing import Any

import pytest

from otagate.model.ids import DeviceId
from otagate.policy.match import concerns, match, wants_hardware
from tests.policy.cases import IEEE, component, device, release

Changes = dict[str, Any]

KIT = {"manufacturer_code": 0x1141}

# What each row changes of a release that fits: the release, the component, the device.
FITS: list[Any] = [
    pytest.param({}, {}, {}, id="as it is"),
    pytest.param({}, {"manufacturer_code": None}, {"manufacturer_code": 0x117C}, id="manufacturer code of the node descriptor"),
    pytest.param({}, {"image_type": None}, {}, id="image type from the component's id"),
    pytest.param({}, {"hardware_version": None, "version": None}, {"model": None, "manufacturer": None}, id="nothing asked, nothing missing"),
    pytest.param({"hardware_min": 3, "hardware_max": 3}, {}, {}, id="hardware on both bounds"),
    pytest.param({"hardware_min": 3}, {}, {}, id="hardware with a lower bound only"),
    pytest.param({"hardware_max": 3}, {}, {}, id="hardware with an upper bound only"),
    pytest.param({"min_file_version": 10, "max_file_version": 10}, {}, {}, id="running version on both bounds"),
    pytest.param({"min_file_version": 10}, {}, {}, id="running version with a lower bound only"),
    pytest.param({"max_file_version": 10}, {}, {}, id="running version with an upper bound only"),
    pytest.param({"destination": IEEE}, {}, {}, id="for this device alone"),
    pytest.param({"models": ("Lamp 1",), "manufacturers": ("Lumière",)}, {}, {}, id="second keys equal"),
    pytest.param({"models": ("Lamp 9", "Lamp 1")}, {}, {}, id="one of several models"),
    pytest.param({"models": (" lamp 1",)}, {}, {"model": "LAMP 1\t"}, id="second key in other letters"),
    pytest.param({**KIT, "models": ("Lamp 1",)}, KIT, {}, id="a kit's code with the model"),
    pytest.param({**KIT, "manufacturers": ("Lumière",)}, KIT, {}, id="a kit's code with the manufacturer"),
    pytest.param({**KIT, "destination": IEEE}, KIT, {}, id="a kit's code with the very device"),
]
REFUSED: list[Any] = [
    pytest.param({"manufacturer_code": 0x117D}, {}, {}, "manufacturer 0x117d, the component is of 0x117c", id="other maker"),
    pytest.param({"manufacturer_code": 0x1111}, {}, {}, "the component is of 0x117c", id="maker of the node descriptor but not of the component"),
    pytest.param({"manufacturer_code": None}, {}, {}, "does not say whose devices it is for", id="for nobody in particular"),
    pytest.param({}, {"manufacturer_code": None}, {"manufacturer_code": None}, "manufacturer code of the device is not known", id="maker unknown"),
    pytest.param({"image_type": 0x140A}, {}, {}, "image type 0x140a, the component is 0x1409", id="other image type"),
    pytest.param({}, {"image_type": None, "id": "0x0001"}, {}, "the component is 0x0001", id="other image type by id"),
    pytest.param({"hardware_min": 4, "hardware_max": 9}, {}, {}, "hardware versions 4 to 9, the component has 3", id="hardware below"),
    pytest.param({"hardware_min": 0, "hardware_max": 2}, {}, {}, "hardware versions 0 to 2, the component has 3", id="hardware above"),
    pytest.param({"hardware_max": 2}, {}, {}, "hardware versions 0 to 2", id="hardware above the only bound"),
    pytest.param({"min_file_version": 11}, {}, {}, "run 0x0000000b or newer, this one runs 0x0000000a", id="runs too old a version"),
    pytest.param({"max_file_version": 9}, {}, {}, "run 0x00000009 or older, this one runs 0x0000000a", id="runs too new a version"),
    pytest.param({"destination": IEEE + 1}, {}, {}, "the device 000d6f000a9069e8 alone", id="for another device"),
    pytest.param(
        {"destination": IEEE},
        {},
        {"id": DeviceId("tuya-1"), "protocol": "cloud"},
        "is for Zigbee, the device is",
        id="for a Zigbee device, and this is none",
    ),
    pytest.param({"models": ("Lamp 2",)}, {}, {}, "model 'Lamp 2', the device is 'Lamp 1'", id="other model"),
    pytest.param({"manufacturers": ("Other",)}, {}, {}, "manufacturer 'Other', the device is 'Lumière'", id="other manufacturer"),
    pytest.param({"manufacturer_code": 0xFFFF, "image_type": 1}, {}, {}, "image type 0x0001", id="any maker, other image type"),
    pytest.param({"models": ("Lamp 2",), "hardware_min": 0}, {"hardware_version": None}, {}, "model 'Lamp 2'", id="a doubt and a contradiction"),
]
ASKED: list[Any] = [
    pytest.param({"manufacturer_code": 0xFFFF}, {}, {}, "for every manufacturer", id="any maker"),
    pytest.param(KIT, KIT, {}, "Devices of many makers bear the manufacturer code 0x1141", id="a kit's code and nothing else"),
    pytest.param({"manufacturer_code": 0xFFFF}, {"manufacturer_code": None}, {"manufacturer_code": None}, "every", id="any maker, own unknown"),
    pytest.param({"hardware_min": 0, "hardware_max": 9}, {"hardware_version": None}, {}, "has not told its own", id="hardware version unknown"),
    pytest.param({"max_file_version": 99}, {"version": None}, {}, "the running version is not known", id="running version unknown"),
    pytest.param({"models": ("Lamp 1",)}, {}, {"model": None}, "model 'Lamp 1', and the device has not told", id="model unknown"),
    pytest.param({"manufacturers": ("Lumière",)}, {}, {"manufacturer": " "}, "has not told its own", id="manufacturer blank"),
]


@pytest.mark.parametrize(("of_release", "of_component", "of_device"), FITS)
def test_a_release_that_fits_is_allowed(of_release: Changes, of_component: Changes, of_device: Changes) -> None:
    verdict = match(device(**of_device), component(**of_component), release(**of_release))
    assert (verdict.decision, verdict.reason) == ("allow", None)


@pytest.mark.parametrize(("of_release", "of_component", "of_device", "sentence"), REFUSED)
def test_a_contradiction_refuses(of_release: Changes, of_component: Changes, of_device: Changes, sentence: str) -> None:
    verdict = match(device(**of_device), component(**of_component), release(**of_release))
    assert (verdict.decision, verdict.reason, verdict.code) == ("refuse", "image_mismatch", "incompatible-image")
    assert sentence in verdict.sentence


@pytest.mark.parametrize(("of_release", "of_component", "of_device", "sentence"), ASKED)
def test_a_missing_second_key_asks(of_release: Changes, of_component: Changes, of_device: Changes, sentence: str) -> None:
    verdict = match(device(**of_device), component(**of_component), release(**of_release))
    assert (verdict.decision, verdict.reason) == ("ask", "awaiting_approval")
    assert sentence in verdict.sentence


def test_every_doubt_is_told() -> None:
    verdict = match(device(model=None), component(hardware_version=None), release(models=("Lamp 1",), hardware_min=1, hardware_max=2))
    assert "hardware versions 1 to 2" in verdict.sentence
    assert "model 'Lamp 1'" in verdict.sentence


def test_the_verdict_carries_the_facts_of_the_device_that_it_used() -> None:
    verdict = match(device(), component(), release(hardware_min=1, models=("Lamp 1",), manufacturers=("Other",)))
    assert verdict.facts == {
        "manufacturer_code": 0x117C,
        "image_type": 0x1409,
        "version": 10,
        "hardware_version": 3,
        "model": "Lamp 1",
        "manufacturer": "Lumière",
    }


def test_long_names_do_not_make_long_sentences() -> None:
    assert len(match(device(model="x" * 9000), component(), release(models=("y" * 9000,))).sentence) < 300


@pytest.mark.parametrize(
    ("of_release", "answer"),
    [
        ({}, True),
        ({"manufacturer_code": 0xFFFF}, True),
        ({"hardware_min": 9, "hardware_max": 9}, True),
        ({"manufacturer_code": 1}, False),
        ({"image_type": 1}, False),
    ],
)
def test_a_release_concerns_a_component_by_its_first_keys_alone(of_release: Changes, answer: bool) -> None:
    assert concerns(device(), component(), release(**of_release)) is answer


@pytest.mark.parametrize(
    ("of_component", "of_release", "wanted"),
    [
        ({}, {"hardware_min": 1}, True),
        ({}, {"hardware_max": 1}, True),
        ({"hardware_version": 3}, {"hardware_min": 1}, False),
        ({}, {}, False),
        ({}, {"hardware_min": 1, "image_type": 1}, False),
        ({"version": 20}, {"hardware_min": 1}, False),
    ],
)
def test_a_device_is_asked_for_its_hardware_only_where_that_decides(of_component: Changes, of_release: Changes, wanted: bool) -> None:
    asked = wants_hardware(device(), component(**{"hardware_version": None} | of_component), [release(**of_release)])
    assert asked is wanted
