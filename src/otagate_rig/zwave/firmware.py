"""Firmware for the simulated nodes: the version stands in its first line, what follows is arbitrary."""

from __future__ import annotations

import random


def make_firmware(version: str, size: int = 4_000, *, seed: int = 0) -> bytes:
    """Return `size` bytes that make `version` of the target that they are installed on."""
    head = f"OTAGATE-RIG {version}\n".encode()
    return head + random.Random(f"{version}/{seed}").randbytes(max(0, size - len(head)))  # noqa: S311 - filling, no secret
