"""Every frame here is written by hand from ZCL 8, chapter 11.13, and chapter 2.4 for the header."""

from __future__ import annotations

import pytest

from otagate.model.errors import RemoteProtocolError
from otagate.sessions import ota_frames as ota


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


# --- requests ---------------------------------------------------------------------------------------------------------------------------


def test_a_block_request_is_read_field_by_field() -> None:
    #               FC TSN CMD  ctl  manuf  type   version      offset       max
    frame = octets("01 2a  03   00   7c 11  09 14  14 00 00 00  40 e2 01 00  40")
    assert ota.read_block(frame) == ota.BlockRequest(0x117C, 0x1409, 20, 123_456, 64, None)


def test_the_minimum_block_period_stands_right_after_the_size_where_no_node_address_is_given() -> None:
    frame = octets("01 2a 03  02  7c 11  09 14  14 00 00 00  00 00 00 00  3f  f4 01")
    assert ota.read_block(frame).minimum_block_period == 500


def test_the_minimum_block_period_stands_behind_the_node_address_where_there_is_one() -> None:
    frame = octets("01 2a 03  03  7c 11  09 14  14 00 00 00  00 00 00 00  3f  e7 69 90 0a 00 6f 0d 00  2c 01")
    assert ota.read_block(frame).minimum_block_period == 300


def test_a_node_address_alone_is_not_taken_for_a_period() -> None:
    frame = octets("01 2a 03  01  7c 11  09 14  14 00 00 00  00 00 00 00  3f  e7 69 90 0a 00 6f 0d 00")
    assert ota.read_block(frame).minimum_block_period is None


def test_a_page_request_is_read_field_by_field() -> None:
    #               FC TSN CMD  ctl  manuf  type   version      offset       max  page   spacing
    frame = octets("01 07  04   00   7c 11  09 14  14 00 00 00  00 04 00 00  32   00 02  32 00")
    assert ota.read_page(frame) == ota.PageRequest(0x117C, 0x1409, 20, 1024, 50, 512, 50)


def test_a_query_is_read_with_and_without_a_hardware_version() -> None:
    #                              FC TSN CMD  ctl  manuf  type   version      hardware
    plain = ota.read_query(octets("01 01  01   00   7c 11  09 14  0a 00 00 00"))
    told = ota.read_query(octets(" 01 01  01   01   7c 11  09 14  0a 00 00 00  03 01"))
    assert plain == ota.QueryRequest(0x117C, 0x1409, 10, None)
    assert told == ota.QueryRequest(0x117C, 0x1409, 10, 0x0103)


def test_an_upgrade_end_request_is_read_field_by_field() -> None:
    #               FC TSN CMD  status manuf  type   version
    frame = octets("01 09  06   96     7c 11  09 14  14 00 00 00")
    assert ota.read_end(frame) == ota.EndRequest(0x96, 0x117C, 0x1409, 20)


def test_octets_behind_the_last_known_field_are_left_alone() -> None:
    assert ota.read_query(octets("01 01 01  00  7c 11  09 14  0a 00 00 00  ff ff ff")).file_version == 10
    assert ota.read_end(octets("01 01 06  00  7c 11  09 14  14 00 00 00  ff")).status == 0


@pytest.mark.parametrize(
    ("read", "frame"),
    [
        (ota.read_block, "01 2a 03 00 7c 11 09 14 14 00 00 00 40 e2 01 00 40"),
        (ota.read_block, "01 2a 03 02 7c 11 09 14 14 00 00 00 40 e2 01 00 40 f4 01"),
        (ota.read_block, "01 2a 03 03 7c 11 09 14 14 00 00 00 40 e2 01 00 40 e7 69 90 0a 00 6f 0d 00 f4 01"),
        (ota.read_page, "01 07 04 00 7c 11 09 14 14 00 00 00 00 04 00 00 32 00 02 32 00"),
        (ota.read_query, "01 01 01 00 7c 11 09 14 0a 00 00 00"),
        (ota.read_query, "01 01 01 01 7c 11 09 14 0a 00 00 00 03 01"),
        (ota.read_end, "01 09 06 00 7c 11 09 14 14 00 00 00"),
        (ota.read_device_specific, "01 09 08 e7 69 90 0a 00 6f 0d 00 7c 11 c0 ff 01 00 00 00 02 00"),
    ],
)
def test_a_request_cut_short_anywhere_is_the_fault_of_the_device(read, frame) -> None:  # type: ignore[no-untyped-def]
    whole = octets(frame)
    read(whole)
    for length in range(3, len(whole)):
        with pytest.raises(RemoteProtocolError, match=f"of {length} octets is too short"):
            read(whole[:length])


