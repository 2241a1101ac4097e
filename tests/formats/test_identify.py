from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import zipfile

import pytest

from otagate.formats.identify import identify
from otagate.model.errors import Malformed, TooLarge
from tests.formats.images import build, element, ikea_container, legrand
from tests.formats.real_images import RealImage, real_images

LIMIT = 16 << 20


def zipped(data: bytes, method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("lamp.ota", data)
    return buffer.getvalue()


@pytest.mark.parametrize("wrap", [bytes, ikea_container, legrand])
def test_a_zigbee_file_is_identified_with_the_bytes_to_send(wrap: object) -> None:
    data = build(hardware=(1, 2))
    found = identify(wrap(data), LIMIT)  # type: ignore[operator]
    assert found.view == data
    assert (found.facts.format, found.facts.size, found.facts.hardware_max) == ("zigbee-ota", len(data), 2)


def test_a_length_before_the_header_that_looks_like_gzip_is_still_a_zigbee_file() -> None:
    size = struct.unpack("<I", b"\x1f\x8b\x01\x00")[0]
    data = build(element(0, bytes(size - 62)))
    assert identify(legrand(data), LIMIT).view == data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(zipped(build(), zipfile.ZIP_DEFLATED), "a ZIP archive", id="zip"),
        pytest.param(zipped(build(), zipfile.ZIP_STORED), "a ZIP archive", id="zip with the image in clear"),
        pytest.param(gzip.compress(build()), "a gzip archive", id="gzip"),
        pytest.param(b"\x7fELF\x01\x01\x01" + bytes(200), "an ELF program", id="elf"),
        pytest.param(b"\xeb\x17\xa6\x03\x08\x00\x00\x00" + bytes(200), "a Silicon Labs GBL file without the OTA header", id="gbl"),
        pytest.param(b":020000040800F2\r\n:10000000", "an Intel HEX file", id="hex"),
        pytest.param(b"\r\n<!DOCTYPE html><title>404</title>", "a web page (HTML)", id="html"),
        pytest.param(b"\xef\xbb\xbf<HTML lang=en>", "a web page (HTML)", id="html with a byte order mark"),
        pytest.param(b'<?xml version="1.0"?>\n<html xmlns="x">', "a web page (HTML)", id="xhtml"),
        pytest.param(json.dumps({"error": "not found"}).encode(), "a JSON document", id="json object"),
        pytest.param(json.dumps([{"fileName": "x"}], indent=1).encode(), "a JSON document", id="json list"),
        pytest.param(b"%PDF-1.7", "a PDF document", id="pdf"),
    ],
)
def test_another_kind_of_file_is_named_for_what_it_is(data: bytes, sentence: str) -> None:
    with pytest.raises(Malformed) as caught:
        identify(data, LIMIT)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("data", [b"\x00" * 4000, b"hello", b"{\x00\x01", b":not hex", b"[section]\nkey=value", b"<?xml version='1.0'?><ota/>"])
def test_a_file_of_no_known_kind_is_said_to_be_no_zigbee_file(data: bytes) -> None:
    with pytest.raises(Malformed, match="this is not a Zigbee OTA file"):
        identify(data, LIMIT)


def test_a_file_above_the_limit_is_too_large_whatever_it_is() -> None:
    with pytest.raises(TooLarge, match="11 bytes, and 10 are allowed"):
        identify(b"PK\x03\x04" + bytes(7), 10)


@pytest.mark.parametrize("real", real_images("zigbee-images", "zigbee-images-odd"))
def test_of_the_real_files_only_the_truncated_one_is_refused(real: RealImage) -> None:
    if real.sha256_as_sent is None:
        with pytest.raises(Malformed, match="truncated"):
            identify(real.bytes, LIMIT)
    else:
        assert hashlib.sha256(identify(real.bytes, LIMIT).view).hexdigest() == real.sha256_as_sent
