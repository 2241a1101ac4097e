"""What an update that succeeded proved of its device: what policy goes by from now on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from otagate.engine.tools import Tools
from otagate.model.errors import UnknownImage
from otagate.model.updates import Update
from otagate.policy.cost import drained


@dataclass(frozen=True, slots=True, kw_only=True)
class Haul:
    """What its transfer showed: bytes a second (None: as before) over `size` bytes sent in one go, before which the battery had `charged` percent."""

    rate: float | None = None
    size: int = 0
    charged: int | None = None


async def certify(tools: Tools, update: Update, haul: Haul) -> None:
    """Keep what was proved, on disk before the success is, so that no restart in between forgets it."""
    device = tools.registry.known(update.device)
    component = None if device is None else device.component(update.component)
    if device is None or component is None:
        return
    inner_format = None
    with suppress(UnknownImage):
        inner_format = None if update.image is None else tools.library.image(update.image).facts.inner_format
    await tools.registry.proved(
        update.device,
        component.id,
        version=component.version,
        rate=component.rate if haul.rate is None else haul.rate,
        drain=drained(component.drain, haul.size, charged=haul.charged, left=device.battery_percent),
        inner_format=inner_format,
    )
