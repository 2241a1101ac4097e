"""The report of a month, gathered: what there is, what is not as the general rules have it, and which updates ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import partial

from otagate import __version__
from otagate.config.kinds import format_duration
from otagate.engine.audit import Audit
from otagate.engine.cases import Cases
from otagate.engine.consultant import Consultant
from otagate.engine.drafts import Past
from otagate.engine.registry import Registry
from otagate.engine.views import AuditEntry, AuditFilter
from otagate.model.devices import Component, Device, PolicyOverride
from otagate.model.errors import BadFilter
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.versions import Version, display_version, same_version, version_key
from otagate.policy.match import concerns, match
from otagate.policy.plan import Choice, Judged
from otagate.ports import Clock, Store
from otagate.reports.forms import FORMS, Form
from otagate.reports.key import SealKey
from otagate.reports.report import Attempt, Exemption, Item, Journal, Month, Report, Standing

_FACTS = 500
_LOOKED_THROUGH = 5_000
"""Facts of a device in which whoever pinned or skipped is looked for at most."""

_AT_ONCE = 20
"""Devices between two turns of the loop."""

_RULES = "the configuration"


class Reporter:
    """Reads, and changes nothing but to make the key when it is first wanted."""

    def __init__(self, *, store: Store, audit: Audit, registry: Registry, consultant: Consultant, cases: Cases, clock: Clock, key: SealKey) -> None:
        self._store = store
        self._audit = audit
        self._registry = registry
        self._consultant = consultant
        self._cases = cases
        self._clock = clock
        self._key = key
        self._making = asyncio.Lock()

    async def public_key(self) -> str:
        """The public half of the key that seals. Raises StoreUnavailable."""
        async with self._making:
            return await asyncio.to_thread(self._key.public)

    async def sealed(self, month: Month, form: Form) -> bytes:
        """The report as a file. Raises BadFilter for a month that has not begun, StoreUnavailable."""
        report = await self.report(month)
        async with self._making:
            return await asyncio.to_thread(self._sealed, report, form)

    def _sealed(self, report: Report, form: Form) -> bytes:
        shape = FORMS[form]
        return self._key.seal(shape.write(report, self._key.public()), shape.frame)

    async def report(self, month: Month) -> Report:
        """Everything that a report says. Raises BadFilter for a month that has not begun, StoreUnavailable."""
        begins, ends, now = _first(month), _first(month.following), self._clock.now()
        if begins > now:
            raise BadFilter(f"the month {month} has not begun: it begins on {begins:%Y-%m-%d %H:%M %Z}")
        items: list[Item] = []
        exemptions: list[Exemption] = []
        names: dict[DeviceId, str] = {}
        for number, device in enumerate(self._registry.devices()):
            names[device.id] = device.name
            choices, past = self._consultant.offers(device), await self._consultant.past(device.id)
            items += [_item(device, component, choice, past) for component, choice in choices] or [_untold(device)]
            exemptions += await self._wishes(device)
            exemptions += [each for component, choice in choices for each in _warnings(device, component, choice)]
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        exemptions += [
            Exemption(kind="quarantined", device="", name="", what=f"image {sha256}", reason=sentence, by="otagate")
            for sha256, sentence in sorted(self._cases.quarantined().items())
        ]
        ended = [each async for each in self._audit.entries(AuditFilter(since=begins, until=ends - timedelta(microseconds=1)))]
        exemptions += [each for entry in ended for each in _overruled(entry.update, names)]
        chain = await self._audit.verify()
        return Report(
            month=month,
            begins=begins,
            ends=ends,
            made=now,
            version=__version__,
            items=items,
            exemptions=exemptions,
            attempts=[_attempt(each, names) for each in reversed(ended)],
            journal=Journal(holds=chain.holds, sentence=chain.sentence, last=chain.last, chain=chain.chain),
        )

    # --- what is not as the general rules have it ------------------------------------------------------------------------------------------

    async def _wishes(self, device: Device) -> Sequence[Exemption]:
        """What an operator wants of the device alone, and where the configuration never takes a release for it."""
        wanted = dict(_wanted(device))
        facts = await self._amendments(device.id, set(wanted)) if wanted else {}
        found = [_wish(device, field, what, facts.get(field)) for field, what in wanted.items()]
        own = device.policy is not None and device.policy.default is not None
        if not own and self._consultant.settings(device).mode == "never":
            reason = "a rule or the default says so"
            found.append(Exemption(kind="never", device=device.id, name=device.name, what="default never", reason=reason, by=_RULES))
        return found

    async def _amendments(self, device: DeviceId, wanted: set[str]) -> Mapping[str, Fact]:
        """The newest fact of the journal that changed each of these fields, as far as it is kept."""
        found: dict[str, Fact] = {}
        number: int | None = None
        for _ in range(0, _LOOKED_THROUGH, _FACTS):
            facts = await self._store.facts.before(number, limit=_FACTS, subject="device", subject_id=device)
            for fact in facts:
                if fact.kind == "amended":
                    found |= dict.fromkeys(wanted & set(fact.data) - set(found), fact)
            if len(facts) < _FACTS or wanted <= set(found):
                break
            number = facts[-1].number
        return found


def _first(month: Month) -> datetime:
    """The begin of a month by this machine's calendar."""
    return datetime(month.year, month.month, 1).astimezone()


