"""The rig file: what stands on a bench, and the only devices on it that may be updated.

YAML, validated before anything is opened. Every error is one line: `FILE:LINE:COLUMN: KEY: what is wrong`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from hil.firmware import Image
from otagate.config.document import Document, read_document
from otagate.config.kinds import Duration, Folder, Name, RadioPath, Whole
from otagate.config.problems import Loc, Problem, key_name, nearest, render, shown
from otagate.config.section import Section
from otagate.config.settings import ZIGBEE2MQTT, ZWAVE_JS, RadioSettings
from otagate.model.ids import ComponentId, DeviceId, zigbee_component_id, zigbee_device_id, zwave_component_id

T = TypeVar("T")

_MOST_FILE_BYTES = 1 << 20
_ADDRESS = re.compile(r"(?:zigbee-)?([0-9a-f]{16})|(zwave-[0-9a-f]{8}-[1-9][0-9]{0,3})")


class RigFileError(Exception):
    """The rig file cannot be used; the message is one line per error."""


# --- what one value may be ------------------------------------------------------------------------------------------------------------


def _address(value: object) -> object:
    match = _ADDRESS.fullmatch(value.lower().replace(":", "")) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f'{shown(value)} is no IEEE address: write 16 hex digits, highest first, in quotes, as in "00:12:4b:00:24:c0:ff:ee"; '
            'or home id and number of a Z-Wave node, as in "zwave-e1b2c3d4-7"'
        )
    return match[1] or match[2]


def _arguments(value: object) -> object:
    try:
        found = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"{shown(value)} is no command: {error}") from None
    if not found:
        raise ValueError("is no command: write the program and its arguments; no shell reads them")
    return found


def _octets(value: str) -> str:
    if not value or max(value) > "\xff":
        raise ValueError(rf'{shown(value)} are no bytes: write them in double quotes, as in "\xA0\x01\x01\xA2" or "relay on\r\n"')
    return value


def _pattern(value: str) -> str:
    try:
        matches_nothing = re.compile(value).search("") is not None
    except re.error as error:
        raise ValueError(f"{shown(value)} is no regular expression: {error}") from None
    if matches_nothing:
        raise ValueError(f"{shown(value)} fits an empty line, so it says nothing")
    return value


Address = Annotated[str, BeforeValidator(_address)]
Command = Annotated[tuple[str, ...], BeforeValidator(_arguments)]
Octets = Annotated[str, AfterValidator(_octets)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Baudrate = Annotated[Whole, Field(ge=300, le=4_000_000)]


def _some(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty: nothing may be updated, so there is nothing to test")
    return value


# --- the sections ---------------------------------------------------------------------------------------------------------------------


class CommandSwitch(Section):
    """Power switched by a program, such as `uhubctl`; exit status 0 says that it is done."""

    type: Literal["command"]
    off: Command
    on: Command


class SerialSwitch(Section):
    """Power switched by a relay board on a serial port: the bytes that it wants, one character a byte."""

    type: Literal["serial"]
    path: RadioPath
    baudrate: Baudrate = 9600
    off: Octets
    on: Octets


Switch = Annotated[CommandSwitch | SerialSwitch, Field(discriminator="type")]


class BootPatterns(Section):
    """What the device prints when image A, or image B, has started."""

    a: Pattern
    b: Pattern


class ConsoleSettings(Section):
    """The serial console of a device. `forbid` fails a test as soon as a line fits; `dtr` and `rts` are None for what the system does."""

    path: RadioPath
    baudrate: Baudrate = 115_200
    dtr: bool | None = None
    rts: bool | None = None
    forbid: Annotated[tuple[Pattern, ...], Field(max_length=64)] = ()
    boots: BootPatterns | None = None


class ImagePair(Section):
    """Two images that are known to run on the device; B is the newer."""

    a: Image
    b: Image

    @model_validator(mode="after")
    def _are_a_pair(self) -> ImagePair:
        a, b = self.a.facts, self.b.facts
        if self.a.is_zwave != self.b.is_zwave:
            raise ValueError("a pair is for one device: give both images with their version, or none")
        if (a.manufacturer_code, a.image_type) != (b.manufacturer_code, b.image_type):
            raise ValueError(
                f"a is for manufacturer code 0x{a.manufacturer_code:04x}, image type 0x{a.image_type:04x}, and b for "
                f"0x{b.manufacturer_code:04x}, 0x{b.image_type:04x}: a pair is for one device"
            )
        if not self.b.is_newer_than(self.a):
            raise ValueError(f"b ({self.b.display_version}) must be newer than a ({self.a.display_version}): the way back is the downgrade")
        return self


class DeviceUnderTest(Section):
    """One device that may be updated. `patience` bounds one whole update, from the order to the version that was read back.

    `target` is the firmware target of a Z-Wave node that the images are for.
    """

    name: Name
    address: Address
    target: Annotated[Whole, Field(ge=0, le=255)] = 0
    images: ImagePair
    patience: Duration = timedelta(hours=1)
    off_for: Duration = timedelta(seconds=10)
    power: Switch | None = None
    console: ConsoleSettings | None = None

    @property
    def id(self) -> DeviceId:
        """The device as the hub calls it."""
        return DeviceId(self.address) if self.is_zwave else zigbee_device_id(int(self.address, 16))

    @property
    def is_zwave(self) -> bool:
        """Whether it is a node of a Z-Wave network."""
        return self.address.startswith("zwave-")

    @property
    def component(self) -> ComponentId:
        """The component that the pair is for."""
        return zwave_component_id(self.target) if self.is_zwave else zigbee_component_id(self.images.a.image_type)

    @model_validator(mode="after")
    def _has_images_of_its_kind(self) -> DeviceUnderTest:
        if self.is_zwave and not self.images.a.is_zwave:
            raise ValueError('the images of a Z-Wave node do not tell their version: write {file: images/plug-1.7.gbl, version: "1.7"} for each')
        if self.images.a.is_zwave and not self.is_zwave:
            raise ValueError('images with a version beside them are for Z-Wave nodes, whose address is written "zwave-e1b2c3d4-7"')
        return self


class Stick(RadioSettings):
    """The coordinator: as in the hub's own configuration, and what takes its plug out."""

    name: Name = "stick"
    power: Switch | None = None
    permit_join: bool = False
    patience: Duration = timedelta(minutes=2)

    @property
    def where(self) -> str:
        """Its path, or the address of the server that drives it."""
        return self.path or self.url or ""

    def as_radio(self) -> dict[str, Any]:
        """The part that the hub's configuration has too."""
        given = set(RadioSettings.model_fields) & (self.model_fields_set | {"name"})
        return self.model_dump(mode="json", include=given, exclude_none=True)

    @model_validator(mode="after")
    def _opens_only_what_it_can(self) -> Stick:
        if self.type == ZIGBEE2MQTT:
            raise ValueError("a bench has its coordinator to itself: name the stick that zigbee2mqtt drives, and stop zigbee2mqtt meanwhile")
        if self.permit_join and self.type == ZWAVE_JS:
            raise ValueError("permit_join is of Zigbee: include Z-Wave nodes with the program that runs the driver")
        return self


