"""What a Zigbee device tells of its settings. The radio stacks carry it in tests/journeys; here devices answer oddly, or not at all.

`_Odd` stands for a zigpy device: no real one falls silent, or answers with what no answer should be, in a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from otagate.model.portraits import MOST_SETTINGS, Portrait
from otagate.radios import zigbee_portraits
from otagate.radios.peers import is_report
from otagate.radios.zigbee_portraits import portray

pytestmark = pytest.mark.asyncio

Answer = Callable[[], Any]


class _Odd:
    """A device with one endpoint that serves groups and a switch; every answer is what the test says, and what it does not say is silence."""

    def __init__(self, **answers: Answer) -> None:
        self.asked: list[str] = []
        self.ieee = "an address"
        self._answers = answers
        endpoint = SimpleNamespace(endpoint_id=1)
        endpoint.in_clusters = {number: self._cluster(endpoint, number) for number in (0x0004, 0x0006)}
        self.endpoints = {0: None, 1: endpoint}
        self.zdo = SimpleNamespace(Mgmt_Bind_req=lambda start, **_: self._answer("bindings", start))

    def _cluster(self, endpoint: Any, number: int) -> Any:
        return SimpleNamespace(
            endpoint=endpoint,
            cluster_id=number,
            command=lambda *_, **__: self._answer("groups"),
            read_attributes_raw=lambda keys, **_: self._answer(f"attribute_{keys[0]:04x}"),
            general_command=lambda *_, **__: self._answer("reporting"),
        )

    async def _answer(self, name: str, *arguments: Any) -> Any:
        self.asked.append(name)
        if name not in self._answers:
            await asyncio.Event().wait()
        return self._answers[name](*arguments)


async def portrait_of(device: _Odd, *questions: str) -> Portrait:
    return await portray(device, questions or None)  # type: ignore[arg-type]


def a_binding(cluster: int) -> Any:
    return SimpleNamespace(SrcEndpoint=1, ClusterId=cluster, DstAddress=SimpleNamespace(addrmode=1, nwk=5))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zigbee_portraits, "_WITHIN", 0.05)


async def test_a_device_that_is_silent_twice_is_asked_no_more() -> None:
    device = _Odd()
    assert await portrait_of(device) == Portrait()
    assert device.asked == ["bindings", "groups"]


async def test_one_unanswered_question_costs_only_itself() -> None:
    device = _Odd(groups=lambda: SimpleNamespace(groups=[5]), bindings=lambda _: [0x84, 0, 0, []])
    told = await portrait_of(device, "groups/1", "attribute/1/0x0006/0x0000", "bindings")
    assert told.answered == ("groups/1",)
    assert [each.name for each in told.settings] == ["group 1/0x0005"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        SimpleNamespace(command_id=0, status=0x82),
        [],
        SimpleNamespace(groups=["five"]),
        SimpleNamespace(status_records=[]),
        SimpleNamespace(status_records=[SimpleNamespace(attrid=0x0009, status=0, value=None)]),
    ],
)
async def test_what_is_no_answer_tells_nothing_and_is_no_silence(answer: Any) -> None:
    device = _Odd(groups=lambda: answer, attribute_0000=lambda: answer, attribute_4003=lambda: answer, bindings=lambda _: answer)
    assert await portrait_of(device) == Portrait()
    assert len(device.asked) == 4 + 1, "reporting is asked where bindings are not known"


async def test_part_of_a_table_of_bindings_is_none_for_the_rest_would_look_lost() -> None:
    pages = {0: [0, 200, 0, [a_binding(each) for each in range(3)]]}
    device = _Odd(bindings=lambda start: pages.get(start, [0, 200, start, []]))
    assert await portrait_of(device, "bindings") == Portrait()
    assert len(device.asked) == 2


async def test_a_table_without_an_end_is_read_for_so_many_pages_only() -> None:
    device = _Odd(bindings=lambda start: [0, 255, start, [a_binding(start)]])
    assert await portrait_of(device, "bindings") == Portrait()
    assert len(device.asked) == 8


async def test_an_answer_with_more_settings_than_a_portrait_holds_is_not_taken_in_part() -> None:
    device = _Odd(groups=lambda: SimpleNamespace(groups=range(MOST_SETTINGS + 1)))
    assert await portrait_of(device, "groups/1") == Portrait()


@pytest.mark.parametrize("question", ["groups/7", "groups/x", "attribute/1/0x0006", "reporting/1/0x0B05", "nonsense", ""])
async def test_a_question_that_the_device_has_no_place_for_is_not_answered(question: str) -> None:
    assert await portrait_of(_Odd(), question) == Portrait()


@pytest.mark.parametrize(
    ("frame", "report"),
    [
        ("18 01 0a 0000 10 01", True),
        ("1c 5f11 01 0a f700 41 00", True),  # of its maker's own
        ("18 01 01 0000 00 10 01", False),  # an answer to a read
        ("19 01 0a 00", False),  # a command of the cluster
        ("1c 5f11 01", False),
        ("", False),
    ],
)
async def test_what_a_device_reports_by_itself_is_told_from_its_answers(frame: str, report: bool) -> None:
    assert is_report(bytes.fromhex(frame)) is report
