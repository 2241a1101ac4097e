"""Logs: one line an event, for people on a terminal and as JSON for machines; keys never among them."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

_KEY = re.compile(r"(?i)(?:[0-9a-f]{2}[:\s,-]?){15}[0-9a-f]{2}(?![0-9a-f])")
_MOVES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LONGEST = 1_000
"""Characters of one line of one value."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""Level of Python → priority of syslog."""
_LIBRARIES = ("zigpy", "zigpy_znp", "bellows", "apscheduler", "aiosqlite", "aiohttp")


def mask_keys(text: str) -> str:
    """Replace whatever looks like a 128-bit key in hex (a sha256 is longer and stays)."""
    return _KEY.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1] if match.start() else " "
    return match[0] if before in "0123456789abcdefABCDEF" else "[key]"


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _masked_within(value) for key, value in event.items()}


def _masked_within(value: Any) -> Any:
    if isinstance(value, str):
        return mask_keys(value)
    if isinstance(value, (list, tuple)):
        return [_masked_within(each) for each in value]
    if isinstance(value, dict):
        return {key: _masked_within(each) for key, each in value.items()}
    return value


def _shorten(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Names come from devices and clouds: none fills a log."""
    return {key: "\n".join(map(_cut, value.split("\n"))) if isinstance(value, str) else _cut_within(value) for key, value in event.items()}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _cut_within(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_cut(each) if isinstance(each, str) else each for each in value]
    return value


def _speak_plainly(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nothing in a line for people moves the cursor or turns text around, and only a traceback has lines of its own, each indented."""
    return {
        key: _plain(value).replace("\n", "\n  " if key == "exception" else " ") if isinstance(value, str) else value for key, value in event.items()
    }


def _plain(text: str) -> str:
    return _MOVES.sub("\ufffd", text)


class _ForJournal(structlog.stdlib.ProcessorFormatter):
    """Each line begins with its priority, which the journal takes off again (sd-daemon(3)): `journalctl -p warning` finds it."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(each for level, each in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


def _to_journal() -> bool:
    """Whether stderr leads into the journal of systemd (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def set_up(*, level: Literal["debug", "info", "warning", "error"], form: Literal["auto", "json", "console"]) -> None:
    """Send everything to stderr. Radio libraries speak from `warning` on: their debug lines carry network keys."""
    threshold = getattr(logging, level.upper())
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_event,
        _shorten,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    plain: list[Any] = [structlog.stdlib.PositionalArgumentsFormatter(), structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    plain += [_speak_plainly, renderer] if console else [renderer]
    handler = logging.StreamHandler(sys.stderr)
    formatter = _ForJournal if _to_journal() else structlog.stdlib.ProcessorFormatter
    handler.setFormatter(formatter(foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared], processors=plain))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
