"""The line to one coordinator, life after life: listened to, opened, checked, kept, and closed without harm to anybody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from otagate.model.errors import PortHeld, RadioError, RadioInUse, RadioUnavailable
from otagate.model.ids import RadioName
from otagate.policy.airtime import AIR_SHARE
from otagate.ports import Clock
from otagate.radios import stacks
from otagate.radios.attach import StateFiles, check_network, difference, form_where_empty, moved, pin_of, trace_of
from otagate.radios.floods import bound_floods
from otagate.radios.interviews import FIRST_PAUSE
from otagate.radios.library import in_our_words, opening, plain
from otagate.radios.listening import LET_GO_SECONDS, LISTEN_SECONDS, LineCut, require_free
from otagate.radios.silence import silence

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

LOG = structlog.get_logger("otagate.radio")

_RESETS_ALLOWED = 1
_CUTS_ALLOWED = 2
_QUARREL_WINDOW = 60.0
_REFUSALS_ALLOWED = 10
_WARY = 4.0
"""So much longer it is listened after a reset or a closed line: hosts that are idle say a word every ten seconds."""
_CLOSE_BOUND = 10.0
_COUNT_BOUND = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZigbeeSettings:
    """How to reach one coordinator; the words are those of the configuration. `air_share` lies between 0 and 1, 1 is the whole channel; `air_pace`:
    its frames take so much less time than real ones. `lent`: another program goes on with it after us, so it is left running.
    """

    name: RadioName
    type: str
    path: str
    network: Literal["existing", "form"] = "existing"
    baudrate: int | None = None
    flow_control: str | None = None
    channel: int | None = None
    air_share: float = AIR_SHARE
    air_pace: float = 1.0
    lent: bool = False
    listen_seconds: float = LISTEN_SECONDS
    interview_pause: float = FIRST_PAUSE


class Connection:
    """Each life goes `listen`, `load`, `start`, `until_lost`, `close`; what `lose` tells ends it. `noticed` takes what people should know."""

    def __init__(self, settings: ZigbeeSettings, files: StateFiles, clock: Clock, noticed: Callable[[str], None]) -> None:
        self._settings = settings
        self._files = files
        self._clock = clock
        self._noticed = noticed
        self._app: ControllerApplication | None = None
        self._resets: deque[float] = deque(maxlen=_RESETS_ALLOWED + 1)
        self._cuts: deque[float] = deque(maxlen=_CUTS_ALLOWED + 1)
        self._started = False
        self._lost = asyncio.Event()
        self._why = ""
        self._refusals = 0
        self._was_reset = self._was_cut = False

    async def listen(self) -> None:
        """Find out whether somebody else drives the coordinator. Raises RadioInUse, RadioUnavailable."""
        settings = self._settings
        judge = stacks.STACKS[settings.type].judge
        wary = _WARY if self._was_reset or self._was_cut else 1.0  # perhaps somebody else came
        left_running = settings.lent or self._files.left_running  # the other program need not stop the network to let go of the stick
        try:
            await require_free(settings.path, settings.listen_seconds * wary, judge=judge, left_running=left_running)
        except RadioInUse as error:
            self._files.mark_stopped()  # whatever we left running, it is not ours now
            if isinstance(error, PortHeld) and self._over_network:
                self._turned_away(error)
            raise
        except LineCut:
            self._quarrel(self._cuts, "was closed")
            raise
        self._refusals = 0

    @property
    def _over_network(self) -> bool:
        return self._settings.path.startswith("socket://")

    def _turned_away(self, error: PortHeld) -> None:
        """Raises RadioInUse where to come back once more would be a fight: with some bridges every visit costs the other program its connection."""
        if self._cuts and self._clock.monotonic() - self._cuts[-1] <= _QUARREL_WINDOW:
            self._quarrel(self._cuts, "was closed")
        self._refusals += 1
        if self._refusals >= _REFUSALS_ALLOWED:
            self._refusals = 0
            raise RadioInUse(f"{error}; it was tried {_REFUSALS_ALLOWED} times, so then reattach the radio") from None

    async def load(self) -> ControllerApplication:
        """Make the application and read its devices; the line stays closed. Raises RadioUnavailable, and what `_form` raises."""
        self._files.prepare()
        if self._settings.network == "form" and self._files.read_pin() is None:
            await self._form()
        self._app = await self._new()
        silence(self._app)
        bound_floods(self._app, self._clock)
        self._lost.clear()
        self._started = self._was_reset = self._was_cut = False
        return self._app

    async def _new(self) -> ControllerApplication:
        settings = self._settings
        config = stacks.zigpy_config(
            settings.type,
            path=settings.path,
            database=self._files.database,
            baudrate=settings.baudrate,
            flow_control=settings.flow_control,
            channel=settings.channel,
        )
        with in_our_words(opening(str(self._files.database))):
            return await stacks.load(settings.type, config)

    async def _form(self) -> None:
        """On an empty stick, in a life of its own: forming resets it, and bellows registers endpoints only when it connects.

        Raises WrongNetwork, RadioUnavailable.
        """
        app = await self._new()
        formed = False
        try:
            with in_our_words(opening(self._settings.path)):
                await app.connect()
                formed = await form_where_empty(app, self._files)
        finally:
            await self._shut(app, stop=formed)
        await asyncio.sleep(LET_GO_SECONDS)

    async def start(self) -> None:
        """Open the line, check that the network is ours, and run it. Raises WrongNetwork, RadioInUse, RadioUnavailable.

        Nothing is written before the check.
        """
        settings, app = self._settings, self._loaded()
        try:
            with in_our_words(opening(settings.path)):
                await app.connect()
                if self._files.read_pin() is None:
                    self._files.trace.unlink(missing_ok=True)  # of a network that is not ours any more
                await check_network(app, self._files)
                self._follow(app)
                self._files.mark_running()
                if settings.lent:
                    stacks.leave_settings(settings.type, app)
                await app.initialize(auto_form=False)
        except RadioUnavailable:
            self._require_peace()
            raise
        self._started = True
        stacks.watch_resets(settings.type, app, self._reset)

    async def until_lost(self) -> None:
        """Wait for the end; raises RadioInUse where the coordinator was reset or its line closed too often and not by us, else RadioUnavailable."""
        await self._lost.wait()
        self._require_peace()
        raise RadioUnavailable(f"{self._settings.path}: {self._why}")

    def _require_peace(self) -> None:
        """Raises RadioInUse where somebody else seems to want the coordinator as we do."""
        if self._was_reset:
            self._quarrel(self._resets, "was reset")
        if self._was_cut:
            self._quarrel(self._cuts, "was closed")

    def _quarrel(self, times: deque[float], what: str) -> None:
        now = self._clock.monotonic()
        times.append(now)
        if len(times) < (times.maxlen or 0) or now - times[0] > _QUARREL_WINDOW:
            return
        count = {2: "twice", 3: "three times"}[len(times)]
        times.clear()
        self._files.mark_stopped()
        raise RadioInUse(
            f"{self._settings.path} {what} {count} within {_QUARREL_WINDOW:.0f} s and not by us: another program drives it; "
            "stop it, then reattach the radio"
        )

    def lose(self, error: BaseException | None) -> None:
        """The line is gone; only the first reason counts."""
        why = plain(error) if error is not None else "the connection was closed"
        cut = self._over_network and (error is None or isinstance(error, ConnectionError))
        self._end(why, was_reset=stacks.STACKS[self._settings.type].is_reset(error), was_cut=cut)

    def _reset(self) -> None:
        self._end("the coordinator reset itself", was_reset=True)

    def _end(self, why: str, *, was_reset: bool, was_cut: bool = False) -> None:
        if not self._lost.is_set():
            self._why, self._was_reset, self._was_cut = why, was_reset, was_cut
            self._lost.set()

    async def close(self) -> None:
        """Stop the coordinator where its network is ours alone and the line stands; else let go of it without a further byte."""
        app, self._app = self._app, None
        if app is None:
            return
        if self._settings.lent and self._started and not self._lost.is_set():
            await self._count(app)
        stop = self._started and not self._lost.is_set() and not self._settings.lent
        if await self._shut(app, stop=stop) and stop and stacks.STACKS[self._settings.type].stops:
            self._files.mark_stopped()

    async def _count(self, app: ControllerApplication) -> None:
        """Once more, before another program goes on with the network; a coordinator that does not tell is let go all the same."""
        with suppress(RadioError, TimeoutError):
            async with asyncio.timeout(_COUNT_BOUND):
                with in_our_words(opening(self._settings.path)):
                    await app.load_network_info(load_devices=False)
                pinned, found = self._files.read_pin(), pin_of(app)
                if pinned is not None and pinned != found:
                    self._noticed(f"its network became another one while we had it: {difference(pinned, found)}")
                self._follow(app)

    def _follow(self, app: ControllerApplication) -> None:
        """What has changed since the network was looked at last is told; over restarts, too."""
        before, now = self._files.read_trace(), trace_of(app)
        told = "" if before is None else moved(before, now)
        if told:
            self._noticed(f"its network has changed: {told}")
        if before != now:
            try:
                self._files.write_trace(now)
            except RadioUnavailable as error:  # what people are told of a network is no reason to do without it
                LOG.warning("network not noted", radio=self._settings.name, error=str(error))

    async def _shut(self, app: ControllerApplication, *, stop: bool) -> bool:
        """Close the line, after a word to the coordinator where it is to `stop`; return whether that was done in time."""
        try:
            async with asyncio.timeout(_CLOSE_BOUND):
                if not stop:
                    await self._let_go(app)
                await app.shutdown()
        except TimeoutError:
            await _leave(app)
            return False
        return True

    async def _let_go(self, app: ControllerApplication) -> None:
        """A line that broke may refuse even that: the library is shut down all the same, and why the life ended stays what it was."""
        try:
            with in_our_words(opening(self._settings.path)):
                await stacks.let_go(self._settings.type, app)
        except RadioUnavailable as error:
            LOG.warning("line not closed quietly", radio=self._settings.name, error=str(error))

    def _loaded(self) -> ControllerApplication:
        if self._app is None:
            raise RadioUnavailable(f"{self._settings.path} is closed")
        return self._app


async def _leave(app: ControllerApplication) -> None:
    """Its line does not close and is left as it is; an open database would keep the process alive."""

    async def leave_line() -> None:
        LOG.warning("the line does not close, and is left")

    app.disconnect = leave_line  # type: ignore[method-assign]
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_BOUND):
            await app.shutdown()
