"""What zigpy-znp does not offer is taken from its inside, and missed in words where that has changed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from otagate.radios.znp_line import leave_settings, let_go, watch_resets


class _Connection:
    def __init__(self) -> None:
        self.watched: list[object] = []
        self.closed = 0

    def callback_for_response(self, response: object, callback: object) -> None:
        self.watched.append(response)

    async def disconnect(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("name", ["_znp", "_another_name"])
def test_resets_are_watched_whatever_the_connection_is_called(name: str) -> None:
    connection = _Connection()
    with capture_logs() as logs:
        watch_resets(SimpleNamespace(other=1, **{name: connection}), lambda: None)  # type: ignore[arg-type]
    assert len(connection.watched) == 1
    assert logs == []


def test_resets_that_cannot_be_watched_are_told_and_stop_nothing() -> None:
    with capture_logs() as logs:
        watch_resets(SimpleNamespace(_znp=object()), lambda: None)  # type: ignore[arg-type]
    assert [each["event"] for each in logs] == ["resets of the coordinator are not noticed"]


def test_the_network_of_a_borrowed_stick_is_started_without_writing_settings() -> None:
    started: list[bool] = []
    app = SimpleNamespace(start_network=lambda *, read_only=False: started.append(read_only))
    leave_settings(app)  # type: ignore[arg-type]
    app.start_network()
    assert started == [True]


def test_a_library_that_cannot_leave_settings_alone_is_told() -> None:
    app = SimpleNamespace(start_network=lambda: None)
    with capture_logs() as logs:
        leave_settings(app)  # type: ignore[arg-type]
    app.start_network()
    assert [each["event"] for each in logs] == ["the library may write its settings to a borrowed stick: it has changed inside"]


@pytest.mark.asyncio
async def test_a_line_is_let_go_of_once_and_the_library_has_nothing_left_to_reset() -> None:
    app = SimpleNamespace(_another_name=_Connection())
    connection = app._another_name
    await let_go(app)  # type: ignore[arg-type]
    await let_go(app)  # type: ignore[arg-type]
    assert connection.closed == 1
    assert app._another_name is None
