from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from otagate.formats import integrity, zigbee
from otagate.formats.identify import identify
from otagate.model.errors import Malformed, TooLarge
from otagate.model.ids import Sha256
from otagate.model.images import ImageFacts
from otagate.model.releases import Release
from otagate.policy.trust import trust
from tests.formats.images import build, element, ikea_container, legrand
from tests.formats.inner import ebl, ebl_tag, gbl, gbl_tag, ikea, inner_samples, telink, with_integrity_code
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


# --- the checks that are made before anything is sent ------------------------------------------------------------------------------------


def results(facts: ImageFacts) -> dict[str, str]:
    assert len({check.name for check in facts.checks}) == len(facts.checks), "one line per check"
    assert all(check.detail.endswith(".") for check in facts.checks), "a sentence each"
    return {check.name: check.result for check in facts.checks}


def test_every_check_that_applies_is_told_in_one_order() -> None:
    image = with_integrity_code(element(0, gbl()))
    assert [(check.name, check.result) for check in identify(ikea(image), LIMIT).facts.checks] == [
        ("header", "pass"),
        ("length", "pass"),
        ("elements", "pass"),
        ("contents", "pass"),
        ("integrity", "pass"),
        ("container", "pass"),
    ]


def test_a_check_that_does_not_apply_is_not_told() -> None:
    assert list(results(identify(build(), LIMIT).facts)) == ["header", "length", "elements", "contents"]


@pytest.mark.parametrize("name", inner_samples())
def test_the_format_inside_is_told_in_the_facts(name: str) -> None:
    facts = identify(inner_samples()[name], LIMIT).facts
    assert (
        facts.inner_format
        == {
            "gbl": "silabs-gbl",
            "gbl in parts": "silabs-gbl",
            "ebl": "silabs-ebl",
            "encrypted ebl": "silabs-ebl",
            "telink": "telink",
            "telink risc-v": "telink",
            "telink encrypted": "telink-encrypted",
            "jn516x": "nxp-jn516x",
            "jn518x": "nxp-jn518x",
            "integrity": None,
            "integrity behind": None,
            "ikea": "silabs-ebl",
        }[name]
    )
    assert "fail" not in results(facts).values()


# --- the cost ----------------------------------------------------------------------------------------------------------------------------

GBL_HEADER = gbl_tag(0x03A6_17EB, bytes(8))
EBL_HEADER = ebl()[:144]


