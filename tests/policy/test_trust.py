from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otagate.model.images import Check, ImageFacts
from otagate.policy.match import match
from otagate.policy.trust import narrow, trust
from tests.policy.cases import DIGEST_A, DIGEST_B, IEEE, component, device, release

IMAGE = ImageFacts(
    format="zigbee-ota",
    size=1000,
    manufacturer_code=0x117C,
    image_type=0x1409,
    file_version=20,
    stack_version=2,
    header_string="",
    checks=(Check(name="header", result="pass", detail="Good."), Check(name="elements", result="unknown", detail="Odd.")),
)


def test_an_image_that_is_what_the_release_promises_is_trusted() -> None:
    verdict = trust(IMAGE, release(), sha256=DIGEST_A)
    assert verdict.allowed
    assert verdict.facts["sha256"] == DIGEST_A


def test_a_release_without_a_digest_is_held_to_everything_else() -> None:
    assert trust(IMAGE, release(sha256=None), sha256=DIGEST_B).allowed
    assert not trust(IMAGE, release(sha256=None, size=999), sha256=DIGEST_B).allowed


@pytest.mark.parametrize(
    ("of_release", "code", "sentence"),
    [
        ({"sha256": DIGEST_B}, "image-corrupt", f"sha256 {DIGEST_B}, these have {DIGEST_A}"),
        ({"size": 1001}, "image-corrupt", "1001 bytes, the image has 1000"),
        ({"manufacturer_code": 0xFFFF}, "incompatible-image", "manufacturer code 0xffff, the image says 0x117c"),
        ({"image_type": 1}, "incompatible-image", "image type 0x0001, the image says 0x1409"),
        ({"file_version": 21}, "incompatible-image", "file version 0x00000015, the image says 0x00000014"),
    ],
)
def test_an_image_that_differs_from_its_release_is_refused(of_release: dict[str, Any], code: str, sentence: str) -> None:
    verdict = trust(IMAGE, release(**of_release), sha256=DIGEST_A)
    assert (verdict.decision, verdict.reason, verdict.code) == ("refuse", "image_mismatch", code)
    assert sentence in verdict.sentence


def test_a_file_that_tells_nothing_of_itself_is_what_its_digest_says() -> None:
    raw = replace(IMAGE, manufacturer_code=None, image_type=None, file_version=None)
    assert trust(raw, release(), sha256=DIGEST_A).allowed
    assert trust(raw, release(manufacturer_code=None, image_type=None, file_version=None), sha256=DIGEST_A).allowed


def test_a_release_that_tells_less_than_its_image_is_another_one() -> None:
    verdict = trust(IMAGE, release(manufacturer_code=None), sha256=DIGEST_A)
    assert (verdict.decision, verdict.code) == ("refuse", "incompatible-image")


def test_an_image_for_another_firmware_target_or_protocol_is_refused() -> None:
    assert "firmware target 0, the image says 1" in trust(replace(IMAGE, target=1), release(target=0), sha256=DIGEST_A).sentence
    assert "protocol zigbee, the image says zwave" in trust(replace(IMAGE, protocol="zwave"), release(), sha256=DIGEST_A).sentence


def test_a_failed_check_refuses_even_the_promised_bytes() -> None:
    image = replace(IMAGE, checks=(*IMAGE.checks, Check(name="crc", result="fail", detail="Stored 1, computed 2.")))
    verdict = trust(image, release(), sha256=DIGEST_A)
    assert (verdict.decision, verdict.code) == ("refuse", "image-corrupt")
    assert "Stored 1, computed 2." in verdict.sentence


@pytest.mark.parametrize(
    ("promised", "header", "together"),
    [
        ((None, None), (None, None), (None, None)),
        ((None, None), (2, 5), (2, 5)),
        ((2, 5), (None, None), (2, 5)),
        ((0, 4), (2, 9), (2, 4)),
        ((3, 3), (0, 9), (3, 3)),
    ],
)
def test_the_header_of_the_image_narrows_the_hardware_range(
    promised: tuple[int | None, int | None], header: tuple[int | None, int | None], together: tuple[int | None, int | None]
) -> None:
    image = replace(IMAGE, hardware_min=header[0], hardware_max=header[1])
    narrowed = narrow(release(hardware_min=promised[0], hardware_max=promised[1]), image)
    assert (narrowed.hardware_min, narrowed.hardware_max) == together


def test_ranges_of_release_and_image_that_do_not_meet_fit_no_hardware() -> None:
    narrowed = narrow(release(hardware_min=0, hardware_max=3), replace(IMAGE, hardware_min=4, hardware_max=9))
    assert [match(device(), component(hardware_version=version), narrowed).decision for version in (0, 3, 4, 9)] == ["refuse"] * 4


def test_an_image_for_one_device_is_for_that_device_alone_though_the_release_does_not_say_so() -> None:
    assert narrow(release(), replace(IMAGE, destination=IEEE + 1)).destination == IEEE + 1
    assert narrow(release(destination=IEEE), IMAGE).destination == IEEE
