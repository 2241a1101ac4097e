"""The forms of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from otagate.reports.html import as_html
from otagate.reports.report import Report
from otagate.reports.seal import FRAMES, Frame
from otagate.reports.sheet import as_csv

Form = Literal["html", "csv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A form: how a report is written in it, given the public key that it is sealed with, what carries the seal, and its media type."""

    write: Callable[[Report, str], str]
    frame: Frame
    media: str


FORMS: Mapping[Form, Shape] = {
    "html": Shape(write=as_html, frame=FRAMES["html"], media="text/html"),
    "csv": Shape(write=as_csv, frame=FRAMES["csv"], media="text/csv"),
}
