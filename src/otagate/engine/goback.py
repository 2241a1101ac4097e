"""Back to the last good image: which one that is for a component, or why there is none."""

from __future__ import annotations

from otagate.engine.consultant import Consultant
from otagate.engine.drafts import Past
from otagate.engine.views import WayBack
from otagate.model.devices import Component, Device
from otagate.model.errors import NoRelease, OtagateError, PolicyRefused
from otagate.model.updates import Update
from otagate.model.versions import display_version


def last_good(component: Component, past: Past, consultant: Consultant) -> Update:
    """The update that brought the last good image before the one that runs.

    Raises NoRelease where none did or its image is gone, PolicyRefused where the device would not go back before.
    """
    good = past.good_before(component.id, component.version)
    if not good:
        raise NoRelease(f"there is nothing to roll {component.id} back to: no older version was brought here and proved by the device")
    unwilling = past.would_not_go_back(component.id)
    if unwilling is not None:
        raise PolicyRefused(
            f"{component.id} did not take an older version before (update {unwilling.id}): order one by its version, with a downgrade allowed,"
            " to try it all the same"
        )
    stored = next((each for each in good if each.image is not None and consultant.is_stored(each.image)), None)
    if stored is None:
        version = "" if good[0].to_version is None else display_version(good[0].to_version)
        raise NoRelease(f"{component.id} ran {version} well, but its image is not stored any more: add the file again")
    return stored


def way_back(device: Device, component: Component, past: Past, consultant: Consultant) -> WayBack:
    """Where an order to go back would lead now, and why not where it leads nowhere."""
    try:
        good = last_good(component, past, consultant)
        choice = consultant.consult(device, component, operator=True, image=good.image, version=good.to_version, allow_downgrade=True)
    except OtagateError as error:
        said = str(error)
        return WayBack(sentence=f"{said[0].upper()}{said[1:]}.")
    if choice.chosen is None or good.to_version is None:
        return WayBack(sentence=choice.verdict.sentence)
    sentence = f"It can go back to {display_version(good.to_version)}, which it proved before."
    return WayBack(version=good.to_version, image=good.image, sentence=sentence)
