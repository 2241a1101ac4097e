"""General commands of a device (ZCL chapter 2) and the clusters for interviews and ordinary traffic."""

from __future__ import annotations

import struct

import pytest

from otagate_rig import zcl
from otagate_rig.aps import DeviceKind
from otagate_rig.clusters import Application
from otagate_rig.spec import Behaviours, DeviceSpec
from otagate_rig.zcl import Attribute, DataType, Frame, MalformedError, Status, answer_general, decode, encode

ATTRIBUTES = {
    1: Attribute(1, DataType.UINT8, 7),
    2: Attribute(2, DataType.STRING, "Plug"),
    3: Attribute(3, DataType.UINT16, 500, writable=True),
}


def ask(command: int, payload: bytes = b"", *, control: int = 0x00, manufacturer: int | None = None) -> zcl.Answer:
    return answer_general(decode(encode(control, 9, command, payload, manufacturer)), ATTRIBUTES)


def test_a_frame_is_taken_apart() -> None:
    assert decode(b"\x09\x01\x02abc") == Frame(0x09, 1, 2, b"abc")
    assert decode(b"\x0d\x89\x11\x01\x02abc") == Frame(0x0D, 1, 2, b"abc", 0x1189)
    assert encode(0x09, 1, 2, b"abc", 0x1189) == b"\x0d\x89\x11\x01\x02abc"


@pytest.mark.parametrize("data", [b"", b"\x01\x02", b"\x04\x01\x02\x03"])
def test_a_header_that_is_cut_short_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(data)


def test_read_attributes() -> None:
    answer = ask(0x00, struct.pack("<HHH", 1, 2, 99))
    assert answer.response == b"\x18\x09\x01" + b"\x01\x00\x00\x20\x07" + b"\x02\x00\x00\x42\x04Plug" + b"\x63\x00\x86"


def test_an_answer_goes_the_other_way_and_names_the_manufacturer() -> None:
    answer = ask(0x00, b"\x01\x00", control=0x08, manufacturer=0x1189)
    assert answer.response == b"\x14\x89\x11\x09\x01" + b"\x01\x00\x00\x20\x07"


def test_an_answer_ends_where_a_frame_ends() -> None:
    answer = ask(0x00, struct.pack("<H", 2) * 30)
    assert answer.response is not None
    assert len(answer.response) <= 82
    assert (len(answer.response) - 3) % 9 == 0


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        (struct.pack("<HBH", 3, 0x21, 9), b"\x00"),
        (struct.pack("<HBB", 1, 0x20, 9), b"\x88\x01\x00"),
        (struct.pack("<HBB", 9, 0x20, 9), b"\x86\x09\x00"),
        (struct.pack("<HBB", 3, 0x20, 9), b"\x8d\x03\x00"),
    ],
    ids=["written", "read only", "unsupported", "wrong type"],
)
def test_write_attributes(record: bytes, answer: bytes) -> None:
    assert ask(0x02, record).response == b"\x18\x09\x04" + answer


def test_writing_undivided_is_all_or_nothing() -> None:
    records = struct.pack("<HBH", 3, 0x21, 9) + struct.pack("<HBB", 1, 0x20, 9)
    assert len(ask(0x02, records).written) == 1
    assert ask(0x03, records).written == ()


def test_writing_without_response_gets_none() -> None:
    answer = ask(0x05, struct.pack("<HBH", 3, 0x21, 9))
    assert answer.response == b""
    assert answer.written[0].value == 9


def test_configure_reporting_is_taken_for_what_there_is() -> None:
    known = struct.pack("<BHBHHB", 0, 1, 0x20, 1, 60, 1)
    unknown = struct.pack("<BHBHH", 0, 9, 0x10, 1, 60)
    assert ask(0x06, known).response == b"\x18\x09\x07\x00"
    assert ask(0x06, known + unknown).response == b"\x18\x09\x07\x86\x00\x09\x00"


