from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import pytest

from otagate.model.devices import Component, Device
from otagate.model.ids import ComponentId, RadioName, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.quirks import PLAIN
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict

LAMP = Component(id=zigbee_component_id(0x1409), version=10, manufacturer_code=0x117C, image_type=0x1409)
SENSOR = Component(id=zigbee_component_id(0x1410), version=3, manufacturer_code=0x117C, image_type=0x1410)
DEVICE = Device(id=zigbee_device_id(1), radio=RadioName("stick"), components=(LAMP, SENSOR))
UPDATE = Update(
    id=UpdateId("u1"),
    device=DEVICE.id,
    component=LAMP.id,
    radio=RadioName("stick"),
    manufacturer_code=0x117C,
    image_type=0x1409,
    from_version=10,
    to_version=20,
    source="folder",
    image=None,
    state=State.QUEUED,
    bytes_total=1000,
    created=datetime(2024, 3, 30, tzinfo=UTC),
)


def test_a_device_finds_its_components_by_id() -> None:
    assert DEVICE.component(SENSOR.id) is SENSOR
    assert DEVICE.component(ComponentId("0xffff")) is None


@pytest.mark.parametrize("state", list(State))
def test_an_update_has_ended_exactly_where_its_state_is_final(state: State) -> None:
    assert replace(UPDATE, state=state).ended == (state in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUPERSEDED})


@pytest.mark.parametrize(("decision", "allowed"), [("allow", True), ("ask", False), ("hold", False), ("refuse", False)])
def test_only_a_plain_yes_is_allowed(decision: str, allowed: bool) -> None:
    assert Verdict(decision=decision, sentence="So it is.").allowed is allowed  # type: ignore[arg-type]


def test_a_release_shows_its_version_without_guessing_dots() -> None:
    assert Release(source="folder", manufacturer_code=1, image_type=2, file_version=0x01020509, size=3).display_version == "0x01020509"


def test_an_update_of_unknown_version_is_done_by_another_one_and_that_of_a_further_file_by_any() -> None:
    known, unknown = UPDATE, replace(UPDATE, to_version=None, job="u1", step=2, steps=2)
    part = replace(unknown, release=Release(source="service", file_version=None, size=1, bundle="b", location="x"))
    assert [known.is_done_by(each) for each in (None, 10, 20)] == [False, False, True]
    assert [unknown.is_done_by(each) for each in (None, 10, 20)] == [False, False, True]
    assert [part.is_done_by(each) for each in (None, 10, 20)] == [False, True, True]


def test_nouns_cannot_be_changed_behind_the_back_of_their_readers() -> None:
    with pytest.raises(FrozenInstanceError):
        UPDATE.state = State.FAILED  # type: ignore[misc]


def test_a_device_without_quirks_is_treated_as_the_specification_says() -> None:
    assert PLAIN.notify
    assert PLAIN.block_limit is None
    assert PLAIN.refusal_status == 0x98
    assert PLAIN.stray_end_status == 0x95
