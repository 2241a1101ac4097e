"""What the operator wants in general; the rules of the configuration give one of these per device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["automatic", "ask", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How releases are taken without an order: `automatic`, after being `ask`ed, or `never`; `retries` counts attempts without progress."""

    mode: Mode = "ask"
    retries: int = 3
