"""Problems (RFC 9457): ONE table from the slug of an error to its HTTP status, and the document that says it.

`type` is the relative reference `/problems/<slug>`; the slug is the error's `code`, the same word that journal and metrics use. Clients compare
the part after the last slash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from otagate.model.errors import OtagateError, Retry
from otagate.model.updates import Failure

TYPE_PREFIX = "/problems/"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What every problem with one slug has in common; `retry_after` is in seconds, where it is known."""

    status: int
    title: str
    retry_after: int | None = None


def _kind(status: int, title: str, retry_after: int | None = None) -> Kind:
    return Kind(status=status, title=title, retry_after=retry_after)


KINDS: MappingProxyType[str, Kind] = MappingProxyType(
    {
        # the request itself
        "malformed-request": _kind(400, "The request cannot be read"),
        "unauthorized": _kind(401, "A valid token is needed"),
        "scope-missing": _kind(403, "The token does not allow this"),
        "origin-refused": _kind(403, "Requests from other web pages are refused"),
        "not-found": _kind(404, "There is no such thing"),
        "method-not-allowed": _kind(405, "This method is not supported here"),
        "request-timeout": _kind(408, "The request took too long to arrive"),
        "body-too-large": _kind(413, "The body is too large"),
        "unsupported-media-type": _kind(415, "The body is of the wrong type"),
        "host-refused": _kind(421, "This host name is not served"),
        "invalid-request": _kind(422, "The request is not valid"),
        "idempotency-key-reused": _kind(422, "The key was given with another order"),
        # images
        "image-unusable": _kind(422, "The image cannot be used"),
        "image-corrupt": _kind(422, "The image is damaged"),
        "incompatible-image": _kind(422, "The image is for another device"),
        "image-too-large": _kind(413, "The image is too large"),
        "several-images": _kind(422, "The file holds several images"),
        # things that do not exist
        "unknown-device": _kind(404, "There is no such device"),
        "unknown-update": _kind(404, "There is no such update"),
        "unknown-image": _kind(404, "There is no such image"),
        "unknown-rollout": _kind(404, "There is no such rollout"),
        "unknown-radio": _kind(404, "There is no such radio"),
        "unknown-source": _kind(404, "There is no such source"),
        "unknown-notifier": _kind(404, "There is no such receiver"),
        "no-release": _kind(404, "No source offers this release"),
        # what an update may not do now
        "already-updating": _kind(409, "An update is under way already"),
        "not-cancellable": _kind(409, "It is too late to cancel"),
        "cannot-pause": _kind(409, "What moves on this radio cannot wait"),
        "in-use": _kind(409, "Another program updates the device"),
        "nothing-to-do": _kind(409, "No device would get an update"),
        "rollout-exists": _kind(409, "A rollout of this name is under way"),
        "wrong-state": _kind(409, "The request does not fit the present state"),
        "already-current": _kind(409, "The device runs this version already"),
        "downgrade-refused": _kind(409, "The release is older than what the device runs"),
        "retries-spent": _kind(409, "Every attempt failed"),
        "checksum-error": _kind(409, "The device found the image damaged"),
        "transfer-aborted": _kind(409, "The transfer was broken off"),
        "transfer-interrupted": _kind(409, "The transfer was interrupted"),
        "not-updatable": _kind(409, "The device does not offer this firmware for update"),
        "unknown-target": _kind(409, "The device has no such firmware target"),
        "predecessor-failed": _kind(409, "An update that goes before failed"),
        "asleep": _kind(409, "The device sleeps"),
        "button-needed": _kind(409, "The device wants its button pressed"),
        "activation-failed": _kind(409, "The device could not use the image"),
        "device-gone": _kind(409, "The device was removed from the network"),
        "driver-error": _kind(502, "The driver of the radio failed"),
        "region-mismatch": _kind(422, "The image is for another radio region"),
        "not-of-this-source": _kind(409, "This kind of source does not do that"),
        "not-on-this-radio": _kind(409, "This kind of radio does not do that"),
        "update-loop": _kind(409, "The device took the image and kept its version"),
        "declined-by-device": _kind(409, "The device declined the image"),
        "cloud-update-failed": _kind(409, "The device's own cloud says that the update failed"),
        "image-rejected-by-device": _kind(409, "The device rejected the image after it had it"),
        "device-lost": _kind(409, "The device did not come back"),
        "device-silent": _kind(409, "The device told the new version and fell silent"),
        "device-mute": _kind(409, "The device does not report any more"),
        "device-restarts": _kind(409, "The device restarts again and again with the new version"),
        "version-unchanged": _kind(409, "The device runs another version than it was sent"),
        "version-unprovable": _kind(409, "Nobody can say which version the device runs"),
        "not-confirmed": _kind(409, "The device's version could not be read"),
        "policy-refused": _kind(409, "Policy refuses this"),
        "battery-low": _kind(409, "The battery is too low"),
        # radios and devices
        "radio-error": _kind(502, "The radio failed"),
        "radio-unavailable": _kind(503, "The radio is not up"),
        "wrong-network": _kind(409, "The radio holds another network"),
        "radio-in-use": _kind(409, "Another program uses the radio"),
        "device-unreachable": _kind(504, "The device does not answer"),
        "device-refused": _kind(502, "The device refused"),
        "transfer-stalled": _kind(504, "The device stopped asking for data"),
        # sources
        "source-unreachable": _kind(502, "The source cannot be reached"),
        "source-refused": _kind(502, "The source refused"),
        "source-unintelligible": _kind(502, "The source's answer cannot be understood"),
        "source-misconfigured": _kind(409, "The source does not serve us as we are configured"),
        "quota": _kind(503, "The source may not be asked again yet"),
        # the hub
        "internal": _kind(500, "Something went wrong in the hub"),
        "store-error": _kind(503, "The status store failed"),
        "store-unavailable": _kind(503, "The status store cannot be written now"),
        "store-corrupt": _kind(500, "The status store is damaged"),
        "not-ready": _kind(503, "The hub is not ready"),
        "busy": _kind(503, "The hub is busy", 5),
        "too-slow": _kind(503, "The hub took too long to answer", 5),
        "shutting-down": _kind(503, "The hub is stopping", 10),
        "too-many-streams": _kind(503, "Too many event streams are open", 30),
    }
)
"""Slug → status and title. Slugs are a promise to clients: add, never rename."""

