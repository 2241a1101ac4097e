"""What another program knows of its network, taken over anew while the hub runs and has its stick."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from otagate.adoption.adopt import adopt_into
from otagate.adoption.programs import READERS
from otagate.engine.registry import Registry
from otagate.model.errors import AdoptionError
from otagate.model.ids import RadioName
from otagate.model.networks import KnownNetwork
from otagate.ports import Store

LOG = structlog.get_logger("otagate.adoption")

WITHIN = 60.0
"""Seconds; meanwhile nobody controls the lamps."""


@dataclass(slots=True, kw_only=True)
class Refresh:
    """`program` is the word after `--from`, `path` what it reads. What was taken over last is not taken over twice."""

    program: str
    path: Path
    radio: RadioName
    radio_type: str
    state_dir: Path
    store: Store
    registry: Registry
    _last: KnownNetwork | None = None

    async def run(self) -> None:
        """While nobody has the radio's database open. Raises AdoptionError, WrongNetwork, StoreError; then nothing is changed."""
        try:
            async with asyncio.timeout(WITHIN):
                await self._adopt()
        except TimeoutError:
            raise AdoptionError(f"{self.path} was not read within {WITHIN:.0f} s") from None

    async def _adopt(self) -> None:
        network = await READERS[self.program](self.path, self.radio_type)
        told = _timeless(network)
        if told == self._last:
            return
        report = await adopt_into(self.store, self.registry, network, radio=self.radio, radio_type=self.radio_type, state_dir=self.state_dir)
        self._last = told
        changed = sum(each != "unchanged" for each in report.outcome.values())
        LOG.info("adopted again", radio=self.radio, devices=len(report.outcome), changed=changed, left_out=len(report.left_out))


def _timeless(network: KnownNetwork) -> KnownNetwork:
    """The network without when its devices were heard, which is news every time."""
    return replace(network, devices=tuple(replace(each, last_seen=None) for each in network.devices))
