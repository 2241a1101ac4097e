"""What both hosts of the Z-Wave benchmark are started for, and what they tell when they are done."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveErrand:
    """The server's address, the image and the version that it makes, the nodes that get it, how many there are, and a directory for state."""

    url: str
    image: bytes
    version: str
    nodes: tuple[int, ...]
    known: int
    state: Path

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> ZwaveErrand:
        """URL IMAGE VERSION NODES KNOWN STATE; nodes with commas between them."""
        url, image, version, nodes, known, state = arguments
        numbers = tuple(int(each) for each in nodes.split(","))
        return cls(url=url, image=Path(image).read_bytes(), version=version, nodes=numbers, known=int(known), state=Path(state))


def tell_done(seconds: float, **more: Any) -> None:
    """Seconds from the word to begin until the last node had told its new version."""
    sys.stdout.write(json.dumps({"done": seconds, **more}) + "\n")
    sys.stdout.flush()
