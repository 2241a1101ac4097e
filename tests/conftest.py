"""What every test shares: with OTAGATE_REQUIRE_ALL set, a test that would be skipped fails instead."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes says more about the machine than about the code
settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("OTAGATE_REQUIRE_ALL"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{why}\n(skips are forbidden here: OTAGATE_REQUIRE_ALL is set)"
    return report
