"""A stick that another program has: how it is borrowed and given back."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from otagate.config.kinds import LocalPath, Whole
from otagate.config.section import Section

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\.(service|target)")
_WORDS = 64
_LONGEST = 4_096


def _command(value: object) -> object:
    """Its words; a systemd unit alone is started."""
    if not isinstance(value, str):
        return value
    if _UNIT.fullmatch(value) is not None and not value.startswith("-"):
        return ("systemctl", "start", value)
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"cannot be read as a command ({error}): write it as a list of words") from None


def _runnable(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not value[0]:
        raise ValueError("is no command: write a program and its words, or a systemd unit as in zigbee2mqtt.service")
    if len(value) > _WORDS or any(len(each) > _LONGEST or "\0" in each for each in value):
        raise ValueError(f"is no command: at most {_WORDS} words of at most {_LONGEST} characters")
    return value


def _owner(value: str) -> str:
    if not 1 <= len(value) <= 64 or not value.isprintable():
        raise ValueError("is no name of a program: give 1 to 64 printable characters")
    return value


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_command),
    AfterValidator(_runnable),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class AdoptSettings(Section):
    """What the other program knows of its network, read anew whenever its stick is borrowed, as `otagate adopt` reads it."""

    from_: Literal["z2m", "zha"] = Field(alias="from")
    """Which program that is: z2m is zigbee2mqtt."""
    path: LocalPath
    """zigbee2mqtt's data folder, or ZHA's zigbee.db. It is only read, so the hub's user must be allowed to."""


class HandOverSettings(Section):
    """Another program has the stick, and the hub borrows it. Commands run without a shell; what they write is not kept, secrets belong into files."""

    take: Command
    """What makes the other program let go of the stick: a systemd unit that is started, or a command; done when it ends with status 0."""
    give_back: Command
    """What lets the other program have it again; likewise. It must do no harm where that has it already."""
    max_minutes: Annotated[Whole, Field(ge=5, le=1_440)] = 60
    """The longest time that the stick is kept at once; then the other program has it for as long."""
    to: Annotated[str, AfterValidator(_owner)] = "the other program"
    """What people call that program, as in zigbee2mqtt."""
    adopt: AdoptSettings | None = None
    """Where that program keeps what it knows, so that devices that joined there meanwhile, and new names, are known here."""
