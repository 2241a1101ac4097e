"""ASH frames: what bellows makes of them, we make of them."""

from __future__ import annotations

import pytest
from bellows import ash as theirs
from hypothesis import given
from hypothesis import strategies as st

from otagate.radios import ash

DATA = st.binary(max_size=256)


@given(frame=st.integers(0, 7), repeated=st.booleans(), expected=st.integers(0, 7), data=DATA)
def test_a_data_frame_is_what_bellows_writes_octet_for_octet(frame: int, repeated: bool, expected: int, data: bytes) -> None:
    written = theirs.DataFrame(frm_num=frame, re_tx=repeated, ack_num=expected, ezsp_frame=data).to_bytes()
    control = frame << 4 | (ash.RETRANSMITTED if repeated else 0) | expected
    assert ash.pack(control, data) == bytes(theirs.AshProtocol._stuff_bytes(written)) + ash.FLAG


@pytest.mark.parametrize("expected", range(8))
def test_an_acknowledgement_is_what_bellows_writes(expected: int) -> None:
    written = theirs.AckFrame(res=0, ncp_ready=0, ack_num=expected).to_bytes()
    assert ash.ACKS[expected] == bytes(theirs.AshProtocol._stuff_bytes(written)) + ash.FLAG


@given(control=st.integers(0, 0x7F), data=st.binary(min_size=1, max_size=256))
def test_what_was_packed_is_unpacked(control: int, data: bytes) -> None:
    body = ash.unpack(ash.pack(control, data)[:-1])
    assert body is not None
    assert (body[0], ash.randomise(body[1:])) == (control, data)


@given(data=st.binary(min_size=1, max_size=200), place=st.integers(0), flip=st.integers(1, 255))
def test_one_wrong_octet_is_always_noticed(data: bytes, place: int, flip: int) -> None:
    piece = bytearray(ash.pack(0x25, data)[:-1])
    piece[place % len(piece)] ^= flip
    assert ash.unpack(bytes(piece)) in (None, ash.unpack(ash.pack(0x25, data)[:-1]))


@given(st.binary(max_size=2_000))
def test_rubbish_is_no_frame(rubbish: bytes) -> None:
    body = ash.unpack(rubbish)
    assert body is None or len(body) <= 257


def test_a_data_field_that_no_frame_can_have_is_not_written() -> None:
    with pytest.raises(IndexError):
        ash.pack(0x00, bytes(257))