def _untold(device: Device) -> Item:
    """A device that has not told which firmware it has."""
    return Item(
        device=device.id,
        name=device.name,
        room=device.room or "",
        manufacturer=device.manufacturer or "",
        model=device.model or "",
        protocol=device.protocol,
        last_seen=device.last_seen,
    )


def _item(device: Device, component: Component, choice: Choice, past: Past) -> Item:
    newest = _newest(device, component, choice)
    standing = _standing(device, component, newest)
    return replace(
        _untold(device),
        component=component.id,
        installed=_shown(component.version),
        newest="" if newest is None or standing == "unlisted" else newest.release.display_version,
        standing=standing,
        why=newest.verdict.sentence if newest is not None and standing == "behind" else "",
        image=_proven(component, past),
    )


def _proven(component: Component, past: Past) -> str:
    """The image behind what runs, where one of our updates brought it."""
    newest = next((each for each in past.updates if each.component == component.id and each.state is State.SUCCEEDED), None)
    return newest.image or "" if newest is not None and same_version(newest.to_version, component.version) else ""


def _newest(device: Device, component: Component, choice: Choice) -> Judged | None:
    """The newest release that is for this component at all, whatever policy says of taking it."""
    fitting = [
        each for each in choice.trace if concerns(device, component, each.release) and match(device, component, each.release).decision != "refuse"
    ]
    named = [each for each in fitting if each.release.file_version is not None]
    return max(named, key=lambda each: version_key(each.release.file_version), default=None)


def _standing(device: Device, component: Component, newest: Judged | None) -> Standing:
    if component.version is None:
        return "unknown"
    if newest is None or (device.node is not None and device.node.controller):
        return "unlisted"
    return "behind" if _is_newer(newest, component) else "current"


def _is_newer(judged: Judged, component: Component) -> bool:
    return version_key(judged.release.file_version) > version_key(component.version)


def _warnings(device: Device, component: Component, choice: Choice) -> Iterator[Exemption]:
    """Newer releases that are refused because of what is known against them, and a component below what it ran before."""
    whose = partial(Exemption, device=device.id, name=device.name)
    for judged in choice.trace:
        verdict = judged.verdict
        if verdict.reason in ("advisory", "quarantined") and _is_newer(judged, component):
            what = f"{component.id} to {judged.release.display_version}"
            source = verdict.facts.get("source")
            yield whose(kind=verdict.reason, what=what, reason=verdict.sentence, by=str(source or "otagate"))
    if component.floor is not None and component.version is not None and version_key(component.version) < version_key(component.floor):
        what = f"{component.id} runs {_shown(component.version)}"
        yield whose(kind="floor", what=what, reason=f"it ran {_shown(component.floor)} before", by="")


def _overruled(update: Update, names: Mapping[DeviceId, str]) -> Iterator[Exemption]:
    guards = "every guard" if update.force else ", ".join(update.override)
    for kind, what in (("override", guards), ("downgrade", "an older version" if update.allow_downgrade else "")):
        if what:
            yield Exemption(
                kind=kind,
                device=update.device,
                name=names.get(update.device, ""),
                what=f"{what}: {update.component} to {_shown(update.to_version)}",
                reason=update.because or "",
                by=" and ".join(dict.fromkeys(each for each in (update.actor, update.approved_by) if each)),
                since=update.created,
                update=update.id,
            )


def _attempt(entry: AuditEntry, names: Mapping[DeviceId, str]) -> Attempt:
    update = entry.update
    begun, ended = update.started, update.finished or update.created
    return Attempt(
        update=update.id,
        device=update.device,
        name=names.get(update.device, ""),
        component=update.component,
        ordered_by=update.actor,
        approved_by=update.approved_by or "",
        finished=ended,
        started=begun,
        seconds=None if begun is None else (ended - begun).total_seconds(),
        from_version=_shown(update.from_version),
        to_version=_shown(update.to_version),
        image=update.image or "",
        source=update.source,
        retries=entry.retries,
        result=str(update.state),
        failure="" if update.error is None else f"{update.error.detail} ({update.error.code})",
        fact=entry.number,
    )


def _wanted(device: Device) -> Iterator[tuple[str, str]]:
    """What an operator wants of one device alone: the field of it, and in words."""
    if device.pin is not None:
        yield "pin", f"only {display_version(device.pin)}"
    if device.skipped:
        yield "skipped", ", ".join(display_version(each) for each in device.skipped)
    if device.policy is not None:
        yield "policy", _said(device.policy)


def _said(policy: PolicyOverride) -> str:
    given = {each.name: getattr(policy, each.name) for each in fields(policy)}
    told = {name: format_duration(value) if isinstance(value, timedelta) else value for name, value in given.items() if value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


_WISHES = {"pin": "pin", "skipped": "skip", "policy": "policy"}


def _wish(device: Device, field: str, what: str, fact: Fact | None) -> Exemption:
    never = field == "policy" and device.policy is not None and device.policy.default == "never"
    because = None if fact is None else fact.data.get("because")
    return Exemption(
        kind="never" if never else _WISHES[field],
        device=device.id,
        name=device.name,
        what=what,
        reason=str(because or ""),
        by="" if fact is None else fact.actor,
        since=None if fact is None else fact.at,
    )


def _shown(version: Version | None) -> str:
    return "" if version is None else display_version(version)
