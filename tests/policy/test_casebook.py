"""What is known against releases: which ends of updates speak against an image, and which advisories concern a component."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otagate.model.advisories import Advisory
from otagate.model.devices import Device, ZwaveNode
from otagate.model.ids import DeviceId, zwave_component_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.versions import version_key
from otagate.policy.casebook import HARMS, Casebook, clears, harms, is_same, tells
from tests.policy.cases import DIGEST_A, DIGEST_B, component, device, failed, release, update

LIFTS: Any = {"override": ("quarantined",)}
SUCCEEDED = update(1, state=State.SUCCEEDED)


@pytest.mark.parametrize(
    ("ended", "against", "in_favour"),
    [
        *(pytest.param(failed(1, code=code), True, False, id=code) for code in sorted(HARMS)),
        pytest.param(failed(1, code="radio-unavailable"), False, False, id="a radio that failed"),
        pytest.param(failed(1, code="source-unreachable"), False, False, id="a source that failed"),
        pytest.param(failed(1, foreign=True), False, False, id="another program's"),
        pytest.param(failed(1, error=None), False, False, id="nobody knows why"),
        pytest.param(failed(1, state=State.CANCELLED), False, False, id="cancelled"),
        pytest.param(SUCCEEDED, False, False, id="succeeded"),
        pytest.param(replace(SUCCEEDED, **LIFTS), False, True, id="succeeded against a quarantine"),
        pytest.param(update(1, state=State.TRANSFERRING, **LIFTS), False, False, id="not ended"),
        pytest.param(replace(SUCCEEDED, force=True), False, False, id="succeeded by force"),
    ],
)
def test_only_what_an_image_may_have_done_speaks_against_it_and_only_a_trial_for_it(ended: Update, against: bool, in_favour: bool) -> None:
    assert (harms(ended), clears(ended), tells(ended)) == (against, in_favour, against or in_favour)


def book(*past: Update, most: int = 2) -> Casebook:
    return Casebook(past={version_key(20): past}, most=most)


@pytest.mark.parametrize(
    ("casebook", "quarantined"),
    [
        (book(failed(1)), False),
        (book(failed(1), failed(1)), False),
        (book(failed(1), failed(2)), True),
        (book(failed(1), failed(2), most=3), False),
        (book(failed(1), failed(2), most=0), False),
        (book(failed(1), failed(2), replace(SUCCEEDED, **LIFTS)), False),
        (book(failed(1), replace(SUCCEEDED, **LIFTS), failed(2)), False),
        (book(replace(SUCCEEDED, **LIFTS), failed(1), failed(2)), True),
        (book(failed(1), failed(2, image=DIGEST_B)), False),
    ],
)
def test_an_image_is_quarantined_after_so_many_devices_since_it_was_cleared_last(casebook: Casebook, quarantined: bool) -> None:
    verdict = casebook.speaks(device(), component(), release(), override=())
    assert (verdict is not None and verdict.reason == "quarantined") is quarantined
    assert casebook.speaks(device(), component(), release(), override=("quarantined",)) is None


def test_of_many_devices_the_first_three_are_named() -> None:
    verdict = book(*(failed(n) for n in range(5))).quarantines(release())
    assert verdict is not None
    assert "failed on 5 devices here (" in verdict.sentence
    assert "and 2 more)" in verdict.sentence
    two = book(failed(1), failed(2)).quarantines(release())
    assert two is not None
    assert f"failed on 2 devices here ({failed(1).device}, {failed(2).device}), so" in two.sentence


def test_without_digests_the_same_file_of_the_same_source_is_the_same_image() -> None:
    offer = release(sha256=None, source="index", location="a")
    mine = update(1, image=None, release=offer)
    assert is_same(mine, offer)
    assert not is_same(mine, replace(offer, location="b"))
    assert not is_same(mine, replace(offer, source="other"))
    assert not is_same(update(1, image=None), release(sha256=None))
    assert is_same(mine, replace(offer, sha256=DIGEST_A))
    assert is_same(replace(mine, image=DIGEST_A), offer)
    nowhere = release(sha256=None, source="index")
    assert not is_same(update(1, image=None, release=nowhere), nowhere)
    assert is_same(update(1, image=DIGEST_A, release=offer), replace(offer, sha256=DIGEST_A, location="c"))


NODE = Device(
    id=DeviceId("zwave-1-2"), radio=None, protocol="zwave", manufacturer_code=1, node=ZwaveNode(product_type=2, product_id=3, region="europe")
)
MAIN = component(id=zwave_component_id(0), version="1.0", manufacturer_code=None, image_type=None)


@pytest.mark.parametrize(
    ("keys", "warns"),
    [
        ({"codes": (0x117C,)}, True),
        ({"codes": (0x1111,)}, False),  # the node descriptor's; what the component tells counts more
        ({"manufacturers": ("lum*",)}, True),
        ({"manufacturers": ("x",)}, False),
        ({"models": ("Lamp ?",)}, True),
        ({"models": ("Lamp",)}, False),
        ({"sha256": (DIGEST_A,)}, True),
        ({"sha256": (DIGEST_B,)}, False),
        ({"codes": (0x117C,), "sha256": (DIGEST_B,)}, False),
        ({"codes": (0x117C,), "models": ("x",)}, False),
        ({"codes": (0x117C,), "image_types": (0x1409,)}, True),
        ({"codes": (0x117C,), "image_types": (1,)}, False),
        ({"codes": (0x117C,), "min_version": 20, "max_version": 20}, True),
        ({"codes": (0x117C,), "min_version": 21}, False),
        ({"codes": (0x117C,), "min_version": 19}, True),
        ({"codes": (0x117C,), "max_version": 21}, True),
        ({"codes": (0x117C,), "max_version": 19}, False),
        ({"codes": (0x117C,), "inner_formats": ("telink",)}, True),
        ({"codes": (0x117C,), "inner_formats": ("silabs-gbl",)}, False),
        ({"products": ((0x117C, 2, 3),)}, False),
        ({"codes": (0x117C,), "outside": ("usa",)}, True),  # no region is known of it: nothing spares it
        ({"image_types": (0x1409,)}, False),  # none of the keys that an advisory must have
    ],
)
def test_an_advisory_concerns_what_all_of_its_keys_fit(keys: dict[str, Any], warns: bool) -> None:
    casebook = Casebook(advisories=[Advisory(sentence="It dies", source="us", **keys)])
    verdict = casebook.speaks(device(), component(), release(inner_format="telink"), override=("quarantined",))
    assert (verdict is not None and (verdict.reason, verdict.sentence) == ("advisory", "It dies; see us.")) is warns


@pytest.mark.parametrize(
    ("keys", "warns"),
    [
        ({"products": ((1, 2, 3),)}, True),
        ({"products": ((1, 2, 4),)}, False),
        ({"codes": (1,), "outside": ("usa",)}, True),
        ({"codes": (1,), "outside": ("EUROPE",)}, False),
        ({"codes": (1,), "max_version": "1.10"}, True),
        ({"codes": (1,), "max_version": "1.8"}, False),
    ],
)
def test_an_advisory_concerns_z_wave_products_outside_of_its_regions(keys: dict[str, Any], warns: bool) -> None:
    casebook = Casebook(advisories=[Advisory(sentence="It dies", source="us", **keys)])
    assert (casebook.warns(NODE, MAIN, release(protocol="zwave", file_version="1.9")) is not None) is warns


def test_what_a_device_has_not_told_does_not_spare_it() -> None:
    casebook = Casebook(advisories=[Advisory(sentence="It dies", source="us", codes=(0x117C,), models=("Lamp 9",))])
    assert casebook.warns(device(model=None), component(), release()) is not None
    assert casebook.warns(device(model=" "), component(), release()) is not None
    assert casebook.warns(device(), component(), release()) is None
    unknown = device(model="Lamp 9", manufacturer_code=None), component(manufacturer_code=None, image_type=None)
    assert casebook.warns(*unknown, release()) is not None
    of_a_type = Casebook(advisories=[Advisory(sentence="It dies", source="us", models=("Lamp 9",), image_types=(0x1409,), min_version=99)])
    assert of_a_type.warns(*unknown, release(file_version=None)) is not None
    assert of_a_type.warns(*unknown, release()) is None
    other = Casebook(advisories=[Advisory(sentence="It dies", source="us", models=("Lamp 9",), image_types=(1,))])
    assert other.warns(*unknown, release()) is None
