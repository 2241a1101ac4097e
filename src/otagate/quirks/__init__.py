"""Oddities of hardware as data, keyed by manufacturer code, model and image type.

Holds: `zigbee.toml`, and what reads it into `model.quirks.Quirk` values, which the daemon injects into radios, sessions and policy; `advisories`,
which reads those that we ship and an operator's own.

Imports: model, the standard library.

Never: a condition in code about one maker: a new oddity is a key of `Quirk` that sessions, policy or radios understand, and lines of data here.

Add one: an entry in the data file with a comment that says what the device does, and its row in the test. Later entries add to earlier ones.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

from otagate.model.errors import ConfigError
from otagate.model.quirks import PLAIN, Quirk, QuirkOf


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Whom it concerns, and the keys of `Quirk` that it sets; no models or no image types are all of them."""

    codes: frozenset[int]
    models: tuple[str, ...]
    image_types: tuple[int, ...]
    keys: Mapping[str, Any]

    def concerns(self, code: int | None, model: str | None) -> bool:
        return code in self.codes and (not self.models or any(fnmatchcase(model or "", each) for each in self.models))


def read(text: str) -> QuirkOf:
    """The quirks of a data file, as a look-up; what it does not name is plain. Raises ConfigError where the data is wrong."""
    try:
        entries = [_entry(dict(each)) for each in tomllib.loads(text)["device"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"the quirks are damaged: {error}") from None

    def quirk_of(code: int | None, model: str | None) -> Quirk:
        return _gather([each for each in entries if each.concerns(code, model)])

    return quirk_of


def _entry(keys: dict[str, Any]) -> _Entry:
    codes, models, image_types = frozenset(keys.pop("codes")), tuple(keys.pop("models", ())), tuple(keys.pop("image_types", ()))
    keys = {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
    replace(PLAIN, **keys)  # an unknown key is told when the file is read
    return _Entry(codes=codes, models=models, image_types=image_types, keys=keys)


def _gather(entries: Sequence[_Entry]) -> Quirk:
    """What entries say together; an image type has what holds for the whole device, and its own."""
    quirk = PLAIN
    for entry in entries:
        if not entry.image_types:
            quirk = replace(quirk, **entry.keys)
    by_type: dict[int, Quirk] = {}
    for entry in entries:
        for image_type in entry.image_types:
            by_type[image_type] = replace(by_type.get(image_type, quirk), **entry.keys)
    return replace(quirk, by_type=tuple(by_type.items()))


def load() -> QuirkOf:
    """The packaged quirks."""
    return read((files(__name__) / "zigbee.toml").read_text(encoding="utf-8"))
