"""A story of one device and its session as alternating lines: what comes in, and what must come out because of it.

    (
        play()
        .orders(serve())
        .expects(unasked(notify(tsn=1)))
        .sends(query())
        .expects(told(Cause.ACCEPTED))
        .commits()
        .expects(offered(1000))
    )

Bytes are replies; `unasked` marks an announcement. Time stands still unless `passes` moves it. Beside the session runs a ledger: whatever the session
tells must be a legal line of the lifecycle at that moment, and at most one thing may wait for its commit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Self

from otagate.model.ids import UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import Cause, State, advance
from otagate.model.orders import Activate, Dismiss, Order, Park, Pause, Release, Resume, Serve, Withdraw
from otagate.model.quirks import PLAIN, Quirk
from otagate.sessions.effects import Advance, Announce, Asked, Effects, Knock, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer
from tests.sessions.wire import IMAGE_TYPE, MANUFACTURER, NEW, OLD, picture

LAMP = UpdateId("lamp")
SENSOR = UpdateId("sensor")
IMAGE = picture(1_000)
NOON = 43_200.0
MOST_TICKS = 20_000

ADOPTED = {"offering": State.OFFERING, "transferring": State.TRANSFERRING, "staged": State.STAGED, "activating": State.ACTIVATING}


@dataclass(frozen=True)
class Unasked:
    """A frame that no request waits for."""

    frame: bytes


@dataclass(frozen=True)
class Told:
    """An `Advance` without its token; None and an empty text stand for anything."""

    causes: tuple[Cause, ...]
    update: UpdateId = LAMP
    offset: int | None = None
    words: str = ""

    def fits(self, effect: Advance) -> bool:
        """Whether this line describes the effect."""
        same = (effect.causes, effect.update) == (self.causes, self.update)
        return same and self.words in effect.detail and self.offset in (None, effect.offset)


Line = bytes | Unasked | Told | Knock | Asked


def unasked(frame: bytes) -> Unasked:
    return Unasked(frame)


def told(*causes: Cause, update: UpdateId = LAMP, offset: int | None = None, words: str = "") -> Told:
    return Told(causes, update, offset, words)


def knock(update: UpdateId = LAMP) -> Knock:
    return Knock(update)


def asked(version: int | None = OLD, *, hardware: int | None = None, image_type: int = IMAGE_TYPE, manufacturer: int = MANUFACTURER) -> Asked:
    return Asked(manufacturer_code=manufacturer, image_type=image_type, file_version=version, hardware_version=hardware)


def serve(**changes: Any) -> Serve:
    """The order to bring the lamp from version 10 to version 20, of which it may hold a part; every field can be changed."""
    image_type = changes.get("image_type", IMAGE_TYPE)
    given: dict[str, Any] = {
        "update": LAMP,
        "device": zigbee_device_id(0x000D_6F00_0A90_69E7),
        "component": zigbee_component_id(image_type),
        "manufacturer_code": MANUFACTURER,
        "image_type": IMAGE_TYPE,
        "file_version": NEW,
        "image": memoryview(IMAGE),
        "from_version": OLD,
        "begun": True,
    }
    return Serve(**(given | changes))


def park(update: UpdateId = LAMP) -> Park:
    return Park(update=update)


def withdraw(update: UpdateId = LAMP) -> Withdraw:
    return Withdraw(update=update)


def pause(update: UpdateId = LAMP) -> Pause:
    return Pause(update=update)


def resume(update: UpdateId = LAMP) -> Resume:
    return Resume(update=update)


def dismiss(seconds: float, update: UpdateId = LAMP) -> Dismiss:
    return Dismiss(update=update, seconds=seconds)


def release(update: UpdateId = LAMP) -> Release:
    return Release(update=update)


def activate(update: UpdateId = LAMP) -> Activate:
    return Activate(update=update)


def play(*, quirk: Quirk = PLAIN, sleepy: bool = False, **patience: Any) -> Playbook:
    """The first line of a story; `patience` changes single waits of it."""
    return Playbook(OtaServer(tokens=itertools.count(1), patience=Patience(**patience), quirk=quirk, sleepy=sleepy))


@dataclass
class Playbook:
    """One device's session, a clock that only `passes` moves, and the ledger's view of every update."""

    server: OtaServer
    now: float = NOON
    states: dict[UpdateId, State] = field(default_factory=dict)
    _out: list[tuple[float, Advance | Announce | Asked | Knock | Reply]] = field(default_factory=list)
    _waiting: dict[int, Advance] = field(default_factory=dict)
    _came_in: float = NOON

    # --- lines that come in -------------------------------------------------------------------------------------------------------------

    def orders(self, order: Order) -> Self:
        """The engine gives an order."""
        self._nothing_left_over()
        if isinstance(order, Serve) and self.states.get(order.update, State.QUEUED) is State.QUEUED:
            self.states[order.update] = ADOPTED[order.adopted] if order.adopted else State.OFFERING
        if isinstance(order, Park | Withdraw):
            self._waiting = {token: each for token, each in self._waiting.items() if each.update != order.update}
        if isinstance(order, Activate) and self.states[order.update] is State.STAGED:
            self.states[order.update] = advance(State.STAGED, Cause.ACTIVATED)
        return self._take(self.server.command(order, self.now))

    def sends(self, *frames: bytes) -> Self:
        """The device sends, frame after frame at one moment."""
        self._nothing_left_over()
        for frame in frames:
            self._take(self.server.receive(frame, self.now))
        return self

    def commits(self) -> Self:
        """What was told is durable now."""
        self._nothing_left_over()
        assert self._waiting, "nothing waits for a commit"
        token, waiting = next(iter(self._waiting.items()))
        del self._waiting[token]
        for cause in waiting.causes:
            self.states[waiting.update] = advance(self.states[waiting.update], cause)
        return self._take(self.server.committed(token, self.now))

    def commits_token(self, token: int) -> Self:
        """Somebody says that this token is durable, whether it ever was given or not."""
        self._nothing_left_over()
        return self._take(self.server.committed(token, self.now))

    def overhears(self) -> Self:
        """The radio hears something else of the device."""
        self._nothing_left_over()
        return self._take(self.server.heard(self.now))

    def reopens(self) -> Self:
        """The radio was away and is back."""
        self._nothing_left_over()
        return self._take(self.server.reopened(self.now))

    def refuses(self, command: int, status: int) -> Self:
        """The device answers one of our frames with a Default Response."""
        self.server.refused(command, status)
        return self

    def passes(self, seconds: float) -> Self:
        """Time passes, and the session is woken whenever it wishes."""
        self._nothing_left_over()
        self._came_in = self.now
        until = self.now + seconds
        for _ in range(MOST_TICKS):
            wake = self.server.wake_at()
            if wake is None or wake > until:
                self.now = until
                return self
            self.now = max(self.now, wake)
            self._take(self.server.tick(self.now), came_in=False)
        raise AssertionError(f"the session wants to be woken again and again at {self.now - NOON:.3f} s")

    # --- lines that come out ------------------------------------------------------------------------------------------------------------

    def expects(self, *lines: Line) -> Self:
        """Exactly this came out, in this order."""
        out = [effect for _, effect in self._out]
        self._out.clear()
        same = len(out) == len(lines) and all(_fits(line, effect) for line, effect in zip(lines, out, strict=True))
        assert same, "\n".join(["expected:", *map(_text, lines), "came out:", *map(_text, out)])
        return self

    def expects_at(self, *lines: tuple[float, Line]) -> Self:
        """Exactly this came out, so many seconds after the last line that came in."""
        times = [round(at - self._came_in, 6) for at, _ in self._out]
        self.expects(*(line for _, line in lines))
        assert times == [at for at, _ in lines], f"came out at {times}"
        return self

    def nothing(self) -> Self:
        """Nothing came out."""
        return self.expects()

    def whatever(self) -> Self:
        """This part of the story was told elsewhere."""
        self._out.clear()
        return self

    def came_out(self) -> list[tuple[float, Any]]:
        """What came out and was not yet expected, with its moments, for stories about how much it is."""
        out = [(round(at - self._came_in, 6), effect) for at, effect in self._out]
        self._out.clear()
        return out

    def stands(self, state: State, update: UpdateId = LAMP) -> Self:
        """The ledger holds the update in this state."""
        assert self.states[update] is state
        return self

    # --- inside -------------------------------------------------------------------------------------------------------------------------

    def _take(self, effects: Effects, *, came_in: bool = True) -> Self:
        if came_in:
            self._came_in = self.now
        for effect in effects:
            if isinstance(effect, Advance):
                self._check(effect)
            self._out.append((self.now, effect))
        return self

    def _check(self, effect: Advance) -> None:
        if effect.token in self._waiting:
            assert self._waiting[effect.token] == effect, "told again, and differently"
            return
        assert all(each.update != effect.update for each in self._waiting.values()), "told something while something else waits for its commit"
        state = self.states[effect.update]
        for cause in effect.causes:
            state = advance(state, cause)
        assert effect.token is not None
        self._waiting[effect.token] = effect

    def _nothing_left_over(self) -> None:
        assert not self._out, "\n".join(["came out unexpected:", *(_text(effect) for _, effect in self._out)])


def _fits(line: Line, effect: Any) -> bool:
    match line:
        case bytes():
            return isinstance(effect, Reply) and bytes(effect.frame) == line
        case Unasked(frame):
            return isinstance(effect, Announce) and effect.frame == frame
        case Told():
            return isinstance(effect, Advance) and line.fits(effect)
        case _:
            return bool(line == effect)


def _text(line: Any) -> str:
    match line:
        case bytes():
            return f"    {line.hex(' ')}"
        case Reply(frame):
            return f"    {bytes(frame).hex(' ')}"
        case Announce(frame) | Unasked(frame):
            return f"    unasked {frame.hex(' ')}"
        case _:
            return f"    {line}"


# --- beginnings that many stories share -------------------------------------------------------------------------------------------------


def offering(order: Serve | None = None, *, quirk: Quirk = PLAIN, sleepy: bool = False, **patience: Any) -> Playbook:
    """The lamp was notified and has not asked yet."""
    return play(quirk=quirk, sleepy=sleepy, **patience).orders(order or serve()).whatever()


def transferring(order: Serve | None = None, *, quirk: Quirk = PLAIN, sleepy: bool = False, **patience: Any) -> Playbook:
    """The lamp asked and was offered its image."""
    from tests.sessions.wire import query

    order = order or serve()
    story = offering(order, quirk=quirk, sleepy=sleepy, **patience)
    return story.sends(query(image_type=order.image_type)).whatever().commits().whatever()


def downloads(story: Playbook, *, start: int = 0, stop: int | None = None, image: bytes = IMAGE, step: int = 50) -> Playbook:
    """The lamp asks for block after block and gets each of them."""
    from tests.sessions import wire

    stop = len(image) if stop is None else stop
    for offset in range(start, stop, step):
        story.sends(wire.ask(offset, step)).expects(wire.block(image[offset : offset + step], offset))
    return story
