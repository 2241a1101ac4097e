"""Oddities of hardware as data, keyed by manufacturer code.

Holds: `zigbee.toml`, and what reads it into `model.quirks.Quirk` values, which the daemon injects into radios and sessions.

Imports: model, the standard library.

Never: a condition in code about one maker: a new oddity is a key of `Quirk` that sessions understand, and lines of data here.

Add one: an entry in the data file with a comment that says what the device does, and its row in the test. Later entries add to earlier ones.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files

from otagate.model.errors import ConfigError
from otagate.model.quirks import PLAIN, Quirk


def read(text: str) -> Mapping[int, Quirk]:
    """Manufacturer code → quirk. Raises ConfigError where the data is wrong."""
    found: dict[int, Quirk] = {}
    try:
        for entry in tomllib.loads(text)["maker"]:
            keys = {key: value for key, value in entry.items() if key != "codes"}
            for code in entry["codes"]:
                found[code] = replace(found.get(code, PLAIN), **keys)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"the quirks are damaged: {error}") from None
    return found


def load() -> Callable[[int | None], Quirk]:
    """The packaged quirks, as a look-up by manufacturer code; an unknown maker is plain."""
    known = read((files(__name__) / "zigbee.toml").read_text(encoding="utf-8"))
    return lambda code: known.get(code, PLAIN) if code is not None else PLAIN
