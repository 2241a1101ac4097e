"""Who runs: admits updates from the queue, owns a task for each, and brings them what their radios tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from otagate.engine.course import Course, Tools, serve_order
from otagate.engine.mailbox import Asked, Returned, Told
from otagate.engine.supervise import outcome
from otagate.model.devices import Component
from otagate.model.errors import ImageError, NotInState, StoreError, UnknownImage
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import PAUSABLE, Cause, State
from otagate.model.orders import Park, Pause, Resume, Withdraw
from otagate.model.updates import Update
from otagate.policy.admit import Air, RadioAir, admit
from otagate.ports import Knocked, Radio, TransferAdvanced, TransferProgressed

LOG = structlog.get_logger("otagate.conductor")

_LOOK_EVERY = 5.0
_ANSWER_WITHIN = 10.0


class Conductor:
    """A task per admitted update; everything else about an update is in its row."""

    def __init__(self, *, tools: Tools, radios: Mapping[RadioName, Radio]) -> None:
        self._tools = tools
        self._radios = radios
        self._courses: dict[UpdateId, Course] = {}
        self._knocked: set[UpdateId] = set()
        self._pinned: set[UpdateId] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: asyncio.TaskGroup | None = None

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def course(self, update: UpdateId) -> Course | None:
        """The running course of an update."""
        return self._courses.get(update)

    def courses(self) -> list[Course]:
        """Every running course."""
        return list(self._courses.values())

    def is_busy(self, device: DeviceId) -> bool:
        """Whether a running update converses with the device, so that it should not be asked other things."""
        return any(course.update.device == device for course in self._courses.values())

    # --- running ----------------------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Adopt what the last process left: called before any radio runs, so that no device meets a server that does not know it."""
        for update in await self._tools.ledger.recover():
            if update.radio not in self._radios:
                continue
            if update.state.running:
                self._courses[update.id] = self._new_course(update, adopted=True)
                self._try_pin(self._courses[update.id])
            else:
                self._pin(update)

    def _try_pin(self, course: Course) -> None:
        try:
            course.serve()
        except (UnknownImage, ImageError) as error:
            LOG.warning("image of a running update is gone", update=course.update.id, error=str(error))

    async def run(self) -> None:
        """Admit and run, for ever."""
        async with asyncio.TaskGroup() as self._tasks:
            for course in self._courses.values():
                self._tasks.create_task(self._run(course), name=f"update:{course.update.id}")
            while True:
                self._wake.clear()
                await self._admit_safely()
                try:
                    async with asyncio.timeout(_LOOK_EVERY / self._tools.waits.pace):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def stop_admitting(self) -> None:
        """The hub stops: what runs may go on until it is cancelled, nothing new begins."""
        self._stopping = True

    def wake(self) -> None:
        """Something has changed: look at the queue."""
        self._wake.set()

    async def _admit_safely(self) -> None:
        try:
            await self._admit()
        except StoreError as error:
            LOG.warning("store refuses", error=str(error))

    async def _admit(self) -> None:
        unfinished = await self._tools.store.updates.unfinished()
        queue = [self._as_knocked(each) for each in unfinished if each.state is State.QUEUED and each.id not in self._courses]
        if not queue or self._stopping:
            return
        running = [course.update for course in self._courses.values()]
        admission = admit(queue, running, air=self._air(unfinished), now=self._tools.clock.now())
        for update_id in admission.admitted:
            await self._start(update_id)
        by_id = {update.id: update for update in queue}
        for update_id, verdict in admission.waiting.items():
            update = by_id[update_id]
            if update_id not in self._pinned:
                self._pin(update)
            if update.reason != verdict.reason:
                await self._tools.ledger.amend(update_id, "waits", detail=verdict.sentence, reason=verdict.reason)

    def _as_knocked(self, update: Update) -> Update:
        """A device that asks by itself need not wait for the end of a backoff."""
        if update.id in self._knocked and update.started is not None:
            return replace(update, not_before=None)
        return update

    def _air(self, unfinished: Sequence[Update]) -> Air:
        paused = frozenset(each.id for each in unfinished if each.paused)
        registry = self._tools.registry
        radios = {
            name: RadioAir(
                up=status.state == "up",
                parallel=status.parallel,
                reason="in_use" if status.state == "in_use" else "offline",
                sentence=f"Radio {name} is {status.state}: {status.sentence}",
            )
            for name, status in registry.radios.items()
        }
        return Air(radios=radios, devices={device.id: device for device in registry.devices()}, paused=paused)

    async def _start(self, update_id: UpdateId) -> None:
        if self._tasks is None:
            return
        update = await self._tools.ledger.advance(update_id, [Cause.ADMITTED])
        self._knocked.discard(update_id)
        course = self._new_course(update, adopted=False)
        self._courses[update_id] = course
        self._tasks.create_task(self._run(course), name=f"update:{update_id}")

    def _new_course(self, update: Update, *, adopted: bool) -> Course:
        return Course(update=update, radio=self._radios[update.radio], tools=self._tools, adopted=adopted)

    async def _run(self, course: Course) -> None:
        """One update; its failure is its own, its siblings go on."""
        try:
            error = await outcome(course.run(), what=f"update {course.update.id}")
        finally:
            self._courses.pop(course.update.id, None)
            self._pinned.discard(course.update.id)
        if error is not None:
            LOG.warning("update stands still until the next start", update=course.update.id, state=course.update.state, error=str(error))
        if course.update.state is State.QUEUED:
            course.radio.command(Park(update=course.update.id))
            self._pinned.add(course.update.id)
        self.wake()

    def _pin(self, update: Update) -> None:
        """Let the session know a waiting update, so that a device that asks by itself is heard knocking."""
        radio = self._radios.get(update.radio)
        if radio is None or update.image is None or update.state is not State.QUEUED:
            return
        self._pinned.add(update.id)
        try:
            radio.command(serve_order(update, self._tools.library, adopted="offering"))
        except (UnknownImage, ImageError):
            return  # fetching will say so
        radio.command(Park(update=update.id))

    # --- what radios tell -------------------------------------------------------------------------------------------------------------

    def advanced(self, event: TransferAdvanced) -> None:
        """To the course of the update; one that does not run is told to nobody."""
        course = self._courses.get(event.update)
        if course is None or not course.mailbox.put(event):
            LOG.debug("letter without a reader", update=event.update)

    def progressed(self, event: TransferProgressed) -> None:
        """A counter, nothing else."""
        course = self._courses.get(event.update)
        if course is not None:
            course.progress.moved(event.offset, self._tools.clock.monotonic())

    def knocked(self, event: Knocked) -> None:
        """A waiting update's device asks for it."""
        self._knocked.add(event.update)
        self.wake()

    def returned(self, device: DeviceId) -> None:
        """A device announced itself."""
        for course in self._courses.values():
            if course.update.device == device:
                course.mailbox.put(Returned())
        self.wake()

    def told(self, device: DeviceId, component: Component) -> None:
        """A device told what it runs."""
        for course in self._courses.values():
            if course.update.device == device and course.update.component == component.id:
                course.mailbox.put(Told(component))

    # --- what operators ask -----------------------------------------------------------------------------------------------------------

    async def ask(self, update: Update, what: str, actor: str) -> None:
        """Cancel or activate a running update. Raises NotCancellable, NotInState."""
        course = self._courses.get(update.id)
        if course is None:
            raise NotInState(f"update {update.id} is {update.state} and does not run")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not course.mailbox.put(Asked(what, actor, answer)):
            raise NotInState(f"update {update.id} is too busy to answer; try again")
        async with asyncio.timeout(_ANSWER_WITHIN):
            await answer

    async def cancel(self, update: Update, actor: str) -> None:
        """Cancel an update, running or not. Raises NotCancellable, NotInState."""
        if update.id in self._courses:
            await self.ask(update, "cancel", actor)
            return
        await self._tools.ledger.advance(update.id, [Cause.CANCELLED], detail="an operator cancelled it", actor=actor)
        radio = self._radios.get(update.radio)
        if radio is not None:
            radio.command(Withdraw(update=update.id))
        self._pinned.discard(update.id)

    async def pause(self, update: Update, actor: str) -> None:
        """Hold an update where it is. Raises NotInState."""
        if update.state not in PAUSABLE:
            raise NotInState(f"update {update.id} is {update.state} and cannot be paused there")
        changed = await self._tools.ledger.amend(update.id, "paused", actor=actor, paused=True, reason="paused")
        self._refresh(changed)
        radio = self._radios.get(update.radio)
        if radio is not None and update.state is not State.QUEUED:
            radio.command(Pause(update=update.id))

    async def resume(self, update: Update, actor: str) -> None:
        """Let a paused update go on. Raises NotInState."""
        if not update.paused:
            raise NotInState(f"update {update.id} is not paused")
        changed = await self._tools.ledger.amend(update.id, "resumed", actor=actor, paused=False, reason=None)
        self._refresh(changed)
        radio = self._radios.get(update.radio)
        if radio is not None and update.state is not State.QUEUED:
            radio.command(Resume(update=update.id))
        self.wake()

    def _refresh(self, update: Update) -> None:
        course = self._courses.get(update.id)
        if course is not None:
            course.update = update
