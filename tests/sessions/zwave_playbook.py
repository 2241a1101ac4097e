"""A story of one Z-Wave node, its driver and the session that watches, as alternating lines: what comes in, and what must come out because of it.

    offering().hears(PREPARED).does(Start()).hears(Fragments(1, 100)).tells(Cause.ACCEPTED, offset=40).commits()

Beside the session stands a row: what the session tells must be a line of the lifecycle there, as the engine reads it, and moves the row when it is
committed. What is told and not committed comes again; a story that leaves something unsaid fails.
"""

from __future__ import annotations

import itertools
from typing import Any, Self

from otagate.engine.conversation import still_to_come
from otagate.model.ids import UpdateId, zwave_component_id, zwave_device_id
from otagate.model.lifecycle import TABLE, Cause, State
from otagate.model.orders import Adopted, Send
from otagate.sessions.effects import Advance
from otagate.sessions.zwave import Transfer
from otagate.sessions.zwave_patience import Patience
from otagate.sessions.zwave_words import Connected, Effect, Event, Prepare, Prepared, Progress, Start

PLUG = UpdateId("plug")
IMAGE = bytes(4_000)
OLD, NEW = "1.6", "1.7"
PREPARED = Prepared(upgradable=True, targets=2, largest_fragment=40, version=OLD)
NOON = 43_200.0
ADOPTED: dict[str, State] = {"offering": State.OFFERING, "transferring": State.TRANSFERRING, "staged": State.STAGED, "activating": State.ACTIVATING}


def send(**changes: Any) -> Send:
    given: dict[str, Any] = {
        "update": PLUG,
        "device": zwave_device_id(0xE1B2C3D4, 12),
        "component": zwave_component_id(0),
        "image": memoryview(IMAGE),
        "from_version": OLD,
        "to_version": NEW,
    }
    return Send(**(given | changes))


class Story:
    """One session with its row."""

    def __init__(self, session: Transfer, state: State) -> None:
        self.session = session
        self.state = state
        self.now = NOON
        self._out: list[Effect] = []
        self._told: Advance | None = None

    # --- what comes in ----------------------------------------------------------------------------------------------------------------

    def hears(self, event: Event) -> Self:
        self._done()
        self._out = list(self.session.receive(event, self.now))
        return self

    def takes(self, effects: tuple[Effect, ...]) -> Self:
        """An order was given directly; these came out."""
        self._done()
        self._out = list(effects)
        return self

    def passes(self, seconds: float) -> Self:
        self._done()
        self.now += seconds
        return self

    def commits(self) -> Self:
        """What was told is on disk: the row is another one."""
        self._done()
        assert self._told is not None, "nothing was told"
        causes = still_to_come(self.state, self._told.causes)
        assert causes is not None, f"{self._told.causes} cannot follow {self.state}"
        for cause in causes:
            self.state = TABLE[self.state][cause]
        token, self._told = self._told.token, None
        self._out = list(self.session.committed(token, self.now))
        return self

    # --- what comes out ---------------------------------------------------------------------------------------------------------------

    def does(self, *effects: Effect) -> Self:
        for effect in effects:
            assert effect in self._out, f"{effect} is not in {self._out}"
            self._out.remove(effect)
        return self

    def tells(self, *causes: Cause, offset: int | None = None, code: str | None = None, words: str = "", held: bool = False) -> Self:
        told = next((each for each in self._out if isinstance(each, Advance)), None)
        assert told is not None, f"nothing is told: {self._out}"
        assert (told.causes, told.code, told.held) == (causes, code, held), told
        assert words in told.detail, told
        assert offset in (None, told.offset), told
        self._out.remove(told)
        self._told = told
        return self

    def moves(self, offset: int, sent: int, total: int = 100) -> Self:
        return self.does(Progress(update=PLUG, offset=offset, sent=sent, total=total))

    def nothing(self) -> Self:
        self._done()
        return self

    def stands(self, state: State) -> Self:
        self._done()
        assert self.state is state
        return self

    def _done(self) -> None:
        assert self._out == [], f"left unsaid: {self._out}"


def session(*, order: Send | None, adopted: Adopted | None = None, sleepy: bool = False) -> Transfer:
    return Transfer(PLUG, tokens=itertools.count(1), patience=Patience(), now=NOON, order=order, adopted=adopted, sleepy=sleepy)


def offering(*, sleepy: bool = False, **changes: Any) -> Story:
    """An order that was taken while the driver can be asked: the node is being asked."""
    return Story(session(order=send(**changes), sleepy=sleepy), State.OFFERING).hears(Connected()).does(Prepare())


def requested(*, sleepy: bool = False, **changes: Any) -> Story:
    return offering(sleepy=sleepy, **changes).hears(PREPARED).does(Start())


def adopted(where: Adopted, **changes: Any) -> Story:
    return Story(session(order=send(**changes), adopted=where), ADOPTED[where])


def foreign() -> Story:
    return Story(session(order=None, adopted="transferring"), State.TRANSFERRING)
