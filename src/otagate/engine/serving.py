"""The order that pins an update's image in the session of its device."""

from __future__ import annotations

from collections.abc import Mapping

from otagate.model.errors import NotForDevice
from otagate.model.ids import image_type_of
from otagate.model.images import ImageFacts
from otagate.model.lifecycle import State
from otagate.model.orders import Adopted, Delegate, Send, Serve, Watch
from otagate.model.updates import Update

ADOPTED: Mapping[State, Adopted] = {
    State.OFFERING: "offering",
    State.TRANSFERRING: "transferring",
    State.STAGED: "staged",
    State.ACTIVATING: "activating",
    State.CONFIRMING: "activating",  # the answer that told it to use the image may have been lost: it asks again
}
"""Where the session of a device takes up an update that this process did not begin."""


def serve_order(
    update: Update,
    image: memoryview,
    facts: ImageFacts,
    *,
    adopted: Adopted | None = None,
    quiet: bool = False,
    together: int = 1,
    at_will: bool = False,
) -> Serve | Send:
    """The order that pins an update's image; `quiet`: it stands still, so nothing is announced until it goes on; `together`: see `Serve`.

    `at_will`: the word to use it is given, and the device need not be told when.

    Raises NotForDevice where a Zigbee component would be sent what is no Zigbee image.
    """
    if image_type_of(update.component) is None:
        return Send(
            update=update.id,
            device=update.device,
            component=update.component,
            image=image,
            from_version=update.from_version,
            to_version=update.to_version,
            hold_activation=update.hold_activation and not at_will,
            adopted=adopted,
        )
    if update.manufacturer_code is None or update.image_type is None or not isinstance(update.to_version, int):
        raise NotForDevice(f"update {update.id} of a Zigbee component names no manufacturer code, image type and file version")
    return Serve(
        update=update.id,
        device=update.device,
        component=update.component,
        manufacturer_code=update.manufacturer_code,
        image_type=update.image_type,
        file_version=update.to_version,
        image=image,
        from_version=update.from_version if isinstance(update.from_version, int) else None,
        hardware_min=facts.hardware_min,
        hardware_max=facts.hardware_max,
        allow_downgrade=update.allow_downgrade,
        hold_activation=update.holds,
        released=at_will,
        together=together,
        begun=update.bytes_sent > 0,
        digest=update.image,
        adopted=adopted or (ADOPTED.get(update.state) if quiet else None),
    )


def delegate_order(update: Update, *, adopted: bool) -> Delegate:
    """The order that has the cloud of a device update it; `adopted`: it may have been told so already."""
    return Delegate(
        update=update.id,
        device=update.device,
        component=update.component,
        source=update.source,
        to_version=update.to_version,
        image=update.image,
        adopted=ADOPTED.get(update.state) if adopted else None,
    )


def watch_order(update: Update) -> Watch:
    """The order that has an update watched that another program began."""
    return Watch(update=update.id, device=update.device, component=update.component)
