"""An event loop on which time passes only when nobody has anything to do: journeys over days take milliseconds, and run the same every time."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
_BEGAN = 1_000.0


class _Leaping(selectors.DefaultSelector):
    """Where another loop would wait, it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _BEGAN

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.now += timeout
        return super().select(0 if timeout is not None else None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` leaps to the next timer; work for a thread is done at once, because virtual time would not wait for it."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        del executor
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class VirtualClock:
    """`ports.Clock` of the running virtual loop."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.monotonic() - _BEGAN)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def instantly(story: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a coroutine: it runs on a virtual loop of its own."""

    @functools.wraps(story)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(story(*args, **kwargs))

    return test
