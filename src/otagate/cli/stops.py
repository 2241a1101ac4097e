"""How a command ends: exit codes that scripts can rely on, and the sentence that goes with them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any


class Exit(enum.IntEnum):
    """What the exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    CONFIG = 78
    INTERRUPTED = 130


class Stop(Exception):
    """A command ends here, with a sentence for stderr and an exit code."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.code = code


class ProblemStop(Stop):
    """The daemon answered with a problem (RFC 9457), to a call that carried a token or none."""

    def __init__(self, problem: Mapping[str, Any], *, with_token: bool = False) -> None:
        super().__init__(sentence_of(problem), exit_of(problem))
        self.problem = problem
        self.with_token = with_token


def leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group of a TaskGroup, however deep."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def slug_of(problem: Mapping[str, Any]) -> str:
    """The stable word of a problem: what follows the last slash of its type."""
    return str(problem.get("type", "")).rpartition("/")[2]


_LISTS = {
    "unknown-device": "devices",
    "unknown-update": "updates",
    "unknown-image": "images list",
    "unknown-radio": "radios",
    "unknown-source": "sources",
    "unknown-notifier": "notify list",
    "unknown-rollout": "rollouts list",
}
"""The command that tells what there is, by what there is none of."""


def sentence_of(problem: Mapping[str, Any]) -> str:
    """A problem in one line."""
    title, detail = str(problem.get("title", "the daemon refused")), str(problem.get("detail", ""))
    if detail and (command := _LISTS.get(slug_of(problem))) is not None:
        return f"{detail[:1].upper()}{detail[1:]}: otagate {command} tells what there is"
    return f"{title}: {detail}" if detail else title


def exit_of(problem: Mapping[str, Any]) -> Exit:
    """The exit code of a problem: what policy or compatibility refuses is apart from what the operator or the hub got wrong."""
    slug, status = slug_of(problem), problem.get("status")
    if slug == "shutting-down":
        return Exit.UNREACHABLE
    if slug == "no-release":
        return Exit.REFUSED
    if slug == "already-current":
        return Exit.DONE
    if status in {409, 413} or (status == 422 and slug != "invalid-request"):
        return Exit.REFUSED
    return Exit.USAGE if isinstance(status, int) and 400 <= status < 500 else Exit.FAILED


def worst(codes: list[Exit]) -> Exit:
    """The one code of several outcomes: a failure, then a refusal, then wrong usage."""
    return next((each for each in (Exit.FAILED, Exit.UNREACHABLE, Exit.REFUSED, Exit.USAGE) if each in codes), Exit.DONE)
