"""Both forms of a report say the same, and what hostile devices call themselves is text in them."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest

from otagate.reports.forms import FORMS
from otagate.reports.html import as_html
from otagate.reports.report import Month, parse_month, percent
from otagate.reports.sheet import as_csv
from tests.reports.samples import HOSTILE, sample_report

KEY = "ed25519:" + "A" * 43 + "="


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_no_script_and_fetches_nothing() -> None:
    page = Page(as_html(sample_report(), KEY))
    assert not {"script", "link", "img", "iframe", "object", "svg", "form", "a"} & {tag for tag, _ in page.elements}
    assert not [each for _, each in page.elements if {name for name in each if name.startswith("on")} | ({"src", "href"} & set(each))]
    policy = next(each for tag, each in page.elements if tag == "meta" and "http-equiv" in each)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_what_a_device_calls_itself_is_text_on_the_page_and_turns_nothing_around() -> None:
    text = as_html(sample_report(), KEY)
    assert "<script>alert" in Page(text).text
    for found in re.finditer("\u202e", text):
        assert text.rfind("<bdi>", 0, found.start()) > text.rfind("</bdi>", 0, found.start())


def test_a_spreadsheet_is_given_no_formula_and_one_record_a_line() -> None:
    text = as_csv(sample_report(), KEY)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == text.count("\r\n") == text.count("\n")
    assert len({len(row) for row in rows}) == 1
    assert [cell for row in rows for cell in row if cell and cell[0] in "=+-@"] == []
    assert [cell for row in rows for cell in row if "cmd|" in cell and not cell.startswith("'=")] == []
    assert HOSTILE.splitlines()[0] in text.replace('""', '"')


def test_both_forms_tell_shares_exceptions_updates_and_the_head_of_the_chain() -> None:
    for form, shape in FORMS.items():
        told = shape.write(sample_report(), KEY)
        text = Page(told).text if form == "html" else told
        for words in (
            "1 of 2 run the newest release that is known for them (50.0 %)",
            "No source knows a release for 1",
            "1 have not told",
            "It is pinned.",
            "only 1.6",
            "token:anna",
            "uid:1000",
            "no block was asked for in 15 minutes (transfer-stalled)",
            "ab" * 32,
            "cd" * 32,
            KEY,
        ):
            assert words in text, (form, words)


def test_a_share_is_a_hundred_percent_only_where_all_are_current() -> None:
    assert (percent(0.99999), percent(1.0)) == ("99.9 %", "100.0 %")
    assert sample_report(items=[]).share is None
    assert "–" in Page(as_html(sample_report(items=[], exemptions=[], attempts=[]), KEY)).text


def test_a_month_that_is_not_over_is_told_so() -> None:
    report = sample_report()
    running = sample_report(made=report.begins)
    assert "not over" in as_html(running, KEY)
    assert "not over" not in as_html(report, KEY)


def test_months_are_read_and_follow_each_other() -> None:
    assert parse_month("2026-12").following == Month(year=2027, month=1)
    assert str(parse_month("2026-11").following) == "2026-12"
    for wrong in ("2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "١٢٣٤-01", "2026-11\n"):
        with pytest.raises(ValueError, match="is no month"):
            parse_month(wrong)
