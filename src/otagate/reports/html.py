"""A report as one HTML page: no script, nothing from elsewhere, made to be printed. Whatever devices call themselves is text in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from otagate.reports.cells import flat
from otagate.reports.report import Attempt, Exemption, Item, Report, Standing, percent

_STYLE = """
:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .82rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
th { border-bottom: 2px solid #888; overflow-wrap: normal; }
.figure { font-size: 2.4rem; font-weight: 600; margin: .5rem 0 0; }
.mono { font-family: ui-monospace, monospace; font-size: .72rem; }
.good { color: light-dark(#17692f, #6fd08c); } .bad { color: light-dark(#a8201a, #ff9089); } .quiet { color: light-dark(#555, #aaa); }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  :root { color-scheme: light; } body { margin: 0; max-width: none; padding: 0; font-size: 10pt; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; }
}
"""

_STANDINGS: dict[Standing, tuple[str, str]] = {
    "current": ("current", "good"),
    "behind": ("behind", "bad"),
    "unlisted": ("no source knows any", "quiet"),
    "unknown": ("not told", "quiet"),
}

_KINDS = {
    "pin": "pinned",
    "skip": "version skipped",
    "policy": "a policy of its own",
    "never": "never by itself",
    "floor": "below an earlier version",
    "override": "guards overruled",
    "downgrade": "older version ordered",
    "advisory": "known to be bad",
    "quarantined": "quarantined",
}

Cell = str
"""Escaped already: made by `_text` and its kind only."""


def as_html(report: Report, key: str) -> str:
    """The whole page; `key` is the public key that it is sealed with."""
    title = f"Firmware report {report.month}"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{_text(title)}</h1>\n<p class=quiet>{_text(_period(report))}</p>",
        f"<p class=figure>{'–' if report.share is None else percent(report.share)}</p>\n<p class=quiet>of the firmware is current</p>",
        *(f"<p>{_text(each)}</p>" for each in report.summary),
        _section("Devices", _ITEMS, (_item(each) for each in report.items), "No device is known."),
        _section("Exceptions", _EXEMPTIONS, (_exemption(each) for each in report.exemptions), "There are none."),
        _section("Updates of the month", _ATTEMPTS, (_attempt(each) for each in report.attempts), "No update ended in this month."),
        _proof(report, key),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _period(report: Report) -> str:
    last = "" if report.whole else ", which is not over"
    return (
        f"From {_moment(report.begins)} to {_moment(report.ends)}{last}. Devices and exceptions are as of {_moment(report.made)}, "
        f"when otagate {report.version} made this report."
    )


def _proof(report: Report, key: str) -> str:
    return (
        "<h2>Proof</h2>\n"
        f"<p>{_text(report.journal.sentence)} Fact {report.journal.last} has the link <span class=mono>{_text(report.journal.chain or '-')}</span>: "
        "a journal that was changed afterwards does not have it any more.</p>\n"
        f"<p>This file is sealed with the key <span class=mono>{_text(key)}</span>. Whether it is as it was made, "
        "<span class=mono>otagate verify-report FILE --key KEY</span> says without a network; take the key from the hub, not from here.</p>"
    )


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], nothing: str) -> str:
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return f"<h2>{title}</h2>\n<p>{nothing}</p>"
    head = "".join(f'<th scope="col">{each}</th>' for each in columns)
    return f"<h2>{title}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


_ITEMS = ("Device", "Room", "Model", "Part", "Installed", "Newest known", "Stands", "Why", "Last heard")
_EXEMPTIONS = ("What", "Device", "Which", "Reason", "By", "Since")
_ATTEMPTS = ("Ended", "Device", "Part", "From", "To", "Result", "Ordered by", "Took", "Retries", "Failure", "Image (SHA-256)")


def _item(item: Item) -> Sequence[Cell]:
    word, style = _STANDINGS[item.standing]
    return (
        _named(item.device, item.name),
        _text(item.room),
        _text(" ".join(each for each in (item.manufacturer, item.model) if each)),
        _text(item.component),
        _text(item.installed) + (f"<br>{_mono(item.image)}" if item.image else ""),
        _text(item.newest),
        f"<span class={style}>{word}</span>",
        _text(item.why),
        _text(_moment(item.last_seen)),
    )


def _exemption(each: Exemption) -> Sequence[Cell]:
    which = _text(each.what) + (f"<br><span class=quiet>{_text(each.update)}</span>" if each.update else "")
    who = (_named(each.device, each.name), which, _text(each.reason), _text(each.by), _text(_moment(each.since)))
    return (_text(_KINDS.get(each.kind, each.kind)), *who)


def _attempt(attempt: Attempt) -> Sequence[Cell]:
    style = {"succeeded": "good", "failed": "bad"}.get(attempt.result, "quiet")
    who = attempt.ordered_by + (f", approved by {attempt.approved_by}" if attempt.approved_by else "")
    return (
        _text(_moment(attempt.finished)) + f"<br><span class=quiet>{_text(attempt.update)}</span>",
        _named(attempt.device, attempt.name),
        _text(attempt.component),
        _text(attempt.from_version),
        _text(attempt.to_version),
        f"<span class={style}>{_text(attempt.result)}</span>",
        _text(who),
        _text(_span(attempt.seconds)),
        _text(str(attempt.retries)),
        _text(attempt.failure),
        _mono(attempt.image),
    )


def _named(device: str, name: str) -> Cell:
    if not name:
        return _text(device)
    return f'{_text(name)}<br><span class="quiet mono">{_text(device)}</span>' if device else _text(name)


def _text(text: str) -> Cell:
    """Text in a place of its own, so that what turns a line around turns nothing beside it."""
    return f"<bdi>{escape(flat(text))}</bdi>" if not text.isascii() else escape(flat(text))


def _mono(text: str) -> Cell:
    return f"<span class=mono>{_text(text)}</span>" if text else ""


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
