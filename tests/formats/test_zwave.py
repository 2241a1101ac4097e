"""Z-Wave containers: what comes out is what a node is sent."""

from __future__ import annotations

import hashlib
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from otagate.formats.identify import identify
from otagate.formats.zwave_hex import parse_hex
from otagate.model.errors import ImageError, Malformed, SeveralImages, TooLarge
from tests.formats.images import build
from tests.formats.zwave_files import END, IMAGE, as_hex, gbl, hex_file, record, updater, zipped

LIMIT = 1 << 20


def checks(data: bytes, name: str) -> dict[str, str]:
    return {check.name: check.result for check in identify(data, LIMIT, name).facts.checks}


def test_raw_bytes_are_known_by_their_name_alone() -> None:
    data = bytes(range(256)) * 8
    told = identify(data, LIMIT, "Firmware.BIN")
    assert (told.facts.format, told.facts.protocol, told.facts.size, bytes(told.view)) == ("zwave-bin", "zwave", len(data), data)
    assert (told.facts.manufacturer_code, told.facts.image_type, told.facts.file_version) == (None, None, None)
    with pytest.raises(Malformed, match="this is not a Zigbee OTA file"):
        identify(data, LIMIT, "firmware.dat")


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(100), b"<html><body>no</body></html>", b'{"error": "gone"}', b"\x7fELF" + bytes(100)])
def test_what_is_plainly_something_else_is_no_raw_image_whatever_its_name(data: bytes) -> None:
    with pytest.raises(Malformed):
        identify(data, LIMIT, "firmware.bin")


def test_an_intel_hex_file_becomes_its_bytes_with_gaps_filled() -> None:
    text = hex_file(record(0x0004, b"\x01\x02"), record(0x0000, b"\x0a"), newline=b"\n")
    told = identify(text, LIMIT, "firmware.hex")
    assert bytes(told.view) == b"\x0a\xff\xff\xff\x01\x02"
    assert told.facts.size == 6


