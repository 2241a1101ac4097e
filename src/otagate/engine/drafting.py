"""What an operator orders, made into drafts of updates or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from otagate.engine.consultant import Consultant
from otagate.engine.drafts import Past, draft
from otagate.engine.goback import last_good
from otagate.engine.jobs import parts_of
from otagate.engine.ledger import Ledger, busy
from otagate.engine.registry import Registry
from otagate.engine.views import OrderRequest
from otagate.model.devices import Component, Device, Protocol
from otagate.model.errors import AlreadyUpdating, NoRelease, OtagateError, PolicyRefused, RadioUnavailable, Refused, StoreError
from otagate.model.ids import DeviceId, RadioName
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.model.versions import Version, parse_cloud_version, parse_dotted_version, parse_file_version
from otagate.policy.activation import stage
from otagate.policy.chain import Way
from otagate.policy.job import linked
from otagate.policy.plan import Choice
from otagate.policy.retry import judge_loop
from otagate.policy.window import AnyWindow
from otagate.ports import Clock, Radio

_KEPT_BACK = frozenset({AlreadyUpdating.code, PolicyRefused.code, "update-loop"})
"""Why a component gets nothing though there may be something for it; that there is nothing for it is no news beside what others get."""


class Drafting:
    """The same answer for a plan and for an order; nothing is written here."""

    def __init__(
        self,
        *,
        registry: Registry,
        consultant: Consultant,
        ledger: Ledger,
        radios: Mapping[RadioName, Radio],
        clock: Clock,
        windows: Sequence[AnyWindow] = (),
    ) -> None:
        self._windows = windows
        self._registry = registry
        self._consultant = consultant
        self._ledger = ledger
        self._radios = radios
        self._clock = clock

    async def draft(self, device_id: DeviceId, request: OrderRequest, actor: str) -> tuple[list[list[Update]], list[OtagateError]]:
        """What the order makes for one device: the drafts of every component that it fits, and why others are kept back.

        Raises UnknownDevice, RadioUnavailable, NoRelease, AlreadyUpdating, UnknownImage, PolicyRefused (Refused with the verdict's own code).
        """
        device = self._registry.device(device_id)
        if device.radio is None or RadioName(device.radio) not in self._radios:
            raise RadioUnavailable(f"the radio {device.radio!r} of {device_id} is not configured")
        components = [each for each in device.components if request.component in (None, each.id)]
        if not components:
            raise NoRelease(f"{device_id} has told of no component {request.component or 'that can be updated'} yet; check it first")
        if "window" in (request.when, request.activate) and not (self._windows or self._consultant.settings(device).windows):
            raise PolicyRefused("There is no window to wait for: none is configured. Order it for now, or for a time.")
        not_before = _not_before(request)
        past = await self._consultant.past(device_id)
        ways: list[list[Update]] = []
        errors: list[OtagateError] = []
        for component in components:
            if any(each.component == component.id for way in ways for each in way):
                continue  # a part of a release that was chosen already
            try:
                ways.append(await self._drafts(device, component, request, actor=actor, past=past, not_before=not_before))
            except StoreError:
                raise
            except OtagateError as error:
                errors.append(error)
        if not ways:
            raise next((error for error in errors if error.code != NoRelease.code), errors[0])
        return ways, [error for error in errors if error.code in _KEPT_BACK]

    async def _drafts(
        self, device: Device, component: Component, request: OrderRequest, *, actor: str, past: Past, not_before: datetime | None
    ) -> list[Update]:
        await self._require_idle(device, component)
        if request.rollback:
            request = self._back(component, request, past)
        choice = self._consultant.consult(
            device,
            component,
            operator=True,
            image=request.image,
            release=request.release,
            version=_version(device, request),
            allow_downgrade=request.allow_downgrade,
            force=request.force,
            override=request.override,
        )
        way = self._way(device, component, request, choice, past)
        for other, _ in way:
            await self._require_idle(device, other)

        def drafted(one: Component, release: Release) -> Update:
            staging = stage(request.activate, device, one, self._consultant.quirk(device, one), force=request.force)
            if isinstance(staging, Verdict):
                raise refusal(staging)
            made = draft(
                device,
                one,
                release,
                now=self._clock.now(),
                actor=actor,
                past=past,
                allow_downgrade=request.allow_downgrade,
                force=request.force,
                override=request.override,
                because=request.because,
                not_before=not_before,
                staging=staging,
                in_window=request.when == "window",
                priority=request.priority,
            )
            loop = judge_loop(made.completed_transfers)
            if not loop.allowed:
                raise refusal(loop)
            return made if request.rollout is None else replace(made, rollout=request.rollout, wave=request.wave)

        return linked([drafted(*step) for step in way])

    def _way(self, device: Device, component: Component, request: OrderRequest, choice: Choice, past: Past) -> Way:
        """The steps that an order comes to: the files of a release, or those that lead to it and on. Raises Refused."""
        version, chosen = _version(device, request), choice.chosen
        exact = request.image is not None or request.release is not None
        if chosen is None:
            way: Way = []
            if version is not None and not exact:
                way = self._consultant.way_to(device, component, version, force=request.force, override=request.override)
            if not way:
                raise refusal(choice.verdict)
            return way
        if chosen.bundle is not None:
            parts = parts_of(device, chosen, self._consultant.releases_for) if request.component is None else []
            return parts or [(component, chosen)]
        if version is not None or exact or request.allow_downgrade:
            return [(component, chosen)]
        way = self._consultant.steps(device, component, chosen, force=request.force, override=request.override)
        loops = (at for at, (one, each) in enumerate(way) if past.loops(one.id, each))
        return way if request.force else way[: max(1, next(loops, len(way)))]

    def _back(self, component: Component, request: OrderRequest, past: Past) -> OrderRequest:
        """The order of the last good image before the one that runs. Raises what `last_good` does, and PolicyRefused where another is named."""
        if request.version is not None or request.image is not None:
            raise PolicyRefused(
                "A rollback goes to the last good image by itself: leave version and image out, or order them with a downgrade allowed."
            )
        stored = last_good(component, past, self._consultant)
        return replace(request, image=stored.image, version=stored.to_version, allow_downgrade=True)

    async def _require_idle(self, device: Device, component: Component) -> None:
        """Raises AlreadyUpdating."""
        latest = await self._ledger.latest(device.id, component.id)
        if latest is not None and not latest.ended and not latest.gives_way:
            raise busy(latest)


def _not_before(request: OrderRequest) -> datetime | None:
    if not isinstance(request.when, datetime):
        return None
    if request.when.tzinfo is None:
        raise PolicyRefused(f"{request.when.isoformat()} names no time zone, so nobody can say when that is.")
    return request.when


_PARSE: Mapping[Protocol, Callable[[str | int], Version]] = {
    "zigbee": parse_file_version,
    "zwave": parse_dotted_version,
    "cloud": parse_cloud_version,
}


def _version(device: Device, request: OrderRequest) -> Version | None:
    parse = _PARSE[device.protocol]
    try:
        return None if request.version is None else parse(request.version)
    except ValueError as error:
        raise NoRelease(str(error)) from None


def refusal(verdict: Verdict) -> Refused:
    """A verdict as the error that the API makes a problem of."""
    return Refused(verdict.sentence, code=verdict.code, reason=verdict.reason)
