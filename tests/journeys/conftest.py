"""What every journey shares: asserts that explain themselves, and no task or future that is left behind."""

import gc
import logging
import traceback
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite(
    "tests.journeys.hub",
    "tests.journeys.mortal",
    "tests.journeys.process",
    "tests.journeys.zwave",
    "tests.journeys.zwave_service",
    "tests.zwave.program",
)


def _is_ours(record: logging.LogRecord) -> bool:
    """What a radio library leaves behind of its own tasks is its own affair."""
    if not record.exc_info or record.exc_info[0] is None:
        return True
    files = [record.exc_info[0].__module__, *(frame.filename for frame in traceback.extract_tb(record.exc_info[2]))]
    return not any(library in file for file in files for library in ("bellows", "zigpy"))


@pytest.fixture(autouse=True)
def _nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The event loop reports lost exceptions, pending tasks and broken callbacks to its logger: that stays empty."""
    yield
    gc.collect()
    complaints = [
        record.getMessage()
        for when in ("setup", "call")
        for record in caplog.get_records(when)
        if record.name == "asyncio" and record.levelno >= logging.ERROR and _is_ours(record)
    ]
    assert complaints == []
