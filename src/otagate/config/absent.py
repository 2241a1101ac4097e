"""What operators may have read of, and this version or this installation does not have: told apart from a slip of the pen.

What gets built leaves its line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from otagate.config.problems import Loc

NOT_SUPPORTED = "is not supported by this version"

_TYPES: Mapping[Loc, frozenset[str]] = MappingProxyType(
    {
        ("radios",): frozenset({"zigbee2mqtt"}),
    }
)

RADIO_LIBRARIES: Mapping[str, str] = MappingProxyType({"deconz": "zigpy_deconz", "xbee": "zigpy_xbee", "zigate": "zigpy_zigate"})
"""Type of a radio → the library that the extra of the same name installs."""


MQTT_LIBRARY = "aiomqtt"
"""What the extra `mqtt` installs."""


def absent_type(loc: Loc, value: object) -> bool:
    """Whether this unknown `type` of a radio or source is one of a feature that is not there."""
    return loc[-1] == "type" and value in _TYPES.get(_section(loc[:-1]), ())


def absent_words() -> list[tuple[Loc, str]]:
    """Every section with each of its words, for the test that none of them is known."""
    return [((*section, "type"), word) for section, words in _TYPES.items() for word in words]


def _section(loc: Loc) -> Loc:
    return tuple(part for part in loc if isinstance(part, str))
