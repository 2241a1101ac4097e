"""What may be in a log, and what may not."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from otagate.logs import mask_keys

KEY = "8c6b1e0f3d5a7294b1c0e2f4a6d8907b"


@pytest.mark.parametrize("joint", ["", ":", " ", "-", ","])
def test_a_network_key_is_masked_however_it_is_written(joint: str) -> None:
    written = joint.join(KEY[at : at + 2] for at in range(0, 32, 2))
    assert written not in mask_keys(f"key={written}, seq=0")


def test_an_address_and_a_digest_are_not_masked() -> None:
    digest = hashlib.sha256(b"image").hexdigest()
    text = f"zigbee-00124b000de30001 00:12:4b:00:0d:e3:00:01 {digest}"
    assert mask_keys(text) == text


def test_a_key_in_an_event_or_in_a_librarys_message_never_reaches_stderr_and_library_debug_is_off() -> None:
    script = f"""
import logging, structlog
from otagate import logs
logs.set_up(level="debug", form="json")
structlog.get_logger("otagate").warning("network", key="{KEY}", device="zigbee-00124b000de30001")
structlog.get_logger("otagate").warning("networks", keys=["{KEY}"], of={{"zigbee0": ("{KEY}",)}})
logging.getLogger("zigpy.backups").warning("restored %s", "{KEY}")
logging.getLogger("zigpy.application").debug("Network info: everything")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert KEY not in done.stderr
    assert "zigbee-00124b000de30001" in done.stderr
    assert done.stderr.count("[key]") == 4
    assert "Network info" not in done.stderr


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_hostile_name_moves_no_cursor_forges_no_line_and_does_not_fill_the_log(form: str) -> None:
    script = f"""
import logging, structlog
from otagate import logs
logs.set_up(level="debug", form="{form}")
name = "\\x1b]0;owned\\x07\\x9b2J<script>\\u202egnp\\r\\n2026 [error] forged" + "x" * 4096
structlog.get_logger("otagate").warning("found", device=name, names=[name])
structlog.get_logger("otagate").warning(name)
logging.getLogger("zigpy").warning("model %s", name)
try:
    raise ValueError(name)
except ValueError:
    structlog.get_logger("otagate").exception("broken")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert not set(done.stderr) & set("\x1b\x07\x9b\u202e\r")
    lines = done.stderr.splitlines()
    assert not [each for each in lines if each.startswith("2026 [error]")]
    assert [each for each in lines if "<script>" in each]
    assert max(map(len, lines)) < 3_000


@pytest.mark.parametrize("ours", [True, False])
def test_a_line_for_the_journal_begins_with_its_priority_and_any_other_line_does_not(tmp_path: Path, ours: bool) -> None:
    script = """
import logging, structlog
from otagate import logs
logs.set_up(level="debug", form="json")
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(structlog.get_logger("otagate"), level)(level)
logging.getLogger("zigpy").error("two\\nlines")
"""
    with (tmp_path / "journal").open("wb") as journal:
        stream = os.fstat(journal.fileno())
        environ = os.environ | {"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino + (not ours)}"}
        subprocess.run([sys.executable, "-c", script], stderr=journal, timeout=30, check=True, env=environ)
    lines = (tmp_path / "journal").read_text().splitlines()
    assert [line[:3] for line in lines] == (["<7>", "<6>", "<4>", "<3>", "<2>", "<3>"] if ours else ['{"e'] * 6)
    assert [json.loads(line.removeprefix(line[:3]) if ours else line)["event"] for line in lines][-1] == "two\nlines"
