"""Who carries notifications, as a port."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from otagate.policy.notices import Notice, Severity, gravest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A notification as it is sent, the same at every try: `id` is what a receiver tells repetitions by, `since` when it was made.

    `more` is how many notices found no room in it.
    """

    id: str
    notifier: str
    since: datetime
    notices: tuple[Notice, ...]
    more: int = 0

    @property
    def severity(self) -> Severity:
        """How much the gravest of it matters."""
        return gravest(each.severity for each in self.notices)

    def document(self) -> bytes:
        """The same for programs, as JSON."""
        told = {"id": self.id, "at": self.since.isoformat(), "notifier": self.notifier, "notices": [row(each) for each in self.notices]}
        return json.dumps(told | {"more": self.more}, ensure_ascii=False, separators=(",", ":")).encode()


def row(notice: Notice) -> dict[str, str]:
    """A notice in JSON."""
    return {"kind": notice.kind, "severity": notice.severity, "at": notice.at.isoformat(), "about": notice.about, "text": notice.text}


class Courier(Protocol):
    """The way to one receiver."""

    async def deliver(self, outgoing: Outgoing) -> None:
        """Hand it over. Raises SourceError where the receiver did not take it, with `until` where it said how long to wait."""
