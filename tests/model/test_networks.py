"""A network as another program knows it: what can stand beside each other, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from otagate.model.networks import KnownDevice, KnownEndpoint, NetworkIdentity, make_descriptor, reconcile, spell_ieee

ENDPOINT = KnownEndpoint(number=1, profile=0x0104, device_type=0x0101, inputs=(0, 6), outputs=(25,))
LAMP = KnownDevice(
    ieee=0x000D6F000A9069E7,
    nwk=0x1234,
    descriptor=make_descriptor(router=True, mains=True, manufacturer_code=0x1189),
    endpoints=(ENDPOINT,),
    last_seen=datetime(2026, 5, 1, tzinfo=UTC),
)
PLUG = replace(LAMP, ieee=0x000D6F000A9069E8, nwk=0x1235)


def test_an_address_is_spelt_as_people_write_it() -> None:
    assert spell_ieee(LAMP.ieee) == "00:0d:6f:00:0a:90:69:e7"


def test_the_manufacturer_code_stands_in_the_descriptor() -> None:
    assert LAMP.manufacturer_code == 0x1189


def test_a_network_key_is_never_shown() -> None:
    shown = repr(NetworkIdentity(extended_pan_id=1, coordinator=2, key=b"secretsecretsecr"))
    assert "secret" not in shown
    assert "key" not in shown


def test_devices_at_addresses_of_their_own_stand_beside_each_other() -> None:
    assert reconcile((LAMP, PLUG)) == ((LAMP, PLUG), ())


def test_of_three_at_one_address_one_has_it_and_two_are_told_who() -> None:
    later = replace(LAMP, ieee=3, last_seen=datetime(2026, 5, 2, tzinfo=UTC))
    never = replace(LAMP, ieee=4, last_seen=None)
    for order in ((LAMP, later, never), (never, LAMP, later), (later, never, LAMP)):
        kept, left_out = reconcile(order)
        assert kept == (later,)
        assert {each.what for each in left_out} == {spell_ieee(LAMP.ieee), spell_ieee(4)}


@pytest.mark.parametrize(
    "endpoint",
    [
        replace(ENDPOINT, number=0),
        replace(ENDPOINT, number=255),
        replace(ENDPOINT, profile=1 << 16),
        replace(ENDPOINT, device_type=-1),
        replace(ENDPOINT, inputs=(0, 1 << 62)),
        replace(ENDPOINT, outputs=(-25,)),
    ],
)
def test_an_endpoint_that_no_device_has_is_left_out_with_its_device(endpoint: KnownEndpoint) -> None:
    kept, (left_out,) = reconcile((replace(LAMP, endpoints=(ENDPOINT, endpoint)), PLUG))
    assert kept == (PLUG,)
    assert left_out.why == "an endpoint of it is none that a device can have"
