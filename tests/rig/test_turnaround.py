"""How long a server takes, as its coordinator sees it."""

from __future__ import annotations

from otagate_rig.aps import COORDINATOR, ApsFrame
from otagate_rig.turnaround import Turnaround


def _request(nwk: int, *, command: int = 0x03) -> ApsFrame:
    return ApsFrame(src=nwk, src_ep=1, dst=COORDINATOR, dst_ep=1, profile=0x0104, cluster=0x0019, data=bytes((0x01, 7, command)))


def _block(nwk: int, *, control: int = 0x19, command: int = 0x05, cluster: int = 0x0019) -> ApsFrame:
    return ApsFrame(src=COORDINATOR, src_ep=1, dst=nwk, dst_ep=1, profile=0x0104, cluster=cluster, data=bytes((control, 7, command)))


def test_a_request_and_its_block_are_one_turnaround_for_each_device() -> None:
    turnaround = Turnaround()
    turnaround.reached_coordinator(_request(1), 10.0)
    turnaround.reached_coordinator(_request(2), 10.5)
    turnaround.left_coordinator(_block(1), 11.0)
    turnaround.left_coordinator(_block(2), 14.5)
    assert turnaround.to_json() == {"count": 2, "p50": 4.0, "p99": 4.0, "unanswered": 0}


def test_a_request_that_comes_again_before_any_block_was_lost_and_counts_from_the_second() -> None:
    turnaround = Turnaround()
    turnaround.reached_coordinator(_request(1), 10.0)
    turnaround.reached_coordinator(_request(1), 13.0)
    turnaround.left_coordinator(_block(1), 13.5)
    assert turnaround.to_json() == {"count": 1, "p50": 0.5, "p99": 0.5, "unanswered": 1}


def test_other_frames_neither_ask_nor_answer() -> None:
    turnaround = Turnaround()
    turnaround.reached_coordinator(_request(1, command=0x01), 9.0)
    turnaround.left_coordinator(_block(1), 9.5)
    turnaround.reached_coordinator(_request(1), 10.0)
    for other in (_block(1, control=0x18), _block(1, command=0x02), _block(1, cluster=0x0006)):
        turnaround.left_coordinator(other, 11.0)
    assert turnaround.to_json() == {"count": 0, "p50": None, "p99": None, "unanswered": 0}
