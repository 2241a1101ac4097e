"""What one decision brings to a device is one job: which of its steps goes when, and what joins it on the way.

The steps are the images for several components (image types, firmware targets), the files of one release, and the steps of a chain of versions. A
device with two processors may tell of the second only when it holds the image for the first and wants more (REQUIRE_MORE_IMAGE, ZCL 8, 11.13.9), so
a job can grow while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from otagate.model.ids import ComponentId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold

FirstSteps = Mapping[tuple[str, ComponentId], int]
"""By job and component."""


def in_turn(ways: Iterable[Sequence[Update]]) -> list[Update]:
    """The steps of several components in the order of their job: the first of each, then the second of each.

    So processors that were built to fit each other are never many versions apart, and one that wants all its images first gets them. The files of one
    release follow each other.
    """
    rounds = zip_longest(*(_rounds(way) for way in ways), fillvalue=())
    return [step for each in rounds for steps in each for step in steps]


def linked(way: Sequence[Update]) -> list[Update]:
    """The drafts of one component as a chain of versions, or those of the files of one release, which are none."""
    return [replace(each, link=at > 0 and (each.release is None or each.release.bundle is None)) for at, each in enumerate(way)]


def as_job(drafts: Sequence[Update], name: str) -> list[Update]:
    """Drafts as steps of one job, to which the ledger gives the id of its first step; one draft alone is none."""
    if len(drafts) < 2:
        return list(drafts)
    return [replace(each, job=name, step=at, steps=len(drafts)) for at, each in enumerate(drafts, 1)]


def first_steps(updates: Iterable[Update]) -> FirstSteps:
    """The lowest step of each job that has not ended, by component: images of several components may lie on a device side by side."""
    found: dict[tuple[str, ComponentId], int] = {}
    for update in updates:
        if update.job is not None:
            key = (update.job, update.component)
            found[key] = min(update.step, found.get(key, update.step))
    return found


def waits_for_step(update: Update, first: FirstSteps) -> Verdict | None:
    """Hold a step (`predecessor`) while one of the same component before it has not ended, wherever that stands."""
    if update.job is None or first.get((update.job, update.component), update.step) >= update.step:
        return None
    return hold("predecessor", f"Step {update.step} of {update.steps} waits for the step before it.")


def failed_before(update: Update, past: Iterable[Update]) -> Update | None:
    """The step before an update that ended without success, so that this one is not begun; None where there is none, or that was taken again."""
    job = [each for each in past if each.job is not None and each.job == update.job]
    return next((each for each in job if each.step < update.step and _in_vain(each) and not _taken_again(each, job)), None)


def goes_on(update: Update, rows: Iterable[Update]) -> bool:
    """Whether the same chain of versions has a further step among `rows`, or the same release another file."""
    later = [each for each in rows if update.job is not None and each.job == update.job and each.step > update.step]
    return any((each.link and each.component == update.component) or _of_one_release(each, update) for each in later)


def _of_one_release(one: Update, other: Update) -> bool:
    bundle = None if one.release is None else one.release.bundle
    return bundle is not None and other.release is not None and other.release.bundle == bundle


def _in_vain(update: Update) -> bool:
    return update.ended and update.state is not State.SUCCEEDED


def _taken_again(update: Update, job: Iterable[Update]) -> bool:
    return any(each.component == update.component and each.id > update.id and not each.link for each in job)


# --- what joins a job on the way ------------------------------------------------------------------------------------------------------------


def host_of(rows: Iterable[Update]) -> Update | None:
    """The update whose device holds its image and wants another one before it uses it; None where there is none."""
    return next((each for each in rows if each.state is State.STAGED and each.wants_more), None)


def joined(host: Update, rows: Iterable[Update], drafts: Sequence[Update]) -> tuple[list[Update], list[Update]]:
    """`drafts` as the next steps of the job of `host`, and those of its `rows` that are changed by it: what has not begun goes behind them."""
    job = host.job or host.id
    mine = [each for each in rows if host.job is not None and each.job == host.job and not _in_vain(each)] or [host]
    begun = max(each.step for each in mine if each.started is not None or each.ended)
    later = sorted((each for each in mine if each.step > begun), key=lambda each: each.step)
    steps = begun + len(drafts) + len(later)
    placed = [replace(each, job=job, step=at, steps=steps) for at, each in enumerate(drafts, begun + 1)]
    moved = [replace(each, job=job, steps=steps) for each in mine if each.step <= begun]
    return placed, moved + [replace(each, step=at, steps=steps) for at, each in enumerate(later, begun + len(drafts) + 1)]


def rest_of(update: Update, past: Iterable[Update]) -> list[Update]:
    """What is left of the job of an update: the last step of each component that did not get there, in the order of the job."""
    if update.job is None:
        return [update]
    last: dict[ComponentId, Update] = {}
    for each in sorted((each for each in past if each.job == update.job), key=lambda each: each.id):
        last[each.component] = each
    return [each for each in last.values() if _in_vain(each)]


def _rounds(way: Sequence[Update]) -> list[list[Update]]:
    """The steps of a chain one by one, the files of a release all at once."""
    rounds: list[list[Update]] = []
    for step in way:
        if step.link or not rounds:
            rounds.append([])
        rounds[-1].append(step)
    return rounds