_FAILED = _kind(409, "The update failed")


class FieldError(BaseModel):
    """What is wrong with one part of the request: `field` is the dotted path inside of the query, the body or the path."""

    model_config = ConfigDict(frozen=True)

    field: str
    location: Literal["body", "query", "path", "header"] = Field(alias="in", serialization_alias="in")
    detail: str


class Problem(BaseModel):
    """A problem as RFC 9457 has it. `retry` says when the same request may succeed; `reason` is the word that an update would wait with."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    retry: Retry = "never"
    reason: str | None = None
    errors: tuple[FieldError, ...] = ()


class RequestError(OtagateError):
    """The API refuses a request before it reaches the hub; `slug` is a key of `KINDS`."""

    def __init__(self, slug: str, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.slug = slug
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


Location = Literal["body", "query", "path", "header"]


def field_error(field: str, location: Location, detail: str) -> FieldError:
    """What is wrong with one field."""
    return FieldError.model_validate({"field": field[:128], "in": location, "detail": detail})


def invalid(field: str, location: Location, detail: str) -> RequestError:
    """The refusal of one field."""
    return RequestError("invalid-request", f"{field}: {detail}", errors=(field_error(field, location, detail),))


def problem(
    slug: str, detail: str, *, kind: Kind | None = None, retry: Retry = "never", reason: str | None = None, errors: Sequence[FieldError] = ()
) -> Problem:
    """The document of a slug; `kind` speaks for a slug that the table lacks."""
    known = KINDS.get(slug) or kind or KINDS["internal"]
    return Problem(type=TYPE_PREFIX + slug, title=known.title, status=known.status, detail=detail, retry=retry, reason=reason, errors=tuple(errors))


def problem_of(error: OtagateError, *, reason: str | None = None) -> Problem:
    """The document of an error."""
    if isinstance(error, RequestError):
        return problem(error.slug, str(error), retry="later" if KINDS[error.slug].retry_after else "never", errors=error.errors)
    told = reason or getattr(error, "reason", None)
    return problem(error.code, str(error), kind=kind_of(error), retry=error.retry, reason=told if isinstance(told, str) else None)


def problem_of_failure(failure: Failure) -> Problem:
    """The document of what ended an update; a code that the table lacks counts as a conflict."""
    return problem(failure.code, failure.detail, kind=_FAILED)


def kind_of(error: OtagateError) -> Kind:
    """The error's own line in the table, or that of its nearest ancestor, so that a new leaf of the error tree keeps its family's status."""
    if isinstance(error, RequestError):
        return KINDS[error.slug]
    codes = (error.code, *(str(getattr(family, "code", "")) for family in type(error).__mro__))
    return next((KINDS[code] for code in codes if code in KINDS), KINDS["internal"])


def headers_of(error: OtagateError) -> dict[str, str]:
    """The header fields that go with an error: Retry-After where it is known."""
    headers = dict(error.headers) if isinstance(error, RequestError) else {}
    if (seconds := kind_of(error).retry_after) is not None:
        headers["Retry-After"] = str(seconds)
    return headers
