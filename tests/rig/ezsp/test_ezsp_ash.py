"""ASH framing, compared with the examples of UG101 and with how bellows reads and writes it."""

from __future__ import annotations

import bellows.ash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate_rig.ezsp import ash

BODIES = st.binary(min_size=1, max_size=1 + ash.MAX_DATA)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("c0", "c038bc7e"),
        ("c10202", "c102029b7b7e"),
        ("25" + ash.randomise(bytes.fromhex("00000002")).hex(), "254221a856a6097e"),
        ("5300800002021130", "530080000202" + "7d31" + "3063167e"),
        ("81", "8160597e"),
        ("a6", "a634dc7e"),
    ],
)
def test_the_examples_of_the_reference_are_written_and_read_to_the_byte(body: str, line: str) -> None:
    assert ash.encode(bytes.fromhex(body)).hex() == line
    assert ash.FrameParser().feed(bytes.fromhex(line)) == [bytes.fromhex(body)]


@given(st.binary(min_size=3, max_size=ash.MAX_DATA), st.integers(0, 7), st.integers(0, 7), st.booleans())
def test_bellows_reads_every_data_frame_and_its_own_are_read(payload: bytes, number: int, ack: int, again: bool) -> None:
    body = bytes((number << 4 | again << 3 | ack,)) + ash.randomise(payload)
    theirs = bellows.ash.DataFrame(frm_num=number, re_tx=again, ack_num=ack, ezsp_frame=payload)
    line = ash.encode(body)
    assert line == bellows.ash.AshProtocol._stuff_bytes(theirs.to_bytes()) + b"\x7e"
    read = bellows.ash.parse_frame(bellows.ash.AshProtocol._unstuff_bytes(line[:-1]))
    assert (read.frm_num, read.re_tx, read.ack_num, read.ezsp_frame) == (number, again, ack, payload)


@given(st.lists(BODIES, max_size=5), st.integers(1, 40))
def test_frames_are_read_however_the_line_cuts_them(bodies: list[bytes], piece: int) -> None:
    line = b"".join(map(ash.encode, bodies))
    parser = ash.FrameParser()
    read = [body for at in range(0, len(line), piece) for body in parser.feed(line[at : at + piece])]
    assert read == bodies
    assert parser.bad_frames == 0


@given(BODIES)
def test_no_reserved_byte_stands_inside_a_frame(body: bytes) -> None:
    inside = ash.encode(body)[:-1]
    assert not set(inside) & {ash.FLAG, ash.XON, ash.XOFF, ash.SUBSTITUTE, ash.CANCEL}


@given(BODIES)
def test_a_corrupted_frame_is_read_as_damaged_by_both_sides(body: bytes) -> None:
    line = ash.corrupt(ash.encode(body))
    assert ash.FrameParser().feed(line) == [ash.DAMAGED]
    with pytest.raises(bellows.ash.ParsingError):
        bellows.ash.parse_frame(bellows.ash.AshProtocol._unstuff_bytes(line[:-1]))


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_after_any_noise_a_cancelled_line_is_clear_again(noise: bytes, piece: int) -> None:
    parser = ash.FrameParser()
    for at in range(0, len(noise), piece):
        parser.feed(noise[at : at + piece])
    assert parser.feed(bytes((ash.CANCEL,)) + ash.encode(b"\xc0"))[-1:] == [b"\xc0"]


def test_flow_control_between_the_bytes_of_a_frame_is_no_part_of_it() -> None:
    line = b"\x11".join(bytes((byte,)) for byte in ash.encode(b"\x25abcd"))
    assert ash.FrameParser().feed(line + b"\x13") == [b"\x25abcd"]


def test_a_substituted_byte_spoils_its_frame_and_no_other() -> None:
    good = ash.encode(b"\x25abcd")
    parser = ash.FrameParser()
    assert parser.feed(good[:3] + b"\x18" + good[3:] + good) == [ash.DAMAGED, b"\x25abcd"]
    assert parser.bad_frames == 1


def test_flags_alone_are_nothing() -> None:
    assert ash.FrameParser().feed(b"\x7e\x7e\x7e") == []


def test_a_frame_without_an_end_takes_no_memory_and_is_one_bad_frame() -> None:
    parser = ash.FrameParser()
    for _ in range(1000):
        assert parser.feed(b"\x55" * 1000) == []
        assert len(parser._partial) < 1000
    assert parser.feed(b"\x7e" + ash.encode(b"\xc0")) == [ash.DAMAGED, b"\xc0"]
    assert parser.bad_frames == 1
