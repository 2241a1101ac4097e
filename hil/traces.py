"""A trace: the frames of the OTA Upgrade cluster between one coordinator and its devices, one JSON object a line.

Nothing else of a network is in it, no keys above all. But the firmware is: whoever may not pass that on leaves it out with `without_firmware`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

FORMAT = 1
MAX_LINES = 5_000_000
MAX_FRAME = 256
_BLOCK_RESPONSE = 0x05
_BLOCK_HEAD = 17
"""Octets before the data of a successful Image Block Response: ZCL header 3, status, 13 of fields (ZCL 8, 11.13.8)."""

Way = Literal["in", "out"]


class TraceError(Exception):
    """A file is no trace; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One ZCL frame of cluster 0x0019: `in` from the device with this network address, or `out` to it; `at` seconds from the beginning."""

    at: float
    way: Way
    nwk: int
    endpoint: int
    frame: bytes

    @property
    def tsn(self) -> int:
        """The transaction sequence number."""
        return self.frame[1]

    @property
    def command(self) -> int | None:
        """The command of the cluster, None for a global one (a Default Response)."""
        return self.frame[2] if self.frame[0] & 0x03 == 0x01 else None

    def without_firmware(self) -> Frame:
        """The same frame with zeros for the bytes of an image."""
        if self.command != _BLOCK_RESPONSE or len(self.frame) <= _BLOCK_HEAD:
            return self
        return replace(self, frame=self.frame[:_BLOCK_HEAD] + bytes(len(self.frame) - _BLOCK_HEAD))


def first_line(stack: str) -> str:
    """The line that a trace begins with."""
    return json.dumps({"otagate-trace": FORMAT, "stack": stack}) + "\n"


def line_of(frame: Frame) -> str:
    """One frame as a line."""
    shown = {"at": round(frame.at, 6), "way": frame.way, "nwk": f"0x{frame.nwk:04x}", "endpoint": frame.endpoint, "frame": frame.frame.hex()}
    return json.dumps(shown) + "\n"


def read(file: Path) -> list[Frame]:
    """Every frame of a trace, in order. Raises TraceError."""
    with file.open(encoding="utf-8") as lines:
        return list(_frames(file, lines))


def _frames(file: Path, lines: Iterable[str]) -> Iterator[Frame]:
    for number, line in enumerate(lines, 1):
        try:
            read = json.loads(line)
            if number == 1:
                if read["otagate-trace"] != FORMAT:
                    raise TraceError(f"{file}:1: a trace of format {read['otagate-trace']}, and only {FORMAT} is known here")
            elif number > MAX_LINES:
                raise TraceError(f"{file}: has more than {MAX_LINES} lines")
            else:
                yield _frame(read)
        except (ValueError, KeyError, TypeError) as error:
            raise TraceError(f"{file}:{number}: is no line of a trace: {error!r}") from None


def _frame(read: dict[str, Any]) -> Frame:
    frame = bytes.fromhex(read["frame"])
    if not 3 <= len(frame) <= MAX_FRAME:
        raise ValueError(f"a frame of {len(frame)} bytes")
    if read["way"] not in ("in", "out"):
        raise ValueError(f"way {read['way']!r}")
    return Frame(at=float(read["at"]), way=read["way"], nwk=int(read["nwk"], 16), endpoint=int(read["endpoint"]), frame=frame)
