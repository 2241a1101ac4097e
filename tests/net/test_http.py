"""The HTTP client against a server that does everything wrong that a server can."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from yarl import URL

from otagate.model.errors import FileGone, SourceBusy, SourceError, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.model.releases import Digest
from otagate.net.cache import DiskImageCache
from otagate.net.fetching import Fetch
from otagate.net.http import HttpClient, Terms
from otagate.net.quotas import Account
from otagate.sources.effects import Expect, Limit, Request, Response, Service, Upload

SECRET = "token-4711"
SERVICE = Service(name="service")
BOUND = 60.0


class _Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


class _Quotas:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def read(self, service: str) -> str | None:
        return self.kept.get(service)

    async def write(self, service: str, text: str) -> None:
        self.kept[service] = text


class _Server:
    """Answers one scripted piece of bytes a connection, in order; the last again and again. None hangs until the test ends."""

    def __init__(self, script: Iterable[bytes | None]) -> None:
        self._script = list(script)
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self._over = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[_Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._over.set()
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        self.bodies.append(await reader.readexactly(length))
        self.asked.append(head)
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if answer is None:
            await self._over.wait()
        else:
            writer.write(answer.replace(b"{url}", self.url.encode()))
            await writer.drain()
        writer.close()


def _answer(body: bytes = b"{}", status: str = "200 OK", *headers: str, length: int | None = None, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Place:
    """A client on a private directory, with a clock that only sleeping moves."""

    def __init__(self, directory: Path, *, allow: tuple[str, ...] = ("127.0.0.1",), terms: Terms | None = None) -> None:
        self.clock = _Clock()
        self.quotas = _Quotas()
        self.cache = DiskImageCache(directory / "images")
        self._directory = directory
        self._allow = allow
        self._terms = terms or Terms(whole=BOUND)

    def client(self) -> HttpClient:
        return HttpClient(
            cache=self.cache,
            quotas=self.quotas,
            clock=self.clock,
            answers=self._directory / "answers",
            allow_private=self._allow,
            terms=self._terms,
            sleep=self.clock.sleep,
            jitter=lambda: 0.0,
        )


@pytest.fixture
def place(tmp_path: Path) -> _Place:
    return _Place(tmp_path)


def _request(server: _Server, **more: object) -> Request:
    return Request(url=f"{server.url}/v1/{SECRET}", label="the index", **more)  # type: ignore[arg-type]


async def _send(place: _Place, script: Iterable[bytes | None], **more: object) -> tuple[Response, _Server]:
    server = _Server(script)
    async with server.running(), place.client() as client:
        return await client.send(SERVICE, _request(server, **more)), server


async def _refused(place: _Place, script: Iterable[bytes | None], **more: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await _send(place, script, **more)
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith("service: the index: ")
    return caught.value


@pytest.mark.asyncio
async def test_an_answer_is_read_whole_and_says_who_asked(place: _Place) -> None:
    response, server = await _send(place, [_answer(b'{"a":1}')])
    assert response.json() == {"a": 1}
    assert "User-Agent: otagate/" in server.asked[0]


@pytest.mark.asyncio
async def test_a_compressed_answer_is_decompressed(place: _Place) -> None:
    response, _ = await _send(place, [_answer(gzip.compress(b"[1]"), "200 OK", "Content-Encoding: gzip")])
    assert response.json() == [1]


@pytest.mark.asyncio
async def test_a_gzip_bomb_stops_at_the_limit(place: _Place) -> None:
    bomb = gzip.compress(bytes(32 << 20))
    error = await _refused(place, [_answer(bomb, "200 OK", "Content-Encoding: gzip")], limit=1 << 20)
    assert isinstance(error, SourceUnintelligible)
    assert "once it is decompressed" in str(error)


@pytest.mark.asyncio
async def test_an_answer_above_the_limit_is_not_read_on(place: _Place) -> None:
    error = await _refused(place, [_answer(bytes(4096))], limit=1000)
    assert "larger than allowed" in str(error)


@pytest.mark.asyncio
async def test_an_encoding_that_nobody_asked_for_is_refused(place: _Place) -> None:
    error = await _refused(place, [_answer(b"x", "200 OK", "Content-Encoding: br")])
    assert isinstance(error, SourceUnintelligible)


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", [1, 2], ids=["the body", "the compression"])
async def test_an_answer_that_ends_in_the_middle_is_never_taken_for_whole(place: _Place, cut: int) -> None:
    packed = gzip.compress(b'{"a": 1}' * 50)
    whole = [_answer(b'{"a"', length=400), _answer(packed[:-12], "200 OK", "Content-Encoding: gzip")][cut - 1]
    await _refused(place, [whole])


@pytest.mark.asyncio
async def test_a_login_page_with_200_is_no_answer(place: _Place) -> None:
    response, _ = await _send(place, [_answer(b"<html>", kind="text/html")])
    with pytest.raises(SourceUnintelligible, match="web page"):
        response.json()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[NaN]", b"\xff", b"[" * 200_000, b"9" * 20_000], ids=["empty", "cut", "nan", "bytes", "deep", "digits"]
)
async def test_json_that_is_none_is_unintelligible_and_nothing_worse(place: _Place, body: bytes) -> None:
    response, _ = await _send(place, [_answer(body)])
    with pytest.raises(SourceUnintelligible, match="the index"):
        response.json()


@pytest.mark.asyncio
async def test_a_server_error_is_tried_again_with_growing_waits(place: _Place) -> None:
    bad = _answer(b"", "500 Broken")
    response, server = await _send(place, [bad, bad, bad, _answer(b"[]")])
    assert response.json() == []
    assert place.clock.slept == [1.0, 4.0, 16.0]
    assert len(server.asked) == 4


@pytest.mark.asyncio
async def test_a_server_that_stays_broken_is_given_up(place: _Place) -> None:
    error = await _refused(place, [_answer(b"secret body", "502 Bad")])
    assert isinstance(error, SourceUnavailable)
    assert "502" in str(error)
    assert "secret body" not in str(error)


@pytest.mark.asyncio
async def test_what_may_not_be_sent_twice_is_sent_once(place: _Place) -> None:
    server = _Server([_answer(b"", "500 Broken")])
    async with server.running(), place.client() as client:
        with pytest.raises(SourceUnavailable):
            await client.send(SERVICE, _request(server, method="POST", body=b"{}", idempotent=False))
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_other_refusals_are_answers_for_the_source(place: _Place) -> None:
    response, server = await _send(place, [_answer(b'{"status":401}', "401 No")])
    assert response.status == 401
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_a_metadata_call_follows_no_redirect(place: _Place) -> None:
    error = await _refused(place, [_answer(b"", "302 Found", "Location: {url}/elsewhere")])
    assert isinstance(error, SourceRefused)


@pytest.mark.asyncio
async def test_an_empty_429_that_claims_to_be_compressed_pauses_every_call_to_the_service(place: _Place) -> None:
    server = _Server([_answer(b"", "429 Slow", "Content-Encoding: gzip", "Retry-After: 300")])
    async with server.running(), place.client() as client:
        with pytest.raises(SourceBusy) as first:
            await client.send(SERVICE, _request(server))
        with pytest.raises(SourceBusy):
            await client.send(SERVICE, _request(server, bucket="another"))
    assert first.value.until == place.clock.at + timedelta(seconds=300)
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_a_host_of_files_that_wants_to_be_left_alone_stops_neither_the_index_nor_files_elsewhere(place: _Place) -> None:
    files, index = _Server([_answer(b"", "503 Later", "Retry-After: 3000")]), _Server([_answer()])
    async with files.running(), index.running(), place.client() as client:
        with pytest.raises(SourceBusy, match=r"service: the index: 127\.0\.0\.1 answers 503, to be left alone until 2026-03-01 12:50:00 UTC"):
            await client.download(SERVICE, _request(files), Expect(vouched=True))
        assert (await client.send(SERVICE, _request(index))).status == 200
        assert (await client.download(SERVICE, _request(index), Expect(vouched=True))).size == 2
        with pytest.raises(SourceBusy, match="not to be asked again before 2026-03-01 12:50:00 UTC"):
            await client.download(SERVICE, _request(files), Expect(vouched=True))
        assert len(files.asked) == 1
        place.clock.at += timedelta(seconds=3000)
        with pytest.raises(SourceBusy):
            await client.download(SERVICE, _request(files), Expect(vouched=True))
    assert len(files.asked) == 2


@pytest.mark.asyncio
async def test_a_host_behind_a_redirect_is_left_alone_when_it_asks_for_that_and_not_who_pointed_there(place: _Place) -> None:
    files = _Server([_answer(b"", "429 Slow", "Retry-After: 600")])
    async with files.running(), place.client() as client:
        index = _Server([_answer(b"", "302 Found", f"Location: {files.url}/file")])
        async with index.running():
            for _ in range(2):
                with pytest.raises(SourceBusy) as caught:
                    await client.download(SERVICE, _request(index), Expect(vouched=True))
                assert caught.value.until == place.clock.at + timedelta(seconds=600)
    assert (len(index.asked), len(files.asked)) == (2, 1)


@pytest.mark.asyncio
async def test_who_waits_for_a_short_pause_of_one_host_keeps_nobody_from_the_others(place: _Place) -> None:
    waiting, over = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await over.wait()
        await _Clock.sleep(place.clock, seconds)

    files, index = _Server([_answer(b"", "429 Slow", "Retry-After: 60"), _answer()]), _Server([_answer()])
    async with files.running(), index.running(), place.client() as client, asyncio.timeout(BOUND), asyncio.TaskGroup() as group:
        with pytest.raises(SourceBusy):
            await client.send(SERVICE, _request(files))
        client._sleep = sleep
        group.create_task(client.send(SERVICE, _request(files)))
        await waiting.wait()
        assert (await client.send(SERVICE, _request(index))).status == 200
        assert len(files.asked) == 1
        over.set()
    assert len(files.asked) == 2


def test_pauses_of_more_hosts_than_a_service_has_are_not_kept() -> None:
    account, now = Account(SERVICE), _Clock().now()
    for number in range(1000):
        account.refused(f"host{number}:443", now, asked=timedelta(seconds=60 + number), own=None, jitter=0)
    again = Account(SERVICE)
    again.load(account.dump())
    assert len(account.dump()) < 10_000
    assert again.pause_of("host999:443", now) == timedelta(seconds=1059)


def test_a_late_answer_to_what_was_asked_before_does_not_end_a_pause() -> None:
    account, now = Account(SERVICE), _Clock().now()
    until = account.refused("host:443", now, asked=timedelta(seconds=60), own=None, jitter=0)
    account.answered("host:443", now)
    assert account.pause_of("host:443", now) == timedelta(seconds=60)
    account.answered("host:443", until)
    assert account.refused("host:443", until, asked=None, own=None, jitter=0) == until + timedelta(seconds=60), "as if for the first time"


@pytest.mark.asyncio
async def test_a_pause_survives_a_restart(place: _Place) -> None:
    server = _Server([_answer(b"", "429 Slow", "Retry-After: 3000")])
    async with server.running():
        async with place.client() as client:
            with pytest.raises(SourceBusy):
                await client.send(SERVICE, _request(server))
        async with place.client() as client:
            with pytest.raises(SourceBusy, match="not to be asked again before"):
                await client.send(SERVICE, _request(server))
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_pauses_without_a_length_double_and_end_at_an_hour(place: _Place) -> None:
    server = _Server([_answer(b"", "429 Slow")])
    lengths = []
    async with server.running(), place.client() as client:
        for _ in range(8):
            with pytest.raises(SourceBusy) as caught:
                await client.send(SERVICE, _request(server))
            assert caught.value.until is not None
            lengths.append((caught.value.until - place.clock.at).total_seconds())
            place.clock.at = caught.value.until
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.asyncio
async def test_a_date_of_retry_after_is_understood_and_an_hour_is_the_most(place: _Place) -> None:
    error = await _refused(place, [_answer(b"", "503 Later", "Retry-After: Sun, 01 Mar 2026 12:02:00 GMT")])
    assert error.until == place.clock.at + timedelta(minutes=2)
    place.clock.at += timedelta(hours=1)
    error = await _refused(place, [_answer(b"", "503 Later", "Retry-After: 99999999999999999999")])
    assert error.until == place.clock.at + timedelta(hours=1)


@pytest.mark.asyncio
@pytest.mark.parametrize("date", ["Thu, 01 Jan 99999999999 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 +99999999999999999999", "soon"])
async def test_a_date_of_retry_after_that_there_cannot_be_is_none(place: _Place, date: str) -> None:
    error = await _refused(place, [_answer(b"", "503 Later", f"Retry-After: {date}")])
    assert isinstance(error, SourceBusy)
    assert error.until == place.clock.at + timedelta(minutes=1)


@pytest.mark.asyncio
async def test_a_pause_from_a_clock_that_was_years_ahead_keeps_nobody_away_for_years(place: _Place) -> None:
    server = _Server([_answer(b"", "429 Slow", "Retry-After: 3000"), _answer()])
    async with server.running():
        right = place.clock.at
        place.clock.at = right + timedelta(days=5000)
        async with place.client() as client:
            with pytest.raises(SourceBusy):
                await client.send(SERVICE, _request(server))
        place.clock.at = right
        async with place.client() as client:
            assert (await client.send(SERVICE, _request(server))).status == 200


@pytest.mark.asyncio
async def test_a_status_that_a_service_uses_for_a_spent_quota_pauses_for_its_own_length(place: _Place) -> None:
    service = Service(name="service", pauses=((403, timedelta(hours=1)),))
    server = _Server([_answer(b"", "403 Quota")])
    async with server.running(), place.client() as client:
        with pytest.raises(SourceBusy) as caught:
            await client.send(service, _request(server))
    assert caught.value.until == place.clock.at + timedelta(hours=1)


@pytest.mark.asyncio
async def test_calls_wait_in_line_for_a_short_limit(place: _Place) -> None:
    service = Service(name="service", limits=(Limit(amount=2, per=timedelta(seconds=60)),))
    server = _Server([_answer()])
    async with server.running(), place.client() as client:
        for _ in range(3):
            await client.send(service, _request(server))
    assert 60 <= sum(place.clock.slept) <= 64


@pytest.mark.asyncio
async def test_a_limit_over_a_month_survives_a_restart(place: _Place) -> None:
    service = Service(name="service", limits=(Limit(amount=10_000, per=timedelta(days=30), of="bytes", bucket="big"),))
    server = _Server([_answer(bytes(10_000), kind="text/plain")])
    async with server.running():
        async with place.client() as client:
            await client.send(service, _request(server, bucket="big"))
        place.clock.at += timedelta(days=3)
        async with place.client() as client:
            with pytest.raises(SourceBusy) as caught:
                await client.send(service, _request(server, bucket="big"))
            assert (await client.send(service, _request(server, bucket="other"))).status == 200
    assert caught.value.until is not None
    assert timedelta(days=26) < caught.value.until - place.clock.at < timedelta(days=29)


@pytest.mark.asyncio
async def test_checks_that_people_ask_for_stay_apart_over_a_restart_and_a_clock_that_goes_back(place: _Place) -> None:
    service = Service(name="service", between_checks=timedelta(minutes=10))
    first = place.clock.at
    assert await place.client().check(service) is None
    place.clock.at += timedelta(minutes=9)
    assert await place.client().check(service) == first + timedelta(minutes=10)
    place.clock.at += timedelta(minutes=1)
    assert await place.client().check(service) is None
    place.clock.at -= timedelta(days=1)
    assert await place.client().check(service) is None, "no clock makes the wait longer than it is"
    assert await place.client().check(SERVICE) is None


@pytest.mark.asyncio
async def test_what_came_with_an_etag_is_asked_for_only_if_it_has_changed(place: _Place) -> None:
    tag = "0123abcd"  # without quotes, as one service sends it
    server = _Server([_answer(b'["kept"]', "200 OK", f"ETag: {tag}"), _answer(b"", "304 Same")])
    async with server.running():
        async with place.client() as client:
            await client.send(SERVICE, _request(server, conditional=True))
        async with place.client() as client:  # in another life, too
            response = await client.send(SERVICE, _request(server, conditional=True))
    assert response.kept
    assert response.json() == ["kept"]
    assert f"if-none-match: {tag}\r\n" in server.asked[1]


@pytest.mark.asyncio
async def test_an_etag_that_no_header_can_carry_back_is_none(place: _Place) -> None:
    server = _Server([_answer(b"[1]", "200 OK", "ETag: ??").replace(b"??", b'"\xff\xfe"')])
    async with server.running(), place.client() as client:
        for _ in range(2):
            assert (await client.send(SERVICE, _request(server, conditional=True))).json() == [1]
    assert "if-none-match" not in server.asked[1].lower()


@pytest.mark.asyncio
async def test_a_304_that_nobody_asked_for_is_no_answer(place: _Place) -> None:
    assert isinstance(await _refused(place, [_answer(b"", "304 Same")]), SourceUnintelligible)


@pytest.mark.asyncio
async def test_a_server_that_hangs_is_left_after_a_bound(tmp_path: Path) -> None:
    place = _Place(tmp_path, terms=Terms(whole=0.2, retries=()))
    error = await _refused(place, [None])
    assert "within 0.2 seconds" in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("garbage", [b"SSH-2.0-x\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"], ids=["not http", "nothing", "no status"])
async def test_a_server_that_speaks_no_http_is_told_in_words(tmp_path: Path, garbage: bytes) -> None:
    await _refused(_Place(tmp_path, terms=Terms(retries=())), [garbage])


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
async def test_a_private_address_is_refused_where_nobody_allowed_it(tmp_path: Path, host: str) -> None:
    async with _Place(tmp_path, allow=()).client() as client:
        with pytest.raises(SourceRefused, match="allow_private"):
            await client.send(SERVICE, Request(url=f"http://{host}:9/", label="the index"))


_NO_ADDRESSES = [
    "https://xn--/",
    "https://xn--zzzzzz-/",
    "https://a b/",
    "https://[::1",
    "https://[::1%25\x07]/",
    "https://a..b/",
    "https://.a/",
    "https://-/",
    "https://a\x00b/",
    "https://host:99999/",
    "https://host:-1/",
    "https://" + "a" * 10_000 + "/",
    "https://" + "a." * 5_000 + "org/",
    "https://\u202e/",
    "https://\u3002/",
    "https://\ud800/",
    "https:///x",
    "file:///etc/passwd",
    "ftp://host/",
    "//host",
    "host",
    "",
]


@pytest.mark.asyncio
@pytest.mark.parametrize("url", _NO_ADDRESSES, ids=lambda url: ascii(url)[:30])
async def test_what_is_no_address_is_refused_in_words_wherever_it_comes_from(place: _Place, url: str) -> None:
    there = f"{url}#{SECRET}"
    asked = Request(url=there, label="the index", query=(("key", SECRET),), conditional=True)
    home = _Server([_answer(b"", "302 Found", "Location: " + there.encode(errors="replace").decode())])
    told: list[SourceError] = []
    async with home.running(), place.client() as client:
        tries: list[Awaitable[object]] = [client.send(SERVICE, asked), client.download(SERVICE, asked, Expect(vouched=True))]
        if "://" in url:  # less is read as a part of the address that points there
            tries.append(client.download(SERVICE, _request(home), Expect(vouched=True)))
        for attempt in tries:
            with pytest.raises(SourceError) as caught:
                await attempt
            told.append(caught.value)
    for error in told:
        assert SECRET not in str(error)
        assert len(str(error)) < 200
        assert str(error).isprintable()


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "[::1]"])
async def test_a_password_in_an_address_is_in_no_text(tmp_path: Path, host: str) -> None:
    async with _Place(tmp_path, allow=()).client() as client:
        with pytest.raises(SourceError) as caught:
            await client.send(SERVICE, Request(url=f"https://operator:{SECRET}@{host}:9/", label="the index"))
    assert SECRET not in str(caught.value)


def _image(size: int = 5000) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


async def _download(place: _Place, script: Iterable[bytes | None], **expect: object) -> tuple[bytes, _Server]:
    server = _Server(script)
    async with server.running(), place.client() as client:
        stored = await client.download(SERVICE, _request(server), Expect(**{"vouched": True, **expect}))  # type: ignore[arg-type]
        return bytes(place.cache.open(stored.sha256)), server


async def _not_fetched(place: _Place, script: Iterable[bytes | None], **expect: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await _download(place, script, **expect)
    assert SECRET not in str(caught.value)
    assert not list((place.cache._root / "sha256").glob("*/*/*"))
    return caught.value


@pytest.mark.asyncio
async def test_a_file_that_is_what_was_promised_is_stored(place: _Place) -> None:
    data = _image()
    digests = (Digest(algorithm="sha256", value=hashlib.sha256(data).hexdigest()), Digest(algorithm="md5", value=hashlib.md5(data).hexdigest()))
    fetched, _ = await _download(place, [_answer(data)], size=len(data), digests=digests)
    assert fetched == data


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512", "sha3_256"])
async def test_a_file_with_another_digest_is_never_stored(place: _Place, algorithm: str) -> None:
    error = await _not_fetched(place, [_answer(_image())], digests=(Digest(algorithm=algorithm, value="00" * 32),))  # type: ignore[arg-type]
    assert algorithm in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("promised", [4999, 5001])
async def test_a_file_of_another_size_is_never_stored(place: _Place, promised: int) -> None:
    await _not_fetched(place, [_answer(_image(5000))], size=promised)


@pytest.mark.asyncio
async def test_a_file_without_end_is_cut_at_the_limit(place: _Place) -> None:
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(100_000)
    error = await _not_fetched(place, [endless], limit=50_000)
    assert "goes on behind 50000 bytes" in str(error)


@pytest.mark.asyncio
async def test_a_file_that_is_announced_too_large_is_not_read(place: _Place) -> None:
    error = await _not_fetched(place, [_answer(b"x", length=10**9)], limit=50_000)
    assert "1000000000 bytes" in str(error)


@pytest.mark.asyncio
async def test_a_dropped_file_goes_on_where_it_was_under_the_same_etag(place: _Place) -> None:
    data = _image(5000)
    begun = _answer(data[:2000], "200 OK", 'ETag: "v1"', length=5000)
    rest = _answer(data[2000:], "206 Rest", 'ETag: "v1"', "Content-Range: bytes 2000-4999/5000")
    fetched, server = await _download(place, [begun, rest])
    assert fetched == data
    assert "range: bytes=2000-" in server.asked[1].lower()
    assert 'if-range: "v1"' in server.asked[1].lower()


@pytest.mark.asyncio
async def test_a_dropped_file_without_an_etag_begins_anew(place: _Place) -> None:
    data = _image(5000)
    fetched, server = await _download(place, [_answer(data[:2000], length=5000), _answer(data)])
    assert fetched == data
    assert "range:" not in server.asked[1].lower()


@pytest.mark.asyncio
async def test_a_dropped_file_under_an_etag_that_no_header_can_carry_back_begins_anew(place: _Place) -> None:
    data = _image(5000)
    fetched, server = await _download(place, [_answer(data[:2000], "200 OK", "ETag: ??", length=5000).replace(b"??", b'"\xff\xfe"'), _answer(data)])
    assert fetched == data
    assert "range:" not in server.asked[1].lower()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name",
    ["filename*=undefined''lamp.ota", "filename*=idna''%ff.ota", "filename*=punycode''%ff.ota", "filename*=''; filename*0=lamp.ota", "filename=\xff"],
)
async def test_a_file_whose_name_cannot_be_read_is_called_as_its_address_ends(place: _Place, name: str) -> None:
    server = _Server([_answer(b"image", "200 OK", f"Content-Disposition: attachment; {name}")])
    async with server.running(), place.client() as client:
        request = Request(url=f"{server.url}/files/plug.ota", label="the file")
        assert (await client.download(SERVICE, request, Expect(vouched=True))).file_name == "plug.ota"


@pytest.mark.asyncio
async def test_a_file_that_changed_between_two_tries_is_taken_from_its_beginning(place: _Place) -> None:
    old, new = _image(5000), bytes(4000)
    fetched, _ = await _download(place, [_answer(old[:2000], "200 OK", 'ETag: "v1"', length=5000), _answer(new, "200 OK", 'ETag: "v2"')])
    assert fetched == new


@pytest.mark.asyncio
async def test_a_server_that_gives_another_part_is_not_believed(place: _Place) -> None:
    data = _image(5000)
    begun = _answer(data[:2000], "200 OK", 'ETag: "v1"', length=5000)
    await _not_fetched(place, [begun, _answer(data[1000:], "206 Rest", "Content-Range: bytes 1000-4999/5000")])


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "words"), [("204 Gone", "no such file"), ("404 No", "404"), ("200 OK", "empty")])
async def test_no_file_is_a_refusal_in_words(place: _Place, status: str, words: str) -> None:
    assert words in str(await _not_fetched(place, [_answer(b"", status)]))


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "gone"), [("204 No", True), ("404 No", True), ("410 No", True), ("403 No", False), ("200 OK", False)])
async def test_a_file_that_is_not_there_any_more_is_told_apart_from_one_that_is_refused(place: _Place, status: str, gone: bool) -> None:
    assert isinstance(await _not_fetched(place, [_answer(b"", status)]), FileGone) is gone


@pytest.mark.asyncio
async def test_an_image_may_be_behind_five_redirects_and_no_more(place: _Place) -> None:
    hop = _answer(b"", "302 Found", "Location: {url}/next")
    fetched, _ = await _download(place, [*[hop] * 5, _answer(b"image")])
    assert fetched == b"image"
    error = await _not_fetched(_Place(place._directory / "b"), [hop])
    assert "more than 5 redirects" in str(error)


@pytest.mark.asyncio
async def test_credentials_stay_with_their_origin(place: _Place) -> None:
    elsewhere = _Server([_answer(b"image")])
    async with elsewhere.running():
        home = _Server([_answer(b"", "302 Found", f"Location: {elsewhere.url}/file.ota")])
        async with home.running(), place.client() as client:
            request = _request(home, headers={"authorization": f"Bearer {SECRET}"})
            stored = await client.download(SERVICE, request, Expect(vouched=True))
    assert stored.file_name == "file.ota"
    assert SECRET in home.asked[0]
    assert SECRET not in elsewhere.asked[0]


@pytest.mark.asyncio
async def test_a_signature_stays_with_its_origin(place: _Place) -> None:
    elsewhere = _Server([_answer(b"image")])
    async with elsewhere.running():
        home = _Server([_answer(b"", "302 Found", f"Location: {elsewhere.url}/file.ota")])
        async with home.running(), place.client() as client:
            await client.download(SERVICE, _request(home, sign=lambda *_: {"sign": SECRET + "-sign"}), Expect(vouched=True))
    assert f"sign: {SECRET}-sign" in home.asked[0]
    assert SECRET not in elsewhere.asked[0]


@pytest.mark.asyncio
async def test_a_redirect_to_a_private_host_is_refused(place: _Place) -> None:
    error = await _not_fetched(place, [_answer(b"", "302 Found", "Location: http://127.0.0.2:9/x")])
    assert "allow_private" in str(error)


@pytest.mark.parametrize(
    ("url", "vouched", "taken"),
    [
        ("http://files.example/a", False, False),
        ("http://localhost/a", False, False),  # a name may be anybody's
        ("http://192.168.1.2/a", False, False),
        ("http://127.0.0.1:8/a", False, True),
        ("http://[::1]:8/a", False, True),
        ("http://files.example/a", True, True),
        ("https://files.example/a", False, True),
    ],
)
def test_plain_http_is_taken_only_where_something_else_proves_the_bytes_or_nothing_is_in_between(url: str, vouched: bool, taken: bool) -> None:
    with nullcontext() if taken else pytest.raises(SourceRefused, match="plain http"):
        Fetch(expect=Expect(vouched=vouched), label="a file").check(URL(url))


@pytest.mark.asyncio
async def test_a_file_that_stops_coming_is_left_after_a_bound(tmp_path: Path) -> None:
    place = _Place(tmp_path, terms=Terms(whole=0.5, stall=0.2, retries=()))
    await _not_fetched(place, [None, None])


@pytest.mark.asyncio
async def test_an_image_is_sent_once_as_a_form(place: _Place) -> None:
    sha256 = await place.cache.add(b"firmware bytes")
    server = _Server([_answer(b"{}", "201 Created")])
    async with server.running(), place.client() as client:
        request = _request(server, method="POST", idempotent=False)
        effect = Upload(request=request, image=sha256, field="firmware", file_name="firmware.bin", fields=(("version", "1.0.1"),))
        response = await client.upload(SERVICE, effect)
    assert response.status == 201
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_cancelling_a_call_cancels_it(place: _Place) -> None:
    server = _Server([None])
    async with server.running(), place.client() as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.send(SERVICE, _request(server))
