"""What lies inside the sub-elements: for which silicon it is made, and whether it is undamaged as far as the format lets one see."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from otagate.formats import nxp, silabs, telink
from otagate.formats.zigbee import ELEMENT_LIMIT, SubElement, ZigbeeImage
from otagate.model.images import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The format inside, silicon's maker first, None where it is not known; and the check named `contents`, whose sentence tells of it."""

    inner_format: str | None
    check: Check


def survey(image: ZigbeeImage) -> Contents:
    """Look into every sub-element; costs time in proportion to the image.

    The check fails only where a format that carries its own checksum was recognised and contradicts itself.
    """
    found: list[tuple[str, Check]] = []
    for element in islice(image.elements(), ELEMENT_LIMIT):
        whole = not element.overruns and element.end == image.total_size
        inside = _inside(image, element, whole=whole)
        if inside is not None:
            found.append(inside)
    if not found:
        return Contents(inner_format=None, check=_unknown("What is inside is of no kind that is known here: nothing in it was verified."))
    return Contents(inner_format=found[0][0], check=_summary([check for _, check in found]))


def _inside(image: ZigbeeImage, element: SubElement, *, whole: bool) -> tuple[str, Check] | None:
    """The format in one sub-element, and its check."""
    body = element.data
    if (name := silabs.recognise(body)) is not None:
        return name, silabs.check(body, name, whole=whole)
    if (name := telink.recognise(body)) is not None:
        return name, telink.check(body, whole=whole)
    if (name := nxp.recognise(body)) is not None:
        return name, _unknown("An NXP image: recognised, but it carries no checksum that is known here.")
    if element.offset == image.header_length and telink.is_encrypted(element.tag, body, left=image.total_size - element.end):
        return telink.ENCRYPTED, _unknown("A Telink image encrypted for the device: only the device can verify it.")
    return None


def _summary(checks: list[Check]) -> Check:
    """One check for all: the first that failed, else the first that is not known, else that all are right."""
    for result in ("fail", "unknown"):
        for check in checks:
            if check.result == result:
                return check
    if len(checks) == 1:
        return checks[0]
    return Check(name="contents", result="pass", detail=f"{len(checks)} files inside, each with the right CRC-32. The first: {checks[0].detail}")


def _unknown(detail: str) -> Check:
    return Check(name="contents", result="unknown", detail=detail)
