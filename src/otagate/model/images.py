"""Images: firmware bytes once fetched and verified, addressed by their sha256."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.devices import Protocol
from otagate.model.ids import Sha256
from otagate.model.releases import Digest
from otagate.model.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One pre-flight check of an image: `detail` is a sentence."""

    name: str
    result: Literal["pass", "fail", "unknown"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image says of itself. `size` is in bytes as sent to a device; hardware bounds are inclusive and both present or both None.

    A Z-Wave image says next to nothing: no manufacturer, product or version, and its `target` only in one maker's container.
    """

    format: str
    size: int
    protocol: Protocol = "zigbee"
    manufacturer_code: int | None = None
    image_type: int | None = None
    file_version: Version | None = None
    stack_version: int | None = None
    header_string: str = ""
    target: int | None = None
    hardware_min: int | None = None
    hardware_max: int | None = None
    security_credential_version: int | None = None
    destination: int | None = None  # 64-bit IEEE address of the only device that may take it
    checks: tuple[Check, ...] = ()
    inner_format: str | None = None  # what the sub-elements hold, silicon's maker first (`silabs-gbl`, `telink`); None where not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A stored image: its address, where its bytes came from, and what they say. `edition`: of the checks that `facts` tells of.

    `models` and `manufacturers`: whom its source offered these bytes for alone; empty where it named nobody. `digests`: what it promised of the file
    as served; empty where it promised nothing. `proofs`: what the file was when it came, and what the image in it is, by digests of every kind: who
    promises one of them means this file; who promises another may mean another wrapper around it.
    """

    sha256: Sha256
    file_name: str
    facts: ImageFacts
    added: datetime
    source: str = "upload"
    edition: int = 1
    models: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    digests: tuple[Digest, ...] = ()
    proofs: tuple[Digest, ...] = ()
