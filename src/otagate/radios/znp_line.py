"""What zigpy-znp does not offer in public: to hear that the coordinator restarted, and to close the line without resetting it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

LOG = structlog.get_logger("otagate.radio")


def watch_resets(app: ControllerApplication, restarted: Callable[[], None]) -> None:
    """See `stacks.WatchResets`; after the library's own resets at the start."""
    try:
        commands = importlib.import_module("zigpy_znp.commands")
        api: Any = app._znp  # type: ignore[attr-defined]
        api.callback_for_response(commands.SYS.ResetInd.Callback(partial=True), lambda _: restarted())
    except (AttributeError, TypeError, ImportError) as error:
        LOG.warning("resets of the coordinator are not noticed", error=str(error))


async def let_go(app: ControllerApplication) -> None:
    """Disconnect without the reset that the library sends; where its inside has changed, `shutdown()` will send it."""
    try:
        api: Any = app._znp  # type: ignore[attr-defined]
        if api is not None:
            app._znp = None  # type: ignore[attr-defined]
            await api.disconnect()
    except (AttributeError, TypeError) as error:
        LOG.warning("line not closed quietly", error=str(error))
