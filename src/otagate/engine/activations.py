"""Images that wait on their devices: who may use one now, and what an operator's word to use them comes to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from otagate.engine.course import Course
from otagate.engine.tools import Tools
from otagate.engine.views import ActivationView
from otagate.model.errors import NotInState
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.orders import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Guard, Verdict
from otagate.policy.activation import judge_activation, spared
from otagate.policy.air import Air
from otagate.policy.guards import Watch, asks_around

_TO_COME = "The word is given: the device uses the image as soon as it has all of it."
_TO_COME_ASKED = "The word is given: the device uses the image when it has all of it and nobody whom policy asks says no."
_NOW = "The device is told to use the image."
_SPARED = frozenset({"interlock", "in_use"})
_STANDS_STILL = "The word is given: the device is told when what holds the update back has ended."


class Activations:
    """Decides nothing: policy says who, the ledger writes it, courses tell their devices. `verdicts` says for what the others wait."""

    def __init__(self, *, tools: Tools, courses: Mapping[UpdateId, Course]) -> None:
        self._tools = tools
        self._courses = courses
        self.verdicts: Mapping[UpdateId, Verdict] = {}

    async def look(self) -> Watch:
        """Let everybody use the image whose time has come, all of one moment in one commit; returns whose answer is missing.

        Raises StoreUnavailable.
        """
        tools = self._tools
        watch, air = tools.outlook.watch(), None
        due: dict[str, list[UpdateId]] = {}
        waits: dict[UpdateId, Verdict] = {}
        used = {course.update.job for course in self._courses.values() if _uses_all(course.update)}
        for update in [course.update for course in self._courses.values() if course.update.state is State.STAGED]:
            if tools.held(update):
                continue
            air = air or tools.outlook.air()
            together = update.job is not None and update.job in used
            verdict = judge_activation(update, tools.outlook.settings_of(update), air=air, watch=watch, used=together)
            if verdict.allowed:
                due.setdefault(verdict.sentence, []).append(update.id)
            else:
                waits[update.id] = verdict
        self.verdicts = waits
        for sentence, updates in due.items():
            await tools.ledger.activate(updates, detail=sentence)
        return watch

    async def give(
        self, rows: Collection[Update], *, actor: str, override: Collection[Guard] = (), because: str | None = None
    ) -> list[ActivationView]:
        """Give the word: who is staged, awake, there and need not be spared uses the image now, the others when they can.

        `override`: guards that it overrules, and why. Raises StoreUnavailable.
        """
        tools, air, watch = self._tools, self._tools.outlook.air(), self._tools.outlook.watch()
        given = await tools.ledger.release([each.id for each in rows], actor=actor, override=override, because=because)
        now = [each.id for each in given if self._can_now(each, air, watch)]
        told = {each.id for each in await tools.ledger.activate(now, detail="an operator gave the word", actor=actor)}
        for each in given:
            course = self._courses.get(each.id)
            if course is not None and each.id not in told and not self._asks_around(each):
                course.radio.command(Release(update=each.id))
        return [self._answer(each, air, watch, told=each.id in told) for each in given]

    def _can_now(self, update: Update, air: Air, watch: Watch) -> bool:
        if update.state is not State.STAGED or update.id not in self._courses or self._tools.held(update):
            return False
        return judge_activation(update, self._tools.outlook.settings_of(update), air=air, watch=watch).allowed

    def spared(self, update: Update) -> Verdict | None:
        """Why the device of an update may not be disturbed now."""
        outlook = self._tools.outlook
        return spared(update, outlook.settings_of(update), air=outlook.air(), watch=outlook.watch())

    def _asks_around(self, update: Update) -> bool:
        return asks_around(update, self._tools.outlook.settings_of(update))

    def _answer(self, update: Update, air: Air, watch: Watch, *, told: bool) -> ActivationView:
        if told:
            return ActivationView(update=update.id, device=update.device, outcome="activating", sentence=_NOW)
        reason, sentence = None, _TO_COME_ASKED if self._asks_around(update) else _TO_COME
        if self._tools.held(update):
            reason, sentence = "paused", _STANDS_STILL
        elif update.state is State.STAGED:
            verdict = judge_activation(update, self._tools.outlook.settings_of(update), air=air, watch=watch)
            when = "" if verdict.reason in _SPARED else ", and the device is told when it is heard or asks"
            reason, sentence = verdict.reason, f"The word is given{when}. {verdict.sentence}"
        return ActivationView(update=update.id, device=update.device, outcome="waiting", reason=reason, sentence=sentence)


def _uses_all(update: Update) -> bool:
    """Whether its device was told to use the last of its images, and with it those that it held before."""
    return update.state in (State.ACTIVATING, State.CONFIRMING) and not update.wants_more


def require_held_back(row: Update) -> None:
    """Raises NotInState for an update that needs no word, or none any more."""
    if row.ended or row.state in (State.ACTIVATING, State.CONFIRMING) or not row.hold_activation:
        why = "it holds no image back" if not row.ended and not row.hold_activation else f"it is {row.state}"
        raise NotInState(f"update {row.id} cannot be activated: {why}")
