"""MT framing, byte by byte."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate_rig.znp.frames import MAX_PAYLOAD, FrameParser, checksum, corrupt, encode

COMMANDS = st.integers(0, 0xFFFF)
PAYLOADS = st.binary(max_size=MAX_PAYLOAD)


def test_a_ping_is_the_five_bytes_of_the_manual() -> None:
    assert encode(0x2101, b"") == bytes.fromhex("fe00210120")


@given(st.binary(max_size=256))
def test_the_checksum_is_the_xor_of_all_bytes(body: bytes) -> None:
    assert checksum(body) == reduce(xor, body, 0)


@given(st.lists(st.tuples(COMMANDS, PAYLOADS), max_size=6), st.lists(st.integers(1, 40)))
def test_frames_survive_any_cut_of_the_stream(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    parser, heard = FrameParser(), []
    for size in cuts:
        heard += parser.feed(stream[:size])
        stream = stream[size:]
    heard += parser.feed(stream)
    assert heard == frames
    assert parser.bad_frames == 0


@given(st.binary(max_size=600), PAYLOADS)
def test_whatever_noise_came_before_a_frame_it_is_found_in_the_end(noise: bytes, payload: bytes) -> None:
    parser = FrameParser()
    parser.feed(noise)
    # A length byte in the noise can swallow up to 255 bytes; after that much silence the parser must be in step again.
    parser.feed(bytes(256))
    assert (0x2101, payload) in parser.feed(encode(0x2101, payload)) + parser.feed(encode(0x2101, payload))


def test_a_frame_with_a_wrong_checksum_is_dropped_and_the_next_one_is_heard() -> None:
    parser = FrameParser()
    assert parser.feed(corrupt(encode(0x2101, b"abc")) + encode(0x2102, b"")) == [(0x2102, b"")]
    assert parser.bad_frames == 1


def test_an_endless_stream_without_a_frame_is_not_kept() -> None:
    parser = FrameParser()
    for _ in range(100):
        parser.feed(b"\xfe\xff" * 500)
    assert parser.skipped_bytes >= 100 * 1000 - 255


def test_a_payload_above_250_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="250"):
        encode(0x2101, bytes(251))