def hostile(kind: str, size: int) -> bytes:
    """About `size` bytes that are made to cost as much as they can."""
    match kind:
        case "sub-elements of nothing":
            return build(element(1, b"") * (size // 6))
        case "tags of nothing":
            return build(element(0, GBL_HEADER + gbl_tag(1, b"") * (size // 8)))
        case "older tags of nothing":
            return build(element(0, EBL_HEADER + ebl_tag(1, b"") * (size // 4)))
        case "many files of many tags":
            return build(element(0, GBL_HEADER + gbl_tag(1, b"") * 30) * (size // 262))
        case "many images with sums":
            return build(element(0, telink(bytes(216))) * (size // 262))
        case "a hash":
            return build(element(0, bytes(size)) + element(3, bytes(16)))
        case _:
            return ikea(build(element(0, bytes(size))), size=16_384)


def lines_run(data: bytes) -> int:
    """How many lines of the formats run for a file: a measure of work that no other load on the machine moves."""
    count = 0
    room = str(Path(zigbee.__file__).parent)

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(room):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        identify(data, LIMIT)
    finally:
        sys.settrace(before)
    return count


KINDS = (
    "sub-elements of nothing",
    "tags of nothing",
    "older tags of nothing",
    "many files of many tags",
    "many images with sums",
    "a hash",
    "a container",
)


@pytest.mark.parametrize("kind", KINDS)
def test_four_times_the_bytes_cost_at_most_four_times_the_work(kind: str) -> None:
    small, large = hostile(kind, 32 << 10), hostile(kind, 128 << 10)
    assert lines_run(large) <= 4.2 * lines_run(small)


@pytest.mark.parametrize(("kind", "size"), [*((kind, LIMIT - 40_000) for kind in KINDS), ("a hash", integrity.SIZE_LIMIT - 100)])
def test_the_costliest_files_that_are_allowed_cost_less_than_a_line_per_eight_bytes(kind: str, size: int) -> None:
    data = hostile(kind, size)
    assert len(data) <= LIMIT
    assert lines_run(data) < LIMIT / 8


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_makes_the_formats_hold_more_than_a_sliver_of_it(kind: str) -> None:
    data = hostile(kind, LIMIT - 40_000)
    tracemalloc.start()
    try:
        identify(data, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LIMIT / 8


@pytest.mark.night
@pytest.mark.parametrize(("kind", "size"), [*((kind, LIMIT - 40_000) for kind in KINDS), ("a hash", integrity.SIZE_LIMIT - 100)])
def test_the_costliest_files_that_are_allowed_cost_less_than_a_second_of_a_processor(
    kind: str, size: int, record_property: Callable[[str, object], None]
) -> None:
    data = hostile(kind, size)
    begun = time.process_time()
    identify(data, LIMIT)
    seconds = time.process_time() - begun
    record_property("seconds", round(seconds, 3))
    assert seconds < 1.0


# --- real files --------------------------------------------------------------------------------------------------------------------------

ORDINARY = {"header": "pass", "length": "pass", "elements": "pass", "contents": "unknown"}
SEEN: dict[str, tuple[str | None, dict[str, str]]] = {
    "100B-0119-02002100-Switch-EFR32MG22.zigbee": ("silabs-gbl", {"contents": "pass"}),
    "1021-002a-001845ff-NLW.zigbee": (None, {}),
    "10F2-7B2A-0000-0005-02010230-m7b-r0.ota.zigbee": (None, {"integrity": "pass"}),
    "1166-012A-24031511-upgradeMe-RB 245.zigbee": (None, {"integrity": "pass"}),
    "20230510105212_OTA_aqara.toilet.acn002_0.0.0_1233_20230505_35594D.ota": (None, {}),
    "Radar_PROD_OTA_V16_v1.00.16.ota": ("telink", {"contents": "pass"}),
    "SN-TLSR8656-09P-01-v1.1.2.ota": ("telink-encrypted", {"elements": "unknown"}),
    "SWD2_0x11191514_PROD.fw": (None, {"integrity": "pass"}),
    "VIVARES_PBC4_01_0X0098_0x10132503.ota": ("silabs-gbl", {"contents": "pass"}),
    "ZLL_Plug01_OnOff_MK_0x01020509.ota": (None, {}),
    "mmwave_module_fw_V3_14_3.ota": (None, {}),
    "tradfri-signal-repeater_release_prod_v587753009_3ce8f096-bd12-4b2c-b66e-51dc9f2637dc.ota": ("silabs-gbl", {"contents": "pass"}),
    "10035515-TRADFRI-bulb-cws-2.3.093.ota.ota.signed": ("silabs-ebl", {"contents": "pass", "container": "pass"}),
    "1021-000f-004745ff-NLL.zigbee": (None, {}),
    "HS1SA_EM-SALUS-0621-V14-190907.ota": ("silabs-ebl", {"contents": "pass"}),
    "DIM-B40_DIM_T-0x00B8-0x03203660.OTA": ("telink-encrypted", {"elements": "unknown"}),
    "Sensor-ATmega_0012.sbl-ota": (None, {"elements": "unknown"}),
    "132f-0213-00000018-YNDX-00531.zigbee": ("telink", {"contents": "fail"}),
    "132f-0214-00000018-YNDX-00532.zigbee": ("telink", {"contents": "pass"}),
    "128b-010A-010500-700_nodon_sin_xx_met_fm_stm32_V010500.zigbee": (None, {"integrity": "pass"}),
}
"""What each real file that is accepted shows: the format inside, and where its checks differ from the ordinary."""


@pytest.mark.parametrize("real", real_images("zigbee-images", "zigbee-images-odd"))
def test_of_the_real_files_only_the_truncated_one_is_refused(real: RealImage) -> None:
    if real.sha256_as_sent is None:
        with pytest.raises(Malformed, match="truncated"):
            identify(real.bytes, LIMIT)
    else:
        assert hashlib.sha256(identify(real.bytes, LIMIT).view).hexdigest() == real.sha256_as_sent


@pytest.mark.parametrize("real", real_images("zigbee-images", "zigbee-images-odd", truncated=False))
def test_the_real_files_show_their_true_checks(real: RealImage) -> None:
    facts = identify(real.bytes, LIMIT).facts
    inner_format, differing = SEEN[real.path.name]
    assert (facts.inner_format, results(facts)) == (inner_format, ORDINARY | differing)


@pytest.mark.parametrize("real", real_images("zigbee-images", "zigbee-images-odd", truncated=False))
def test_of_the_real_files_only_the_one_with_the_wrong_sum_is_not_trusted(real: RealImage) -> None:
    facts = identify(real.bytes, LIMIT).facts
    sha256 = Sha256(str(real.sha256_as_sent))
    release = Release(
        source="folder",
        manufacturer_code=real.truth["manufacturer_code"],
        image_type=real.truth["image_type"],
        file_version=real.truth["file_version"],
        size=real.truth["total_image_size"],
        sha256=sha256,
    )
    verdict = trust(facts, release, sha256=sha256)
    if "YNDX-00531" in real.path.name:
        assert (verdict.allowed, verdict.code) == (False, "image-corrupt")
        assert "stored 0x0aa34acc, computed 0x268d8c43" in verdict.sentence
    else:
        assert verdict.allowed, verdict.sentence
