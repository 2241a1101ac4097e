"""The way of an image to its device: brought here, offered, handed out block by block, and held until it is used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from otagate.engine.course import Course
from otagate.engine.fetcher import Ready, Rejected
from otagate.engine.mailbox import Heard, Letter, Returned, Told
from otagate.engine.waits import Stopwatch
from otagate.model.devices import Device
from otagate.model.errors import StoreError
from otagate.model.lifecycle import Cause, State
from otagate.policy.pace import learned
from otagate.ports import TransferAdvanced


@dataclass(slots=True, kw_only=True)
class Delivery:
    """The steps of a course from its admission until its device has the image; one method a state."""

    course: Course
    _unread: bool = False

    # --- fetching ---------------------------------------------------------------------------------------------------------------------

    async def fetch(self) -> None:
        """Have the image brought and trusted, or hear why not."""
        course = self.course
        found = await course.tools.fetcher.provide(course.update, course.device())
        if isinstance(found, Ready):
            portrait = None if course.sleepy else await course.keeper.portray(course.update)
            image = found.image
            await course.advance(Cause.VERIFIED, detail=found.detail, image=image.sha256, bytes_total=image.facts.size, portrait=portrait)
            course.progress.total = course.update.bytes_total
        elif isinstance(found, Rejected):
            await course.advance(Cause.REJECTED, detail=found.detail, code=found.code)
        else:
            await course.postpone(found)

    # --- offering and transferring ----------------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Serve, and follow what the session tells until the state is another one."""
        course, state = self.course, self.course.update.state
        failure = Cause.EXPIRED if state is State.OFFERING else Cause.STALLED
        if not await course.serve_once():
            await course.try_again((failure,), "the stored image cannot be read any more")
            return
        if state is State.TRANSFERRING:
            await course.keeper.remember(course.update)
        device, progress, clock = course.device(), course.progress, course.tools.clock
        course.haul = replace(course.haul, charged=None if device is None else device.battery_percent)
        patience, silence, moved = self._patience(device), Stopwatch(clock, course.in_charge), progress.mark
        spent, began_at, seconds = Stopwatch(clock, course.in_charge), progress.offset, 0.0
        while course.stands(state):
            async with course.mailbox.reading(self._until_next_look()) as letter:
                seconds = spent.read()
                if isinstance(letter, TransferAdvanced) or progress.mark != moved:
                    silence.restart()
                    moved = progress.mark
                await course.take(letter)
                if course.stands(State.TRANSFERRING) and self._all_handed_out():
                    await self._notice_reboot(letter)
            if course.stands(state) and progress.due_on_disk():
                await self._sample()
            if course.stands(state) and silence.read() >= patience:
                await course.try_again((failure,), f"nothing was heard of it for {patience:.0f} s", unheard=True)
        if state is State.TRANSFERRING:
            self._learn(progress.offset - began_at, seconds)

    def _patience(self, device: Device | None) -> float:
        """Seconds of silence; where another program carries it out, that waits for one that sleeps."""
        course, waits = self.course, self.course.tools.waits
        elsewhere = device is not None and device.protocol == "zigbee" and device.sleepy and not course.radio.pauses
        return waits.silence + (waits.activation_sleepy if course.update.delegated or elsewhere else 0.0)

    def _until_next_look(self) -> float:
        """Seconds; a little before the end of a transfer it is looked at what is on, because its device restarts then."""
        course, poll = self.course, self.course.tools.waits.poll
        if course.sleepy or not course.stands(State.TRANSFERRING):
            return poll
        nearing = course.keeper.nearing(course.update, course.progress.eta(course.tools.clock.monotonic()))
        return poll if nearing is None else min(poll, nearing)

    def _learn(self, size: int, seconds: float) -> None:
        """How fast the device takes an image, where it took most of one without being told to wait."""
        course, device = self.course, self.course.device()
        component = None if device is None else device.component(course.update.component)
        if component is not None and size * 2 >= course.update.bytes_total:
            course.haul = replace(course.haul, rate=learned(component.rate, size, seconds), size=size)

    async def _sample(self) -> None:
        course = self.course
        with suppress(StoreError):  # the next look tries again
            await course.tools.ledger.sample(course.update.id, course.progress.offset)
            course.progress.saved_now()

    # --- staged -----------------------------------------------------------------------------------------------------------------------

    async def hold(self) -> None:
        """The image is on the device; wait for the word to use it, or for the device to use it by itself."""
        course = self.course
        await course.serve_once()
        course.staged_at = float("-inf") if course.adopted else course.tools.clock.monotonic()
        while course.stands(State.STAGED):  # the conductor's look, or an operator, moves it on
            async with course.mailbox.reading(None) as letter:
                await course.take(letter)
                if course.stands(State.STAGED):
                    await self._notice_reboot(letter)

    def _all_handed_out(self) -> bool:
        """Whether the device may hold the whole image; what it got in an earlier life of the hub is not known."""
        course = self.course
        return course.adopted or course.progress.offset >= course.update.bytes_total

    async def _notice_reboot(self, letter: Letter | None) -> None:
        """A device that holds the whole image and comes back, or tells its version, may have used it without the word.

        One that came back and did not answer, because it was not done with that, is asked when it is heard next.
        """
        course, state = self.course, self.course.update.state
        told = letter.component.version if isinstance(letter, Told) else None
        if isinstance(letter, Returned) or (self._unread and isinstance(letter, Heard)):
            told = await course.reader.version(course.update)
            self._unread = told is None
        if course.update.is_done_by(told) and course.stands(state):
            await course.advance(Cause.REBOOTED, detail="the device runs the new version without having been told to")
