"""Commands about the report of a month."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.conftest import Hall
from tests.cli.conftest import at, otagate

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("form", ["html", "csv"])
async def test_a_report_is_written_and_checked_without_the_daemon(hall: Hall, tmp_path: Path, form: str) -> None:
    made = await at(hall, "report", "--month", "2026-05", "--format", form, "--output", str(tmp_path / "reports"))
    file = tmp_path / "reports" / f"otagate-report-2026-05.{form}"
    key = (await at(hall, "report", "--public-key")).out.strip()
    assert (made.code, made.out.splitlines()) == (
        0,
        [f"{file} is sealed with the key {key}.", f"Check it anywhere: otagate verify-report {file} --key {key}"],
    )
    (tmp_path / "key").write_text(f"{key}\n")
    for given in (key, str(tmp_path / "key")):
        proven = await otagate("verify-report", str(file), "--key", given)
        assert (proven.code, "The key that was given signed it" in proven.out) == (0, True)
    alone = await otagate("verify-report", str(file))
    assert (alone.code, "Whether that is your hub's key" in alone.out) == (0, True)
    told = (await otagate("verify-report", str(file), "--json")).document
    assert (told["holds"], told["key"]) == (True, key)


async def test_a_report_that_was_changed_or_signed_by_another_is_told_with_exit_1(hall: Hall, tmp_path: Path) -> None:
    await at(hall, "report", "--month", "2026-05", "--output", str(tmp_path))
    file = tmp_path / "otagate-report-2026-05.html"
    other = await otagate("verify-report", str(file), "--key", "ed25519:" + "A" * 43 + "=")
    assert (other.code, "another key signed it" in other.err) == (1, True)
    file.write_bytes(file.read_bytes().replace(b"Hall lamp", b"Hall lump"))
    changed = await otagate("verify-report", str(file))
    assert (changed.code, "Its content was changed after it was signed" in changed.err, changed.out) == (1, True, "")
    assert (await otagate("verify-report", str(file), "--json")).document["holds"] is False


async def test_json_names_the_file_and_a_dash_is_standard_output(hall: Hall, tmp_path: Path) -> None:
    told = (await at(hall, "report", "--month", "2026-05", "--output", str(tmp_path), "--json")).document
    assert Path(told["file"]).stat().st_size == told["bytes"]
    printed = await at(hall, "report", "--month", "2026-05", "--output", "-")
    assert printed.out.startswith("<!doctype html>")


async def test_wrong_usage_is_told_with_exit_2(hall: Hall, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments, words in {
        ("report", "--month", "May"): "'May' is no month: write year and month",
        ("report", "--month", "2026-05", "--output", str(tmp_path / "file")): "cannot write",
        ("verify-report", str(tmp_path / "none")): "cannot read",
        ("verify-report", str(tmp_path / "file"), "--key", "ed25519:x"): "--key: a key is `ed25519:`",
    }.items():
        outcome = await at(hall, *arguments) if arguments[0] == "report" else await otagate(*arguments)
        assert (outcome.code, words in outcome.err) == (2, True), outcome
