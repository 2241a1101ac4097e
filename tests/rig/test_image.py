"""The OTA files that the rig writes, byte by byte against the specification."""

from __future__ import annotations

import struct

import pytest

from otagate_rig.image import BadImageError, Element, build_image, make_payload, read_header


def test_a_file_has_its_header_its_image_and_its_further_elements() -> None:
    image = build_image(0x1234, 0x5678, 0x9ABCDEF0, payload=b"payload", header_string="Works", elements=(Element(tag=0xF000, data=b"x"),))
    assert image[:4] == bytes.fromhex("1ef1ee0b")
    assert image[4:20] == struct.pack("<HHHHHIH", 0x0100, 56, 0, 0x1234, 0x5678, 0x9ABCDEF0, 2)
    assert image[20:52] == b"Works".ljust(32, b"\0")
    assert struct.unpack_from("<I", image, 52) == (len(image),)
    assert image[56:] == struct.pack("<HI", 0, 7) + b"payload" + struct.pack("<HI", 0xF000, 1) + b"x"


def test_a_hardware_range_is_in_the_header() -> None:
    image = build_image(1, 2, 3, payload=b"", hardware_range=(4, 5))
    assert struct.unpack_from("<HH", image, 6) == (60, 0x0004)
    assert image[56:60] == struct.pack("<HH", 4, 5)
    header = read_header(image)
    assert (header.manufacturer_code, header.image_type, header.file_version) == (1, 2, 3)
    assert (header.total_size, header.hardware_range) == (len(image), (4, 5))


def test_the_hardware_range_is_found_behind_the_other_optional_fields() -> None:
    image = bytearray(build_image(1, 2, 3, payload=b"", hardware_range=(4, 5)))
    struct.pack_into("<HH", image, 6, 69, 0x0007)
    image[56:56] = b"\x02" + bytes(8)
    assert read_header(bytes(image)).hardware_range == (4, 5)


@pytest.mark.parametrize(
    "data", [b"", bytes(56), build_image(1, 2, 3, payload=b"")[:55], build_image(1, 2, 3, payload=b"", hardware_range=(1, 2))[:58]]
)
def test_what_is_no_ota_file_is_told_so(data: bytes) -> None:
    with pytest.raises(BadImageError):
        read_header(data)


def test_a_payload_is_the_same_for_the_same_seed() -> None:
    assert make_payload(1000, 7) == make_payload(1000, 7)
    assert make_payload(1000, 7) != make_payload(1000, 8)
    assert len(make_payload(0)) == 0
