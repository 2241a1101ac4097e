"""What people call a device: followed over there, kept where it was said here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otagate.adoption.words import Words, dump_words, load_words, reworded, words_of
from otagate.model.devices import Device
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.networks import KnownDevice, KnownGroup, KnownNetwork
from tests.adoption.foreign import LAMP, PLUG

DEVICE = Device(id=zigbee_device_id(LAMP), radio=None, name="Plug S", model="Plug S")
NOTHING = Words()
SINK = Words(name="sink", room="kitchen", groups=("hall",))


def test_a_device_without_words_of_ours_takes_theirs() -> None:
    taken = reworded(DEVICE, SINK, NOTHING)
    assert (taken.name, taken.room, taken.groups) == ("sink", "kitchen", ("hall",))


def test_what_an_operator_said_here_stays() -> None:
    said = replace(DEVICE, name="mine", room="attic", groups=("roof",))
    assert reworded(said, SINK, NOTHING) == said
    assert reworded(said, SINK, Words(name="old", room="old", groups=("old",))) == said


def test_a_word_that_changed_over_there_is_followed() -> None:
    taken = reworded(replace(DEVICE, name="sink", room="kitchen", groups=("hall",)), Words(name="tap", room="bath", groups=()), SINK)
    assert (taken.name, taken.room, taken.groups) == ("tap", "bath", ())


def test_a_word_that_was_taken_back_over_there_goes() -> None:
    taken = reworded(replace(DEVICE, name="sink", room="kitchen", groups=("hall",)), NOTHING, SINK)
    assert (taken.name, taken.room, taken.groups) == ("Plug S", None, ())


def test_a_device_has_the_groups_that_one_of_its_endpoints_is_in() -> None:
    devices = tuple(KnownDevice(ieee=each, nwk=1, descriptor=bytes(13), endpoints=(), name="sink\n") for each in (LAMP, PLUG))
    groups = (KnownGroup(number=1, name="hall", members=((LAMP, 1), (LAMP, 2))), KnownGroup(number=2, name="all", members=((LAMP, 1), (PLUG, 1))))
    words = words_of(KnownNetwork(program="zha", identity=None, devices=devices, groups=groups))
    assert words[zigbee_device_id(LAMP)] == Words(name="sink", groups=("all", "hall"))
    assert words[zigbee_device_id(PLUG)].groups == ("all",)


def test_what_was_taken_over_is_remembered() -> None:
    words = {DeviceId("zigbee-000d6f000a9069e7"): SINK, DeviceId("zigbee-000d6f000a9069e8"): Words(name="küche")}
    assert load_words(dump_words(words)) == words


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"x": 5}', '"x"'])
def test_what_cannot_be_understood_was_never_said(text: str | None) -> None:
    assert load_words(text) == {}
