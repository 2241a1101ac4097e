"""Real firmware files through the command line into a running hub: each shows its true header and checks, and leaves as the device is sent it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.formats.real_images import DATA, MISSING, manifest
from tests.formats.test_identify import ORDINARY, SEEN
from tests.journeys.process import Daemon

FOLDERS = ("zigbee-images", "zigbee-images-odd")
FIELDS = ("manufacturer_code", "image_type", "file_version")


async def otagate(daemon: Daemon, *arguments: str | Path) -> tuple[int, str, str]:
    """Run one command as an operator does; its exit code, output and complaints."""
    environ = os.environ | {"OTAGATE_URL": daemon.base, "OTAGATE_TOKEN_FILE": str(daemon.state / "api-token")}
    command = (sys.executable, "-m", "otagate", *map(str, arguments))
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(100):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.skipif(not all((DATA / folder / "manifest.json").is_file() for folder in FOLDERS), reason=MISSING)
@pytest.mark.asyncio
async def test_twenty_one_real_files_show_what_they_are_and_only_the_truncated_one_is_refused(tmp_path: Path) -> None:
    truths = {each["file"]: each | {"path": DATA / folder / each["file"]} for folder in FOLDERS for each in manifest(folder)}
    assert len(truths) == 21
    (truncated,) = [name for name, truth in truths.items() if truth.get("sha256", truth.get("sha256_of_ota")) is None]
    async with Daemon(tmp_path, None) as daemon:
        code, out, err = await otagate(daemon, "images", "add", "--json", *(truth["path"] for truth in truths.values()))
        assert code != 0
        (refusal,) = err.splitlines()
        assert truncated in refusal
        assert "truncated: total image size at byte 52 is 278830, but only 92222 bytes are there" in refusal

        added = {each["file_name"]: each for each in json.loads(out)["items"]}
        assert set(truths) - set(added) == {truncated}
        failing = {name for name, each in added.items() if any(check["result"] == "fail" for check in each["checks"])}
        assert failing == {"132f-0213-00000018-YNDX-00531.zigbee"}

        for name, image in added.items():
            truth = truths[name]
            assert told(await daemon.get(f"/images/{image['sha256']}")) == true(truth), name
            assert await daemon.content(image["sha256"]) == as_sent(truth), name

        wrong = added["132f-0213-00000018-YNDX-00531.zigbee"]["sha256"]
        code, out, _ = await otagate(daemon, "images", "show", wrong)
        assert code == 0
        assert "fail: The Telink image inside is damaged: CRC-32 stored 0x0aa34acc, computed 0x268d8c43." in out


def told(image: dict[str, Any]) -> dict[str, Any]:
    """What the hub says of an image, as far as it is known to be true of it."""
    checks = {check["name"]: check["result"] for check in image["checks"]}
    return {key: image[key] for key in FIELDS} | {key: image[key] for key in ("sha256", "bytes", "inner_format")} | {"checks": checks}


def true(truth: dict[str, Any]) -> dict[str, Any]:
    inner_format, differing = SEEN[truth["file"]]
    digest = hashlib.sha256(as_sent(truth)).hexdigest()
    assert digest == truth.get("sha256_of_ota", truth.get("sha256"))
    known = {key: truth[key] for key in FIELDS} | {"sha256": digest, "bytes": truth["total_image_size"]}
    return known | {"inner_format": inner_format, "checks": ORDINARY | differing}


def as_sent(truth: dict[str, Any]) -> bytes:
    """The bytes that a device is sent: without what a vendor put around them."""
    whole: bytes = truth["path"].read_bytes()
    return whole[truth["header_offset"] :][: truth["total_image_size"]]
