"""Who runs: owns a task for each update that the queue lets begin, and brings them what their radios tell."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog

from otagate.engine.activations import Activations
from otagate.engine.closing import heed_windows
from otagate.engine.course import Course
from otagate.engine.drafts import foreign_draft
from otagate.engine.life import Life
from otagate.engine.mailbox import Changed, Heard, Letter, Returned, Told
from otagate.engine.parking import Parking
from otagate.engine.queue import Queue
from otagate.engine.supervise import outcome
from otagate.engine.tools import Tools
from otagate.model.devices import Component
from otagate.model.errors import ImageError, StoreError, UnknownImage, UpdateError
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Order, Pause, Resume
from otagate.model.rollouts import Rollout, RolloutState
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.model.versions import Version
from otagate.policy.admit import Admission, with_asked
from otagate.policy.air import ON_THE_AIR
from otagate.policy.window import AnyWindow
from otagate.ports import ForeignTransfer, Knocked, Radio, TransferAdvanced, TransferProgressed

LOG = structlog.get_logger("otagate.conductor")

_LOOK_EVERY = 5.0
_QUESTIONS = 4
"""Devices of one radio that courses may ask for their versions at the same time."""


class Conductor:
    """A task per admitted update; everything else about an update is in its row."""

    def __init__(self, *, tools: Tools, radios: Mapping[RadioName, Radio]) -> None:
        self._tools = tools
        self._radios = radios
        self._questions = {name: asyncio.Semaphore(_QUESTIONS) for name in radios}
        self._courses: dict[UpdateId, Course] = {}
        self.queue = Queue(tools=tools, courses=self._courses)
        self._parking = Parking(tools=tools, radios=radios, queue=self.queue)
        self.activations = Activations(tools=tools, courses=self._courses)
        self._wake = asyncio.Event()
        self._stopping = False
        self._asking: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        tools.ledger.watch(self._changed)
        tools.halt.watch(self._halted)
        tools.radio_pauses.watch(self._radio_paused)
        tools.rollouts.watch(self._rollout_changed)

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def course(self, update: UpdateId) -> Course | None:
        """The running course of an update."""
        return self._courses.get(update)

    def courses(self) -> list[Course]:
        """Every running course."""
        return list(self._courses.values())

    def waits_for(self, update: UpdateId) -> Verdict | None:
        """For what an update waited at the last look, as a `hold` with its sentence."""
        return self.queue.verdicts.get(update) or self._tools.curfew.verdicts.get(update) or self.activations.verdicts.get(update)

    @property
    def windows(self) -> Sequence[AnyWindow]:
        """Every window that there is."""
        return self._tools.outlook.windows

    def device_of(self, update: UpdateId) -> DeviceId | None:
        """Whose update it is; None where it has ended."""
        row = self.queue.rows.get(update)
        return None if row is None else row.device

    def waits(self, update: UpdateId) -> bool:
        """Whether an update has not ended and no task works on it."""
        return update in self.queue.rows and update not in self._courses

    def is_busy(self, device: DeviceId) -> bool:
        """Whether a running update converses with the device, so that it should not be asked other things."""
        return any(course.update.state is not State.STAGED for course in self._courses_of(device))

    def _courses_of(self, device: DeviceId) -> Iterable[Course]:
        return [self._courses[each.id] for each in self.queue.rows.of(device) if each.id in self._courses]

    # --- running ----------------------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Adopt what the last process left: called before any radio runs, so that no device meets a server that does not know it.

        What was on the air stays there as far as there are slots; the rest is told to wait until one is free.
        """
        try:
            left = await self._tools.ledger.recover()
        except StoreError as error:  # a full disk: what the rows say can be taken up as it stands
            LOG.warning("restart not recorded", error=str(error))
            left = list(await self._tools.store.updates.unfinished())
        self.queue.recover(left)
        self._tools.curfew.look([(update, self._pauses(update)) for update in left if update.state.running], self._tools.outlook)
        for update in sorted(left, key=lambda each: (each.state is State.OFFERING, each.created, each.id)):
            if update.radio not in self._radios or update.state is State.PLANNED:
                continue
            if not update.state.running:
                await self._parking.pin(update)
            elif update.state in ON_THE_AIR and not (update.paused or self._tools.curfew.holds(update.id)) and not self.queue.has_slot(update):
                self.queue.bench(update)
                await self._parking.pin(update)
            else:
                await self._adopt(update)

    async def _adopt(self, update: Update) -> None:
        course = self._courses[update.id] = self._new_course(update, adopted=update.state is not State.FETCHING)
        if not course.adopted:
            return
        try:
            await course.serve(adopted=True)
        except (UnknownImage, ImageError, StoreError) as error:
            LOG.warning("image of a running update is gone", update=update.id, error=str(error))

    async def run(self) -> None:
        """Admit and run, for ever."""
        self.queue.listens()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for course in self._courses.values():
                    self._tasks.create_task(self._run(course), name=f"update:{course.update.id}")
                while True:
                    self._wake.clear()
                    await self._look_safely()
                    try:
                        async with asyncio.timeout(_LOOK_EVERY / self._tools.waits.pace):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        finally:
            await self._interrupt()

    async def _interrupt(self) -> None:
        """The hub stops: what was being fetched is queued again. What devices hold keeps its state, to be adopted."""
        for update in [each for each in self.queue.rows if each.state is State.FETCHING]:
            try:
                await self._tools.ledger.advance(update.id, [Cause.INTERRUPTED], detail="the hub was stopped")
            except (StoreError, UpdateError) as error:
                LOG.warning("interruption not recorded", update=update.id, error=str(error))

    def stop_admitting(self) -> None:
        """The hub stops: what runs may go on until it is cancelled, nothing new begins."""
        self._stopping = True

    def wake(self) -> None:
        """Something has changed: look at the queue."""
        self._wake.set()

    def _changed(self, update: Update) -> None:
        """A row is another one; called by the ledger."""
        before = self.queue.rows.get(update.id)
        self.queue.changed(update)
        if update.ended and update.id not in self._courses:
            self._parking.withdraw(update)
        course = self._courses.get(update.id)
        if course is not None:
            course.changed(update)
        if before is None or (before.state, before.paused, before.priority) != (update.state, update.paused, update.priority):
            self.wake()

    def _halted(self, on: bool) -> None:
        """Everything stands still, or goes on: every session is told at once, and every course looks again."""
        self._stand_still(self._courses.values(), on)

    def _radio_paused(self, radio: RadioName, on: bool) -> None:
        """The same for what one radio sends."""
        self._stand_still([course for course in self._courses.values() if course.update.radio == radio], on)

    def _stand_still(self, courses: Iterable[Course], on: bool) -> None:
        for course in courses:
            if on or not self._tools.held(course.update):
                course.radio.command(Pause(update=course.update.id) if on else Resume(update=course.update.id))
            course.mailbox.put(Changed())
        self.wake()

    def stands_still(self, update_id: UpdateId) -> bool:
        """Whether an update is to stand still, whoever wants that."""
        row = self.queue.rows.get(update_id)
        return row is not None and self._tools.held(row)

    def _rollout_changed(self, before: Rollout | None, after: Rollout) -> None:
        """A rollout goes on, or stands still with everything that it has on the air."""
        halted = after.state is RolloutState.HALTED
        if before is not None and halted is not (before.state is RolloutState.HALTED):
            self._stand_still([course for course in self._courses.values() if course.update.rollout == after.id], halted)
        self.wake()

    def command(self, update: Update, order: Order) -> None:
        """Hand an order to the radio of an update, where there is one."""
        radio = self._radios.get(update.radio)
        if radio is not None:
            radio.command(order)

    # --- admitting --------------------------------------------------------------------------------------------------------------------

    async def _look_safely(self) -> None:
        error = await outcome(self._look(), what="look at the queue")
        if isinstance(error, (StoreError, UpdateError)):  # the store refuses, or somebody was faster
            LOG.debug("look at the queue cut short", error=str(error))
        elif isinstance(error, Exception):
            LOG.warning("look at the queue failed, and is made again", error=str(error))
            await asyncio.sleep(self._tools.waits.relapse)

    async def _look(self) -> None:
        if self._stopping:
            return
        await heed_windows(self._courses, self._tools)
        asked = await self.activations.look()
        await self.queue.tidy()
        scene = self.queue.scene()
        admission = self.queue.judge(scene)
        self._ask_around(with_asked(admission, asked))
        admitted = [row for each in admission.admitted if (row := self.queue.rows.get(each)) is not None]
        together = Counter(_image_of(each) for each in admitted)
        for row in admitted:
            await self._start(row, together[_image_of(row)])
        await self.queue.tell(scene)
        for update_id in admission.waiting:
            if (row := self.queue.rows.get(update_id)) is not None:
                await self._parking.pin(row)

    def _ask_around(self, admission: Admission) -> None:
        """Ask those whose answer is all that is missing, aside: nobody else waits for them."""
        missing = admission.asks_interlocks or admission.asks_devices
        if missing and self._tasks is not None and (self._asking is None or self._asking.done()):
            self._asking = self._tasks.create_task(self._ask(admission), name="inquiries")

    async def _ask(self, admission: Admission) -> None:
        await self._tools.outlook.inquiries.ask(admission, self._radio_of)
        self.wake()

    def _radio_of(self, device: DeviceId) -> Radio | None:
        known = self._tools.registry.known(device)
        return None if known is None or known.radio is None else self._radios.get(RadioName(known.radio))

    def _pauses(self, update: Update) -> bool:
        radio = self._radios.get(update.radio)
        return radio is not None and radio.pauses

    async def _start(self, row: Update, together: int) -> None:
        if self._tasks is None or row.id not in self.queue.rows or row.id in self._courses:
            return
        update = await self.queue.begin(row)
        if update is None:
            return
        course = self._courses[update.id] = self._new_course(update, adopted=row.state is not State.QUEUED)
        course.together = together
        self._tasks.create_task(self._run(course), name=f"update:{update.id}")

    def _new_course(self, update: Update, *, adopted: bool) -> Course:
        radio = self._radios[update.radio]
        return Course(update=update, radio=radio, tools=self._tools, questions=self._questions[update.radio], adopted=adopted)

    async def _run(self, course: Course) -> None:
        """One update; its failure is its own, its siblings go on. A failure that nobody foresaw is waited out, and the update taken up again."""
        life = Life(course)
        try:
            while isinstance(error := await outcome(life.run(), what=f"update {course.update.id}"), Exception):
                LOG.warning("update stands still", update=course.update.id, state=course.update.state, error=str(error))
                if not course.update.state.running:
                    break
                await outcome(life.relapse(error), what=f"relapse of update {course.update.id}")
        finally:
            self._courses.pop(course.update.id, None)
            self._parking.leave(course.update.id)
        if course.update.state is State.QUEUED:
            self._parking.park(course)
        self.wake()

    # --- what radios tell -------------------------------------------------------------------------------------------------------------

    def advanced(self, event: TransferAdvanced) -> None:
        """To the course of the update; one that does not run is told to nobody."""
        course = self._courses.get(event.update)
        if course is not None:
            course.mailbox.put(event)

    def progressed(self, event: TransferProgressed) -> None:
        """A counter, nothing else."""
        course = self._courses.get(event.update)
        if course is not None:
            course.progress.fragments = event.fragments or course.progress.fragments
            course.progress.moved(event.offset, self._tools.clock.monotonic())

    async def foreign(self, event: ForeignTransfer) -> None:
        """Somebody else updates a device that is ours: watched and shown like our own. Raises UnknownDevice, StoreUnavailable."""
        if self._tasks is None or any(course.update.foreign for course in self._courses_of(event.device)):
            return
        device = self._tools.registry.device(event.device)
        if device.radio not in self._radios:
            return
        draft = foreign_draft(device, now=self._tools.clock.now(), component_id=event.component, to_version=event.to_version)
        for made in await self._tools.ledger.create([draft]):
            if isinstance(made, Update):
                course = self._courses[made.id] = self._new_course(made, adopted=True)
                self._tasks.create_task(self._run(course), name=f"update:{made.id}")

    async def stop(self, update: Update) -> None:
        """Make sure that a transfer can be cancelled; see `Radio.stop`."""
        radio = self._radios.get(update.radio)
        if radio is not None:
            await radio.stop(update.id)

    def can_wait(self, update: Update) -> bool:
        """Whether an update can be made to wait where it is."""
        radio = self._radios.get(update.radio)
        return radio is None or radio.pauses or update.state not in (State.OFFERING, State.TRANSFERRING)

    def knocked(self, event: Knocked) -> None:
        """A waiting update's device asks for it."""
        if event.update in self.queue.rows:
            self.queue.knocked([event.update])
            self.wake()

    def heard(self, device: DeviceId) -> None:
        """A device is awake."""
        self._bring(device, Heard())

    def woke(self, device: DeviceId) -> None:
        """A device that slept for sure is awake, and not for long: what waits for it waits for nothing else."""
        self.queue.knocked(each.id for each in self.queue.rows.of(device) if self.queue.has(each))

    def returned(self, device: DeviceId) -> None:
        """A device announced itself."""
        self._bring(device, Returned())

    def _bring(self, device: DeviceId, letter: Letter) -> None:
        for course in self._courses_of(device):
            course.mailbox.put(letter)
        if any(each.id in self.queue.verdicts or each.id in self.activations.verdicts for each in self.queue.rows.of(device)):
            self.wake()

    def told(self, device: DeviceId, component: Component) -> None:
        """A device told what it runs."""
        for course in self._courses_of(device):
            if course.update.component == component.id:
                course.mailbox.put(Told(component))


def _image_of(update: Update) -> tuple[RadioName, int | None, int | None, Version | None]:
    """What a notify on its radio names its image by."""
    return update.radio, update.manufacturer_code, update.image_type, update.to_version