# --- which frames are ours --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [0x01, 0x03, 0x04, 0x06, 0x08])
@pytest.mark.parametrize("control", [0x01, 0x11])
def test_every_command_of_a_client_is_a_request_whether_it_wants_a_default_response_or_not(control: int, command: int) -> None:
    assert ota.is_request(bytes((control, 1, command)))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("", "empty"),
        ("01", "no sequence number"),
        ("01 01", "no command"),
        ("00 01 03", "a global command: Write Attributes Undivided"),
        ("09 01 03", "from a server"),
        ("05 01 03", "the frame type is right, but it is a maker's own command"),
        ("02 01 03", "a reserved frame type"),
        ("01 01 00", "Image Notify comes from servers"),
        ("01 01 02", "an answer of a server"),
        ("01 01 05", "an answer of a server"),
        ("01 01 0a", "a command that does not exist"),
    ],
)
def test_anything_else_is_not_ours_to_answer(frame: str, why: str) -> None:
    assert not ota.is_request(octets(frame)), why


def test_a_default_response_of_the_client_tells_command_and_status() -> None:
    assert ota.default_response_in(octets("00 05 0b 05 80")) == (0x05, 0x80)
    assert ota.default_response_in(octets("10 05 0b 05 80")) == (0x05, 0x80)


@pytest.mark.parametrize("frame", ["", "00 05 0b 05", "01 05 0b 05 80", "08 05 0b 05 80", "00 05 0a 05 80", "04 5f 11 05 0b 05 80"])
def test_other_frames_are_no_default_response_of_the_client(frame: str) -> None:
    assert ota.default_response_in(octets(frame)) is None


# --- responses --------------------------------------------------------------------------------------------------------------------------

BLOCK_REQUEST = ota.BlockRequest(0x117C, 0x1409, 20, 0x1E240, 64, None)


def test_a_block_response_repeats_what_was_asked_and_carries_the_data() -> None:
    frame = ota.block_response(0x2A, BLOCK_REQUEST, 0x1E240, memoryview(b"\xde\xad\xbe\xef"))
    #                       FC TSN CMD  status manuf  type   version      offset       size data
    assert frame == octets("19 2a  05   00     7c 11  09 14  14 00 00 00  40 e2 01 00  04   de ad be ef")


def test_wait_for_data_counts_from_now_for_a_device_without_a_clock() -> None:
    #                                                                           FC TSN CMD  status now          then         period
    assert ota.block_wait(0x2A, seconds=300, minimum_block_period=500) == octets("19 2a  05   97     00 00 00 00  2c 01 00 00  f4 01")


def test_an_abort_is_nothing_but_its_status() -> None:
    assert ota.block_abort(0x2A) == octets("19 2a 05 95")


def test_an_offer_names_the_version_and_the_size_of_the_whole_file() -> None:
    request = ota.QueryRequest(0x117C, 0x1409, 10, None)
    frame = ota.query_response(0x01, request, file_version=20, size=0x0003_0D40)
    #                       FC TSN CMD  status manuf  type   version      size
    assert frame == octets("19 01  02   00     7c 11  09 14  14 00 00 00  40 0d 03 00")


def test_a_refusal_of_a_query_is_nothing_but_its_status() -> None:
    assert ota.query_refusal(0x01, ota.NO_IMAGE_AVAILABLE) == octets("19 01 02 98")
    assert ota.query_refusal(0x01, ota.NOT_AUTHORIZED) == octets("19 01 02 7e")


def test_an_upgrade_end_response_says_now_or_wait() -> None:
    names = {"manufacturer_code": 0x117C, "image_type": 0x1409, "file_version": 20}
    #                                                                        FC TSN CMD  manuf  type   version      now          then
    assert ota.end_response(0x09, **names, upgrade_time=0) == octets("        19 09  07   7c 11  09 14  14 00 00 00  00 00 00 00  00 00 00 00")
    held = ota.end_response(0x09, **names, upgrade_time=ota.WAIT_FOR_COMMAND)
    assert held == octets("19 09  07   7c 11  09 14  14 00 00 00  00 00 00 00  ff ff ff ff")


def test_a_default_response_is_a_global_frame_from_the_server() -> None:
    assert ota.default_response(0x09, ota.UPGRADE_END, ota.SUCCESS) == octets("18 09 0b 06 00")
    assert ota.default_response(0x2A, ota.IMAGE_BLOCK, ota.MALFORMED_COMMAND) == octets("18 2a 0b 03 80")


def test_there_is_no_device_specific_file() -> None:
    assert ota.device_specific_refusal(0x30) == octets("19 30 09 98")


def test_the_payload_type_of_an_image_notify_follows_from_what_is_named() -> None:
    #                                FC TSN CMD  type jitter manuf  type   version
    assert ota.image_notify(0x01) == octets("19 01 00 00 64")
    assert ota.image_notify(0x01, jitter=25, manufacturer_code=0x117C) == octets("19 01 00 01 19 7c 11")
    named = ota.image_notify(0x01, manufacturer_code=0x117C, image_type=0x1409)
    assert named == octets("19 01 00 02 64 7c 11 09 14")
    versioned = ota.image_notify(0x01, manufacturer_code=0x117C, image_type=0x1409, file_version=20)
    assert versioned == octets("19 01 00 03 64 7c 11 09 14 14 00 00 00")


def test_an_image_notify_never_skips_a_field() -> None:
    """Payload type 3 without an image type does not exist: what comes behind a gap is not sent."""
    assert ota.image_notify(0x01, manufacturer_code=0x117C, file_version=20) == octets("19 01 00 01 64 7c 11")
