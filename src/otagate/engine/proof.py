"""Whether an update worked: its device comes back, tells the new version, is set as before, and lives with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from otagate.engine.certificate import certify
from otagate.engine.confirmation import Confirmation, Finding
from otagate.engine.course import Course
from otagate.engine.mailbox import Heard, Letter, Returned, Told
from otagate.engine.vigil import Vigil
from otagate.engine.waits import Stopwatch
from otagate.model.devices import Component
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Activate
from otagate.model.quirks import quirk_for
from otagate.model.versions import display_version
from otagate.policy.job import goes_on


@dataclass(slots=True, kw_only=True)
class Proof:
    """The steps of a course from the word to use the image to its end; one method a state.

    What the device told is kept where a store that refuses breaks a step off: a device that sleeps would not tell it again for long.
    """

    course: Course
    _confirmation: Confirmation | None = None
    _spent: Stopwatch = field(init=False)
    _read_at: float = float("-inf")

    # --- activating -------------------------------------------------------------------------------------------------------------------

    async def await_return(self) -> None:
        """The device was told to use the image: wait until it is back, whatever way it shows that."""
        course, waits = self.course, self.course.tools.waits
        await course.serve_once()
        patience = waits.activation_sleepy if course.sleepy else waits.activation
        spent = Stopwatch(course.tools.clock, course.in_charge)
        if course.update.holds and not course.held and not course.sleepy:
            course.keeper.glance(course.update)
            await course.keeper.glanced()
        self._urge()
        while course.stands(State.ACTIVATING):
            async with course.mailbox.reading(waits.poll) as letter:
                await course.take(letter)
                if not course.stands(State.ACTIVATING):
                    return
                if isinstance(letter, Returned):
                    await course.advance(Cause.RETURNED, detail="the device is back on the network")
                elif await self._runs_new_version(letter):
                    await course.advance(Cause.RETURNED, detail="the device tells the new version")
                elif spent.read() >= patience:
                    detail = f"the device was told to use the new image and did not come back within {patience:.0f} s"
                    await course.advance(Cause.LOST, detail=detail)

    async def _runs_new_version(self, letter: Letter | None) -> bool:
        """Whether the device tells the new version: by itself, or asked at a look; one that sleeps is asked when it is heard."""
        update = self.course.update
        if isinstance(letter, Told):
            return update.is_done_by(letter.component.version)
        if not self._invites(letter):
            return False
        version = await self.course.reader.version(update)
        done = update.is_done_by(version)
        if version is not None and not done:
            self._urge()
        return done

    def _urge(self) -> None:
        """An image that was held needs the word; one that was not has it in the answer to its Upgrade End Request, or to that of the last one."""
        course = self.course
        if course.update.holds and not course.update.wants_more and not course.held:
            course.radio.command(Activate(update=course.update.id))

    def _invites(self, letter: Letter | None) -> bool:
        """Whether now is the time to ask for the version: at every look, a device that sleeps when it is heard, any device that came back."""
        return isinstance(letter, (Returned, Heard if self.course.sleepy else type(None)))

    # --- confirming -------------------------------------------------------------------------------------------------------------------

    async def confirm(self) -> None:
        """Success is a fresh word of the device about its version, never its word that it has taken the image."""
        course, waits, clock = self.course, self.course.tools.waits, self.course.tools.clock
        await course.serve_once()
        confirmation = self._confirmation = self._confirmation or self._begin()
        spent = self._spent
        letter: Letter | None = Returned() if confirmation.back else None
        while course.stands(State.CONFIRMING):
            rested = clock.monotonic() - self._read_at >= waits.poll / 10
            if self._invites(letter) and rested and not course.update.is_done_by(confirmation.version):
                await self._look(confirmation)
                self._read_at = clock.monotonic()
            finding = confirmation.finding(spent.read())
            if finding is not None:
                await (self._prove if finding.cause is Cause.VERSION_MATCHES else self._conclude)(finding)
                return
            async with course.mailbox.reading(waits.poll) as letter:
                await course.take(letter)
            if isinstance(letter, Told) and confirmation.honest:
                confirmation.told(letter.component.version)
            elif isinstance(letter, Returned):
                confirmation.returned(spent.read())

    def _begin(self) -> Confirmation:
        course, waits, back = self.course, self.course.tools.waits, self.course.returned_at is not None
        self._spent = Stopwatch(course.tools.clock, course.in_charge)
        patience = waits.activation_sleepy if course.sleepy else max(waits.confirmation, 0.0 if back else waits.activation)
        return Confirmation(update=course.update, patience=patience, settle=waits.settle, back=back, honest=self._honest)

    async def _look(self, confirmation: Confirmation) -> None:
        """Ask for the version; the old one, of a device that has not come back, may mean that the hub died before the word was on the air."""
        update = self.course.update
        version = await self.course.reader.version(update)
        confirmation.told(version)
        if version is not None and not confirmation.back and not update.is_done_by(version):
            self._urge()

    @property
    def _honest(self) -> bool:
        device, wanted = self.course.device(), self.course.update.component
        if device is None:
            return True
        return quirk_for(device, device.component(wanted) or Component(id=wanted), self.course.tools.quirk_of).tells_version

    # --- the new version was told -----------------------------------------------------------------------------------------------------

    async def _prove(self, told: Finding) -> None:
        """See that the device is set as before, and lives with it."""
        course, tools = self.course, self.course.tools
        since = None if course.returned_at is None else (tools.clock.monotonic() - course.returned_at) * tools.waits.pace
        behaviour = await course.keeper.settle(course.update, since_return=since)
        found = await self._watch_over(told)
        if found is None:
            return
        if found.cause is Cause.VERSION_MATCHES and behaviour is not None and behaviour.sentence:
            found = replace(found, detail=f"{found.detail}; {behaviour.sentence}")
        await self._conclude(found, behaviour=behaviour)

    async def _watch_over(self, told: Finding) -> Finding | None:
        """See that the device lives with it. None where somebody else has moved the update meanwhile.

        What a cloud or another program carried out is theirs to watch; of a chain or a release only the last step is. A restart begins it anew.
        """
        course, tools, settings, update = self.course, self.course.tools, self.course.policy(), self.course.update
        if not settings.alive_for or update.delegated or update.foreign or goes_on(update, await tools.store.updates.unfinished(update.device)):
            return told
        clock, poll, pace = tools.clock, tools.waits.poll, tools.waits.pace
        vigil = Vigil(settings=settings, sleepy=course.sleepy, pace=pace, report_due=None if course.sleepy else course.keeper.report_due)
        spent, began = Stopwatch(clock, course.in_charge), clock.monotonic() if course.returned_at is None else course.returned_at
        course.mailbox.forget(Returned, Heard, Told)  # that was before
        while course.stands(State.CONFIRMING):
            vigil.reported = course.keeper.has_reported(update, (clock.monotonic() - began) * pace)
            health = vigil.judge(spent.read())
            course.sentence = health.sentence
            if health.action == "healthy":
                return replace(told, detail=f"{told.detail} and {health.sentence}")
            if health.action == "failed":
                return replace(told, cause=Cause.EXPIRED, detail=health.sentence, code=health.code)
            version, letter = None, None
            if health.action == "ask":
                version = await course.reader.version(course.update)
            if version is None:
                async with course.mailbox.reading(min(poll, vigil.rest(spent.read()) or poll)) as letter:
                    await course.take(letter)
                version = letter.component.version if isinstance(letter, Told) else None
            if version is not None and self._honest and not course.update.is_done_by(version):
                return replace(told, cause=Cause.MISMATCH, detail=f"it told the new version, and went back to {display_version(version)}")
            if isinstance(letter, Returned):
                vigil.restarted(spent.read())
            elif version is not None or isinstance(letter, Heard):
                vigil.heard(spent.read(), told=version is not None)
        return None

    async def _conclude(self, finding: Finding, **changes: Any) -> None:
        course = self.course
        changes["completed_transfers"] = finding.completed_transfers
        if finding.cause is Cause.VERSION_MATCHES:
            course.progress.moved(course.update.bytes_total, course.tools.clock.monotonic())
            changes["bytes_sent"] = course.update.bytes_total
            await certify(course.tools, course.update, course.haul)
        await course.advance(finding.cause, detail=finding.detail, code=finding.code, **changes)
