"""Did the update work? Decided from what the device tells of its version, however that reached us."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.lifecycle import Cause
from otagate.model.updates import Update
from otagate.model.versions import Version, display_version
from otagate.policy.retry import judge_loop

_MISSES = 3
"""So often the old version must be told: some devices announce themselves before they have made the new image theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How the update ends. `completed_transfers` is the count of the loop breaker, to be stored."""

    cause: Cause
    detail: str
    completed_transfers: int
    code: str | None = None


@dataclass(slots=True, kw_only=True)
class Confirmation:
    """Seconds are those in which the device could have been asked: `patience` in all, `settle` after it came back.

    `back`: whether it is known to have come back; after a restart of the hub nobody knows, so the old version proves nothing until it has.
    `honest`: whether devices of its kind tell the version that they run.
    """

    update: Update
    patience: float
    settle: float
    back: bool
    honest: bool = True
    version: Version | None = None
    misses: int = 0
    since: float = 0.0

    def told(self, version: Version | None) -> None:
        """The device told its version, or (None) did not answer."""
        if version is not None:
            self.version = version
            self.misses += not self.update.is_done_by(version)

    def returned(self, spent: float) -> None:
        """The device came back now."""
        if not self.back:
            self.back, self.misses, self.since = True, 0, spent

    def finding(self, spent: float) -> Finding | None:
        """What is certain after `spent` seconds, or None."""
        completed = self.update.completed_transfers
        if self.version is not None and self.update.is_done_by(self.version):
            detail = f"the device tells version {display_version(self.version)}"
            return Finding(cause=Cause.VERSION_MATCHES, detail=detail, completed_transfers=completed)
        settled = self.back and self.misses >= _MISSES and spent - self.since >= self.settle
        if self.version is not None and (settled or spent >= self.patience):
            return self._unchanged(self.version, completed + 1)
        if spent >= self.patience:
            detail = "the device could not be asked for its version after the update"
            return Finding(cause=Cause.EXPIRED, detail=detail, completed_transfers=completed)
        return None

    def _unchanged(self, version: Version, completed: int) -> Finding:
        wanted = "another one" if self.update.to_version is None else display_version(self.update.to_version)
        detail = f"the device took the image and tells version {display_version(version)}, not {wanted}"
        if not self.honest:
            detail = f"{detail}; but devices of its kind tell versions that they do not run, so nobody can say what it runs"
            return Finding(cause=Cause.EXPIRED, detail=detail, completed_transfers=completed, code="version-unprovable")
        loop = judge_loop(completed)
        if loop.allowed:
            return Finding(cause=Cause.MISMATCH, detail=detail, completed_transfers=completed)
        return Finding(cause=Cause.MISMATCH, detail=f"{detail}. {loop.sentence}", completed_transfers=completed, code=loop.code)
