"""What the operator wants in general; the rules of the configuration give one of these per device."""

from __future__ import annotations

from dataclasses import dataclass, replace

from otagate.model.devices import Mode as Mode
from otagate.model.devices import PolicyOverride


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How releases are taken without an order: `automatic`, after being `ask`ed, or `never`; `retries` counts attempts without progress."""

    mode: Mode = "ask"
    retries: int = 3

    def overridden(self, by: PolicyOverride | None) -> PolicySettings:
        """The same with what an operator wants for one device."""
        if by is None:
            return self
        return replace(
            self,
            mode=self.mode if by.default is None else by.default,
            retries=self.retries if by.retries is None else by.retries,
        )