class Rig(Section):
    """A bench. `devices` is the allow-list: what is not in it is never updated. `state_dir` keeps what the hub knows of the network."""

    state_dir: Folder = Field(default=Path("otagate-rig-state"), validate_default=True)
    stick: Stick
    devices: Annotated[tuple[DeviceUnderTest, ...], Field(max_length=64), AfterValidator(_some)]

    @model_validator(mode="after")
    def _is_one_network(self) -> Rig:
        for each in self.devices:
            if each.is_zwave != (self.stick.type == ZWAVE_JS):
                raise ValueError(f"{each.name} ({each.id}) is in no network of a stick of type {self.stick.type}")
        return self

    @property
    def allowed(self) -> frozenset[DeviceId]:
        """The ids of the devices that may be updated."""
        return frozenset(each.id for each in self.devices)


# --- reading --------------------------------------------------------------------------------------------------------------------------


def load(path: Path) -> Rig:
    """Read a rig file; relative paths in it are relative to its folder. Raises RigFileError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise RigFileError(f"{path}: cannot be read: {error.strerror}") from None
    document = read_document(str(path), data)
    if not document.readable:
        raise RigFileError(render(document.problems))
    problems = [*document.problems, *_given_twice(document)]
    try:
        found = Rig.model_validate(document.tree, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise RigFileError(render(problems + _explain(error, document))) from None
    if problems:
        raise RigFileError(render(problems))
    return found


def _given_twice(document: Document) -> list[Problem]:
    devices = document.tree.get("devices")
    problems: list[Problem] = []
    for key in ("name", "address"):
        seen: dict[str, int] = {}
        for index, device in enumerate(devices if isinstance(devices, list) else ()):
            value = device.get(key) if isinstance(device, dict) else None
            if not isinstance(value, str):
                continue
            plain = value.lower().replace(":", "").removeprefix("zigbee-")
            first = seen.setdefault(plain, index)
            if first != index:
                loc: Loc = ("devices", index, key)
                problems.append(Problem(place=document.place_of(loc), key=key_name(loc), text=f"{shown(value)} is that of devices[{first}] already"))
    return problems


def _explain(error: ValidationError, document: Document) -> list[Problem]:
    problems = []
    for each in error.errors(include_url=False):
        loc = _in_the_file(each["loc"], document)
        unknown = each["type"] == "extra_forbidden"
        place = document.place_of_key(loc) if unknown else document.place_of(loc)
        text = _unknown_key(each["loc"]) if unknown else _sentence(each["type"], each.get("ctx", {}), each["input"], each["msg"])
        problems.append(Problem(place=place, key=key_name(loc), text=text))
    return problems


def _in_the_file(loc: Loc, document: Document) -> Loc:
    """The place without the words of a switch's type, which pydantic puts in and the file does not have."""
    return tuple(part for at, part in enumerate(loc) if not (part in _SWITCHES and at and loc[at - 1] == "power"))


_SWITCHES: Mapping[int | str, type[Section]] = {"command": CommandSwitch, "serial": SerialSwitch}
_SECTIONS: Mapping[int | str, type[Section]] = {
    "stick": Stick,
    "devices": DeviceUnderTest,
    "images": ImagePair,
    "console": ConsoleSettings,
    "boots": BootPatterns,
    **_SWITCHES,
}


def _unknown_key(loc: Loc) -> str:
    section = next((_SECTIONS[part] for part in reversed(loc[:-1]) if part in _SECTIONS), Rig)
    known = tuple(section.model_fields)
    return f"unknown key{nearest(str(loc[-1]), known)}: known here are {', '.join(known)}"


def _sentence(kind: str, context: Mapping[str, Any], value: object, otherwise: str) -> str:
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            known = str(context["expected"]).replace("'", "")
            return f"{shown(value)} is not known here: write {known}"
        case "missing":
            return "is missing: this key must be given"
        case "union_tag_invalid" | "union_tag_not_found":
            return "says no known type: write type: command or type: serial"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{shown(value)} is not a section: write its keys below it, each on a line of its own, indented"
        case "string_type":
            return f"{shown(value)} is not text: put it in quotes"
    return f"{shown(value)} is wrong: {otherwise}"
