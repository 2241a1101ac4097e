"""Which of the releases that sources offer is the best for a component; every release gets its verdict, chosen or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from otagate.model.devices import Component, Device
from otagate.model.releases import Release
from otagate.model.verdicts import Verdict
from otagate.model.versions import Version, display_version, same_version, version_key
from otagate.policy.judge import Terms, examine, judge
from otagate.policy.match import concerns
from otagate.policy.trace import Line, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A release with what policy says of it."""

    release: Release
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`chosen` is never a refused release; `verdict` is the chosen one's, or says why there is none. `trace` holds every release, newest first.

    `about`: the one that the verdict is about, None where nobody offers any.
    """

    chosen: Release | None
    verdict: Verdict
    trace: tuple[Judged, ...]
    about: Judged | None = None


def choose(
    device: Device,
    component: Component,
    releases: Sequence[Release],
    *,
    version: Version | None = None,
    **terms: Unpack[Terms],
) -> Choice:
    """The newest release that is allowed; where none is, the newest that will be, then the newest that an operator may approve.

    The order of `releases` does not matter.

    `version` is the only one that may be chosen, where given. `named`: the order named these very releases, so what is for another kind of
    component is told as such and not as "nobody offers one". Going back without naming a version is possible only where no source offers the
    running one: a device that has the newest release is not sent back because somebody may.
    """
    named = terms.get("named", False)
    terms = _named(version, terms)
    judged = [
        Judged(release=each, verdict=judge(device, component, each, **terms))
        for each in sorted(sorted(set(releases), key=_tie), key=_age, reverse=True)
    ]
    trace = tuple(_mark_ambiguous(judged))
    candidates = [each for each in trace if version is None or same_version(each.release.file_version, version)]
    candidates = [each for each in candidates if named or (concerns(device, component, each.release) and not _is_part(each.release))]
    if not candidates:
        return Choice(chosen=None, verdict=_no_release(version), trace=trace)
    current = any(each.verdict.code == "already-current" for each in candidates)
    eligible = [each for each in candidates if not _older(each, component)] if current and version is None else candidates
    for decision in ("allow", "hold", "ask"):
        for each in eligible:
            if each.verdict.decision == decision:
                return Choice(chosen=each.release, verdict=each.verdict, trace=trace, about=each)
    # What is for other hardware says nothing about this device, unless there is nothing else to say.
    telling = [each for each in eligible if each.verdict.code != "incompatible-image"] or eligible
    return Choice(chosen=None, verdict=telling[0].verdict, trace=trace, about=telling[0])


def explain(device: Device, component: Component, choice: Choice, *, version: Version | None = None, **terms: Unpack[Terms]) -> list[Line]:
    """What every rule says of the release that a choice is about, in the order in which they are judged; `terms` are those of the choice."""
    if choice.about is None:
        return [told("offered", choice.verdict, passes="")]
    release, verdict = choice.about.release, choice.about.verdict
    offered = Line(rule="offered", outcome="pass", sentence=f"{release.source} offers {release.display_version}.", facts={"source": release.source})
    rivals = verdict if "rivals" in verdict.facts else None
    ambiguity = told("ambiguity", rivals, passes="No other file claims to be this version.")
    return [offered, *examine(device, component, release, **_named(version, terms)), ambiguity]


def _named(version: Version | None, terms: Terms) -> Terms:
    """An operator's order that tells a version names its releases, whatever channel they are of."""
    return {**terms, "named": terms.get("named", False) or (terms.get("operator", False) and version is not None)}


def _is_part(release: Release) -> bool:
    """A further file of a release: taken with the first one, never by itself, because nobody says which version it holds."""
    return release.bundle is not None and release.file_version is None


def _age(release: Release) -> tuple[int, ...]:
    return version_key(release.file_version)


def _tie(release: Release) -> tuple[str, str, int, str]:
    """A total order among releases of one version: two different ones never compare equal, whatever order they came in."""
    return (release.source, release.sha256 or "", release.size, repr(release))


def _older(judged: Judged, component: Component) -> bool:
    return component.version is not None and version_key(judged.release.file_version) < version_key(component.version)


def _no_release(version: Version | None) -> Verdict:
    named = "" if version is None else f" of version {display_version(version)}"
    return Verdict(decision="refuse", sentence=f"No source offers a release{named} for this component.", code="no-release")


def _mark_ambiguous(judged: Sequence[Judged]) -> list[Judged]:
    """Refuse releases of one version whose bytes differ: nobody can say which are meant. What is refused anyway takes no part."""
    groups: dict[tuple[object, ...], list[Release]] = {}
    for each in judged:
        if each.verdict.decision != "refuse":
            groups.setdefault(_identity(each.release), []).append(each.release)
    return [_against(groups.get(_identity(each.release), ()), each) for each in judged]


def _against(group: Sequence[Release], judged: Judged) -> Judged:
    if judged.verdict.decision == "refuse":
        return judged
    rivals = [other for other in group if _differ(other, judged.release)]
    if not rivals:
        return judged
    candidates = sorted((judged.release, *rivals), key=_tie)
    names = " and ".join(_name(each) for each in candidates[:_NAMED]) + (f" and {len(candidates) - _NAMED} more" if len(candidates) > _NAMED else "")
    known = any(each.sha256 is not None for each in candidates)
    do = "Order one of them by its sha256" if known else "Put the one that is meant on the hub (otagate images add FILE) and order it by its sha256"
    count = "Two" if len(candidates) == 2 else str(len(candidates))
    sentence = f"{count} different files claim to be {judged.release.display_version}: {names}. {do}."
    # Sources that say of the same models that this is their file, and mean other bytes, contradict each other.
    contradict = any(each.source != judged.release.source and set(each.models) == set(judged.release.models) for each in rivals)
    reason = "quarantined" if contradict else "ambiguous"
    return Judged(release=judged.release, verdict=Verdict(decision="refuse", sentence=sentence, reason=reason, facts={"rivals": len(rivals)}))


_NAMED = 4
"""Candidates that a refusal names at most."""


def _identity(release: Release) -> tuple[object, ...]:
    """What it is for, and which version: two that agree in it and differ in their bytes contradict each other."""
    whose = release.bundle if release.file_version is None else None
    version = version_key(release.file_version)
    return (release.protocol, release.manufacturer_code, release.image_type, release.target, release.region, whose, version)


def _differ(one: Release, other: Release) -> bool:
    """Whether two releases are known to be different bytes: by a digest of the same kind, else by length where that is of the image in both."""
    if one.sha256 is not None and other.sha256 is not None:
        return one.sha256 != other.sha256
    digests = {each.algorithm: each.value for each in one.digests}
    common = [digests[each.algorithm] != each.value for each in other.digests if each.algorithm in digests]
    if common:
        return any(common)
    # The length that a service tells may be that of a container around the image, and 0 is none.
    comparable = (one.location is None) == (other.location is None) and one.size and other.size
    return bool(comparable) and one.size != other.size


def _name(release: Release) -> str:
    file_name = f"{release.file_name!r:.80} " if release.file_name else ""
    others = next((f"{each.algorithm} {each.value[:16]}…" for each in release.digests), "no digest")
    digest = f"sha256 {release.sha256}" if release.sha256 else others
    models = f"for model {' or '.join(f'{each!r:.40}' for each in release.models[:3])} " if release.models else ""
    return f"{file_name}{models}of source {release.source!r:.40} ({release.size} bytes, {digest})"
