"""Which network it is: from the backup that zigbee2mqtt keeps of its coordinator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otagate.adoption.coordinator_backup import read_backup
from otagate.model.errors import AdoptionError
from otagate.model.networks import NetworkIdentity
from tests.adoption.foreign import COORDINATOR, KEY, backup


def read(**changes: Any) -> NetworkIdentity | None:
    return read_backup(json.dumps(backup(**changes)).encode(), "coordinator_backup.json")


def test_the_network_and_its_stick_are_read() -> None:
    assert read() == NetworkIdentity(extended_pan_id=COORDINATOR, coordinator=COORDINATOR, key=KEY, pan_id=0x1A62, channel=15)


def test_the_backup_of_an_emberznet_stick_is_written_the_other_way_round() -> None:
    identity = read(stack_specific={"ezsp": {"hashed_tclk": "00"}}, extended_pan_id="a001020304050607", coordinator_ieee="d5c3a129004b1200")
    assert identity is not None
    assert (identity.extended_pan_id, identity.coordinator) == (0x07060504030201A0, COORDINATOR)


def test_a_short_pan_id_is_written_without_leading_zeros() -> None:
    identity = read(pan_id="a62")
    assert identity is not None
    assert identity.pan_id == 0x0A62


def test_the_old_format_tells_nothing() -> None:
    assert read_backup(b'{"adapterType": "zStack", "data": {}}', "coordinator_backup.json") is None


def test_the_key_is_never_shown() -> None:
    assert str(KEY) not in repr(read())
    assert KEY.hex() not in repr(read())


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {}},
        {"metadata": None},
        {"coordinator_ieee": ...},
        {"coordinator_ieee": "00124b"},
        {"extended_pan_id": 5},
        {"extended_pan_id": "x" * 16},
        {"network_key": {"key": "secretsecretsecretsecretsecretse"}},
        {"network_key": {"key": KEY.hex() + "00"}},
        {"network_key": KEY.hex()},
    ],
)
def test_a_damaged_backup_is_refused_with_what_to_do_and_without_its_key(changes: dict[str, Any]) -> None:
    document = {key: value for key, value in backup(**changes).items() if value is not ...}
    with pytest.raises(AdoptionError) as refused:
        read_backup(json.dumps(document).encode(), "coordinator_backup.json")
    assert "move it away" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert KEY.hex() not in str(refused.value)


def test_a_backup_that_is_cut_off_is_refused() -> None:
    with pytest.raises(AdoptionError, match="cut off or damaged: line 1, column"):
        read_backup(json.dumps(backup()).encode()[:-40], "coordinator_backup.json")