def test_addresses_go_on_in_segments_and_in_the_upper_half() -> None:
    assert parse_hex(hex_file(record(0, b"\x00\x01", 4), record(0, b"\x07")), limit=LIMIT) == b"\xff" * 0x10000 + b"\x07"
    assert parse_hex(hex_file(record(0, b"\x00\x01", 2), record(0, b"\x07")), limit=LIMIT) == b"\xff" * 0x10 + b"\x07"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (hex_file(record(0, b"\x01")).replace(b":01000000", b":01000001"), "line 1 of the Intel HEX file has a wrong checksum"),
        (record(0, b"\x01") + b"\n", "ends without an end record"),
        (hex_file(record(0, b"\x01")) + record(1, b"\x02"), "line 3 of the Intel HEX file stands behind its end record"),
        (hex_file(record(0, b"\x01"), b":00zz"), "line 2 is no record"),
        (hex_file(record(0, b"\x01", 9)), "unknown type 9"),
        (hex_file(), "holds no data"),
    ],
)
def test_a_damaged_intel_hex_file_is_told_by_its_line(text: bytes, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        parse_hex(text, limit=LIMIT)


def test_an_intel_hex_file_that_would_fill_the_memory_is_too_large() -> None:
    with pytest.raises(TooLarge, match="line 2 of the Intel HEX file lies at address 0xfff00000"):
        parse_hex(hex_file(record(0, b"\xff\xf0", 4), record(0, b"\x01")), limit=LIMIT)


def test_a_gbl_file_is_sent_as_it_is_and_checked_inside() -> None:
    data = b"\xeb\x17\xa6\x03\x08\x00\x00\x00" + bytes(200)
    told = identify(data, LIMIT, "anything")
    assert (told.facts.format, hashlib.sha256(told.view).digest()) == ("zwave-gbl", hashlib.sha256(data).digest())
    assert told.facts.checks[0].result == "fail"


# --- one image, every container ----------------------------------------------------------------------------------------------------------

CONTAINERS: dict[str, tuple[bytes, str, str]] = {
    "bin": (IMAGE, "lamp.bin", "bin"),
    "raw otz": (IMAGE, "lamp.OTZ", "otz"),
    "raw ota": (IMAGE, "lamp.ota", "ota"),
    "raw otz of seven bits": (bytes(range(128)), "lamp.otz", "otz"),
    "hex": (as_hex(IMAGE), "lamp.hex", "hex"),
    "hex without a name": (as_hex(IMAGE), "", "hex"),
    "hex with a byte order mark": (b"\xef\xbb\xbf" + as_hex(IMAGE), "lamp.hex", "hex"),
    "hex in otz": (as_hex(IMAGE), "lamp.otz", "hex"),
    "hex in ota": (as_hex(IMAGE), "lamp.ota", "hex"),
    "updater": (updater(), "lamp.exe", "exe"),
    "updater without a sum": (updater(with_sum=False), "LAMP.EX_", "exe"),
    "updater under another name": (updater(), "lamp.bin", "exe"),
    "zip of bin": (zipped({"lamp/lamp.bin": IMAGE}), "lamp.zip", "bin"),
    "zip of hex, stored": (zipped({"LAMP.HEX": as_hex(IMAGE)}, zipfile.ZIP_STORED), "lamp.zip", "hex"),
    "zip of updater": (zipped({"readme.txt": b"hello", "lamp.exe": updater()}), "download", "exe"),
    "zip from a mac": (zipped({"lamp.bin": IMAGE, "__MACOSX/._lamp.bin": b"x", "._lamp.bin": b"x", "folder.bin/": b""}), "lamp.zip", "bin"),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_same_image_comes_out_of_every_container(container: str) -> None:
    data, name, form = CONTAINERS[container]
    told = identify(data, LIMIT, name)
    image = bytes(range(128)) if container == "raw otz of seven bits" else IMAGE
    assert bytes(told.view) == image
    assert (told.facts.format, told.facts.protocol, told.facts.size, told.facts.target) == (f"zwave-{form}", "zwave", len(image), None)
    assert checks(data, name)["contents"] == "unknown"
    assert all(check.detail.endswith(".") for check in told.facts.checks)


@pytest.mark.parametrize("wrap", [bytes, as_hex, updater, lambda data: zipped({"lamp.gbl": data})])
def test_a_gbl_file_is_held_to_its_sum_whatever_it_is_wrapped_in(wrap: Callable[[bytes], bytes]) -> None:
    sound, damaged = gbl(), bytearray(gbl())
    damaged[40] ^= 1
    name = "lamp.exe" if wrap is updater else "lamp"
    assert (bytes(identify(wrap(sound), LIMIT, name).view), checks(wrap(sound), name)["contents"]) == (sound, "pass")
    assert checks(wrap(bytes(damaged)), name)["contents"] == "fail"


def test_a_zigbee_file_is_one_whatever_its_name() -> None:
    data = build()
    for name in ("lamp.ota", "lamp.bin", "lamp.otz", "lamp.exe", "lamp.hex"):
        assert identify(data, LIMIT, name).facts.protocol == "zigbee"


@pytest.mark.parametrize(
    ("data", "name", "sentence"),
    [
        (b"HSENC2" + b"QUJD" * 50, "lamp.hec", "this is encrypted Intel HEX"),
        (b"HSENC2" + b"QUJD" * 50, "lamp.bin", "this is encrypted Intel HEX"),
        (IMAGE, "lamp.hec", "does not begin with HSENC2"),
        (IMAGE, "lamp.gbl", "does not begin with EB 17 A6 03"),
        (IMAGE, "lamp.exe", "does not begin with MZ"),
        (b"hello", "lamp.hex", "line 1 is no record"),
        (b"Not found.\r\n", "lamp.otz", "plain text, and no Intel HEX"),
        (b"Not found.\r\n", "lamp.ota", "this is not a Zigbee OTA file"),
        (b"<html><body>gone</body></html>", "lamp.otz", "a web page"),
        (as_hex(IMAGE)[:-20], "lamp.otz", "line 49 is no record"),
        (as_hex(IMAGE).replace(b":10001", b":10002", 1), "lamp.ota", "line 2 of the Intel HEX file has a wrong checksum"),
    ],
)
def test_what_is_not_what_it_says_is_named_and_never_taken_for_raw_bytes(data: bytes, name: str, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        identify(data, LIMIT, name)


# --- Intel HEX ---------------------------------------------------------------------------------------------------------------------------


def test_a_line_that_lies_over_another_is_refused() -> None:
    with pytest.raises(Malformed, match="line 2 of the Intel HEX file lies over what an earlier line laid at address 0x1"):
        parse_hex(hex_file(record(0, b"\1\2"), record(1, b"\2")), limit=LIMIT)


@pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n", b"\n\n \r\n"])
def test_lines_end_as_on_any_system(newline: bytes) -> None:
    assert parse_hex(hex_file(record(0, b"\1"), record(1, b"\2"), newline=newline), limit=LIMIT) == b"\1\2"


# --- updaters ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (b"lamp", None),
        (b"lamp__TargetZwave__1", 0),
        (b"lamp__TargetMcu2__1", 2),
        (b"\x01lamp", 1),
        (b"\x00lamp", 0),
        (b"", None),
        (b"\x01la/mp", None),
    ],
)
def test_an_updater_may_name_the_target(name: bytes, target: int | None) -> None:
    assert identify(updater(name=name), LIMIT, "lamp.exe").facts.target == target


def test_an_updater_is_held_to_its_sum_where_it_has_one() -> None:
    damaged = bytearray(updater())
    damaged[200] ^= 1
    assert checks(updater(), "lamp.exe")["container"] == "pass"
    assert checks(bytes(damaged), "lamp.exe")["container"] == "fail"
    assert checks(updater(with_sum=False), "lamp.exe")["container"] == "unknown"


@pytest.mark.parametrize(("start", "length"), [(0, 10), (1, 10), (2, 0), (64, 1 << 20), (0xFFFF_FFFF, 0xFFFF_FFFF), (2, 999)])
def test_an_updater_whose_image_lies_elsewhere_carries_none(start: int, length: int) -> None:
    data = updater()[:1000] + struct.pack(">II", start, length)
    with pytest.raises(Malformed, match="carries no image"):
        identify(data, LIMIT, "lamp.exe")


# --- archives ----------------------------------------------------------------------------------------------------------------------------


def test_an_archive_of_several_images_asks_which() -> None:
    with pytest.raises(SeveralImages, match=r"2 firmware files: .*give the one that is meant \('chip_0.otz', 'chip_1.hex'\)"):
        identify(zipped({"chip_0.otz": IMAGE, "chip_1.hex": as_hex(IMAGE)}), LIMIT, "lamp.zip")


def test_many_images_in_an_archive_are_not_all_named() -> None:
    with pytest.raises(SeveralImages) as caught:
        identify(zipped({f"{number}{'x' * 300}.bin": IMAGE for number in range(200)}), LIMIT)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped({"readme.txt": b"hello"}), "without a firmware file"),
        (zipped({"lamp.bin": b""}), "an empty firmware file"),
        (zipped({"inner.zip": zipped({"lamp.bin": IMAGE})}), "without a firmware file"),
        (zipped({"lamp.bin": zipped({"lamp.bin": IMAGE})}), "in a ZIP archive: this is a ZIP archive"),
        (zipped({"lamp.ota": build()}), "with a Zigbee OTA file inside: unpack it"),
        (zipped({"lamp.bin": b"<html><body>gone</body></html>"}), "in a ZIP archive: this is a web page"),
        (zipped({"lamp.bin": IMAGE}, zipfile.ZIP_LZMA), "the unusual method 14"),
        (zipped({"lamp.bin": IMAGE})[:-30], "cannot be read"),
        (zipped({"lamp.bin": IMAGE}, zipfile.ZIP_STORED).replace(IMAGE, IMAGE[::-1]), "cannot be read.*CRC-32"),
    ],
)
def test_an_archive_that_cannot_be_used_is_told(data: bytes, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        identify(data, LIMIT, "lamp.zip")


def test_an_encrypted_archive_is_told() -> None:
    data = bytearray(zipped({"lamp.bin": IMAGE}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Malformed, match=r"'lamp\.bin' in the ZIP archive is encrypted"):
        identify(bytes(data), LIMIT, "lamp.zip")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zipped({"lamp.bin": random.Random(1).randbytes(1000) * 1100}), "has 1100000 bytes, and 1048576 are allowed"),
        (zipped({"lamp.bin": bytes(LIMIT)}), "packed more than 250 to 1"),
        (zipped({f"{number}.txt": b"" for number in range(257)} | {"lamp.bin": IMAGE}), "257 entries|258 entries"),
    ],
)
def test_an_archive_that_would_swell_is_too_large(data: bytes, sentence: str) -> None:
    with pytest.raises(TooLarge, match=sentence):
        identify(data, LIMIT, "lamp.zip")


