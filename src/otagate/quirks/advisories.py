"""Advisories from a file: ours, and an operator's own of the same form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from otagate.model.advisories import Advisory
from otagate.model.errors import ConfigError
from otagate.model.ids import Sha256

MOST_BYTES = 1 << 20

_Number = Annotated[int, Field(ge=0, le=0xFFFF, strict=True)]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_Version = Annotated[int, Field(ge=0, le=0xFFFF_FFFF, strict=True)] | Annotated[str, StringConstraints(pattern=r"^\d{1,5}(\.\d{1,5}){0,3}$")]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_FIRST = ("codes", "products", "manufacturers", "models", "sha256")


class _Entry(BaseModel):
    """One advisory as it is written; what the keys mean is said by `Advisory`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sentence: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    source: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    codes: tuple[_Number, ...] = ()
    image_types: tuple[_Number, ...] = ()
    products: tuple[tuple[_Number, _Number, _Number], ...] = ()
    manufacturers: tuple[_Name, ...] = ()
    models: tuple[_Name, ...] = ()
    outside: tuple[_Name, ...] = ()
    sha256: tuple[_Digest, ...] = ()
    min_version: _Version | None = None
    max_version: _Version | None = None
    inner_formats: tuple[_Name, ...] = ()

    def advisory(self) -> Advisory:
        """The value that policy works with."""
        keys: dict[str, Any] = self.model_dump()
        return Advisory(**(keys | {"sha256": tuple(Sha256(each) for each in self.sha256)}))


def read_advisories(text: str) -> tuple[Advisory, ...]:
    """The advisories of a file's text. Raises ConfigError, which names the line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is no TOML: {error}") from None
    entries = document.pop("advisory", [])
    if document or not isinstance(entries, list):
        raise ConfigError(f"line 1: entries begin with [[advisory]]; {', '.join(document) or 'advisory'} means nothing here")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*advisory\s*\]\]", line)]
    return tuple(_entry(each, lines[index] if index < len(lines) else 1) for index, each in enumerate(entries))


def _entry(keys: Mapping[str, Any], line: int) -> Advisory:
    where = f"line {line}: this advisory"
    try:
        entry = _Entry.model_validate(keys)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(f"{where} is wrong at {'.'.join(str(each) for each in first['loc'])}: {first['msg']}") from None
    if not any(getattr(entry, each) for each in _FIRST):
        raise ConfigError(f"{where} is about everything: give one of {', '.join(_FIRST)}")
    return entry.advisory()


def load_advisories() -> tuple[Advisory, ...]:
    """The packaged advisories."""
    return read_advisories((files("otagate.quirks") / "advisories.toml").read_text(encoding="utf-8"))


def read_file(path: Path) -> tuple[Advisory, ...]:
    """The advisories of an operator's file. Blocks; raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text in UTF-8") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path} has more than {MOST_BYTES} bytes")
    try:
        return read_advisories(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
