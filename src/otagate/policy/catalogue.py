"""What services offer and what is stored, as one list: a release that is stored already is offered once, with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from otagate.model.releases import Release
from otagate.model.versions import version_key

REPLACED = "{} serves another file under this version now"


def merge(offered: Sequence[Release], stored: Sequence[Release]) -> list[Release]:
    """Offers first, each with the digest and the size of its stored image where it is here; then what is stored and offered by nobody now.

    A file that somebody else brought is the one that is offered where a digest proves it. What its source has replaced by other bytes under the same
    version is nobody's to take.
    """
    here: dict[tuple[object, ...], list[Release]] = {}
    for each in stored:
        here.setdefault(_kind(each), []).append(each)
    own = [_with_image(each, next((image for image in here.get(_kind(each), ())[::-1] if _is_file_of(image, each)), None)) for each in offered]
    taken = {each.sha256 for each in own if each.sha256 is not None}
    merged = [_with_image(each, next((image for image in stored if _is_proven(image, each)), None)) for each in own]
    return merged + [_or_replaced(each, offered) for each in stored if each.sha256 not in taken]


def is_of(image: Release, offer: Release) -> bool:
    """Whether a stored image is the file that this offer is about: the same bytes where both are known, else the same kind of the same source.

    A source may have several files of one kind, each for other models: what it offered for one of them is nobody else's.
    """
    if offer.sha256 is not None:
        return image.sha256 == offer.sha256
    return _kind(image) == _kind(offer) and _is_file_of(image, offer)


def _with_image(offer: Release, image: Release | None) -> Release:
    if image is None or offer.sha256 is not None:
        return offer
    return replace(offer, sha256=image.sha256, size=image.size, inner_format=image.inner_format, file_name=offer.file_name or image.file_name)


def _is_proven(image: Release, offer: Release) -> bool:
    """Whether a digest says that the file which is offered is this one, whoever brought it; an md5 says nothing of who may have made the file."""
    promised = {each for each in offer.digests if each.algorithm != "md5"}
    return bool(promised) and promised <= set(image.proofs) and _kind(image)[1:] == _kind(offer)[1:] and _is_for_same(image, offer)


def _or_replaced(image: Release, offered: Sequence[Release]) -> Release:
    """A stored image that nobody offers now; with an alarm where its source serves another file in its place."""
    if not any(is_promised_otherwise(image, each) and _kind(image) == _kind(each) and _is_for_same(image, each) for each in offered):
        return image
    return replace(image, alarm=f"{REPLACED.format(image.source)}.")


def _is_file_of(image: Release, offer: Release) -> bool:
    return _is_for_same(image, offer) and not is_promised_otherwise(image, offer)


def is_promised_otherwise(image: Release, offer: Release) -> bool:
    """Whether the file that is offered has another digest than the one that was fetched; what nobody promised contradicts nothing."""
    then = {each.algorithm: each.value for each in image.digests}
    return any(then.get(each.algorithm, each.value) != each.value for each in offer.digests)


def _is_for_same(image: Release, offer: Release) -> bool:
    """Whether the bytes were offered for everybody that the offer names; nobody named is everybody."""
    pairs = ((image.models, offer.models), (image.manufacturers, offer.manufacturers))
    return all(set(wanted) <= set(known) if wanted else not known for known, wanted in pairs)


def _kind(release: Release) -> tuple[object, ...]:
    version = version_key(release.file_version)
    return (release.source, release.protocol, release.manufacturer_code, release.image_type, release.target, version)