def test_an_archive_that_lies_of_its_size_is_not_believed() -> None:
    """It says 100 bytes and holds a megabyte of zeros: neither is taken, and the megabyte never stands in memory."""
    data = bytearray(zipped({"lamp.bin": bytes(LIMIT)}))
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 100)
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            identify(bytes(data), LIMIT, "lamp.zip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LIMIT / 2


def test_the_costliest_hex_file_holds_no_more_than_a_few_times_the_limit() -> None:
    limit = 1 << 18
    data = record(0, b"\0\3", 4) + b"\n" + b"\n".join(record(at, b"\1") for at in range(0, 0xFFFF, 4)) + b"\n" + END
    tracemalloc.start()
    try:
        assert identify(data, limit, "lamp.hex").facts.size == 0x3FFFD
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * limit


# --- injuries ----------------------------------------------------------------------------------------------------------------------------

TOKENS = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"PK\1\2",
    b"PK\3\4",
    b"PK\5\6",
    b"PK\6\6",
    b"PK\6\7",
    b":",
    b"\r\n",
    b"\0\0\1\0",
    b"MZ",
    END,
)


def places(data: bytes) -> list[int]:
    """Where the numbers lie that say something of the rest: heads and tails of archives, the end of an updater, marks of lines, tags."""
    found = [*range(min(len(data), 64)), *range(max(len(data) - 12, 0), len(data))]
    for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6"):
        at = data.find(mark)
        found += range(at, min(at + 46, len(data))) if at >= 0 else ()
    return found


