"""The error tree: every failure that an operator can be told of has a stable code, and every one says when to try again.

`code` is the same word in API problems, in the journal and in metrics; what never gets there has none of its own. Adapters let only their own
family out.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

Retry = Literal["never", "later", "now"]


class OtagateError(Exception):
    """Root of every error that otagate raises on purpose; `str(error)` is one sentence for people."""

    code: ClassVar[str] = "internal"
    retry: ClassVar[Retry] = "never"


class ConfigError(OtagateError):
    """The configuration is wrong; the message names file, line, column and key. Nothing starts with it."""


class ImageError(OtagateError):
    """A firmware image cannot be used."""

    code: ClassVar[str] = "image-unusable"


class Malformed(ImageError):
    """The bytes are not what the format says; the message names the field and its byte offset."""

    code: ClassVar[str] = "image-corrupt"


class IntegrityMismatch(ImageError):
    """A digest, checksum or signature does not fit the bytes."""

    code: ClassVar[str] = "image-corrupt"


class NotForDevice(ImageError):
    """The image is for another device, hardware or silicon."""

    code: ClassVar[str] = "incompatible-image"


class TooLarge(ImageError):
    """The file is larger than the configured limit."""

    code: ClassVar[str] = "image-too-large"


class SeveralImages(ImageError):
    """The file holds several firmware images, and nobody said which of them is meant; the message names them."""

    code: ClassVar[str] = "several-images"


class SourceError(OtagateError):
    """An update service or folder did not give what was asked of it; what is raised is always one of its kinds."""

    retry: ClassVar[Retry] = "later"

    def __init__(self, sentence: str, *, until: datetime | None = None) -> None:
        """`until`: before then there is no use in asking again; None where nobody said."""
        super().__init__(sentence)
        self.until = until


class SourceUnavailable(SourceError):
    """The source cannot be reached or is broken now."""

    code: ClassVar[str] = "source-unreachable"


class SourceRefused(SourceError):
    """The source answered, and its answer is no."""

    code: ClassVar[str] = "source-refused"


class FileGone(SourceRefused):
    """The source offered this file, and says now that it has none such."""


class SourceBusy(SourceError):
    """The source wants to be left alone, or what we may ask of it is used up; `until` says how long."""

    code: ClassVar[str] = "quota"


class SourceMisconfigured(SourceError):
    """The source will not serve us as we are configured: a key, a project, a region. An operator must act."""

    code: ClassVar[str] = "source-misconfigured"
    retry: ClassVar[Retry] = "never"


class SourceUnintelligible(SourceError):
    """The source answered something that cannot be understood."""

    code: ClassVar[str] = "source-unintelligible"


class RadioError(OtagateError):
    """Something between us and the air failed."""

    code: ClassVar[str] = "radio-error"
    retry: ClassVar[Retry] = "later"


class RadioUnavailable(RadioError):
    """The coordinator is not up."""

    code: ClassVar[str] = "radio-unavailable"


class WrongNetwork(RadioError):
    """The coordinator holds another network than the one that was pinned; nothing was written."""

    code: ClassVar[str] = "wrong-network"
    retry: ClassVar[Retry] = "never"


class RadioInUse(RadioError):
    """Another program drives the coordinator; we stay off until an operator acts."""

    code: ClassVar[str] = "radio-in-use"
    retry: ClassVar[Retry] = "never"


class PortHeld(RadioInUse):
    """Another program has the port open, and nothing was sent to it: to look again does no harm, so that is done without an operator."""

    retry: ClassVar[Retry] = "later"


class NotOnThisRadio(RadioError):
    """This kind of radio does not do that; the message says who does."""

    code: ClassVar[str] = "not-on-this-radio"
    retry: ClassVar[Retry] = "never"


class DeviceUnreachable(RadioError):
    """The device does not answer."""

    code: ClassVar[str] = "device-unreachable"


class DeviceRefused(RadioError):
    """The device answered with a status that means no."""

    code: ClassVar[str] = "device-refused"


class BrokerUnavailable(OtagateError):
    """The MQTT broker is not reached, or does not take what it is given. Told by whom it keeps from their work."""

    retry: ClassVar[Retry] = "later"


class AdoptionError(OtagateError):
    """What another program knows of a network cannot be taken over; nothing was changed. Told by the command alone."""


class SessionError(OtagateError):
    """A conversation went wrong in a way that is settled where it is held."""


class LocalProtocolError(SessionError):
    """We asked for something that the state of our own side does not allow: a fault of ours."""


class RemoteProtocolError(SessionError):
    """The device broke the protocol."""


class UpdateError(OtagateError):
    """An update cannot do what was asked of it; what is told to an operator is always one of its kinds."""


class IllegalTransition(UpdateError):
    """The cause does not exist in this state; the state is untouched. Who asked for it answers it; a fault of ours where nobody did."""


class AlreadyUpdating(UpdateError):
    """The component has an update that has not ended."""

    code: ClassVar[str] = "already-updating"


class NotCancellable(UpdateError):
    """It is too late to cancel: the device has the image and the order to use it."""

    code: ClassVar[str] = "not-cancellable"


class CannotPause(UpdateError):
    """What moves cannot be made to wait on this kind of radio; it can only be finished or cancelled."""

    code: ClassVar[str] = "cannot-pause"


class NotInState(UpdateError):
    """The request does not fit the state of the update."""

    code: ClassVar[str] = "wrong-state"


class PolicyRefused(UpdateError):
    """Policy says no; the message carries the reason."""

    code: ClassVar[str] = "policy-refused"


class Refused(PolicyRefused):
    """A verdict as an error: more exact than its class, it carries the verdict's own code and reason word."""

    def __init__(self, sentence: str, *, code: str, reason: str | None, retry: Retry = "never") -> None:
        super().__init__(sentence)
        self.code = code  # type: ignore[misc]
        self.retry = retry  # type: ignore[misc]
        self.reason = reason


