from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.formats import zigbee
from otagate.formats.identify import identify
from otagate.model.errors import ImageError
from tests.formats.images import build, samples
from tests.formats.inner import encrypted_ebl, gbl, inner_samples, telink

LIMIT = 1 << 20
WORDS = (0, 1, 4, 55, 56, 57, 60, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF)


def read_to_the_end(data: bytes) -> bool:
    """Use everything that the format offers; whether the file was accepted. Anything but an ImageError escapes to the test."""
    try:
        found = identify(data, LIMIT)
    except ImageError:
        return False
    assert found.facts.size == len(found.view)
    assert {check.result for check in found.facts.checks} <= {"pass", "fail", "unknown"}
    assert all(0 < len(check.detail) < 300 for check in found.facts.checks)
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


def mutate(data: bytes, dice: random.Random) -> bytes:
    """One to four injuries: a byte, a word at an interesting value, a cut, an insertion, a run moved elsewhere; most of them in a header."""
    wounded = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        reach = dice.choice((80, 80, 240, len(wounded)))
        place = dice.randrange(min(len(wounded), reach)) if wounded and reach else 0
        match dice.randrange(5):
            case 0:
                wounded[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                size = dice.choice((2, 4))
                wounded[place : place + size] = (dice.choice(WORDS) % (1 << 8 * size)).to_bytes(size, "little")
            case 2:
                del wounded[place:]
            case 3:
                wounded[place:place] = dice.randbytes(dice.randint(1, 9))
            case _:
                wounded[place : place + 8] = wounded[-8:]
    return bytes(wounded)


def mutation_run(data: bytes, rounds: int) -> int:
    """Mutate a file with fixed dice; how many were accepted. Every tenth keeps its OTA header, so that what is inside is reached."""
    dice = random.Random(20_240_817)
    accepted = 0
    for round_ in range(rounds):
        wounded = mutate(data, dice)
        accepted += read_to_the_end(data[:62] + wounded[62:].ljust(len(data) - 62, b"\0") if round_ % 10 == 0 else wounded)
    return accepted


@pytest.mark.parametrize("name", FILES)
def test_mutated_images_of_each_format_raise_only_image_errors(name: str) -> None:
    rounds = 10_000 // len(FILES) + 1
    accepted = mutation_run(FILES[name], rounds)
    assert accepted > rounds / 20, "the run hardly reached the code behind the header"
    assert accepted < rounds * 0.9, "the run hardly damaged anything"


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
