"""Are these bytes the ones that the release promised, and do they pass their checks? The only maker of a trusted image."""

from __future__ import annotations

from dataclasses import replace

from otagate.model.facts import Scalar
from otagate.model.ids import Sha256
from otagate.model.images import ImageFacts
from otagate.model.releases import Release
from otagate.model.verdicts import Verdict
from otagate.model.versions import Version, display_version


def trust(image: ImageFacts, release: Release, *, sha256: Sha256) -> Verdict:
    """Whether an image may be sent as this release; `sha256` is that of the bytes as sent.

    Refuses with code `image-corrupt` for other bytes, another length or a failed check, and with `incompatible-image` for good bytes of another
    maker, image type or version, as far as the file tells them. Nothing overrides a refusal.
    """
    facts: dict[str, Scalar] = {"sha256": sha256, "size": image.size, "file_version": image.file_version}
    for check in image.checks:
        if check.result == "fail":
            return _refuse(f"The check {check.name!r} of the image failed: {check.detail}", "image-corrupt", facts)
    if release.sha256 is not None and release.sha256 != sha256:
        return _refuse(f"The release promises bytes with sha256 {release.sha256}, these have {sha256}.", "image-corrupt", facts)
    for name, promised, found in (
        ("protocol", release.protocol, image.protocol),
        ("manufacturer code", _word(release.manufacturer_code), _word(image.manufacturer_code)),
        ("image type", _word(release.image_type), _word(image.image_type)),
        ("file version", _version(release.file_version), _version(image.file_version)),
        ("firmware target", release.target, image.target),
    ):
        if found is not None and promised != found:
            return _refuse(f"The release promises {name} {promised}, the image says {found}.", "incompatible-image", facts)
    if release.size != image.size:
        return _refuse(f"The release promises {release.size} bytes, the image has {image.size}.", "image-corrupt", facts)
    return Verdict(decision="allow", sentence="The image is what the release promises.", facts=facts)


def narrow(release: Release, image: ImageFacts) -> Release:
    """The release with the bounds that its image's own header adds, to be matched once more when the bytes are here.

    A source may say less than the file, never more freely: hardware ranges are intersected, a destination in the header counts.
    """
    lows = [bound for bound in (release.hardware_min, image.hardware_min) if bound is not None]
    highs = [bound for bound in (release.hardware_max, image.hardware_max) if bound is not None]
    return replace(
        release,
        inner_format=image.inner_format,
        hardware_min=max(lows, default=None),
        hardware_max=min(highs, default=None),
        destination=release.destination if image.destination is None else image.destination,
    )


def _word(value: int | None) -> str | None:
    return None if value is None else f"0x{value:04x}"


def _version(version: Version | None) -> str | None:
    return None if version is None else display_version(version)


def _refuse(sentence: str, code: str, facts: dict[str, Scalar]) -> Verdict:
    return Verdict(decision="refuse", sentence=sentence, reason="image_mismatch", code=code, facts=facts)
