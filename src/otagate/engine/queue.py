"""Updates that have not ended: who of those that wait may begin, for what the others wait, and who need not wait any longer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from otagate.engine.course import Course
from otagate.engine.jobs import Jobs
from otagate.engine.roster import Roster
from otagate.engine.tools import Tools
from otagate.engine.waiting import WaitingList
from otagate.model.errors import NotInState
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause, State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.model.versions import same_version
from otagate.policy.admit import Admission, Scene, admit, has_given_up
from otagate.policy.air import Air
from otagate.policy.window import BUILT


class Queue:
    """Asks policy, and writes down what it says; starts nobody. `courses` are the updates that run, `rows` all that have not ended."""

    def __init__(self, *, tools: Tools, courses: Mapping[UpdateId, Course]) -> None:
        self.rows = Roster()
        self._tools = tools
        self._courses = courses
        self._jobs = Jobs(tools=tools)
        self._waiting = WaitingList(pace=tools.waits.pace)
        self._benched: set[UpdateId] = set()  # adopted, but the air had no slot left: their devices are told to wait
        self._knocked: set[UpdateId] = set()
        self._began: float | None = None

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    @property
    def verdicts(self) -> Mapping[UpdateId, Verdict]:
        """For what each update waited at the last look."""
        return self._waiting.verdicts

    def scene(self) -> Scene:
        """The queue and the world at this moment, as admission sees them."""
        return Scene(
            queue=[self._as_knocked(each) for each in self.rows if self.has(each)],
            running=[course.update for course in self._courses.values() if course.update.state is not State.STAGED],
            air=self._air(),
            now=self._tools.clock.now(),
        )

    def foretell(self, draft: Update) -> Verdict | None:
        """For what an update would wait if it were ordered now; None where it would begin."""
        scene = self.scene()
        return admit([draft], scene.running, air=scene.air, now=scene.now).waiting.get(draft.id)

    def has(self, update: Update) -> bool:
        """Whether it waits to begin, or to go on after a restart."""
        return update.id not in self._courses and (update.state is State.QUEUED or update.id in self._benched)

    def has_slot(self, update: Update) -> bool:
        """Whether `policy.admit` would let it on the air beside those that were adopted already, were its device there."""
        air = self._air()
        device = air.devices.get(update.device)
        there = {} if device is None else {device.id: replace(device, online=True, last_seen=self._tools.clock.now())}
        up = {name: replace(radio, up=True, paused=None) for name, radio in air.radios.items()}
        air = replace(air, radios=up, devices={**air.devices, **there}, halted=False)
        running = [course.update for course in self._courses.values() if course.update.device != update.device]
        waiting = admit([replace(update, force=True)], running, air=air, now=self._tools.clock.now()).waiting.get(update.id)
        return waiting is None or waiting.reason != "radio_busy"

    def _as_knocked(self, update: Update) -> Update:
        """A device that asks by itself need not wait for the end of a backoff."""
        if update.id in self._knocked and update.started is not None:
            return replace(update, not_before=None)
        return update

    def _air(self) -> Air:
        tools = self._tools
        still = (each.id for each in self.rows if each.paused or tools.curfew.holds(each.id))
        held = {each.id: verdict for each in self.rows if self.has(each) and (verdict := tools.rollouts.hold(each)) is not None}
        return replace(tools.outlook.air(still=still), held=self._jobs.holds(self.rows) | held, listened=self._listened())

    def _listened(self) -> timedelta:
        """For how long this life of the hub has heard devices, by a clock that nobody sets."""
        return timedelta(0) if self._began is None else timedelta(seconds=self._tools.clock.monotonic() - self._began)

    # --- what is told -----------------------------------------------------------------------------------------------------------------

    def recover(self, left: Iterable[Update]) -> None:
        """Take what the last life of the hub left."""
        self.rows = Roster(left)
        self._jobs.recover(self.rows)

    def listens(self) -> None:
        """From now on devices are heard."""
        self._began = self._tools.clock.monotonic()

    def changed(self, update: Update) -> None:
        """A row is another one."""
        self._jobs.changed(update)
        if not update.ended:
            self.rows.put(update)
            return
        self.rows.remove(update)
        self._waiting.forget(update.id)
        self._knocked.discard(update.id)
        self._benched.discard(update.id)

    def bench(self, update: Update) -> None:
        """It was on the air when the last life ended, and has no slot now."""
        self._benched.add(update.id)

    def knocked(self, updates: Iterable[UpdateId]) -> None:
        """Their device asks for them, or is awake and not for long."""
        self._knocked.update(updates)

    # --- the look ---------------------------------------------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """End what waits in vain: later steps of a job that failed, and what nobody approved in time. Raises StoreUnavailable, IllegalTransition."""
        await self._jobs.settle(list(self.rows))
        now = self._tools.clock.now()
        over = [(each, each.expires) for each in self.rows if each.state is State.PLANNED and each.expires is not None and each.expires <= now]
        if over and self._tools.outlook.house().clock is not None:
            return  # nobody can say whether their time is over
        for row, expires in over:
            if expires < BUILT:  # planned by a clock that was not set: its time begins now
                await self._tools.ledger.amend(row.id, "redated", check=_require_planned, actor="otagate", expires=now + (expires - row.created))
            else:
                await self._tools.ledger.advance(row.id, [Cause.CANCELLED], detail=f"nobody approved it until {expires:%Y-%m-%d %H:%M} UTC")

    def judge(self, scene: Scene) -> Admission:
        """Who may begin, and for what the others wait from now on."""
        admission = admit(scene.queue, scene.running, air=scene.air, now=scene.now)
        self._waiting.verdicts = admission.waiting
        return admission

    async def begin(self, row: Update) -> Update | None:
        """It waits no more: the row as it begins or goes on, None where its device tells that it runs the version already.

        Raises StoreUnavailable, IllegalTransition.
        """
        if row.id not in self._benched:
            if self._runs_already(row):
                await self._tools.ledger.advance(row.id, [Cause.ALREADY_CURRENT], detail="the device tells that it runs this version already")
                return None
            row = await self._tools.ledger.advance(row.id, [Cause.DELEGATED if row.delegated else Cause.ADMITTED])
        self._benched.discard(row.id)
        self._knocked.discard(row.id)
        return row

    def _runs_already(self, update: Update) -> bool:
        """Whether the device told, after the update was made, that it runs the version."""
        device = self._tools.registry.known(update.device)
        if device is None:
            return False
        component = device.component(update.component)
        fresh = device.last_checked is not None and device.last_checked > update.created
        return fresh and component is not None and same_version(component.version, update.to_version)

    async def tell(self, scene: Scene) -> None:
        """Write down for what updates wait, where that is news, and end those of which nobody believes that their device is ever heard again.

        Raises StoreUnavailable, IllegalTransition.
        """
        now = self._tools.clock.monotonic()
        news = self._waiting.news(self.rows, now)
        if news:
            await self._tools.ledger.hold(news)
            self._waiting.told(news, now)
        for update_id, verdict in self.verdicts.items():
            row = self.rows.get(update_id)
            if row is not None and row.state is State.QUEUED and has_given_up(verdict, scene.air, scene.now):
                detail = "the device sleeps, and nothing was heard of it for so long that nobody waits for it any more"
                await self._tools.ledger.advance(update_id, [Cause.CANCELLED], detail=detail, reason="asleep")


def _require_planned(update: Update) -> None:
    if update.state is not State.PLANNED:
        raise NotInState(f"update {update.id} is {update.state}")
