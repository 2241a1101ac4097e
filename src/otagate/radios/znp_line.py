"""What zigpy-znp does not offer in public: to hear that the coordinator restarted, and to close the line without resetting it."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

LOG = structlog.get_logger("otagate.radio")


def connection_of(app: ControllerApplication) -> tuple[str, Any] | None:
    """The attribute that holds the library's connection, and the connection: found by what it does, because its name is private; None without one."""
    for name, value in vars(app).items():
        if hasattr(value, "callback_for_response") and hasattr(value, "disconnect"):
            return name, value
    return None


def watch_resets(app: ControllerApplication, restarted: Callable[[], None]) -> None:
    """See `stacks.WatchResets`; after the library's own resets at the start."""
    found = connection_of(app)
    try:
        if found is None:
            raise AttributeError(f"{type(app).__name__} has no connection that takes callbacks")
        commands = importlib.import_module("zigpy_znp.commands")
        found[1].callback_for_response(commands.SYS.ResetInd.Callback(partial=True), lambda _: restarted())
    except (AttributeError, TypeError, ImportError) as error:
        LOG.warning("resets of the coordinator are not noticed", error=str(error))


def leave_settings(app: ControllerApplication) -> None:
    """Have the network started without writing stack settings and without moving the memory to another layout; both are its owner's business."""
    start: Any = app.start_network
    if "read_only" in inspect.signature(start).parameters:
        app.start_network = functools.partial(start, read_only=True)  # type: ignore[method-assign]
    else:
        LOG.warning("the library may write its settings to a borrowed stick: it has changed inside")


async def let_go(app: ControllerApplication) -> None:
    """Disconnect without the reset that the library sends; where its inside has changed, `shutdown()` will send it."""
    found = connection_of(app)
    if found is None:
        return
    name, connection = found
    try:
        setattr(app, name, None)
        await connection.disconnect()
    except (AttributeError, TypeError) as error:
        LOG.warning("line not closed quietly", error=str(error))