def wound(data: bytes, found: list[int], dice: random.Random) -> bytes:
    wounded = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.choice(found) if dice.random() < 0.7 else dice.randrange(len(data))
        match dice.randrange(6):
            case 0:
                wounded[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                wounded[at : at + 1] = bytes([(data[at] ^ 1 << dice.randrange(8)) & 0xFF])
            case 2:
                token = dice.choice(TOKENS)
                wounded[at : at + len(token)] = token
            case 3:
                del wounded[at : at + dice.choice((1, 2, 40, len(data)))]
            case 4:
                wounded[at:at] = dice.choice((dice.randbytes(3), data[-60:], data[at : at + 60]))
            case _:
                other = dice.choice(found)
                wounded[at : at + 4] = data[other : other + 4]
    return bytes(wounded)


SMALL = IMAGE[200:420]
INJURED = {
    "bin": (SMALL, "a.bin"),
    "otz": (as_hex(SMALL), "a.otz"),
    "hex": (as_hex(SMALL), "a.hex"),
    "gbl": (gbl(SMALL), "a.gbl"),
    "exe": (updater(SMALL), "a.exe"),
    "hec": (b"HSENC2" + b"QUJD" * 20, "a.hec"),
    "zip": (zipped({"a.hex": as_hex(SMALL), "b.txt": b"b"}), "a.zip"),
    "stored zip": (zipped({"a.gbl": gbl(SMALL)}, zipfile.ZIP_STORED), "a.zip"),
}


def injure(name: str, rounds: int) -> tuple[int, int]:
    """Injure a file with fixed dice; how many were accepted and refused. Anything but an ImageError escapes to the test."""
    (data, file_name), dice = INJURED[name], random.Random(20_250_301)
    found, accepted = places(data), 0
    for _ in range(rounds):
        try:
            told = identify(wound(data, found, dice), LIMIT, file_name)
        except ImageError:
            continue
        accepted += 1
        assert told.facts.size == len(told.view) <= LIMIT
        assert {check.result for check in told.facts.checks} <= {"pass", "fail", "unknown"}
    return accepted, rounds - accepted


@pytest.mark.parametrize("name", INJURED)
def test_injured_containers_raise_only_image_errors(name: str) -> None:
    accepted, refused = injure(name, 10_000 // len(INJURED))
    assert accepted or name == "hec"
    assert refused


@pytest.mark.night
@pytest.mark.parametrize("name", INJURED)
def test_a_hundred_thousand_injured_containers_raise_only_image_errors(name: str) -> None:
    injure(name, 100_000)


def test_an_injured_archive_never_gives_other_bytes_than_were_packed() -> None:
    data, dice = zipped({"a.bin": SMALL}), random.Random(7)
    found, accepted = places(data), 0
    for _ in range(1_000):
        try:
            told = identify(wound(data, found, dice), LIMIT, "a.zip")
        except ImageError:
            continue
        accepted += 1
        assert bytes(told.view) == SMALL
    assert accepted
