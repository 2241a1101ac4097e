"""A report as CSV: one table, whose first column says what each record is about, so that one seal holds for all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime

from otagate.reports.cells import csv_line
from otagate.reports.report import Attempt, Exemption, Item, Report

_KINDS = {"device": Item, "exception": Exemption, "update": Attempt}
_COLUMNS = tuple(dict.fromkeys(field.name for kind in _KINDS.values() for field in fields(kind)))


def as_csv(report: Report, key: str) -> str:
    """The whole report: what it is about (records `report`), its devices, exceptions and updates."""
    lines = [csv_line(["record", *_COLUMNS])]
    lines += [_told(name, value) for name, value in _about(report, key)]
    for word, rows in (("device", report.items), ("exception", report.exemptions), ("update", report.attempts)):
        for row in rows:
            values = asdict(row)
            lines.append(csv_line([word, *(_plain(values.get(name, "")) for name in _COLUMNS)]))
    return "".join(lines)


def _about(report: Report, key: str) -> Iterator[tuple[str, str]]:
    yield "month", str(report.month)
    yield "begins", _plain(report.begins)
    yield "ends", _plain(report.ends)
    yield "made", _plain(report.made)
    yield "by", f"otagate {report.version}"
    yield "key", key
    for sentence in report.summary:
        yield "summary", sentence
    yield "journal", f"fact {report.journal.last} has the link {report.journal.chain or '-'}"


def _told(name: str, value: str) -> str:
    """What a report says of itself: in the columns `kind` and `what`."""
    row = {"kind": name, "what": value}
    return csv_line(["report", *(row.get(column, "") for column in _COLUMNS)])


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return f"{value:.0f}" if isinstance(value, float) else str(value)
