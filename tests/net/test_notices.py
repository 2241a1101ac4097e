"""A notification as it reaches a real receiver."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from otagate.engine.quotas import StoredQuotas
from otagate.engine.timers import SystemClock
from otagate.model.errors import SourceError
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.net.notices import Ntfy, Webhook
from otagate.policy.notices import Kind, Notice
from otagate.ports import Outgoing
from otagate.stores.memory import MemoryStore

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def notice(kind: Kind, text: str) -> Notice:
    return Notice(kind=kind, at=NOON, about="x", text=text)


SENT = Outgoing(id="1-2-3", notifier="a", since=NOON, notices=(notice("succeeded", "größer\nas two lines"), notice("failed", "bad")), more=3)


@asynccontextmanager
async def receiver(folder: Path, answers: list[int]) -> AsyncIterator[tuple[str, HttpClient, list[tuple[dict[str, str], bytes]]]]:
    """A server that gives these answers in turn: its address, a client, and what it got."""
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
    client = HttpClient(
        cache=DiskImageCache(folder / "images"),
        quotas=StoredQuotas(MemoryStore()),
        clock=SystemClock(),
        answers=folder / "answers",
        allow_private=["127.0.0.1"],
        terms=Terms(retries=(0.01,)),
    )
    try:
        async with client:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hidden", client, got
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_a_receiver_that_fails_first_gets_the_same_again_signed_and_no_error_tells_the_secret(tmp_path: Path) -> None:
    async with receiver(tmp_path, [404, 500, 204]) as (url, client, got):
        webhook = Webhook(name="a", url=url, secret="key-4711", http=client)
        with pytest.raises(SourceError, match="answers 404") as refused:
            await webhook.deliver(SENT)
        await webhook.deliver(SENT)
    assert [body for _, body in got] == [SENT.document()] * 3
    for headers, body in got:
        expected = hmac.new(b"key-4711", headers["x-otagate-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert headers["x-otagate-signature"] == f"sha256={expected}"
        assert (headers["idempotency-key"], headers["content-type"]) == ("1-2-3", "application/json")
    shown = f"{refused.value} {webhook!r}"
    assert "hidden" not in shown
    assert "4711" not in shown


@pytest.mark.asyncio
async def test_an_ntfy_server_is_told_in_words_by_the_gravest_and_shown_the_token(tmp_path: Path) -> None:
    async with receiver(tmp_path, [200, 403]) as (url, client, got):
        ntfy = Ntfy(name="phone", url=url, token="tk_4711", http=client)
        await ntfy.deliver(SENT)
        with pytest.raises(SourceError, match="answers 403") as refused:
            await ntfy.deliver(SENT)
    headers, body = got[0]
    assert body.decode() == "größer\nas two lines\nbad\n… and 3 more"
    told = ("authorization", "x-title", "x-priority", "x-sequence-id", "content-type")
    assert [headers[each] for each in told] == ["Bearer tk_4711", "otagate: problem", "4", "1-2-3", "text/plain; charset=utf-8"]
    assert not any(word in f"{refused.value} {ntfy!r}" for word in ("hidden", "4711"))


@pytest.mark.asyncio
async def test_what_an_ntfy_server_would_make_an_attachment_of_is_counted(tmp_path: Path) -> None:
    long = Outgoing(id="1", notifier="a", since=NOON, notices=tuple(notice("succeeded", "ü" * 500) for _ in range(20)))
    async with receiver(tmp_path, [200]) as (url, client, got):
        await Ntfy(name="phone", url=url, http=client).deliver(long)
    (headers, body), lines = got[0], got[0][1].decode().splitlines()
    assert len(body) <= 4096
    assert lines == ["ü" * 500] * (len(lines) - 1) + [f"… and {21 - len(lines)} more"]
    assert len(lines) > 3
    assert "authorization" not in headers
