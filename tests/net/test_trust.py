"""A server with a certificate of its maker's own authority is reached where that authority is known for it, and nowhere else."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from otagate.engine.quotas import StoredQuotas
from otagate.engine.timers import SystemClock
from otagate.model.errors import SourceRefused
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient
from otagate.net.trust import Anchors
from otagate.sources.effects import Expect, Request, Service
from otagate.stores.memory import MemoryStore

SERVICE = Service(name="maker")


def certificate(directory: Path) -> tuple[Path, str]:
    """A server's certificate for 127.0.0.1 with its key in one file, and the authority that made it, as PEM; they name no keys (RFC 5280, 4.2.1)."""
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    maker, server = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("a maker", "its server"))
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    template = x509.CertificateBuilder(issuer_name=maker).not_valid_before(begin).not_valid_after(begin + timedelta(days=36_500))
    root = (
        template.subject_name(maker)
        .public_key(signer.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    made = (
        template.subject_name(server)
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = directory / "server.pem"
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return file, root.public_bytes(pem).decode()


@asynccontextmanager
async def a_maker(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """A server of a maker: its address, and its authority."""
    file, anchor = certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"firmware")

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", answer)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", anchor
    finally:
        await runner.cleanup()


def client(directory: Path, anchors: Anchors) -> HttpClient:
    return HttpClient(
        cache=DiskImageCache(directory / "images"),
        quotas=StoredQuotas(MemoryStore()),
        clock=SystemClock(),
        answers=directory / "answers",
        allow_private=["127.0.0.1"],
        anchors=anchors,
    )


@pytest.mark.asyncio
async def test_a_makers_own_authority_counts_for_its_host(tmp_path: Path) -> None:
    async with a_maker(tmp_path) as (url, anchor), client(tmp_path, {"127.0.0.1": anchor}.get) as http:
        assert (await http.send(SERVICE, Request(url=f"{url}/index.json", label="the index"))).body == b"firmware"
        assert (await http.download(SERVICE, Request(url=f"{url}/a.ota", label="a file"), Expect())).size == 8


@pytest.mark.asyncio
@pytest.mark.parametrize("known", ["nothing", "another host"])
async def test_without_it_the_certificate_is_refused_and_the_sentence_says_so(tmp_path: Path, known: str) -> None:
    async with a_maker(tmp_path) as (url, anchor), client(tmp_path, {"maker.example": anchor if known == "another host" else None}.get) as http:
        with pytest.raises(SourceRefused, match=r"certificate of 127\.0\.0\.1 is not valid"):
            await http.send(SERVICE, Request(url=f"{url}/index.json", label="the index"))


@pytest.mark.asyncio
async def test_an_authority_that_is_none_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    async with (
        a_maker(tmp_path) as (url, _),
        client(tmp_path, {"127.0.0.1": "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"}.get) as http,
    ):
        with pytest.raises(SourceRefused, match="authority"):
            await http.send(SERVICE, Request(url=f"{url}/index.json", label="the index"))
