"""The emulated non-volatile memory, compared with how bellows reads a real one."""

from __future__ import annotations

import bellows.types as t
import pytest
from ezsp_fakes import COORDINATOR_IEEE
from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY

from otagate_rig.ezsp import Tokens
from otagate_rig.ezsp import tokens as names


def formed() -> Tokens:
    tokens = Tokens()
    tokens.form(IDENTITY, ieee=COORDINATOR_IEEE)
    return tokens


def test_the_tokens_of_a_network_read_back_as_bellows_reads_them() -> None:
    tokens = formed()
    node, rest = t.NV3StackNodeData.deserialize(tokens.read(t.NV3KeyId.NVM3KEY_STACK_NODE_DATA, 0))
    assert rest == b""
    assert (node.panId, node.radioFreqChannel, node.stackProfile, node.nodeType) == (IDENTITY.pan_id, 15, 2, t.EmberNodeType.COORDINATOR)
    assert int.from_bytes(node.extendedPanId.serialize(), "little") == IDENTITY.extended_pan_id
    trust, rest = t.NV3StackTrustCenterToken.deserialize(tokens.read(t.NV3KeyId.NVM3KEY_STACK_TRUST_CENTER, 0))
    assert rest == b""
    assert int.from_bytes(trust.eui64.serialize(), "little") == COORDINATOR_IEEE
    management, rest = t.NV3StackNetworkManagementToken.deserialize(tokens.read(t.NV3KeyId.NVM3KEY_STACK_NETWORK_MANAGEMENT, 0))
    assert rest == b""
    assert list(management.active_channels) == [15]


def test_a_child_reads_back_with_the_flag_of_a_complete_entry() -> None:
    tokens = formed()
    tokens.set_child(3, DEVICE_IEEE, DEVICE_NWK)
    child, rest = t.NV3ChildTableEntry.deserialize(tokens.read(t.NV3KeyId.NVM3KEY_STACK_CHILD_TABLE, 3))
    assert rest == b""
    assert (child.id, child.flags) == (DEVICE_NWK, 0x80)
    assert tokens.children() == {3: (DEVICE_IEEE, DEVICE_NWK)}
    tokens.remove_child(3)
    assert tokens.children() == {}


def test_a_factory_new_part_is_on_no_network_and_its_tokens_are_blank() -> None:
    tokens = Tokens()
    assert tokens.identity() is None
    assert tokens.ieee(COORDINATOR_IEEE) == COORDINATOR_IEEE
    assert tokens.read(names.RESTORED_EUI64, 0) == b"\xff" * 8
    assert tokens.read(0x1234_5678, 0) is None
    assert tokens.read(names.NODE_DATA, 1) is None
    assert not tokens.write(names.NODE_DATA, 0, b"short")


def test_tokens_answer_to_their_old_names_too() -> None:
    tokens = formed()
    for old, new in (
        (t.NV3KeyId.CREATOR_STACK_NODE_DATA, t.NV3KeyId.NVM3KEY_STACK_NODE_DATA),
        (t.NV3KeyId.CREATOR_STACK_RESTORED_EUI64, t.NV3KeyId.NVM3KEY_STACK_RESTORED_EUI64),
        (t.NV3KeyId.CREATOR_STACK_CHILD_TABLE, t.NV3KeyId.NVM3KEY_STACK_CHILD_TABLE),
    ):
        assert tokens.read(old, 0) == tokens.read(new, 0) is not None


def test_a_restored_address_comes_before_a_burnt_one_and_that_before_the_chip() -> None:
    tokens = Tokens()
    assert tokens.burn_custom_eui((5).to_bytes(8, "little"))
    assert not tokens.burn_custom_eui((6).to_bytes(8, "little"))
    assert tokens.ieee(1) == 5
    assert tokens.write(names.RESTORED_EUI64, 0, (7).to_bytes(8, "little"))
    assert tokens.ieee(1) == 7
    assert tokens.write(names.RESTORED_EUI64, 0, b"\xff" * 8)
    assert tokens.ieee(1) == 5


def test_a_stored_network_survives_the_journey_through_json() -> None:
    tokens = formed()
    tokens.set_child(0, DEVICE_IEEE, DEVICE_NWK)
    tokens.set_link_key(2, DEVICE_IEEE, b"k" * 16)
    tokens.burn_custom_eui((5).to_bytes(8, "little"))
    copy = Tokens.from_json(tokens.to_json())
    assert copy.identity() == IDENTITY
    assert copy.children() == tokens.children()
    assert copy.link_keys() == {2: (DEVICE_IEEE, b"k" * 16)}
    assert copy.to_json() == tokens.to_json()


def test_leaving_forgets_the_network_but_not_the_frame_counters() -> None:
    tokens = formed()
    tokens.boot(frames_sent=10)
    used = tokens.counter(names.NONCE_COUNTER)
    assert used > 10
    tokens.forget_network()
    assert tokens.identity() is None
    assert tokens.counter(names.NONCE_COUNTER) == used


@pytest.mark.parametrize("keep", [True, False])
def test_a_factory_reset_keeps_what_it_was_told_to_keep(keep: bool) -> None:
    tokens = formed()
    tokens.burn_custom_eui((5).to_bytes(8, "little"))
    tokens.boot(frames_sent=10)
    tokens.factory_reset(keep_frame_counters=keep, keep_boot_counter=keep)
    assert tokens.identity() is None
    assert tokens.ieee(1) == 5
    assert (tokens.counter(names.NONCE_COUNTER) > 0) == keep
    assert (tokens.counter(names.BOOT_COUNTER) > 0) == keep


def test_a_channel_change_moves_the_stored_network() -> None:
    tokens = formed()
    tokens.change_channel(25)
    identity = tokens.identity()
    assert identity is not None
    assert (identity.channel, identity.network_key) == (25, IDENTITY.network_key)


def test_the_same_network_has_the_same_secrets_on_every_part_that_is_made_with_it() -> None:
    assert formed().to_json() == formed().to_json()


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"x": "00"}', '{"0001ee64/00": 5}', '{"0001ee64/00": "zz"}', '{"0001ee64": "00"}', '{"0001ee64/00": "00"}', '{"ffff0000/00": "00"}'],
)
def test_anything_but_an_export_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Tokens.from_json(text)
