"""The hub against its own OpenAPI document: Schemathesis makes up requests, and every answer must be one that the document promises."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from otagate.engine.views import OrderRequest
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, OTHER_IEEE, Journey, device_id, image_of, journey, told

PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"
FIRMWARE = image_of(3_000)

# Whether bytes are firmware, a key was used before, or a month has begun, no schema can say: all three are refused with 422.
# What is against the schema may be longer than any call takes, too.
CONFIGURATION = """
request-timeout = 60.0

[checks]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]

[parameters]
device_id = "{device}"
update_id = "{update}"

[[operations]]
include-name = "POST /api/v1/images"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "5xx"]

[[operations]]
include-name = "POST /api/v1/updates"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "5xx"]

[[operations]]
include-name = "GET /api/v1/report"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "5xx"]

[[operations]]
include-path-regex = "^/api/v1/radios/"
parameters = {{ name = "zigbee0" }}
"""


async def _fuzz(run: Journey, folder: Path, examples: int, *, known: bool) -> tuple[int, str]:
    """Everything but the event stream, which has no end; `known`: with ids of things that exist. The exit code and what was said."""
    for ieee in (IEEE, OTHER_IEEE):
        await told(run.desk, ieee)
    order = await run.desk.order(OrderRequest(devices=(device_id(IEEE),), activate="held"), actor="test")
    configuration = CONFIGURATION.format(device=device_id(IEEE), update=order.updates[0].update.id)
    if not known:
        configuration = configuration.replace("device_id =", "# device_id =").replace("update_id =", "# update_id =")
    (folder / "schemathesis.toml").write_text(configuration, encoding="utf-8")
    token = (folder / "state" / "api-token").read_text().strip()
    command = [sys.executable, "-c", PROGRAM, "run", f"{run.hub.server.addresses[0]}/api/v1/openapi.json"]
    command += ["--header", f"Authorization: Bearer {token}", "--exclude-path", "/api/v1/events", "--max-examples", str(examples)]
    command += ["--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=os.environ | {"COLUMNS": "200"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, said.decode(errors="replace")


@pytest.mark.asyncio
@pytest.mark.parametrize("known", [True, False], ids=["what is there", "whatever comes"])
async def test_every_answer_is_one_that_the_document_promises(tmp_path: Path, known: bool) -> None:
    await _fuzz_a_hub(tmp_path, 2, known=known)


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.parametrize("known", [True, False], ids=["what is there", "whatever comes"])
@pytest.mark.parametrize("part", range(5))  # chance is another in each, and workers share them
async def test_every_answer_of_a_whole_night_is_one_that_the_document_promises(tmp_path: Path, known: bool, part: int) -> None:
    await _fuzz_a_hub(tmp_path, 100, known=known)


async def _fuzz_a_hub(tmp_path: Path, examples: int, *, known: bool) -> None:
    """`examples` for each operation, beside all of its edges."""
    specs = [DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE)]
    async with journey(tmp_path, *specs, images=[FIRMWARE]) as run:
        code, said = await _fuzz(run, tmp_path, examples, known=known)
        assert code == 0, said
        found = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", said)
        assert found is not None, said
        selected, there, tested = map(int, found.groups())
        assert selected == tested == there - 1 > 40, said  # all but the event stream
        assert all(each.violations == [] for each in (run.device(IEEE), run.device(OTHER_IEEE)))
