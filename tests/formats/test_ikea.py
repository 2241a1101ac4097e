from __future__ import annotations

import pytest

from otagate.formats import ikea as format_
from otagate.formats import zigbee
from tests.formats.images import build, element
from tests.formats.inner import ikea

IMAGE = build(element(0, bytes(range(256)) * 10))


def outcome(data: bytes) -> tuple[str, str]:
    told = format_.check(zigbee.parse(data, limit=1 << 24))
    assert told is not None
    assert told.name == "container"
    return told.result, told.detail


@pytest.mark.parametrize("size", [256, 512, 873, len(IMAGE), 16_384])
def test_a_container_whose_list_is_true_passes(size: int) -> None:
    count = -(-len(IMAGE) // size)
    assert outcome(ikea(IMAGE, size=size)) == (
        "pass",
        f"All {count} blocks have the SHA-256 that the IKEA container lists; its signature is not checked.",
    )


def test_an_image_without_a_container_has_no_such_check() -> None:
    assert format_.check(zigbee.parse(IMAGE, limit=1 << 24)) is None
    assert format_.check(zigbee.parse(len(IMAGE).to_bytes(4, "little") + IMAGE, limit=1 << 24)) is None


@pytest.mark.parametrize("block", range(6))
def test_one_wrong_bit_is_damage_and_its_block_is_named(block: int) -> None:
    data = bytearray(ikea(IMAGE))
    place = len(data) - 512 - len(IMAGE) + min(block * 512 + 100, len(IMAGE) - 1)
    data[place] ^= 1
    result, detail = outcome(bytes(data))
    assert result == "fail"
    assert f"its block {block + 1} of 6, of 512 bytes, " in detail


def test_a_wrong_digest_in_the_list_is_damage() -> None:
    data = bytearray(ikea(IMAGE))
    data[40 + 5 * 32 + 31] ^= 1
    assert outcome(bytes(data))[0] == "fail"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ikea(IMAGE, count=5), id="fewer digests than blocks"),
        pytest.param(ikea(IMAGE, count=7), id="more digests than blocks"),
        pytest.param(ikea(IMAGE, count=0xFFFF_FFFF), id="endless digests"),
        pytest.param(ikea(IMAGE, list_size=0), id="blocks of nothing"),
        pytest.param(ikea(IMAGE, list_size=1024), id="blocks of another size"),
        pytest.param(ikea(IMAGE, length=len(IMAGE) - 1), id="another length"),
        pytest.param(ikea(build(b""), size=8), id="tiny blocks"),
        pytest.param(b"NGIS" + bytes(12) + (20).to_bytes(4, "little") + IMAGE, id="no room for numbers"),
    ],
)
def test_a_list_that_is_not_laid_out_in_the_known_way_is_no_damage(data: bytes) -> None:
    assert outcome(data)[0] == "unknown"
