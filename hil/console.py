"""The console of a device under test: wait for what it should print, and fail at once on what it must never print."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from hil.line import open_line
from hil.rigfile import ConsoleSettings

MOST_KEPT = 1 << 18
"""Characters kept for `expect`; of a device that prints more between two of them, the oldest are forgotten."""

MOST_LINE = 1 << 14
"""Characters of an unfinished line that are kept to look for forbidden patterns in it once more of it has come."""

_SHOWN = 2_000


class ConsoleError(AssertionError):
    """The device did not print what it should have printed in time."""


class Forbidden(ConsoleError):
    """The device printed what it must never print."""


class ConsoleGone(ConsoleError):
    """The line to the device has closed."""


class Console(asyncio.Protocol):
    """Text as the device prints it. Bytes that are no UTF-8 become U+FFFD; patterns are regular expressions."""

    def __init__(self, name: str, forbidden: Iterable[str] = ()) -> None:
        self._name = name
        self._forbidden = [re.compile(each) for each in forbidden]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._line = ""
        self._seen = ""
        self._trouble: ConsoleError | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._scopes: set[asyncio.Timeout] = set()

    # --- for tests ----------------------------------------------------------------------------------------------------------------------

    async def expect(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until the text since the last match fits, and go on after it. Raises ConsoleError after `timeout` seconds, Forbidden, ConsoleGone."""
        wanted = re.compile(pattern, re.MULTILINE)
        try:
            async with asyncio.timeout(timeout):
                while (found := wanted.search(self._text)) is None:
                    self.check()
                    await self._more()
        except TimeoutError:
            raise ConsoleError(f"{self._name} did not print {pattern!r} within {timeout:g} s; since then:\n{self._text[-_SHOWN:]}") from None
        self.check()
        self._text = self._text[found.end() :]
        return found

    def forbid(self, pattern: str) -> None:
        """From now on, and in what is kept, no line may fit; `expect`, `watched` and the end of the test raise Forbidden."""
        compiled = re.compile(pattern)
        self._forbidden.append(compiled)
        for line in self._text.splitlines():
            self._judge(line, [compiled])

    def forget(self) -> None:
        """Let the next `expect` look only at what is printed from now on."""
        self._text = ""

    def write(self, text: str) -> None:
        """Type something."""
        if self._transport is None or self._transport.is_closing():
            raise ConsoleGone(f"the console of {self._name} has gone")
        self._transport.write(text.encode())

    def check(self) -> None:
        """Raises Forbidden where a forbidden line was printed, ConsoleGone where the line has closed."""
        if self._trouble is not None:
            raise self._trouble

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Whatever goes on in the block is broken off as soon as a forbidden line is printed. Raises as `check`."""
        self.check()
        try:
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            self.check()
            raise
        self.check()

    @property
    def transcript(self) -> str:
        """The last part of all that was printed."""
        return self._seen

    # --- the line -----------------------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line is open."""
        self._transport = transport if isinstance(transport, asyncio.WriteTransport) else None

    def data_received(self, data: bytes) -> None:
        """Bytes of the device."""
        text = self._decoder.decode(data)
        self._text = (self._text + text)[-MOST_KEPT:]
        self._seen = (self._seen + text)[-MOST_KEPT:]
        lines = (self._line + text).split("\n")
        for line in lines:
            self._judge(line, self._forbidden)
        self._line = lines[-1][-MOST_LINE:]
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line has closed."""
        self._trouble = self._trouble or ConsoleGone(f"the console of {self._name} has gone{'' if exc is None else f': {exc}'}")
        self._break_off()

    def _judge(self, line: str, patterns: Iterable[re.Pattern[str]]) -> None:
        if self._trouble is None and (pattern := next((each for each in patterns if each.search(line)), None)) is not None:
            self._trouble = Forbidden(f"{self._name} printed {line.strip()[:_SHOWN]!r}, which {pattern.pattern!r} forbids")
            self._break_off()

    def _break_off(self) -> None:
        for scope in self._scopes:
            scope.reschedule(0)
        self._wake()

    async def _more(self) -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        try:
            await told
        finally:
            self._waiting.discard(told)

    def _wake(self) -> None:
        for told in self._waiting:
            if not told.done():
                told.set_result(None)


@asynccontextmanager
async def open_console(name: str, settings: ConsoleSettings) -> AsyncIterator[Console]:
    """The console of one device. Raises ConsoleGone where its port cannot be opened, and at the end Forbidden where something was."""
    console = Console(name, settings.forbid)
    async with AsyncExitStack() as closing:
        try:
            await closing.enter_async_context(open_line(lambda: console, settings.path, settings.baudrate, dtr=settings.dtr, rts=settings.rts))
        except OSError as error:
            raise ConsoleGone(f"the console of {name} at {settings.path} cannot be opened: {error}") from None
        yield console
        console.check()
