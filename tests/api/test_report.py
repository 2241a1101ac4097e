"""Calls about the report of a month."""

from __future__ import annotations

import pytest

from otagate.reports.seal import check
from tests.api.conftest import Hall

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(("form", "media"), [("html", "text/html"), ("csv", "text/csv")])
async def test_a_report_comes_as_a_file_that_the_key_of_the_hub_sealed(hall: Hall, form: str, media: str) -> None:
    key = (await hall.json("GET", "/api/v1/report/key"))["key"]
    async with hall.client.get(f"{hall.base}/api/v1/report?month=2026-05&format={form}") as response:
        assert (response.status, response.content_type, response.charset) == (200, media, "utf-8")
        assert response.headers["Content-Disposition"] == f'attachment; filename="otagate-report-2026-05.{form}"'
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert check(await response.read(), key=key).holds


@pytest.mark.parametrize("query", ["", "?month=2026-13", "?month=May", "?month=2026-05&format=pdf", "?month=2026-06"])
async def test_what_is_no_month_or_not_begun_is_refused(hall: Hall, query: str) -> None:
    await hall.problem("GET", f"/api/v1/report{query}", status=422, slug="invalid-request")
