"""The images of a pair: a Zigbee file says by itself what it is for, of a Z-Wave file the rig file must say which version it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, InstanceOf, TypeAdapter, ValidationInfo

from otagate.config.kinds import LocalPath
from otagate.config.problems import shown
from otagate.formats.identify import identify
from otagate.model.errors import ImageError
from otagate.model.images import ImageFacts
from otagate.model.versions import Version, parse_dotted_version

MOST_IMAGE_BYTES = 16 << 20
_ZWAVE_KEYS = frozenset({"file", "version"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """One image of the pair: where it lies, what it says of itself, and the version that it makes of the device."""

    path: Path
    facts: ImageFacts
    version: Version

    @property
    def image_type(self) -> int:
        """The 16-bit image type of a Zigbee image."""
        return self.facts.image_type or 0

    @property
    def is_zwave(self) -> bool:
        """Whether the rig file gave it with its version, as firmware of a Z-Wave node."""
        return isinstance(self.version, str)

    @property
    def display_version(self) -> str:
        """As people write it."""
        return self.version if isinstance(self.version, str) else f"0x{self.version:08x}"

    def is_newer_than(self, other: Firmware) -> bool:
        """Whether it is; of two protocols neither is."""
        if isinstance(self.version, int) and isinstance(other.version, int):
            return self.version > other.version
        if isinstance(self.version, str) and isinstance(other.version, str):
            return _numbers(self.version) > _numbers(other.version)
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in f"{version}.0".split(".")[:3])


def _read(value: object, info: ValidationInfo) -> object:
    if isinstance(value, Mapping):
        return _of_a_node(value, info)
    path, facts = _facts(value, info)
    if facts.file_version is None:
        raise ValueError(f'{path} does not say which version it is: write {{file: …, version: "1.7"}}')
    return Firmware(path=path, facts=facts, version=facts.file_version)


def _of_a_node(value: Mapping[object, object], info: ValidationInfo) -> Firmware:
    if set(value) != _ZWAVE_KEYS or not isinstance(value["version"], str):
        raise ValueError('write the file and the version that it makes of the node, in quotes: {file: images/plug-1.7.gbl, version: "1.7"}')
    try:
        version = parse_dotted_version(value["version"])
    except ValueError as error:
        raise ValueError(f"{shown(value['version'])} is no version of a Z-Wave node: {error}") from None
    path, facts = _facts(value["file"], info)
    return Firmware(path=path, facts=facts, version=version)


def _facts(value: object, info: ValidationInfo) -> tuple[Path, ImageFacts]:
    path = TypeAdapter(LocalPath).validate_python(value, context=info.context)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_IMAGE_BYTES + 1)
        return path, identify(data, MOST_IMAGE_BYTES, path.name).facts
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ImageError as error:
        raise ValueError(f"{path} is no image that a device takes: {error}") from None


Image = Annotated[InstanceOf[Firmware], BeforeValidator(_read)]
"""In the rig file: the path of a Zigbee image, or the path and the version of a Z-Wave image."""
