"""May this release be taken by this component: allow it, ask an operator, or refuse it.

The order of the rules is the order of what can be overridden: identity and direction first, which nothing overrides but (for the direction) its
own flag; then the operator's wishes, which `force` overrides; then how releases are taken at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from otagate.model.devices import Component, Device
from otagate.model.facts import Scalar
from otagate.model.quirks import PLAIN, Quirk
from otagate.model.releases import Release
from otagate.model.verdicts import Guard, Verdict
from otagate.model.versions import display_version, same_version, version_key
from otagate.policy.casebook import EMPTY, LIFTED, Casebook
from otagate.policy.match import match
from otagate.policy.settings import PolicySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One question to the rules."""

    device: Device
    component: Component
    release: Release
    settings: PolicySettings
    quirk: Quirk
    casebook: Casebook
    operator: bool
    allow_downgrade: bool
    force: bool
    override: frozenset[Guard]
    named: bool
    now: datetime | None

    def overrules(self, guard: Guard) -> bool:
        """Whether the order is made against this guard."""
        return self.force or guard in self.override


_Rule = Callable[[_Case], Verdict | None]


def judge(
    device: Device,
    component: Component,
    release: Release,
    *,
    settings: PolicySettings,
    quirk: Quirk = PLAIN,
    casebook: Casebook = EMPTY,
    operator: bool = False,
    allow_downgrade: bool = False,
    force: bool = False,
    override: Iterable[Guard] = (),
    named: bool = False,
    now: datetime | None = None,
) -> Verdict:
    """Judge one release for one component; `quirk` is that of its image type, `casebook` what is known against releases.

    `operator`: a person ordered exactly this, which answers every question and is not bound by the mode. `force` overrides pin, skip and mode,
    `override` those that it names; neither overrides identity or direction. `allow_downgrade` allows an older version and nothing else. `named`: the
    order names this version, whatever channel it is of. `now` is what the age of a release is reckoned from; without it age does not count.
    """
    case = _Case(
        device=device,
        component=component if quirk.tells_version else replace(component, version=None, floor=None),
        release=release,
        settings=settings,
        quirk=quirk,
        casebook=casebook,
        operator=operator,
        allow_downgrade=allow_downgrade,
        force=force,
        override=frozenset(override),
        named=named,
        now=now,
    )
    for rule in _RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    who = "an operator ordered it" if operator else "it is forced" if force else "releases are taken automatically"
    return Verdict(decision="allow", sentence=f"The release fits, and {who}.", facts=_facts(case))


# --- identity and direction ---------------------------------------------------------------------------------------------------------------


def _identity(case: _Case) -> Verdict | None:
    verdict = match(case.device, case.component, case.release)
    return verdict if verdict.decision == "refuse" else None


def _advisory(case: _Case) -> Verdict | None:
    return case.casebook.warns(case.device, case.component, case.release)


def _alarm(case: _Case) -> Verdict | None:
    if case.release.alarm is None:
        return None
    return Verdict(decision="refuse", sentence=case.release.alarm, reason="quarantined", facts=_facts(case))


def _already_current(case: _Case) -> Verdict | None:
    if not same_version(case.component.version, case.release.file_version):
        return None
    sentence = f"The component runs {case.release.display_version} already."
    return Verdict(decision="refuse", sentence=sentence, code="already-current", facts=_facts(case))


def _quarantine(case: _Case) -> Verdict | None:
    return None if LIFTED in case.override else case.casebook.quarantines(case.release)


def _downgrade(case: _Case) -> Verdict | None:
    running, floor, offered = case.component.version, case.component.floor, case.release.file_version
    if offered is None or case.allow_downgrade:
        return None
    if running is not None and version_key(offered) < version_key(running):
        sentence, facts = f"The component runs {display_version(running)}, and {case.release.display_version} is older.", _facts(case)
    elif floor is not None and version_key(offered) < version_key(floor):
        sentence = f"The component ran {display_version(floor)} before, and {case.release.display_version} is older."
        facts = _facts(case) | {"floor": floor}
    else:
        return None
    return Verdict(decision="refuse", sentence=sentence, reason="below_floor", code="downgrade-refused", facts=facts)


