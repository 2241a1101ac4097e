"""What bytes on a line prove about who drives the coordinator."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.radios.listening import Heard, judge_any, judge_ash, judge_mt
from tests.radios.mt import PING_ANSWER, RESET, ROUTE, confirm, incoming


def _crc(frame: str) -> bytes:
    return binascii.crc_hqx(bytes.fromhex(frame), 0xFFFF).to_bytes(2, "big")


BLOCK_REQUEST = bytes.fromhex("010703") + bytes(14)


@pytest.mark.parametrize(
    ("heard", "proves"),
    [
        (b"", Heard.NOTHING),
        (RESET, Heard.NOTHING),
        (ROUTE, Heard.INDICATIONS),
        (incoming(BLOCK_REQUEST) + confirm(3) + RESET, Heard.INDICATIONS),
        (incoming(BLOCK_REQUEST)[5:] + ROUTE, Heard.INDICATIONS),
        (ROUTE[:-1], Heard.INDICATIONS),
        (PING_ANSWER, Heard.ANOTHER_HOST),
        (PING_ANSWER[:-1], Heard.ANOTHER_HOST),
        (ROUTE + PING_ANSWER + RESET, Heard.ANOTHER_HOST),
        (b"\x1a\xc1\x02\x0b\x0a\x52\x7e", Heard.ANOTHER_HOST),
        (b"login: ", Heard.ANOTHER_HOST),
    ],
    ids=[
        "silence", "a boot message", "an indication", "a network at work", "a frame that began before we listened", "a frame cut off", "an answer",
        "an answer cut off", "an answer among others", "another protocol", "text",
    ],
)  # fmt: skip
def test_what_is_heard_of_a_z_stack_coordinator(heard: bytes, proves: Heard) -> None:
    assert judge_mt(heard) is proves


@pytest.mark.parametrize(
    ("heard", "proves"),
    [
        (b"", Heard.NOTHING),
        (b"\x1a\xc1\x02\x0b\x0a\x52\x7e", Heard.NOTHING),
        (b"\xc2\x02\x51\xa8\xbd\x7e", Heard.NOTHING),
        (b"\x25\x42\x21\xa8\x58\x7e", Heard.INDICATIONS),
        (b"\x25\x42\x21\xa8\x58\x7e\x81\x60\x59\x7e", Heard.ANOTHER_HOST),
        (bytes.fromhex("7e25 47a1a9 0c2a95") + _crc("2547a1a90c2a95") + b"\x7e", Heard.ANOTHER_HOST),
        (bytes.fromhex("7e25 47a1a9 0c2a95") + b"\x00\x00\x7e", Heard.INDICATIONS),
        (bytes.fromhex("7e25 47b1a9 0c2a95") + _crc("2547b1a90c2a95") + b"\x7e", Heard.INDICATIONS),
    ],
    ids=["silence", "a reset", "an error", "data", "an acknowledgement", "an answer", "a damaged answer", "a callback"],
)
def test_what_is_heard_of_an_emberznet_coordinator(heard: bytes, proves: Heard) -> None:
    assert judge_ash(heard) is proves


@given(st.binary(max_size=2_000))
def test_any_bytes_are_judged(heard: bytes) -> None:
    for judge in (judge_any, judge_ash, judge_mt):
        assert judge(heard) in Heard
    assert (judge_any(heard) is Heard.NOTHING) == (not heard)
