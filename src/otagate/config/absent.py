"""What operators may have read of, and this version or this installation does not have: told apart from a slip of the pen.

What gets built leaves its line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from otagate.config.problems import Loc

NOT_SUPPORTED = "is not supported by this version"

_KEYS: Mapping[Loc, frozenset[str]] = MappingProxyType(
    {
        (): frozenset({"windows"}),
        ("policy",): frozenset({"channel", "cooldown", "battery_floor"}),
        ("policy", "rules", "use"): frozenset({"channel", "cooldown", "battery_floor", "window"}),
    }
)
_TYPES: Mapping[Loc, frozenset[str]] = MappingProxyType(
    {
        ("radios",): frozenset({"zigbee2mqtt"}),
    }
)

RADIO_LIBRARIES: Mapping[str, str] = MappingProxyType({"deconz": "zigpy_deconz", "xbee": "zigpy_xbee", "zigate": "zigpy_zigate"})
"""Type of a radio → the library that the extra of the same name installs."""


def absent_key(loc: Loc) -> bool:
    """Whether this unknown key is one of a feature that is not there."""
    return loc[-1] in _KEYS.get(_section(loc[:-1]), ())


def absent_type(loc: Loc, value: object) -> bool:
    """Whether this unknown `type` of a radio or source is one of a feature that is not there."""
    return loc[-1] == "type" and value in _TYPES.get(_section(loc[:-1]), ())


def absent_words() -> list[tuple[Loc, str]]:
    """Every section with each of its words, for the test that none of them is known."""
    keys = [(section, word) for section, words in _KEYS.items() for word in words]
    return keys + [((*section, "type"), word) for section, words in _TYPES.items() for word in words]


def _section(loc: Loc) -> Loc:
    return tuple(part for part in loc if isinstance(part, str))
