"""A notification as it reaches a real receiver."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from otagate.engine.quotas import StoredQuotas
from otagate.engine.timers import SystemClock
from otagate.model.errors import SourceError
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.net.notices import Webhook
from otagate.ports import Outgoing
from otagate.stores.memory import MemoryStore

SENT = Outgoing(id="1-2-3", body='{"text":"größer"}'.encode(), since=datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.asyncio
async def test_a_receiver_that_fails_first_gets_the_same_again_signed_and_no_error_tells_the_secret(tmp_path: Path) -> None:
    answers = [404, 500, 204]
    got: list[tuple[dict[str, str], bytes]] = []

    async def hook(request: web.Request) -> web.Response:
        got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=answers[len(got) - 1])

    app = web.Application()
    app.router.add_post("/hidden", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        client = HttpClient(
            cache=DiskImageCache(tmp_path / "images"),
            quotas=StoredQuotas(MemoryStore()),
            clock=SystemClock(),
            answers=tmp_path / "answers",
            allow_private=["127.0.0.1"],
            terms=Terms(retries=(0.01,)),
        )
        async with client:
            webhook = Webhook(name="a", url=f"http://127.0.0.1:{port}/hidden", secret="key-4711", http=client)
            with pytest.raises(SourceError, match="answers 404") as refused:
                await webhook.deliver(SENT)
            await webhook.deliver(SENT)
    finally:
        await runner.cleanup()
    assert [body for _, body in got] == [SENT.body] * 3
    for headers, body in got:
        expected = hmac.new(b"key-4711", headers["x-otagate-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert headers["x-otagate-signature"] == f"sha256={expected}"
        assert (headers["idempotency-key"], headers["content-type"]) == ("1-2-3", "application/json")
    shown = f"{refused.value} {webhook!r}"
    assert "hidden" not in shown
    assert "4711" not in shown
