"""What people call things in zigbee2mqtt: `configuration.yaml`, and the files that it leaves devices and groups to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from otagate.adoption.values import ieee_address, label, mapping, number_in, sequence
from otagate.model.errors import AdoptionError
from otagate.model.networks import GROUPS

_BYTE = range(256)
_PAN = range(1, 0xFFFF)
_KEY_BYTES = 16


class _Words(yaml.SafeLoader):
    """Every scalar stays the text that it is: an address is no number here, and a lamp may be called `on`."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the class above has it


def _as_text(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> str:
    value = loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else ""
    return f"!{suffix} {value}"


_Words.add_multi_constructor("!", _as_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Names by IEEE address and by group number; PAN id and network key where they are written there in clear."""

    devices: Mapping[int, str] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    pan_id: int | None = None
    key: bytes | None = field(default=None, repr=False)


def read_yaml(data: bytes, shown: str) -> dict[str, Any]:
    """The mapping that a file holds, all scalars as text; an empty file holds an empty one. Raises AdoptionError that names the place."""
    try:
        document = yaml.load(data.decode(), Loader=_Words)  # noqa: S506 - a SafeLoader that builds text only
    except UnicodeDecodeError as error:
        raise AdoptionError(f"{shown} is no text: byte {error.start} is no UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise AdoptionError(f"{shown}{place}: {error.problem or 'this is no YAML'}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise AdoptionError(f"{shown} is no YAML that can be read") from None
    if document is not None and not isinstance(document, dict):
        raise AdoptionError(f"{shown} is no configuration of zigbee2mqtt: it holds no keys")
    return document or {}


def files_of(document: Mapping[str, Any], section: str) -> tuple[str, ...]:
    """The files that hold this section, where it is not in the document itself; relative to its folder."""
    value = document.get(section)
    named = [value] if isinstance(value, str) else sequence(value)
    return tuple(each for each in named if isinstance(each, str) and each)


def read_settings(document: Mapping[str, Any], devices: list[Mapping[str, Any]], groups: list[Mapping[str, Any]]) -> Settings:
    """Names from the document and from the further files of its sections."""
    advanced = mapping(document.get("advanced"))
    named_devices = [(ieee_address(key), _name(entry)) for section in (mapping(document.get("devices")), *devices) for key, entry in section.items()]
    named_groups = [
        (number_in(key, GROUPS), _name(entry)) for section in (mapping(document.get("groups")), *groups) for key, entry in section.items()
    ]
    return Settings(
        devices={ieee: name for ieee, name in named_devices if ieee is not None and name},
        groups={number: name for number, name in named_groups if number is not None and name},
        pan_id=number_in(advanced.get("pan_id"), _PAN),
        key=_key(advanced.get("network_key")),
    )


def _name(entry: object) -> str:
    return label(mapping(entry).get("friendly_name"))


def _key(written: object) -> bytes | None:
    numbers = [number_in(each, _BYTE) for each in sequence(written)[: _KEY_BYTES + 1]]
    return bytes(each for each in numbers if each is not None) if len(numbers) == _KEY_BYTES and None not in numbers else None
