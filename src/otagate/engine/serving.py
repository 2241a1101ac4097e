"""The order that pins an update's image in the session of its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from otagate.model.images import ImageFacts
from otagate.model.lifecycle import State
from otagate.model.orders import Serve
from otagate.model.updates import Update

Adopted = Literal["offering", "transferring", "staged", "activating"]

ADOPTED: Mapping[State, Adopted] = {
    State.OFFERING: "offering",
    State.TRANSFERRING: "transferring",
    State.STAGED: "staged",
    State.ACTIVATING: "activating",
    State.CONFIRMING: "activating",  # the answer that told it to use the image may have been lost: it asks again
}
"""Where the session of a device takes up an update that this process did not begin."""


def serve_order(update: Update, image: memoryview, facts: ImageFacts, *, adopted: Adopted | None = None) -> Serve:
    """The order that pins an update's image."""
    return Serve(
        update=update.id,
        device=update.device,
        component=update.component,
        manufacturer_code=update.manufacturer_code,
        image_type=update.image_type,
        file_version=update.to_version,
        image=image,
        from_version=update.from_version,
        hardware_min=facts.hardware_min,
        hardware_max=facts.hardware_max,
        allow_downgrade=update.allow_downgrade,
        hold_activation=update.holds,
        adopted=adopted,
    )
