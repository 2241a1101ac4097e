"""Thing firmware: one answer in three shapes, two sets of numbers for states, and devices that sleep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import SourceError, SourceRefused, SourceUnintelligible
from otagate.sources.effects import Response
from otagate.sources.tuya_openapi import Account, Token
from otagate.sources.tuya_thing import TuyaThing
from tests.sources.talk import NOW, reply, talk


def _source(*device_ids: str) -> TuyaThing:
    token = Token(access="a", refresh="r", until=NOW + timedelta(hours=2))
    account = Account(url="https://openapi.tuyaeu.com", client_id="c", secret="s", token=token)
    return TuyaThing(account=account, device_ids=device_ids or ("vdev1",))


def _ok(result: Any) -> Response:
    return reply({"success": True, "result": result})


def _channel(**more: Any) -> dict[str, Any]:
    return {"type": 0, "upgrade_status": 1, "current_version": "1.0.0", "version": "1.0.1", "dev_type": 0, "timeout": 60} | more


@pytest.mark.parametrize(
    "result", [[_channel()], _channel(), {"success": True, "result": [_channel()]}, {"success": True, "result": _channel()}], ids=range(4)
)
def test_all_shapes_of_the_answer_are_the_same_channels(result: Any) -> None:
    device = talk(_source().information("vdev1"), [_ok(result)]).result
    channel = device.channels[0]
    assert (channel.channel, channel.status, channel.current_version, channel.offered_version) == ("0", "available", "1.0.0", "1.0.1")


def test_the_channel_may_be_called_by_either_name() -> None:
    entry = {key: value for key, value in _channel(channel=9).items() if key != "type"}
    channel = talk(_source().information("vdev1"), [_ok([entry])]).result.channels[0]
    assert (channel.channel, channel.facts["kind"]) == ("9", "mcu")


@pytest.mark.parametrize(
    ("number", "word"),
    [(0, "none"), (1, "available"), (2, "updating"), (3, "updated"), (4, "failed"), (7, "timed_out"), (5, "unknown"), (6, "unknown")],
)
def test_every_state_has_its_word(number: int, word: str) -> None:
    channel = talk(_source().information("vdev1"), [_ok([_channel(upgrade_status=number)])]).result.channels[0]
    assert (channel.status, channel.raw_status) == (word, number)


def test_what_is_only_shown_of_a_channel_is_bounded() -> None:
    entry = _channel(control_type="x" * 30_000, upgrade_type=10**400)
    channel = talk(_source().information("vdev1"), [_ok([entry])]).result.channels[0]
    assert channel.facts == {"kind": "main", "control_type": "x" * 64}


@pytest.mark.parametrize(
    ("told", "year"),
    [(1_700_000_000_000, 2023), ("1700000000000", 2023), (1_700_000_000, 2023), (0, None), (-5, None), (10**14, None), (True, None), ("soon", None)],
)
def test_since_when_a_version_is_offered_is_told_in_milliseconds_or_seconds(told: Any, year: int | None) -> None:
    entry = _channel(firmware_deploy_time=told, last_upgrade_time=told)
    channel = talk(_source().information("vdev1"), [_ok([entry])]).result.channels[0]
    assert [each and each.year for each in (channel.released, channel.changed)] == [year, year]


def test_a_sleeping_device_with_an_order_and_no_progress_waits() -> None:
    entry = _channel(upgrade_status=2, dev_type=1)
    asked = talk(_source().look_at("vdev1"), [_ok([entry])])
    assert asked.result.sleepy
    assert asked.result.channels[0].status == "waiting"


def test_a_running_channel_is_read_with_its_progress() -> None:
    asked = talk(_source().look_at("vdev1"), [_ok([_channel(upgrade_status=2)]), _ok({"upgrade_status": 2, "progress": "40"})])
    assert asked.requests[1].url.endswith("/v2.0/cloud/thing/vdev1/firmware/0/progress")
    assert asked.result.channels[0].progress == 40


def test_an_error_inside_the_result_is_an_error() -> None:
    with pytest.raises(SourceRefused, match="gone"):
        talk(_source().information("vdev1"), [_ok({"success": False, "error_code": 2009, "error_msg": "gone"})])


def test_an_order_is_confirmed_once_and_names_its_channel() -> None:
    asked = talk(_source().start(["vdev1"], "0"), [_ok([_channel()]), _ok(True)])
    assert asked.result == {"vdev1": "started"}
    assert (asked.requests[1].method, asked.requests[1].idempotent) == ("POST", False)
    assert asked.requests[1].url.endswith("/v2.0/cloud/thing/vdev1/firmware/0")


def test_what_runs_already_is_not_ordered_again() -> None:
    assert talk(_source().start(["vdev1"], "0"), [_ok([_channel(upgrade_status=2)])]).result == {"vdev1": "already-running"}


def test_what_the_cloud_blocks_is_told_with_its_reason() -> None:
    with pytest.raises(SourceRefused, match="charge it first"):
        talk(_source().start(["vdev1"], "0"), [_ok([_channel(can_upgrade=False, remind="charge it first")])])
    with pytest.raises(SourceRefused, match="no firmware channel"):
        talk(_source().start(["vdev1"], "9"), [_ok([_channel()])])


def test_a_look_leaves_out_a_device_that_is_gone_and_tells_the_rest() -> None:
    gone = reply({"success": False, "code": 2009, "msg": "not found"})
    looked = talk(_source("a", "b").look(), [gone, _ok([_channel()])]).result
    assert [each.device_id for each in looked.devices] == ["b"]
    assert [each.what for each in looked.skipped] == ["a"]


def test_an_id_is_never_a_path() -> None:
    asked = talk(_source().information("../../x?y"), [_ok([])])
    assert asked.requests[0].url.endswith("/thing/..%2F..%2Fx%3Fy/firmware")


@pytest.mark.parametrize("result", ["text", 7, [{"type": "x"}], [[]]])
def test_an_answer_without_a_channel_is_unintelligible(result: Any) -> None:
    with pytest.raises(SourceUnintelligible):
        talk(_source().information("vdev1"), [_ok(result)])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*_channel(), "success", "result", "progress"]), inner),
    max_leaves=12,
)


@given(_JSON)
def test_whatever_the_cloud_says_only_a_source_error_escapes(result: Any) -> None:
    for conversation in (_source().look_at("d"), _source().start(["d"], "0")):
        try:
            talk(conversation, lambda _: _ok(result))
        except SourceError:
            continue
