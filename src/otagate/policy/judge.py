"""May this release be taken by this component: allow it, ask an operator, or refuse it.

The order of the rules is the order of what can be overridden: identity and direction first, which nothing overrides but (for the direction) its
own flag; then the operator's wishes, which `force` overrides; then how releases are taken at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Required, TypedDict, Unpack

from otagate.model.devices import Component, Device
from otagate.model.facts import Scalar
from otagate.model.quirks import PLAIN, Quirk
from otagate.model.releases import Release
from otagate.model.verdicts import Guard, Verdict, hold
from otagate.model.versions import display_version, same_version, version_key
from otagate.policy.casebook import EMPTY, LIFTED, Casebook
from otagate.policy.match import keys, match
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line, Rule

_NO_VERSION = 0
"""The Zigbee file version of a device that was never told one."""


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


class Terms(TypedDict, total=False):
    """On what terms releases are judged. `quirk` is that of the component's image type, `casebook` what is known against releases.

    `operator`: a person ordered exactly this, which answers every question and is not bound by the mode. `force` overrides pin, skip and mode,
    `override` those that it names; neither overrides identity or direction. `allow_downgrade` allows an older version and nothing else. `named`: the
    order names this version, whatever channel it is of. `now` is what the age of a release is reckoned from; without it age does not count.
    """

    settings: Required[PolicySettings]
    quirk: Quirk
    casebook: Casebook
    operator: bool
    allow_downgrade: bool
    force: bool
    override: Iterable[Guard]
    named: bool
    now: datetime | None


def judge(device: Device, component: Component, release: Release, **terms: Unpack[Terms]) -> Verdict:
    """Judge one release for one component: what the first rule says that speaks."""
    case = _case(device, component, release, terms)
    for rule in _RULES:
        verdict = rule.judge(case)
        if verdict is not None:
            return verdict
    who = "an operator ordered it" if case.operator else "it is forced" if case.force else "releases are taken automatically"
    return Verdict(decision="allow", sentence=f"The release fits, and {who}.", facts=_facts(case))


def examine(device: Device, component: Component, release: Release, **terms: Unpack[Terms]) -> list[Line]:
    """What every rule says of one release for one component, in the order of `judge`; identity is told key by key."""
    case = _case(device, component, release, terms)
    lines = [rule.line(case) for rule in _RULES[1:]]
    return [*(_answered(line, case) for line in keys(device, case.component, release)), *lines]


def _answered(line: Line, case: _Case) -> Line:
    """A key that is missing decides nothing here: the rule `doubt` asks about all of them."""
    if line.outcome != "ask":
        return line
    answer = " An operator's order answers that." if case.operator else ""
    return replace(line, outcome="pass", reason=None, sentence=line.sentence + answer)


def _case(device: Device, component: Component, release: Release, terms: Terms) -> _Case:
    quirk = terms.get("quirk", PLAIN)
    return _Case(
        device=device,
        component=component if quirk.tells_version else replace(component, version=None, floor=None),
        release=release,
        settings=terms["settings"],
        quirk=quirk,
        casebook=terms.get("casebook", EMPTY),
        operator=terms.get("operator", False),
        allow_downgrade=terms.get("allow_downgrade", False),
        force=terms.get("force", False),
        override=frozenset(terms.get("override", ())),
        named=terms.get("named", False),
        now=terms.get("now"),
    )


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
    runs = case.component.version
    if case.operator or (runs not in (None, _NO_VERSION) and case.release.file_version is not None):
        return None
    why = f"The {'running version' if runs is None else 'version of the file'} is not known"
    if not case.quirk.tells_version:
        why = "Devices of this kind tell a version that they do not run"
    elif runs == _NO_VERSION:
        why = "The device tells version 0, as one does that knows none"
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
        return hold("cooldown", sentence, **_facts(case))
    until = release.released + settings.cooldown
    if until <= case.now:
        return None
    sentence = f"It came out on {release.released:%Y-%m-%d}, and is taken by itself on {until:%Y-%m-%d}."
    return hold("cooldown", sentence, **_facts(case), until=until.isoformat(timespec="seconds"))


def _uses(**facts: Callable[[_Case], Scalar]) -> Callable[[_Case], dict[str, Scalar]]:
    return lambda case: {name: read(case) for name, read in facts.items()}


_VERSIONS = _uses(version=lambda case: case.component.version, file_version=lambda case: case.release.file_version)
_MODE = _uses(mode=lambda case: case.settings.mode)

_RULES: tuple[Rule[_Case], ...] = (
    Rule(name="identity", judge=_identity, passes="It is made for this component."),
    Rule(name="advisory", judge=_advisory, passes="No advisory warns of it."),
    Rule(name="alarm", judge=_alarm, passes="Its source serves the bytes that it promised before."),
    Rule(name="version", judge=_already_current, passes="The component does not run it yet.", uses=_VERSIONS),
    Rule(name="quarantine", judge=_quarantine, passes="It is not quarantined here."),
    Rule(
        name="floor",
        judge=_downgrade,
        passes="It is no step back, or the order allows one.",
        uses=_uses(version=lambda case: case.component.version, floor=lambda case: case.component.floor),
    ),
    Rule(
        name="pin",
        judge=_pin,
        passes="The device is pinned to no other version, or the order overrules that.",
        uses=_uses(pin=lambda case: case.device.pin),
    ),
    Rule(name="skip", judge=_skip, passes="The device does not skip this version, or the order overrules that."),
    Rule(name="mode", judge=_never, passes="The device may take releases.", uses=_MODE),
    Rule(
        name="channel",
        judge=_channel,
        passes="It is of a channel that the device takes.",
        uses=_uses(channel=lambda case: case.release.channel, wanted=lambda case: case.settings.channel),
    ),
    Rule(name="doubt", judge=_doubt, passes="Nothing of what it must fit is unknown, or an operator answers for it."),
    Rule(name="unknown_version", judge=_unknown_version, passes="It can be told which of the two versions is newer, or an operator answers for it."),
    Rule(name="approval", judge=_approval, passes="Nobody must approve it any more.", uses=_MODE),
    Rule(
        name="cooldown",
        judge=_cooldown,
        passes="It is old enough, or somebody wants it now.",
        uses=_uses(
            released=lambda case: None if case.release.released is None else case.release.released.isoformat(timespec="seconds"),
            cooldown_days=lambda case: case.settings.cooldown.days,
        ),
    ),
)


def _facts(case: _Case) -> dict[str, Scalar]:
    return {"version": case.component.version, "file_version": case.release.file_version, "mode": case.settings.mode}
