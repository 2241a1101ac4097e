"""What the word, or the silence, of a device means for its update: decisions on values, nothing is moved here."""

from __future__ import annotations

from typing import NamedTuple

from otagate.model.lifecycle import Cause
from otagate.model.orders import Serve
from otagate.model.quirks import Quirk
from otagate.sessions import ota_frames as ota
from otagate.sessions.ota_transfer import FALSE_QUERIES, Phase, Transfer


class Verdict(NamedTuple):
    """`causes` of the lifecycle with a sentence; `phase` is entered once they are durable, `park` holds back blocks; `held` as in `Advance`."""

    causes: tuple[Cause, ...]
    detail: str
    phase: Phase | None = None
    park: bool = False
    held: bool = False


GREEDY = Verdict((Cause.STALLED,), "the device asked for more than three times the bytes of the image", park=True)
RELEASED = Verdict((Cause.ACTIVATED,), "the device asked again, and was told to use the image", Phase.ACTIVATED)
RUNS_IT = Verdict((Cause.REBOOTED,), "the device runs the new version without having been told to", Phase.ACTIVATED)


def query_for(order: Serve, request: ota.QueryRequest, quirk: Quirk) -> Verdict:
    """The device asks what there is for it: ACCEPTED, ALREADY_CURRENT or DECLINED."""
    version = request.file_version
    runs = "the device does not know what it runs" if version is None else f"the device runs 0x{version:08x}"
    if runs_it(order, request, quirk):
        return Verdict((Cause.ALREADY_CURRENT,), f"the device already runs 0x{order.file_version:08x}", Phase.OVER)
    if quirk.tells_version and version is not None and version > order.file_version and not order.allow_downgrade:
        return Verdict((Cause.DECLINED,), f"{runs}, newer than 0x{order.file_version:08x}, and no downgrade was allowed", Phase.OVER)
    if not _hardware_fits(order, request.hardware_version):
        detail = f"hardware version {request.hardware_version} is outside {order.hardware_min} to {order.hardware_max} of the image"
        return Verdict((Cause.DECLINED,), detail, Phase.OVER)
    return Verdict((Cause.ACCEPTED,), f"{runs} and was offered 0x{order.file_version:08x}", Phase.SERVING)


def runs_it(order: Serve, request: ota.QueryRequest, quirk: Quirk) -> bool:
    """Whether the device tells that it runs what the order is to bring, and can be believed."""
    return quirk.tells_version and request.file_version == order.file_version


def block_unasked(offset: int) -> Verdict:
    """The device goes on with exactly the offered image: it was being served when somebody's process or attempt ended."""
    return Verdict((Cause.ACCEPTED,), f"the device went on at offset {offset} without a new query", Phase.SERVING)


def end_well(transfer: Transfer) -> Verdict:
    """The device holds and has verified the whole image; the causes that are still missing follow from the phase."""
    hold = (transfer.order.hold_activation and not transfer.released) or transfer.paused
    causes: tuple[Cause, ...] = (Cause.TRANSFERRED,) if hold else (Cause.TRANSFERRED, Cause.ACTIVATED)
    if transfer.phase is Phase.INCOMPLETE:
        causes = (Cause.ACTIVATED,)
    if transfer.phase is Phase.OFFERED:  # it had the last block before this attempt began
        causes = (Cause.ACCEPTED, *causes)
    held = hold and not transfer.order.hold_activation
    return Verdict(causes, "the device holds and has verified the whole image", Phase.HELD if hold else Phase.ACTIVATED, held=held)


def end_badly(transfer: Transfer, status: int) -> Verdict | None:
    """The device ended the upgrade with a failure; None where that changes nothing any more, or ends something older."""
    if transfer.phase is not Phase.SERVING or transfer.parked_at is not None:
        return None
    if status == ota.REQUIRE_MORE_IMAGE and transfer.complete:
        return Verdict((Cause.TRANSFERRED,), "the device holds this image and wants another one before it uses them", Phase.INCOMPLETE)
    word = ota.STATUS_WORDS.get(status, f"status 0x{status:02x}")
    detail = f"the device ended the upgrade with {word} at offset {transfer.high_water}"
    if status == ota.INVALID_IMAGE:
        return Verdict((Cause.IMAGE_REJECTED,), detail, Phase.OVER)
    return Verdict((Cause.ABORTED_BY_DEVICE,), detail, park=True)


def offer_over(transfer: Transfer, seconds: float) -> Verdict:
    """Nobody asked; or the device asked for something else, so that what it told of itself before is not true."""
    if len(transfer.others) >= FALSE_QUERIES:
        other, order = transfer.others[-1], transfer.order
        asks = f"the device asks for manufacturer 0x{other.manufacturer_code:04x} and image type 0x{other.image_type:04x}"
        detail = f"{asks}, and not for the 0x{order.manufacturer_code:04x} and 0x{order.image_type:04x} that it told before"
        return Verdict((Cause.DECLINED,), detail, Phase.OVER)
    return Verdict((Cause.EXPIRED,), f"the device did not ask for the image within {seconds:.0f} s", park=True)


def progress_over(transfer: Transfer, last_refusal: str) -> Verdict:
    """The device came no further; `last_refusal` is what it said last against one of our frames, or empty."""
    if transfer.strayed is not None and not transfer.begun:
        sentence = f"the device goes on at offset {transfer.strayed} with a file that it did not begin here, though it is told to drop it"
    elif transfer.heard > transfer.moved:
        sentence = f"the device asks again and again and makes no progress past offset {transfer.high_water} of {transfer.size}"
    else:
        sentence = f"the device fell silent at offset {transfer.high_water} of {transfer.size}"
    return Verdict((Cause.STALLED,), f"{sentence}; {last_refusal}" if last_refusal else sentence, park=True)


def _hardware_fits(order: Serve, hardware_version: int | None) -> bool:
    if hardware_version is None or order.hardware_min is None or order.hardware_max is None:
        return True
    return order.hardware_min <= hardware_version <= order.hardware_max
