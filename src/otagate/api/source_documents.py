"""What the API answers about where firmware comes from: images and sources."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from otagate.api.documents import Document
from otagate.api.problems import Problem, problem_of
from otagate.engine import views
from otagate.model import images
from otagate.model.versions import Version, display_version
from otagate.sources.effects import Left
from otagate.sources.records import Record as Told


class Check(Document):
    """One pre-flight check of an image."""

    name: str
    result: Literal["pass", "fail", "unknown"]
    detail: str


class Image(Document):
    """A stored image. The sha256 is that of the bytes as sent to a device."""

    sha256: str
    file_name: str
    bytes: int
    format: str
    inner_format: str | None = Field(description="what is inside, silicon's maker first, as in `silabs-gbl`; null where nobody can tell")
    manufacturer_code: int | None
    image_type: int | None
    file_version: Version | None
    display_version: str | None
    hardware_min: int | None
    hardware_max: int | None
    header_string: str
    destination: str | None = Field(description="the IEEE address of the only device that may take it")
    checks: tuple[Check, ...]
    added: datetime
    source: str


class Quota(Document):
    """What is left of one limit of a service: so many calls or bytes in any period of so many seconds. `bucket`: of these calls alone."""

    of: Literal["calls", "bytes"]
    left: int
    amount: int
    seconds: int
    bucket: str | None


class SkippedEntry(Document):
    """Something in what a source says that is of no use, and why."""

    what: str
    why: str


class Source(Document):
    """Where firmware comes from."""

    name: str
    type: str
    state: Literal["ok", "degraded", "misconfigured", "offline"]
    sentence: str
    last_success: datetime | None
    next_refresh: datetime | None = None
    quota_left: int | None = Field(default=None, description="calls that may be made now; null where nothing limits them")
    quotas: tuple[Quota, ...] = ()
    skipped_count: int = 0
    skipped: tuple[SkippedEntry, ...] = Field(default=(), description="the first hundred of what is skipped, each with the reason")
    releases: int
    error: Problem | None = Field(default=None, description="why it could not be read last")


class Record(Document):
    """One line of what a service itself recorded. `device` is the hub's id of the device; `details` is what the service says besides."""

    device: str | None
    name: str | None
    status: str | None
    version: str | None
    at: datetime | None
    details: dict[str, str | int | float | bool | None]


def image_document(image: images.Image) -> Image:
    """The document of a stored image."""
    told = image.facts
    return Image(
        sha256=image.sha256,
        file_name=image.file_name,
        bytes=told.size,
        format=told.format,
        inner_format=told.inner_format,
        manufacturer_code=told.manufacturer_code,
        image_type=told.image_type,
        file_version=told.file_version,
        display_version=None if told.file_version is None else display_version(told.file_version),
        hardware_min=told.hardware_min,
        hardware_max=told.hardware_max,
        header_string=told.header_string,
        destination=None if told.destination is None else f"{told.destination:016x}",
        checks=tuple(Check(name=each.name, result=each.result, detail=each.detail) for each in told.checks),
        added=image.added,
        source=image.source,
    )


def source_document(view: views.SourceView) -> Source:
    """The document of a source."""
    return Source(
        name=view.name,
        type=view.type,
        state=view.state,
        sentence=view.sentence,
        last_success=view.last_success,
        next_refresh=view.next_refresh,
        quota_left=view.calls_left,
        quotas=tuple(_quota(each) for each in view.quotas),
        skipped_count=view.left_out,
        skipped=tuple(SkippedEntry(what=each.what, why=each.why) for each in view.skipped),
        releases=view.releases,
        error=None if view.error is None else problem_of(view.error),
    )


def _quota(left: Left) -> Quota:
    limit = left.limit
    return Quota(of=limit.of, left=left.amount, amount=limit.amount, seconds=int(limit.per.total_seconds()), bucket=limit.bucket)


def record_document(record: Told) -> Record:
    """The document of what a service recorded."""
    return Record(device=record.device, name=record.name, status=record.status, version=record.version, at=record.at, details=dict(record.details))
