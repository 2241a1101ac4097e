"""A hub tells a receiver what happens on it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from otagate.config import HubSettings
from otagate.daemon import running


@pytest.mark.asyncio
async def test_a_receiver_that_was_busy_hears_of_a_radio_that_is_lost(tmp_path: Path) -> None:
    got: list[tuple[str, dict[str, Any]]] = []
    taken = asyncio.Event()

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers["idempotency-key"], json.loads(await request.read())))
        if len(got) == 1:
            return web.Response(status=500)
        taken.set()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    settings = HubSettings.model_validate(
        {
            "state_dir": tmp_path,
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [{"name": "zigbee0", "type": "znp", "path": str(tmp_path / "no-stick")}],
            "http": {"allow_private": ["127.0.0.1"]},
            "notify": [{"name": "office", "type": "webhook", "url": f"http://127.0.0.1:{runner.addresses[0][1]}/hook"}],
        }
    )
    try:
        async with running(settings), asyncio.timeout(60):
            await taken.wait()
    finally:
        await runner.cleanup()
    (first, body), (second, again) = got[:2]
    assert (first, body) == (second, again)
    assert body["id"] == first
    assert [(each["kind"], each["severity"], each["about"]) for each in body["notices"]] == [("radio-lost", "problem", "zigbee0")]
