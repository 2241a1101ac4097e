"""Status bytes and identifiers of EZSP 13 that the emulated coordinator uses."""

from __future__ import annotations

import enum
from typing import Final


class ResetCode(enum.IntEnum):
    """Why the NCP booted or failed (ASH, RSTACK and ERROR frames)."""

    UNKNOWN = 0x00
    EXTERNAL = 0x01
    POWER_ON = 0x02
    WATCHDOG = 0x03
    ASSERT = 0x06
    BOOTLOADER = 0x09
    SOFTWARE = 0x0B
    ACK_TIMEOUTS = 0x51


class EmberStatus(enum.IntEnum):
    """How a command of the stack ended."""

    SUCCESS = 0x00
    ERR_FATAL = 0x01
    BAD_ARGUMENT = 0x02
    NO_BUFFERS = 0x18
    MAC_BAD_SCAN_DURATION = 0x33
    MAC_INCORRECT_SCAN_TYPE = 0x34
    MAC_INVALID_CHANNEL_MASK = 0x35
    MAC_INDIRECT_TIMEOUT = 0x42
    DELIVERY_FAILED = 0x66
    ADDRESS_TABLE_INDEX_OUT_OF_RANGE = 0x6A
    INVALID_BINDING_INDEX = 0x6C
    INVALID_CALL = 0x70
    MAX_MESSAGE_LIMIT_REACHED = 0x72
    MESSAGE_TOO_LONG = 0x74
    PHY_INVALID_CHANNEL = 0x8A
    PHY_INVALID_POWER = 0x8B
    PHY_TX_CCA_FAIL = 0x8D
    NETWORK_UP = 0x90
    NETWORK_DOWN = 0x91
    NOT_JOINED = 0x93
    CHANNEL_CHANGED = 0x9B
    NETWORK_OPENED = 0x9C
    NETWORK_CLOSED = 0x9D
    SECURITY_STATE_NOT_SET = 0xA8
    SOURCE_ROUTE_FAILURE = 0xA9
    INDEX_OUT_OF_RANGE = 0xB1
    TABLE_ENTRY_ERASED = 0xB6
    LIBRARY_NOT_PRESENT = 0xB5


class EzspStatus(enum.IntEnum):
    """How a command of the serial protocol ended."""

    SUCCESS = 0x00
    ERROR_VERSION_NOT_SET = 0x30
    ERROR_INVALID_FRAME_ID = 0x31
    ERROR_TRUNCATED = 0x33
    ERROR_OUT_OF_MEMORY = 0x35
    ERROR_INVALID_VALUE = 0x36
    ERROR_INVALID_ID = 0x37
    ERROR_INVALID_CALL = 0x38


class SlStatus(enum.IntEnum):
    """How a command of the security manager ended; 32 bits on the line."""

    OK = 0x0000
    NOT_SUPPORTED = 0x000F
    FULL = 0x001C
    INVALID_PARAMETER = 0x0021
    INVALID_INDEX = 0x0027
    NOT_FOUND = 0x002D


class NodeType(enum.IntEnum):
    """What a node is (EmberNodeType)."""

    UNKNOWN = 0x00
    COORDINATOR = 0x01
    ROUTER = 0x02
    END_DEVICE = 0x03
    SLEEPY_END_DEVICE = 0x04


class NetworkStatus(enum.IntEnum):
    """Answer of networkState."""

    NO_NETWORK = 0x00
    JOINED_NETWORK = 0x02


class DeviceUpdate(enum.IntEnum):
    """Why the trust centre speaks of a device."""

    SECURED_REJOIN = 0x00
    UNSECURED_JOIN = 0x01
    DEVICE_LEFT = 0x02


class JoinDecision(enum.IntEnum):
    """What the trust centre did about it."""

    USE_PRECONFIGURED_KEY = 0x00
    NO_ACTION = 0x03


class Incoming(enum.IntEnum):
    """How a message reached the NCP."""

    UNICAST = 0x00
    MULTICAST = 0x02
    MULTICAST_LOOPBACK = 0x03
    BROADCAST = 0x04
    BROADCAST_LOOPBACK = 0x05


class Outgoing(enum.IntEnum):
    """How a message leaves the NCP."""

    DIRECT = 0x00
    VIA_ADDRESS_TABLE = 0x01
    VIA_BINDING = 0x02
    MULTICAST = 0x03
    BROADCAST = 0x06


class ConfigId(enum.IntEnum):
    """Configuration values that have a meaning here; the others are only remembered."""

    PACKET_BUFFER_COUNT = 0x01
    APS_UNICAST_MESSAGE_COUNT = 0x03
    ADDRESS_TABLE_SIZE = 0x05
    MULTICAST_TABLE_SIZE = 0x06
    MAX_END_DEVICE_CHILDREN = 0x11
    KEY_TABLE_SIZE = 0x1E
    APPLICATION_ZDO_FLAGS = 0x2A


class ValueId(enum.IntEnum):
    """Values behind getValue and setValue that are more than remembered bytes."""

    FREE_BUFFERS = 0x03
    VERSION_INFO = 0x11
    NWK_FRAME_COUNTER = 0x23
    APS_FRAME_COUNTER = 0x24


class PolicyId(enum.IntEnum):
    """Policies that have a meaning here."""

    TRUST_CENTER = 0x00
    MESSAGE_CONTENTS_IN_CALLBACK = 0x04


class Tally(enum.IntEnum):
    """Index of a stack counter in the answer of readCounters."""

    MAC_RX_BROADCAST = 0
    MAC_TX_BROADCAST = 1
    MAC_RX_UNICAST = 2
    MAC_TX_UNICAST_SUCCESS = 3
    MAC_TX_UNICAST_FAILED = 5
    APS_RX_BROADCAST = 6
    APS_TX_BROADCAST = 7
    APS_RX_UNICAST = 8
    APS_TX_UNICAST_SUCCESS = 9
    APS_TX_UNICAST_FAILED = 11
    JOIN_INDICATION = 16
    ALLOCATE_PACKET_BUFFER_FAILURE = 27


TALLIES: Final = 40

OPTION_ENCRYPTION: Final = 0x0020
OPTION_RETRY: Final = 0x0040
OPTION_ENABLE_ROUTE_DISCOVERY: Final = 0x0100

ZDO_REQUESTS_REACH_HOST: Final = 0x01
"""Flag of APPLICATION_ZDO_FLAGS: the host hears the requests that the stack answers."""
HOST_ANSWERS_UNSUPPORTED: Final = 0x02
"""Flag of APPLICATION_ZDO_FLAGS: the host hears the requests that the stack cannot answer, and answers them."""

ALLOW_JOINS: Final = 0x01
"""Bit of the trust centre policy."""

SECURITY_GLOBAL_LINK_KEY: Final = 0x0004
SECURITY_HAVE_LINK_KEY: Final = 0x0010
SECURITY_HASHED_LINK_KEY: Final = 0x0084
INITIAL_HAVE_PRECONFIGURED_KEY: Final = 0x0100
INITIAL_HAVE_NETWORK_KEY: Final = 0x0200
INITIAL_NO_FRAME_COUNTER_RESET: Final = 0x1000

NO_NODE: Final = 0xFFFF
NO_INDEX: Final = 0xFF
NO_EUI: Final = 0xFFFF_FFFF_FFFF_FFFF
