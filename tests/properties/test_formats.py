from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.formats import zigbee
from otagate.formats.identify import identify
from otagate.model.errors import ImageError
from tests.formats.images import build, samples
from tests.formats.inner import encrypted_ebl, gbl, inner_samples, telink
from tests.formats.mutations import layout, mutate

LIMIT = 1 << 20


def read_to_the_end(data: bytes) -> bool:
    """Use everything that the format offers; whether the file was accepted. Anything but an ImageError escapes to the test."""
    try:
        found = identify(data, LIMIT)
    except ImageError:
        return False
    assert found.facts.size == len(found.view)
    assert {check.result for check in found.facts.checks} <= {"pass", "fail", "unknown"}
    assert all(0 < len(check.detail) < 300 for check in found.facts.checks)
    if found.facts.protocol != "zigbee":
        return True  # what comes out of the containers of Z-Wave, `tests/formats/test_zwave.py` says
    assert found.view.tobytes() in data
    image = zigbee.parse(data, limit=LIMIT)
    end = image.header_length
    for element in image.elements():
        assert element.offset == end, "elements leave a gap or overlap"
        end = element.offset + 6 + len(element.data)
    assert end <= image.total_size
    assert len(image.prefix) + image.total_size + len(image.trailing) == len(data)
    return True


FILES = {f"wrapped and plain {number}": data for number, data in enumerate(samples())} | inner_samples()


def mutation_run(data: bytes, rounds: int) -> int:
    """Mutate a file with fixed dice; how many were accepted. Every tenth keeps its OTA header, so that what is inside is reached."""
    dice, found = random.Random(20_240_817), layout(data)
    accepted = 0
    for round_ in range(rounds):
        wounded = mutate(data, found, dice)
        accepted += read_to_the_end(data[:62] + wounded[62:].ljust(len(data) - 62, b"\0") if round_ % 10 == 0 else wounded)
    return accepted


@pytest.mark.parametrize("name", FILES)
def test_mutated_images_of_each_format_raise_only_image_errors(name: str) -> None:
    rounds = 10_000 // len(FILES) + 1
    accepted = mutation_run(FILES[name], rounds)
    assert accepted > rounds / 20, "the run hardly reached the code behind the header"
    assert accepted < rounds * 0.9, "the run hardly damaged anything"


@pytest.mark.parametrize("name", FILES)
def test_the_injuries_know_where_every_number_of_a_file_is(name: str) -> None:
    data, found = FILES[name], layout(FILES[name])
    places = [place for number in found.numbers for place in range(number.at, number.at + number.size)]
    assert max(places) < len(data)
    assert len(found.numbers) >= 8 + 2 * len(found.elements)
    assert all(found.header + 56 <= start < end <= len(data) for start, end in found.elements)


REACHED = {
    "gbl": ("contents", {"pass", "fail", "unknown"}),
    "ebl": ("contents", {"pass", "fail", "unknown"}),
    "encrypted ebl": ("contents", {"pass", "fail", "unknown"}),
    "telink": ("contents", {"pass", "fail", "unknown"}),
    "telink risc-v": ("contents", {"pass", "fail", "unknown"}),
    "integrity": ("integrity", {"pass", "fail", "unknown"}),
    "integrity behind": ("integrity", {"pass", "fail", "unknown"}),
    "ikea": ("container", {"pass", "fail", "unknown"}),
}


@pytest.mark.parametrize("name", REACHED)
def test_the_injuries_reach_every_outcome_of_the_check_inside(name: str) -> None:
    (check, outcomes), data = REACHED[name], FILES[name]
    dice, found = random.Random(5), layout(data)
    seen = set()
    for _ in range(1_000):
        with suppress(ImageError):
            seen |= {each.result for each in identify(mutate(data, found, dice), LIMIT).facts.checks if each.name == check}
    assert seen == outcomes


def test_the_injuries_reach_every_refusal_of_the_header() -> None:
    words = ("truncated", "header version", "header length", "field control", "minimum hardware", "no OTA upgrade file identifier")
    missing = set(words)
    dice, data = random.Random(5), build(hardware=(1, 2))
    found = layout(data)
    for _ in range(2_000):
        try:
            identify(mutate(data, found, dice), LIMIT)
        except ImageError as refused:
            missing -= {word for word in words if word in str(refused)}
    assert not missing


@pytest.mark.night
@pytest.mark.parametrize("name", FILES)
def test_a_hundred_thousand_mutated_images_of_each_format_raise_only_image_errors(name: str) -> None:
    assert 5_000 < mutation_run(FILES[name], 100_000) < 90_000


@pytest.mark.parametrize(
    ("name", "check", "start", "end"),
    [
        ("gbl", "contents", 62, 62 + len(gbl())),
        ("encrypted ebl", "contents", 62, 62 + len(encrypted_ebl())),
        ("telink", "contents", 62, 62 + len(telink())),
        ("telink risc-v", "contents", 62, 62 + len(telink())),
        ("integrity", "integrity", 0, len(FILES["integrity"])),
        ("integrity behind", "integrity", 0, len(FILES["integrity behind"])),
        ("ikea", "container", 72, len(FILES["ikea"]) - 512),
    ],
)
def test_no_single_wrong_bit_passes_the_check_that_covers_it(name: str, check: str, start: int, end: int) -> None:
    data = FILES[name]
    assert (check, "pass") in {(each.name, each.result) for each in identify(data, LIMIT).facts.checks}
    for bit in range(start * 8, end * 8):
        wounded = bytearray(data)
        wounded[bit // 8] ^= 1 << bit % 8
        try:
            told = identify(bytes(wounded), LIMIT).facts.checks
        except ImageError:
            continue
        assert (check, "pass") not in {(each.name, each.result) for each in told}, f"bit {bit % 8} of byte {bit // 8}"


@given(st.binary(max_size=300))
def test_any_bytes_raise_only_image_errors(data: bytes) -> None:
    read_to_the_end(data)


@given(st.binary(max_size=200), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 400))
def test_any_lengths_and_any_field_control_raise_only_image_errors(body: bytes, control: int, header_length: int, total: int) -> None:
    read_to_the_end(build(body, field_control=control, header_length=header_length, total_size=total))


@given(
    body=st.binary(max_size=400),
    maker=st.integers(0, 0xFFFF),
    image_type=st.integers(0, 0xFFFF),
    version=st.integers(0, 0xFFFF_FFFE),
    credential=st.none() | st.integers(0, 255),
    destination=st.none() | st.integers(0, (1 << 64) - 1),
    hardware=st.none() | st.tuples(st.integers(0, 0x7FFF), st.integers(0x7FFF, 0xFFFF)),
    tail=st.binary(max_size=20),
)
def test_every_well_formed_image_is_read_back_as_it_was_built(
    body: bytes,
    maker: int,
    image_type: int,
    version: int,
    credential: int | None,
    destination: int | None,
    hardware: tuple[int, int] | None,
    tail: bytes,
) -> None:
    data = build(
        body,
        manufacturer_code=maker,
        image_type=image_type,
        file_version=version,
        credential=credential,
        destination=destination,
        hardware=hardware,
        header_tail=tail,
    )
    found = identify(data + tail, LIMIT)
    assert found.view == data
    facts = found.facts
    assert (facts.manufacturer_code, facts.image_type, facts.file_version) == (maker, image_type, version)
    assert (facts.security_credential_version, facts.destination) == (credential, destination)
    assert (facts.hardware_min, facts.hardware_max) == (hardware or (None, None))
