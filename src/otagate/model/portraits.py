"""Portraits: how a device was set before its update, so that what the update forgets can be noticed and given back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

SettingKind = Literal[
    "on_off",
    "level",
    "start_up_on_off",
    "start_up_level",
    "start_up_color_temperature",
    "group",
    "binding",
    "reporting",
    "association",
    "parameter",
]

Care = Literal["restore", "report", "ignore"]
"""What becomes of settings that an update loses: they are given back, only told, or never looked at."""

FLEETING: Final[frozenset[SettingKind]] = frozenset({"on_off", "level"})
"""What people and clocks change all day: worth giving back in the moment after a restart, and no loss later."""

MOST_SETTINGS: Final = 200
"""Settings of one device that a portrait holds."""

_WORDS: Final[dict[SettingKind, str]] = {
    "on_off": "on or off",
    "start_up_on_off": "StartUpOnOff",
    "start_up_level": "StartUpCurrentLevel",
    "start_up_color_temperature": "StartUpColorTemperatureMireds",
}

_SHOWN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that a device was set to.

    `question`: whose answer told it; what an answer does not tell is not set. `at`: where it is, unique with its kind, as the radio writes it that
    reads it again (`1/0x0005`: group 5 of endpoint 1). `value`: how it is set; empty where being there is all.
    """

    kind: SettingKind
    question: str
    at: str
    value: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        value = f" = {self.value}" if self.value and self.kind != "reporting" else ""
        return f"{_WORDS.get(self.kind, self.kind)} {self.at}{value}"

    @property
    def lasting(self) -> bool:
        """Whether its loss is one."""
        return self.kind not in FLEETING


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What a device told of its settings; `answered` are the questions that it answered whole, and of others nothing is known."""

    answered: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()

    def renewed(self, newer: Portrait) -> Portrait:
        """The same with what a newer one knows better."""
        kept = tuple(each for each in self.settings if each.question not in newer.answered)
        answered = tuple(dict.fromkeys((*self.answered, *newer.answered)))
        return replace(self, answered=answered, settings=(*kept, *newer.settings))

    def value(self, kind: SettingKind, at: str) -> str | None:
        """How something is set; None where nobody knows or it is not set."""
        return next((each.value for each in self.settings if (each.kind, each.at) == (kind, at)), None)

    @property
    def report_due(self) -> int | None:
        """Seconds after which a report of the device comes at the latest; None where it promises none (ZCL 2.5.7.1.6: the maximum interval)."""
        promised = [int.from_bytes(bytes.fromhex(each.value)[3:5], "little") for each in self.settings if each.kind == "reporting"]
        return min((each for each in promised if each not in (0, 0xFFFF)), default=None)

    @property
    def lasting(self) -> Portrait:
        """The same without what changes all day."""
        return replace(
            self,
            answered=tuple(each for each in self.answered if each not in self.fleeting),
            settings=tuple(each for each in self.settings if each.lasting),
        )

    @property
    def fleeting(self) -> tuple[str, ...]:
        """The questions about what changes all day."""
        return tuple(dict.fromkeys(each.question for each in self.settings if not each.lasting))


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What an update did to the settings of its device: how many it kept, and the names of the others.

    `restored` were lost and given back, `lost` are lost, and of `not_compared` the device told nothing afterwards.
    """

    kept: int = 0
    restored: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For people, without a stop at its end; empty where nothing was known before."""
        parts = [] if not self.kept else ["1 setting kept" if self.kept == 1 else f"{self.kept} settings kept"]
        parts += [f"restored: {_list(self.restored)}"] if self.restored else []
        parts += [f"lost: {_list(self.lost)}"] if self.lost else []
        parts += [f"not compared: {_list(self.not_compared)}"] if self.not_compared else []
        return "; ".join(parts)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
