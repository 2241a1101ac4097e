"""Where the server listens, whom it serves, and how it stops."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import aiohttp
import pytest

from otagate.api import server
from otagate.api.server import serve
from otagate.api.settings import ApiSettings, Tcp, Unix, parse_listen
from otagate.model.errors import ConfigError
from otagate.model.facts import Fact
from tests.api.conftest import Hall, Open
from tests.api.counter import IMAGE_MAGIC, LAMP, NOON, Counterfoil, update


async def talk(hall: Hall, request: bytes) -> bytes:
    """Raw bytes in, raw bytes out."""
    host, _, port = hall.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


def ask(hall: Hall, *fields: str, method: str = "GET", path: str = "/api/v1/devices") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Authorization: Bearer {hall.token}", "Connection: close", *fields, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8377", Tcp(host="127.0.0.1", port=8377)),
        ("[::1]:0", Tcp(host="::1", port=0)),
        ("localhost:80", Tcp(host="localhost", port=80)),
        ("unix:/run/otagate/otagate.sock", Unix(path=Path("/run/otagate/otagate.sock"))),
    ],
)
def test_an_address_is_read(text: str, place: object) -> None:
    assert parse_listen(text) == place


@pytest.mark.parametrize("text", ["", "8377", ":8377", "host:", "host:port", "host:65536", "host:-1", "unix:", "unix:relative.sock", "host:²"])
def test_an_address_that_is_none_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"api\.listen"):
        parse_listen(text)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "localhost", "LOCALHOST:8377", "[::1]", "[::1]:8377", "hub.example", "Hub.Example.:8377"]
)
async def test_a_host_of_ours_is_served(open_hall: Open, host: str) -> None:
    hall = await open_hall(hosts=("hub.example",))
    assert (await talk(hall, ask(hall, f"Host: {host}"))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8377",
        "evil.example:8377",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",
        "[::2]",
        "[",
        "",
    ],
)
async def test_a_foreign_host_is_refused_even_with_the_token(hall: Hall, host: str) -> None:
    answer = await talk(hall, ask(hall, f"Host: {host}"))
    assert answer.startswith(b"HTTP/1.1 421 "), answer
    assert b"/problems/host-refused" in answer
    assert b"application/problem+json" in answer


@pytest.mark.asyncio
async def test_a_request_names_one_host(hall: Hall) -> None:
    for fields in ((), ("Host: localhost", "Host: evil.example")):
        answer = await talk(hall, ask(hall, *fields))
        assert answer.split(b" ")[1] in {b"400", b"421"}
        assert b"application/problem+json" in answer


@pytest.mark.asyncio
async def test_bound_to_every_interface_the_hub_is_called_by_its_address(open_hall: Open) -> None:
    hall = await open_hall(listen=("0.0.0.0:0",))
    hall.server.addresses = tuple(each.replace("0.0.0.0", "127.0.0.2") for each in hall.server.addresses)
    assert (await talk(hall, ask(hall, "Host: 127.0.0.2:8377"))).startswith(b"HTTP/1.1 200 ")
    assert (await talk(hall, ask(hall, "Host: 127.0.0.3:8377"))).startswith(b"HTTP/1.1 421 ")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "field",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Origin: http://[",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
async def test_another_web_page_is_refused(hall: Hall, field: str) -> None:
    for method in ("GET", "POST"):
        answer = await talk(hall, ask(hall, "Host: localhost:8377", "Content-Length: 0", field, method=method, path=f"/api/v1/devices/{LAMP}/check"))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"/problems/origin-refused" in answer
        assert b"Access-Control" not in answer
    assert hall.desk.orders == []


@pytest.mark.asyncio
async def test_a_page_of_our_own_may_ask(hall: Hall) -> None:
    answer = await talk(hall, ask(hall, "Host: localhost:8377", "Origin: http://localhost:8377", "Sec-Fetch-Site: same-origin"))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/devices", "/api/v1/nothing"])
async def test_every_answer_is_dressed_and_tells_no_version(hall: Hall, path: str) -> None:
    async with hall.client.get(hall.base + path) as response:
        assert response.headers["Server"] == "otagate"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.asyncio
async def test_a_method_that_does_not_exist_is_a_problem(hall: Hall) -> None:
    document = await hall.problem("PUT", "/api/v1/devices", status=405, slug="method-not-allowed")
    assert "GET" in document["_headers"]["Allow"]


@pytest.mark.asyncio
@pytest.mark.parametrize("request_bytes", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n"])
async def test_bytes_that_are_no_http_get_a_problem_too(hall: Hall, request_bytes: bytes) -> None:
    answer = await talk(hall, request_bytes)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer
    assert b"application/problem+json" in answer
    assert b"/problems/malformed-request" in answer
    assert b"aiohttp" not in answer


@pytest.mark.asyncio
async def test_overlong_header_fields_are_a_problem(hall: Hall) -> None:
    answer = await talk(hall, ask(hall, "Host: localhost", "X: " + "y" * 20_000))
    assert b"/problems/malformed-request" in answer


def _sockets() -> int:
    """Of this process, both ends counted."""
    return sum(str(each.readlink()).startswith("socket:") for each in Path("/proc/self/fd").iterdir() if each.is_symlink())


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/updates?limit=500", "/api/v1/images/{sha256}/content"])
async def test_who_takes_nothing_of_what_is_sent_is_cut_off(open_hall: Open, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    hall = await open_hall(upload_limit=32 << 20)
    hall.desk.jobs = {f"u{number:04}": update(number, source="s" * 100_000) for number in range(1, 400)}
    hall.desk.facts = [Fact(at=NOON, subject="update", subject_id="u0001", kind="state", number=number + 1) for number in range(400)]
    image = await hall.desk.add_image(IMAGE_MAGIC + bytes(16 << 20), file_name="a.ota", actor="test")
    loop, before = asyncio.get_running_loop(), _sockets()
    host, _, port = hall.base.removeprefix("http://").partition(":")
    with socket.socket() as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.setblocking(False)
        await loop.sock_connect(sleeper, (host, int(port)))
        await loop.sock_sendall(sleeper, ask(hall, f"Host: {host}", "Last-Event-ID: 0", path=path.format(sha256=image.sha256)))
        async with asyncio.timeout(60):
            while _sockets() != before + 2:
                await asyncio.sleep(0.01)
            while _sockets() != before + 1:
                await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_flood_of_connections_is_bounded_and_leaves_the_unix_socket_open(
    open_hall: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    hall = await open_hall(listen=("127.0.0.1:0", f"unix:{tmp_path / 'hub.sock'}"))
    host, _, port = hall.base.removeprefix("http://").partition(":")
    flood = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
    async with asyncio.timeout(60):
        assert await talk(hall, ask(hall, f"Host: {host}")) == b""
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "hub.sock"))) as local,
            local.get("http://localhost/api/v1/devices") as response,
        ):
            assert response.status == 200
        for _, writer in flood:
            writer.close()
        while not await talk(hall, ask(hall, f"Host: {host}")):
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_an_unexpected_error_tells_nothing_of_the_inside(hall: Hall) -> None:
    hall.desk.trouble["devices"] = RuntimeError("/var/lib/secret")
    document = await hall.problem("GET", "/api/v1/devices", status=500, slug="internal")
    assert "secret" not in str(document)


@pytest.mark.asyncio
async def test_an_answer_that_takes_too_long_is_given_up(open_hall: Open) -> None:
    hall = await open_hall(request_timeout=0.05)
    never = asyncio.Event()

    async def hang(*_: object, **__: object) -> object:
        await never.wait()
        return None

    hall.desk.device = hang
    document = await hall.problem("GET", f"/api/v1/devices/{LAMP}", status=503, slug="too-slow")
    assert document["retry"] == "later"


@pytest.mark.asyncio
async def test_a_body_that_does_not_arrive_is_given_up(open_hall: Open) -> None:
    hall = await open_hall(request_timeout=0.1)
    fields = ("Host: localhost", "Content-Type: application/json", "Content-Length: 100")
    answer = await talk(hall, ask(hall, *fields, method="POST", path="/api/v1/updates") + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/request-timeout" in answer


@pytest.mark.asyncio
async def test_a_draining_hub_reads_but_takes_no_orders(hall: Hall) -> None:
    hall.server.drain()
    document = await hall.problem("POST", "/api/v1/updates", status=503, slug="shutting-down", json={"devices": [LAMP]})
    assert int(document["_headers"]["Retry-After"]) > 0
    await hall.problem("DELETE", f"/api/v1/images/{'ab' * 32}", status=503, slug="shutting-down")
    assert (await hall.json("GET", "/api/v1/devices"))["items"]
    assert hall.desk.orders == []


@pytest.mark.asyncio
async def test_a_request_under_way_is_answered_before_the_server_closes(tmp_path: Path) -> None:
    desk = Counterfoil(tmp_path)
    desk.check_gate.clear()
    settings = ApiSettings(token_file=tmp_path / "api-token", listen=("127.0.0.1:0",))
    async with asyncio.TaskGroup() as group:
        async with serve(desk, settings) as server:
            headers = {"Authorization": f"Bearer {settings.token_file.read_text().strip()}"}

            async def check() -> int:
                async with (
                    aiohttp.ClientSession(headers=headers) as client,
                    client.post(f"{server.addresses[0]}/api/v1/devices/{LAMP}/check") as response,
                ):
                    return response.status

            checking = group.create_task(check())
            async with asyncio.timeout(60):
                while not desk.orders:
                    await asyncio.sleep(0.005)
            asyncio.get_running_loop().call_later(0.05, desk.check_gate.set)
        assert await checking == 200


@pytest.mark.asyncio
async def test_over_the_unix_socket_the_user_is_the_actor_and_no_token_is_asked(open_hall: Open, tmp_path: Path) -> None:
    path = tmp_path / "otagate.sock"
    hall = await open_hall(listen=("127.0.0.1:0", f"unix:{path}"))
    assert hall.server.addresses[1] == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        async with client.post(f"http://anything/api/v1/devices/{LAMP}/check") as response:
            assert response.status == 200
        async with client.get("http://localhost/api/v1/devices", headers={"Origin": "https://evil.example"}) as response:
            assert response.status == 403
    assert hall.desk.orders == [("check", LAMP, f"uid:{os.getuid()}")]


@pytest.mark.asyncio
async def test_a_socket_left_behind_is_replaced_and_a_live_one_is_not(open_hall: Open, tmp_path: Path) -> None:
    path = tmp_path / "otagate.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    await open_hall(listen=(f"unix:{path}",))
    with pytest.raises(ConfigError, match="another process listens"):
        await open_hall(listen=(f"unix:{path}",))


@pytest.mark.asyncio
async def test_a_file_in_the_sockets_place_is_left_alone(open_hall: Open, tmp_path: Path) -> None:
    path = tmp_path / "otagate.sock"
    path.write_text("mine")
    with pytest.raises(ConfigError, match=r"api\.listen"):
        await open_hall(listen=(f"unix:{path}",))
    assert path.read_text() == "mine"


@pytest.mark.asyncio
async def test_a_port_in_use_is_a_configuration_error(open_hall: Open, hall: Hall) -> None:
    with pytest.raises(ConfigError, match=r"api\.listen"):
        await open_hall(listen=(hall.base.removeprefix("http://"),))


@pytest.mark.asyncio
async def test_a_name_is_bound_on_all_of_its_addresses(open_hall: Open) -> None:
    hall = await open_hall(listen=("localhost:0",))
    assert (await hall.json("GET", "/healthz")) == {"status": "alive"}


@pytest.mark.asyncio
@pytest.mark.parametrize("missing", ["192.0.2.1", "2001:db8::1"])
async def test_of_a_name_the_addresses_count_that_this_machine_has(open_hall: Open, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    async def resolved(_: str, port: int, **__: object) -> list[tuple[object, ...]]:
        families = {missing: socket.AF_INET6 if ":" in missing else socket.AF_INET, "127.0.0.1": socket.AF_INET}
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for address, family in families.items()]

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        hall = await open_hall(listen=("localhost:0",))
    port = hall.base.rpartition(":")[2]
    async with hall.client.get(f"http://127.0.0.1:{port}/healthz") as response:
        assert response.status == 200
