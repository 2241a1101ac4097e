"""The emulated non-volatile memory, compared with how zigpy-znp reads a real one."""

from __future__ import annotations

import pytest
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY
from zigpy_znp import types as znp_t
from znp_fakes import COORDINATOR_IEEE

from otagate_rig.znp import Nvram
from otagate_rig.znp.nvram import EX_ADDRMGR, EX_NWK_SEC_MATERIAL, EX_TCLK_TABLE, NIB, NWKKEY, PANID, STARTUP_OPTION, pack_nib


def formed() -> Nvram:
    nvram = Nvram()
    nvram.boot(ieee=COORDINATOR_IEEE)
    nvram.form(IDENTITY, ieee=COORDINATOR_IEEE)
    return nvram


def test_the_nib_reads_back_as_an_aligned_z_stack_structure() -> None:
    nib, rest = znp_t.NIB.deserialize(pack_nib(IDENTITY, ieee=COORDINATOR_IEEE), align=True)
    assert rest == b""
    assert nib.nwkPanId == IDENTITY.pan_id
    assert nib.nwkLogicalChannel == IDENTITY.channel
    assert int.from_bytes(nib.extendedPANID.serialize(), "little") == IDENTITY.extended_pan_id
    assert int.from_bytes(nib.nwkCoordExtAddress.serialize(), "little") == COORDINATOR_IEEE
    assert nib.nwkKeyLoaded
    assert nib.SecurityLevel == 5
    assert list(nib.channelList) == [IDENTITY.channel]
    assert nib.nwkUpdateId == 0
    assert nib.nwkManagerAddr == 0


def test_a_factory_new_part_is_on_no_network() -> None:
    nvram = Nvram()
    nvram.boot(ieee=COORDINATOR_IEEE)
    assert nvram.identity() is None
    assert nvram.ieee() == COORDINATOR_IEEE


def test_the_network_key_has_the_length_by_which_hosts_know_an_aligned_part() -> None:
    items, rest = znp_t.NwkActiveKeyItems.deserialize(formed().get(NWKKEY) or b"", align=True)
    assert (int(items.FrameCounter), rest) == (0, b"")


def test_a_stored_network_survives_a_boot_and_the_journey_through_json() -> None:
    nvram = formed()
    nvram.boot(ieee=COORDINATOR_IEEE)
    assert nvram.identity() == IDENTITY
    copy = Nvram.from_json(nvram.to_json())
    assert copy.identity() == IDENTITY
    assert copy.to_json() == nvram.to_json()


def test_clearing_the_state_forgets_the_network_but_not_the_frame_counters() -> None:
    nvram = formed()
    counters = (1, EX_NWK_SEC_MATERIAL, 0)
    nvram.write(counters, 0, b"\x10\x27\x00\x00")
    nvram.set(PANID, b"\x34\x12")
    nvram.set(STARTUP_OPTION, b"\x03")
    nvram.boot(ieee=COORDINATOR_IEEE)
    assert nvram.identity() is None
    assert nvram.get(NIB) is None
    assert nvram.get(PANID) == b"\xff\xff"
    assert nvram.get(STARTUP_OPTION) == b"\x00"
    assert (nvram.read(counters, 0, 4)) == b"\x10\x27\x00\x00"


def test_a_channel_change_moves_the_stored_network() -> None:
    nvram = formed()
    nvram.change_channel(25)
    identity = nvram.identity()
    assert identity is not None
    assert identity.channel == 25
    assert identity.network_key == IDENTITY.network_key
    nib, _ = znp_t.NIB.deserialize(nvram.get(NIB), align=True)
    assert list(nib.channelList) == [25]


def test_a_device_is_remembered_once_however_often_it_joins() -> None:
    nvram = formed()
    nvram.remember_device(ieee=DEVICE_IEEE, nwk=0x1111, child=False)
    nvram.remember_device(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, child=True)
    entries = [nvram.read((1, EX_ADDRMGR, sub), 0, 12) for sub in range(3)]
    entry, _ = znp_t.AddrMgrEntry.deserialize(entries[0], align=True)
    assert entry.nwkAddr == DEVICE_NWK
    assert int.from_bytes(entry.extAddr.serialize(), "little") == DEVICE_IEEE
    assert entry.type == znp_t.AddrMgrUserType.Assoc | znp_t.AddrMgrUserType.Security
    assert entries[1] == entries[2]
    key, rest = znp_t.TCLKDevEntry.deserialize(nvram.read((1, EX_TCLK_TABLE, 0), 0, 99), align=True)
    assert rest == b""
    assert int.from_bytes(key.extAddr.serialize(), "little") == DEVICE_IEEE


def test_a_full_address_manager_takes_another_device_without_growing() -> None:
    nvram = formed()
    for number in range(40):
        nvram.remember_device(ieee=DEVICE_IEEE + number, nwk=0x2000 + number, child=False)
    assert nvram.read((1, EX_ADDRMGR, 32), 0, 12) is None
    held = {nvram.read((1, EX_ADDRMGR, sub), 4, 8) for sub in range(32)}
    assert (DEVICE_IEEE + 39).to_bytes(8, "little") in held


@pytest.mark.parametrize(
    "text", ["", "[]", '{"x": "00"}', '{"01/0000/0001": 5}', '{"01/0000/0001": "zz"}', '{"01/0000": "00"}', '{"01/0000/0001": "%s"}' % ("00" * 1025)]
)
def test_anything_but_an_export_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Nvram.from_json(text)