class KeyReused(UpdateError):
    """The idempotency key was given before, with another order."""

    code: ClassVar[str] = "idempotency-key-reused"


class NotFound(OtagateError):
    """There is no such thing."""

    code: ClassVar[str] = "not-found"


class UnknownDevice(NotFound):
    """No device has this id."""

    code: ClassVar[str] = "unknown-device"


class UnknownUpdate(NotFound):
    """No update has this id."""

    code: ClassVar[str] = "unknown-update"


class UnknownRollout(NotFound):
    """No rollout has this id."""

    code: ClassVar[str] = "unknown-rollout"


class UnknownImage(NotFound):
    """No image has this sha256."""

    code: ClassVar[str] = "unknown-image"


class UnknownRadio(NotFound):
    """No radio has this name."""

    code: ClassVar[str] = "unknown-radio"


class UnknownSource(NotFound):
    """No source has this name."""

    code: ClassVar[str] = "unknown-source"


class UnknownNotifier(NotFound):
    """No receiver of notifications has this name."""

    code: ClassVar[str] = "unknown-notifier"


class BadFilter(OtagateError):
    """A list cannot be narrowed by this; the message says by what it can be."""

    code: ClassVar[str] = "invalid-request"


class NotOfThisSource(OtagateError):
    """This kind of source does not do that."""

    code: ClassVar[str] = "not-of-this-source"


class NoRelease(NotFound):
    """No source offers a release that was asked for."""

    code: ClassVar[str] = "no-release"


class StoreError(OtagateError):
    """The status store failed."""

    code: ClassVar[str] = "store-error"
    retry: ClassVar[Retry] = "later"


class StoreUnavailable(StoreError):
    """The store cannot be written now (disk full, read-only, locked by another process)."""

    code: ClassVar[str] = "store-unavailable"


class StoreInUse(StoreUnavailable):
    """Another process holds the store, so that nothing starts."""

    retry: ClassVar[Retry] = "never"


class StoreCorrupt(StoreError):
    """The store's file is damaged."""

    code: ClassVar[str] = "store-corrupt"
    retry: ClassVar[Retry] = "never"


class SchemaTooNew(StoreError):
    """The store was written by a newer otagate, so that nothing starts."""

    retry: ClassVar[Retry] = "never"