# --- wishes that force overrides ----------------------------------------------------------------------------------------------------------


def _pin(case: _Case) -> Verdict | None:
    pin = case.device.pin
    if case.overrules("pinned") or pin is None or same_version(pin, case.release.file_version):
        return None
    sentence = f"The device is pinned to {display_version(pin)}."
    return Verdict(decision="refuse", sentence=sentence, reason="pinned", facts=_facts(case) | {"pin": pin})


def _skip(case: _Case) -> Verdict | None:
    if case.overrules("skipped") or not any(same_version(each, case.release.file_version) for each in case.device.skipped):
        return None
    sentence = f"Version {case.release.display_version} is to be skipped for this device."
    return Verdict(decision="refuse", sentence=sentence, reason="skipped", facts=_facts(case))


def _never(case: _Case) -> Verdict | None:
    if case.operator or case.force or case.settings.mode != "never":
        return None
    sentence = "This device takes no release by itself; an operator may order it."
    return Verdict(decision="refuse", sentence=sentence, facts=_facts(case))


def _channel(case: _Case) -> Verdict | None:
    if case.force or case.named or case.settings.channel == "beta" or case.release.channel == "stable":
        return None
    sentence = f"It is of the channel {case.release.channel}, and this device takes stable releases; an order that names its version takes it."
    return Verdict(decision="refuse", sentence=sentence, facts=_facts(case) | {"channel": case.release.channel})


# --- questions that an operator's order answers -------------------------------------------------------------------------------------------


def _doubt(case: _Case) -> Verdict | None:
    verdict = match(case.device, case.component, case.release)
    return None if case.operator or verdict.allowed else verdict


def _unknown_version(case: _Case) -> Verdict | None:
    if case.operator or (case.component.version is not None and case.release.file_version is not None):
        return None
    whose = "running version" if case.component.version is None else "version of the file"
    why = f"The {whose} is not known" if case.quirk.tells_version else "Devices of this kind tell a version that they do not run"
    sentence = f"{why}, so nobody can say whether the release is newer."
    return Verdict(decision="ask", sentence=sentence, reason="awaiting_approval", facts=_facts(case))


def _approval(case: _Case) -> Verdict | None:
    if case.operator or case.overrules("awaiting_approval") or case.settings.mode == "automatic":
        return None
    return Verdict(decision="ask", sentence="Releases for this device wait for approval.", reason="awaiting_approval", facts=_facts(case))


def _cooldown(case: _Case) -> Verdict | None:
    release, settings = case.release, case.settings
    if case.operator or case.overrules("cooldown") or case.now is None or release.location is None or not settings.cooldown:
        return None
    if release.released is None or release.released > case.now:
        sentence = f"Nobody says when it came out: it is taken by itself {settings.cooldown.days} days after the hub has planned it."
        return Verdict(decision="hold", sentence=sentence, reason="cooldown", facts=_facts(case))
    until = release.released + settings.cooldown
    if until <= case.now:
        return None
    sentence = f"It came out on {release.released:%Y-%m-%d}, and is taken by itself on {until:%Y-%m-%d}."
    facts = _facts(case) | {"until": until.isoformat(timespec="seconds")}
    return Verdict(decision="hold", sentence=sentence, reason="cooldown", facts=facts)


_RULES: tuple[_Rule, ...] = (
    _identity,
    _advisory,
    _alarm,
    _already_current,
    _quarantine,
    _downgrade,
    _pin,
    _skip,
    _never,
    _channel,
    _doubt,
    _unknown_version,
    _approval,
    _cooldown,
)


def _facts(case: _Case) -> dict[str, Scalar]:
    return {"version": case.component.version, "file_version": case.release.file_version, "mode": case.settings.mode}
