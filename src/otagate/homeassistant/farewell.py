"""Takes back at the broker what Home Assistant was shown, where it is to be shown no more: nobody else would ever do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import structlog

from otagate.engine.supervise import outcome
from otagate.homeassistant.discovery import Names
from otagate.homeassistant.kept import entities_of, object_id_of
from otagate.ports import Broker, Message, Wanted

LOG = structlog.get_logger("otagate.homeassistant")

EVERY = 1.0
"""Seconds between two looks at what the broker told."""


@dataclass(slots=True, kw_only=True)
class Farewell:
    """Implements `ports.Listener`. Of what the broker keeps, the messages of this very hub are taken back, each once; nobody else's."""

    broker: Broker
    names: Names
    _kept: dict[str, Collection[str]] = field(default_factory=dict, init=False)

    @property
    def wanted(self) -> Sequence[Wanted]:
        """What the broker keeps of us; a hub that has nothing to do with Home Assistant may not be allowed to know."""
        return (Wanted(filter=self.names.config("+"), kept=True, optional=True),)

    def up(self) -> None:
        """What is kept is told next."""

    def heard(self, message: Message) -> None:
        """Note what is ours."""
        if message.retained and message.payload and (entities := entities_of(message, self.names)) is not None:
            self._kept[object_id_of(message)] = entities

    def down(self) -> None:
        """It is told again."""
        self._kept.clear()

    async def say(self) -> None:
        """Take back what was told, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            if self._kept and self.broker.trouble is None:
                error = await outcome(self._take_back(), what="what Home Assistant is to show no more")
                if error is not None:
                    LOG.info("Home Assistant is told later", why=str(error))

    async def _take_back(self) -> None:
        for object_id, entities in sorted(self._kept.items()):
            for topic in self.names.topics_of(object_id, entities):
                await self.broker.publish(topic, b"", retain=True)
            self._kept.pop(object_id, None)
            LOG.info("Home Assistant shows this no more", what=object_id)
