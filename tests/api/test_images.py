"""Uploads and downloads, friendly and not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from otagate.api.images import plain_name
from otagate.model.errors import NotInState
from tests.api.conftest import Hall, Open
from tests.api.counter import IMAGE_MAGIC

PATH = "/api/v1/images"
FILE = IMAGE_MAGIC + bytes(range(256)) * 8


def form(data: bytes = FILE, *, name: str = "A19.ota", field: str = "file") -> aiohttp.FormData:
    made = aiohttp.FormData()
    made.add_field(field, data, filename=name, content_type="application/octet-stream")
    return made


@pytest.mark.asyncio
async def test_an_image_is_stored_under_the_digest_of_its_bytes(hall: Hall) -> None:
    answer = await hall.json("POST", PATH, status=201, data=form())
    assert answer["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert answer == {
        "sha256": answer["sha256"],
        "file_name": "A19.ota",
        "bytes": len(FILE),
        "format": "zigbee-ota",
        "inner_format": "silabs-gbl",
        "manufacturer_code": 0x1189,
        "image_type": 0x1409,
        "file_version": 0x0102_0600,
        "display_version": "0x01020600",
        "hardware_min": None,
        "hardware_max": None,
        "header_string": "A19 RGBW",
        "destination": None,
        "checks": [{"name": "header", "result": "pass", "detail": "every length fits"}],
        "added": "2026-05-01T12:00:00Z",
        "source": "upload",
    }
    assert await hall.json("GET", f"{PATH}/{answer['sha256']}") == answer
    assert await hall.json("GET", PATH) == {"items": [answer], "next_cursor": None}


@pytest.mark.asyncio
async def test_a_dry_run_tells_what_a_file_is_and_stores_nothing(hall: Hall) -> None:
    answer = await hall.json("POST", f"{PATH}?dry_run=true", data=form())
    assert (answer["sha256"], answer["file_name"]) == (hashlib.sha256(FILE).hexdigest(), "A19.ota")
    await hall.problem("POST", f"{PATH}?dry_run=true", status=422, slug="image-corrupt", data=form(b"hello"))
    assert (hall.desk.stored, hall.desk.orders) == ({}, [])


@pytest.mark.asyncio
async def test_the_content_is_the_bytes_that_a_device_gets(hall: Hall) -> None:
    sha256 = (await hall.json("POST", PATH, status=201, data=form()))["sha256"]
    async with hall.client.get(f"{hall.base}{PATH}/{sha256}/content") as response:
        assert response.content_type == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.read() == FILE


@pytest.mark.asyncio
async def test_a_part_of_the_content_is_given_and_what_is_had_already_is_not_sent_again(hall: Hall) -> None:
    sha256 = (await hall.json("POST", PATH, status=201, data=form()))["sha256"]
    address = f"{hall.base}{PATH}/{sha256}/content"
    async with hall.client.get(address, headers={"Range": "bytes=2-5"}) as part:
        assert (part.status, await part.read()) == (206, FILE[2:6])
    async with hall.client.get(address, headers={"If-None-Match": part.headers["ETag"]}) as same:
        assert (same.status, await same.read()) == (304, b"")


@pytest.mark.asyncio
async def test_a_removed_image_is_gone(hall: Hall) -> None:
    sha256 = (await hall.json("POST", PATH, status=201, data=form()))["sha256"]
    await hall.json("DELETE", f"{PATH}/{sha256}", status=204)
    await hall.problem("GET", f"{PATH}/{sha256}", status=404, slug="unknown-image")
    await hall.problem("GET", f"{PATH}/{sha256}/content", status=404, slug="unknown-image")


@pytest.mark.asyncio
async def test_an_image_in_use_stays(hall: Hall) -> None:
    sha256 = (await hall.json("POST", PATH, status=201, data=form()))["sha256"]
    hall.desk.trouble["remove_image"] = NotInState("update u0001 needs it")
    await hall.problem("DELETE", f"{PATH}/{sha256}", status=409, slug="wrong-state")


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["..%2F..%2Fapi-token", "api-token", "A" * 64, "ab" * 31, "ab" * 33, "ab" * 31 + "%0a"])
async def test_only_a_digest_names_an_image(hall: Hall, name: str) -> None:
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/content"):
        await hall.problem("GET", path, status=404, slug="unknown-image")


@pytest.mark.asyncio
async def test_what_is_wrong_with_a_file_is_named(hall: Hall) -> None:
    document = await hall.problem("POST", PATH, status=422, slug="image-corrupt", data=form(b"hello"))
    assert "0x0BEEF11E" in document["detail"]


@pytest.mark.asyncio
async def test_a_file_over_the_limit_is_refused(open_hall: Open) -> None:
    hall = await open_hall(upload_limit=4096)
    await hall.json("POST", PATH, status=201, data=form(IMAGE_MAGIC + bytes(4092)))
    for size in (4097, 30_000):
        await hall.problem("POST", PATH, status=413, slug="image-too-large", data=form(IMAGE_MAGIC + bytes(size - 4)))
    assert len(hall.desk.stored) == 1


@pytest.mark.asyncio
async def test_a_stream_without_a_length_is_cut_at_the_limit(open_hall: Open) -> None:
    hall = await open_hall(upload_limit=4096)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield bytes(65536)

    try:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        await hall.problem("POST", PATH, status=413, slug="image-too-large", data=endless(), headers=headers)
    except aiohttp.ClientConnectionError:
        pass  # the hub closed while we were still sending, which is as good an answer
    assert sent < 32 * 1024 * 1024
    assert hall.desk.orders == []


PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.ota"\r\n'


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "malformed-request"),
        (b"no boundary at all", 400, "malformed-request"),
        (b"--x--\r\n", 422, "invalid-request"),
        (PART + b"\r\n" + FILE, 400, "malformed-request"),
        (PART + b"\r\n\r\n--x--\r\n", 422, "invalid-request"),
        (PART + b"X: " + b"y" * 20_000 + b"\r\n\r\nz\r\n--x--\r\n", 400, "malformed-request"),
        (PART + b"X: y\r\n" * 500 + b"\r\nz\r\n--x--\r\n", 400, "malformed-request"),
        (PART + b"Content-Transfer-Encoding: base64\r\n\r\nHvHuCw==\r\n--x--\r\n", 422, "invalid-request"),
        (PART + b"Content-Encoding: gzip\r\n\r\nz\r\n--x--\r\n", 422, "invalid-request"),
        (PART + b"\r\n" + FILE + b"\r\n" + PART + b"\r\n" + FILE + b"\r\n--x--\r\n", 422, "invalid-request"),
        (b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n', 422, "invalid-request"),
        (b"--x\r\n\r\n1\r\n--x--\r\n", 422, "invalid-request"),
        (b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n1\r\n--y--\r\n--x--\r\n", 422, "invalid-request"),
        (b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"u" * 64 + b"\r\n--x--\r\n", 400, "malformed-request"),
    ],
)
async def test_a_twisted_form_stores_nothing(hall: Hall, body: bytes, status: int, slug: str) -> None:
    await hall.problem("POST", PATH, status=status, slug=slug, data=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert hall.desk.orders == []


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 71])
async def test_a_form_without_a_usable_boundary_is_malformed(hall: Hall, kind: str) -> None:
    await hall.problem("POST", PATH, status=400, slug="malformed-request", data=b"--x--\r\n", headers={"Content-Type": kind})


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", "multipart/mixed; boundary=x"])
async def test_only_a_form_brings_an_image(hall: Hall, kind: str) -> None:
    await hall.problem("POST", PATH, status=415, slug="unsupported-media-type", data=FILE, headers={"Content-Type": kind})


@pytest.mark.asyncio
async def test_an_upload_that_never_ends_is_given_up(open_hall: Open) -> None:
    hall = await open_hall(upload_timeout=0.1)
    hang = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield PART + b"\r\n" + FILE
        await hang.wait()

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    await hall.problem("POST", PATH, status=408, slug="request-timeout", data=slow(), headers=headers)


@pytest.mark.asyncio
async def test_a_third_upload_at_once_is_told_to_come_back(hall: Hall) -> None:
    await hall.server.hub.uploads.acquire()
    await hall.server.hub.uploads.acquire()
    document = await hall.problem("POST", PATH, status=503, slug="busy", data=form())
    assert int(document["_headers"]["Retry-After"]) > 0


@pytest.mark.asyncio
async def test_a_hostile_file_name_becomes_plain_text(hall: Hall) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../etc/\xe2\x80\xaepasswd"\r\n\r\n' + FILE + b"\r\n--x--\r\n"
    answer = await hall.json("POST", PATH, status=201, data=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer["file_name"] == "passwd"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("A19.ota", "A19.ota"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\fw\\lamp é.ota", "lamp é.ota"),
        ("../", "upload"),
        ("", "upload"),
        (None, "upload"),
        ("a\x00b\x1b[2Jc\n", "ab[2Jc"),
        ("exe\u202egpj.ota", "exegpj.ota"),
        ("x" * 4096, "x" * 255),
        ("\udcff.ota", ".ota"),
    ],
)
def test_a_file_name_is_its_last_part_printable_and_short(sent: str | None, kept: str) -> None:
    assert plain_name(sent) == kept


@pytest.mark.asyncio
async def test_images_come_in_pages_that_neither_skip_nor_repeat_when_some_come_and_go(hall: Hall) -> None:
    stored = [(await hall.json("POST", PATH, status=201, data=form(IMAGE_MAGIC + bytes([number]))))["sha256"] for number in range(6)]
    wanted = sorted(stored, reverse=True)  # all of one age
    first = await hall.json("GET", f"{PATH}?limit=3")
    assert [each["sha256"] for each in first["items"]] == wanted[:3]
    await hall.json("DELETE", f"{PATH}/{wanted[2]}", status=204)
    await hall.json("DELETE", f"{PATH}/{wanted[0]}", status=204)
    rest = await hall.json("GET", f"{PATH}?limit=3&cursor={first['next_cursor']}")
    assert [each["sha256"] for each in rest["items"]] == wanted[3:]
    assert rest["next_cursor"] is None
