from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from otagate.formats import integrity, zigbee
from tests.formats.images import build, element
from tests.formats.inner import with_integrity_code


def outcome(data: bytes) -> tuple[str, str]:
    told = integrity.check(zigbee.parse(data, limit=1 << 24))
    assert told is not None
    assert told.name == "integrity"
    return told.result, told.detail


def reference(data: bytes) -> bytes:
    """The hash written down a second time, from its definition: the padded message first, then one chained encryption per block."""
    bits = len(data) * 8
    message = data + b"\x80"
    if bits < 65_536:
        while len(message) % 16 != 14:
            message += b"\x00"
        message += bits.to_bytes(2, "big")
    else:
        while len(message) % 16 != 10:
            message += b"\x00"
        message += bits.to_bytes(4, "big") + bytes(2)
    state = bytes(16)
    for block in (message[at : at + 16] for at in range(0, len(message), 16)):
        encrypted = Cipher(algorithms.AES(state), modes.CBC(bytes(16))).encryptor().update(block)
        state = bytes(left ^ right for left, right in zip(encrypted, block, strict=True))
    return state


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        pytest.param("c0", "ae3a102a28d43ee0d4a09e22788b206c", id="one byte"),
        pytest.param("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "a7977e88bc0b61e8210827109a228f2d", id="one block"),
        pytest.param("83fed3407a939723a5c639b26916d505c3b5", "66b6900981e1ee3ca4206b6b861c02bb", id="an install code"),
    ],
)
def test_the_hash_agrees_with_published_examples(data: str, hashed: str) -> None:
    assert integrity.digest(bytes.fromhex(data)).hex() == hashed


@pytest.mark.parametrize("length", [0, 1, 13, 14, 15, 16, 17, 30, 31, 8190, 8191, 8192, 8193, 8201, 8202, 8207, 8208])
def test_the_hash_is_padded_by_its_definition_at_every_boundary(length: int) -> None:
    data = bytes(index % 251 for index in range(length))
    assert integrity.digest(data) == reference(data)


# --- images ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", [0x10F2, 0x117C])
@pytest.mark.parametrize("size", range(185, 203))
@pytest.mark.parametrize("behind", [True, False])
def test_a_hash_that_ends_before_or_behind_the_head_passes_whoever_made_it(maker: int, size: int, behind: bool) -> None:
    data = with_integrity_code(element(0, bytes(size)), behind_the_head=behind, manufacturer_code=maker)
    end = len(data) - (16 if behind else 22)
    assert outcome(data) == ("pass", f"The integrity code is the AES-MMO hash of the first {end} bytes.")


def test_an_image_above_eight_kibibytes_passes() -> None:
    assert outcome(with_integrity_code(element(0, bytes(9_000))))[0] == "pass"


def test_an_image_without_the_sub_element_has_no_such_check() -> None:
    assert integrity.check(zigbee.parse(build(), limit=1 << 24)) is None


@pytest.mark.parametrize("maker", sorted(integrity.KEEPERS))
@pytest.mark.parametrize("place", [30, 64, 100, -30, -1])
def test_one_wrong_bit_is_damage_where_the_maker_keeps_the_standard(maker: int, place: int) -> None:
    data = bytearray(with_integrity_code(element(0, bytes(200)), manufacturer_code=maker))
    data[place] ^= 1
    result, detail = outcome(bytes(data))
    assert (result, "is damaged" in detail) == ("fail", True)


@pytest.mark.parametrize("maker", [0x1015, 0x117C])
def test_another_code_of_another_maker_tells_nothing(maker: int) -> None:
    result, detail = outcome(with_integrity_code(element(0, bytes(200)), code=b"something of own", manufacturer_code=maker))
    assert (result, b"something of own".hex() in detail) == ("unknown", True)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(element(3, bytes(15)), id="too short"),
        pytest.param(element(3, bytes(32)), id="too long"),
        pytest.param(element(3, bytes(9), length=16), id="past the end"),
        pytest.param(element(3, bytes(16)) * 2, id="two"),
    ],
)
def test_a_sub_element_that_cannot_be_one_hash_is_no_damage(body: bytes) -> None:
    assert outcome(build(element(0, b"x") + body, manufacturer_code=0x10F2)) == (
        "unknown",
        "There is an integrity code, but not as one hash of 16 bytes.",
    )


def test_no_more_sub_elements_are_searched_than_are_counted() -> None:
    assert outcome(with_integrity_code(element(1, b"") * 4095))[0] == "pass"
    assert integrity.check(zigbee.parse(with_integrity_code(element(1, b"") * 4096), limit=1 << 24)) is None


def test_an_image_above_the_bound_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_bound = with_integrity_code(element(0, bytes(200)), code=bytes(16), manufacturer_code=0x10F2)
    monkeypatch.setattr(integrity, "SIZE_LIMIT", len(at_the_bound))
    assert outcome(at_the_bound)[0] == "fail"
    monkeypatch.setattr(integrity, "SIZE_LIMIT", len(at_the_bound) - 1)
    assert outcome(at_the_bound)[0] == "unknown"