def test_discover_attributes() -> None:
    assert ask(0x0C, b"\x02\x00\x01").response == b"\x18\x09\x0d\x00\x02\x00\x42"
    assert ask(0x0C, b"\x02\x00\x09").response == b"\x18\x09\x0d\x01\x02\x00\x42\x03\x00\x21"


@pytest.mark.parametrize("payload", [b"\x01", b"\x01\x00\x00"])
def test_half_a_record_is_malformed(payload: bytes) -> None:
    assert ask(0x00, payload).status is Status.MALFORMED_COMMAND
    assert ask(0x02, payload[:1]).status is Status.MALFORMED_COMMAND


def test_an_unknown_general_command_is_unsupported_and_an_answer_is_not_answered() -> None:
    assert ask(0x40).status is Status.UNSUP_COMMAND
    assert ask(0x0B, b"\x00\x00") == zcl.Answer()


@pytest.mark.parametrize(
    ("control", "command", "status", "wanted"),
    [
        (0x01, 0x00, 0x00, True),
        (0x11, 0x00, 0x00, False),
        (0x11, 0x00, 0x81, True),
        (0x00, 0x0B, 0x00, False),
        (0x00, 0x0B, 0x81, False),
        (0x01, 0x0B, 0x00, True),
    ],
)
def test_when_a_default_response_is_due(control: int, command: int, status: int, wanted: bool) -> None:
    assert zcl.wants_default_response(Frame(control, 1, command, b""), status) is wanted


def command(application: Application, cluster: int, number: int, payload: bytes = b"", **fields: int) -> zcl.Answer:
    return application.command(cluster, Frame(0x01, 5, number, payload, **fields))


def test_on_off_and_toggle() -> None:
    plug = Application(DeviceSpec(ieee=1))
    states = []
    for number in (1, 0, 2, 2):
        command(plug, 6, number)
        states.append(plug.on)
    assert states == [True, False, True, False]
    assert command(plug, 6, 0x40).status is Status.UNSUP_COMMAND
    assert command(plug, 6, 1, manufacturer=0x1189).status is Status.UNSUP_COMMAND
    assert not plug.on


def test_groups_are_joined_and_left() -> None:
    plug = Application(DeviceSpec(ieee=1))
    assert command(plug, 4, 0, b"\x07\x00\x00").response == b"\x19\x05\x00\x00\x07\x00"
    assert plug.groups == {7}
    command(plug, 4, 3, b"\x07\x00")
    assert plug.groups == set()
    assert command(plug, 4, 0, b"\x07").status is Status.MALFORMED_COMMAND


def test_mains_and_battery_devices_have_what_theirs_have() -> None:
    plug, sensor = Application(DeviceSpec(ieee=1)), Application(DeviceSpec(ieee=2, kind=DeviceKind.SLEEPY, battery_percent=50))
    basic = plug.attributes(0, 0x01020304)
    assert basic is not None
    assert {key: basic[key].value for key in (4, 5, 7, 0x4000)} == {4: "Rig Works", 5: "Plug S", 7: 1, 0x4000: "01020304"}
    assert plug.attributes(1, 0) is None
    battery, power = sensor.attributes(1, 0), sensor.attributes(0, 0)
    assert battery is not None
    assert power is not None
    assert battery[0x21].value == 100
    assert power[7].value == 3


def test_a_check_in_response_says_for_how_long_to_poll_fast() -> None:
    spec = DeviceSpec(ieee=1, kind=DeviceKind.SLEEPY, poll_interval=6, behaviours=Behaviours(checks_in=3600))
    sensor = Application(spec)
    command(sensor, 0x20, 0, b"\x01\x28\x00")
    assert sensor.fast_poll_seconds == 10
    command(sensor, 0x20, 1)
    assert sensor.fast_poll_seconds == 0
    attributes = sensor.attributes(0x20, 0)
    assert attributes is not None
    assert (attributes[0].value, attributes[1].value) == (4 * 3600, 24)
